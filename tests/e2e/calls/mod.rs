//! The calls plane, seen from outside: functions are called over HTTP and over a Unix socket, and real handlers do the work.

mod access;
mod actors;
mod changes;
mod examples;
mod hellos;
mod http;
mod ipc;
mod pipelining;
mod proxy;
mod serving;
mod statuses;
mod streaming;
mod troubles;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::Path,
    sync::{Condvar, Mutex, MutexGuard},
    time::Duration,
};

use crate::harness::{Answer, Field, Plain, Sidecar, Value};

/// Functions whose handlers the tests play themselves, at `f.sock`.
const ONE: &str = "calls:
  listen: [ \"http://127.0.0.1:0\", \"ipc:calls.sock\" ]
  functions:
    - name: processData
      handler: { socket: f.sock, dialect: plain }
      timeout: 20s
      args:
        - name: input
          schema:
            type: object
            properties:
              records: { type: array, items: { type: object, properties: { id: { type: string } }, required: [ id ] } }
            required: [ records ]
            additionalProperties: false
";

/// Holds whoever waits until it is opened.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn pass(&self) {
        let is_shut = |open: &mut bool| !*open;
        let _open: MutexGuard<'_, bool> = self
            .1
            .wait_while(self.0.lock().expect("nobody panicked"), is_shut)
            .expect("nobody panicked");
    }

    fn open(&self) {
        *self.0.lock().expect("nobody panicked") = true;
        self.1.notify_all();
    }
}

/// An answer over HTTP.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    #[track_caller]
    fn json(&self) -> Value {
        assert!(self.body.ends_with('\n'), "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("JSON: {self:?}"))
    }
}

/// Sends a request and reads its answer to the end.
#[track_caller]
fn ask(sidecar: &Sidecar, method: &str, path: &str, headers: &[&str], body: &str) -> Reply {
    let mut stream = begin(sidecar, method, path, headers, body);
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer");
    reply(&bytes)
}

/// Sends a request, and reads nothing yet.
#[track_caller]
fn begin(sidecar: &Sidecar, method: &str, path: &str, headers: &[&str], body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(sidecar.calls()).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a timeout");
    let lines = headers.iter().fold(String::new(), |lines, line| lines + line + "\r\n");
    let length = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{length}{lines}\r\n{body}");
    // One that is refused by its head may not take the rest.
    let _ = stream.write_all(request.as_bytes());
    stream
}

/// Calls by a path.
#[track_caller]
fn post(sidecar: &Sidecar, path: &str, body: &str) -> Reply {
    ask(sidecar, "POST", path, &["Content-Type: application/json"], body)
}

/// Takes an answer apart.
#[track_caller]
fn reply(bytes: &[u8]) -> Reply {
    let text = String::from_utf8(bytes.to_vec()).expect("text");
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("a head: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Reply {
        status: status.expect("a status"),
        head: head.to_owned(),
        body: if is_chunked { unchunked(body) } else { body.to_owned() },
    }
}

fn unchunked(mut text: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            return whole;
        }
        whole.push_str(&rest[..size]);
        text = &rest[size + 2..];
    }
    panic!("the body broke off after {whole:?}")
}

/// A connection to the Unix socket.
struct Line {
    stream: BufReader<UnixStream>,
}

impl Line {
    #[track_caller]
    fn open(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("it listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a timeout");
        Self {
            stream: BufReader::new(stream),
        }
    }

    fn say(&mut self, text: &str) -> &mut Self {
        self.stream.get_mut().write_all(text.as_bytes()).expect("it takes them");
        self
    }

    /// The next line; null at the end.
    #[track_caller]
    fn hear(&mut self) -> Value {
        let text = self.hear_text();
        if text.is_empty() {
            return Value::Null;
        }
        assert!(text.ends_with('\n'), "{text:?}");
        serde_json::from_str(&text).expect("JSON")
    }

    fn hear_text(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a line");
        line
    }

    fn say_no_more(&mut self) {
        self.stream
            .get_ref()
            .shutdown(std::net::Shutdown::Write)
            .expect("half of it closes");
    }
}

/// A sidecar on a configuration, with a handler at `f.sock` that answers so.
#[track_caller]
fn with_handler(
    config: &str,
    answer: impl Fn(&crate::harness::Request) -> Answer + Send + Sync + 'static,
) -> (Field, Plain, Sidecar) {
    let field = Field::new(config);
    let handler = Plain::at(&field.path("f.sock"), answer);
    let sidecar = field.run();
    (field, handler, sidecar)
}

/// A body for `/invoke`.
fn invoke(function: &str, args: &str) -> String {
    format!(r#"{{"function":"{function}","args":{args}}}"#)
}
