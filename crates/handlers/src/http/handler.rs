//! The handler behind an address: its idle connections, and one exchange.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use hyper::{
    Request,
    header::{CONTENT_TYPE, HeaderValue},
};
use jiff::Timestamp;
use wire::{Frame, Protocol, Reply, read_reply};

use super::{
    HttpOptions, Link,
    answer::{self, Kind},
    body::{Answer, Stream},
    request::{self, Outgoing, StreamBody},
    split::{Events, Lines},
};
use crate::{BadAnswer, Call, Handler, HandlerError, Liveness, Report, Side, limits::Limits, trouble::Trouble};

/// A handler behind HTTP.
///
/// Connections are made when they are needed, kept, and used by one exchange at a time; dropping it closes them.
#[derive(Debug)]
pub struct HttpHandler {
    options: HttpOptions,
    path: String,
    host: String,
    idle: Mutex<Vec<Link>>,
}

impl HttpHandler {
    /// Connects to nothing yet.
    pub fn new(options: HttpOptions) -> Self {
        Self {
            path: options.address.path(),
            host: options.address.host(),
            options,
            idle: Mutex::default(),
        }
    }

    async fn open(&self) -> Result<Link, Trouble> {
        let opened = Link::open(&self.options.address.target, self.options.patience).await;
        opened.map_err(Trouble::Unwritten)
    }

    /// An idle connection that is still of use, the last used one first.
    fn reuse(&self) -> Option<Link> {
        loop {
            let mut link = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if link.is_usable() {
                return Some(link);
            }
        }
    }

    fn keep(&self, mut link: Link) {
        let usable = link.is_usable();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if usable && idle.len() < self.options.connections {
            idle.push(link);
        }
    }

    async fn attempt(&self, link: Link, call: &Call, report: &mut Report<'_>) -> Result<Reply, Trouble> {
        let request = request::invoke(call, &self.path, &self.host);
        self.ask(link, request, call, report).await
    }

    async fn ask(
        &self,
        mut link: Link,
        request: Request<Outgoing>,
        call: &Call,
        report: &mut Report<'_>,
    ) -> Result<Reply, Trouble> {
        let mut limits = Limits::new(self.options.timeout, self.options.idle_timeout, call)?;
        let mut answer = limits.keep(link.ask(request)).await??;
        let reply = self.read(&mut answer, &mut limits, report).await?;
        if answer.is_over() {
            self.keep(link);
        }
        Ok(reply)
    }

    /// As [`Handler::call`], with a body that streams through in place of the call's: of any size, and of this media type where
    /// its caller has said so.
    ///
    /// It is asked once: a body that is on its way cannot be sent again.
    ///
    /// # Cancellation
    /// Dropping the future ends the exchange.
    pub async fn stream(
        &self,
        call: &Call,
        body: StreamBody,
        media: Option<HeaderValue>,
        report: &mut Report<'_>,
    ) -> Result<Reply, HandlerError> {
        let exchange = async {
            let link = self.open().await?;
            let mut request = request::invoke(call, &self.path, &self.host);
            *request.body_mut() = Outgoing::stream(body);
            match media {
                Some(media) => request.headers_mut().insert(CONTENT_TYPE, media),
                None => request.headers_mut().remove(CONTENT_TYPE),
            };
            self.ask(link, request, call, report).await
        };
        let cap = self.options.max_frame;
        exchange.await.map_err(|trouble| trouble.of_call(self.describe(), cap))
    }

    async fn exchange(&self, call: &Call, report: &mut Report<'_>) -> Result<Reply, Trouble> {
        if call.body.len() as u64 > u64::from(self.options.max_frame) {
            return Err(Trouble::TooLarge {
                whose: Side::Request,
                bytes: call.body.len() as u64,
            });
        }
        let Some(link) = self.reuse() else {
            return self.attempt(self.open().await?, call, report).await;
        };
        // It may have been closed between its last answer and now: that says nothing about the handler.
        let first = match self.attempt(link, call, report).await {
            Err(trouble) if trouble.is_before_any_answer() => trouble,
            answer => return answer,
        };
        let second = match self.open().await {
            Ok(link) => self.attempt(link, call, report).await,
            Err(trouble) => Err(trouble),
        };
        match (second, first) {
            // The first connection took the whole request: if nobody is there now, then because of that, maybe.
            (Err(Trouble::Unwritten(_)), first @ Trouble::Unanswered(_)) => Err(first),
            (second, _) => second,
        }
    }

    async fn read(
        &self,
        answer: &mut Answer<'_>,
        limits: &mut Limits,
        report: &mut Report<'_>,
    ) -> Result<Reply, Trouble> {
        let cap = self.options.max_frame;
        match answer::kind(answer.status, &answer.headers).map_err(Trouble::Bad)? {
            Kind::Empty => Ok(Reply::Done(None)),
            Kind::Result => {
                let body = answer.whole(cap, limits).await?;
                match self.frame(body)? {
                    Frame::Final(reply) => Ok(reply),
                    Frame::Interim(_) => Err(Trouble::Bad(BadAnswer::Unfinished)),
                }
            }
            Kind::Failure => {
                let body = match answer.whole(cap, limits).await {
                    Ok(body) => body,
                    // That it failed is known without it.
                    Err(Trouble::Bad(_) | Trouble::TooLarge { .. }) => bytes::Bytes::new(),
                    Err(trouble) => return Err(trouble),
                };
                let fault = answer::failure(answer.status, &answer.headers, &body, Timestamp::now());
                Ok(Reply::Fault(fault))
            }
            Kind::Lines => {
                self.follow(answer, Stream::Lines(Lines::new(cap)), limits, report)
                    .await
            }
            Kind::Events => {
                self.follow(answer, Stream::Events(Events::new(cap)), limits, report)
                    .await
            }
        }
    }

    /// Reads frames until the final one.
    async fn follow(
        &self,
        answer: &mut Answer<'_>,
        mut stream: Stream,
        limits: &mut Limits,
        report: &mut Report<'_>,
    ) -> Result<Reply, Trouble> {
        while let Some(event) = answer.next(&mut stream, limits).await? {
            match self.frame(event.data)? {
                Frame::Interim(interim) => {
                    limits.heard()?;
                    report(interim);
                }
                Frame::Final(reply) => {
                    answer.linger().await;
                    return Ok(reply);
                }
            }
        }
        Err(answer.unfinished())
    }

    fn frame(&self, frame: bytes::Bytes) -> Result<Frame, Trouble> {
        read_reply(frame, self.options.style, Protocol::Plain).map_err(|error| Trouble::Bad(BadAnswer::Content(error)))
    }
}

#[async_trait]
impl Handler for HttpHandler {
    async fn call(&self, call: &Call, report: &mut Report<'_>) -> Result<Reply, HandlerError> {
        let cap = self.options.max_frame;
        let reply = self.exchange(call, report).await;
        reply.map_err(|trouble| trouble.of_call(self.describe(), cap))
    }

    async fn ping(&self) -> Result<Liveness, HandlerError> {
        if let Some(link) = self.reuse() {
            self.keep(link);
            return Ok(Liveness::Connected);
        }
        // One that is not used is not left open: a server may serve one connection after the other.
        let opened = self.open().await.map(drop);
        opened.map_err(|trouble| trouble.of_ping(self.describe(), self.options.max_frame))?;
        Ok(Liveness::Connected)
    }

    fn rest(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn describe(&self) -> String {
        self.options.address.to_string()
    }
}
