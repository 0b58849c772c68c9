//! A line to a broker that can be cut, delayed and stalled, byte by byte.
//!
//! Threads and blocking sockets: it must stay apart from the runtime of whoever it disturbs.

mod line;
mod state;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    ops::RangeInclusive,
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::Context;

use line::Line;
use state::State;

/// Passes connections on to a target until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

/// What happens to new connections, drawn from the seed: each is cut after a number of bytes, both ways together, and
/// each piece that passes is held for a while.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// The same seed and the same traffic make the same trouble.
    pub seed: u64,
    /// Bytes after which a connection is cut; the cut falls within a frame as readily as between two.
    pub bytes: RangeInclusive<u64>,
    /// The longest that a piece is held.
    pub delay: Duration,
}

impl Proxy {
    /// Listens on loopback, and passes everything on to `target`.
    ///
    /// # Errors
    /// Where it cannot listen.
    pub fn between(target: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if shared.is_over() {
                    return;
                }
                let Some(terms) = shared.admit() else {
                    state::reset(&client);
                    continue;
                };
                // A target that is not there is a connection that ends at once.
                let Ok(server) = TcpStream::connect(target) else {
                    state::reset(&client);
                    continue;
                };
                Line::open(client, server, terms, &shared);
            }
        });
        Ok(Self { address, state })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A broker's URL with this line in the place of its own address.
    ///
    /// # Panics
    /// Where it is no `amqp://` URL with a port.
    pub fn url(&self, broker: &str) -> String {
        let (scheme, rest) = broker.split_once("://").expect("a URL");
        let authority = rest.split(['/', '?']).next().expect("an authority");
        let login = authority.rsplit_once('@').map_or("", |(login, _)| login);
        let at = if login.is_empty() { "" } else { "@" };
        format!("{scheme}://{login}{at}{}{}", self.address, &rest[authority.len()..])
    }

    /// Cuts every connection that is open; new ones come through.
    pub fn cut(&self) {
        self.state.cut();
    }

    /// Cuts every connection, and refuses new ones until [`accept`](Self::accept).
    pub fn refuse(&self) {
        self.state.set_refusing(true);
        self.state.cut();
    }

    /// Takes new connections again.
    pub fn accept(&self) {
        self.state.set_refusing(false);
    }

    /// Lets nothing pass, with every connection open, until [`flow`](Self::flow): as a network does that is gone.
    pub fn stall(&self) {
        self.state.set_stalled(true);
    }

    /// Lets everything pass again, what was held first.
    pub fn flow(&self) {
        self.state.set_stalled(false);
    }

    /// Troubles connections that come from now on.
    pub fn trouble(&self, trouble: Trouble) {
        self.state.set_trouble(Some(trouble));
    }

    /// Leaves new connections alone; those that are open keep what was drawn for them.
    pub fn calm(&self) {
        self.state.set_trouble(None);
    }

    /// Connections that were cut so far, by hand or by trouble.
    pub fn cuts(&self) -> usize {
        self.state.cuts()
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.state.open()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.end();
        // Wakes the listening thread, which finds that it is over.
        let _ = TcpStream::connect(self.address);
    }
}
