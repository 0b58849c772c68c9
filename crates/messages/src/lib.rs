//! Messages: work taken from a queue, carried to a handler, sent on along its route.
//!
//! A [`Station`] takes deliveries for one actor while a handler has room; each becomes a step: decode, call the
//! handler, decide ([`fate`] and [`routing`], both pure), dispatch. The one rule: **an input is settled only after
//! every output of it is safe**, in one transaction where the queue can.

mod config;
mod dispatch;
mod events;
pub mod fate;
mod metrics;
pub mod routing;
mod station;
mod step;

pub use config::{ActorConfig, Dialect, EndConfig, Ends, HandlerConfig, Retry};
pub use metrics::Metrics;
pub use station::{Hop, Observer, Plane, Station};
