//! One exchange on one connection.

use std::io;

use bytes::Bytes;
use tracing::warn;
use wire::{Control, Frame, Header, Json, Meta, Protocol, Reply, ToHandler, read_reply};

use super::{
    connection::{Connection, Speaks, put_control},
    options::SocketOptions,
    peer::Peer,
    reader::{Incoming, ReadError},
    writer,
};
use crate::{BadAnswer, Call, Report, Side, limits::Limits, trouble::Trouble};

impl Connection {
    /// Writes the request and reads until the final reply.
    ///
    /// # Cancellation
    /// Dropping the future leaves the connection in the middle of an exchange: it is to be closed.
    pub(super) async fn exchange(
        &mut self,
        peer: &Peer,
        call: &Call,
        report: &mut Report<'_>,
    ) -> Result<Reply, Trouble> {
        let options = &peer.options;
        self.greet(peer).await?;
        self.write_head(call, options)?;
        if call.body.len() >= writer::LARGE && !self.wide {
            writer::widen(&self.stream);
            self.wide = true;
        }
        let mut limits = Limits::new(options.timeout, options.idle_timeout, call)?;
        self.reusable = false;
        let written = writer::write(&self.stream, &mut self.reader, &self.head, &call.body);
        // One that has closed may have answered before that, having seen enough of the request.
        let unwritten = limits.keep(written).await?.err();
        let mut heard = false;
        loop {
            let body = match limits.keep(self.reader.next(&self.stream)).await? {
                Ok(Incoming::Data(body)) => body,
                Ok(Incoming::Control(body)) => {
                    self.heard(&body, peer)?;
                    continue;
                }
                Err(error) => return Err(ended(error, unwritten, heard)),
            };
            heard = true;
            match self.read(body, options)? {
                Frame::Interim(interim) => {
                    limits.heard()?;
                    report(interim);
                }
                Frame::Final(reply) => {
                    self.reusable = unwritten.is_none() && self.reader.is_empty();
                    if !self.reader.is_empty() {
                        let handler = options.path.display();
                        warn!(%handler, "bytes after the final frame, connection closed");
                    }
                    return Ok(reply);
                }
            }
        }
    }

    fn write_head(&mut self, call: &Call, options: &SocketOptions) -> Result<(), Trouble> {
        let header = Header::new(call.body.len(), Control::No, options.max_frame).map_err(|_| Trouble::TooLarge {
            whose: Side::Request,
            bytes: call.body.len() as u64,
        })?;
        self.head.clear();
        if self.speaks == Speaks::One {
            put_control(&mut self.head, &ToHandler::Meta(meta(call)));
        }
        self.head.extend_from_slice(&header.to_bytes());
        Ok(())
    }

    fn read(&self, body: Bytes, options: &SocketOptions) -> Result<Frame, Trouble> {
        let protocol = match self.speaks {
            Speaks::One => Protocol::One,
            Speaks::Plain | Speaks::Unknown(_) => Protocol::Plain,
        };
        read_reply(body, options.style, protocol).map_err(|error| Trouble::Bad(BadAnswer::Content(error)))
    }
}

/// What the end of the connection means within an exchange.
fn ended(error: ReadError, unwritten: Option<io::Error>, heard: bool) -> Trouble {
    match (unwritten, error) {
        (Some(source), ReadError::Ended(_) | ReadError::CutShort { .. }) => Trouble::Unwritten(source),
        (_, error) if heard => error.trouble(Trouble::Lost),
        (_, error) => error.trouble(Trouble::Unanswered),
    }
}

fn meta(call: &Call) -> Meta {
    let headers = if call.headers.is_null() {
        Json::parse(Bytes::from_static(b"{}")).expect("an empty object is JSON")
    } else {
        call.headers.clone()
    };
    Meta {
        id: call.id.clone(),
        actor: call.actor.clone(),
        package: call.package.clone(),
        function: call.function.clone(),
        attempt: call.attempt,
        deadline: call.deadline.map(|deadline| deadline.to_string()),
        headers,
        input: call.input,
    }
}
