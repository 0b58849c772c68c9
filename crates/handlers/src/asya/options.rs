//! How a runtime of Asya is spoken to.

use std::{path::PathBuf, time::Duration};

use wire::asya::{Generation, Position};

/// How a runtime of Asya is spoken to.
#[derive(Debug, Clone)]
pub struct AsyaOptions {
    /// The socket that the runtime has bound.
    pub path: PathBuf,
    /// Which spelling it has.
    pub generation: Generation,
    /// Whether its frames go on.
    pub position: Position,
    /// From the write of the request to the end of the answer; `None` is without limit. 5 minutes by default.
    pub timeout: Option<Duration>,
    /// From one event of a stream to the next; `None`, the default, is without limit.
    pub idle_timeout: Option<Duration>,
    /// The largest request, answer or event in bytes, below 2 GiB; 256 MiB by default.
    pub max_frame: u32,
    /// How long a place in a full backlog is waited for. 5 s by default.
    pub patience: Duration,
}

impl AsyaOptions {
    /// The defaults, for the runtime at `path`.
    pub fn new(path: impl Into<PathBuf>, generation: Generation) -> Self {
        Self {
            path: path.into(),
            generation,
            position: Position::default(),
            timeout: Some(Duration::from_mins(5)),
            idle_timeout: None,
            max_frame: 256 * 1024 * 1024,
            patience: Duration::from_secs(5),
        }
    }
}
