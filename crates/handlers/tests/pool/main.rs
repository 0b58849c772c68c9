//! The pool with handlers that do as they are told.

mod fake;
mod leaving;
mod liveness;
mod property;
mod stress;
mod turns;
