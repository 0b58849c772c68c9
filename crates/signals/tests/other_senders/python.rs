//! A Python with OpenTelemetry's own libraries; made at its first use, and by `cargo xtask setup`.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// What makes it.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/harness/otlp.py");
/// Where it is.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/otlp-sdk");

/// The interpreter.
pub(crate) fn interpreter() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let made = Command::new("python3").args([SCRIPT, "setup", FOLDER, "sdk"]).status();
        assert!(
            made.is_ok_and(|status| status.success()),
            "cannot install opentelemetry-exporter-otlp-proto-http from PyPI into {FOLDER}: run `cargo xtask setup` where the network is"
        );
        Path::new(FOLDER).join("bin/python")
    })
}
