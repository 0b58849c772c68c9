//! Data that crosses a process boundary: messages, handler frames and replies, job events, problems, status.
//!
//! The one rule: pure. No I/O, no runtime, no clock: times are passed in (only [`fresh_id`] looks at one). What is
//! here is read by another process, maybe of another version, so unknown fields are carried and never an error.

pub mod asya;
mod control;
mod envelope;
mod error;
mod event;
mod frame;
mod json;
mod names;
mod number;
mod object;
pub mod problem;
mod reply;
pub mod signal;
pub mod status;
mod trace;

pub use control::{BadControl, FromHandler, FunctionInfo, Hello, Input, Meta, ToHandler};
pub use envelope::{Draft, Envelope, Flaw, InvalidEnvelope, Replay, ReplayError, RouteRefused, buried};
pub use error::{ErrorRecord, code};
pub use event::{Happening, JobEvent};
pub use frame::{Control, FrameTooLarge, Header};
pub use json::{Json, JsonError, Kind};
pub use names::{BadActorName, actor_name, child_id, fresh_id, valid_actor, valid_id};
pub use problem::Problem;
pub use reply::{BadReply, Fault, Frame, Interim, Part, Protocol, Reply, ReplyStyle, read_reply};
pub use status::Status;
pub use trace::{Sampling, SpanId, TraceContext, TraceId};
