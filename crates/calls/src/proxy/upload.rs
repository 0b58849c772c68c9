//! A request on its way out: its head, and its body as it comes and as the upstream takes it.

use std::{
    io,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::time::Instant;

use super::{
    outgoing::{Outgoing, Part},
    pulse::Pulse,
};
use crate::{
    BodyError,
    http1::{BodyForm, Writer},
};

/// A request on its way out.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) writer: Writer,
    pub(super) outgoing: Outgoing,
    form: BodyForm,
    stage: Stage,
    /// Beats with every part of the body; others look at it to see whether anything moves.
    pulse: Arc<Pulse>,
    waits_for: Side,
    /// Whether a part of the body has come: before, it is the head that moves.
    has_begun: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Body,
    Last,
    Over,
}

/// Whom an upload waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Upstream,
}

/// Why an upload ended early.
#[derive(Debug)]
pub(super) enum UploadError {
    /// The body broke off.
    Client(BodyError),
    /// The upstream takes no more; why is told by what it answers, or by its answer's absence.
    Upstream,
}

impl Upload {
    /// The head waits in the writer.
    pub(super) fn new(writer: Writer, outgoing: Outgoing, form: BodyForm, now: Instant) -> Self {
        Self {
            writer,
            outgoing,
            form,
            stage: if form == BodyForm::None {
                Stage::Last
            } else {
                Stage::Body
            },
            pulse: Arc::new(Pulse::new(now)),
            waits_for: Side::Upstream,
            has_begun: false,
        }
    }

    /// Whether nothing more is to be sent.
    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Whom it waits for.
    pub(super) fn waits_for(&self) -> Side {
        self.waits_for
    }

    /// What beats when something of its body moves.
    pub(super) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    /// Sends what there is; ready when all of it is sent, or no more can be.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UploadError>> {
        loop {
            if self.stage == Stage::Over {
                return Poll::Ready(Ok(()));
            }
            if self.writer.is_full() || self.stage == Stage::Last {
                self.waits_for = Side::Upstream;
                if ready!(self.poll_drain(cx)).is_err() {
                    self.stage = Stage::Over;
                    return Poll::Ready(Err(UploadError::Upstream));
                }
                if self.stage == Stage::Last {
                    self.stage = Stage::Over;
                } else if self.has_begun {
                    self.pulse.beat();
                }
                continue;
            }
            match self.outgoing.poll_part(cx) {
                Poll::Ready(Ok(Part::Data(data))) => {
                    self.has_begun = true;
                    self.pulse.beat();
                    self.writer.push(data, self.form);
                }
                Poll::Ready(Ok(Part::End(trailers))) => {
                    self.writer.end(trailers.as_ref(), self.form);
                    self.stage = Stage::Last;
                }
                Poll::Ready(Err(error)) => {
                    self.stage = Stage::Over;
                    return Poll::Ready(Err(UploadError::Client(error)));
                }
                Poll::Pending => {
                    // What has come goes on while more is waited for.
                    let drained = self.poll_drain(cx);
                    self.waits_for = if drained.is_pending() {
                        Side::Upstream
                    } else {
                        Side::Client
                    };
                    if matches!(drained, Poll::Ready(Err(_))) {
                        self.stage = Stage::Over;
                        return Poll::Ready(Err(UploadError::Upstream));
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// Writes what waits; what goes out of the body is a move.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waiting = self.writer.waiting();
        let drained = self.writer.poll_drain(cx);
        if self.has_begun && drained.is_pending() && self.writer.waiting() < waiting {
            self.pulse.beat();
        }
        drained
    }
}
