//! A running `outrigger up` or `outrigger run`.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, ExitStatus},
    sync::OnceLock,
    time::Duration,
};

use serde_json::Value;

use super::{Signal, is_alive, signal, wait_until, within};

/// A process of the binary under test; killed where the test ends before it.
pub(crate) struct Sidecar {
    child: Child,
    log: PathBuf,
    /// Where it listens, once its log has said it: the log grows, and is not read anew for each question.
    admin: OnceLock<SocketAddr>,
    calls: OnceLock<SocketAddr>,
}

impl Sidecar {
    /// Starts it with everything it prints in `log`.
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Self {
        let file = File::create(&log).expect("a log");
        command.stderr(file.try_clone().expect("a second handle")).stdout(file);
        let child = command.spawn().expect("the binary starts");
        Self {
            child,
            log,
            admin: OnceLock::new(),
            calls: OnceLock::new(),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `/readyz` is green.
    #[track_caller]
    pub(crate) fn ready(&self) {
        wait_until("/readyz is green", || self.is_ready().then_some(()));
    }

    /// Whether `/readyz` is green.
    #[track_caller]
    pub(crate) fn is_ready(&self) -> bool {
        self.get("/readyz").0 == 200
    }

    /// The status and the body that the admin server answers.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path)
    }

    /// The status and the body that the admin server answers to a request without a body.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let address = self.admin();
        let mut stream = TcpStream::connect(address).expect("the admin server accepts");
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a timeout");
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("the request is written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), body.to_owned())
    }

    /// Where the admin server listens, as the log says it.
    #[track_caller]
    pub(crate) fn admin(&self) -> SocketAddr {
        *self.admin.get_or_init(|| {
            let address = wait_until("the log names the admin address", || {
                assert!(is_alive(self.pid()), "it ended while it started:\n{}", self.said());
                self.lines()
                    .iter()
                    .find_map(|line| Some(line["admin"].as_str()?.parse().ok()))
            });
            address.expect("an address")
        })
    }

    /// Where it takes calls over HTTP.
    #[track_caller]
    pub(crate) fn calls(&self) -> SocketAddr {
        *self.calls.get_or_init(|| {
            wait_until("the log names the address", || {
                self.lines().iter().find_map(|line| {
                    let address = line["address"].as_str()?.strip_prefix("http://")?;
                    (line["message"] == "taking calls").then(|| address.parse().ok())?
                })
            })
        })
    }

    /// The value of a counter or gauge of `/metrics`, spelt with its labels; 0 where it is not there yet.
    #[track_caller]
    pub(crate) fn metric(&self, sample: &str) -> i64 {
        let (_, text) = self.get("/metrics");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().expect("a whole number"))
    }

    /// Everything that it printed so far.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).expect("its log")).into_owned()
    }

    /// The lines of its log.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.said()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Sends it a signal.
    #[track_caller]
    pub(crate) fn signal(&self, which: Signal) {
        signal(self.pid(), which);
    }

    /// SIGKILL, and waits for its end.
    #[track_caller]
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// SIGTERM, and waits for its end.
    #[track_caller]
    pub(crate) fn stop(self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended(Duration::from_mins(1))
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ended(mut self, limit: Duration) -> ExitStatus {
        within(limit, "the sidecar has ended", || {
            self.child.try_wait().expect("its state")
        })
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            // Its folder may have gone before it.
            let said = String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned();
            let lines: Vec<&str> = said.lines().collect();
            let tail = lines[lines.len().saturating_sub(30)..].join("\n");
            eprintln!("--- process {} said at last:\n{tail}\n---", self.pid());
        }
    }
}
