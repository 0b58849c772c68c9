//! A desk to try the program at: a folder of its own, an environment of its own, nothing else.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "shared by several test binaries, each of which uses the part that it needs"
)]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// A folder, and the program run in it.
pub struct Desk {
    folder: TempDir,
}

/// What a run of the program came to.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// One actor, whose handler nobody starts.
pub const ONE_ACTOR: &str = "actors: { a: { handler: { socket: a.sock } } }\nadmin: { listen: \"127.0.0.1:0\" }\n";

impl Desk {
    /// An empty folder.
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A folder with a configuration.
    pub fn with_config(text: &str) -> Self {
        let desk = Self::new();
        desk.write("outrigger.yaml", text);
        desk
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let file = self.path().join(name);
        fs::write(&file, text).unwrap();
        file
    }

    /// The program in this folder, with nothing in its environment but `PATH` and `HOME`.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
        command.args(args).current_dir(self.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.path());
        command.stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    pub fn run_with(&self, args: &[&str], environment: &[(&str, &str)]) -> Ran {
        Ran::of(self.command(args).envs(environment.iter().copied()).output().unwrap())
    }

    /// Runs the program with this on its standard input.
    pub fn pipe(&self, args: &[&str], input: impl AsRef<[u8]>) -> Ran {
        let mut child = self.start(args);
        // The program may stop reading before the end.
        let _ = child.stdin.take().unwrap().write_all(input.as_ref());
        Ran::of(child.wait_with_output().unwrap())
    }

    /// Starts the program, all its streams piped.
    pub fn start(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// What `queues --output json` says of one queue.
    pub fn figures(&self, queue: &str) -> Option<Value> {
        let all = self.run(&["queues", "--output", "json"]).done().json();
        all.as_array()
            .unwrap()
            .iter()
            .find(|figures| figures["name"] == queue)
            .cloned()
    }

    /// Messages of a queue that could be taken.
    pub fn depth(&self, queue: &str) -> u64 {
        self.figures(queue)
            .map_or(0, |figures| figures["depth"].as_u64().unwrap())
    }

    /// Looks at all messages of a queue, and leaves them there.
    pub fn peek(&self, queue: &str) -> Value {
        self.run(&["take", queue, "--peek", "-n", "1000", "--output", "json"])
            .done()
            .json()
    }
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It ended well.
    #[track_caller]
    pub fn done(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// It ended with this code, and said nothing on standard output.
    #[track_caller]
    pub fn failed(self, code: i32) -> Self {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{self:?}");
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Waits until a condition holds; gives up loudly.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_mins(1), "still waiting until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
