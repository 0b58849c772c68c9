//! Messages to a syslog server: over TCP in octet counting, over UDP, or into a datagram socket of this machine.
//!
//! The one rule: a batch has left when the system has taken all of it. What the system takes for a server that goes away in
//! that moment is lost, as syslog has no answer that would tell.

mod message;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, UdpSocket, UnixDatagram, lookup_host},
    time::timeout,
};

use super::{Capacity, Failure, Refusal, Sink};
use crate::{
    batch::Batch,
    config::{Destination, Syslog},
};
use message::Style;

/// Sends batches.
#[derive(Debug)]
pub(super) struct Messages {
    destination: Destination,
    style: Style,
    /// The largest datagram.
    most: usize,
    timeout: Duration,
    lines: usize,
    connection: Option<Connection>,
    /// Datagrams of the batch that failed, which have left: the same batch is tried next, and goes on behind them.
    sent: usize,
}

#[derive(Debug)]
enum Connection {
    Tcp(TcpStream),
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

/// What goes together, in bytes.
const BATCH: usize = 1 << 20;
/// What every receiver should take (RFC 5426, 3.2).
const UDP: usize = 2048;
const UNIX: usize = 1 << 16;
/// Where the system keeps the name of the machine.
const HOSTNAME: &str = "/proc/sys/kernel/hostname";

impl Messages {
    pub(super) fn new(config: &Syslog, lines: usize, folder: &Path) -> Result<Self, String> {
        let destination = match config.address.parse()? {
            Destination::Unix(path) => Destination::Unix(folder.join(path)),
            other => other,
        };
        let most = match destination {
            Destination::Tcp(_) => usize::MAX,
            Destination::Udp(_) => config.max_bytes.map_or(UDP, usize::from),
            Destination::Unix(_) => config.max_bytes.map_or(UNIX, usize::from),
        };
        let hostname = config.hostname.clone();
        let hostname = hostname.or_else(|| fs::read_to_string(HOSTNAME).ok());
        let is_local = matches!(destination, Destination::Unix(_));
        Ok(Self {
            style: Style::new(
                config.format,
                config.facility,
                hostname.as_deref().map(str::trim),
                is_local,
            ),
            destination,
            most,
            timeout: config.timeout.get(),
            lines,
            connection: None,
            sent: 0,
        })
    }

    /// Sends what of a batch has not left yet.
    async fn send(&mut self, batch: &Batch) -> Result<Vec<Refusal>, io::Error> {
        let connection = match self.connection.take() {
            Some(connection) if !connection.has_ended() => connection,
            _ => Connection::open(&self.destination).await?,
        };
        let mut refused = Vec::new();
        match &connection {
            Connection::Tcp(_) => {}
            Connection::Udp(_) | Connection::Unix(_) => {
                for (index, line) in batch.lines().enumerate().skip(self.sent) {
                    let datagram = self.style.message(line, self.most);
                    match connection.send(&datagram).await {
                        Ok(()) => {}
                        Err(error) if is_too_large(&error) => refused.push(Refusal {
                            lines: vec![index],
                            why: format!(
                                "a datagram of {} bytes is too large here: set `max_bytes`",
                                datagram.len()
                            ),
                        }),
                        Err(error) => return Err(error),
                    }
                    self.sent += 1;
                }
            }
        }
        let connection = match connection {
            Connection::Tcp(mut stream) => {
                let mut text = Vec::new();
                for line in batch.lines() {
                    let message = self.style.message(line, self.most);
                    text.extend_from_slice(format!("{} ", message.len()).as_bytes());
                    text.extend_from_slice(&message);
                }
                stream.write_all(&text).await?;
                Connection::Tcp(stream)
            }
            other => other,
        };
        self.connection = Some(connection);
        Ok(refused)
    }
}

#[async_trait]
impl Sink for Messages {
    fn capacity(&self) -> Capacity {
        Capacity {
            lines: self.lines,
            bytes: BATCH,
        }
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<Vec<Refusal>, Failure> {
        let patience = if self.timeout.is_zero() {
            Duration::MAX
        } else {
            self.timeout
        };
        let sent = match timeout(patience, self.send(batch)).await {
            Ok(sent) => sent,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        match sent {
            Ok(refused) => {
                self.sent = 0;
                Ok(refused)
            }
            Err(error) => {
                // What was begun on it cannot be ended on another.
                self.connection = None;
                Err(Failure::Away {
                    why: format!("cannot send to {}: {error}", Shown(&self.destination)),
                    after: None,
                })
            }
        }
    }

    async fn close(&mut self) {
        if let Some(Connection::Tcp(mut stream)) = self.connection.take() {
            let _ = timeout(self.timeout, stream.shutdown()).await;
        }
    }
}

impl Connection {
    async fn open(destination: &Destination) -> io::Result<Self> {
        match destination {
            Destination::Tcp(server) => {
                let stream = TcpStream::connect(server).await?;
                stream.set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }
            Destination::Udp(server) => {
                let server = lookup_host(server).await?.next();
                let server = server.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
                let own = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(own).await?;
                socket.connect(server).await?;
                Ok(Self::Udp(socket))
            }
            Destination::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                Ok(Self::Unix(socket))
            }
        }
    }

    /// Whether the server has closed it: what is written then is lost.
    fn has_ended(&self) -> bool {
        match self {
            Self::Tcp(stream) => {
                let mut scratch = [0; 512];
                loop {
                    match stream.try_read(&mut scratch) {
                        Ok(0) => return true,
                        // Nobody knows what it wants to say.
                        Ok(_) => {}
                        Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
                    }
                }
            }
            Self::Udp(_) | Self::Unix(_) => false,
        }
    }

    async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.send(datagram).await.map(drop),
            Self::Unix(socket) => socket.send(datagram).await.map(drop),
            Self::Tcp(_) => unreachable!("a stream has no datagrams"),
        }
    }
}

/// `EMSGSIZE`, which has no kind of its own.
fn is_too_large(error: &io::Error) -> bool {
    const EMSGSIZE: i32 = 90;
    error.raw_os_error() == Some(EMSGSIZE)
}

struct Shown<'a>(&'a Destination);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Destination::Tcp(server) => write!(f, "tcp://{server}"),
            Destination::Udp(server) => write!(f, "udp://{server}"),
            Destination::Unix(path) => write!(f, "{}", PathBuf::from(path).display()),
        }
    }
}

#[cfg(test)]
mod tests;
