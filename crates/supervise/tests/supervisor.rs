//! Processes that shells play, in front of a pool: who is started, who is stopped, and when.
//!
//! The launcher is a script that drops what stands before the words and becomes the program. Handlers are stand-ins in
//! this process, always reachable; what is looked at is the processes beside them.

use std::{
    collections::BTreeMap,
    fs,
    num::NonZeroUsize,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use chassis::lifecycle::{Drain, Outcome};
use handlers::{Call, Handler, HandlerError, Liveness, MemberState, Pool, Report};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use supervise::{Console, ProcessSpec, Style, Supervisor, Told};
use tempfile::TempDir;
use wire::{Input, Json, Reply};

/// Reachable from the start, and never answers.
#[derive(Debug)]
struct Mute;

#[async_trait]
impl Handler for Mute {
    async fn call(&self, _call: &Call, _report: &mut Report<'_>) -> Result<Reply, HandlerError> {
        std::future::pending().await
    }

    async fn ping(&self) -> Result<Liveness, HandlerError> {
        Ok(Liveness::Connected)
    }

    fn describe(&self) -> String {
        "mute".to_owned()
    }
}

struct Crew {
    folder: TempDir,
    pool: Pool,
    intake: Drain,
    drain: Drain,
    _supervisor: Supervisor,
}

impl Crew {
    /// Keeps one process that runs `script`, which finds itself in a folder of its own.
    fn start(script: &str, stop_grace: Duration) -> Self {
        let folder = tempfile::tempdir().expect("set up");
        let launcher = folder.path().join("launcher");
        fs::write(&launcher, "#!/bin/sh\nshift 3\nexec \"$@\"\n").expect("set up");
        fs::set_permissions(&launcher, fs::Permissions::from_mode(0o755)).expect("set up");
        let (pool, intake, drain) = (Pool::new("a"), Drain::new(), Drain::new());
        let console = Console::new(Style::Plain).expect("set up");
        let records = folder.path().join("run");
        let supervisor = Supervisor::new(&records, &launcher, console, intake.clone(), drain.clone()).expect("set up");
        let spec = ProcessSpec {
            actor: "a".into(),
            words: vec!["sh".into(), "-c".into(), format!("echo $$ >> starts; {script}")],
            folder: folder.path().to_owned(),
            environment: std::env::vars_os()
                .filter(|(name, _)| name == "PATH")
                .collect::<BTreeMap<_, _>>(),
            replicas: NonZeroUsize::MIN,
            concurrency: NonZeroUsize::MIN,
            stop_grace,
            told: Told::Ours,
        };
        supervisor.add(spec, pool.clone(), Arc::new(|_: &Path| Arc::new(Mute)));
        Self {
            folder,
            pool,
            intake,
            drain,
            _supervisor: supervisor,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The numbers in a file that the script writes, one a line.
    fn numbers(&self, name: &str) -> Vec<i32> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    async fn started(&self, count: usize) -> i32 {
        until(|| self.numbers("starts").get(count - 1).copied()).await
    }

    async fn finish(&self) -> Outcome {
        self.intake.begin();
        self.drain.wait(Some(SOON)).await
    }
}

/// A condition that ought to hold soon; machines under load are slow.
const SOON: Duration = Duration::from_secs(30);
/// Longer than any test may take.
const LONG: Duration = Duration::from_mins(10);

async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, looking).await.expect("it holds soon")
}

fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

fn call() -> Call {
    Call {
        id: "m".into(),
        actor: "a".into(),
        package: None,
        function: None,
        attempt: 1,
        deadline: None,
        headers: Json::null(),
        input: Input::Payload,
        body: "1".into(),
    }
}

/// Begins an exchange and drops it.
async fn cut_off(pool: &Pool) -> handlers::MemberId {
    let mut slot = pool.slot().await;
    let member = slot.member();
    let begun = tokio::time::timeout(Duration::from_millis(20), slot.call(&call(), &mut |_| {})).await;
    assert!(begun.is_err(), "it never answers");
    member
}

#[tokio::test]
async fn a_process_that_ended_is_replaced_but_not_once_no_work_is_taken_in() {
    let crew = Crew::start("exec sleep 600", LONG);
    for count in 1..=2 {
        let pid = crew.started(count).await;
        until(|| (crew.pool.slots() == 1).then_some(())).await;
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }
    crew.started(3).await;
    until(|| (crew.pool.slots() == 1).then_some(())).await;
    crew.intake.begin();
    let pid = crew.started(3).await;
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    // Every task of the crew ends by itself: nothing waits for a start.
    until(|| (crew.drain.busy() == 0).then_some(())).await;
    assert_eq!(crew.numbers("starts").len(), 3);
    assert!(crew.pool.members().is_empty());
}

#[tokio::test]
async fn one_whose_exchange_was_ended_is_replaced_at_once_and_gone_when_it_has_ended() {
    // It takes its time to leave.
    let crew = Crew::start(
        "trap 'while [ ! -e leave ]; do sleep 0.01; done; exit' TERM; while :; do sleep 0.01; done",
        LONG,
    );
    let pid = crew.started(1).await;
    let member = cut_off(&crew.pool).await;
    crew.started(2).await;
    until(|| (crew.pool.slots() == 1).then_some(())).await;
    assert!(is_alive(pid) && crew.pool.members()[0].state == MemberState::Leaving);
    assert!(
        tokio::time::timeout(Duration::from_millis(50), crew.pool.gone(member))
            .await
            .is_err()
    );
    fs::write(crew.path("leave"), "").unwrap();
    tokio::time::timeout(SOON, crew.pool.gone(member)).await.expect("gone");
    assert!(!is_alive(pid));
    assert_eq!(crew.finish().await, Outcome::Finished);
}

#[tokio::test]
async fn one_that_is_cut_off_is_killed_at_once_and_no_other_takes_its_place() {
    let crew = Crew::start("trap '' TERM; while :; do sleep 0.01; done", LONG);
    let pid = crew.started(1).await;
    until(|| (crew.pool.slots() == 1).then_some(())).await;
    crew.intake.begin();
    crew.intake.cut_now();
    let member = cut_off(&crew.pool).await;
    tokio::time::timeout(SOON, crew.pool.gone(member))
        .await
        .expect("gone within the grace");
    assert!(!is_alive(pid));
    assert_eq!(crew.finish().await, Outcome::Finished);
    assert_eq!(crew.numbers("starts").len(), 1);
}

#[tokio::test]
async fn what_left_the_group_and_holds_the_pipes_holds_nobody_up() {
    let crew = Crew::start("setsid sh -c 'echo $$ > far; exec sleep 600' & exec sleep 600", LONG);
    let far = until(|| crew.numbers("far").first().copied()).await;
    let begun = Instant::now();
    let outcome = crew.finish().await;
    let took = begun.elapsed();
    assert!(is_alive(far), "it is not ours to end");
    kill(Pid::from_raw(far), Signal::SIGKILL).unwrap();
    assert_eq!(outcome, Outcome::Finished);
    assert!(took < SOON / 3, "{took:?}");
}
