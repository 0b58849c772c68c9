//! Syslog: messages of RFC 5424, of RFC 3164, and of the many that keep to neither, over TCP and UDP.
//!
//! ```text
//! Framer (TCP) or datagram  ->  Message::read  ->  line  ->  Inlet
//! ```
//!
//! The one rule: nothing that was said is thrown away for its form. What is not understood as a header is text.

mod framing;
mod line;
mod listener;
mod message;
mod rfc3164;
mod rfc5424;
mod tcp;
mod time;
mod udp;

pub use framing::{Frame, Framer};
pub(super) use line::draft;
pub(crate) use listener::{Syslog, Terms};
pub use message::{Element, Message};
pub use time::Clock;
