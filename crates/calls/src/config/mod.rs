//! What the calls plane is told: the structs are the manual.

mod routes;
mod share;
mod upstreams;

pub use routes::Route;
pub use share::{BadShare, Share};
pub use upstreams::{
    Balance, Breaker, BreakerLimits, HostHeader, Network, Off, Retry, Timeouts, TrustedProxies, Upstream, formats,
};
