//! A collector's stand-in: takes what is posted, answers as it is told, and knows nothing of what it got. That is read
//! with the definitions that OpenTelemetry publishes.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{interpreter, wait_until};

/// A collector on a port of its own.
pub(crate) struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    posts: Mutex<Vec<Post>>,
    answer: Box<dyn Fn(usize) -> Reply + Send + Sync>,
    leaving: AtomicBool,
}

/// What was posted.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    /// The request line.
    pub(crate) line: String,
    /// By names in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// Whether it was answered with 200.
    pub(crate) taken: bool,
}

/// What the collector does with a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    /// 200 and an empty message.
    Take,
    /// This status, with other header lines.
    Status(u16, &'static str),
    /// 200 and these bytes.
    Say(&'static [u8]),
    /// Nothing, for as long as the collector lives.
    Hang,
    /// The end of the connection, without a word.
    Close,
}

impl Collector {
    /// Takes everything.
    pub(crate) fn new() -> Self {
        Self::answering(|_| Reply::Take)
    }

    /// Answers the n-th request, from 1, with what `answer` says.
    pub(crate) fn answering(answer: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            posts: Mutex::default(),
            answer: Box::new(answer),
            leaving: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if serving.leaving.load(Ordering::SeqCst) {
                    return;
                }
                let serving = Arc::clone(&serving);
                thread::spawn(move || serving.converse(stream));
            }
        });
        Self { address, shared }
    }

    /// Where it listens, as the base of all signals.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that was posted so far.
    pub(crate) fn posts(&self) -> Vec<Post> {
        self.shared.posts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until this many requests have come.
    #[track_caller]
    pub(crate) fn wait_for_posts(&self, count: usize) {
        wait_until(&format!("{count} requests at the collector"), || {
            (self.posts().len() >= count).then_some(())
        });
    }

    /// The spans that it took, in the order of their ends.
    #[track_caller]
    pub(crate) fn spans(&self) -> Vec<Value> {
        let taken = self.posts().into_iter().filter(|post| post.taken);
        let mut spans = decode(&taken.map(|post| post.body).collect::<Vec<_>>());
        spans.sort_by_key(|span| span["end"].as_u64());
        spans
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.shared.leaving.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn converse(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        while let Some(post) = read(&mut reader) {
            let number = {
                let mut posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
                posts.push(post);
                posts.len()
            };
            let (status, more, body): (u16, &str, &[u8]) = match (self.answer)(number) {
                Reply::Take => (200, "", b""),
                Reply::Say(body) => (200, "", body),
                Reply::Status(status, more) => (status, more, b"not now"),
                Reply::Close => return,
                Reply::Hang => {
                    // Until the other side gives up.
                    let _ = stream.read(&mut [0]);
                    return;
                }
            };
            if status == 200 {
                self.posts.lock().unwrap_or_else(PoisonError::into_inner)[number - 1].taken = true;
            }
            let head = format!("HTTP/1.1 {status} -\r\n{more}Content-Length: {}\r\n\r\n", body.len());
            if stream.write_all(&[head.as_bytes(), body].concat()).is_err() {
                return;
            }
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Post> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&bytes| bytes > 0)?;
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|&bytes| bytes > 0)?;
        let Some((name, value)) = header.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Post {
        line: line.trim_end().to_owned(),
        headers,
        body,
        taken: false,
    })
}

/// The spans of some request bodies.
#[track_caller]
fn decode(bodies: &[Vec<u8>]) -> Vec<Value> {
    let folder = TempDir::new().expect("a folder");
    let mut command = Command::new(environment());
    command.arg(SCRIPT).arg("decode").env("PYTHONDONTWRITEBYTECODE", "1");
    for (number, body) in bodies.iter().enumerate() {
        let path = folder.path().join(number.to_string());
        fs::write(&path, body).expect("a file can be written");
        command.arg(path);
    }
    let output = command.output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("an array")
}

/// A Python that has the definitions; made at its first use, and by `cargo xtask setup`.
fn environment() -> &'static Path {
    static MADE: OnceLock<std::path::PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/otlp");
        let made = Command::new(interpreter()).args([SCRIPT, "setup", folder]).status();
        assert!(
            made.is_ok_and(|status| status.success()),
            "cannot install opentelemetry-proto from PyPI into {folder}: run `cargo xtask setup` where the network is"
        );
        Path::new(folder).join("bin/python")
    })
}

/// What reads the bodies.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/harness/otlp.py");
