//! The broker that tests share.

use std::{env, ffi::OsString, path::Path};

use anyhow::{Context, bail};

use crate::standing;

/// The variable that names its URL.
pub const VARIABLE: &str = "OUTRIGGER_TEST_AMQP";

/// The URL of the broker that tests share: each of them has queues and exchanges of its own there, and kills nothing.
///
/// # Errors
/// Where there is none; the error names the command that starts one.
pub fn shared() -> anyhow::Result<String> {
    find(env::var_os(VARIABLE), &standing::folder())
}

fn find(named: Option<OsString>, services: &Path) -> anyhow::Result<String> {
    if let Some(url) = named {
        return url.into_string().ok().context("OUTRIGGER_TEST_AMQP is no text");
    }
    match standing::running(services) {
        Some(running) => Ok(running.url),
        None => bail!(
            "no RabbitMQ for the tests: `cargo xtask test` starts one, and `cargo xtask services start` one that stays"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_is_not_there_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let error = find(None, folder.path()).unwrap_err().to_string();
        assert!(error.contains("`cargo xtask services start`"), "{error}");
        assert_eq!(
            find(Some("amqp://there".into()), folder.path()).unwrap(),
            "amqp://there"
        );
    }
}
