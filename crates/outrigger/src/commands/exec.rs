//! `outrigger __exec`: the last step before a handler's own program.

use std::process::ExitCode;

use supervise::ExecError;

use crate::{
    cli::Exec,
    exit::{self, Code, Failure},
};

/// Becomes the program; comes back only where that failed.
pub fn exec(args: Exec) -> ExitCode {
    let mut words = args.words.into_iter();
    let program = words.next().expect("the command line has at least one word");
    let error = supervise::exec(args.parent, args.descriptors, program, words.collect());
    let code = match error {
        ExecError::NotRun { .. } => Code::NoInput,
        _ => Code::Unavailable,
    };
    let message = error.to_string();
    let source = std::error::Error::source(&error).map(ToString::to_string);
    let failure = Failure::new(code, message);
    exit::report(&match source {
        Some(source) => failure.because(source).into(),
        None => failure.into(),
    })
}
