//! The thread behind an opened queue: it owns the file or finds who does, for as long as the queue is open.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    client::{Connection, Refusal},
    engine::{Engine, Parts},
    fault::Fault,
    file,
    holder::{HolderLock, Place},
    mailbox::Mailbox,
    options::SqliteOptions,
    server::Server,
    session::Session,
};

/// The first and the longest pause between two looks for an owner.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));
/// How long the first look may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the thread works with.
pub(super) struct Keeper {
    pub(super) session: Arc<Session>,
    pub(super) place: Place,
    pub(super) options: SqliteOptions,
    pub(super) lock: HolderLock,
    /// Told once how the opening went.
    pub(super) opened: Option<oneshot::Sender<Result<(), Fault>>>,
}

impl Keeper {
    /// Starts the thread.
    pub(super) fn start(mut self) -> Result<(), Fault> {
        let session = self.session.clone();
        let thread = thread::Builder::new().name("queue-writer".to_owned()).spawn(move || {
            self.keep();
            let session = self.session.clone();
            // Our holder is gone before anyone is told that we are.
            drop(self);
            session.finish();
        });
        let thread = thread.map_err(|error| Fault::of_io(&error, "start a thread"))?;
        session.kept_by(thread.thread().clone());
        Ok(())
    }

    fn keep(&mut self) {
        let begun = Instant::now();
        let mut pause = PAUSE.0;
        while !self.session.is_stopping() {
            match self.once() {
                Ok(true) => pause = PAUSE.0,
                Ok(false) => {}
                Err(fault) if self.opened.is_none() && fault.is_transient() => {
                    tracing::warn!(?fault, "queue file cannot be taken over for now, trying again");
                    pause = pause.max(PAUSE.1 * 4);
                }
                Err(fault) => {
                    self.report(Err(fault.clone()));
                    self.session.fail(&fault);
                    return;
                }
            }
            if self.opened.is_some() && begun.elapsed() > PATIENCE {
                let why = "the process that owns the queue file does not answer: stop that process";
                self.report(Err(Fault::unavailable(why)));
                return;
            }
            if !self.session.is_stopping() {
                thread::park_timeout(pause);
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }

    /// Owns the file, or works with its owner, until that ends; whether it came to that.
    fn once(&mut self) -> Result<bool, Fault> {
        if let Some(lock) = self.place.lock()? {
            self.own(lock)?;
            return Ok(true);
        }
        match Connection::open(&self.place, self.lock.holder) {
            Ok(connection) => {
                self.report(Ok(()));
                let renew = (self.options.lease / 3).min(Duration::from_secs(3));
                connection.run(&self.session, renew);
                Ok(true)
            }
            Err(Refusal::Absent) => Ok(false),
            Err(Refusal::Never(fault)) => Err(fault),
        }
    }

    fn own(&mut self, lock: File) -> Result<(), Fault> {
        let path = &self.place.file;
        let db = file::open(path, self.options.durability, self.options.max_bytes)?;
        let mailbox = Arc::new(Mailbox::new());
        let parts = Parts {
            path: path.clone(),
            lease: self.options.lease,
            mailbox: mailbox.clone(),
            files: self.place.holders(),
        };
        let mut engine = Engine::load(&db, parts)?;
        let epoch = engine.epoch();
        let server = Server::start(&self.place, mailbox.clone(), epoch);
        let mut server = server.map_err(|error| Fault::of_io(&error, "listen beside the queue file"))?;
        tracing::debug!(path = %path.display(), epoch, "queue file is ours");
        self.session.attach_local(mailbox.clone());
        self.report(Ok(()));
        let ran = catch_unwind(AssertUnwindSafe(|| engine.run()));
        mailbox.close();
        if ran.is_err() {
            tracing::error!(path = %self.place.file.display(), "the queue's writer panicked");
            let why = "its writer stopped on a fault of its own: restart this process";
            self.session.fail(&Fault::unavailable(why));
        }
        self.session.detach();
        server.stop();
        drop(engine);
        drop(db);
        drop(lock);
        if ran.is_err() {
            return Err(Fault::unavailable("its writer stopped on a fault of its own"));
        }
        Ok(())
    }

    fn report(&mut self, opened: Result<(), Fault>) {
        if let Some(waiting) = self.opened.take() {
            let _ = waiting.send(opened);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::super::{SqliteOptions, SqliteQueue, protocol::Request};
    use crate::{Put, Queue, QueueError, QueueSpec};

    #[tokio::test]
    async fn a_writer_that_panics_is_an_error_for_everyone_and_frees_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(folder.path().join("queue.db"));
        let queue = SqliteQueue::open(options.clone()).await.unwrap();
        queue.declare(&[QueueSpec::new("work")]).await.unwrap();
        queue.put(vec![Put::new("work", "a")]).await.unwrap();
        let mut consumer = queue.consume("work", 1).await.unwrap();
        let held = consumer.take().await.unwrap();
        let other = SqliteQueue::open(options).await.unwrap();
        let mut waiting = JoinSet::new();
        waiting.spawn(async move { consumer.take().await.map(drop) });
        let fault = queue.session().call(Request::Panic).await.unwrap_err();
        assert!(fault.is_transient(), "{fault:?}");
        assert!(waiting.join_next().await.unwrap().unwrap().is_err());
        let put = queue.put(vec![Put::new("work", "b")]).await;
        assert!(matches!(put, Err(QueueError::Unavailable { .. })), "{put:?}");
        drop(held);
        queue.close().await;
        let mut consumer = other.consume("work", 1).await.unwrap();
        let delivery = consumer.take().await.unwrap();
        assert_eq!(
            (&delivery.body()[..], delivery.tally().deliveries),
            (&b"a"[..], Some(2))
        );
    }
}
