//! The runtimes of every language, each with its conformance handler, as processes like those that `up` starts.
//!
//! All of them pass the same vectors and the same tests of how a process behaves; to add one is a line in `runtimes`. The client
//! for Node is tested here too.

#[path = "../harness/mod.rs"]
mod harness;

mod broken;
mod client;
mod defects;
mod peer;
mod process;
mod runtimes;
mod up;
mod vectors;
