//! The handler of every case: answers each frame with the same frame, and knows when each came.
//!
//! `hop-echo [--hold] SOCKET..` binds every socket and speaks the plain dialect: a length of four bytes, big-endian, and
//! that many bytes. One thread serves all connections as they become readable, one exchange at a time on each: a read,
//! a write. A frame that has begun is read and answered whole before the next connection's turn.
//!
//! Whoever started it asks on standard input and is answered on standard output, a line each; it ends with that input:
//!
//! | line | answer |
//! |---|---|
//! | (start) | `listening` |
//! | `go` | `going NOW`; with `--hold` nothing is read from a connection before |
//! | `await N` | `reached FIRST LAST` as soon as N requests have come: the moments of the first byte of the first and the last |
//! | `counts` | the number of requests of each socket |
//! | `stamps` | the moment of the first byte of every request |

use std::{
    env,
    io::{self, Read, Write},
    os::{
        fd::AsFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
};

use anyhow::{Context, bail, ensure};
use benches::clock;
use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    socket::{setsockopt, sockopt::SndBuf},
};

fn main() -> anyhow::Result<()> {
    let mut hold = false;
    let mut listeners = Vec::new();
    for word in env::args_os().skip(1) {
        if word == "--hold" {
            hold = true;
        } else {
            let path = Path::new(&word);
            let listener = UnixListener::bind(path);
            listeners.push(listener.with_context(|| format!("cannot bind {}", path.display()))?);
        }
    }
    ensure!(!listeners.is_empty(), "no socket was named");
    Echo::new(listeners, hold)?.run()
}

struct Echo {
    epoll: Epoll,
    listeners: Vec<UnixListener>,
    connections: Vec<Option<Connection>>,
    held: bool,
    counts: Vec<u64>,
    stamps: Vec<u64>,
    awaited: Option<usize>,
    commands: Vec<u8>,
    buffer: Vec<u8>,
}

struct Connection {
    stream: UnixStream,
    listener: usize,
}

/// What a listener's event says, its number added.
const LISTENERS: u64 = 1 << 32;
/// What standard input's event says; below the listeners are the connections.
const COMMANDS: u64 = 1 << 33;
/// Requests that are counted without another allocation.
const MANY: usize = 1 << 18;
/// What a socket may hold unread: the large frames need it.
const SOCKET_BUFFER: usize = 4 << 20;

impl Echo {
    fn new(listeners: Vec<UnixListener>, held: bool) -> anyhow::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let readable = |data| EpollEvent::new(EpollFlags::EPOLLIN, data);
        for (number, listener) in (0_u64..).zip(&listeners) {
            epoll.add(listener, readable(LISTENERS + number))?;
        }
        epoll.add(io::stdin(), readable(COMMANDS))?;
        Ok(Self {
            epoll,
            counts: vec![0; listeners.len()],
            listeners,
            connections: Vec::new(),
            held,
            stamps: Vec::with_capacity(MANY),
            awaited: None,
            commands: Vec::new(),
            buffer: vec![0; 64 << 10],
        })
    }

    fn run(mut self) -> anyhow::Result<()> {
        say("listening")?;
        let mut events = [EpollEvent::empty(); 128];
        loop {
            let ready = self.epoll.wait(&mut events, EpollTimeout::NONE)?;
            for event in &events[..ready] {
                match event.data() {
                    COMMANDS => {
                        if !self.listen()? {
                            return Ok(());
                        }
                    }
                    listener @ LISTENERS.. => self.accept(usize::try_from(listener - LISTENERS)?)?,
                    connection => self.exchange(usize::try_from(connection)?)?,
                }
            }
        }
    }

    fn accept(&mut self, listener: usize) -> anyhow::Result<()> {
        let (stream, _) = self.listeners[listener].accept()?;
        setsockopt(&stream, SndBuf, &SOCKET_BUFFER)?;
        let free = self.connections.iter().position(Option::is_none);
        let place = free.unwrap_or(self.connections.len());
        if place == self.connections.len() {
            self.connections.push(None);
        }
        if !self.held {
            self.watch(&stream, place)?;
        }
        self.connections[place] = Some(Connection { stream, listener });
        Ok(())
    }

    fn watch(&self, stream: &UnixStream, place: usize) -> anyhow::Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, place as u64);
        Ok(self.epoll.add(stream.as_fd(), event)?)
    }

    fn exchange(&mut self, place: usize) -> anyhow::Result<()> {
        let Some(connection) = &mut self.connections[place] else {
            return Ok(());
        };
        let came = clock::now();
        match echo(&mut connection.stream, &mut self.buffer) {
            Ok(true) => {
                self.counts[connection.listener] += 1;
                self.stamps.push(came);
                if self.awaited.is_some_and(|count| count <= self.stamps.len()) {
                    self.reached()?;
                }
            }
            // Closing takes it out of the epoll.
            Ok(false) | Err(_) => self.connections[place] = None,
        }
        Ok(())
    }

    fn reached(&mut self) -> anyhow::Result<()> {
        self.awaited = None;
        let moment = |stamp: Option<&u64>| stamp.copied().unwrap_or_default();
        let (first, last) = (moment(self.stamps.first()), moment(self.stamps.last()));
        say(&format!("reached {first} {last}"))
    }

    /// Reads commands; whether there may be more.
    fn listen(&mut self) -> anyhow::Result<bool> {
        let mut piece = [0; 512];
        let got = io::stdin().lock().read(&mut piece)?;
        self.commands.extend_from_slice(&piece[..got]);
        while let Some(end) = self.commands.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.commands.drain(..=end).collect();
            self.obey(String::from_utf8_lossy(&line).trim())?;
        }
        Ok(got > 0)
    }

    fn obey(&mut self, command: &str) -> anyhow::Result<()> {
        match command.split_once(' ').unwrap_or((command, "")) {
            ("go", _) => {
                self.held = false;
                let now = clock::now();
                for (place, connection) in self.connections.iter().enumerate() {
                    if let Some(connection) = connection {
                        self.watch(&connection.stream, place)?;
                    }
                }
                say(&format!("going {now}"))
            }
            ("await", count) => {
                let count = count.parse()?;
                self.awaited = Some(count);
                if self.stamps.len() >= count {
                    self.reached()?;
                }
                Ok(())
            }
            ("counts", _) => say(&in_words(&self.counts)),
            ("stamps", _) => say(&in_words(&self.stamps)),
            _ => bail!("no such command: {command}"),
        }
    }
}

/// One exchange; `false` where the other end has closed.
fn echo(stream: &mut UnixStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut got = stream.read(buffer)?;
    if got == 0 {
        return Ok(false);
    }
    while got < 4 {
        match stream.read(&mut buffer[got..])? {
            0 => return Ok(false),
            more => got += more,
        }
    }
    let length = u32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]);
    let whole = 4 + length as usize;
    if buffer.len() < whole {
        buffer.resize(whole, 0);
    }
    if got < whole {
        stream.read_exact(&mut buffer[got..whole])?;
    }
    stream.write_all(&buffer[..whole])?;
    Ok(true)
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn in_words(numbers: &[u64]) -> String {
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}
