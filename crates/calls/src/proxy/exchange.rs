//! One request on one connection, up to the head of its answer.
//!
//! Both directions at once: an upstream may answer before it has all of the request.

use std::{io, sync::Arc, task::Poll, time::Duration};

use http::{Method, Response};
use tokio::time::Instant;

use super::{
    connect::Link,
    failure::Failure,
    headers,
    outgoing::Outgoing,
    upload::{Side, Upload, UploadError},
    upstream::Limits,
};
use crate::{
    alarm::Alarm,
    http1::{BodyForm, HeadError, LineEnd, Reader, Reply, Scanner, TooLarge},
    listen::Interim,
};

/// What the request has to say about its exchange.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) method: &'a Method,
    pub(super) form: BodyForm,
    /// Whether its body waits for 100.
    pub(super) expects: bool,
    pub(super) is_websocket: bool,
    pub(super) limits: Limits,
    /// When all of it has to be over.
    pub(super) deadline: Option<Instant>,
    pub(super) interim: Option<&'a Interim>,
}

/// An upstream's answer, its body yet to be read.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) reply: Reply,
    pub(super) reader: Reader,
    /// May have more to send.
    pub(super) upload: Upload,
    pub(super) alarm: Alarm,
    /// Whether it came in place of the 100 that the body waits for.
    pub(super) refuses_body: bool,
}

/// Sends a request, whose head waits in the writer, and waits for the head of its answer. What is left of the body comes back
/// where it failed.
///
/// # Cancellation
/// Dropping the future closes the connection.
pub(super) async fn exchange(
    link: Link,
    outgoing: Outgoing,
    terms: Terms<'_>,
) -> Result<Box<Answered>, (Failure, Outgoing)> {
    let Link {
        mut reader,
        writer,
        mut alarm,
    } = link;
    let begun = Instant::now();
    let mut upload = Upload::new(writer, outgoing, terms.form, begun);
    match head(&mut reader, &mut upload, &mut alarm, Patience::new(terms, begun), terms).await {
        Ok((reply, refuses_body)) => Ok(Box::new(Answered {
            reply,
            reader,
            upload,
            alarm,
            refuses_body,
        })),
        Err(failure) => Err((failure, upload.outgoing)),
    }
}

async fn head(
    reader: &mut Reader,
    upload: &mut Upload,
    alarm: &mut Alarm,
    mut patience: Patience,
    terms: Terms<'_>,
) -> Result<(Reply, bool), Failure> {
    let mut scanner = Scanner::new(LineEnd::Lenient);
    alarm.set(patience.wake());
    let mut has_answered = false;
    let pulse = Arc::clone(upload.pulse());
    loop {
        tokio::select! {
            biased;
            sent = std::future::poll_fn(|cx| upload.poll(cx)), if !upload.is_over() => match sent {
                // An upstream that takes no more may still say why.
                Ok(()) | Err(UploadError::Upstream) => {
                    patience.sent();
                    alarm.set(patience.wake());
                }
                Err(UploadError::Client(error)) => return Err(Failure::Client(error)),
            },
            text = std::future::poll_fn(|cx| match reader.poll_head(cx, &mut scanner) {
                // One that speaks something else may never end a head.
                Poll::Pending if reader.is_unlike(b"HTTP/") => Poll::Ready(None),
                head => head.map(Some),
            }) => {
                let Some(text) = text else {
                    return Err(Failure::NotHttp("it does not begin with `HTTP/`"));
                };
                let text = text.map_err(|error| broken(error, has_answered || scanner.has_begun()))?;
                let reply = Reply::read(&text, terms.method, headers::goes_down).map_err(|why| Failure::NotHttp(why.0))?;
                if !reply.status.is_informational() || reply.status == 101 {
                    let refuses_body = patience.phase == Phase::Continue && !upload.pulse().has_beaten();
                    return Ok((finished(reply, terms)?, refuses_body));
                }
                has_answered = true;
                scanner = Scanner::new(LineEnd::Lenient);
                if reply.status == 100 {
                    patience.go_on();
                    alarm.set(patience.wake());
                }
                if let Some(interim) = terms.interim {
                    interim.send(said(reply)).await;
                }
            }
            () = std::future::poll_fn(|cx| {
                if patience.phase == Phase::Continue && pulse.has_beaten() {
                    // A client that sends without waiting has begun with its body.
                    patience.phase = Phase::Body;
                    patience.since = pulse.last();
                    alarm.set(patience.wake());
                }
                alarm.poll(cx)
            }) => {
                if let Some(failure) = patience.over(upload) {
                    return Err(failure);
                }
                alarm.set(patience.wake());
            }
        }
    }
}

/// A 101 is an answer only to those who asked.
fn finished(reply: Reply, terms: Terms<'_>) -> Result<Reply, Failure> {
    let switches = reply.status == 101;
    let to_websocket = reply
        .upgrade
        .as_ref()
        .is_some_and(|to| to.eq_ignore_ascii_case(b"websocket"));
    if switches && !(terms.is_websocket && to_websocket) {
        return Err(Failure::NotHttp("it switches to something that nobody asked for"));
    }
    Ok(reply)
}

fn said(reply: Reply) -> Response<()> {
    let mut answer = Response::new(());
    *answer.status_mut() = reply.status;
    *answer.headers_mut() = reply.headers;
    answer.extensions_mut().insert(reply.spelling);
    answer
}

fn broken(error: HeadError, has_begun: bool) -> Failure {
    match error {
        HeadError::Closed => Failure::Closed {
            has_begun,
            source: io::ErrorKind::UnexpectedEof.into(),
        },
        HeadError::Broken(source) => Failure::Closed { has_begun, source },
        HeadError::Refused(TooLarge::BareLf) => Failure::NotHttp("a line ends with LF alone"),
        HeadError::Refused(TooLarge::Target | TooLarge::Head) => {
            Failure::NotHttp("its head is over 64 KiB or 256 fields")
        }
    }
}

/// How long is still waited for the head.
struct Patience {
    limits: Limits,
    deadline: Option<Instant>,
    phase: Phase,
    since: Instant,
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The upstream's 100, before the body.
    Continue,
    /// The body, to go out.
    Body,
    /// The head.
    Head,
}

impl Patience {
    fn new(terms: Terms<'_>, now: Instant) -> Self {
        Self {
            limits: terms.limits,
            deadline: terms.deadline,
            phase: if terms.expects { Phase::Continue } else { Phase::Body },
            since: now,
        }
    }

    /// All of the request is sent.
    fn sent(&mut self) {
        self.phase = Phase::Head;
        self.since = Instant::now();
    }

    /// The client may send its body.
    fn go_on(&mut self) {
        if self.phase == Phase::Continue {
            self.phase = Phase::Body;
            self.since = Instant::now();
        }
    }

    fn limit(&self) -> Option<Duration> {
        match self.phase {
            Phase::Continue | Phase::Head => self.limits.headers,
            Phase::Body => self.limits.idle,
        }
    }

    /// When to look again.
    fn wake(&self) -> Option<Instant> {
        let limit = self.limit().and_then(|limit| self.since.checked_add(limit));
        [limit, self.deadline].into_iter().flatten().min()
    }

    /// It is time: why it is too late, if it is.
    fn over(&mut self, upload: &Upload) -> Option<Failure> {
        let now = Instant::now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return Some(Failure::TotalTimeout);
        }
        let pulse = upload.pulse();
        if self.phase != Phase::Head && pulse.has_beaten() {
            self.phase = Phase::Body;
            self.since = self.since.max(pulse.last());
        }
        if self.limit().is_none_or(|limit| now < self.since + limit) {
            return None;
        }
        Some(match self.phase {
            Phase::Continue | Phase::Head => Failure::HeadersTimeout,
            Phase::Body if upload.waits_for() == Side::Client => Failure::ClientStuck,
            Phase::Body => Failure::Stuck,
        })
    }
}
