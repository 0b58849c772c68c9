//! The connection to an owner in another process.

use std::{
    io::{self, BufReader, BufWriter, Write},
    os::unix::net::UnixStream,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{
    fault::Fault,
    holder::Place,
    mailbox::{Mailbox, Woken},
    protocol::{Answer, Request, UNASKED, VERSION},
    session::{Outbox, Session, hang_up},
    wire::{self, FrameWriter, Hello, Numbered},
};

const BUFFER: usize = 64 << 10;
/// How long an owner may take for its hello.
const HELLO: Duration = Duration::from_secs(5);
/// How many answers are handed on together.
const TOGETHER: usize = 256;

/// A connection that has said hello.
pub(super) struct Connection {
    reader: BufReader<UnixStream>,
    stream: UnixStream,
}

/// Why there is no connection.
pub(super) enum Refusal {
    /// Nobody listens for now: the owner starts, ends or died.
    Absent,
    /// It will never work.
    Never(Fault),
}

impl Connection {
    pub(super) fn open(place: &Place, holder: u64) -> Result<Self, Refusal> {
        let absent = |_: io::Error| Refusal::Absent;
        let stream = place.connect().map_err(absent)?;
        let mut reader = BufReader::with_capacity(BUFFER, stream.try_clone().map_err(absent)?);
        Hello::new(holder).write(&mut &stream).map_err(absent)?;
        stream.set_read_timeout(Some(HELLO)).map_err(absent)?;
        let hello = match Hello::read(&mut reader) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(Refusal::Never(Fault::unavailable(
                    "the process that owns the queue file is not an Outrigger",
                )));
            }
            other => other.map_err(absent)?,
        };
        if hello.version != VERSION {
            return Err(Refusal::Never(Fault::unavailable(format!(
                "the process that owns the queue file speaks version {} of its protocol and this one {VERSION}: stop \
                 that process or use the same release for both",
                hello.version
            ))));
        }
        stream.set_read_timeout(None).map_err(absent)?;
        Ok(Self { reader, stream })
    }

    /// Carries requests and answers until the connection ends.
    pub(super) fn run(mut self, session: &Arc<Session>, renew: Duration) {
        let (Ok(stream), Ok(ours)) = (self.stream.try_clone(), self.stream.try_clone()) else {
            return;
        };
        let outbox = Arc::new(Outbox {
            requests: Mailbox::new(),
            armed: AtomicBool::new(false),
            stream: ours,
        });
        let (theirs, outgoing) = (session.clone(), outbox.clone());
        let writer = thread::Builder::new()
            .name("queue-requests".to_owned())
            .spawn(move || write_requests(&theirs, &outgoing, stream, renew));
        let Ok(writer) = writer else { return };
        session.attach_remote(outbox.clone());
        let error = self.read_answers(session);
        session.detach();
        outbox.requests.close();
        hang_up(&self.stream);
        let _ = writer.join();
        if !session.is_stopping() {
            tracing::info!(%error, "the owner of the queue file is gone, looking for the next one");
        }
    }

    fn read_answers(&mut self, session: &Session) -> io::Error {
        loop {
            let mut answers = Vec::new();
            loop {
                match wire::read::<Answer>(&mut self.reader) {
                    Ok(answer) => answers.push(answer),
                    Err(error) => {
                        session.dispatch(answers);
                        return error;
                    }
                }
                if self.reader.buffer().is_empty() || answers.len() >= TOGETHER {
                    break;
                }
            }
            session.dispatch(answers);
        }
    }
}

/// Sends requests as they come, and a renewal where nothing else was sent for a while and something is held.
fn write_requests(session: &Session, outbox: &Outbox, stream: UnixStream, renew: Duration) {
    let mut out = BufWriter::with_capacity(BUFFER, stream);
    let mut frames = FrameWriter::default();
    let mut batch = Vec::new();
    let mut sent = Instant::now();
    loop {
        outbox.armed.store(true, Ordering::SeqCst);
        let holds = session.holds();
        outbox.armed.store(holds, Ordering::SeqCst);
        let woken = outbox.requests.drain(&mut batch, holds.then(|| sent + renew));
        if woken == Woken::Closed {
            break;
        }
        if woken == Woken::Time && session.holds() {
            batch.push(Numbered {
                id: UNASKED,
                request: Arc::new(Request::Renew),
            });
        }
        if !batch.is_empty() || woken == Woken::Time {
            sent = Instant::now();
        }
        let written = batch.drain(..).try_for_each(|request| frames.write(&mut out, &request));
        if written.and_then(|()| out.flush()).is_err() {
            break;
        }
    }
    hang_up(out.get_ref());
}
