//! The owner's socket: other processes on the same file reach the writer through it.
//!
//! Two threads a connection: one brings requests to the writer, one takes the answers away. The writer never waits
//! for either.

use std::{
    io::{self, BufReader, BufWriter, Write},
    net::Shutdown,
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use super::{
    engine::{Asked, Heard, Mail, Sink},
    holder::Place,
    mailbox::{Mailbox, Woken},
    protocol::{Answer, Request, VERSION},
    wire::{self, FrameWriter, Hello, Numbered},
};

/// The buffers of a connection.
const BUFFER: usize = 64 << 10;

/// The listening thread and its connections.
pub(super) struct Server {
    place: Place,
    shared: Arc<Shared>,
    /// The listening socket itself: its path may be another's by the time we stop.
    socket: UnixStream,
    inode: u64,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    mailbox: Arc<Mailbox<Mail>>,
    epoch: u64,
    stopping: AtomicBool,
    open: Mutex<Vec<(UnixStream, JoinHandle<()>)>>,
}

impl Server {
    pub(super) fn start(place: &Place, mailbox: Arc<Mailbox<Mail>>, epoch: u64) -> io::Result<Self> {
        let (listener, inode) = place.listen()?;
        let socket = UnixStream::from(OwnedFd::from(listener.try_clone()?));
        let shared = Arc::new(Shared {
            mailbox,
            epoch,
            stopping: AtomicBool::new(false),
            open: Mutex::new(Vec::new()),
        });
        let theirs = shared.clone();
        let thread = thread::Builder::new()
            .name("queue-listener".to_owned())
            .spawn(move || theirs.listen(&listener))?;
        Ok(Self {
            place: place.clone(),
            shared,
            socket,
            inode,
            thread: Some(thread),
        })
    }

    /// Ends every connection; those processes find the next owner.
    pub(super) fn stop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.shared.stopping.store(true, Ordering::SeqCst);
        let ended = self.socket.shutdown(Shutdown::Both);
        if ended.is_ok() && thread.join().is_err() {
            tracing::error!("the queue's listener panicked");
        }
        self.place.unlisten(self.inode);
        let open = std::mem::take(&mut *self.shared.open.lock().unwrap_or_else(PoisonError::into_inner));
        for (stream, thread) in open {
            let _ = stream.shutdown(Shutdown::Both);
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn listen(self: &Arc<Self>, listener: &UnixListener) {
        for (connection, stream) in (1..).zip(listener.incoming()) {
            if self.stopping.load(Ordering::SeqCst) {
                break;
            }
            if let Err(error) = stream.and_then(|stream| self.accept(connection, stream)) {
                tracing::warn!(%error, "a connection to the queue was not accepted");
                // Out of file descriptors, most likely: others have to end first.
                thread::sleep(std::time::Duration::from_millis(20));
            }
        }
    }

    fn accept(self: &Arc<Self>, connection: u64, stream: UnixStream) -> io::Result<()> {
        let (shared, theirs) = (self.clone(), stream.try_clone()?);
        let work = move || {
            match shared.serve(connection, &theirs) {
                Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                    tracing::debug!(connection, %error, "a process on the queue file went away");
                }
                _ => {}
            }
            let _ = theirs.shutdown(Shutdown::Both);
            let _ = shared.mailbox.push(Mail::Left(connection));
        };
        let thread = thread::Builder::new().name("queue-connection".to_owned()).spawn(work)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(_, thread)| !thread.is_finished());
        open.push((stream, thread));
        Ok(())
    }

    /// One connection, until it ends.
    fn serve(&self, connection: u64, stream: &UnixStream) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(BUFFER, stream.try_clone()?);
        let hello = Hello::read(&mut reader)?;
        Hello::new(self.epoch).write(&mut &*stream)?;
        if hello.version != VERSION {
            return Err(io::Error::other("it speaks another version"));
        }
        let answers = Arc::new(Mailbox::new());
        let heard = Arc::new(Heard::new());
        let sink = Arc::new(Remote {
            answers: answers.clone(),
            stream: stream.try_clone()?,
        });
        let joined = Mail::Joined {
            connection,
            holder: hello.number,
            sink: sink.clone(),
            heard: Some(heard.clone()),
        };
        self.push(joined)?;
        let out = stream.try_clone()?;
        let writer = thread::Builder::new()
            .name("queue-answers".to_owned())
            .spawn(move || write_answers(&answers, out))?;
        let read = self.read_requests(connection, &mut reader, &heard);
        sink.cut();
        let _ = writer.join();
        read
    }

    fn read_requests(&self, connection: u64, reader: &mut BufReader<UnixStream>, heard: &Heard) -> io::Result<()> {
        loop {
            let Numbered { id, request } = wire::read::<Numbered<Request>>(reader)?;
            heard.beat();
            self.push(Mail::Asked(Asked {
                connection,
                id,
                request,
            }))?;
        }
    }

    fn push(&self, mail: Mail) -> io::Result<()> {
        let pushed = self.mailbox.push(mail);
        pushed.map_err(|_| io::Error::other("the owner lets the file go"))
    }
}

/// The way to a session in another process.
struct Remote {
    answers: Arc<Mailbox<Answer>>,
    stream: UnixStream,
}

impl Sink for Remote {
    fn send(&self, answers: Vec<Answer>) {
        self.answers.extend(answers);
    }

    fn cut(&self) {
        self.answers.close();
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

fn write_answers(answers: &Mailbox<Answer>, stream: UnixStream) {
    let mut out = BufWriter::with_capacity(BUFFER, stream);
    let mut frames = FrameWriter::default();
    let mut batch = Vec::new();
    while answers.drain(&mut batch, None) != Woken::Closed {
        let written = batch.drain(..).try_for_each(|answer| frames.write(&mut out, &answer));
        if written.and_then(|()| out.flush()).is_err() {
            let _ = out.get_ref().shutdown(Shutdown::Both);
            return;
        }
    }
}
