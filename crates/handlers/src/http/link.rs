//! One HTTP connection, driven by whoever uses it.

use std::{
    error::Error,
    fmt,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};

use hyper::{
    Request,
    client::conn::http1::{self, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;

use super::{
    Answer, Outgoing, Target,
    stream::{Seen, Stream},
};
use crate::{BadAnswer, trouble::Trouble};

/// One connection; dropped, it is closed.
pub(crate) struct Link {
    sender: SendRequest<Outgoing>,
    driver: Option<Pin<Box<Connection<TokioIo<Stream>, Outgoing>>>>,
    seen: Arc<Seen>,
}

impl Link {
    /// Connects.
    ///
    /// # Cancellation
    /// Dropping the future closes the connection.
    pub(crate) async fn open(target: &Target, patience: Duration) -> io::Result<Self> {
        let seen = Arc::new(Seen::default());
        let stream = Stream::open(target, patience, Arc::clone(&seen)).await?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        Ok(Self {
            sender,
            driver: Some(Box::pin(driver)),
            seen,
        })
    }

    /// Whether a request could go out on it, seen without waiting.
    pub(crate) fn is_usable(&mut self) -> bool {
        self.step(&mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Sends a request, and waits for the head of its answer.
    ///
    /// # Cancellation
    /// Dropping the future leaves the connection in the middle of an exchange: it is to be closed.
    pub(crate) async fn ask(&mut self, mut request: Request<Outgoing>) -> Result<Answer<'_>, Trouble> {
        self.seen.begin();
        request.body_mut().watch(Arc::clone(&self.seen));
        // One that was just made may have to be polled before it takes a request.
        let asked = async |link: &mut Self| {
            let ready = poll_fn(|cx| {
                link.step(cx);
                link.sender.poll_ready(cx)
            });
            ready.await?;
            let sent = link.sender.send_request(request);
            link.drive(sent).await
        };
        match asked(self).await {
            Ok(response) => Ok(Answer::new(self, response)),
            Err(error) => Err(self.trouble(error)),
        }
    }

    /// Carries the connection on while `work` waits for it.
    pub(super) async fn drive<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            self.step(cx);
            work.as_mut().poll(cx)
        })
        .await
    }

    /// Lets the connection do what it can do now.
    fn step(&mut self, cx: &mut Context<'_>) {
        // What ended it is told to whoever waits for an answer.
        if self
            .driver
            .as_mut()
            .is_some_and(|driver| driver.as_mut().poll(cx).is_ready())
        {
            self.driver = None;
        }
    }

    /// What it means that no head came.
    fn trouble(&self, error: hyper::Error) -> Trouble {
        let read = self.seen.read.load(Ordering::Relaxed);
        if read > 0 {
            let is_cut = error.is_incomplete_message() || is_io(&error).is_some();
            return Trouble::Bad(if is_cut {
                BadAnswer::CutShort { got: read, of: None }
            } else {
                BadAnswer::NotHttp { source: error }
            });
        }
        let source = is_io(&error).unwrap_or(io::ErrorKind::UnexpectedEof).into();
        if self.seen.written.load(Ordering::Relaxed) {
            Trouble::Unanswered(source)
        } else {
            Trouble::Unwritten(source)
        }
    }
}

/// The kind of the system's own error, where that is what ended the connection.
fn is_io(error: &hyper::Error) -> Option<io::ErrorKind> {
    error.source()?.downcast_ref::<io::Error>().map(io::Error::kind)
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("seen", &self.seen).finish_non_exhaustive()
    }
}
