//! The calls of the public handles, each one request and its answer.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    super::{
        fault::Fault,
        protocol::{Given, Reply, Request},
    },
    PERMIT_BYTES, PERMITS, Session, Tray,
};
use crate::{Browsed, Put, QueueStats};

/// How long an end waits for an owner that does not answer.
const LEAVE: Duration = Duration::from_secs(10);

impl Session {
    /// One request and its answer.
    pub(in super::super) async fn call(&self, request: Request) -> Result<Reply, Fault> {
        match self.ask(request)?.await {
            Ok(Reply::Refused(fault)) => Err(fault),
            Ok(reply) => Ok(reply),
            Err(_) => Err(Fault::Closed),
        }
    }

    pub(in super::super) async fn put(&self, messages: Vec<Put>) -> Result<(), Fault> {
        if messages.is_empty() {
            return Ok(());
        }
        let bytes: usize = messages.iter().map(|put| put.body.len()).sum();
        let permits = u32::try_from((bytes / PERMIT_BYTES + 1).min(PERMITS)).unwrap_or(u32::MAX);
        let permit = self.permits.acquire_many(permits).await;
        let answered = {
            let state = self.lock();
            state.pending.first_key_value().map_or(state.next, |(id, _)| *id)
        };
        let done = self.call(Request::Put { answered, messages }).await;
        drop(permit);
        done.map(drop)
    }

    pub(in super::super) async fn exists(&self, queue: Arc<str>) -> Result<bool, Fault> {
        match self.call(Request::Exists(queue)).await? {
            Reply::Exists(exists) => Ok(exists),
            _ => Err(unexpected()),
        }
    }

    pub(in super::super) async fn stats(&self) -> Result<Vec<QueueStats>, Fault> {
        match self.call(Request::Stats).await? {
            Reply::Stats(stats) => Ok(stats),
            _ => Err(unexpected()),
        }
    }

    /// As many as asked for, over as many answers as it takes.
    pub(in super::super) async fn browse(
        &self,
        queue: &Arc<str>,
        mut after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Browsed>, Fault> {
        let mut all = Vec::new();
        loop {
            let request = Request::Browse {
                queue: queue.clone(),
                after,
                limit: (limit - all.len()) as u64,
            };
            let Reply::Browsed(found) = self.call(request).await? else {
                return Err(unexpected());
            };
            let Some(last) = found.last() else { return Ok(all) };
            after = Some(last.position);
            all.extend(found);
            if all.len() >= limit {
                return Ok(all);
            }
        }
    }

    pub(in super::super) async fn take(&self, queue: Arc<str>, position: u64) -> Result<Option<Given>, Fault> {
        match self.call(Request::Take { queue, position }).await? {
            Reply::Taken(given) => Ok(given),
            _ => Err(unexpected()),
        }
    }

    /// Starts a consumer; what is ready is on its tray when this returns.
    pub(in super::super) async fn consume(&self, queue: Arc<str>, credit: u64) -> Result<(u64, Arc<Tray>), Fault> {
        let tray = Arc::new(Tray::new(queue.clone(), credit));
        let (consumer, answer) = {
            let mut state = self.lock();
            if let Some(fault) = &state.ended {
                return Err(fault.clone());
            }
            let consumer = state.next;
            let (waiter, answer) = tokio::sync::oneshot::channel();
            let request = Request::Consume {
                consumer,
                queue,
                credit,
            };
            state.send(request, Some(waiter));
            state.trays.insert(consumer, tray.clone());
            (consumer, answer)
        };
        let unfinished = Unfinished {
            session: self,
            consumer,
        };
        match answer.await {
            Ok(Reply::Refused(fault)) => Err(fault),
            Ok(_) => {
                std::mem::forget(unfinished);
                Ok((consumer, tray))
            }
            Err(_) => Err(Fault::Closed),
        }
    }

    pub(in super::super) fn set_credit(&self, consumer: u64, tray: &Tray, credit: u64) {
        self.tell(Request::Credit { consumer, credit });
        for given in tray.set_credit(credit) {
            self.hand_back(given.claim);
        }
    }

    /// Ends a consumer; what it did not take goes back.
    pub(in super::super) fn end_consumer(&self, consumer: u64) {
        let tray = self.lock().trays.remove(&consumer);
        let Some(tray) = tray else { return };
        self.tell(Request::End { consumer });
        for given in tray.end(&Fault::Closed) {
            self.hand_back(given.claim);
        }
    }

    /// Ends it all without waiting: what was asked for still goes out.
    pub(in super::super) fn leave(&self) {
        drop(self.begin_leave());
        self.stop();
    }

    /// Ends it all and waits until the file is let go.
    pub(in super::super) async fn close(&self) {
        if let Some(left) = self.begin_leave()
            && tokio::time::timeout(LEAVE, left).await.is_err()
        {
            tracing::warn!(path = %self.path.display(), "queue was closed while its owner did not answer");
        }
        self.stop();
        loop {
            let finished = self.on_finish.notified();
            tokio::pin!(finished);
            finished.as_mut().enable();
            if self.finished.load(Ordering::SeqCst) {
                return;
            }
            finished.await;
        }
    }

    fn begin_leave(&self) -> Option<tokio::sync::oneshot::Receiver<Reply>> {
        let consumers: Vec<u64> = {
            let state = self.lock();
            if state.ended.is_some() {
                return None;
            }
            state.trays.keys().copied().collect()
        };
        for consumer in consumers {
            self.end_consumer(consumer);
        }
        let left = self.ask(Request::Leave).ok();
        let mut state = self.lock();
        state.ended.get_or_insert(Fault::Closed);
        left
    }

    fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        state.route.stop();
        drop(state);
        self.unpark();
    }
}

/// A consumer whose start was given up.
struct Unfinished<'a> {
    session: &'a Session,
    consumer: u64,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.session.end_consumer(self.consumer);
    }
}

fn unexpected() -> Fault {
    Fault::unavailable("the owner of the queue file answered something else than it was asked")
}
