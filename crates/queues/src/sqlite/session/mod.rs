//! This process's side of a queue file: what it asked for, what it holds, who waits for an answer.
//!
//! The same whether the writer is a thread of ours or of another process. Every request stays here until it is
//! answered; when the owner dies, all that is open is asked again of the next one.

mod calls;
mod route;
mod tray;

use std::{
    collections::{BTreeMap, HashMap},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::Thread,
};

use tokio::sync::{Notify, Semaphore, oneshot};

use super::{
    engine::{Asked, Mail, Staged},
    fault::Fault,
    mailbox::Mailbox,
    protocol::{Answer, Claim, Given, Reply, Request, UNASKED},
    wire::Numbered,
};
use crate::{Again, Settle};

use route::{LOCAL, Local, Route};

pub(super) use route::Outbox;
pub(super) use tray::Tray;

/// How many bytes of puts may wait for their answer, in units of [`PERMIT_BYTES`].
const PERMITS: usize = 1 << 16;
const PERMIT_BYTES: usize = 4 << 10;

/// What all handles of one opened queue share.
pub(super) struct Session {
    pub(super) path: PathBuf,
    pub(super) holder: u64,
    state: Mutex<State>,
    /// Bounds what puts keep in memory.
    permits: Semaphore,
    /// The thread that keeps the connection has ended.
    finished: AtomicBool,
    on_finish: Notify,
    keeper: OnceLock<Thread>,
    silenced: AtomicBool,
}

struct State {
    next: u64,
    route: Route,
    pending: BTreeMap<u64, Pending>,
    held: HashMap<Claim, u64>,
    trays: HashMap<u64, Arc<Tray>>,
    /// Nothing is taken on any more.
    ended: Option<Fault>,
    stopping: bool,
}

struct Pending {
    waiter: Option<oneshot::Sender<Reply>>,
    claim: Option<Claim>,
    /// To ask again; kept where the writer is in another process.
    request: Option<Arc<Request>>,
}

impl Session {
    pub(super) fn new(path: PathBuf, holder: u64) -> Self {
        let state = State {
            next: 1,
            route: Route::None,
            pending: BTreeMap::new(),
            held: HashMap::new(),
            trays: HashMap::new(),
            ended: None,
            stopping: false,
        };
        Self {
            path,
            holder,
            state: Mutex::new(state),
            permits: Semaphore::new(PERMITS),
            finished: AtomicBool::new(false),
            on_finish: Notify::new(),
            keeper: OnceLock::new(),
            silenced: AtomicBool::new(false),
        }
    }

    /// The writer is a thread of this process now.
    pub(super) fn attach_local(self: &Arc<Self>, mailbox: Arc<Mailbox<Mail>>) {
        let joined = Mail::Joined {
            connection: LOCAL,
            holder: self.holder,
            sink: Arc::new(Local(self.clone())),
            heard: None,
        };
        let _ = mailbox.push(joined);
        self.attach(Route::Local(mailbox));
    }

    /// The writer is another process now.
    pub(super) fn attach_remote(&self, outbox: Arc<Outbox>) {
        self.attach(Route::Remote(outbox));
    }

    fn attach(&self, route: Route) {
        let mut state = self.lock();
        state.route = route;
        let held = state.held.iter().map(|(claim, consumer)| (*claim, *consumer)).collect();
        let _ = state.route.send(UNASKED, Arc::new(Request::Present(held)));
        for (consumer, tray) in &state.trays {
            let consume = Request::Consume {
                consumer: *consumer,
                queue: tray.queue.clone(),
                credit: tray.credit(),
            };
            let _ = state.route.send(UNASKED, Arc::new(consume));
        }
        let State {
            pending,
            route,
            stopping,
            ..
        } = &mut *state;
        for (id, pending) in pending {
            if let Some(request) = &pending.request {
                let _ = route.send(*id, request.clone());
            }
        }
        if *stopping {
            route.stop();
        }
    }

    /// The connection is lost; what is open waits for the next owner.
    pub(super) fn detach(&self) {
        self.lock().route = Route::None;
    }

    /// Asks without waiting for the answer.
    pub(super) fn tell(&self, request: Request) {
        let mut state = self.lock();
        if state.ended.is_none() {
            state.send(request, None);
        }
    }

    /// Asks; the answer comes through the receiver.
    pub(super) fn ask(&self, request: Request) -> Result<oneshot::Receiver<Reply>, Fault> {
        let mut state = self.lock();
        if let Some(fault) = &state.ended {
            return Err(fault.clone());
        }
        let (waiter, receiver) = oneshot::channel();
        state.send(request, Some(waiter));
        Ok(receiver)
    }

    /// Answers that came from the writer, in their order.
    pub(super) fn dispatch(&self, answers: Vec<Answer>) {
        let mut waiters = Vec::new();
        let mut wake: Option<Arc<Tray>> = None;
        let mut lost = None;
        let mut state = self.lock();
        for answer in answers {
            match answer {
                Answer::Given(given) => {
                    let tray = state.accept(given);
                    if let Some(tray) = tray
                        && !wake.as_ref().is_some_and(|other| Arc::ptr_eq(other, &tray))
                        && let Some(other) = wake.replace(tray)
                    {
                        other.wake();
                    }
                }
                Answer::Reply(UNASKED, reply) => {
                    if let Reply::Refused(fault @ Fault::Unusable { .. }) = reply {
                        lost = Some((fault, std::mem::take(&mut state.trays)));
                    }
                }
                Answer::Reply(id, reply) => {
                    let Some(pending) = state.pending.remove(&id) else {
                        continue;
                    };
                    if let Reply::Taken(Some(given)) = &reply {
                        state.held.insert(given.claim, 0);
                    }
                    if let Some(claim) = pending.claim
                        && !matches!(&reply, Reply::Refused(Fault::NoQueue(_) | Fault::TooLarge { .. }))
                    {
                        state.held.remove(&claim);
                    }
                    if let Some(waiter) = pending.waiter {
                        waiters.push((waiter, reply));
                    }
                }
            }
        }
        let nudge = match &state.route {
            Route::Remote(outbox) if !state.held.is_empty() && !outbox.armed.load(Ordering::SeqCst) => {
                Some(outbox.clone())
            }
            _ => None,
        };
        drop(state);
        if let Some(outbox) = nudge {
            outbox.requests.nudge();
        }
        // New work first: it has a handler to go to.
        if let Some(tray) = wake {
            tray.wake();
        }
        for (waiter, reply) in waiters {
            if let Err(Reply::Taken(Some(given))) = waiter.send(reply) {
                self.hand_back(given.claim);
            }
        }
        if let Some((fault, trays)) = lost {
            for tray in trays.into_values() {
                tray.end(&fault);
            }
        }
    }

    /// Whether the lease has to be renewed.
    pub(super) fn holds(&self) -> bool {
        !self.lock().held.is_empty() && !self.silenced.load(Ordering::SeqCst)
    }

    /// Returns a message that nobody has seen.
    pub(super) fn hand_back(&self, claim: Claim) {
        let how = Settle::Again(Again::UNCOUNTED);
        self.tell(Request::Settle { claim, how });
    }

    /// Nothing goes any more: everyone who waits gets the fault, and so does everyone who comes.
    pub(super) fn fail(&self, fault: &Fault) {
        let mut state = self.lock();
        let fault = state.ended.get_or_insert_with(|| fault.clone()).clone();
        state.route = Route::None;
        let pending = std::mem::take(&mut state.pending);
        let trays = std::mem::take(&mut state.trays);
        state.held.clear();
        drop(state);
        for pending in pending.into_values() {
            if let Some(waiter) = pending.waiter {
                let _ = waiter.send(Reply::Refused(fault.clone()));
            }
        }
        for tray in trays.into_values() {
            tray.end(&fault);
        }
    }

    /// Ends as if the process had been killed: nothing goes out any more.
    pub(super) fn crash(&self) {
        let mut state = self.lock();
        state.stopping = true;
        match &state.route {
            Route::None => {}
            Route::Local(mailbox) => drop(mailbox.push(Mail::Staged(Staged::Crash))),
            Route::Remote(outbox) => hang_up(&outbox.stream),
        }
        drop(state);
        self.fail(&Fault::unavailable("its process was killed, in a test"));
        self.unpark();
    }

    /// Renews no lease from now on.
    pub(super) fn silence(&self) {
        self.silenced.store(true, Ordering::SeqCst);
    }

    /// Lets so many settles meet a full disk; only where the writer is in this process.
    pub(super) fn fail_settles(&self, times: u32) -> bool {
        match &self.lock().route {
            Route::Local(mailbox) => mailbox.push(Mail::Staged(Staged::FailSettles(times))).is_ok(),
            _ => false,
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// The thread that keeps the connection.
    pub(super) fn kept_by(&self, thread: Thread) {
        let _ = self.keeper.set(thread);
    }

    /// Ends the keeper's pause.
    fn unpark(&self) {
        if let Some(thread) = self.keeper.get() {
            thread.unpark();
        }
    }

    /// The keeper's thread is about to end.
    pub(super) fn finish(&self) {
        self.fail(&Fault::Closed);
        self.finished.store(true, Ordering::SeqCst);
        self.on_finish.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn send(&mut self, request: Request, waiter: Option<oneshot::Sender<Reply>>) {
        let id = self.next;
        self.next += 1;
        let claim = match &request {
            Request::Settle { claim, .. } | Request::Forward { claim, .. } => Some(*claim),
            _ => None,
        };
        let mut pending = Pending {
            waiter,
            claim,
            request: None,
        };
        match &self.route {
            Route::Local(mailbox) => {
                let connection = LOCAL;
                let asked = Mail::Asked(Asked {
                    connection,
                    id,
                    request,
                });
                if let Err(Mail::Asked(asked)) = mailbox.push(asked) {
                    pending.request = Some(Arc::new(asked.request));
                }
            }
            Route::Remote(outbox) => {
                let request = Arc::new(request);
                pending.request = Some(request.clone());
                let _ = outbox.requests.push(Numbered { id, request });
            }
            Route::None => pending.request = Some(Arc::new(request)),
        }
        self.pending.insert(id, pending);
    }

    /// Takes a delivery on, or sends it back where nobody wants it any more.
    fn accept(&mut self, given: Given) -> Option<Arc<Tray>> {
        let claim = given.claim;
        self.held.insert(claim, given.consumer);
        let tray = self.trays.get(&given.consumer).cloned();
        if let Some(tray) = tray
            && tray.put(given)
        {
            return Some(tray);
        }
        let how = Settle::Again(Again::UNCOUNTED);
        self.send(Request::Settle { claim, how }, None);
        None
    }
}

/// Ends a connection from this side.
pub(super) fn hang_up(stream: &UnixStream) {
    let _ = stream.shutdown(Shutdown::Both);
}
