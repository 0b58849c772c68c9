//! The body of a request over HTTP/1, on loan from its connection.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::oneshot;

use super::Expectation;
use crate::{
    BodyError,
    http1::{Incoming, ReadError},
};

/// The body of a request. When it is read, or dropped, its connection has it back.
#[derive(Debug)]
pub(super) struct RequestBody {
    loan: Option<Loan>,
    expectation: Option<Expectation>,
}

#[derive(Debug)]
struct Loan {
    incoming: Incoming,
    home: oneshot::Sender<Incoming>,
}

impl RequestBody {
    /// The body, and where it comes back to.
    pub(super) fn lend(incoming: Incoming, expectation: Option<Expectation>) -> (Self, oneshot::Receiver<Incoming>) {
        let (home, back) = oneshot::channel();
        let loan = Some(Loan { incoming, home });
        (Self { loan, expectation }, back)
    }

    fn give_back(&mut self) {
        if let Some(loan) = self.loan.take() {
            // A connection that has ended does not want it any more.
            let _ = loan.home.send(loan.incoming);
        }
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let Some(loan) = &mut this.loan else {
            return Poll::Ready(None);
        };
        if let Some(expectation) = this.expectation.take() {
            // Whoever sends the body at once waits for nothing.
            if !loan.incoming.has_begun() {
                expectation.meet();
            }
        }
        let polled = loan.incoming.poll_frame(cx);
        if loan.incoming.is_done() || matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            this.give_back();
        }
        polled.map_err(|error: ReadError| error.into())
    }

    fn is_end_stream(&self) -> bool {
        self.loan.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.loan
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), |loan| loan.incoming.size_hint())
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.give_back();
    }
}
