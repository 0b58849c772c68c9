//! Handlers behind real Unix sockets: each stand-in does one thing, right or wrong, and the test says what follows.

mod bad_replies;
mod large;
mod limits;
mod plain;
mod protocol_one;
mod python;
mod stand_in;
