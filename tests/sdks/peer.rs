//! The sidecar's end of a connection, byte by byte.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use crate::harness::{Value, json};

/// A connection to a conformance handler.
pub(crate) struct Peer(UnixStream);

impl Peer {
    /// Connects and reads the hello.
    #[track_caller]
    pub(crate) fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("the handler accepts");
        // Far beyond what anything takes: a test that hangs is worse than one that fails.
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut peer = Self(stream);
        let (control, hello) = peer.frame().expect("a hello");
        assert!(control && hello["hello"]["protocol"] == 1, "{hello}");
        peer
    }

    /// Sends a meta for a function and its request.
    #[track_caller]
    pub(crate) fn call(&mut self, function: &str, payload: &Value) {
        self.control(&json!({"meta": {"id": "m", "actor": "a", "function": function, "attempt": 1, "headers": {}}}));
        self.request(payload);
    }

    /// Sends a request alone.
    #[track_caller]
    pub(crate) fn request(&mut self, payload: &Value) {
        self.write(0, payload);
    }

    /// Sends a control frame.
    #[track_caller]
    pub(crate) fn control(&mut self, body: &Value) {
        self.write(CONTROL, body);
    }

    /// The next frame, which has to be a reply.
    #[track_caller]
    pub(crate) fn reply(&mut self) -> Value {
        let (control, body) = self.frame().expect("a reply");
        assert!(!control, "{body}");
        body
    }

    /// Whether the handler has closed, once it says anything.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.0.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    #[track_caller]
    fn write(&mut self, flag: u32, body: &Value) {
        let body = body.to_string();
        let length = u32::try_from(body.len()).expect("a short frame") | flag;
        let frame = [&length.to_be_bytes(), body.as_bytes()].concat();
        self.0.write_all(&frame).expect("the handler reads");
    }

    fn frame(&mut self) -> io::Result<(bool, Value)> {
        let mut head = [0; 4];
        self.0.read_exact(&mut head)?;
        let head = u32::from_be_bytes(head);
        let mut body = vec![0; (head & !CONTROL) as usize];
        self.0.read_exact(&mut body)?;
        Ok((head & CONTROL != 0, serde_json::from_slice(&body)?))
    }
}

const CONTROL: u32 = 1 << 31;
const PATIENCE: Duration = Duration::from_mins(1);
