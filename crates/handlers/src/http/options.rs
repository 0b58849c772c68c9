//! How an HTTP handler is spoken to.

use std::time::Duration;

use wire::ReplyStyle;

use super::HttpAddress;

/// How an HTTP handler is spoken to.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Where it is.
    pub address: HttpAddress,
    /// How its replies are told from data.
    pub style: ReplyStyle,
    /// From the write of the request to the final reply; `None` is without limit. 5 minutes by default.
    pub timeout: Option<Duration>,
    /// From one frame of a stream to the next; `None`, the default, is without limit.
    pub idle_timeout: Option<Duration>,
    /// The largest body of a request or a reply, and the longest frame of a stream, in bytes; 256 MiB by default.
    pub max_frame: u32,
    /// Connections that are kept; as many as there are exchanges at once. 1 by default.
    pub connections: usize,
    /// How long a connect may take. 5 s by default.
    pub patience: Duration,
}

impl HttpOptions {
    /// The defaults, for the handler at `address`.
    pub fn new(address: HttpAddress) -> Self {
        Self {
            address,
            style: ReplyStyle::Auto,
            timeout: Some(Duration::from_mins(5)),
            idle_timeout: None,
            max_frame: 256 * 1024 * 1024,
            connections: 1,
            patience: Duration::from_secs(5),
        }
    }
}
