//! The body of an upstream's answer on its way back.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use chassis::telemetry::in_full;
use http_body::{Frame, SizeHint};
use tokio::{sync::oneshot, time::Instant};

use super::{account::Account, connect::Link, pulse::Pulse, upstream::Chosen};
use crate::{
    BodyError,
    alarm::Alarm,
    http1::{Incoming, Reader, Writer},
};

/// The body of an answer. Dropped before its end, it closes the upstream's connection.
#[derive(Debug)]
pub(super) struct AnswerBody {
    /// Gone when the body has come to its end.
    incoming: Option<Incoming>,
    sending: Option<Sending>,
    /// Whether the connection may be used again.
    keep_alive: bool,
    chosen: Chosen,
    account: Account,
    idle: Option<Duration>,
    deadline: Option<Instant>,
    alarm: Alarm,
    is_waiting: bool,
}

/// The other direction.
#[derive(Debug)]
pub(super) enum Sending {
    /// All of the request is sent.
    Over(Writer),
    /// No more of it is wanted. The half stays open: its end would be taken for that of the client.
    Stopped {
        /// Held, and not written any more.
        _writer: Writer,
    },
    /// It is still being sent, by a task that ends when `release` is dropped.
    Underway {
        back: oneshot::Receiver<Writer>,
        pulse: Arc<Pulse>,
        /// The answer is over: the rest of the request goes on alone.
        release: oneshot::Sender<()>,
    },
}

impl AnswerBody {
    pub(super) fn new(
        incoming: Incoming,
        sending: Sending,
        alarm: Alarm,
        keep_alive: bool,
        chosen: Chosen,
        account: Account,
    ) -> Self {
        Self {
            incoming: Some(incoming),
            sending: Some(sending),
            keep_alive,
            chosen,
            account,
            idle: None,
            deadline: None,
            alarm,
            is_waiting: false,
        }
    }

    /// How long it may be silent, and when it has to be over.
    pub(super) fn within(mut self, idle: Option<Duration>, deadline: Option<Instant>) -> Self {
        self.idle = idle;
        self.deadline = deadline;
        self
    }

    /// The end has come: the connection may wait for its next request.
    pub(super) fn finish(&mut self) {
        self.chosen.finished();
        let Some(incoming) = self.incoming.take() else {
            return;
        };
        let writer = match self.sending.take() {
            Some(Sending::Over(writer)) => Some(writer),
            Some(Sending::Underway { mut back, release, .. }) => {
                // An upstream may answer first and read the request then. One that has ended by itself needs no word.
                let writer = back.try_recv().ok();
                let _ = release.send(());
                writer
            }
            Some(Sending::Stopped { .. }) | None => None,
        };
        if let (true, Some(writer)) = (self.keep_alive, writer) {
            let reader: Reader = incoming.into_reader();
            self.chosen.origin.pool.keep(Link {
                reader,
                writer,
                alarm: std::mem::take(&mut self.alarm),
            });
        }
    }

    fn fail(&mut self, reason: &'static str, why: impl FnOnce() -> String) {
        self.account.failed(reason);
        self.chosen.failed(why);
        self.incoming = None;
    }

    fn late(&mut self, reason: &'static str) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.fail(reason, || format!("the answer broke off: {reason}"));
        let error = io::Error::new(io::ErrorKind::TimedOut, reason);
        Poll::Ready(Some(Err(error.into())))
    }

    /// Ready when it has been silent for too long.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        loop {
            if !std::mem::replace(&mut self.is_waiting, true) {
                let silent = self.idle.and_then(|idle| Instant::now().checked_add(idle));
                self.alarm.set([silent, self.deadline].into_iter().flatten().min());
            }
            ready!(self.alarm.poll(cx));
            if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Poll::Ready("total_timeout");
            }
            // The request may still be going out: that is no silence.
            let moves = self.sending.as_ref().and_then(Sending::last_move);
            let until = moves.zip(self.idle).and_then(|(last, idle)| last.checked_add(idle));
            let Some(until) = until.filter(|until| Instant::now() < *until) else {
                return Poll::Ready("idle_timeout");
            };
            self.alarm.set([Some(until), self.deadline].into_iter().flatten().min());
        }
    }
}

impl Sending {
    fn last_move(&self) -> Option<Instant> {
        match self {
            Self::Over(_) | Self::Stopped { .. } => None,
            Self::Underway { pulse, .. } => Some(pulse.last()),
        }
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let Some(incoming) = &mut this.incoming else {
            return Poll::Ready(None);
        };
        match incoming.poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.is_waiting = false;
                if incoming.is_done() {
                    this.finish();
                } else if this.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                    // One that always has more to give never waits for the alarm.
                    return this.late("total_timeout");
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                this.finish();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                this.fail("broken_off", || format!("the answer broke off: {}", in_full(&error)));
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Pending => {
                let reason = ready!(this.poll_alarm(cx));
                this.late(reason)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}
