//! A bench that is told to end takes with it all that it has started.

use std::thread;

use anyhow::Context;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use crate::procfs;

/// From now on SIGINT, SIGTERM and SIGHUP end this process and all that it has started.
///
/// They are heard by handlers, which programs that are started do not inherit, and not blocked, which they would.
///
/// # Errors
/// The signals cannot be heard, or there is no thread.
pub fn takes_all_along() -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [mut interrupt, mut terminate, mut hangup] = {
        let _context = runtime.enter();
        let [one, two, three] = kinds.map(signal);
        [one?, two?, three?]
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let told = runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => Signal::SIGINT,
                    _ = terminate.recv() => Signal::SIGTERM,
                    _ = hangup.recv() => Signal::SIGHUP,
                }
            });
            let own = std::process::id();
            for pid in procfs::tree(own).into_iter().filter(|pid| *pid != own) {
                // It may end by itself meanwhile.
                let _ = i32::try_from(pid).map(|pid| kill(Pid::from_raw(pid), Signal::SIGKILL));
            }
            std::process::exit(128 + told as i32);
        })
        .context("cannot start a thread")?;
    Ok(())
}
