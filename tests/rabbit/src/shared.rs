//! The broker that tests share.

use std::env;

use anyhow::{Context, bail};

use crate::standing;

/// The variable that names its URL.
pub const VARIABLE: &str = "OUTRIGGER_TEST_AMQP";

/// The URL of the broker that tests share: each of them has queues and exchanges of its own there, and kills nothing.
///
/// # Errors
/// Where there is none; the error names the command that starts one.
pub fn shared() -> anyhow::Result<String> {
    if let Some(url) = env::var_os(VARIABLE) {
        return url.into_string().ok().context("OUTRIGGER_TEST_AMQP is no text");
    }
    match standing::running(&standing::folder()) {
        Some(running) => Ok(running.url),
        None => bail!(
            "no RabbitMQ for the tests: `cargo xtask test` starts one, and `cargo xtask services start` one that stays"
        ),
    }
}
