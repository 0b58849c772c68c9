//! One connection, from its first line to its end.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use chassis::lifecycle::Drain;
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    time::{Instant, sleep_until, timeout},
};
use tracing::debug;

use super::{Splitter, listener::Terms, session::Session, stream::Stream};
use crate::hub::{Begun, Hub};

/// One connection.
pub(super) struct Connection {
    stream: Stream,
    splitter: Splitter,
    session: Session,
    begun: Begun,
    read_timeout: Duration,
    acked: u64,
}

thread_local! {
    /// What is read goes here first: what a connection holds itself is the beginning of one line at most.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

/// What the processor's second cache holds with ease.
const SCRATCH_BYTES: usize = 64 * 1024;
/// How long a stranger may take to say who it is.
const HELLO: Duration = Duration::from_secs(10);
/// How long a sender may take to read what it asked to be told.
const ACK: Duration = Duration::from_secs(10);
/// How long a sender on TCP may go on after it was told that the end has come.
const FAREWELL: Duration = Duration::from_secs(2);

impl Connection {
    pub(super) fn new(stream: Stream, peer: String, terms: &Terms, hub: &Arc<Hub>) -> Self {
        Self {
            stream,
            splitter: Splitter::default(),
            session: Session::new(hub, peer, terms.secret.clone()),
            begun: Begun::new(hub),
            read_timeout: terms.read_timeout,
            acked: 0,
        }
    }

    /// Serves until the sender ends, says nothing for too long, or the drain begins and what was sent is read.
    pub(super) async fn run(mut self, drain: &Drain) {
        let mut ending = false;
        let mut deadline = self.deadline();
        loop {
            let read = tokio::select! {
                biased;
                () = drain.cut() => return,
                () = drain.begun(), if !ending => {
                    ending = true;
                    deadline = self.say_farewell().await;
                    continue;
                }
                read = read(&mut self.stream, &mut self.splitter, &mut self.session) => read,
                () = until(deadline) => {
                    if self.session.is_strange() && !ending {
                        self.session.keeps_silent();
                    }
                    debug!("a connection has been silent for too long");
                    break;
                }
            };
            let Read { bytes, pieces } = match read {
                Ok(read) => read,
                Err(error) => {
                    debug!(%error, "a connection broke");
                    break;
                }
            };
            if self.session.is_refused() {
                return;
            }
            if pieces > 0 {
                tokio::select! {
                    biased;
                    _ = self.session.sorter.flush() => {}
                    () = drain.cut() => return,
                }
                if self.acknowledge().await.is_err() {
                    break;
                }
                if !ending {
                    deadline = self.deadline();
                }
            }
            if !self.begun.set(self.splitter.begun()) {
                self.session.is_too_much();
                return;
            }
            if bytes == 0 {
                break;
            }
        }
        tokio::select! {
            biased;
            () = self.end() => {}
            () = drain.cut() => {}
        }
    }

    /// What was begun and never ended is a line too.
    async fn end(mut self) {
        let Self { splitter, session, .. } = &mut self;
        session.sorter.begin(splitter.begun() + 1);
        splitter.end(|piece| session.take(piece));
        self.session.sorter.flush().await;
        if self.acknowledge().await.is_ok() {
            let _ = timeout(ACK, self.stream.shutdown()).await;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if self.session.is_strange() {
            return Some(Instant::now() + HELLO);
        }
        (!self.read_timeout.is_zero()).then(|| Instant::now() + self.read_timeout)
    }

    /// Tells the sender that the end has come; what it has sent until then is still read.
    async fn say_farewell(&mut self) -> Option<Instant> {
        if self.stream.refuse_more() {
            // What was sent before is read to its end, however much it is.
            return None;
        }
        let _ = timeout(FAREWELL, self.stream.shutdown()).await;
        Some(Instant::now() + FAREWELL)
    }

    /// Tells a sender that asked for it how many of its lines are safe.
    async fn acknowledge(&mut self) -> io::Result<()> {
        let Some(lines) = self.session.acked().filter(|lines| *lines != self.acked) else {
            return Ok(());
        };
        self.acked = lines;
        let line = format!("{{\"ack\":{lines}}}\n");
        timeout(ACK, self.stream.write_all(line.as_bytes()))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

struct Read {
    bytes: usize,
    pieces: usize,
}

/// Reads once, and takes the lines that came.
///
/// # Cancellation
/// Dropping the future loses nothing.
async fn read(stream: &mut Stream, splitter: &mut Splitter, session: &mut Session) -> io::Result<Read> {
    poll_fn(|context| {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
            session.sorter.begin(splitter.begun() + buffer.filled().len());
            let mut pieces = 0;
            splitter.split(buffer.filled(), |piece| {
                pieces += 1;
                session.take(piece);
            });
            let bytes = buffer.filled().len();
            Poll::Ready(Ok(Read { bytes, pieces }))
        })
    })
    .await
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
