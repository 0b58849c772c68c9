//! Starts processes from one thread that lives as long as we do.
//!
//! The parent-death signal is tied to the *thread* that started a process. A runtime's threads come and go; this one
//! does not.

use std::{
    io,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
};

use tokio::{process, runtime::Handle, sync::oneshot};

/// A cheap handle on the thread; the thread ends with the last one.
#[derive(Debug, Clone)]
pub struct Spawner {
    launcher: PathBuf,
    orders: mpsc::SyncSender<Order>,
}

#[derive(Debug)]
struct Order {
    command: process::Command,
    answer: oneshot::Sender<io::Result<process::Child>>,
}

impl Spawner {
    /// Starts the thread; must be called inside a tokio runtime. `launcher` is our own binary.
    ///
    /// # Errors
    /// When the system gives us no thread.
    pub fn new(launcher: PathBuf) -> io::Result<Self> {
        let (orders, inbox) = mpsc::sync_channel::<Order>(16);
        let runtime = Handle::current();
        thread::Builder::new().name("spawner".into()).spawn(move || {
            let _inside = runtime.enter();
            for mut order in inbox {
                // Whoever asked may have given up; the child is then dropped, and ended with it.
                let _ = order.answer.send(order.command.spawn());
            }
        })?;
        Ok(Self { launcher, orders })
    }

    /// The binary whose `__exec` ties a process to ours.
    pub(crate) fn launcher(&self) -> &Path {
        &self.launcher
    }

    /// Starts a process.
    ///
    /// # Cancellation
    /// A process that was started for a dropped future is ended at once where the command says `kill_on_drop`.
    pub async fn spawn(&self, command: process::Command) -> io::Result<process::Child> {
        let (answer, started) = oneshot::channel();
        let gone = || io::Error::other("the spawner thread has ended");
        self.orders.try_send(Order { command, answer }).map_err(|_| gone())?;
        started.await.map_err(|_| gone())?
    }
}
