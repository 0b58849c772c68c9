//! One connection to the handler: frames in, bytes out, and whether a call runs on it.

use std::{collections::VecDeque, path::Path, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::sleep,
};
use wire::{Frame, FromHandler, Header, Hello, Protocol, ReplyStyle, read_reply};

use super::{step::Message, trouble::Trouble};
use crate::human::shorten;

/// A connection that has been greeted.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    buffer: BytesMut,
    waiting: VecDeque<Raw>,
    /// What stood in the hello.
    pub hello: Value,
    /// Requests whose final frame has not come.
    open: usize,
    whole: bool,
}

/// One frame as it came.
#[derive(Debug)]
struct Raw {
    control: bool,
    body: Bytes,
}

impl Connection {
    /// Connects and reads the hello.
    ///
    /// # Cancellation
    /// Dropping the future closes the connection.
    pub async fn open(path: &Path) -> Result<Self, Trouble> {
        let mut connection = Self {
            stream: UnixStream::connect(path).await.map_err(Trouble::Refused)?,
            buffer: BytesMut::new(),
            waiting: VecDeque::new(),
            hello: Value::Null,
            open: 0,
            whole: true,
        };
        connection.hello = connection.greeting().await?;
        Ok(connection)
    }

    /// Whether the next frame can be told from a reply: no call runs, and no frame was left unfinished.
    pub fn is_idle(&self) -> bool {
        self.open == 0 && self.whole
    }

    /// Sends messages in one write, or in the pieces that the last of them asks for.
    ///
    /// # Cancellation
    /// Dropping the future leaves a part unsent.
    pub async fn send(&mut self, messages: &[Message]) -> Result<(), Trouble> {
        let bytes: Vec<u8> = messages.iter().flat_map(Message::to_bytes).collect();
        self.open += messages.iter().filter(|message| message.is_request()).count();
        self.whole &= messages.iter().all(Message::is_whole);
        let pieces = messages.last().and_then(Message::pieces);
        for piece in bytes.chunks(pieces.unwrap_or(bytes.len()).max(1)) {
            self.stream.write_all(piece).await.map_err(Trouble::Broken)?;
            if pieces.is_some() {
                // So that the handler has a chance to read the pieces apart.
                sleep(BETWEEN_PIECES).await;
            }
        }
        Ok(())
    }

    /// Waits until a frame can be read without waiting.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub async fn wait(&mut self) -> Result<(), Trouble> {
        while self.waiting.is_empty() {
            if let Some(frame) = self.take_frame()? {
                self.waiting.push_back(frame);
            } else if self.stream.read_buf(&mut self.buffer).await.map_err(Trouble::Broken)? == 0 {
                return Err(self.end());
            }
        }
        Ok(())
    }

    /// The next frame, which has to be a reply, and its text.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub async fn reply(&mut self) -> Result<(Value, String), Trouble> {
        let (control, body, text) = self.next().await?;
        if control {
            return Err(Trouble::NotReply(text));
        }
        let bad = |error| Trouble::BadReply(error, text.clone());
        let frame = read_reply(body.clone(), ReplyStyle::Auto, Protocol::One).map_err(bad)?;
        if matches!(frame, Frame::Final(_)) {
            self.open = self.open.saturating_sub(1);
        }
        let syntax = |source| wire::BadReply::NotJson {
            source: wire::JsonError::Syntax { source },
        };
        let value = serde_json::from_slice(&body).map_err(|error| bad(syntax(error)))?;
        Ok((value, text))
    }

    /// The next frame, which has to be a control frame, and its text.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub async fn control(&mut self) -> Result<(Value, String), Trouble> {
        let (control, body, text) = self.next().await?;
        if !control {
            return Err(Trouble::NotControl(text));
        }
        FromHandler::read(&body).map_err(|error| Trouble::BadControl(error, text.clone()))?;
        let value = serde_json::from_slice(&body).expect("it has been read");
        Ok((value, text))
    }

    async fn next(&mut self) -> Result<(bool, Bytes, String), Trouble> {
        self.wait().await?;
        let Raw { control, body } = self.waiting.pop_front().expect("one was waited for");
        let text = shorten(&String::from_utf8_lossy(&body), SHOWN);
        Ok((control, body, text))
    }

    async fn greeting(&mut self) -> Result<Value, Trouble> {
        let (value, text) = self.control().await?;
        let hello = &value["hello"];
        if hello["protocol"] == Hello::PROTOCOL {
            Ok(hello.clone())
        } else {
            Err(Trouble::NoHello(text))
        }
    }

    fn take_frame(&mut self) -> Result<Option<Raw>, Trouble> {
        let Some(head) = self.buffer.first_chunk::<{ Header::SIZE }>() else {
            return Ok(None);
        };
        let header = Header::from_bytes(*head);
        let header = header.within(Header::CAP).map_err(|_| Trouble::TooLong(header.len))?;
        let length = header.len as usize;
        if self.buffer.len() < Header::SIZE + length {
            self.buffer.reserve(Header::SIZE + length - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(Header::SIZE);
        Ok(Some(Raw {
            control: header.control,
            body: self.buffer.split_to(length).freeze(),
        }))
    }

    /// The stream has ended: between two frames or in the middle of one.
    fn end(&self) -> Trouble {
        match self.buffer.first_chunk::<{ Header::SIZE }>() {
            _ if self.buffer.is_empty() => Trouble::Ended,
            Some(head) => Trouble::CutShort {
                came: self.buffer.len() - Header::SIZE,
                of: Header::from_bytes(*head).len as usize,
            },
            None => Trouble::CutShort {
                came: self.buffer.len(),
                of: Header::SIZE,
            },
        }
    }
}

const BETWEEN_PIECES: Duration = Duration::from_millis(1);
const SHOWN: usize = 160;
