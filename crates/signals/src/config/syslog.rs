//! Settings of the backend `syslog`.

use std::{num::NonZeroUsize, path::PathBuf, str::FromStr};

use chassis::config::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lines as messages to a syslog server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Syslog {
    /// The server: `tcp://HOST:PORT` (octet counting), `udp://HOST:PORT`, or `unix:PATH` for a datagram socket such as
    /// `unix:/dev/log`. A relative path begins in the configuration's folder.
    #[schemars(extend("format" = "syslog-address"))]
    pub address: String,
    /// Which part of the system the messages are said to come from. Default `user`.
    #[serde(default)]
    pub facility: Facility,
    /// How messages are written: `rfc5424`, or the older `rfc3164`, which programs that read `/dev/log` often want.
    /// Default `rfc5424`.
    #[serde(default)]
    pub format: SyslogFormat,
    /// The name of this machine in messages. Default the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The largest datagram, in bytes; the text of a message that is larger is cut off. Not for TCP. Default 2048 for
    /// UDP (RFC 5426), 65536 for a Unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 480, max = 65_507))]
    pub max_bytes: Option<NonZeroUsize>,
    /// How long connecting, and sending a batch, may take. Default 10 seconds.
    #[serde(default = "ten_seconds")]
    #[schemars(default = "ten_seconds")]
    pub timeout: Duration,
}

/// How messages are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SyslogFormat {
    /// The standard.
    #[default]
    Rfc5424,
    /// What was there before; without the trace, the year and fractions of a second.
    Rfc3164,
}

/// Which part of a system a message comes from, in the order of their numbers (RFC 5424, table 1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Facility {
    /// 0.
    Kern,
    /// 1.
    #[default]
    User,
    /// 2.
    Mail,
    /// 3.
    Daemon,
    /// 4.
    Auth,
    /// 5.
    Syslog,
    /// 6.
    Lpr,
    /// 7.
    News,
    /// 8.
    Uucp,
    /// 9.
    Cron,
    /// 10.
    Authpriv,
    /// 11.
    Ftp,
    /// 12.
    Ntp,
    /// 13.
    Audit,
    /// 14.
    Alert,
    /// 15.
    Clock,
    /// 16.
    Local0,
    /// 17.
    Local1,
    /// 18.
    Local2,
    /// 19.
    Local3,
    /// 20.
    Local4,
    /// 21.
    Local5,
    /// 22.
    Local6,
    /// 23.
    Local7,
}

/// Where a syslog server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    Tcp(String),
    Udp(String),
    Unix(PathBuf),
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(address: &str) -> Result<Self, Self::Err> {
        let wrong = || "an address is `tcp://HOST:PORT`, `udp://HOST:PORT` or `unix:PATH`".to_owned();
        let server = |rest: &str| {
            let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
            let port: u16 = port.parse().map_err(|_| wrong())?;
            if host.is_empty() || host.contains(['/', '@']) || port == 0 {
                return Err(wrong());
            }
            Ok(rest.to_owned())
        };
        match address.split_once(':') {
            Some(("tcp", rest)) => server(rest.strip_prefix("//").ok_or_else(wrong)?).map(Self::Tcp),
            Some(("udp", rest)) => server(rest.strip_prefix("//").ok_or_else(wrong)?).map(Self::Udp),
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            _ => Err(wrong()),
        }
    }
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_how_and_where() {
        let read = |address: &str| address.parse::<Destination>();
        assert_eq!(read("tcp://h:514"), Ok(Destination::Tcp("h:514".into())));
        assert_eq!(read("udp://[::1]:514"), Ok(Destination::Udp("[::1]:514".into())));
        assert_eq!(read("unix:/dev/log"), Ok(Destination::Unix("/dev/log".into())));
        for wrong in [
            "",
            "h:514",
            "tcp:h:514",
            "tcp://h",
            "tcp://:1",
            "udp://h:x",
            "unix:",
            "tls://h:1",
            "tcp://h:1/x",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
