//! Asks the admin address of a running process.
//!
//! A connection for each question: they are few, and the process may be another one at the next.

use std::time::Duration;

use bytes::Bytes;
use chassis::lifecycle::{Drain, Scoped};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, body::Incoming, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::{net::TcpStream, time::timeout};
use wire::Problem;

use crate::exit::{Code, Failure};

/// The admin address of a process.
#[derive(Debug)]
pub struct Admin {
    address: String,
    drain: Drain,
}

/// An answer whose body comes.
#[derive(Debug)]
pub struct Answer {
    body: Incoming,
    address: String,
    _driver: Scoped,
}

/// How long the beginning of an answer may take.
const HEAD: Duration = Duration::from_secs(10);
/// How long the rest of one may take that ends.
const BODY: Duration = Duration::from_mins(1);
/// The largest body that is read as a whole.
const LARGEST: usize = 512 << 20;

impl Admin {
    /// A process by its `host:port`.
    pub fn new(address: &str) -> Result<Self, Failure> {
        let bare = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
        let port = bare.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        match port {
            Some(1..) => Ok(Self {
                address: bare.to_owned(),
                drain: Drain::new(),
            }),
            Some(0) => {
                let failure = Failure::new(Code::Usage, "the admin address of the configuration is any free port");
                Err(failure.help("name the one that it took, which its log says, with `--admin HOST:PORT`"))
            }
            None => {
                let failure = Failure::new(Code::Usage, format!("`{address}` is no address"));
                Err(failure.help("write it as HOST:PORT, as in `--admin 127.0.0.1:17001`"))
            }
        }
    }

    /// The address, for messages.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Asks for a path and waits for the beginning of the answer.
    ///
    /// # Errors
    /// Nobody answers, or with something else than 200.
    pub async fn get(&self, path: &str) -> Result<Answer, Failure> {
        let (head, answer) = match timeout(HEAD, self.ask(path)).await {
            Ok(asked) => asked?,
            Err(_) => return Err(self.unavailable(format!("no answer within {} s", HEAD.as_secs()))),
        };
        if head.status == 200 {
            return Ok(answer);
        }
        let status = head.status.as_u16();
        let body = answer.bytes().await.unwrap_or_default();
        Err(self.refused(status, &serde_json::from_slice(&body).unwrap_or_default()))
    }

    async fn ask(&self, path: &str) -> Result<(hyper::http::response::Parts, Answer), Failure> {
        let stream = TcpStream::connect(&self.address)
            .await
            .map_err(|error| self.unavailable(error))?;
        let foreign = |error: hyper::Error| self.foreign(error);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(foreign)?;
        let driver = self.drain.spawn("admin connection", async move {
            // Whoever waits for an answer is told of it.
            let _ = connection.await;
        });
        let request = Request::get(path)
            .header(HOST, &self.address)
            .body(Empty::<Bytes>::new())
            .map_err(|error| Failure::new(Code::Usage, format!("`{path}` cannot be asked for")).because(error))?;
        let (head, body) = sender.send_request(request).await.map_err(foreign)?.into_parts();
        let answer = Answer {
            body,
            address: self.address.clone(),
            _driver: driver.scoped(),
        };
        Ok((head, answer))
    }

    /// The process has no telemetry plane.
    pub fn without_signals(&self) -> Failure {
        let message = format!("the process at {} takes no signals", self.address);
        Failure::new(Code::Unavailable, message)
            .help("add `signals` to its configuration, or name another process with `--admin HOST:PORT`")
    }

    /// The process does not speak as one of ours.
    pub fn foreign(&self, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
        let message = format!("what answers at {} is no admin address of Outrigger", self.address);
        let failure = Failure::new(Code::Protocol, message).because(why);
        failure.help("name the right one with `--admin HOST:PORT`")
    }

    fn unavailable(&self, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
        let failure = Failure::new(Code::Unavailable, format!("nothing answers at {}", self.address)).because(why);
        failure.help("start it with `outrigger run` or `up`, or name another address with `--admin HOST:PORT`")
    }

    fn refused(&self, status: u16, problem: &Problem) -> Failure {
        let said = || problem.detail.clone().unwrap_or_else(|| problem.title.clone());
        match problem.code.as_str() {
            "unknown_trace" => Failure::new(Code::NoInput, said()),
            "bad_filter" => Failure::new(Code::Usage, said()),
            "too_many_watchers" => Failure::new(Code::Unavailable, said()),
            "not_found" => self.without_signals(),
            _ => self.foreign(format!("it answered with {status} {}", said())),
        }
    }
}

impl Answer {
    /// The whole body.
    pub async fn bytes(self) -> Result<Bytes, Failure> {
        let address = self.address.clone();
        let broke = |error: Box<dyn std::error::Error + Send + Sync>| broke(&address).because(error);
        match timeout(BODY, Limited::new(self.body, LARGEST).collect()).await {
            Ok(read) => Ok(read.map_err(broke)?.to_bytes()),
            Err(_) => Err(broke("it takes too long".into())),
        }
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| broke(&self.address).because(error))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

fn broke(address: &str) -> Failure {
    Failure::new(Code::Unavailable, format!("the answer of {address} broke off"))
}

/// A text as a part of a path or a query.
pub fn quoted(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_that_one_can_connect_to() {
        for (given, address) in [("127.0.0.1:17001", "127.0.0.1:17001"), ("http://[::1]:80/", "[::1]:80")] {
            assert_eq!(Admin::new(given).unwrap().address(), address);
        }
        for given in ["127.0.0.1:0", "localhost", "a:b", ""] {
            assert_eq!(Admin::new(given).unwrap_err().code, Code::Usage, "{given}");
        }
    }

    #[test]
    fn an_id_of_any_kind_is_one_part_of_a_path() {
        assert_eq!(quoted("a/b c?ü").to_string(), "a%2Fb%20c%3F%C3%BC");
    }
}
