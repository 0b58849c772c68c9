//! Leaves when the parent has gone: an inherited pipe reads its end, however the parent died.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    process,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::{dup2_stdin, getpgrp, getpid},
};

use crate::{StartError, handlers::text};

/// Watches the descriptor that the environment names, if it names one; a second call does nothing.
pub(crate) fn hold() -> Result<(), StartError> {
    static HELD: AtomicBool = AtomicBool::new(false);
    let Some(text) = text(VARIABLE) else { return Ok(()) };
    if HELD.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    let pipe = match text.parse::<u32>() {
        Ok(0) => free_stdin(),
        Ok(number) => File::open(format!("/dev/fd/{number}")),
        Err(_) => Err(io::ErrorKind::InvalidInput.into()),
    };
    let pipe = pipe.map_err(|_| StartError::Lifeline { text })?;
    let watch = thread::Builder::new().name("outrigger-lifeline".to_owned());
    watch.spawn(move || leave_at_the_end_of(pipe))?;
    Ok(())
}

/// Moves the pipe out of the way, so that a handler that reads its input does not take it away.
fn free_stdin() -> io::Result<File> {
    let pipe = io::stdin().as_fd().try_clone_to_owned()?;
    dup2_stdin(File::open("/dev/null")?)?;
    Ok(pipe.into())
}

fn leave_at_the_end_of(mut pipe: File) {
    let mut ignored = [0; 64];
    loop {
        match pipe.read(&mut ignored) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    // Whoever read it may have gone too.
    let _ = io::stderr().write_all(b"outrigger: the parent process has gone, leaving\n");
    if getpgrp() == getpid() {
        // The group is ours alone: what the handler has started is not to outlive it.
        let _ = killpg(getpgrp(), Signal::SIGKILL);
    }
    process::exit(1);
}

const VARIABLE: &str = "OUTRIGGER_HANDLER_LIFELINE";
