//! A request on its way out: its head, and its body as it comes and as the upstream takes it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use super::outgoing::{Outgoing, Part};
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
    /// Goes up with every part; others look at it to see whether anything moves.
    moved: Arc<AtomicU64>,
    waits_for: Side,
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
    pub(super) fn new(writer: Writer, outgoing: Outgoing, form: BodyForm) -> Self {
        Self {
            writer,
            outgoing,
            form,
            stage: if form == BodyForm::None {
                Stage::Last
            } else {
                Stage::Body
            },
            moved: Arc::default(),
            waits_for: Side::Upstream,
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

    /// What goes up when something moves.
    pub(super) fn moved(&self) -> &Arc<AtomicU64> {
        &self.moved
    }

    /// Sends what there is; ready when all of it is sent, or no more can be.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UploadError>> {
        loop {
            if self.stage == Stage::Over {
                return Poll::Ready(Ok(()));
            }
            if self.writer.is_full() || self.stage == Stage::Last {
                self.waits_for = Side::Upstream;
                if ready!(self.writer.poll_drain(cx)).is_err() {
                    self.stage = Stage::Over;
                    return Poll::Ready(Err(UploadError::Upstream));
                }
                self.moved.fetch_add(1, Ordering::Relaxed);
                if self.stage == Stage::Last {
                    self.stage = Stage::Over;
                }
                continue;
            }
            match self.outgoing.poll_part(cx) {
                Poll::Ready(Ok(Part::Data(data))) => {
                    self.moved.fetch_add(1, Ordering::Relaxed);
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
                    let drained = self.writer.poll_drain(cx);
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
}
