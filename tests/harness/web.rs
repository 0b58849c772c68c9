//! HTTP handlers on threads of the test, byte by byte: they can answer anything that is no HTTP, and nothing.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::wait_until;

/// A server on threads of its own, one a connection.
pub(crate) struct Web {
    address: String,
    wake: Wake,
    leaving: Arc<AtomicBool>,
    asked: Arc<Mutex<Vec<Asked>>>,
    ended: Arc<AtomicBool>,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// 1 for the first of all connections.
    pub(crate) number: usize,
    /// 1 for the first connection.
    pub(crate) connection: usize,
    /// The request line and the headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// What the server does with a request.
pub(crate) enum Said {
    /// These bytes, and another request may follow.
    Kept(Vec<u8>),
    /// These bytes, then the end of the connection.
    Last(Vec<u8>),
    /// These pieces, each after this long; it is the server that is slow.
    Slowly(Vec<Vec<u8>>, Duration),
    /// The end of the connection.
    Close,
    /// Nothing, until the other side closes.
    Silence,
}

enum Wake {
    Tcp(SocketAddr),
    Unix(std::path::PathBuf),
}

type Answering = dyn Fn(&Asked) -> Said + Send + Sync;

impl Asked {
    /// The value of a header; its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

impl Said {
    /// A status with a body in JSON.
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::with(status, &["Content-Type: application/json"], body)
    }

    /// A status with these header lines and a body.
    pub(crate) fn with(status: u16, headers: &[&str], body: &str) -> Self {
        let lines = headers.iter().fold(String::new(), |lines, line| lines + line + "\r\n");
        let length = body.len();
        Self::Kept(format!("HTTP/1.1 {status} Said\r\n{lines}Content-Length: {length}\r\n\r\n{body}").into_bytes())
    }
}

impl Web {
    /// Answers on a free port.
    pub(crate) fn on_port(answer: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        Self::on(listener, Arc::new(answer))
    }

    /// Answers on this port, which was seen to be free.
    pub(crate) fn on_this_port(port: u16, answer: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        Self::on(listener, Arc::new(answer))
    }

    fn on(listener: TcpListener, answer: Arc<Answering>) -> Self {
        let address = listener.local_addr().expect("an address");
        let web = Self::unstarted(format!("http://{address}"), Wake::Tcp(address), answer);
        let serving = web.serving();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let reader = stream.try_clone().expect("a second handle");
                if !serving(Box::new(reader), Box::new(stream)) {
                    return;
                }
            }
        });
        web.0
    }

    /// Answers on a Unix socket.
    pub(crate) fn on_socket(path: &Path, answer: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(path).expect("a socket");
        let address = format!("http+unix://{}", path.display());
        let web = Self::unstarted(address, Wake::Unix(path.to_owned()), Arc::new(answer));
        let serving = web.serving();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let reader = stream.try_clone().expect("a second handle");
                if !serving(Box::new(reader), Box::new(stream)) {
                    return;
                }
            }
        });
        web.0
    }

    fn unstarted(address: String, wake: Wake, answer: Arc<Answering>) -> Unstarted {
        let web = Self {
            address,
            wake,
            leaving: Arc::default(),
            asked: Arc::default(),
            ended: Arc::default(),
        };
        Unstarted(web, answer)
    }

    /// Its address, for a configuration.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until this many requests have come.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) {
        wait_until(&format!("{count} requests"), || {
            (self.asked().len() >= count).then_some(())
        });
    }

    /// Waits until the other side has closed a connection on which nothing was answered.
    #[track_caller]
    pub(crate) fn wait_for_the_end(&self) {
        wait_until("the connection was closed", || {
            self.ended.load(Ordering::SeqCst).then_some(())
        });
    }
}

struct Unstarted(Web, Arc<Answering>);

impl Unstarted {
    /// What is done with each connection; false when the server is leaving.
    fn serving(&self) -> impl Fn(Box<dyn Read + Send>, Box<dyn Write + Send>) -> bool + Send + use<> {
        let (leaving, asked, ended) = (self.0.leaving.clone(), self.0.asked.clone(), self.0.ended.clone());
        let (answer, connections) = (Arc::clone(&self.1), std::sync::atomic::AtomicUsize::new(0));
        move |reader, writer| {
            if leaving.load(Ordering::SeqCst) {
                return false;
            }
            let connection = connections.fetch_add(1, Ordering::SeqCst) + 1;
            let (answer, asked, ended) = (answer.clone(), asked.clone(), ended.clone());
            thread::spawn(move || {
                let mut reader = BufReader::new(reader);
                serve(&mut reader, writer, connection, &asked, &*answer, &ended)
            });
            true
        }
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.leaving.store(true, Ordering::SeqCst);
        // Wakes the accept.
        match &self.wake {
            Wake::Tcp(address) => drop(TcpStream::connect(address)),
            Wake::Unix(path) => {
                drop(UnixStream::connect(path));
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// One connection, until either side has enough.
fn serve(
    reader: &mut BufReader<Box<dyn Read + Send>>,
    mut writer: Box<dyn Write + Send>,
    connection: usize,
    asked: &Mutex<Vec<Asked>>,
    answer: &Answering,
    ended: &AtomicBool,
) -> Option<()> {
    loop {
        let (head, body) = request(reader)?;
        let request = {
            let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            let request = Asked {
                number: asked.len() + 1,
                connection,
                head,
                body,
            };
            asked.push(request.clone());
            request
        };
        match answer(&request) {
            Said::Kept(bytes) => writer.write_all(&bytes).ok()?,
            Said::Last(bytes) => return writer.write_all(&bytes).ok(),
            Said::Slowly(pieces, pause) => {
                for piece in pieces {
                    thread::sleep(pause);
                    writer.write_all(&piece).ok()?;
                }
            }
            Said::Close => return None,
            Said::Silence => {
                let _ = reader.read_to_end(&mut Vec::new());
                ended.store(true, Ordering::SeqCst);
                return None;
            }
        }
    }
}

fn request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}
