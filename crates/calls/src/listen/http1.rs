//! One connection over HTTP/1: requests one after the other, each answered before the next is read.

use std::{io, pin::Pin, sync::Arc, task::Context, time::Duration};

use bytes::BytesMut;
use chassis::lifecycle::Drain;
use http::{Method, Request, StatusCode, Version};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{
    Expectation, Handle, Interim, Patience, Peer, Takeover, interim::Said, refusal, request_body::RequestBody, unwanted,
};
use crate::{
    Body,
    alarm::Alarm,
    http1::{Head, HeadError, Incoming, LineEnd, Reader, Refusal, Writer, write_fields},
    socket::Socket,
};

mod answer;
mod loan;

use answer::{Form, Sent};
use loan::{Line, Loan};

/// How long a head may take, from its first byte on.
pub(super) const HEAD_TIME: Duration = Duration::from_secs(30);
/// How long a connection may wait for its next request.
const IDLE_TIME: Duration = Duration::from_secs(75);
/// Interim answers that wait to be written.
const INTERIMS: usize = 8;

/// Serves a connection to its end; `begun` is what has come already.
pub(super) async fn serve<H: Handle>(
    socket: Socket,
    begun: BytesMut,
    peer: Peer,
    handle: Arc<H>,
    drain: Drain,
) -> io::Result<()> {
    let (read, write) = socket.split();
    let (interim, said) = mpsc::channel(INTERIMS);
    let connection = Connection {
        writer: Writer::new(write),
        peer,
        handle,
        interim,
        said,
        exchange: 0,
        alarm: Alarm::default(),
    };
    let ending = drain.clone();
    tokio::select! {
        biased;
        ended = connection.run(Reader::new(read, begun), &drain) => ended,
        () = ending.cut() => Ok(()),
    }
}

/// What follows an exchange.
enum Next {
    Request(Reader),
    Over,
    /// An answer was not finished.
    Broken {
        /// Whether the connection has to end in another way than by its end.
        would_pass: bool,
    },
    TakenOver(Takeover, Reader),
}

struct Connection<H> {
    writer: Writer,
    peer: Peer,
    handle: Arc<H>,
    interim: mpsc::Sender<Said>,
    said: mpsc::Receiver<Said>,
    /// Counts requests.
    exchange: u64,
    /// For the next request, and for a client that takes nothing.
    alarm: Alarm,
}

impl<H: Handle> Connection<H> {
    async fn run(mut self, mut reader: Reader, drain: &Drain) -> io::Result<()> {
        // One for all requests: to listen anew each time would cost each of them.
        let mut begun = std::pin::pin!(drain.begun());
        while let Some(head) = self.next(&mut reader, begun.as_mut()).await {
            let head = match head.and_then(|head| refusal::method(&head.method).map(|()| head)) {
                Ok(head) => head,
                Err(refused) => return self.refuse(refused, reader, drain).await,
            };
            self.exchange += 1;
            match self.exchange(head, reader, drain).await? {
                Next::Request(back) => reader = back,
                Next::Over => return Ok(()),
                Next::Broken { would_pass } => {
                    if would_pass {
                        self.writer.abort();
                    }
                    return Ok(());
                }
                Next::TakenOver(takeover, reader) => {
                    takeover.run(Box::new(reader), Box::new(self.writer.into_half())).await;
                    return Ok(());
                }
            }
            reader.rest();
        }
        Ok(())
    }

    /// The next head; `None` where the connection ends instead.
    async fn next(
        &mut self,
        reader: &mut Reader,
        ending: Pin<&mut impl Future<Output = ()>>,
    ) -> Option<Result<Box<Head>, Refusal>> {
        if !reader.has_more() {
            self.alarm.set(Some(Instant::now() + IDLE_TIME));
            tokio::select! {
                biased;
                filled = std::future::poll_fn(|cx| reader.poll_fill(cx)) => match filled {
                    Ok(1..) => {}
                    _ => return None,
                },
                () = ending => return None,
                () = self.alarm.rings() => return None,
            }
        }
        self.alarm.set(Some(Instant::now() + HEAD_TIME));
        tokio::select! {
            biased;
            text = reader.head(LineEnd::Strict) => match text {
                Ok(text) => Some(Head::read(&text).map(Box::new)),
                Err(HeadError::Refused(too_large)) => Some(Err(too_large.into())),
                Err(HeadError::Closed | HeadError::Broken(_)) => None,
            },
            () = self.alarm.rings() => Some(Err(Refusal::LATE)),
        }
    }

    async fn refuse(mut self, refused: Refusal, reader: Reader, drain: &Drain) -> io::Result<()> {
        let form = Form {
            is_head: false,
            version: Version::HTTP_11,
            keep_alive: false,
        };
        let answer = refusal::answer(refused);
        let mut line = Line::spoilt(reader);
        if let Sent::Whole { .. } = self.answer(answer, form, &mut line).await? {
            self.close(line.back().await, drain).await;
        }
        Ok(())
    }

    /// One request and its answer.
    async fn exchange(&mut self, head: Box<Head>, reader: Reader, drain: &Drain) -> io::Result<Next> {
        let form = Form {
            is_head: head.method == Method::HEAD,
            version: head.version,
            keep_alive: head.keep_alive,
        };
        let expects = head.expects;
        let is_old = head.version == Version::HTTP_10;
        let (request, mut line) = self.request(head, reader);
        let handle = Arc::clone(&self.handle);
        let mut call = std::pin::pin!(handle.handle(request, self.peer));
        let answer = loop {
            tokio::select! {
                biased;
                answer = &mut call => break answer,
                Some(said) = self.said.recv() => if !is_old {
                    self.say(&said).await?;
                },
                () = line.gone() => return Ok(Next::Over),
            }
        };
        // What was said before the answer goes out before it.
        while let Ok(said) = self.said.try_recv() {
            if !is_old {
                self.say(&said).await?;
            }
        }
        // Whoever was not told to send its body may send it, or its next request.
        let keep_alive = form.keep_alive && !drain.is_begun() && !(expects && line.is_lent()) && line.may_go_on();
        let takeover = Some(answer.status())
            .filter(|status| *status == StatusCode::SWITCHING_PROTOCOLS)
            .and_then(|_| answer.extensions().get::<Takeover>().cloned());
        let sent = match self.answer(answer, Form { keep_alive, ..form }, &mut line).await {
            // What the system still holds of it would be taken for the whole.
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Sent::Broken { would_pass: true },
            sent => sent?,
        };
        match sent {
            // The line is dropped here, and so both halves are: the other end learns that this was not the end.
            Sent::Broken { would_pass } => Ok(Next::Broken { would_pass }),
            Sent::Whole { keep_alive } => match (line.back().await, takeover) {
                (Loan::Home(reader), Some(takeover)) => Ok(Next::TakenOver(takeover, reader)),
                (Loan::Home(reader), None) if keep_alive => Ok(Next::Request(reader)),
                // Where its end alone tells the client of that of the answer, the connection ends first.
                (Loan::Unread(mut incoming), None) if (keep_alive || form.version == Version::HTTP_11) && !expects => {
                    let is_read = unwanted::read_off(drain, |cx| incoming.poll_frame(cx)).await;
                    if keep_alive && is_read {
                        return Ok(Next::Request(incoming.into_reader()));
                    }
                    if is_read {
                        self.close(Loan::Home(incoming.into_reader()), drain).await;
                    }
                    Ok(Next::Over)
                }
                (loan, _) => {
                    self.close(loan, drain).await;
                    Ok(Next::Over)
                }
            },
        }
    }

    fn request(&mut self, head: Box<Head>, reader: Reader) -> (Request<Body>, Line) {
        let head = *head;
        let interim = Interim::new(self.interim.clone(), self.exchange);
        let (body, line, expectation) = if head.body.is_done() {
            (Body::empty(), Line::home(reader), None)
        } else {
            let expectation = head.expects.then(|| Expectation::new(interim.clone()));
            let (body, back) = RequestBody::lend(Incoming::new(reader, head.body), expectation.clone());
            (Body::new(body), Line::lent(back), expectation)
        };
        let mut request = Request::new(body);
        *request.method_mut() = head.method;
        *request.uri_mut() = head.uri;
        *request.version_mut() = head.version;
        *request.headers_mut() = head.headers;
        let extensions = request.extensions_mut();
        extensions.insert(head.spelling);
        extensions.insert(interim);
        if let Some(expectation) = expectation {
            extensions.insert(expectation);
        }
        (request, line)
    }

    /// Writes an interim answer, unless it belongs to an earlier exchange.
    async fn say(&mut self, said: &Said) -> io::Result<()> {
        if said.exchange != self.exchange {
            return Ok(());
        }
        answer::status_line(&mut self.writer.buffer, said.answer.status(), said.answer.extensions());
        let spelling = said.answer.extensions().get();
        write_fields(&mut self.writer.buffer, said.answer.headers(), spelling, |_| true);
        self.writer.buffer.extend_from_slice(b"\r\n");
        self.drain(Patience::default()).await
    }

    /// Says that nothing more comes, and reads on until the other end says so, too.
    async fn close(&mut self, loan: Loan, drain: &Drain) {
        let mut reader = match loan {
            Loan::Home(reader) | Loan::Spoilt(reader) => reader,
            Loan::Unread(incoming) => incoming.into_reader(),
            Loan::Lent(_) | Loan::Lost => return,
        };
        if !matches!(timeout(unwanted::SILENCE, self.writer.shutdown()).await, Ok(Ok(()))) {
            return;
        }
        let mut next = |cx: &mut Context<'_>| {
            reader.discard();
            reader.poll_fill(cx).map(|read| match read {
                Ok(0) => None,
                read => Some(read),
            })
        };
        unwanted::read_off(drain, &mut next).await;
    }
}
