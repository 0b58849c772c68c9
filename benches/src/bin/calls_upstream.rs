//! The service behind every proxy: `calls-upstream` listens on a free port of the loopback, which it prints, and answers
//! every request with the same kilobyte.
//!
//! One thread. Of a request only the end of its head is looked for: requests have no bodies.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
};

use benches::exchange;
use memchr::memmem::Finder;
use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    socket::{Backlog, listen},
};

struct Connection {
    stream: TcpStream,
    /// The beginning of a head.
    begun: Vec<u8>,
}

/// What the listener's event says; below it are the connections.
const LISTENER: u64 = u64::MAX;
/// Connections that may wait to be accepted: a proxy may open one for each of its clients at once.
const BACKLOG: i32 = 4096;

fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    // It listens already, but for fewer.
    listen(&listener, Backlog::new(BACKLOG)?)?;
    writeln!(io::stdout(), "{}", listener.local_addr()?.port())?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut events = [EpollEvent::empty(); 256];
    let mut buffer = vec![0; 64 << 10];
    let (end, answer) = (Finder::new(exchange::HEAD_END), exchange::answer());
    loop {
        let ready = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..ready] {
            if event.data() == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                let free = connections.iter().position(Option::is_none);
                let place = free.unwrap_or(connections.len());
                if place == connections.len() {
                    connections.push(None);
                }
                epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, place as u64))?;
                let begun = Vec::new();
                connections[place] = Some(Connection { stream, begun });
            } else {
                let place = usize::try_from(event.data())?;
                if let Some(connection) = &mut connections[place]
                    && !connection.serve(&mut buffer, &end, &answer)
                {
                    // Closing takes it out of the epoll.
                    connections[place] = None;
                }
            }
        }
    }
}

impl Connection {
    /// Answers what has come; `false` where the other end has closed.
    fn serve(&mut self, buffer: &mut [u8], end: &Finder<'_>, answer: &[u8]) -> bool {
        let before = self.begun.len();
        buffer[..before].copy_from_slice(&self.begun);
        let Ok(count @ 1..) = self.stream.read(&mut buffer[before..]) else {
            return false;
        };
        let came = &buffer[..before + count];
        let mut at = 0;
        while let Some(length) = end.find(&came[at..]) {
            at += length + exchange::HEAD_END.len();
            if self.stream.write_all(answer).is_err() {
                return false;
            }
        }
        self.begun.clear();
        self.begun.extend_from_slice(&came[at..]);
        true
    }
}
