//! One connection: reads, has calls carried out, writes. All of it is one task, so nothing outlives the connection.

use std::{
    io,
    net::Shutdown,
    pin::{Pin, pin},
    sync::PoisonError,
    time::Duration,
};

use bytes::{Buf, Bytes};
use chassis::lifecycle::Drain;
use futures_util::stream::{FuturesUnordered, StreamExt};
use socket2::SockRef;
use tokio::{
    io::Interest,
    net::UnixStream,
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    call::{InFlight, Job},
    request::{Id, Request},
    splitter::{Cut, Splitter},
    turns::Turns,
};
use crate::functions::{CallError, Registry};

/// One connection.
pub(super) struct Connection<'c> {
    stream: &'c UnixStream,
    registry: &'c Registry,
    limit: usize,
    splitter: Splitter,
    turns: Turns,
    in_flight: InFlight,
    jobs: FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send>>>,
    out: mpsc::Sender<Bytes>,
}

/// What was read.
enum Read {
    Cut(Cut),
    End,
}

/// Serves a connection until its caller has all answers, or has gone.
///
/// # Cancellation
/// Dropping the future ends all calls and closes the connection.
pub(super) async fn serve(stream: UnixStream, registry: &Registry, limit: usize, drain: &Drain) {
    let (out, lines) = mpsc::channel(LINES);
    let mut writing = pin!(write(&stream, lines));
    let mut connection = Connection {
        stream: &stream,
        registry,
        limit,
        splitter: Splitter::new(limit),
        turns: Turns::default(),
        in_flight: InFlight::default(),
        jobs: FuturesUnordered::new(),
        out,
    };
    let work = async {
        tokio::select! {
            biased;
            written = &mut writing => written,
            () = connection.run(drain) => {
                // Whoever writes has the last of them.
                drop(connection);
                writing.await
            }
        }
    };
    let written = tokio::select! {
        biased;
        () = drain.cut() => return,
        () = gone(&stream) => return,
        written = work => written,
    };
    if let Err(error) = written {
        return debug!(%error, "a caller left before its answers");
    }
    // What it still sends is read and passed over, so that it gets to read its answers.
    let _ = SockRef::from(&stream).shutdown(Shutdown::Write);
    let _ = timeout(LINGER, pass_over(&stream)).await;
}

impl Connection<'_> {
    /// Reads until there is nothing more to read, then waits for what is in flight.
    async fn run(&mut self, drain: &Drain) {
        loop {
            tokio::select! {
                biased;
                Some(()) = self.jobs.next(), if !self.jobs.is_empty() => {}
                () = drain.begun() => break,
                read = read(self.stream, &mut self.splitter), if self.jobs.len() < IN_FLIGHT => match read {
                    Read::Cut(Cut::Object(object)) => self.take(Request::read(&object)),
                    Read::Cut(Cut::TooLarge) => {
                        let limit = self.limit as u64;
                        self.refuse(None, CallError::TooLarge { limit });
                        break;
                    }
                    Read::Cut(Cut::Garbage | Cut::More) => {
                        let why = "these bytes are no JSON object: the connection ends here".to_owned();
                        self.refuse(None, CallError::BadRequest { why });
                        break;
                    }
                    Read::End => break,
                },
            }
        }
        while self.jobs.next().await.is_some() {}
    }

    fn take(&mut self, request: Request) {
        let wish = match request {
            Request::Call(wish) => *wish,
            Request::Cancel(id) => {
                let in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(token) = in_flight.get(&id.key) {
                    token.cancel();
                }
                return;
            }
            Request::Wrong { id, why } => return self.refuse(id, CallError::BadRequest { why }),
        };
        let mut taken_back = None;
        if let Some(id) = &wish.id {
            let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
            if in_flight.contains_key(&id.key) {
                drop(in_flight);
                let why = format!("a call with the id {} is in flight already", id.spelt);
                return self.refuse(Some(id.clone()), CallError::BadRequest { why });
            }
            let token = CancellationToken::new();
            in_flight.insert(id.key.clone(), token.clone());
            taken_back = Some(token);
        }
        let job = self.job(wish.id.clone(), taken_back);
        self.jobs.push(Box::pin(job.carry_out(wish)));
    }

    fn refuse(&mut self, id: Option<Id>, error: CallError) {
        let job = self.job(id, None);
        self.jobs.push(Box::pin(job.refuse(error)));
    }

    fn job(&mut self, id: Option<Id>, taken_back: Option<CancellationToken>) -> Job {
        Job {
            turn: id.is_none().then(|| self.turns.take()),
            id,
            taken_back,
            in_flight: InFlight::clone(&self.in_flight),
            registry: self.registry.clone(),
            out: self.out.clone(),
        }
    }
}

/// The next object; [`Cut::More`] where the end has cut one short.
///
/// # Cancellation
/// Dropping the future loses nothing.
async fn read(stream: &UnixStream, splitter: &mut Splitter) -> Read {
    loop {
        match splitter.next() {
            Cut::More => {}
            cut => return Read::Cut(cut),
        }
        let read = loop {
            if let Err(error) = stream.readable().await {
                break Err(error);
            }
            splitter.bytes().reserve(READ);
            match stream.try_read_buf(splitter.bytes()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => break read,
            }
        };
        match read {
            Ok(0) | Err(_) if splitter.is_within() => return Read::Cut(Cut::More),
            Ok(0) | Err(_) => return Read::End,
            Ok(_) => {}
        }
    }
}

/// Writes lines until nobody has any more.
async fn write(stream: &UnixStream, mut lines: mpsc::Receiver<Bytes>) -> io::Result<()> {
    while let Some(mut line) = lines.recv().await {
        while line.has_remaining() {
            stream.writable().await?;
            match stream.try_write(&line) {
                Ok(written) => line.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Waits until the other side has closed its end altogether: nobody is there to read an answer then. One that has closed its
/// sending side alone still is.
async fn gone(stream: &UnixStream) {
    loop {
        sleep(LOOK).await;
        match stream.ready(Interest::WRITABLE).await {
            Ok(ready) if !ready.is_write_closed() => {}
            _ => return,
        }
    }
}

async fn pass_over(stream: &UnixStream) {
    let mut nothing = [0; 4096];
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut nothing) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// Calls in flight on one connection; at so many reading pauses.
const IN_FLIGHT: usize = 256;
/// Lines that wait to be written.
const LINES: usize = 16;
/// So much is read at once, at least.
const READ: usize = 16 * 1024;
/// Between two looks whether a caller is still there.
const LOOK: Duration = Duration::from_millis(200);
/// How long a caller has to read its last answers.
const LINGER: Duration = Duration::from_secs(1);
