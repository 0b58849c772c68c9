//! One connection over HTTP/2: each stream a task of its own.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use chassis::lifecycle::Drain;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body::{Body as _, Frame, SizeHint};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};
use tracing::debug;

use super::{Expectation, Handle, Interim, Patience, Peer, doorway::Rewound, interim::Said, refusal, unwanted};
use crate::{
    Body,
    alarm::Alarm,
    http1::{MAX_HEAD, Spelling},
};

/// What a client may send of one body before it is read.
const STREAM_WINDOW: u32 = 256 * 1024;
/// What a client may send of all bodies before they are read.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What waits to be written of one stream.
const SEND_BUFFER: usize = 256 * 1024;
/// Streams at once.
const STREAMS: u32 = 256;
/// How long a connection may have no stream, at least; and then to take leave.
const IDLE_TIME: Duration = Duration::from_secs(75);
/// Interim answers that wait to be written.
const INTERIMS: usize = 8;

/// Serves a connection to its end.
pub(super) async fn serve<H: Handle>(socket: Rewound, peer: Peer, handle: Arc<H>, drain: Drain) -> io::Result<()> {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX));
    let shaken = timeout(super::http1::HEAD_TIME, builder.handshake::<_, Bytes>(socket)).await;
    let mut connection = shaken
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
        .map_err(io::Error::other)?;
    let mut is_ending = false;
    // Held by each stream.
    let busy = Arc::new(());
    let mut idle = Alarm::default();
    idle.set(Some(Instant::now() + IDLE_TIME));
    loop {
        let accepted = tokio::select! {
            biased;
            () = drain.cut() => return Ok(()),
            () = drain.begun(), if !is_ending => {
                is_ending = true;
                connection.graceful_shutdown();
                continue;
            }
            accepted = connection.accept() => accepted,
            () = idle.rings() => {
                idle.set(Some(Instant::now() + IDLE_TIME));
                match (Arc::strong_count(&busy), is_ending) {
                    (1, true) => return Ok(()),
                    (1, false) => {
                        is_ending = true;
                        connection.graceful_shutdown();
                    }
                    _ => {}
                }
                continue;
            }
        };
        idle.set(Some(Instant::now() + IDLE_TIME));
        match accepted {
            Some(Ok((request, respond))) => {
                let handle = Arc::clone(&handle);
                let ending = drain.clone();
                let busy = Arc::clone(&busy);
                drain.spawn("call", async move {
                    tokio::select! {
                        biased;
                        () = exchange(request, respond, peer, &*handle, &ending) => {}
                        () = ending.cut() => {}
                    }
                    drop(busy);
                });
            }
            Some(Err(error)) => return Err(io::Error::other(error)),
            None => return Ok(()),
        }
    }
}

/// One request and its answer.
async fn exchange<H: Handle>(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    peer: Peer,
    handle: &H,
    drain: &Drain,
) {
    let is_head = request.method() == http::Method::HEAD;
    let (sender, mut said) = mpsc::channel::<Said>(INTERIMS);
    let (unread, mut back) = oneshot::channel();
    let answer = match opened(request, sender, unread) {
        Err(refused) => refusal::answer(refused),
        Ok(request) => {
            let mut call = std::pin::pin!(handle.handle(request, peer));
            loop {
                tokio::select! {
                    biased;
                    answer = &mut call => break answer,
                    Some(said) = said.recv() => say(&mut respond, said),
                    _ = std::future::poll_fn(|cx| respond.poll_reset(cx)) => return,
                }
            }
        }
    };
    while let Ok(said) = said.try_recv() {
        say(&mut respond, said);
    }
    if let Err(error) = send(answer, respond, is_head).await {
        debug!(%error, "an answer could not be sent whole");
        return;
    }
    // To let go of what is still coming would reset the stream, and some take that for the end of the answer too.
    if let Ok(mut stream) = back.try_recv() {
        unwanted::read_off(drain, |cx| poll_data(&mut stream, cx)).await;
    }
}

/// The request as handlers see it.
fn opened(
    request: Request<RecvStream>,
    sender: mpsc::Sender<Said>,
    unread: oneshot::Sender<RecvStream>,
) -> Result<Request<Body>, crate::http1::Refusal> {
    let (mut parts, stream) = request.into_parts();
    if let Err(refused) = refusal::of_http2(&mut parts) {
        // The exchange is there to take it.
        let _ = unread.send(stream);
        return Err(refused);
    }
    let interim = Interim::new(sender, 0);
    let waits = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    let expectation = parts.headers.get(header::EXPECT).is_some_and(waits);
    let expectation = (expectation && !stream.is_end_stream()).then(|| Expectation::new(interim.clone()));
    let body = if stream.is_end_stream() {
        Body::empty()
    } else {
        let length = parts.headers.get(header::CONTENT_LENGTH);
        let left = length.and_then(|length| length.to_str().ok()?.parse().ok());
        Body::new(StreamBody {
            stream: Some((stream, unread)),
            left,
            expectation: expectation.clone(),
        })
    };
    parts.extensions.insert(interim);
    if let Some(expectation) = expectation {
        parts.extensions.insert(expectation);
    }
    Ok(Request::from_parts(parts, body))
}

fn say(respond: &mut SendResponse<Bytes>, said: Said) {
    let mut answer = said.answer;
    strip(answer.headers_mut());
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        // A stream that has ended is noticed where its answer is sent.
        let _ = respond.send_informational(answer);
    }
}

async fn send(answer: Response<Body>, mut respond: SendResponse<Bytes>, is_head: bool) -> Result<(), h2::Error> {
    let (mut parts, mut body) = answer.into_parts();
    strip(&mut parts.headers);
    parts.extensions.remove::<Spelling>();
    let patience = Patience::of(&parts.extensions);
    if !parts.headers.contains_key(header::DATE) {
        let date = httpdate::fmt_http_date(std::time::SystemTime::now());
        if let Ok(date) = date.try_into() {
            parts.headers.insert(header::DATE, date);
        }
    }
    let has_none = is_head || matches!(parts.status.as_u16(), 204 | 304);
    if let (false, Some(length)) = (
        parts.headers.contains_key(header::CONTENT_LENGTH),
        body.size_hint().exact(),
    ) && !matches!(parts.status.as_u16(), 204 | 304)
        && !(is_head && length == 0)
    {
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    let is_over = has_none || body.is_end_stream();
    let mut stream = respond.send_response(Response::from_parts(parts, ()), is_over)?;
    if is_over {
        return Ok(());
    }
    loop {
        let frame = tokio::select! {
            biased;
            frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)) => frame,
            reason = std::future::poll_fn(|cx| stream.poll_reset(cx)) => return Err(reason?.into()),
        };
        match frame.transpose() {
            Ok(Some(frame)) => {
                let frame = match frame.into_data() {
                    Ok(data) => {
                        let is_last = body.is_end_stream();
                        write(&mut stream, data, is_last, patience).await?;
                        if is_last {
                            return Ok(());
                        }
                        continue;
                    }
                    Err(frame) => frame,
                };
                if let Ok(mut trailers) = frame.into_trailers() {
                    strip(&mut trailers);
                    return stream.send_trailers(trailers);
                }
            }
            Ok(None) => return stream.send_data(Bytes::new(), true),
            Err(error) => {
                debug!(%error, "the body of an answer broke off, and its stream with it");
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Ok(());
            }
        }
    }
}

/// Writes a part of a body as the client makes room for it.
async fn write(
    stream: &mut SendStream<Bytes>,
    mut data: Bytes,
    is_last: bool,
    patience: Patience,
) -> Result<(), h2::Error> {
    if data.is_empty() {
        return if is_last { stream.send_data(data, true) } else { Ok(()) };
    }
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx));
        let room = match patience.0 {
            None => Ok(room.await),
            Some(patience) => timeout(patience, room).await,
        };
        let Ok(room) = room else {
            stream.send_reset(Reason::CANCEL);
            return Err(Reason::CANCEL.into());
        };
        let room = room.ok_or_else(|| h2::Error::from(Reason::CANCEL))??;
        let part = data.split_to(room.min(data.len()));
        if !part.is_empty() {
            stream.send_data(part, is_last && data.is_empty())?;
        }
    }
    Ok(())
}

/// HTTP/2 has no headers of a connection.
fn strip(headers: &mut HeaderMap) {
    for name in [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        http::HeaderName::from_static("keep-alive"),
        http::HeaderName::from_static("proxy-connection"),
    ] {
        headers.remove(name);
    }
}

/// The body of a request.
struct StreamBody {
    /// With where it goes when it is let go before its end.
    stream: Option<(RecvStream, oneshot::Sender<RecvStream>)>,
    /// What its head says is left of it.
    left: Option<u64>,
    expectation: Option<Expectation>,
}

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let this = &mut *self;
        let Some((stream, _)) = &mut this.stream else {
            return Poll::Ready(None);
        };
        let polled = poll_data(stream, cx);
        if let (Poll::Pending, Some(expectation)) = (&polled, this.expectation.take()) {
            expectation.meet();
        }
        match ready!(polled) {
            Some(Ok(data)) => {
                this.left = this.left.map(|left| left.saturating_sub(data.len() as u64));
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => {
                let trailers = ready!(stream.poll_trailers(cx));
                Poll::Ready(trailers.transpose().map(|trailers| trailers.map(Frame::trailers)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream.as_ref().is_none_or(|(stream, _)| stream.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map(SizeHint::with_exact).unwrap_or_default()
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        if let Some((stream, unread)) = self.stream.take()
            // Whoever was not told to go on sends nothing more.
            && self.expectation.is_none()
            && !stream.is_end_stream()
        {
            // An exchange that is over does not want it any more.
            let _ = unread.send(stream);
        }
    }
}

/// The next part of a body; what is taken makes room for more.
fn poll_data(stream: &mut RecvStream, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
    let polled = stream.poll_data(cx);
    if let Poll::Ready(Some(Ok(data))) = &polled {
        stream.flow_control().release_capacity(data.len())?;
    }
    polled
}
