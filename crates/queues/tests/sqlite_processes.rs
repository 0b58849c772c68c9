//! One file, several real processes, some of them killed or stopped.
//!
//! A child is this test binary again: it runs [`child`] alone, told by the environment what to be.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use queues::{
    Consumer, Delivery, Put, Queue, QueueSpec, Settle,
    sqlite::{SqliteOptions, SqliteQueue},
};
use tokio::task::JoinSet;

/// How long anything may take that should happen at once.
const AT_ONCE: Duration = Duration::from_secs(4);

/// What a handler takes.
const HANDLER: Duration = Duration::from_millis(4);

/// A child process with a line in and a line out.
struct Other {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Other {
    /// Starts a child and waits for its first line.
    fn start(role: &str, path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture", "--quiet"])
            .env("QUEUE_TEST_ROLE", role)
            .env("QUEUE_TEST_PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut other = Self { child, input, output };
        assert_eq!(other.line(), "ready");
        other
    }

    /// The next line of ours among what the test harness prints.
    fn line(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the child ended");
            if let Some((_, said)) = line.trim_end().split_once("child: ") {
                return said.to_owned();
            }
        }
    }

    fn say(&mut self, word: &str) -> String {
        writeln!(self.input, "{word}").unwrap();
        self.line()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What a child does; nothing in an ordinary run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    #[expect(clippy::disallowed_methods, reason = "the parent tells its child what to be")]
    let (Ok(role), Ok(path)) = (std::env::var("QUEUE_TEST_ROLE"), std::env::var("QUEUE_TEST_PATH")) else {
        return;
    };
    let queue: Arc<dyn Queue> = Arc::new(SqliteQueue::open(SqliteOptions::new(path)).await.unwrap());
    queue
        .declare(&[QueueSpec::new("work"), QueueSpec::new("next")])
        .await
        .unwrap();
    let (mut held, mut workers) = (Vec::new(), JoinSet::new());
    match role.as_str() {
        "own" => {}
        "hold" => {
            let mut consumer = queue.consume("work", 3).await.unwrap();
            for _ in 0..3 {
                held.push(consumer.take().await.unwrap());
            }
            consumer.set_credit(0);
            workers.spawn(async move {
                let _kept = consumer;
                std::future::pending::<usize>().await
            });
        }
        "work" => {
            let consumer = queue.consume("work", 64).await.unwrap();
            workers.spawn(forward_all(consumer, usize::MAX, HANDLER));
        }
        other => panic!("there is no role {other}"),
    }
    println!("child: ready");
    for line in std::io::stdin().lines() {
        match line.unwrap().as_str() {
            "settle" => {
                let mut said = Vec::new();
                for delivery in held.drain(..) {
                    said.push(format!("{:?}", delivery.settle(Settle::Done).await));
                }
                println!("child: {}", said.join(" "));
            }
            "count" => println!("child: {}", workers.join_next().await.unwrap().unwrap()),
            "close" => {
                queue.close().await;
                println!("child: closed");
            }
            other => panic!("nobody says {other}"),
        }
    }
}

/// Forwards `most` messages, or until nothing comes any more, and answers how many.
async fn forward_all(mut consumer: Box<dyn Consumer>, most: usize, handler: Duration) -> usize {
    let mut hops = JoinSet::new();
    let mut count = 0;
    while count < most
        && let Ok(delivery) = tokio::time::timeout(AT_ONCE / 4, consumer.take()).await
    {
        count += 1;
        hops.spawn(async move {
            tokio::time::sleep(handler).await;
            forward(delivery.unwrap()).await;
        });
    }
    hops.join_all().await;
    count
}

/// One task.
fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinSet<T> {
    let mut task = JoinSet::new();
    task.spawn(future);
    task
}

async fn end<T: 'static>(mut task: JoinSet<T>) -> T {
    task.join_next().await.unwrap().unwrap()
}

async fn forward(delivery: Delivery) {
    let body = delivery.body().clone();
    delivery.forward(vec![Put::new("next", body)]).await.unwrap();
}

async fn open(path: &Path, lease: Duration) -> Arc<dyn Queue> {
    let mut options = SqliteOptions::new(path);
    options.lease = lease;
    let queue = SqliteQueue::open(options).await.unwrap();
    let queues = [QueueSpec::new("work"), QueueSpec::new("next")];
    queue.declare(&queues).await.unwrap();
    Arc::new(queue)
}

const LEASE: Duration = Duration::from_secs(10);

async fn put(queue: &Arc<dyn Queue>, bodies: &[&str]) {
    let puts = bodies.iter().map(|body| Put::new("work", body.as_bytes().to_vec()));
    queue.put(puts.collect()).await.unwrap();
}

/// What is in a queue, and how often.
async fn contents(queue: &Arc<dyn Queue>, name: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for message in queue.browse(name, None, 100_000).await.unwrap() {
        *found
            .entry(String::from_utf8(message.body.to_vec()).unwrap())
            .or_default() += 1;
    }
    found
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(AT_ONCE, future).await.expect("it takes too long")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_owner_costs_nothing_and_repeats_nothing() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.db");
        let owner = Other::start("own", &path);
        let bystander = (round % 2 == 0).then(|| Other::start("own", &path));
        let queue = open(&path, LEASE).await;
        let consumer = queue.consume("work", 16).await.unwrap();
        let working = spawn(forward_all(consumer, 400, Duration::ZERO));
        let theirs = queue.clone();
        let putting = spawn(async move {
            for number in 0..400 {
                put(&theirs, &[&format!("{number}")]).await;
            }
        });
        tokio::time::sleep(Duration::from_micros(random.u64(0..150_000))).await;
        owner.kill();
        end(putting).await;
        end(working).await;
        let wanted: BTreeMap<String, usize> = (0..400).map(|number| (number.to_string(), 1)).collect();
        assert_eq!(contents(&queue, "next").await, wanted, "round {round}");
        assert_eq!(contents(&queue, "work").await, BTreeMap::new(), "round {round}");
        if let Some(bystander) = bystander {
            bystander.kill();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_outlives_the_owner_that_gave_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let owner = Other::start("own", &path);
    let queue = open(&path, LEASE).await;
    put(&queue, &["a", "b"]).await;
    let mut consumer = queue.consume("work", 1).await.unwrap();
    let held = consumer.take().await.unwrap();
    owner.kill();
    let stats = soon(queue.stats()).await.unwrap();
    let work = stats.iter().find(|it| &*it.name == "work").unwrap();
    assert_eq!((work.depth, work.in_flight), (Some(1), Some(1)));
    let mut other = queue.consume("work", 2).await.unwrap();
    assert_eq!(&other.take().await.unwrap().body()[..], b"b");
    held.settle(Settle::Done).await.unwrap();
    drop((consumer, other));
    assert_eq!(contents(&queue, "work").await, BTreeMap::from([("b".to_owned(), 1)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_process_held_comes_back_at_once_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let queue = open(&path, Duration::from_mins(10)).await;
    put(&queue, &["a", "b", "c"]).await;
    let holder = Other::start("hold", &path);
    holder.kill();
    let mut consumer = queue.consume("work", 3).await.unwrap();
    for body in ["a", "b", "c"] {
        let delivery = soon(consumer.take()).await.unwrap();
        assert_eq!(delivery.body(), body);
        assert_eq!(delivery.tally().deliveries, Some(2));
        delivery.settle(Settle::Done).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owner_and_holder_killed_together_leave_everything_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let owner = Other::start("own", &path);
    let queue = open(&path, LEASE).await;
    put(&queue, &["a", "b", "c"]).await;
    queue.close().await;
    let holder = Other::start("hold", &path);
    owner.signal(Signal::SIGKILL);
    holder.kill();
    owner.kill();
    let queue = open(&path, Duration::from_mins(10)).await;
    let mut consumer = queue.consume("work", 3).await.unwrap();
    for _ in 0..3 {
        let delivery = soon(consumer.take()).await.unwrap();
        assert_eq!(delivery.tally().deliveries, Some(2));
        delivery.settle(Settle::Done).await.unwrap();
    }
    let left = std::fs::read_dir(folder.path().join("queue.db-owner")).unwrap();
    let left = left.filter(|file| file.as_ref().unwrap().path().extension() == Some("holder".as_ref()));
    assert_eq!(left.count(), 1, "the files of dead holders are removed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_process_loses_its_messages_with_its_lease() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let lease = Duration::from_millis(1500);
    let queue = open(&path, lease).await;
    put(&queue, &["a", "b", "c"]).await;
    let mut holder = Other::start("hold", &path);
    holder.signal(Signal::SIGSTOP);
    let stopped = Instant::now();
    let mut consumer = queue.consume("work", 3).await.unwrap();
    let mut deliveries = Vec::new();
    for _ in 0..3 {
        deliveries.push(soon(consumer.take()).await.unwrap());
    }
    // Its last renewal may be a third of a lease old.
    assert!(stopped.elapsed() >= lease / 2, "{:?}", stopped.elapsed());
    assert!(deliveries.iter().all(|it| it.tally().deliveries == Some(2)));
    holder.signal(Signal::SIGCONT);
    assert_eq!(holder.say("settle"), "Err(LeaseLost) Err(LeaseLost) Err(LeaseLost)");
    for delivery in deliveries {
        delivery.settle(Settle::Done).await.unwrap();
    }
    assert_eq!(contents(&queue, "work").await, BTreeMap::new());
    holder.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_a_queue_fairly() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let queue = open(&path, LEASE).await;
    let bodies: Vec<String> = (0..6000).map(|number| number.to_string()).collect();
    let mut other = Other::start("work", &path);
    let consumer = queue.consume("work", 64).await.unwrap();
    let mine = spawn(forward_all(consumer, usize::MAX, HANDLER));
    put(&queue, &bodies.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mine = end(mine).await;
    let theirs: usize = other.say("count").parse().unwrap();
    assert_eq!(mine + theirs, 6000);
    assert!(mine.min(theirs) >= 2400, "{mine} here and {theirs} there");
    assert_eq!(contents(&queue, "next").await.len(), 6000);
    other.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_owner_hands_the_file_over_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let mut owner = Other::start("own", &path);
    let queue = open(&path, LEASE).await;
    let mut consumer = queue.consume("work", 1).await.unwrap();
    assert_eq!(owner.say("close"), "closed");
    soon(put(&queue, &["a"])).await;
    soon(forward(consumer.take().await.unwrap())).await;
    assert_eq!(contents(&queue, "next").await, BTreeMap::from([("a".to_owned(), 1)]));
    owner.kill();
}
