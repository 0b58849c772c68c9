//! How the program ends: its exit codes, and what it says of an error.
//!
//! Codes are those of sysexits, and this is the only place that knows them. An error is told as what happened, why, and
//! what to do; a reader that has gone away is no error to tell of.

use std::{
    error::Error,
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

use calls::listen::ListenError;
use chassis::config::ConfigError;
use queues::QueueError;

use crate::{
    output::OutputError,
    terminal::{self, Paint},
};

/// Why the program did not do what was asked, as an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// `EX_USAGE`: the command line is wrong.
    Usage = 64,
    /// `EX_DATAERR`: what was given to work on is wrong.
    Data = 65,
    /// `EX_NOINPUT`: what was named is not there.
    NoInput = 66,
    /// `EX_UNAVAILABLE`: a service does not answer for now.
    Unavailable = 69,
    /// `EX_SOFTWARE`: a fault of ours.
    Software = 70,
    /// `EX_CANTCREAT`: a file cannot be made.
    CannotCreate = 73,
    /// `EX_IOERR`: reading or writing failed.
    Io = 74,
    /// `EX_TEMPFAIL`: not everything was done; what is left stays where it is.
    Unfinished = 75,
    /// `EX_PROTOCOL`: the other side does not speak as it has to.
    Protocol = 76,
    /// `EX_CONFIG`: the configuration cannot be used.
    Config = 78,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// An error that knows its exit code, and maybe its cure.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What the program ends with.
    pub code: Code,
    /// What happened, on what.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Why.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// What happened, on what.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
            source: None,
        }
    }

    /// Says what to do.
    pub fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }

    /// Says why.
    pub fn because(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }
}

/// Tells of an error on stderr, and gives the code to end with.
pub fn report(error: &anyhow::Error) -> ExitCode {
    let code = code_of(error);
    if matches!(find(error), Some(OutputError::Closed)) {
        return code.into();
    }
    let paint = Paint::new(terminal::stderr_has_colour());
    let text = match find::<ConfigError>(error) {
        Some(config) => config.render(terminal::stderr_colour()),
        None => render(error, paint),
    };
    // Nobody may be reading; the exit code still tells.
    let _ = io::stderr().write_all(text.as_bytes());
    code.into()
}

/// An error as people read it: what happened, the causes that say more, the cure.
pub fn render(error: &anyhow::Error, paint: Paint) -> String {
    let mut text = format!("{} {error}\n", paint.bad("error:"));
    let mut said = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !said.contains(&cause) {
            let _infallible = writeln!(text, "  {} {cause}", paint.dim("cause:"));
            said = cause;
        }
    }
    if let Some(help) = cure(error) {
        let _infallible = writeln!(text, "  {} {help}", paint.good("help:"));
    }
    text
}

/// The exit code of an error: the outermost link of its chain that has one decides.
pub fn code_of(error: &anyhow::Error) -> Code {
    error.chain().find_map(code_of_link).unwrap_or(Code::Software)
}

fn code_of_link(link: &(dyn Error + 'static)) -> Option<Code> {
    if let Some(failure) = link.downcast_ref::<Failure>() {
        return Some(failure.code);
    }
    if let Some(queue) = link.downcast_ref::<QueueError>() {
        return Some(match queue {
            QueueError::BadUrl { .. } | QueueError::Unsupported { .. } | QueueError::Refused { .. } => Code::Config,
            QueueError::NoQueue { .. } => Code::NoInput,
            QueueError::TooLarge { .. } => Code::Data,
            QueueError::Full { .. } | QueueError::Unusable { .. } => Code::Io,
            _ => Code::Unavailable,
        });
    }
    if link.is::<ConfigError>() || link.is::<calls::PlaneError>() {
        return Some(Code::Config);
    }
    (link.is::<OutputError>() || link.is::<std::io::Error>()).then_some(Code::Io)
}

fn cure(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|link| {
        if let Some(failure) = link.downcast_ref::<Failure>() {
            return failure.help.clone();
        }
        if let Some(plane) = link.downcast_ref::<calls::PlaneError>() {
            return calls_cure(plane);
        }
        let help = match link.downcast_ref::<QueueError>()? {
            QueueError::NoQueue { .. } => "`outrigger queues` lists those that exist; `up` and `run` make them",
            QueueError::Full { .. } => "make room on the disk and do it again",
            QueueError::LeaseLost => "nothing was written: look at the message where it is now",
            _ => return None,
        };
        Some(help.to_owned())
    })
}

fn calls_cure(error: &calls::PlaneError) -> Option<String> {
    let help = match error {
        calls::PlaneError::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
            "another process listens there: end it, or write another address in `calls.listen`"
        }
        calls::PlaneError::Http {
            source: ListenError::Live { .. },
        } => "another process listens there: end it, or write another address in `calls.listen`",
        calls::PlaneError::Http {
            source: ListenError::Bind { source, .. },
        } if source.kind() == io::ErrorKind::AddrInUse => {
            "another process listens there: end it, or write another address in `calls.listen`"
        }
        calls::PlaneError::Http {
            source: ListenError::Certificate { .. },
        } => "name PEM files in `calls.tls.cert`, `calls.tls.key` and `calls.auth.client_ca`",
        calls::PlaneError::Listen { .. } | calls::PlaneError::Http { .. } => "write another address in `calls.listen`",
        calls::PlaneError::Certificate { .. } => {
            "start it again: the files that are named now are read anew by themselves"
        }
        calls::PlaneError::Uncompiled { .. } => {
            "take it out of the folder, and declare functions as in `{ name: clean, handler: { socket: clean.sock } }`"
        }
        calls::PlaneError::Proxy { .. } => "write other addresses in `calls.upstreams`",
        calls::PlaneError::Access { .. } => "name the file with the token in `calls.auth.token_file`",
        _ => return None,
    };
    Some(help.to_owned())
}

fn find<T: Error + 'static>(error: &anyhow::Error) -> Option<&T> {
    error.chain().find_map(|link| link.downcast_ref::<T>())
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::Context;
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn an_error_is_told_with_its_causes_once_each_and_its_cure() {
        let source = io::Error::new(io::ErrorKind::PermissionDenied, "permission denied");
        let failure = Failure::new(Code::Io, "cannot read a.jsonl")
            .because(source)
            .help("give yourself the permission");
        let error: anyhow::Error = Err::<(), _>(failure)
            .context("cannot read a.jsonl: permission denied")
            .unwrap_err();
        assert_snapshot!(render(&error, Paint::new(false)), @r"
        error: cannot read a.jsonl: permission denied
          help: give yourself the permission
        ");
        assert_eq!(code_of(&error), Code::Io);
    }

    #[test]
    fn the_outermost_code_wins_and_without_any_the_fault_is_ours() {
        let missing = QueueError::NoQueue { queue: "a".into() };
        let error = anyhow::Error::from(Failure::new(Code::Data, "line 3").because(missing));
        assert_eq!(code_of(&error), Code::Data);
        let missing = QueueError::NoQueue { queue: "a".into() };
        assert_eq!(
            code_of(&anyhow::Error::from(missing).context("cannot take")),
            Code::NoInput
        );
        assert_eq!(code_of(&anyhow::anyhow!("odd")), Code::Software);
    }
}
