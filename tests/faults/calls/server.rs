//! Services behind the proxy, on threads of the test: a good one, and one that has every fault.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::client::reset;
use crate::harness::wait_until;

/// A server; each connection has a thread.
pub(super) struct Server {
    address: SocketAddr,
    leaving: Arc<AtomicBool>,
    open: Arc<AtomicUsize>,
}

/// A request that came, to its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) body: Vec<u8>,
}

/// One of its connections.
pub(super) struct Wire {
    stream: BufReader<TcpStream>,
}

/// Bytes of a long answer.
pub(super) const LONG: usize = 4 << 20;
/// More than a head may have.
const MUCH: usize = 100 * 1024;

impl Server {
    /// Has `serve` answer each request, of which it is given the target; an error ends the connection.
    pub(super) fn start(serve: impl Fn(&mut Wire, &str) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::hearing(move |wire, request| serve(wire, &request.target))
    }

    /// The same with all of a request, once it is there to its end.
    pub(super) fn hearing(serve: impl Fn(&mut Wire, Request) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (leaving, open, serve) = (Arc::new(AtomicBool::new(false)), Arc::default(), Arc::new(serve));
        let server = Self {
            address,
            leaving: Arc::clone(&leaving),
            open: Arc::clone(&open),
        };
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if leaving.load(Ordering::SeqCst) {
                    return;
                }
                let (open, serve) = (Arc::clone(&open), Arc::clone(&serve));
                open.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    let mut wire = Wire {
                        stream: BufReader::new(stream),
                    };
                    while let Some(request) = wire.request() {
                        if serve(&mut wire, request).is_err() {
                            break;
                        }
                    }
                    drop(wire);
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        server
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until every connection of it has ended but those that wait for a next request: at most `left`.
    #[track_caller]
    pub(super) fn is_left(&self, left: usize) {
        wait_until("its connections have ended", || {
            (self.open.load(Ordering::SeqCst) <= left).then_some(())
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.leaving.store(true, Ordering::SeqCst);
        // Wakes the accept.
        drop(TcpStream::connect(self.address));
    }
}

impl Wire {
    /// The next request; none where it does not come to its end.
    fn request(&mut self) -> Option<Request> {
        let line = self.line()?;
        let mut words = line.split(' ');
        let mut request = Request {
            method: words.next()?.to_owned(),
            target: words.next()?.to_owned(),
            body: Vec::new(),
        };
        let (mut length, mut is_chunked) = (0, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(": ") {
                Some(("content-length", value)) => length = value.parse().ok()?,
                Some(("transfer-encoding", value)) => is_chunked = value == "chunked",
                _ if line.is_empty() => break,
                _ => {}
            }
        }
        if !is_chunked {
            self.take(length, &mut request.body)?;
            return Some(request);
        }
        loop {
            let size = usize::from_str_radix(&self.line()?, 16).ok()?;
            if size == 0 {
                // Trailers, and the empty line after them.
                loop {
                    let line = self.line()?.to_ascii_lowercase();
                    let (name, _) = line.split_once(':').unwrap_or((&line, ""));
                    match name {
                        "" => return Some(request),
                        // What has to do with framing stands in a head alone.
                        "content-length" | "transfer-encoding" | "host" => return None,
                        _ => {}
                    }
                }
            }
            self.take(size, &mut request.body)?;
            self.line().filter(String::is_empty)?;
        }
    }

    /// The next line, without its end.
    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).ok()?;
        let line = line.strip_suffix(b"\r\n")?;
        Some(line.iter().map(|byte| char::from(*byte)).collect())
    }

    fn take(&mut self, length: usize, body: &mut Vec<u8>) -> Option<()> {
        let taken = (&mut self.stream).take(length as u64).read_to_end(body).ok()?;
        (taken == length).then_some(())
    }

    pub(super) fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// Waits until the other side has closed.
    fn silence(&mut self) -> io::Result<()> {
        // Whether by an end or a reset.
        let _ = io::copy(&mut self.stream, &mut io::sink());
        end()
    }

    fn reset(&self) -> io::Result<()> {
        reset(self.stream.get_ref());
        end()
    }
}

/// The end of a connection.
fn end() -> io::Result<()> {
    Err(io::ErrorKind::ConnectionAborted.into())
}

/// Answers with the target, or with [`LONG`] bytes for `/good/long`.
pub(super) fn good(wire: &mut Wire, target: &str) -> io::Result<()> {
    let body = if target == "/good/long" {
        &LONG_BODY
    } else {
        target.as_bytes()
    };
    wire.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()))?;
    wire.say(body)
}

/// Bytes that tell where they stand.
pub(super) static LONG_BODY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    (0..LONG / 8)
        .flat_map(|number| format!("{number:07}\n").into_bytes())
        .collect()
});

/// Has the fault that the target names; see [`FAULTS`](super::upstreams::FAULTS).
pub(super) fn bad(wire: &mut Wire, target: &str) -> io::Result<()> {
    let with_length = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
    let in_chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    match target.rsplit('/').next().expect("a last part") {
        "silent" | "hold" => wire.silence(),
        "half-head" => {
            wire.say("HTTP/1.1 200 OK\r\nContent-")?;
            wire.silence()
        }
        "interims" => loop {
            wire.say("HTTP/1.1 102 Processing\r\n\r\n")?;
            // It is the upstream that takes its time.
            thread::sleep(PACE);
        },
        "reset" => wire.reset(),
        "reset-head" => {
            wire.say("HTTP/1.1 200 OK\r\nContent-")?;
            wire.reset()
        }
        "reset-body" => {
            wire.say(with_length)?;
            wire.say("abc")?;
            wire.reset()
        }
        "nothing" => end(),
        "stall" => {
            wire.say(with_length)?;
            wire.say("abc")?;
            wire.silence()
        }
        "stall-chunks" => {
            wire.say(in_chunks)?;
            wire.silence()
        }
        "short" => {
            wire.say(with_length)?;
            wire.say("abc")?;
            end()
        }
        "short-chunks" => {
            wire.say(in_chunks)?;
            end()
        }
        "bad-chunk" => {
            wire.say(in_chunks)?;
            wire.say("zz\r\n")?;
            wire.silence()
        }
        // What is too much looks like the answer to somebody else's request.
        "long" => {
            wire.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        }
        "endless" => {
            wire.say("HTTP/1.1 200 OK\r\n")?;
            loop {
                wire.say("X-More: of the same\r\n")?;
            }
        }
        "endless-line" => {
            wire.say("HTTP/1.1 200 OK\r\nX-More: ")?;
            loop {
                wire.say("and more ".repeat(100))?;
            }
        }
        "large" => {
            let more = "x".repeat(MUCH);
            wire.say(format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: {more}\r\n\r\nok"))?;
            wire.silence()
        }
        "ssh" => {
            wire.say("SSH-2.0-OpenSSH_9.9\r\n\r\n")?;
            wire.silence()
        }
        "tls" => {
            wire.say(b"\x15\x03\x01\0\x02\x02\x46\r\n\r\n")?;
            wire.silence()
        }
        "two-lengths" => {
            wire.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!")?;
            wire.silence()
        }
        "flow" => {
            wire.say(in_chunks)?;
            loop {
                wire.say("3\r\nabc\r\n".repeat(100))?;
            }
        }
        other => panic!("no fault is called {other}"),
    }
}

/// Between two words of an upstream that only ever says that it is at work.
const PACE: Duration = Duration::from_millis(50);
