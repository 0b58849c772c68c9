//! The sides that do steps in Python: ours, Celery, `FastStream`.
//!
//! A step takes a message from a queue, calls `echo`, puts what it gave into the next queue, and acknowledges. Every side
//! runs one process of the interpreter for the handler of a step, but for the peers in a chain, where one process does all
//! of its steps; the queues are of one kind.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use benches::message;

use super::{
    broker::{Kind, Place},
    client::Message,
    peers::{self, Python},
    venv::Venv,
};
use crate::{PATIENCE, pin::Cpu, process::Process};

/// Who does the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Ours,
    Celery,
    FastStream,
}

/// What a side is asked to do, and where.
pub(crate) struct Task<'a> {
    pub(crate) side: Side,
    pub(crate) steps: usize,
    /// Messages at once in a step; Celery takes one at a time.
    pub(crate) in_flight: usize,
    pub(crate) place: &'a Place<'a>,
    pub(crate) folder: &'a Path,
    pub(crate) venv: &'a Venv,
}

/// A side whose queues are there.
pub(crate) struct Stand<'a> {
    task: &'a Task<'a>,
    queues: Vec<String>,
    pub(crate) end: &'static str,
    pub(crate) message: Message,
    product: Option<Process>,
}

/// A side that works.
pub(crate) struct Team {
    product: Option<Process>,
    pythons: Vec<Python>,
}

/// Of all sides: what Celery and `FastStream` use when nothing else is said, in its second version.
const KIND: Kind = Kind::Classic;
/// The same for those who declare their queues themselves.
const ARGUMENTS: &str = r#"{"x-queue-type": "classic", "x-queue-version": 2}"#;
/// Bytes of a payload.
const PAYLOAD: usize = 1024;
/// Between two looks at something that starts.
const LOOK: Duration = Duration::from_millis(2);

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Celery => "celery",
            Self::FastStream => "faststream",
        }
    }
}

impl<'a> Task<'a> {
    /// Makes the queues, with nobody taking from them, and the message that enters the first.
    pub(crate) fn stand(&'a self) -> anyhow::Result<Stand<'a>> {
        let queues: Vec<String> = (1..=self.steps).map(|step| format!("step{step}")).collect();
        let end = if self.side == Side::Ours { "happy-end" } else { "end" };
        let mut stand = Stand {
            task: self,
            queues,
            end,
            message: Message::default(),
            product: None,
        };
        match self.side {
            // It declares its queues when it starts, and takes nothing before its handlers live.
            Side::Ours => {
                stand.product = Some(stand.start_product()?);
                stand.wait_for_queues()?;
            }
            Side::Celery | Side::FastStream => {
                for queue in stand.queues.iter().map(String::as_str).chain([end]) {
                    self.place.client().declare(queue, KIND)?;
                }
            }
        }
        stand.message = stand.first_message()?;
        Ok(stand)
    }
}

impl Stand<'_> {
    /// The queue that work is put into.
    pub(crate) fn entrance(&self) -> &str {
        &self.queues[0]
    }

    /// Starts to work; `marks` are the file and the calls that are noted there.
    pub(crate) fn work(self, marks: Option<(&Path, [u64; 2])>) -> anyhow::Result<Team> {
        let marks = marks.map(|(file, [first, last])| format!("{}:{first}:{last}", file.display()));
        let mut settings = self.settings();
        settings.push(("BENCH_MARKS", marks.unwrap_or_default()));
        let in_flight = self.task.in_flight.to_string();
        let start = |name: &str, words: &[&str]| {
            let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let log = self.task.folder.join(format!("{name}.log"));
            Python::start(self.task.venv, &log, words, &settings)
        };
        let mut pythons = Vec::new();
        match self.task.side {
            Side::Ours => {
                for queue in &self.queues {
                    let socket = self.socket(queue).display().to_string();
                    let words = [
                        "-m",
                        "outrigger",
                        "echo.py:echo",
                        "--socket",
                        &socket,
                        "--concurrency",
                        &in_flight,
                    ];
                    pythons.push(start(queue, &words)?);
                }
            }
            Side::Celery => {
                let queues = self.queues.join(",");
                let quiet = [
                    "--without-gossip",
                    "--without-mingle",
                    "--without-heartbeat",
                    "--loglevel=warning",
                ];
                let words = ["-m", "celery", "-A", "celery_app", "worker", "-Q", &queues];
                pythons.push(start("celery", &[&words[..], &quiet[..]].concat())?);
            }
            Side::FastStream => pythons.push(start("faststream", &["faststream_app.py"])?),
        }
        Ok(Team {
            product: self.product,
            pythons,
        })
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let route = [&self.queues[..], &[self.end.to_owned()]].concat().join(",");
        vec![
            ("BENCH_URL", self.task.place.url.clone()),
            ("BENCH_ROUTE", route),
            ("BENCH_ARGUMENTS", ARGUMENTS.to_owned()),
            ("BENCH_PREFETCH", self.task.in_flight.to_string()),
        ]
    }

    fn socket(&self, queue: &str) -> PathBuf {
        self.task.folder.join(format!("{queue}.sock"))
    }

    fn start_product(&self) -> anyhow::Result<Process> {
        let actors = self.queues.iter().map(|queue| {
            let (socket, in_flight) = (self.socket(queue), self.task.in_flight);
            format!(
                "  {queue}: {{ handler: {{ socket: \"{}\" }}, concurrency: {in_flight} }}\n",
                socket.display()
            )
        });
        let head = format!("queue: {}\nqueue_type: {}\nactors:\n", self.task.place.url, KIND.name());
        let config = head + &actors.collect::<String>();
        Process::start(self.task.folder, "outrigger", &config, Cpu::ANY)
    }

    fn wait_for_queues(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        for queue in self.queues.iter().map(String::as_str).chain([self.end]) {
            while !self.task.place.client().exists(queue)? {
                if let Some(product) = &mut self.product {
                    product.check()?;
                }
                ensure!(
                    begun.elapsed() < PATIENCE,
                    "queue `{queue}` is not declared after {PATIENCE:?}"
                );
                thread::sleep(LOOK);
            }
        }
        Ok(())
    }

    fn first_message(&self) -> anyhow::Result<Message> {
        let payload = message::payload(PAYLOAD);
        let json = |body: Vec<u8>| {
            let mut message = Message::default();
            message.properties = message.properties.with_content_type("application/json".into());
            Message { body, ..message }
        };
        match self.task.side {
            Side::Ours => {
                let actors = self
                    .queues
                    .iter()
                    .map(|queue| format!("\"{queue}\""))
                    .collect::<Vec<_>>()
                    .join(",");
                let head = format!(r#"{{"id":"bench","route":{{"actors":[{actors}],"current":0}},"payload":"#);
                Ok(json([head.as_bytes(), &payload, b"}"].concat()))
            }
            Side::FastStream => Ok(json(payload)),
            // Whatever Celery itself makes of it: one is put by its own client, and taken back.
            Side::Celery => {
                let input = self.task.folder.join("payload.json");
                fs::write(&input, payload)?;
                let settings = self.settings();
                let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
                peers::run(self.task.venv, &["celery_app.py"], &settings, &input)?;
                self.task.place.client().take(self.entrance())
            }
        }
    }
}

impl Team {
    /// The processor time of the workers, and of what they run the handler with.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let product = self.product.iter().map(Process::cpu);
        product.chain(self.pythons.iter().map(Python::cpu)).sum()
    }

    /// Waits for so many noted calls; when each was.
    pub(crate) fn marked(&mut self, file: &Path, count: usize, limit: Duration) -> anyhow::Result<Vec<u64>> {
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(file).unwrap_or_default();
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            if whole.lines().count() >= count {
                return whole
                    .lines()
                    .map(|line| line.parse().context("a mark that nobody writes"))
                    .collect();
            }
            for python in &mut self.pythons {
                python.check()?;
            }
            if let Some(product) = &mut self.product {
                product.check()?;
            }
            ensure!(
                begun.elapsed() < limit,
                "not all messages came through within {limit:?}"
            );
            thread::sleep(LOOK);
        }
    }

    /// Ends it; our own side must end well.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        self.product.map_or(Ok(()), Process::stop)
    }
}
