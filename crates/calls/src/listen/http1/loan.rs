//! Where the reading half of a connection is: at home, or lent to the body of the request.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::sync::oneshot;

use crate::{
    http1::{Incoming, Reader},
    listen::unwanted::NEAR,
};

/// The way in of a connection, while a request is answered.
#[derive(Debug)]
pub(super) struct Line {
    loan: Loan,
    is_watched: bool,
}

/// Where the reading half is.
#[derive(Debug)]
pub(super) enum Loan {
    /// Here, at the beginning of the next request.
    Home(Reader),
    /// With the body of the request.
    Lent(oneshot::Receiver<Incoming>),
    /// Here, in the middle of a body that nobody reads any more.
    Unread(Incoming),
    /// Here, after what is no request, or no body.
    Spoilt(Reader),
    /// Nowhere: its connection has ended.
    Lost,
}

impl Line {
    pub(super) fn home(reader: Reader) -> Self {
        Loan::Home(reader).into()
    }

    pub(super) fn lent(back: oneshot::Receiver<Incoming>) -> Self {
        Loan::Lent(back).into()
    }

    /// One that no request comes by any more.
    pub(super) fn spoilt(reader: Reader) -> Self {
        Loan::Spoilt(reader).into()
    }

    /// Whether somebody may still read the body.
    pub(super) fn is_lent(&mut self) -> bool {
        self.look();
        !matches!(self.loan, Loan::Home(_))
    }

    /// Whether the next request may be at hand once this one is answered: nothing is left of its body, or little, or somebody
    /// still reads it.
    pub(super) fn may_go_on(&mut self) -> bool {
        self.look();
        match &mut self.loan {
            Loan::Home(_) | Loan::Lent(_) => true,
            Loan::Unread(incoming) => incoming.size_hint().exact().is_some_and(|left| left <= NEAR),
            Loan::Spoilt(_) | Loan::Lost => false,
        }
    }

    /// Waits until the client has left. Never ends where that cannot be seen: the body is with somebody else, who sees it,
    /// or the next request has come already.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub(super) async fn gone(&mut self) {
        std::future::poll_fn(|cx| self.poll_gone(cx)).await;
    }

    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Loan::Lent(back) = &mut self.loan {
            let back = ready!(Pin::new(back).poll(cx));
            self.loan = back.map_or(Loan::Lost, Loan::of);
        }
        match &mut self.loan {
            Loan::Home(reader) if self.is_watched => {
                if reader.has_more() {
                    return Poll::Pending;
                }
                let filled = ready!(reader.poll_fill(cx));
                if matches!(filled, Ok(1..)) {
                    self.is_watched = false;
                    return Poll::Pending;
                }
                Poll::Ready(())
            }
            _ => Poll::Pending,
        }
    }

    /// Where the reading half is once the answer has been sent; a body that is still being read is waited for.
    pub(super) async fn back(mut self) -> Loan {
        self.look();
        match self.loan {
            Loan::Lent(back) => back.await.map_or(Loan::Lost, Loan::of),
            loan => loan,
        }
    }

    /// Takes note of a body that has come back.
    fn look(&mut self) {
        if let Loan::Lent(back) = &mut self.loan {
            match back.try_recv() {
                Ok(incoming) => self.loan = Loan::of(incoming),
                Err(oneshot::error::TryRecvError::Empty) => {}
                Err(oneshot::error::TryRecvError::Closed) => self.loan = Loan::Lost,
            }
        }
    }
}

impl Loan {
    fn of(incoming: Incoming) -> Self {
        if incoming.is_done() {
            Self::Home(incoming.into_reader())
        } else if incoming.has_failed() {
            Self::Spoilt(incoming.into_reader())
        } else {
            Self::Unread(incoming)
        }
    }
}

impl From<Loan> for Line {
    fn from(loan: Loan) -> Self {
        Self { loan, is_watched: true }
    }
}
