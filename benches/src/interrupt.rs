//! A bench that is told to end takes with it all that it has started.

use std::thread;

use anyhow::Context;
use nix::{
    sys::signal::{SigSet, Signal, kill},
    unistd::Pid,
};

use crate::procfs;

/// From now on SIGINT, SIGTERM and SIGHUP end this process and all that it has started. To be called before the first thread is.
///
/// Programs that are started later do not inherit it: the standard library gives them an empty signal mask.
///
/// # Errors
/// The signals cannot be blocked, or there is no thread.
pub fn takes_all_along() -> anyhow::Result<()> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    signals.thread_block().context("cannot block signals")?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let Ok(signal) = signals.wait() else { return };
            let own = std::process::id();
            for pid in procfs::tree(own).into_iter().filter(|pid| *pid != own) {
                // It may end by itself meanwhile.
                let _ = i32::try_from(pid).map(|pid| kill(Pid::from_raw(pid), Signal::SIGKILL));
            }
            std::process::exit(128 + signal as i32);
        })
        .context("cannot start a thread")?;
    Ok(())
}
