//! What is delivered for machines and containers.

use std::{os::unix::net::UnixDatagram, path::Path, time::Duration};

use super::TO_A_FILE;
use crate::harness::{Field, wait_until};

/// A file of the repository.
fn delivered(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).expect("it is there")
}

#[test]
fn the_configurations_that_are_delivered_pass() {
    for path in [
        "deploy/systemd/signals.yaml",
        "deploy/compose/config.yaml",
        "examples/signals/outrigger.yaml",
    ] {
        let field = Field::new("");
        field.write("c.yaml", delivered(path));
        let mut command = field.command(&["check", "c.yaml"]);
        let output = command.env("MONITORING_SECRET", "s").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{path}: {said}");
    }
}

#[test]
fn systemd_is_told_when_it_is_ready_and_when_it_ends() {
    let field = Field::new(TO_A_FILE);
    let path = field.path("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let told = || {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).expect("a word");
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    };
    let sidecar = field.start(&["run"], &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    assert_eq!(told(), "READY=1");
    wait_until("it is ready", || sidecar.is_ready().then_some(()));
    assert!(sidecar.stop().success());
    assert_eq!(told(), "STOPPING=1");
}
