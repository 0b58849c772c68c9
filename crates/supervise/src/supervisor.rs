//! Keeps every handler process that the configuration asks for.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use chassis::lifecycle::Drain;
use handlers::{Event, Handler, MemberId, Ownership, Pool};
use tokio::sync::mpsc;

use crate::{Console, ProcessSpec, Record, RecordError, Spawner, replica};

/// Why supervision could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuperviseError {
    /// No folder for the handlers' sockets.
    #[error("cannot make a folder for the handlers' sockets in {}", .path.display())]
    Sockets {
        /// Where it was tried.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// The record of process groups cannot be kept.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The system gives us no thread.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// What all handler processes share.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) spawner: Spawner,
    pub(crate) console: Console,
    record: Mutex<Record>,
    sockets: PathBuf,
    sequence: AtomicU64,
}

/// Starts and keeps handler processes; what it began ends with the drain it was given.
#[derive(Debug)]
pub struct Supervisor {
    tools: Arc<Tools>,
    intake: Drain,
    drain: Drain,
}

/// Makes a handler that speaks to the process behind a socket.
pub type Connect = Arc<dyn Fn(&Path) -> Arc<dyn Handler> + Send + Sync>;

impl Supervisor {
    /// Prepares to start processes: notes them in `records`, puts their sockets into a new private folder, starts
    /// them by `launcher`, our own binary.
    ///
    /// Once `intake` begins, the messages' drain, none is started any more; where it is cut, one that was left with work
    /// is killed. All are stopped when `drain` begins, which must be after the messages were drained.
    pub fn new(
        records: &Path,
        launcher: &Path,
        console: Console,
        intake: Drain,
        drain: Drain,
    ) -> Result<Self, SuperviseError> {
        let sockets = socket_folder(&std::env::temp_dir())?;
        let record = Mutex::new(Record::open(records, &sockets)?);
        let spawner = Spawner::new(launcher.to_owned()).map_err(SuperviseError::Thread)?;
        let tools = Arc::new(Tools {
            spawner,
            console,
            record,
            sockets,
            sequence: AtomicU64::new(0),
        });
        Ok(Self { tools, intake, drain })
    }

    /// Starts an actor's processes and keeps them in `pool`, each behind what `connect` makes of its socket.
    pub fn add(&self, spec: ProcessSpec, pool: Pool, connect: Connect) {
        let crew = Arc::new(Crew {
            spec,
            pool,
            connect,
            tools: self.tools.clone(),
            intake: self.intake.clone(),
            drain: self.drain.clone(),
            ears: Mutex::new(HashMap::new()),
        });
        let listener = crew.clone();
        // Ends with the crew's last replica, which is when nobody is left to tell.
        let listening = self.drain.spawn("pool events", async move {
            loop {
                let event = listener.pool.event().await;
                listener.tell(event);
            }
        });
        let replicas: Vec<_> = (1..=crew.spec.replicas.get())
            .map(|index| self.drain.spawn("replica", replica::keep(crew.clone(), index)))
            .collect();
        self.drain.spawn("crew", async move {
            for replica in replicas {
                // A panic was logged by the drain.
                let _ = replica.join().await;
            }
            listening.abort();
        });
    }
}

impl Drop for Tools {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.sockets);
    }
}

/// One actor's processes.
pub(crate) struct Crew {
    pub(crate) spec: ProcessSpec,
    pub(crate) pool: Pool,
    pub(crate) tools: Arc<Tools>,
    /// Begins when no new work is taken in any more.
    pub(crate) intake: Drain,
    pub(crate) drain: Drain,
    connect: Connect,
    ears: Mutex<HashMap<MemberId, mpsc::Sender<Event>>>,
}

/// A replica hears of a few states only; what does not fit is old news.
const EARSHOT: usize = 16;

impl Crew {
    /// A socket path that was never used before.
    pub(crate) fn next_socket(&self) -> PathBuf {
        let number = self.tools.sequence.fetch_add(1, Ordering::Relaxed);
        self.tools.sockets.join(format!("{number}.sock"))
    }

    /// Notes a group for the next `up`, in case this one is killed.
    pub(crate) fn noted(&self, group: u32) -> io::Result<()> {
        let mut record = self.tools.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.add(group).map_err(io::Error::other)
    }

    /// Puts a started process into the pool; the receiver hears of it.
    pub(crate) fn enlist(&self, socket: &Path) -> (MemberId, mpsc::Receiver<Event>) {
        let (ear, events) = mpsc::channel(EARSHOT);
        let mut ears = self.ears();
        let member = self
            .pool
            .add((self.connect)(socket), self.spec.share(), Ownership::Ours);
        ears.insert(member, ear);
        (member, events)
    }

    /// Forgets a process that has ended, in the pool too.
    pub(crate) fn strike_out(&self, group: u32, member: MemberId) {
        self.pool.remove(member);
        self.ears().remove(&member);
        self.tools
            .record
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(group);
    }

    fn tell(&self, event: Event) {
        if let Some(ear) = self.ears().get(&event.member()) {
            // Full means that the replica is busy leaving.
            let _ = ear.try_send(event);
        }
    }

    fn ears(&self) -> std::sync::MutexGuard<'_, HashMap<MemberId, mpsc::Sender<Event>>> {
        self.ears.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new folder that only we may enter, with a path short enough for the sockets in it. The path is absolute, for
/// handlers run in a folder of their own.
fn socket_folder(temporary: &Path) -> Result<PathBuf, SuperviseError> {
    let parent = std::path::absolute(temporary).map_err(|source| SuperviseError::Sockets {
        path: temporary.to_owned(),
        source,
    })?;
    let parent = if parent.as_os_str().len() > MAX_PARENT {
        PathBuf::from("/tmp")
    } else {
        parent
    };
    let failed = |source| SuperviseError::Sockets {
        path: parent.clone(),
        source,
    };
    let folder = tempfile::Builder::new()
        .prefix("outrigger-")
        .tempdir_in(&parent)
        .map_err(failed)?
        .keep();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    Ok(folder)
}

/// A socket's path may have about 100 bytes; the folder's and the socket's own names need up to 50.
const MAX_PARENT: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_sockets_is_absolute_though_the_temporary_folder_is_not() {
        let folder = socket_folder(Path::new(".")).unwrap();
        let mode = folder.metadata().unwrap().permissions().mode();
        fs::remove_dir(&folder).unwrap();
        assert!(folder.is_absolute(), "{}", folder.display());
        assert_eq!(mode & 0o777, 0o700);
    }
}
