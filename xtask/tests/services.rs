//! The database of `cargo xtask services`, started and stopped as a person would.

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

/// What the tool says and how it ends.
fn services(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("services")
        .args(words)
        .env("OUTRIGGER_SERVICES", folder)
        .output()
        .expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// Stops the server whatever becomes of the test.
struct Stop<'a>(&'a Path);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        services(self.0, &["stop", "postgres"]);
    }
}

#[test]
fn a_database_starts_once_says_where_it_is_and_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    // Its user has to come in.
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
    let _stop = Stop(folder.path());
    let started = services(folder.path(), &["start", "postgres"]);
    assert!(started.status.success(), "{}", text(&started.stderr));
    let url = text(&started.stdout);
    let port = url
        .strip_prefix("postgres://outrigger@127.0.0.1:")
        .and_then(|rest| rest.strip_suffix("/postgres"));
    let address = format!("127.0.0.1:{}", port.unwrap_or_else(|| panic!("no URL: {url}")));
    TcpStream::connect(&address).expect("it listens");
    let again = services(folder.path(), &["start", "postgres"]);
    assert_eq!(text(&again.stdout), url);
    assert_eq!(text(&again.stderr), "PostgreSQL was up already");
    let env = services(folder.path(), &["env", "postgres"]);
    assert_eq!(text(&env.stdout), format!("export DATABASE_URL='{url}'"));
    assert!(services(folder.path(), &["stop", "postgres"]).status.success());
    TcpStream::connect(&address).expect_err("it is gone");
    let status = services(folder.path(), &["status", "postgres"]);
    assert_eq!(status.status.code(), Some(1), "{}", text(&status.stderr));
}
