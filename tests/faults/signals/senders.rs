//! Senders on threads of their own, who know what their sockets took and what they were told.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use super::arrived::line;
use crate::harness::wait_until;

/// One sender at work.
pub(super) struct Sender {
    source: String,
    known: Arc<Known>,
    writer: JoinHandle<()>,
    ear: JoinHandle<()>,
}

/// What a sender knows.
#[derive(Default)]
struct Known {
    /// Lines that its socket took whole.
    sent: AtomicUsize,
    /// The last count that it was told.
    acked: AtomicUsize,
    /// It has read the end of the stream.
    told: AtomicBool,
}

/// What a sender knows at its end.
pub(super) struct Account {
    pub(super) source: String,
    pub(super) sent: usize,
    pub(super) acked: usize,
}

/// How a sender behaves.
#[derive(Clone, Copy)]
pub(super) struct Manners {
    /// It asks to be told which of its lines are safe.
    pub(super) asks: bool,
    /// It stops when it reads the end of the stream.
    pub(super) stops: bool,
}

/// A connection of either kind.
trait Socket: Read + Write + Send + Sized + 'static {
    fn twin(&self) -> Self;
    fn half_close(&self);
}

impl Socket for TcpStream {
    fn twin(&self) -> Self {
        self.try_clone().expect("a second handle")
    }

    fn half_close(&self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl Socket for UnixStream {
    fn twin(&self) -> Self {
        self.try_clone().expect("a second handle")
    }

    fn half_close(&self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

/// Lines in one write: more than a Unix socket takes at once, so that it may take the half of a line.
const CHUNK: usize = 700;

impl Sender {
    pub(super) fn tcp(address: SocketAddr, source: &str, manners: Manners) -> Self {
        Self::over(TcpStream::connect(address).expect("it listens"), source, manners)
    }

    pub(super) fn unix(path: &Path, source: &str, manners: Manners) -> Self {
        Self::over(UnixStream::connect(path).expect("it listens"), source, manners)
    }

    fn over(stream: impl Socket, source: &str, manners: Manners) -> Self {
        let known = Arc::new(Known::default());
        let (twin, to_hear) = (stream.twin(), Arc::clone(&known));
        let ear = thread::spawn(move || listen(twin, &to_hear));
        let (name, to_tell) = (source.to_owned(), Arc::clone(&known));
        let writer = thread::spawn(move || write(stream, &name, manners, &to_tell));
        Self {
            source: source.to_owned(),
            known,
            writer,
            ear,
        }
    }

    /// Waits until its socket has taken this many lines.
    #[track_caller]
    pub(super) fn has_sent(&self, lines: usize) {
        wait_until(&format!("{lines} lines were sent"), || {
            (self.known.sent.load(Ordering::SeqCst) >= lines).then_some(())
        });
    }

    /// Waits until it was told of this many lines.
    #[track_caller]
    pub(super) fn has_acked(&self, lines: usize) {
        wait_until(&format!("{lines} lines were acknowledged"), || {
            (self.known.acked.load(Ordering::SeqCst) >= lines).then_some(())
        });
    }

    /// Waits for its end.
    pub(super) fn end(self) -> Account {
        self.writer.join().expect("it writes");
        self.ear.join().expect("it reads");
        Account {
            source: self.source,
            sent: self.known.sent.load(Ordering::SeqCst),
            acked: self.known.acked.load(Ordering::SeqCst),
        }
    }
}

/// Writes until it is told to stop, or cannot any more.
fn write(mut stream: impl Socket, source: &str, manners: Manners, known: &Known) {
    if manners.asks
        && stream
            .write_all(b"{\"type\":\"hello\",\"data\":{\"ack\":true}}\n")
            .is_err()
    {
        return;
    }
    let length = line(source, 0).len() + 1;
    let mut bytes = 0;
    for first in (0..).step_by(CHUNK) {
        if manners.stops && known.told.load(Ordering::SeqCst) {
            break;
        }
        let chunk: String = (first..first + CHUNK)
            .map(|number| line(source, number) + "\n")
            .collect();
        let mut rest = chunk.as_bytes();
        while !rest.is_empty() {
            match stream.write(rest) {
                Ok(taken) => {
                    rest = &rest[taken..];
                    bytes += taken;
                    known.sent.store(bytes / length, Ordering::SeqCst);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
    stream.half_close();
}

/// Reads what it is told, until the end.
fn listen(stream: impl Socket, known: &Known) {
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let lines = line
            .strip_prefix("{\"ack\":")
            .and_then(|rest| rest.strip_suffix('}')?.parse().ok());
        known.acked.store(lines.expect("a count"), Ordering::SeqCst);
    }
    known.told.store(true, Ordering::SeqCst);
}
