//! One exchange on one connection.

use std::{io, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};
use tracing::warn;
use wire::{Control, Frame, Header, Json, Meta, Protocol, Reply, ToHandler, read_reply};

use super::{
    connection::{Connection, Speaks, put_control},
    options::SocketOptions,
    peer::Peer,
    reader::{Incoming, ReadError},
    trouble::Trouble,
    writer,
};
use crate::{BadAnswer, Call, Report, Side};

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
        let mut limits = Limits::new(options, call)?;
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
        (_, error) if heard => Trouble::of_read(error, Trouble::Lost),
        (_, error) => Trouble::of_read(error, Trouble::Unanswered),
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

/// When an exchange has to end.
#[derive(Debug)]
struct Limits {
    begun: Instant,
    /// When the last frame came, or the request was written.
    last: Instant,
    whole: Option<Duration>,
    idle: Option<Duration>,
    /// Whether it is the message's deadline that ends the whole.
    by_deadline: bool,
}

impl Limits {
    fn new(options: &SocketOptions, call: &Call) -> Result<Self, Trouble> {
        let begun = Instant::now();
        let timeout = options.timeout.filter(|timeout| !timeout.is_zero());
        let left = call.deadline.map(|deadline| {
            let left = deadline.duration_since(jiff::Timestamp::now());
            Duration::try_from(left).unwrap_or_default()
        });
        if left.is_some_and(|left| left.is_zero()) {
            return Err(Trouble::Deadline(Duration::ZERO));
        }
        let by_deadline = left.is_some_and(|left| timeout.is_none_or(|timeout| left < timeout));
        Ok(Self {
            begun,
            last: begun,
            whole: if by_deadline { left } else { timeout },
            idle: options.idle_timeout.filter(|idle| !idle.is_zero()),
            by_deadline,
        })
    }

    /// Waits for something within the limits.
    async fn keep<T>(&self, work: impl Future<Output = T>) -> Result<T, Trouble> {
        let whole = self.whole.map(|whole| self.begun + whole);
        let idle = self.idle.map(|idle| self.last + idle);
        let Some(until) = whole.into_iter().chain(idle).min() else {
            return Ok(work.await);
        };
        timeout_at(until, work).await.map_err(|_| match (whole, self.idle) {
            (Some(whole), Some(idle)) if until < whole => Trouble::Idle(idle),
            (None, Some(idle)) => Trouble::Idle(idle),
            _ => self.over(),
        })
    }

    /// An interim frame has come. However many come, the whole has its limit.
    fn heard(&mut self) -> Result<(), Trouble> {
        if self.idle.is_none() && self.whole.is_none() {
            return Ok(());
        }
        self.last = Instant::now();
        match self.whole {
            Some(whole) if self.last.duration_since(self.begun) >= whole => Err(self.over()),
            _ => Ok(()),
        }
    }

    fn over(&self) -> Trouble {
        let whole = self.whole.unwrap_or_default();
        if self.by_deadline {
            Trouble::Deadline(whole)
        } else {
            Trouble::Timeout(whole)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(whole: u64, idle: u64) -> Limits {
        let now = Instant::now();
        Limits {
            begun: now,
            last: now,
            whole: Some(Duration::from_secs(whole)),
            idle: Some(Duration::from_secs(idle)),
            by_deadline: false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_interim_frame_moves_the_idle_limit_and_never_the_whole() {
        let mut limits = limits(5, 2);
        for _ in 0..3 {
            limits
                .keep(tokio::time::sleep(Duration::from_millis(1500)))
                .await
                .unwrap();
            limits.heard().unwrap();
        }
        let over = limits.keep(std::future::pending::<()>()).await.unwrap_err();
        assert!(
            matches!(over, Trouble::Timeout(after) if after.as_secs() == 5),
            "{over:?}"
        );
        assert_eq!(limits.begun.elapsed().as_secs(), 5);
        // However fast they come, so that nothing ever has to be waited for.
        assert!(matches!(limits.heard(), Err(Trouble::Timeout(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_an_exchange_at_the_idle_limit() {
        let limits = limits(5, 2);
        let over = limits.keep(std::future::pending::<()>()).await.unwrap_err();
        assert!(matches!(over, Trouble::Idle(after) if after.as_secs() == 2), "{over:?}");
        assert_eq!(limits.begun.elapsed().as_secs(), 2);
    }
}
