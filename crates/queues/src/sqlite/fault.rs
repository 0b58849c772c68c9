//! What went wrong, in a form that can be given to many callers and sent to another process.

use std::{path::Path, sync::Arc};

use rusqlite::ffi::ErrorCode;

use crate::{BoxError, QueueError};

/// The cloneable, sendable form of a [`QueueError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    NoQueue(Arc<str>),
    TooLarge { queue: Arc<str>, bytes: u64, limit: u64 },
    LeaseLost,
    Full(String),
    Unusable { why: String, cause: String },
    Unavailable { why: String, cause: String },
    Closed,
}

impl Fault {
    /// The error that a caller gets.
    pub(super) fn into_error(self, path: &Path) -> QueueError {
        match self {
            Self::NoQueue(queue) => QueueError::NoQueue {
                queue: queue.to_string(),
            },
            Self::TooLarge { queue, bytes, limit } => QueueError::TooLarge {
                queue: queue.to_string(),
                bytes,
                limit,
            },
            Self::LeaseLost => QueueError::LeaseLost,
            Self::Full(cause) => QueueError::Full {
                path: path.to_owned(),
                source: cause.into(),
            },
            Self::Unusable { why, cause } => QueueError::Unusable {
                path: path.to_owned(),
                why,
                source: source(cause),
            },
            Self::Unavailable { why, cause } => QueueError::Unavailable {
                why,
                source: source(cause),
            },
            Self::Closed => QueueError::Closed,
        }
    }

    /// What SQLite's answer means for a queue.
    pub(super) fn of(error: &rusqlite::Error, attempted: &str) -> Self {
        let cause = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(cause),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Unusable {
                why: "it is corrupt or no queue file: restore it from a backup, or move it away and start with a \
                      fresh one"
                    .to_owned(),
                cause,
            },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::Unusable {
                why: "it cannot be written: give this user write permission on the file and its folder".to_owned(),
                cause,
            },
            Some(ErrorCode::CannotOpen) => Self::Unusable {
                why: "it cannot be opened: check that the path is a file and its folder can be written".to_owned(),
                cause,
            },
            _ => Self::Unavailable {
                why: format!("could not {attempted}"),
                cause,
            },
        }
    }

    /// What an I/O error on a path beside the file means.
    pub(super) fn of_io(error: &std::io::Error, attempted: &str) -> Self {
        use std::io::ErrorKind::{AlreadyExists, NotADirectory, PermissionDenied, ReadOnlyFilesystem, StorageFull};
        let cause = error.to_string();
        match error.kind() {
            AlreadyExists | NotADirectory => Self::Unusable {
                why: format!("could not {attempted}: a file is where a folder should be, name another path"),
                cause,
            },
            PermissionDenied | ReadOnlyFilesystem => Self::Unusable {
                why: format!("could not {attempted}: give this user write permission on the file and its folder"),
                cause,
            },
            StorageFull => Self::Full(cause),
            _ => Self::Unavailable {
                why: format!("could not {attempted}"),
                cause,
            },
        }
    }

    /// The file cannot be used, in our own words.
    pub(super) fn unusable(why: impl Into<String>) -> Self {
        Self::Unusable {
            why: why.into(),
            cause: String::new(),
        }
    }

    /// Not now, in our own words.
    pub(super) fn unavailable(why: impl Into<String>) -> Self {
        Self::Unavailable {
            why: why.into(),
            cause: String::new(),
        }
    }

    /// Whether the same may work later.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Unavailable { .. })
    }
}

fn source(cause: String) -> Option<BoxError> {
    (!cause.is_empty()).then(|| cause.into())
}
