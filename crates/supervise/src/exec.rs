//! The last step before a handler's own program: ask the kernel to end it when we end.
//!
//! Runs as `outrigger __exec PARENT WORD..`, in the new process, and becomes the program.

use std::{ffi::OsString, io, os::unix::process::CommandExt, process::Command};

use nix::{
    sys::{prctl, signal::Signal},
    unistd::getppid,
};

use crate::descriptors;

/// Why the program did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecError {
    /// Whoever asked for the process is gone already.
    #[error("the process that asked for `{program}` has ended")]
    Orphaned {
        /// The program's name.
        program: String,
    },
    /// The kernel refused to tie the process to its parent.
    #[error("cannot tie `{program}` to its parent")]
    Untied {
        /// The program's name.
        program: String,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// The program cannot be run.
    #[error("cannot run `{program}`")]
    NotRun {
        /// The program's name.
        program: String,
        /// The system's words.
        #[source]
        source: io::Error,
    },
}

/// Becomes `program`, which then ends with SIGKILL when the process `parent` ends, and has the soft limit `descriptors`. Returns only
/// on failure.
pub fn exec(parent: u32, descriptors: Option<u64>, program: OsString, arguments: Vec<OsString>) -> ExecError {
    let name = program.to_string_lossy().into_owned();
    if let Err(error) = prctl::set_pdeathsig(Signal::SIGKILL) {
        return ExecError::Untied {
            program: name,
            source: error.into(),
        };
    }
    // The parent may have ended between the fork and the line above; the signal is not sent for that.
    if i64::from(getppid().as_raw()) != i64::from(parent) {
        return ExecError::Orphaned { program: name };
    }
    if let Some(soft) = descriptors {
        descriptors::lower(soft);
    }
    let source = Command::new(program).args(arguments).exec();
    ExecError::NotRun { program: name, source }
}
