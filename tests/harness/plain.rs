//! Handlers on threads of the test, byte by byte: they can answer anything, and nothing.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::wait_until;

/// A handler on threads of its own, one a connection.
pub(crate) struct Plain {
    path: PathBuf,
    leaving: Arc<AtomicBool>,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// One request.
pub(crate) struct Request {
    /// 1 for the first of all connections.
    pub(crate) number: usize,
    pub(crate) body: Vec<u8>,
}

/// What the handler does with a request.
pub(crate) enum Answer {
    /// One frame with these bytes.
    Frame(Vec<u8>),
    /// These bytes as they are, then the end of the connection.
    Raw(Vec<u8>),
    /// These bytes, each after this long; it is the handler that is slow.
    Slowly(Vec<Vec<u8>>, Duration),
    /// The end of the connection.
    Close,
    /// Nothing, until the other side closes.
    Silence,
}

impl Request {
    /// The request's JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("requests are JSON")
    }
}

impl Answer {
    /// One frame with this text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Frame(text.into().into_bytes())
    }
}

impl Plain {
    /// Answers every request at `path` with what `answer` says.
    pub(crate) fn at(path: &Path, answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(path, Greeting::None, Arc::new(answer))
    }

    /// The same, in protocol 1: says hello, answers pings, passes over what it is told of a request.
    pub(crate) fn protocol_one(path: &Path, answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(path, Greeting::Hello, Arc::new(answer))
    }

    fn start(path: &Path, greeting: Greeting, answer: Arc<dyn Fn(&Request) -> Answer + Send + Sync>) -> Self {
        let listener = UnixListener::bind(path).expect("a socket");
        let (leaving, requests) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let plain = Self {
            path: path.to_owned(),
            leaving: Arc::clone(&leaving),
            requests: Arc::clone(&requests),
        };
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if leaving.load(Ordering::SeqCst) {
                    return;
                }
                let (answer, requests) = (Arc::clone(&answer), Arc::clone(&requests));
                thread::spawn(move || serve(stream, greeting, &requests, &*answer));
            }
        });
        plain
    }

    /// Answers every request with itself.
    pub(crate) fn echo(path: &Path) -> Self {
        Self::at(path, |request| Answer::Frame(request.body.clone()))
    }

    /// The bodies of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests
            .iter()
            .map(|body| String::from_utf8_lossy(body).into_owned())
            .collect()
    }

    /// Waits until this many requests have come.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) {
        wait_until(&format!("{count} requests"), || {
            (self.requests().len() >= count).then_some(())
        });
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.leaving.store(true, Ordering::SeqCst);
        // Wakes the accept.
        drop(UnixStream::connect(&self.path));
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What a handler says when a connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Greeting {
    None,
    Hello,
}

/// Marks a control frame.
const CONTROL: u32 = 1 << 31;

/// One connection, until either side has enough.
fn serve(
    mut stream: UnixStream,
    greeting: Greeting,
    requests: &Mutex<Vec<Vec<u8>>>,
    answer: &dyn Fn(&Request) -> Answer,
) -> Option<()> {
    if greeting == Greeting::Hello {
        write(
            &mut stream,
            CONTROL,
            br#"{"hello":{"protocol":1,"functions":[{"name":"f"}]}}"#,
        )?;
    }
    loop {
        let body = request(&mut stream)?;
        let number = {
            let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
            requests.push(body.clone());
            requests.len()
        };
        match answer(&Request { number, body }) {
            Answer::Frame(body) => write(&mut stream, 0, &body)?,
            Answer::Raw(bytes) => return stream.write_all(&bytes).ok(),
            Answer::Slowly(pieces, pause) => {
                for piece in pieces {
                    thread::sleep(pause);
                    stream.write_all(&piece).ok()?;
                }
            }
            Answer::Close => return None,
            Answer::Silence => return stream.read_to_end(&mut Vec::new()).ok().map(|_| ()),
        }
    }
}

/// The next request; pings on the way are answered.
fn request(stream: &mut UnixStream) -> Option<Vec<u8>> {
    loop {
        let mut head = [0; 4];
        stream.read_exact(&mut head).ok()?;
        let word = u32::from_be_bytes(head);
        let mut body = vec![0; (word & !CONTROL) as usize];
        stream.read_exact(&mut body).ok()?;
        if word & CONTROL == 0 {
            return Some(body);
        }
        if let Some(number) = body.strip_prefix(br#"{"ping":"#) {
            write(stream, CONTROL, &[br#"{"pong":"#, number].concat())?;
        }
    }
}

fn write(stream: &mut UnixStream, flag: u32, body: &[u8]) -> Option<()> {
    let length = u32::try_from(body.len()).expect("a short answer") | flag;
    stream.write_all(&[&length.to_be_bytes(), body].concat()).ok()
}
