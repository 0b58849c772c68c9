//! An S3 of the tests' own: moto, from Python's package index.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// A server; it ends when this is dropped, or when this process does.
pub(crate) struct Moto {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    port: u16,
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/harness/s3.py");
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/moto");

impl Moto {
    pub(crate) fn start() -> Self {
        let made = Command::new("python3").args([SCRIPT, "setup", FOLDER]).status();
        assert!(
            made.is_ok_and(|status| status.success()),
            "cannot install moto from PyPI into {FOLDER}: run `cargo xtask setup` where the network is"
        );
        let mut child = Command::new(Path::new(FOLDER).join("bin/python"))
            .args([SCRIPT, "serve"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        output.read_line(&mut port).unwrap();
        Self {
            child,
            input,
            output,
            port: port.trim().parse().expect("its port"),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn make(&mut self, bucket: &str) {
        self.ask("make", bucket);
    }

    /// The objects of a bucket, uncompressed.
    pub(crate) fn read(&mut self, bucket: &str) -> BTreeMap<String, String> {
        self.ask("read", bucket)
    }

    fn ask(&mut self, word: &str, bucket: &str) -> BTreeMap<String, String> {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{word} {bucket}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).expect("an answer")
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
