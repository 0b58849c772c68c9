//! A handler that does as it is told.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use handlers::{BadAnswer, Call, Handler, HandlerError, Liveness, MemberState, Pool, Report, Slot};
use tokio::sync::Semaphore;
use wire::{BadReply, Input, Json, Reply};

/// Plays its script and then answers all and everything.
#[derive(Debug)]
pub(crate) struct Fake {
    name: &'static str,
    pings: Mutex<VecDeque<Ping>>,
    answers: Mutex<VecDeque<Answer>>,
    /// Each permit lets one exchange that is told to wait come to its end.
    pub(crate) gate: Semaphore,
    pub(crate) pinged: AtomicUsize,
    pub(crate) called: AtomicUsize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Ping {
    Connected,
    Answered,
    Refused,
    Mute,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Done,
    Bad,
    Lost,
    Unreachable,
    Timeout,
    /// As the next one says, once the gate lets it.
    Wait(&'static Answer),
}

impl Fake {
    pub(crate) fn new(name: &'static str, pings: &[Ping], answers: &[Answer]) -> Arc<Self> {
        Arc::new(Self {
            name,
            pings: Mutex::new(pings.iter().copied().collect()),
            answers: Mutex::new(answers.iter().copied().collect()),
            gate: Semaphore::new(0),
            pinged: AtomicUsize::new(0),
            called: AtomicUsize::new(0),
        })
    }

    /// Connected at once.
    pub(crate) fn up(name: &'static str, answers: &[Answer]) -> Arc<Self> {
        Self::new(name, &[], answers)
    }

    pub(crate) fn pinged(&self) -> usize {
        self.pinged.load(Ordering::SeqCst)
    }

    pub(crate) fn called(&self) -> usize {
        self.called.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Handler for Fake {
    async fn call(&self, _call: &Call, _report: &mut Report<'_>) -> Result<Reply, HandlerError> {
        self.called.fetch_add(1, Ordering::SeqCst);
        let mut answer = self
            .answers
            .lock()
            .expect("no panic")
            .pop_front()
            .unwrap_or(Answer::Done);
        if let Answer::Wait(then) = answer {
            self.gate.acquire().await.expect("a gate").forget();
            answer = *then;
        }
        let handler = self.name.to_owned();
        let source = io::Error::from(io::ErrorKind::ConnectionReset);
        Err(match answer {
            Answer::Done | Answer::Wait(_) => return Ok(Reply::Done(None)),
            Answer::Bad => HandlerError::BadReply {
                handler,
                source: BadAnswer::Content(BadReply::Empty),
            },
            Answer::Lost => HandlerError::Lost { handler, source },
            Answer::Unreachable => HandlerError::Unreachable { handler, source },
            Answer::Timeout => HandlerError::Timeout {
                handler,
                after: Duration::from_secs(1),
            },
        })
    }

    async fn ping(&self) -> Result<Liveness, HandlerError> {
        self.pinged.fetch_add(1, Ordering::SeqCst);
        let handler = self.name.to_owned();
        match self
            .pings
            .lock()
            .expect("no panic")
            .pop_front()
            .unwrap_or(Ping::Connected)
        {
            Ping::Connected => Ok(Liveness::Connected),
            Ping::Answered => Ok(Liveness::Answered),
            Ping::Refused => Err(HandlerError::Unreachable {
                handler,
                source: io::ErrorKind::ConnectionRefused.into(),
            }),
            Ping::Mute => Err(HandlerError::Timeout {
                handler,
                after: Duration::from_secs(5),
            }),
        }
    }

    fn describe(&self) -> String {
        self.name.to_owned()
    }
}

/// One exchange with whoever has a slot free.
pub(crate) async fn ask(pool: &Pool) -> Result<Reply, HandlerError> {
    ask_with(&mut pool.slot().await).await
}

/// One exchange with this slot.
pub(crate) async fn ask_with(slot: &mut Slot) -> Result<Reply, HandlerError> {
    slot.call(&call(), &mut |_| {}).await
}

/// Waits until this many members take work.
pub(crate) async fn live(pool: &Pool, members: usize) {
    let mut readiness = pool.readiness();
    readiness.wait_for(|now| now.live == members).await.expect("a pool");
}

pub(crate) fn states(pool: &Pool) -> Vec<MemberState> {
    pool.members().iter().map(|member| member.state).collect()
}

pub(crate) fn call() -> Call {
    Call {
        id: "m1".to_owned(),
        actor: "clean".to_owned(),
        package: None,
        function: None,
        attempt: 1,
        deadline: None,
        headers: Json::null(),
        input: Input::Payload,
        body: "1".into(),
    }
}
