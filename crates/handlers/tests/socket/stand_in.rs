//! Hand-written handlers, one thread a connection, that speak bytes and nothing of the crate under test.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use handlers::{Call, Dialect, Handler, HandlerError, SocketHandler, SocketOptions};
use wire::{Input, Interim, Json, Reply};

/// A handler on a thread of its own.
pub(crate) struct StandIn {
    path: PathBuf,
    dir: Option<tempfile::TempDir>,
    accepted: Arc<AtomicUsize>,
    leaving: Arc<AtomicBool>,
    seen: Receiver<String>,
}

/// One accepted connection.
pub(crate) struct Peer {
    pub(crate) stream: UnixStream,
    /// 1 for the first.
    pub(crate) number: usize,
    seen: SyncSender<String>,
}

impl StandIn {
    /// Serves each connection with `serve`, in a directory of its own.
    pub(crate) fn new(serve: impl Fn(Peer) + Send + Sync + 'static) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut stand_in = Self::at(&dir.path().join("handler.sock"), serve);
        stand_in.dir = Some(dir);
        stand_in
    }

    /// Serves each connection with `serve`, at a path of the test's.
    pub(crate) fn at(path: &Path, serve: impl Fn(Peer) + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(path).expect("a socket");
        let accepted = Arc::new(AtomicUsize::new(0));
        let leaving = Arc::new(AtomicBool::new(false));
        let (tell, seen) = sync_channel(1000);
        let (counter, left, serve) = (Arc::clone(&accepted), Arc::clone(&leaving), Arc::new(serve));
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if left.load(Ordering::SeqCst) {
                    return;
                }
                let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
                let peer = Peer {
                    stream,
                    number,
                    seen: tell.clone(),
                };
                let serve = Arc::clone(&serve);
                thread::spawn(move || serve(peer));
            }
        });
        Self {
            path: path.to_owned(),
            dir: None,
            accepted,
            leaving,
            seen,
        }
    }

    /// Answers every request with itself, as a bare result.
    pub(crate) fn echo() -> Self {
        Self::new(|mut peer| {
            while let Some(request) = peer.request() {
                peer.reply(&request);
            }
        })
    }

    pub(crate) fn options(&self) -> SocketOptions {
        SocketOptions {
            timeout: None,
            ..SocketOptions::new(&self.path)
        }
    }

    pub(crate) fn handler(&self) -> SocketHandler {
        SocketHandler::new(self.options())
    }

    /// Plain for certain, so that nothing waits for a hello.
    pub(crate) fn plain(&self) -> SocketHandler {
        SocketHandler::new(SocketOptions {
            dialect: Dialect::Plain,
            ..self.options()
        })
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// The next thing that a connection told.
    pub(crate) fn seen(&self) -> String {
        self.seen
            .recv_timeout(Duration::from_secs(10))
            .expect("the stand-in tells something")
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.leaving.store(true, Ordering::SeqCst);
        // Wakes the accept; where the socket is gone it fails, and so does the accept.
        drop(UnixStream::connect(&self.path));
    }
}

impl Peer {
    /// The next frame: whether it is a control frame, and its body; `None` at the end.
    pub(crate) fn frame(&mut self) -> Option<(bool, Vec<u8>)> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head).ok()?;
        let word = u32::from_be_bytes(head);
        let mut body = vec![0; (word & 0x7fff_ffff) as usize];
        self.stream.read_exact(&mut body).ok()?;
        Some((word & 0x8000_0000 != 0, body))
    }

    /// The next frame, which has to be a request.
    pub(crate) fn request(&mut self) -> Option<Vec<u8>> {
        let (control, body) = self.frame()?;
        assert!(!control, "a plain handler is sent no control frame");
        Some(body)
    }

    pub(crate) fn reply(&mut self, body: impl AsRef<[u8]>) {
        self.send(0, body.as_ref());
    }

    pub(crate) fn control(&mut self, body: &str) {
        self.send(0x8000_0000, body.as_bytes());
    }

    pub(crate) fn hello(&mut self) {
        self.control(r#"{"hello":{"protocol":1,"functions":[{"name":"clean"}]}}"#);
    }

    /// Bytes as they are; a peer that has gone does not matter.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub(crate) fn tell(&self, what: impl Into<String>) {
        self.seen.send(what.into()).expect("the test listens");
    }

    /// Tells when the other end has closed, and what came before that.
    pub(crate) fn tell_the_end(&mut self) {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest);
        self.tell(format!("closed after {} bytes", rest.len()));
    }

    fn send(&mut self, flag: u32, body: &[u8]) {
        let length = u32::try_from(body.len()).expect("a short body") | flag;
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend_from_slice(body);
        self.raw(&frame);
    }
}

/// A call with this body.
pub(crate) fn call(body: impl Into<Bytes>) -> Call {
    Call {
        id: "m1".to_owned(),
        actor: "clean".to_owned(),
        package: None,
        function: None,
        attempt: 1,
        deadline: None,
        headers: Json::null(),
        input: Input::Payload,
        body: body.into(),
    }
}

/// One exchange, its interim frames not looked at.
pub(crate) async fn ask(handler: &SocketHandler, body: impl Into<Bytes>) -> Result<Reply, HandlerError> {
    handler.call(&call(body), &mut |_| {}).await
}

/// One exchange and its interim frames.
pub(crate) async fn follow(handler: &SocketHandler, body: &'static str) -> (Vec<Interim>, Result<Reply, HandlerError>) {
    let mut interims = Vec::new();
    let reply = handler.call(&call(body), &mut |interim| interims.push(interim)).await;
    (interims, reply)
}

/// The reply whose result is this text.
pub(crate) fn done(result: &'static str) -> Reply {
    Reply::Done(Some(Json::parse(Bytes::from_static(result.as_bytes())).expect("JSON")))
}
