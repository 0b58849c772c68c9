//! One connection: the connect, the greeting, the ping.

use std::io;

use bytes::Bytes;
use tokio::{
    net::UnixStream,
    time::{Instant, timeout_at},
};
use tracing::{debug, warn};
use wire::{Control, FromHandler, Header, ToHandler};

use super::{
    connect,
    options::Dialect,
    peer::{Expect, Peer},
    reader::{Filled, Incoming, Reader},
    writer,
};
use crate::{BadAnswer, trouble::Trouble};

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: UnixStream,
    pub(super) reader: Reader,
    pub(super) speaks: Speaks,
    /// Whether another exchange may follow on it.
    pub(super) reusable: bool,
    /// Whether its buffers have been made large.
    pub(super) wide: bool,
    /// What goes in front of the request; kept for its memory.
    pub(super) head: Vec<u8>,
    pings: u64,
}

/// What the other end of a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    /// Nothing has been heard, since then.
    Unknown(Instant),
    Plain,
    One,
}

impl Connection {
    /// Connects.
    ///
    /// # Cancellation
    /// Dropping the future closes the connection.
    pub(super) async fn open(peer: &Peer) -> io::Result<Self> {
        let stream = connect::to(&peer.options.path, peer.options.patience)
            .await
            .inspect_err(|error| {
                if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) {
                    peer.is_gone();
                }
            })?;
        Ok(Self {
            stream,
            reader: Reader::new(peer.options.max_frame),
            speaks: Speaks::Unknown(Instant::now()),
            reusable: true,
            wide: false,
            head: Vec::new(),
            pings: 0,
        })
    }

    /// Looks at a connection that has been idle, without waiting: false when it is of no more use.
    pub(super) fn is_usable(&mut self, peer: &Peer) -> bool {
        loop {
            match self.reader.fill(&self.stream) {
                Filled::Some if self.reader.has_room() => {}
                Filled::Some | Filled::Nothing => break,
                Filled::End(_) => return false,
            }
        }
        loop {
            let trouble = match self.reader.ready() {
                Ok(Some(Incoming::Control(body))) => match self.heard(&body, peer) {
                    Ok(_) => continue,
                    Err(trouble) => trouble,
                },
                Ok(None) if self.reader.is_empty() || self.reader.is_within_control() => return true,
                Ok(Some(Incoming::Data(_)) | None) => Trouble::Bad(BadAnswer::Unasked),
                Err(error) => error.trouble(Trouble::Unwritten),
            };
            warn!(handler = %peer.options.path.display(), ?trouble, "bytes that nobody had asked for, connection closed");
            return false;
        }
    }

    /// Settles what the other end speaks, before the first request: see the rule in the module's own words.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub(super) async fn greet(&mut self, peer: &Peer) -> Result<(), Trouble> {
        let Speaks::Unknown(since) = self.speaks else {
            return Ok(());
        };
        let until = match peer.expect() {
            Expect::Silence => {
                self.speaks = Speaks::Plain;
                return Ok(());
            }
            Expect::Hello => Instant::now() + peer.options.patience,
            Expect::Either => since + peer.options.hello_grace,
        };
        while matches!(self.speaks, Speaks::Unknown(_)) {
            match timeout_at(until, self.reader.next(&self.stream)).await {
                Ok(Ok(Incoming::Control(body))) => {
                    self.heard(&body, peer)?;
                }
                Ok(Ok(Incoming::Data(_))) => return Err(Trouble::Bad(BadAnswer::Unasked)),
                Ok(Err(error)) => return Err(error.trouble(Trouble::Unwritten)),
                Err(_) if peer.expect() == Expect::Hello && !peer.is_another() => {
                    return Err(Trouble::Mute(peer.options.patience));
                }
                Err(_) => {
                    peer.was_silent();
                    self.speaks = Speaks::Plain;
                }
            }
        }
        Ok(())
    }

    /// Asks for a sign of life and waits for it; for protocol 1.
    ///
    /// # Cancellation
    /// Dropping the future leaves a ping unanswered: the connection is to be closed.
    pub(super) async fn ping(&mut self, peer: &Peer) -> Result<(), Trouble> {
        self.pings += 1;
        let number = self.pings;
        self.head.clear();
        put_control(&mut self.head, &ToHandler::Ping(number));
        let until = Instant::now() + peer.options.patience;
        let answer = async {
            writer::write(&self.stream, &mut self.reader, &self.head, &[])
                .await
                .map_err(Trouble::Unwritten)?;
            loop {
                match self.reader.next(&self.stream).await {
                    Ok(Incoming::Control(body)) => match heard(&mut self.speaks, &body, peer)? {
                        Some(pong) if pong == number => return Ok(()),
                        _ => {}
                    },
                    Ok(Incoming::Data(_)) => return Err(Trouble::Bad(BadAnswer::Unasked)),
                    Err(error) => return Err(error.trouble(Trouble::Unanswered)),
                }
            }
        };
        timeout_at(until, answer)
            .await
            .unwrap_or(Err(Trouble::Mute(peer.options.patience)))
    }

    /// Takes a control frame in.
    pub(super) fn heard(&mut self, body: &Bytes, peer: &Peer) -> Result<Option<u64>, Trouble> {
        heard(&mut self.speaks, body, peer)
    }
}

/// Takes a control frame in; gives the number of a pong.
fn heard(speaks: &mut Speaks, body: &Bytes, peer: &Peer) -> Result<Option<u64>, Trouble> {
    match FromHandler::read(body) {
        Ok(FromHandler::Hello(hello)) if peer.options.dialect != Dialect::Plain => {
            *speaks = Speaks::One;
            peer.said_hello(hello);
            Ok(None)
        }
        _ if *speaks != Speaks::One => Err(Trouble::Bad(BadAnswer::Control)),
        Ok(FromHandler::Pong(number)) => Ok(Some(number)),
        Ok(_) => {
            debug!(handler = %peer.options.path.display(), "control frame that is not known passed over");
            Ok(None)
        }
        Err(error) => Err(Trouble::Bad(BadAnswer::BadControl { source: error })),
    }
}

/// Appends a control frame.
pub(super) fn put_control(head: &mut Vec<u8>, message: &ToHandler) {
    let body = message.to_bytes();
    let header = Header::new(body.len(), Control::Yes, Header::MOST).expect("a control frame of ours is short");
    head.extend_from_slice(&header.to_bytes());
    head.extend_from_slice(&body);
}
