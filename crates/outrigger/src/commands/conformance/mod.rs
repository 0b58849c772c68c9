//! `outrigger conformance`: plays the sidecar's part of recorded exchanges against a handler, and says what is wrong.
//!
//! The rule: what a vector asks for stands in `sdks/vectors`, whose README is the specification; here is only how it is
//! played. `vectors` and `step` read it, `play` does it over a `connection`, `pattern` judges, `report` tells.

mod command;
mod connection;
mod pattern;
mod play;
mod report;
mod step;
mod trouble;
mod value;
mod vectors;

pub use command::conformance;
