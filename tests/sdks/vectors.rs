//! Every runtime passes every vector, as the command says it.

use std::process::{Command, Output};

use crate::{
    harness::Value,
    runtimes::{Running, for_each_runtime},
};

/// Runs the command against a socket.
pub(crate) fn conformance(socket: &std::path::Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command.arg("conformance").arg("--socket").arg(socket).args(more);
    command.env("NO_COLOR", "1").output().expect("the binary runs")
}

for_each_runtime! {
    fn all_vectors_pass(runtime) {
        let running = Running::start(runtime);
        let output = conformance(&running.socket(), &["--timeout", "60s"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.lines().filter(|line| line.starts_with("ok  ")).count() > 50, "{said}");
        assert!(said.ends_with(": all passed\n"), "{said}");
    }

    fn the_report_for_scripts_has_every_vector(runtime) {
        let running = Running::start(runtime);
        let output = conformance(&running.socket(), &["--only", "hello: ", "--output", "json", "--timeout", "60s"]);
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let vectors = report["vectors"].as_array().expect("a list");
        assert!(vectors.iter().all(|vector| vector["passed"] == true), "{report}");
        assert_eq!(report["passed"], vectors.len());
        assert_eq!(report["failed"], 0);
    }
}
