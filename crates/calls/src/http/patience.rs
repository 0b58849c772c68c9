//! A body that is waited for as long as it goes on.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use crate::{BodyError, alarm::Alarm};

/// Fails where nothing more of a body comes.
#[derive(Debug)]
pub(super) struct Patient<B> {
    body: B,
    alarm: Alarm,
    is_waiting: bool,
}

/// How long a body may be silent: what the proxy gives an upstream, unless it is told otherwise.
pub(super) const SILENCE: Duration = Duration::from_mins(1);

impl<B> Patient<B> {
    pub(super) fn new(body: B) -> Self {
        Self {
            body,
            alarm: Alarm::default(),
            is_waiting: false,
        }
    }
}

impl<B> HttpBody for Patient<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BodyError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.is_waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if !std::mem::replace(&mut this.is_waiting, true) {
            this.alarm.set(Instant::now().checked_add(SILENCE));
        }
        this.alarm
            .poll(cx)
            .map(|()| Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, StreamBody};
    use tokio::{sync::mpsc, time::timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_that_goes_on_is_read_to_its_end_and_a_silent_one_is_given_up() {
        let (send, mut parts) = mpsc::channel::<&'static str>(1);
        let parts = futures_util::stream::poll_fn(move |cx| {
            let part = parts.poll_recv(cx);
            part.map(|part| part.map(|part| Ok::<_, io::Error>(Frame::data(Bytes::from_static(part.as_bytes())))))
        });
        let mut body = Patient::new(StreamBody::new(parts));
        let almost = SILENCE.saturating_sub(Duration::from_secs(1));
        for part in ["a", "b", "c"] {
            assert!(timeout(almost, body.frame()).await.is_err(), "it is waited for");
            send.send(part).await.unwrap();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), part);
        }
        let begun = Instant::now();
        let error = body.frame().await.unwrap().unwrap_err();
        let error = error.downcast::<io::Error>().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= SILENCE, "{:?}", begun.elapsed());
        drop(send);
    }
}
