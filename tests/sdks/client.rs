//! The client for Node: its own tests, with the frameworks that it stands before, against this binary.

use std::{path::Path, process::Command};

#[test]
fn the_client_for_node_passes_its_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdks/typescript/client-test");
    let output = Command::new("npm")
        .arg("test")
        .current_dir(folder)
        .env("OUTRIGGER_BIN", env!("CARGO_BIN_EXE_outrigger"))
        .output()
        .expect("npm: `cargo xtask setup` installs it");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
