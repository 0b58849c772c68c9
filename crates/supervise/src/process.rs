//! One running handler process: its group, its output, its end.

use std::{
    io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use chassis::lifecycle::Drain;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::process::{Child, ChildStdin, Command};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Console, ProcessSpec, Spawner, console::Stream, descriptors};

/// A process in a group of its own, tied to ours.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: u32,
    /// Ends its output a little after it.
    _output: DropGuard,
    /// Its standard input; closes when we end, however that comes about.
    _lifeline: Option<ChildStdin>,
}

impl Process {
    /// Starts one process of `spec`, which will bind `socket`; its output is passed on under `name`.
    pub(crate) async fn start(
        spec: &ProcessSpec,
        name: &str,
        socket: &Path,
        spawner: &Spawner,
        console: &Console,
        drain: &Drain,
    ) -> io::Result<Self> {
        let mut command = Command::new(spawner.launcher());
        command
            .arg("__exec")
            .arg(std::process::id().to_string())
            .args(descriptors::given().map(|soft| format!("--descriptors={soft}")))
            .arg("--")
            .args(&spec.words)
            .current_dir(&spec.folder)
            .env_clear()
            .envs(spec.environment_for(socket))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = spawner.spawn(command).await?;
        let group = child.id().expect("a process that was not waited for has an id");
        Ok(Self {
            _output: pass_on(&mut child, name, console, drain),
            _lifeline: child.stdin.take(),
            child,
            group,
        })
    }

    /// The process group's number, the same as its leader's.
    pub(crate) fn group(&self) -> u32 {
        self.group
    }

    /// Waits for its end. Dropping the future changes nothing.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// SIGTERM, and SIGKILL for what is left of the group after the grace, or when `hurry` ends before that.
    pub(crate) async fn stop(mut self, grace: Duration, hurry: impl Future<Output = ()>) -> io::Result<ExitStatus> {
        self.signal(Signal::SIGTERM);
        // A stopped process takes SIGTERM only when it is woken.
        self.signal(Signal::SIGCONT);
        let ended = tokio::select! {
            status = self.child.wait() => Some(status),
            () = tokio::time::sleep(grace) => None,
            () = hurry => None,
        };
        self.signal(Signal::SIGKILL);
        match ended {
            Some(status) => status,
            None => self.child.wait().await,
        }
    }

    fn signal(&self, signal: Signal) {
        let group = i32::try_from(self.group).expect("process ids fit an i32");
        // The group may be gone already, which is what was wanted.
        let _ = killpg(Pid::from_raw(group), signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Whatever the process started itself goes with it.
        self.signal(Signal::SIGKILL);
    }
}

/// How long the output of a process that has ended is read on.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Passes the output on until its end, which need not come with the process's own: one that it started and that has
/// left the group may hold the pipes. Dropping the guard says that the process has ended.
fn pass_on(child: &mut Child, name: &str, console: &Console, drain: &Drain) -> DropGuard {
    let ended = CancellationToken::new();
    let guard = ended.clone().drop_guard();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (name, console) = (name.to_owned(), console.clone());
    drain.spawn("output", async move {
        let whole = async {
            tokio::join!(
                console.pass(&name, Stream::Out, out),
                console.pass(&name, Stream::Err, err)
            )
        };
        let enough = async {
            ended.cancelled().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            ((), ()) = whole => {}
            () = enough => {}
        }
    });
    guard
}

/// How a process ended, in words: `exited with code 1`, `was ended by SIGKILL`.
pub(crate) fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(number)) => match Signal::try_from(number) {
            Ok(signal) => format!("was ended by {signal}"),
            Err(_) => format!("was ended by signal {number}"),
        },
        (None, None) => "ended".to_owned(),
    }
}
