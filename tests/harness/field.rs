//! A test's own folder: its configuration, its queue file, and commands that run in it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, value::RawValue};
use tempfile::TempDir;

use super::{Notes, Sidecar, wait_until};

/// A folder of the test's own.
pub(crate) struct Field {
    folder: TempDir,
    started: AtomicUsize,
}

/// The configuration's name.
const CONFIG: &str = "outrigger.yaml";
/// More messages than any test has.
const ALL: &str = "1000000";

impl Field {
    /// A folder with this configuration; its admin server takes any free port.
    pub(crate) fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let field = Self {
            folder,
            started: AtomicUsize::new(0),
        };
        field.configure(config);
        field
    }

    /// Another configuration in the same folder.
    pub(crate) fn configure(&self, config: &str) {
        self.write(CONFIG, format!("{config}\nadmin: {{ listen: \"127.0.0.1:0\" }}\n"));
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).expect("a file can be written");
    }

    /// The binary with these arguments, in the folder, with nothing of the test's own environment but the paths.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
        command.args(words);
        self.prepare(&mut command);
        command
    }

    /// Puts a command of any kind into the folder and its environment.
    pub(crate) fn prepare(&self, command: &mut Command) {
        let kept = ["PATH", "HOME", "LANG"]
            .iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)));
        command
            .current_dir(self.folder.path())
            .env_clear()
            .envs(kept)
            .env("TMPDIR", self.folder.path())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null());
    }

    /// Runs a command to its end.
    pub(crate) fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("the binary runs")
    }

    /// Runs a command that has to succeed; gives what it printed.
    #[track_caller]
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let output = self.output(words);
        assert!(
            output.status.success(),
            "outrigger {words:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("text on stdout")
    }

    /// Starts `outrigger up` and waits until it takes messages.
    #[track_caller]
    pub(crate) fn up(&self) -> Sidecar {
        let up = self.start(&["up"], &[]);
        up.ready();
        up
    }

    /// Starts `outrigger run` and waits until it takes messages.
    #[track_caller]
    pub(crate) fn run(&self) -> Sidecar {
        let run = self.start(&["run"], &[]);
        run.ready();
        run
    }

    /// Starts a sidecar and waits for nothing.
    pub(crate) fn start(&self, words: &[&str], environment: &[(&str, &str)]) -> Sidecar {
        let mut command = self.command(words);
        command.envs(environment.iter().copied());
        Sidecar::start(command, self.next_log())
    }

    /// A name for the log of the next process.
    pub(crate) fn next_log(&self) -> PathBuf {
        self.path(&format!("log.{}", self.started.fetch_add(1, Ordering::Relaxed)))
    }

    /// Sends one payload under an id.
    #[track_caller]
    pub(crate) fn send(&self, route: &str, id: &str, payload: &str) {
        self.ok(&["send", route, "--id", id, "--payload", payload]);
    }

    /// Puts whole envelopes on a queue, as they stand.
    #[track_caller]
    pub(crate) fn put(&self, queue: &str, envelopes: &[String]) {
        self.write("envelopes.jsonl", envelopes.join("\n") + "\n");
        self.ok(&["send", queue, "--envelopes", "envelopes.jsonl"]);
    }

    /// Puts `count` messages on a route's first queue: ids `m1..`, payloads `{"n":1}..`.
    #[track_caller]
    pub(crate) fn load(&self, route: &[&str], count: usize) {
        self.put(route[0], &envelopes(route, 1..=count));
    }

    /// Puts bytes that are no envelope, which the command line refuses to send.
    pub(crate) fn put_bytes(&self, queue: &str, bytes: &[u8]) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let opened = queues::open("sqlite:.outrigger/queue.db", self.folder.path())
                .await
                .expect("the queue opens");
            let put = queues::Put::new(queue, bytes.to_vec());
            opened.put(vec![put]).await.expect("it is put");
            opened.close().await;
        });
    }

    /// The messages of a queue that are ready, byte for byte but for the trace that each hop writes into them.
    #[track_caller]
    pub(crate) fn texts(&self, queue: &str) -> Vec<String> {
        let elements = self.ready(queue);
        elements.iter().map(|element| untraced(element.get())).collect()
    }

    /// The messages of a queue that are ready.
    #[track_caller]
    pub(crate) fn messages(&self, queue: &str) -> Vec<Value> {
        let elements = self.ready(queue);
        elements
            .iter()
            .map(|element| serde_json::from_str(element.get()).expect("JSON"))
            .collect()
    }

    #[track_caller]
    fn ready(&self, queue: &str) -> Vec<Box<RawValue>> {
        let printed = self.ok(&["take", queue, "--peek", "-n", ALL, "--output", "json"]);
        serde_json::from_str(&printed).expect("an array")
    }

    /// Waits until a queue has this many ready messages; gives them.
    #[track_caller]
    pub(crate) fn wait_for(&self, queue: &str, count: usize) -> Vec<Value> {
        wait_until(&format!("{count} messages on {queue}"), || {
            (self.depth(queue) >= count).then_some(())
        });
        let messages = self.messages(queue);
        assert_eq!(messages.len(), count, "on {queue}: {messages:?}");
        messages
    }

    /// Waits for one message on a queue; gives its bytes.
    #[track_caller]
    pub(crate) fn wait_for_text(&self, queue: &str) -> String {
        self.wait_for(queue, 1);
        self.texts(queue).remove(0)
    }

    /// Waits for the only message on error-end; gives its record.
    #[track_caller]
    pub(crate) fn wait_for_error(&self) -> Value {
        self.wait_for("error-end", 1).remove(0)["error"].take()
    }

    /// Ready messages of a queue; zero where it is not declared yet.
    #[track_caller]
    pub(crate) fn depth(&self, queue: &str) -> usize {
        self.figure(queue, "depth")
    }

    /// Messages of a queue that somebody holds.
    #[track_caller]
    pub(crate) fn in_flight(&self, queue: &str) -> usize {
        self.figure(queue, "in_flight")
    }

    /// The ids on a queue with how often each stands there.
    #[track_caller]
    pub(crate) fn ids(&self, queue: &str) -> BTreeMap<String, usize> {
        let mut ids = BTreeMap::new();
        for message in self.messages(queue) {
            *ids.entry(message["id"].as_str().expect("an id").to_owned())
                .or_default() += 1;
        }
        ids
    }

    /// What handlers have noted so far.
    pub(crate) fn notes(&self) -> Notes {
        Notes::read(&self.path("notes"))
    }

    #[track_caller]
    fn figure(&self, queue: &str, name: &str) -> usize {
        let queues: Vec<Value> = serde_json::from_str(&self.ok(&["queues", "--output", "json"])).expect("an array");
        let row = queues.iter().find(|row| row["name"] == queue);
        let figure = row.and_then(|row| row[name].as_u64()).unwrap_or(0);
        usize::try_from(figure).expect("a small number")
    }
}

/// A message without the `traceparent` that a hop added to it, and without headers that hold nothing else.
pub(crate) fn untraced(text: &str) -> String {
    const VALUE: usize = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".len();
    for (before, after) in [
        (r#","headers":{"traceparent":""#, r#""}"#),
        (r#","traceparent":""#, r#"""#),
        (r#""traceparent":""#, r#"","#),
    ] {
        let rest = text
            .split_once(before)
            .and_then(|(head, rest)| Some((head, rest.get(VALUE..)?)));
        if let Some((head, tail)) = rest.and_then(|(head, rest)| Some((head, rest.strip_prefix(after)?))) {
            return format!("{head}{tail}");
        }
    }
    text.to_owned()
}

/// Envelopes with ids `m1..` and payloads `{"n":1}..`.
pub(crate) fn envelopes(route: &[&str], numbers: impl Iterator<Item = usize>) -> Vec<String> {
    let actors = serde_json::to_string(route).expect("JSON");
    numbers
        .map(|n| format!(r#"{{"id":"m{n}","route":{{"actors":{actors},"current":0}},"payload":{{"n":{n}}}}}"#))
        .collect()
}

impl AsRef<Path> for Field {
    fn as_ref(&self) -> &Path {
        self.folder.path()
    }
}
