//! Handlers in Python: the file that `up` starts its processes with, and processes that the tests start themselves.

use std::os::unix::{fs::FileTypeExt, net::UnixStream};
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

use super::{Field, Signal, signal, wait_until};

/// The handlers of the tests. Every call is noted, in a file that is only appended to, before anything is done.
pub(crate) const HANDLERS: &str = include_str!("handlers.py");

/// A plain handler without our runtime: `plain.py SOCKET ACTOR`.
const PLAIN: &str = include_str!("plain.py");

/// Where our Python runtime is.
const RUNTIME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdks/python/src");

/// A runtime as Asya's are: `asya.py GENERATION SOCKET`.
const ASYA: &str = include_str!("asya.py");

/// A handler on Python's own HTTP server: `web.py [SOCKET]`.
const WEB: &str = include_str!("web.py");

/// The interpreter itself: shims that look for one take longer to start than a handler.
pub(crate) fn interpreter() -> &'static str {
    static FOUND: OnceLock<String> = OnceLock::new();
    FOUND.get_or_init(|| {
        let output = Command::new("python3")
            .args(["-c", "import sys; print(sys.executable, end='')"])
            .output()
            .expect("python3 runs");
        String::from_utf8(output.stdout).expect("a path")
    })
}

/// A handler process that nobody but the test starts and ends.
pub(crate) struct Foreign {
    child: Child,
}

impl Foreign {
    /// A process of our Python runtime on a socket in the folder.
    #[track_caller]
    pub(crate) fn runtime(field: &Field, socket: &str, actor: &str, function: &str, concurrency: usize) -> Self {
        field.write("handlers.py", HANDLERS);
        let mut command = Command::new(interpreter());
        command.args(["-m", "outrigger", &format!("handlers.py:{function}")]);
        field.prepare(&mut command);
        command
            .env("PYTHONPATH", RUNTIME)
            .env("OUTRIGGER_ACTOR", actor)
            .env("OUTRIGGER_HANDLER_SOCKET", field.path(socket))
            .env("OUTRIGGER_HANDLER_CONCURRENCY", concurrency.to_string());
        Self::start(command, &field.path(socket))
    }

    /// A program in the folder, with our Python runtime at hand, that serves on a socket there.
    #[track_caller]
    pub(crate) fn program(field: &Field, file: &str, socket: &str) -> Self {
        let mut command = Command::new(interpreter());
        command.arg(file);
        field.prepare(&mut command);
        command.env("PYTHONPATH", RUNTIME);
        Self::start(command, &field.path(socket))
    }

    /// A plain process on a socket in the folder.
    #[track_caller]
    pub(crate) fn plain(field: &Field, socket: &str, actor: &str) -> Self {
        field.write("plain.py", PLAIN);
        let mut command = Command::new(interpreter());
        command.args(["plain.py", socket, actor]);
        field.prepare(&mut command);
        Self::start(command, &field.path(socket))
    }

    /// A runtime of Asya of this generation on a socket in the folder, with these variables.
    #[track_caller]
    pub(crate) fn asya(field: &Field, generation: &str, socket: &str, environment: &[(&str, &str)]) -> Self {
        Self::write_asya(field);
        let mut command = Command::new(interpreter());
        command.args(["asya.py", generation, socket]);
        field.prepare(&mut command);
        command.envs(environment.iter().copied());
        Self::start(command, &field.path(socket))
    }

    /// What the runtimes of Asya were told, message by message.
    pub(crate) fn told(field: &Field) -> Vec<Value> {
        let notes = fs::read_to_string(field.path("asya-notes")).unwrap_or_default();
        let read = |line| serde_json::from_str(line).expect("JSON");
        notes.lines().map(read).collect()
    }

    /// The runtime of Asya as a file, for those that start it themselves.
    pub(crate) fn write_asya(field: &Field) {
        field.write("asya.py", ASYA);
    }

    /// Python's own HTTP server on a socket in the folder, or on a free port, which the file `port` names.
    #[track_caller]
    pub(crate) fn web(field: &Field, socket: Option<&str>) -> Self {
        field.write("web.py", WEB);
        let mut command = Command::new(interpreter());
        command.arg("web.py").args(socket);
        field.prepare(&mut command);
        Self::start(command, &field.path(socket.unwrap_or("port")))
    }

    /// A script of the test's own with these arguments; it has started when it has written the file `ready`.
    #[track_caller]
    pub(crate) fn script(field: &Field, script: &str, arguments: &[&str], ready: &str) -> Self {
        field.write("script.py", script);
        let mut command = Command::new(interpreter());
        command.arg("script.py").args(arguments);
        field.prepare(&mut command);
        Self::start(command, &field.path(ready))
    }

    #[track_caller]
    fn start(mut command: Command, socket: &Path) -> Self {
        let child = command.stderr(Stdio::null()).spawn().expect("python3 starts");
        let foreign = Self { child };
        wait_until("the handler accepts", || {
            let is_socket = socket.metadata().is_ok_and(|it| it.file_type().is_socket());
            let accepts = !is_socket || UnixStream::connect(socket).is_ok();
            (socket.exists() && accepts).then_some(())
        });
        foreign
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    #[track_caller]
    pub(crate) fn signal(&self, which: Signal) {
        signal(self.pid(), which);
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
