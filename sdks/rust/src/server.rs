//! Listens, watches every connection for its peer's going, and stops in order.
//!
//! One loop, which never runs a handler; each connection has a thread. The first SIGTERM stops accepting and serves on
//! until the peers have closed; SIGINT ends idle connections and finishes what runs; any signal after that ends at once.

use std::{
    io::{self, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
    low_level::pipe,
};

use crate::{
    connection::{Connection, Parts},
    socket_file::SocketFile,
};

/// The listener's loop and its connections.
pub(crate) struct Server {
    parts: Arc<Parts>,
    open: Arc<Open>,
    /// Read where something rings.
    bell: UnixStream,
    /// The first signal that came; 0 for none.
    signal: Arc<AtomicUsize>,
}

/// The connections that are served.
struct Open {
    connections: Mutex<Vec<Arc<Connection>>>,
    ringer: UnixStream,
}

impl Server {
    /// Takes the signals; nothing listens yet.
    pub(crate) fn new(parts: Arc<Parts>) -> io::Result<Self> {
        let (bell, ringer) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ringer.set_nonblocking(true)?;
        let signal = Arc::new(AtomicUsize::new(0));
        let stopping = Arc::new(AtomicBool::new(false));
        for number in [SIGTERM, SIGINT] {
            // In this order: what the first signal sets is what the second one ends the process by.
            flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&stopping))?;
            flag::register(number, Arc::clone(&stopping))?;
            flag::register_usize(number, Arc::clone(&signal), number.unsigned_abs() as usize)?;
            pipe::register(number, ringer.try_clone()?)?;
        }
        Ok(Self {
            parts,
            open: Arc::new(Open {
                connections: Mutex::default(),
                ringer,
            }),
            bell,
            signal,
        })
    }

    /// Serves until a signal asks for the end and the last connection has gone.
    pub(crate) fn run(mut self, file: SocketFile) -> io::Result<()> {
        let mut file = Some(file);
        while file.is_some() || !self.open.connections().is_empty() {
            self.turn(file.as_ref())?;
            let signal = self.signal.load(Ordering::SeqCst);
            if signal != 0 && file.take().is_some() {
                self.stop(signal == SIGINT.unsigned_abs() as usize);
            }
        }
        Ok(())
    }

    /// Waits for one thing to happen: a new peer, a peer's end, a connection's end, a signal.
    fn turn(&mut self, file: Option<&SocketFile>) -> io::Result<()> {
        let watched = self.open.connections().clone();
        let mut polled = vec![PollFd::new(self.bell.as_fd(), PollFlags::POLLIN)];
        polled.extend(file.map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN)));
        let first = polled.len();
        // Only its end is of interest, and that is always told.
        polled.extend(watched.iter().map(|it| PollFd::new(it.as_fd(), PollFlags::empty())));
        match poll(&mut polled, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let happened: Vec<bool> = polled.iter().map(|it| it.any().unwrap_or_default()).collect();
        for (connection, _) in watched.iter().zip(&happened[first..]).filter(|(_, ended)| **ended) {
            self.open.remove(connection);
            connection.hang_up();
        }
        if happened[0] {
            let mut rung = [0; 64];
            // Where it reads nothing, what it rang for has been seen to.
            while self.bell.read(&mut rung).is_ok_and(|count| count == rung.len()) {}
        }
        if let Some(file) = file.filter(|_| happened[1]) {
            self.accept(file);
        }
        Ok(())
    }

    fn accept(&self, file: &SocketFile) {
        match file.accept() {
            Ok(stream) => self.serve(stream),
            Err(error) if matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) => {
                eprintln!("outrigger: too many open files, accepting no connection for now");
                self.wait_for_room();
            }
            // A peer that has gone again before it was taken in.
            Err(_) => {}
        }
    }

    fn serve(&self, stream: UnixStream) {
        let connection = Arc::new(Connection::new(stream, Arc::clone(&self.parts)));
        self.open.connections().push(Arc::clone(&connection));
        let (open, served) = (Arc::clone(&self.open), Arc::clone(&connection));
        let thread = thread::Builder::new().name("outrigger-connection".to_owned());
        let started = thread.spawn(move || {
            if let Err(error) = served.serve() {
                eprintln!("outrigger: a connection was given up: {error}");
            }
            open.remove(&served);
            open.ring();
        });
        if let Err(error) = started {
            eprintln!("outrigger: a connection was given up: {error}");
            self.open.remove(&connection);
        }
    }

    /// Until a connection ends, or a second has passed: somebody else may have closed a file.
    fn wait_for_room(&self) {
        let mut polled = [PollFd::new(self.bell.as_fd(), PollFlags::POLLIN)];
        // Whatever comes of it, the next turn looks again.
        let _ = poll(
            &mut polled,
            PollTimeout::try_from(Duration::from_secs(1)).unwrap_or(PollTimeout::ZERO),
        );
    }

    fn stop(&self, at_once: bool) {
        let left = self.open.connections().clone();
        if !left.is_empty() {
            eprintln!("outrigger: stopping when its {} connections are closed", left.len());
        }
        if at_once {
            for connection in left {
                connection.close_when_idle();
            }
        }
    }
}

impl Open {
    fn connections(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, connection: &Arc<Connection>) {
        self.connections().retain(|other| !Arc::ptr_eq(other, connection));
    }

    fn ring(&self) {
        // Where it takes no more it is ringing already.
        let _ = (&self.ringer).write(&[0]);
    }
}

const EMFILE: i32 = Errno::EMFILE as i32;
const ENFILE: i32 = Errno::ENFILE as i32;
