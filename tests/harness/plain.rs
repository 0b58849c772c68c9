//! Plain handlers on threads of the test, byte by byte: they can answer anything, and nothing.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
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
        let listener = UnixListener::bind(path).expect("a socket");
        let (leaving, requests) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let plain = Self {
            path: path.to_owned(),
            leaving: Arc::clone(&leaving),
            requests: Arc::clone(&requests),
        };
        let answer: Arc<dyn Fn(&Request) -> Answer + Send + Sync> = Arc::new(answer);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if leaving.load(Ordering::SeqCst) {
                    return;
                }
                let (answer, requests) = (Arc::clone(&answer), Arc::clone(&requests));
                thread::spawn(move || serve(stream, &requests, &*answer));
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

fn serve(mut stream: UnixStream, requests: &Mutex<Vec<Vec<u8>>>, answer: &dyn Fn(&Request) -> Answer) {
    while let Some(body) = frame(&mut stream) {
        let number = {
            let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
            requests.push(body.clone());
            requests.len()
        };
        let written = match answer(&Request { number, body }) {
            Answer::Frame(body) => {
                let mut frame = u32::try_from(body.len())
                    .expect("a short answer")
                    .to_be_bytes()
                    .to_vec();
                frame.extend(body);
                stream.write_all(&frame)
            }
            Answer::Raw(bytes) => {
                let _ = stream.write_all(&bytes);
                return;
            }
            Answer::Close => return,
            Answer::Silence => {
                let _ = stream.read_to_end(&mut Vec::new());
                return;
            }
        };
        if written.is_err() {
            return;
        }
    }
}

fn frame(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).ok()?;
    let mut body = vec![0; u32::from_be_bytes(head) as usize];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}
