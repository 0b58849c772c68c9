//! The ways to the writer: a mailbox in this process, or a socket to another.

use std::{
    os::unix::net::UnixStream,
    sync::{Arc, atomic::AtomicBool},
};

use super::{
    super::{
        engine::{Asked, Mail, Sink},
        mailbox::Mailbox,
        protocol::{Answer, Request},
        wire::Numbered,
    },
    Session,
};

/// The connection number of the writer's own process.
pub(super) const LOCAL: u64 = 0;
/// The way to the writer at this moment.
pub(super) enum Route {
    None,
    Local(Arc<Mailbox<Mail>>),
    Remote(Arc<Outbox>),
}

/// Requests on their way to another process.
pub(in super::super) struct Outbox {
    pub(in super::super) requests: Mailbox<Numbered<Arc<Request>>>,
    /// Whether its writer wakes up in time to renew the lease.
    pub(in super::super) armed: AtomicBool,
    pub(in super::super) stream: UnixStream,
}

impl Route {
    pub(super) fn send(&self, id: u64, request: Arc<Request>) -> Result<(), ()> {
        match self {
            Self::None => Err(()),
            Self::Local(mailbox) => {
                let connection = LOCAL;
                let request = Arc::unwrap_or_clone(request);
                let asked = Asked {
                    connection,
                    id,
                    request,
                };
                mailbox.push(Mail::Asked(asked)).map_err(drop)
            }
            Self::Remote(outbox) => outbox.requests.push(Numbered { id, request }).map_err(drop),
        }
    }

    /// What was sent still goes out; then the connection ends.
    pub(super) fn stop(&self) {
        match self {
            Self::None => {}
            Self::Local(mailbox) => drop(mailbox.push(Mail::Stop)),
            Self::Remote(outbox) => outbox.requests.close(),
        }
    }
}

/// The way from a writer in this process.
pub(super) struct Local(pub(super) Arc<Session>);

impl Sink for Local {
    fn send(&self, answers: Vec<Answer>) {
        self.0.dispatch(answers);
    }

    fn cut(&self) {}
}
