//! One connection that sends syslog.

use std::{cell::RefCell, io, net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use chassis::lifecycle::Drain;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tracing::debug;
use wire::signal::Wrong;

use super::{Clock, Frame, Framer, Message, draft, listener::Terms};
use crate::{hub::Hub, ingest::inlet::Inlet};

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    framer: Framer,
    inlet: Inlet,
    terms: Arc<ArcSwap<Terms>>,
}

thread_local! {
    /// What is read goes here first: what a connection holds itself is the beginning of one message at most.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

const SCRATCH_BYTES: usize = 128 * 1024;
/// How long a sender may go on after it was told that the end has come.
const FAREWELL: Duration = Duration::from_secs(2);

impl Connection {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr, terms: &Arc<ArcSwap<Terms>>, hub: &Arc<Hub>) -> Self {
        Self {
            stream,
            framer: Framer::default(),
            inlet: Inlet::new(hub, peer.to_string()),
            terms: Arc::clone(terms),
        }
    }

    /// Serves until the sender ends, says nothing for too long, or the drain begins and what was sent is read.
    pub(super) async fn run(mut self, drain: Drain) {
        let mut ending = false;
        let mut deadline = self.deadline();
        loop {
            let read = tokio::select! {
                biased;
                () = drain.cut() => return,
                () = drain.begun(), if !ending => {
                    ending = true;
                    // A sender that looks sees the end of the stream, and stops.
                    let _ = timeout(FAREWELL, self.stream.shutdown()).await;
                    deadline = Some(Instant::now() + FAREWELL);
                    continue;
                }
                read = self.read() => read,
                () = until(deadline) => {
                    debug!("a connection has been silent for too long");
                    break;
                }
            };
            match read {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    debug!(%error, "a connection broke");
                    break;
                }
            }
            if self.flush(&drain).await.is_none() {
                return;
            }
            if !ending {
                deadline = self.deadline();
            }
        }
        self.inlet.begin();
        let clock = self.terms.load().clock();
        let Self { framer, inlet, .. } = &mut self;
        framer.end(|frame| take(frame, inlet, &clock));
        self.flush(&drain).await;
    }

    /// Reads once, and takes the messages that came; says how many bytes there were.
    async fn read(&mut self) -> io::Result<usize> {
        loop {
            self.stream.readable().await?;
            let Self {
                stream,
                framer,
                inlet,
                terms,
            } = &mut *self;
            let read = SCRATCH.with_borrow_mut(|scratch| {
                let bytes = stream.try_read(scratch)?;
                inlet.begin();
                let clock = terms.load().clock();
                framer.split(&scratch[..bytes], |frame| take(frame, inlet, &clock));
                Ok(bytes)
            });
            match read {
                Err(error) if error_is_early(&error) => {}
                read => return read,
            }
        }
    }

    /// `None` when the grace is over.
    async fn flush(&mut self, drain: &Drain) -> Option<()> {
        tokio::select! {
            biased;
            _ = self.inlet.flush() => Some(()),
            () = drain.cut() => None,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let patience = self.terms.load().config.read_timeout.get();
        (!patience.is_zero()).then(|| Instant::now() + patience)
    }
}

/// Takes what was cut out of a stream.
fn take(frame: Frame<'_>, inlet: &mut Inlet, clock: &Clock) {
    match frame {
        Frame::Message(bytes) => take_message(bytes, inlet, clock),
        Frame::TooLong => inlet.wrong(Wrong::TooLong),
        Frame::Broken => inlet.wrong(Wrong::NotJson),
    }
}

/// Takes a message; bytes that are no UTF-8 are replaced, as many senders still speak Latin-1. One that is empty is passed
/// over, as an empty line is.
pub(super) fn take_message(bytes: &[u8], inlet: &mut Inlet, clock: &Clock) {
    if bytes.iter().all(|byte| byte.is_ascii_whitespace() || *byte == b'\0') {
        return;
    }
    let text = String::from_utf8_lossy(bytes);
    let message = Message::read(&text, clock);
    // Counted by the inlet where it is of no use.
    let _ = inlet.take(&draft(&message, clock.received));
}

/// There was nothing to read after all.
fn error_is_early(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
