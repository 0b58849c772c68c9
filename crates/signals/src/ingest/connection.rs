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
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::debug;

use super::{Splitter, listener::Terms, session::Session, stream::Stream};
use crate::hub::{Hub, Share};

/// One connection.
pub(super) struct Connection {
    stream: Stream,
    splitter: Splitter,
    session: Session,
    begun: Share,
    read_timeout: Duration,
    acked: u64,
    /// Something has come.
    is_heard: bool,
}

thread_local! {
    /// What is read goes here first: what a connection holds itself is the beginning of one line at most.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

/// What the processor's second cache holds with ease.
const SCRATCH_BYTES: usize = 64 * 1024;
/// What is read at once where connections have much in hand that backends hold back: no connection waits for another's
/// backend, and each that is held back costs little.
const SIP: usize = 1024;
/// How long a stranger may take to say who it is.
const HELLO: Duration = Duration::from_secs(10);
/// How long a sender may take to read what it asked to be told.
const ACK: Duration = Duration::from_secs(10);
/// After such a silence nothing of what a sender has sent is still on its way.
const LULL: Duration = Duration::from_millis(50);
/// How long a sender on TCP may go on after it was told that the end has come.
const FAREWELL: Duration = Duration::from_secs(2);

impl Connection {
    pub(super) fn new(stream: Stream, peer: String, terms: &Terms, hub: &Arc<Hub>) -> Self {
        Self {
            stream,
            splitter: Splitter::default(),
            session: Session::new(hub, peer, terms.secret.clone()),
            begun: Share::new(&hub.begun),
            read_timeout: terms.read_timeout,
            acked: 0,
            is_heard: false,
        }
    }

    /// Serves until the sender ends, says nothing for too long, or the drain begins and what was sent is read.
    pub(super) async fn run(mut self, drain: &Drain) {
        let mut ending = false;
        // Something came after the sender was told of the end.
        let mut goes_on = false;
        let mut deadline = self.deadline();
        loop {
            let read = tokio::select! {
                biased;
                () = drain.cut() => {
                    if goes_on {
                        self.session.goes_on();
                    }
                    return;
                }
                () = drain.begun(), if !ending => {
                    ending = true;
                    if self.stream.refuse_more() {
                        // What was sent before is read to its end, however much it is.
                        deadline = None;
                        continue;
                    }
                    match self.first_words(drain).await {
                        Next::Read => {}
                        Next::End => break,
                        Next::Leave => return,
                    }
                    if self.session.acked().is_some() {
                        return self.part(drain).await;
                    }
                    deadline = Some(self.say_farewell().await);
                    continue;
                }
                read = read(&mut self.stream, &mut self.splitter, &mut self.session) => read,
                () = until(deadline) => {
                    if goes_on {
                        self.session.goes_on();
                    } else if self.session.is_strange() && !ending {
                        self.session.keeps_silent();
                    }
                    debug!("a connection has been silent for too long");
                    break;
                }
            };
            let is_line = matches!(&read, Ok(Read { pieces, .. }) if *pieces > 0);
            goes_on = ending && deadline.is_some() && matches!(&read, Ok(Read { bytes, .. }) if *bytes > 0);
            match self.hand_over(read, drain).await {
                Next::Read => {}
                Next::End => break,
                Next::Leave => return,
            }
            if is_line && !ending {
                deadline = self.deadline();
            }
        }
        self.end(drain).await;
    }

    /// Hands over what a read brought, and acknowledges it.
    async fn hand_over(&mut self, read: io::Result<Read>, drain: &Drain) -> Next {
        let Read { bytes, pieces } = match read {
            Ok(read) => read,
            Err(error) => {
                debug!(%error, "a connection broke");
                return Next::End;
            }
        };
        self.is_heard |= bytes > 0;
        if self.session.is_refused() {
            return Next::Leave;
        }
        if pieces > 0 {
            tokio::select! {
                biased;
                _ = self.session.sorter.flush() => {}
                () = drain.cut() => return Next::Leave,
            }
            if self.acknowledge().await.is_err() {
                return Next::End;
            }
        }
        if !self.begun.set(self.splitter.begun()) {
            self.session.is_too_much();
            return Next::Leave;
        }
        if bytes == 0 { Next::End } else { Next::Read }
    }

    /// Reads once from a sender that nothing was read of yet: it may ask to be told.
    async fn first_words(&mut self, drain: &Drain) -> Next {
        if self.is_heard {
            return Next::Read;
        }
        let read = tokio::select! {
            biased;
            read = read(&mut self.stream, &mut self.splitter, &mut self.session) => read,
            () = sleep(LULL) => return Next::Read,
        };
        self.hand_over(read, drain).await
    }

    /// Takes what has come from a sender that asked to be told, tells it for the last time how far it has come, and then of
    /// the end. After that nothing is taken: the sender knows that nobody has it.
    async fn part(mut self, drain: &Drain) {
        let farewell = Instant::now() + FAREWELL;
        while Instant::now() < farewell {
            let read = tokio::select! {
                biased;
                read = read(&mut self.stream, &mut self.splitter, &mut self.session) => read,
                () = sleep(LULL) => break,
            };
            match self.hand_over(read, drain).await {
                Next::Read => {}
                Next::End => return self.end(drain).await,
                Next::Leave => return,
            }
        }
        self.say_farewell().await;
        // What was told is lost where the connection is closed before the sender has ended its side.
        let mut nowhere = tokio::io::sink();
        let rest = tokio::io::copy(&mut self.stream, &mut nowhere);
        tokio::select! {
            _ = timeout(FAREWELL, rest) => {}
            () = drain.cut() => {}
        }
    }

    /// What was begun and never ended is a line too.
    async fn end(mut self, drain: &Drain) {
        let Self { splitter, session, .. } = &mut self;
        session.sorter.begin(splitter.begun() + 1);
        splitter.end(|piece| session.take_last(piece));
        let rest = async {
            self.session.sorter.flush().await;
            if self.acknowledge().await.is_ok() {
                let _ = timeout(ACK, self.stream.shutdown()).await;
            }
        };
        tokio::select! {
            biased;
            () = rest => {}
            () = drain.cut() => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if self.session.is_strange() {
            return Some(Instant::now() + HELLO);
        }
        (!self.read_timeout.is_zero()).then(|| Instant::now() + self.read_timeout)
    }

    /// Tells the sender that the end has come; gives the time until which it may go on.
    async fn say_farewell(&mut self) -> Instant {
        let _ = timeout(FAREWELL, self.stream.shutdown()).await;
        Instant::now() + FAREWELL
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

/// What follows a read.
enum Next {
    Read,
    /// What is left of the last line is a line too.
    End,
    Leave,
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
            let most = if session.sorter.is_laden() { SIP } else { SCRATCH_BYTES };
            let mut buffer = ReadBuf::new(&mut scratch[..most]);
            ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
            session.sorter.begin(splitter.begun() + buffer.filled().len());
            let mut pieces = 0;
            splitter.split(buffer.filled(), |piece| {
                pieces += 1;
                let _ = session.take(piece);
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
