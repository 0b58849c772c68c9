//! Upstreams: the services behind the proxy.

use std::{borrow::Cow, fmt, net::IpAddr, num::NonZeroU32, path::Path, str::FromStr};

use chassis::config::{Duration, Findings, Formats};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::Share;
use crate::proxy::UpstreamAddress;

/// A service behind the proxy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Where it is: `http://HOST:PORT`, `https://HOST:PORT` or `http+unix://PATH`, each with a path that goes before that of
    /// the request, if one is wanted (`http+unix://PATH:/base`); a relative PATH begins in the configuration's folder. Several are taken in turn, as `balance` says.
    #[schemars(extend("items" = {"type": "string", "format": "upstream-url"}))]
    pub urls: Vec<String>,
    /// What the upstream finds in `Host`: what the client sent, or the upstream's own address. Default `keep`.
    #[serde(default)]
    pub host: HostHeader,
    /// How long it may take. Default a second to connect, 30 to answer, a minute of silence.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Whether a request is tried again. Default not.
    #[serde(default)]
    pub retry: Retry,
    /// When one of its addresses is left alone for a while, or `off`. Default after 5 failures in a row, for a minute.
    #[serde(default)]
    pub breaker: Breaker,
    /// Which of its addresses is taken. Default `least_pending`.
    #[serde(default)]
    pub balance: Balance,
}

/// What an upstream finds in `Host`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HostHeader {
    /// What the client sent.
    #[default]
    Keep,
    /// The host and port of the URL.
    Upstream,
}

/// How long an upstream may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// To take a connection, with TLS; 0 for ever. Default 1s.
    pub connect: Duration,
    /// From the end of the request to the head of the answer; 0 for ever. Default 30s.
    pub headers: Duration,
    /// How long a body that is on its way, or a WebSocket, may be silent in both directions; 0 for ever. Default 60s.
    pub idle: Duration,
    /// All of it, from the first byte of the request to the last one of the answer; 0 for ever. Default 0.
    pub total: Duration,
}

/// Whether a request is tried again: before anything was answered, and only where doing it twice does no harm (GET, HEAD,
/// OPTIONS, PUT, DELETE; a body of 64 KiB at most).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Tries in all. Default 1.
    pub attempts: NonZeroU32,
    /// How many of the requests of the last 10 seconds may be tried again; three always may. Default 20%.
    pub budget: Share,
    /// The wait before the second try; doubles from then on, up to a second. Default 25ms.
    pub backoff: Duration,
}

/// When an address is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Breaker {
    /// Never.
    Off(Off),
    /// After failures in a row.
    On(BreakerLimits),
}

/// The word `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Off {
    /// Switched off.
    Off,
}

/// After how many failures, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerLimits {
    /// Failed connects, timeouts and broken replies in a row; a status is no failure. Default 5.
    pub failures: NonZeroU32,
    /// How long it is left alone, before one request is let through to see. Default 60s.
    pub open: Duration,
}

/// Which address of an upstream is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// The one with the fewest requests under way.
    #[default]
    LeastPending,
    /// One after the other.
    RoundRobin,
}

/// Proxies before us whose `X-Forwarded-Proto` and `X-Forwarded-Host` are kept. Default none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct TrustedProxies(pub Vec<Network>);

/// An address, or a network as in `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            headers: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            total: Duration::ZERO,
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: NonZeroU32::MIN,
            budget: Share::percent(20),
            backoff: Duration::from_millis(25),
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::On(BreakerLimits::default())
    }
}

impl Default for BreakerLimits {
    fn default() -> Self {
        Self {
            failures: NonZeroU32::new(5).expect("not 0"),
            open: Duration::from_secs(60),
        }
    }
}

impl Upstream {
    /// One at these addresses, everything else by default.
    pub fn at(urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            urls: urls.into_iter().map(Into::into).collect(),
            host: HostHeader::default(),
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            breaker: Breaker::default(),
            balance: Balance::default(),
        }
    }

    /// The same with sockets taken from `folder` on.
    pub(crate) fn seen_from(&self, folder: &Path) -> Self {
        let from = |url: &String| match url.strip_prefix("http+unix://") {
            Some(path) => format!("http+unix://{}", folder.join(path).display()),
            None => url.clone(),
        };
        Self {
            urls: self.urls.iter().map(from).collect(),
            ..self.clone()
        }
    }

    /// Adds what is wrong; the forms of its texts are the schema's matter.
    pub fn check(&self, findings: &mut Findings) {
        if self.urls.is_empty() {
            findings.error(
                "urls",
                "the upstream is nowhere",
                "write `urls: [\"http://127.0.0.1:3000\"]`",
            );
        }
        for (index, url) in self.urls.iter().enumerate() {
            if self.urls[..index].contains(url) {
                findings.warning("urls", format!("`{url}` stands there twice"), "write it once");
            }
        }
    }
}

impl TrustedProxies {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address is one of them.
    pub fn trust(&self, peer: Option<IpAddr>) -> bool {
        peer.is_some_and(|peer| self.0.iter().any(|network| network.holds(peer)))
    }
}

impl Network {
    fn holds(&self, other: IpAddr) -> bool {
        match (self.address, other.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                u32::from(own) & mask == u32::from(other) & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                u128::from(own) & mask == u128::from(other) & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no address or network, as in 10.0.0.1 or 10.0.0.0/8");
        let (address, bits) = text
            .split_once('/')
            .map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| bad()))?;
        if bits > most {
            Err(bad())
        } else {
            Ok(Self { address, bits })
        }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl JsonSchema for Network {
    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An address, or a network.",
            "type": "string",
            "format": "network",
            "examples": ["10.0.0.1", "10.0.0.0/8"],
        })
    }
}

/// Adds the string formats that the schemas of routes and upstreams name.
pub(super) fn formats(formats: &mut Formats) {
    formats.add("upstream-url", |url| {
        url.parse::<UpstreamAddress>()
            .map(drop)
            .map_err(|error| error.to_string())
    });
    formats.add("share", |text| {
        text.parse::<Share>().map(drop).map_err(|error| error.to_string())
    });
    formats.add("network", |text| text.parse::<Network>().map(drop));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        let trusted = TrustedProxies(vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()]);
        let trust = |ip: &str| trusted.trust(Some(ip.parse().unwrap()));
        assert!(trust("10.1.2.3") && trust("::1") && trust("::ffff:10.1.2.3"));
        assert!(!trust("11.1.2.3") && !trust("::2") && !trusted.trust(None));
        assert!(
            "0.0.0.0/0"
                .parse::<Network>()
                .unwrap()
                .holds("1.2.3.4".parse().unwrap())
        );
        for text in ["", "10.0.0.0/33", "host", "10.0.0/8", "::/129", "10.0.0.0/"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_upstream_needs_its_urls_alone() {
        let upstream: Upstream = serde_json::from_str(r#"{"urls": ["http://a:1"], "breaker": "off"}"#).unwrap();
        assert_eq!(upstream.breaker, Breaker::Off(Off::Off));
        assert_eq!(upstream.timeouts.headers, Duration::from_secs(30));
        let breaker =
            r#"{"urls": ["http://a:1"], "breaker": {"failures": 2}, "retry": {"attempts": 3, "budget": "50%"}}"#;
        let upstream: Upstream = serde_json::from_str(breaker).unwrap();
        assert!(matches!(upstream.breaker, Breaker::On(limits) if limits.failures.get() == 2));
        assert_eq!(upstream.retry.budget, Share::percent(50));
    }
}
