//! What runtimes there are, how their conformance handlers are built, and how they are started.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
};

use tempfile::TempDir;

use crate::harness::{Signal, interpreter, is_alive, signal, wait_until};

/// A runtime and its conformance handler. In the words `{root}` is the workspace, `{out}` a folder of the runtime's own.
struct Runtime {
    name: &'static str,
    /// Builds it; nothing where there is nothing to build.
    build: &'static [&'static str],
    start: &'static [&'static str],
}

/// Declares the runtimes, and a macro that repeats tests for each of them in a module of its name.
macro_rules! runtimes {
    ($d:tt $($name:ident { build: $build:expr, start: $start:expr })*) => {
        const RUNTIMES: &[Runtime] = &[$(Runtime { name: stringify!($name), build: &$build, start: &$start }),*];

        macro_rules! for_each_runtime {
            ($d($d tests:tt)*) => {
                $(mod $name {
                    use super::*;
                    crate::runtimes::tests_of! { $name $d($d tests)* }
                })*
            };
        }
        pub(crate) use for_each_runtime;
    };
}

macro_rules! tests_of {
    ($name:ident $(fn $test:ident($runtime:ident) $body:block)*) => {
        $(#[test]
        fn $test() {
            let $runtime = stringify!($name);
            $body
        })*
    };
}
pub(crate) use tests_of;

runtimes! { $
    python { build: [], start: ["{python}", "{root}/sdks/python/conformance/handler.py"] }
    rust { build: RUST, start: ["{target}/examples/conformance"] }
    typescript { build: [], start: ["node", "{root}/sdks/typescript/conformance/handler.mjs"] }
    java { build: ["sh", "{root}/sdks/java/build.sh", "{out}"], start: ["{out}/conformance"] }
    cpp { build: ["sh", "{root}/sdks/cpp/build.sh", "{out}"], start: ["{out}/conformance"] }
}

const RUST: [&str; 7] = [
    "{cargo}",
    "build",
    "--quiet",
    "--profile={profile}",
    "--manifest-path={root}/Cargo.toml",
    "--package=outrigger-handler",
    "--examples",
];

/// The command that starts a runtime's conformance handler, built where it has to be.
#[track_caller]
fn command(name: &str) -> Command {
    let words = built(name);
    let mut command = Command::new(&words[0]);
    let kept = ["PATH", "HOME", "LANG", "JAVA_HOME"]
        .iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)));
    command
        .args(&words[1..])
        .env_clear()
        .envs(kept)
        .env("PYTHONPATH", root().join("sdks/python/src"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// A conformance handler that runs, killed where the test ends before it.
pub(crate) struct Running {
    folder: TempDir,
    child: Child,
}

impl Running {
    /// Starts it as `up` does: its environment, a process group of its own, a lifeline.
    #[track_caller]
    pub(crate) fn start(name: &str) -> Self {
        Self::start_with(name, |_| {})
    }

    /// The same with something changed, and only where it then serves.
    #[track_caller]
    pub(crate) fn start_with(name: &str, change: impl FnOnce(&mut Command)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = command(name);
        prepare(&mut command, folder.path());
        change(&mut command);
        let child = command.spawn().expect("it starts");
        let mut running = Self { folder, child };
        wait_until("the handler has bound its socket", || {
            let ended = running.child.try_wait().expect("its state");
            assert!(ended.is_none(), "it ended as it started: {}", running.said());
            std::os::unix::net::UnixStream::connect(running.socket())
                .is_ok()
                .then_some(())
        });
        running
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join(SOCKET)
    }

    #[track_caller]
    pub(crate) fn signal(&self, which: Signal) {
        signal(self.child.id(), which);
    }

    /// Lets its lifeline end, as the end of whoever started it would.
    pub(crate) fn cut_the_lifeline(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits for its end: the exit code, or 128 and the signal.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> i32 {
        code(wait_until("the handler has ended", || {
            self.child.try_wait().expect("its state")
        }))
    }

    pub(crate) fn is_alive(&self) -> bool {
        is_alive(self.child.id())
    }

    /// What it said on stderr.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the handler said:\n{}---", self.said());
        }
    }
}

/// A conformance handler that did not start.
pub(crate) struct Refused {
    pub(crate) folder: TempDir,
    pub(crate) code: i32,
    pub(crate) said: String,
}

/// Runs a conformance handler that is to refuse; `change` gets its folder too.
#[track_caller]
pub(crate) fn refused(name: &str, change: impl FnOnce(&mut Command, &Path)) -> Refused {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = command(name);
    prepare(&mut command, folder.path());
    change(&mut command, folder.path());
    let mut child = command.spawn().expect("it starts");
    // Waiting would close it, and the lifeline would be the reason to leave.
    let lifeline = child.stdin.take();
    let status = wait_until("it refuses", || child.try_wait().expect("its state"));
    drop(lifeline);
    let said = fs::read_to_string(folder.path().join(LOG)).expect("its log");
    Refused {
        folder,
        code: code(status),
        said,
    }
}

/// The environment that `up` gives to the processes that it starts.
fn prepare(command: &mut Command, folder: &Path) {
    command
        .current_dir(folder)
        .env("OUTRIGGER_HANDLER_SOCKET", folder.join(SOCKET))
        .env("OUTRIGGER_HANDLER_CONCURRENCY", "4")
        .env("OUTRIGGER_ACTOR", "conformance")
        .env("OUTRIGGER_HANDLER_LIFELINE", "0")
        .process_group(0)
        .stdin(Stdio::piped())
        .stderr(File::create(folder.join(LOG)).expect("a log"));
}

fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| Some(128 + status.signal()?))
        .expect("a code or a signal")
}

/// Builds a runtime, once; gives the words that start it.
#[track_caller]
pub(crate) fn built(name: &str) -> Vec<String> {
    let runtime = RUNTIMES.iter().find(|runtime| runtime.name == name);
    let runtime = runtime.unwrap_or_else(|| panic!("there is no runtime `{name}`"));
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(start) = built.get(runtime.name) {
        return start.clone();
    }
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdks").join(runtime.name);
    fs::create_dir_all(&out).expect("a folder");
    let filled = |words: &[&str]| -> Vec<String> { words.iter().map(|word| fill(word, &out)).collect() };
    if let [program, arguments @ ..] = filled(runtime.build).as_slice() {
        let output = Command::new(program).args(arguments).output().expect("it can be built");
        assert!(
            output.status.success(),
            "the runtime `{}` cannot be built:\n{}",
            runtime.name,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let start = filled(runtime.start);
    built.insert(runtime.name, start.clone());
    start
}

fn fill(word: &str, out: &Path) -> String {
    let target = Path::new(env!("CARGO_BIN_EXE_outrigger")).parent().expect("a folder");
    let profile = match target.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    word.replace("{python}", interpreter())
        .replace("{cargo}", env!("CARGO"))
        .replace("{profile}", profile)
        .replace("{target}", &target.to_string_lossy())
        .replace("{root}", &root().to_string_lossy())
        .replace("{out}", &out.to_string_lossy())
}

/// The folder of the workspace.
fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::canonicalize(root).expect("the workspace")
}

/// The runtimes that have been built, and the words that start them.
static BUILT: Mutex<BTreeMap<&str, Vec<String>>> = Mutex::new(BTreeMap::new());
const SOCKET: &str = "h.sock";
const LOG: &str = "log";
