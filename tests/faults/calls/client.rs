//! A caller over HTTP that knows whether the answer it got is whole.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use socket2::SockRef;

/// A connection.
pub(super) struct Client {
    stream: BufReader<TcpStream>,
}

/// An answer, as far as it came.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
    /// Whether the body has the end that its head promises: its length, or its last chunk.
    pub(super) is_whole: bool,
}

/// What hangs for longer is a failure, on however loaded a machine.
const PATIENCE: Duration = Duration::from_mins(2);

impl Client {
    #[track_caller]
    pub(super) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Sends these bytes, unless the connection has ended.
    pub(super) fn say(&mut self, text: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(text.as_ref())
    }

    /// Sends a request without a body.
    #[track_caller]
    pub(super) fn ask(&mut self, path: &str) {
        self.say(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .expect("it takes them");
    }

    /// Calls a function.
    #[track_caller]
    pub(super) fn call(&mut self, path: &str, argument: &str) {
        let length = argument.len();
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        self.say(head + argument).expect("it takes them");
    }

    /// The next answer that is no interim one; none where the connection ends without.
    #[track_caller]
    pub(super) fn answer(&mut self) -> Option<Answer> {
        let (status, head) = loop {
            let head = self.head()?;
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
            match status.unwrap_or_else(|| panic!("a status: {head:?}")) {
                100..200 => {}
                status => break (status, head),
            }
        };
        let mut answer = Answer {
            status,
            head,
            body: Vec::new(),
            is_whole: false,
        };
        let is_chunked = answer.header("transfer-encoding") == Some("chunked");
        let length = answer
            .header("content-length")
            .map(|length| length.parse().expect("a length"));
        let read = match length {
            _ if is_chunked => self.chunks(&mut answer.body),
            Some(length) => self.exactly(length, &mut answer.body),
            None => panic!("no end: {answer:?}"),
        };
        match read {
            Ok(()) => answer.is_whole = true,
            Err(error) => assert!(!is_timeout(&error), "it hangs: {answer:?}"),
        }
        Some(answer)
    }

    /// What comes up to and with the empty line.
    #[track_caller]
    pub(super) fn head(&mut self) -> Option<String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match self.stream.read_line(&mut head) {
                Ok(1..) => {}
                Err(error) if is_timeout(&error) => panic!("it hangs after {head:?}"),
                Ok(_) | Err(_) => break,
            }
        }
        assert!(head.is_empty() || head.ends_with("\r\n\r\n"), "half a head: {head:?}");
        (!head.is_empty()).then_some(head)
    }

    /// Whether something has come, or the end.
    pub(super) fn has_answer(&self) -> bool {
        let stream = self.stream.get_ref();
        stream.set_nonblocking(true).expect("a socket");
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false).expect("a socket");
        !peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// The connection ends, by whichever way, and nothing more comes.
    #[track_caller]
    pub(super) fn is_over(&mut self) {
        let mut more = Vec::new();
        if let Err(error) = self.stream.read_to_end(&mut more) {
            assert!(!is_timeout(&error), "it does not end");
        }
        assert!(more.is_empty(), "{:?}", String::from_utf8_lossy(&more));
    }

    /// A byte, if there is one.
    pub(super) fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).ok().map(|()| byte[0])
    }

    /// Reads on to the end of the connection, which is not the end of the body: it had no last chunk.
    #[track_caller]
    pub(super) fn breaks_off(&mut self) {
        let mut last = Vec::new();
        let mut part = vec![0; 64 * 1024];
        loop {
            match self.stream.read(&mut part) {
                Ok(0) => break,
                Ok(read) => {
                    last.extend_from_slice(&part[..read]);
                    last.drain(..last.len().saturating_sub(16));
                }
                Err(error) if is_timeout(&error) => panic!("it hangs"),
                Err(_) => break,
            }
        }
        assert!(
            !last.ends_with(b"0\r\n\r\n"),
            "a last chunk that the upstream never sent"
        );
    }

    /// So many bytes.
    pub(super) fn exactly(&mut self, length: usize, body: &mut Vec<u8>) -> io::Result<()> {
        let had = body.len();
        (&mut self.stream).take(length as u64).read_to_end(body)?;
        if body.len() - had < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let size = line
                .strip_suffix("\r\n")
                .and_then(|size| usize::from_str_radix(size, 16).ok());
            let size = size.ok_or(io::ErrorKind::UnexpectedEof)?;
            if size > 0 {
                self.exactly(size, body)?;
            }
            let mut end = Vec::new();
            self.exactly(2, &mut end)?;
            assert_eq!(end, b"\r\n", "a chunk has its end");
            if size == 0 {
                return Ok(());
            }
        }
    }

    /// Says that nothing more comes.
    pub(super) fn half_close(&self) {
        // It may have ended already.
        let _ = self.stream.get_ref().shutdown(Shutdown::Write);
    }

    /// Leaves without a farewell.
    pub(super) fn reset(self) {
        reset(self.stream.get_ref());
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// It is one of the proxy's errors.
    #[track_caller]
    pub(super) fn is_error(&self, status: u16, error: &str) {
        let wanted = (status, format!("{{\"error\":\"{error}\"}}"), true);
        assert_eq!((self.status, self.text(), self.is_whole), wanted, "{self:?}");
    }

    /// It is one of the functions' errors.
    #[track_caller]
    pub(super) fn is_code(&self, status: u16, code: &str) {
        let text = self.text();
        assert!(self.status == status && self.is_whole, "{status}: {self:?} {text}");
        assert!(text.contains(&format!("\"code\":\"{code}\"")), "{code}: {text}");
    }
}

/// Asks on a connection of its own.
#[track_caller]
pub(super) fn get(address: SocketAddr, path: &str) -> Answer {
    let mut client = Client::connect(address);
    client.ask(path);
    client.answer().expect("an answer")
}

/// Calls a function on a connection of its own.
#[track_caller]
pub(super) fn post(address: SocketAddr, path: &str, argument: &str) -> Answer {
    let mut client = Client::connect(address);
    client.call(path, argument);
    client.answer().expect("an answer")
}

/// The connection ends with a reset as soon as it is dropped.
pub(super) fn reset(stream: &TcpStream) {
    SockRef::from(stream)
        .set_linger(Some(Duration::ZERO))
        .expect("a socket");
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
