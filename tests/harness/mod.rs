//! What tests of the whole binary share: a folder with a configuration, processes that are ended by their id, handlers
//! of the tests' own, and waiting for conditions.
//!
//! The binary is known by its command line, its files, its sockets and its handlers' protocol, and by nothing else.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test target uses its own part of the harness"
)]

mod collector;
mod field;
mod notes;
mod plain;
mod python;
mod rounds;
mod sidecar;
mod system;
mod web;

pub(crate) use collector::{Collector, Post, Reply};
pub(crate) use field::{Field, envelopes, untraced};
pub(crate) use notes::{Call, Notes};
pub(crate) use plain::{Answer, Plain, Request};
pub(crate) use python::{Foreign, HANDLERS, interpreter};
pub(crate) use rounds::{Round, rounds, rounds_of};
pub(crate) use sidecar::Sidecar;
pub(crate) use system::{is_alive, signal, signal_if_there, stop, wait_until, within};

pub(crate) use web::{Asked, Said, Web};

pub(crate) use nix::sys::signal::Signal;
pub(crate) use serde_json::{Value, json};
