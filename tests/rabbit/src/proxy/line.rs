//! One connection through the proxy.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use super::state::{State, Terms, reset};

/// Both ends; with the last thread that uses them they are closed.
#[derive(Debug)]
pub(super) struct Line {
    client: TcpStream,
    server: TcpStream,
    cut: AtomicBool,
    /// Bytes that may still pass, both ways together.
    left: AtomicU64,
}

/// Bytes of a piece.
const PIECE: usize = 16 << 10;
/// How long a write may block before it is asked whether the line has been cut.
const BLOCKED: Duration = Duration::from_millis(50);

impl Line {
    /// Passes bytes both ways, on threads of its own, until one side ends or it is cut.
    pub(super) fn open(client: TcpStream, server: TcpStream, terms: Terms, state: &Arc<State>) {
        for stream in [&client, &server] {
            // What is not possible is not there any more, and the threads will find that.
            let _ = stream.set_nodelay(true);
            let _ = stream.set_write_timeout(Some(BLOCKED));
        }
        let line = Arc::new(Self {
            client,
            server,
            cut: AtomicBool::new(false),
            left: AtomicU64::new(terms.bytes.unwrap_or(u64::MAX)),
        });
        state.add(Arc::downgrade(&line));
        for (place, seed) in terms.seeds.into_iter().enumerate() {
            let (line, state) = (Arc::clone(&line), Arc::clone(state));
            let mut random = fastrand::Rng::with_seed(seed);
            thread::spawn(move || {
                let (from, to) = match place {
                    0 => (&line.client, &line.server),
                    _ => (&line.server, &line.client),
                };
                line.pump(from, to, terms.delay, &mut random, &state);
            });
        }
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    /// Ends both sides; `false` where that was done before.
    pub(super) fn cut(&self) -> bool {
        let first = !self.cut.swap(true, Ordering::SeqCst);
        if first {
            reset(&self.client);
            reset(&self.server);
        }
        first
    }

    fn pump(&self, mut from: &TcpStream, to: &TcpStream, delay: Duration, random: &mut fastrand::Rng, state: &State) {
        let mut piece = [0; PIECE];
        loop {
            let got = match from.read(&mut piece) {
                Ok(0) => break,
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            if !delay.is_zero() {
                thread::sleep(delay.mul_f64(random.f64()));
            }
            state.pass(self);
            let allowed = self.take(got);
            if self.write(to, &piece[..allowed]).is_err() {
                break;
            }
            if allowed < got {
                return state.cut_one(self);
            }
        }
        // A half-close is passed on; what was cut says no more.
        if !self.is_cut() {
            let _ = to.shutdown(Shutdown::Write);
        }
    }

    /// How many of these bytes may still pass.
    fn take(&self, wanted: usize) -> usize {
        let wanted = wanted as u64;
        let update = |left: u64| Some(left.saturating_sub(wanted));
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, update);
        // A piece is small, so what is less than one is too.
        usize::try_from(left.unwrap_or_default().min(wanted)).unwrap_or_default()
    }

    fn write(&self, mut to: &TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() && !self.is_cut() {
            match to.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
