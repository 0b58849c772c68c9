//! Why a handler cannot be served.

use std::{io, path::PathBuf};

/// Why a handler cannot be served; says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Neither the environment nor the program says where.
    #[error("no socket to serve on: `outrigger up` sets OUTRIGGER_HANDLER_SOCKET; by hand, give its path")]
    NoSocket,
    /// No function was given.
    #[error("there is nothing to serve: pass at least one function")]
    NoFunction,
    /// Two functions could not be told apart.
    #[error("two of the functions have the name `{name}`: give one of them another")]
    SameName {
        /// The name.
        name: String,
    },
    /// The number of calls at once is none.
    #[error("OUTRIGGER_HANDLER_CONCURRENCY={text} is not a whole number of 1 or more")]
    Concurrency {
        /// What stands there.
        text: String,
    },
    /// The lifeline is none.
    #[error("OUTRIGGER_HANDLER_LIFELINE={text} is not the number of an open file descriptor")]
    Lifeline {
        /// What stands there.
        text: String,
    },
    /// A socket's path has a limit of the system's.
    #[error("the socket's path has {length} bytes, at most {most} are possible: {path}")]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its bytes.
        length: usize,
        /// The bytes that it may have.
        most: usize,
    },
    /// What stands there is not ours to remove.
    #[error("{path} exists and is not a socket: remove it, or choose another path")]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Another process lives there.
    #[error("another process is serving on {path}: stop it, or choose another path")]
    Served {
        /// The path.
        path: PathBuf,
    },
    /// The system refused the socket.
    #[error("cannot make the socket {path}: {source}")]
    Socket {
        /// The path.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The system refused something else.
    #[error("cannot watch signals and connections: {0}")]
    System(#[from] io::Error),
}

impl StartError {
    /// What the process ends with: 73 where the socket cannot be made, 71 where the system refuses, 78 for a handler or a
    /// setting that cannot be.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotASocket { .. } | Self::Served { .. } | Self::Socket { .. } => 73,
            Self::System(_) => 71,
            _ => 78,
        }
    }
}
