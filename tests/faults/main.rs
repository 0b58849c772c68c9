//! What Outrigger survives: processes killed, stopped and asked to leave at random moments, under load.
//!
//! Each test says what is done to whom and when, and what must still hold. Rounds print their seeds;
//! `OUTRIGGER_FAULT_ROUNDS` sets their number, `OUTRIGGER_FAULT_SEED` repeats one.

#[path = "../harness/mod.rs"]
mod harness;

mod calls;
mod commands;
mod kills;
mod leftovers;
mod line;
mod owner;
mod poison;
mod rabbitmq;
mod shutdown;
mod signals;
mod standstill;
mod sync;
mod trace;
