//! How a socket handler is spoken to.

use std::{path::PathBuf, time::Duration};

use wire::ReplyStyle;

/// Which dialect a handler speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Found out: protocol 1 if it says hello, else plain.
    #[default]
    Auto,
    /// Plain; a hello is a bad reply.
    Plain,
    /// Protocol 1; nothing is sent before its hello.
    One,
}

/// How a socket handler is spoken to.
///
/// ```
/// use std::time::Duration;
/// use handlers::SocketOptions;
///
/// let options = SocketOptions { timeout: Some(Duration::from_secs(5)), ..SocketOptions::new("/run/clean.sock") };
/// assert_eq!(options.connections, 1);
/// ```
#[derive(Debug, Clone)]
pub struct SocketOptions {
    /// The socket that the handler has bound.
    pub path: PathBuf,
    /// Which dialect it speaks.
    pub dialect: Dialect,
    /// How a plain handler's replies are told from data.
    pub style: ReplyStyle,
    /// From the write of the request to the final reply; `None` is without limit. 5 minutes by default.
    pub timeout: Option<Duration>,
    /// From one frame to the next; `None`, the default, is without limit.
    pub idle_timeout: Option<Duration>,
    /// The longest frame in bytes, either way, below 2 GiB; 256 MiB by default.
    pub max_frame: u32,
    /// Connections that are kept; as many as there are exchanges at once. 1 by default.
    pub connections: usize,
    /// How long the first request to a handler that has just appeared may wait for a hello, counted from the connect.
    /// 100 ms by default.
    pub hello_grace: Duration,
    /// How long a hello that must come, the answer to a ping, or a place in a full backlog is waited for. 5 s by
    /// default.
    pub patience: Duration,
}

impl SocketOptions {
    /// The defaults, for the handler at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            dialect: Dialect::Auto,
            style: ReplyStyle::Auto,
            timeout: Some(Duration::from_mins(5)),
            idle_timeout: None,
            max_frame: 256 * 1024 * 1024,
            connections: 1,
            hello_grace: Duration::from_millis(100),
            patience: Duration::from_secs(5),
        }
    }
}
