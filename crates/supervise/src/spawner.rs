//! Starts processes from one thread that lives as long as we do.
//!
//! The parent-death signal is tied to the *thread* that started a process. A runtime's threads come and go; this one
//! does not.

use std::{
    io,
    path::{Path, PathBuf},
    thread,
};

use tokio::{
    process,
    runtime::Handle,
    sync::{mpsc, oneshot},
};

/// A cheap handle on the thread; the thread ends with the last one.
#[derive(Debug, Clone)]
pub struct Spawner {
    launcher: PathBuf,
    orders: mpsc::Sender<Order>,
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
        let (orders, mut inbox) = mpsc::channel::<Order>(16);
        let runtime = Handle::current();
        thread::Builder::new().name("spawner".into()).spawn(move || {
            let _inside = runtime.enter();
            while let Some(mut order) = inbox.blocking_recv() {
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

    /// Starts a process; those that ask at the same time wait for one another.
    ///
    /// # Cancellation
    /// A process that was started for a dropped future is ended at once where the command says `kill_on_drop`.
    pub async fn spawn(&self, command: process::Command) -> io::Result<process::Child> {
        let (answer, started) = oneshot::channel();
        let gone = || io::Error::other("the spawner thread has ended");
        self.orders.send(Order { command, answer }).await.map_err(|_| gone())?;
        started.await.map_err(|_| gone())?
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn many_that_ask_at_once_are_all_served() {
        let spawner = Spawner::new("launcher".into()).unwrap();
        let mut asking = JoinSet::new();
        for _ in 0..60 {
            let spawner = spawner.clone();
            asking.spawn(async move { spawner.spawn(process::Command::new("true")).await });
        }
        while let Some(started) = asking.join_next().await {
            let mut child = started.unwrap().expect("started");
            assert!(child.wait().await.unwrap().success());
        }
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_the_systems_own_error() {
        let spawner = Spawner::new("launcher".into()).unwrap();
        let error = spawner
            .spawn(process::Command::new("/no/such/program"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
