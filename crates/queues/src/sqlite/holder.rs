//! The folder beside the file: the owner's lock, its socket, and one locked file for each process that holds
//! messages. The kernel lets go of a lock when its process dies, so a dead holder is known at once.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use super::fault::Fault;

/// Socket paths above it are reached through the open folder.
const SOCKET_PATH: usize = 100;

/// Where everything is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The database file, absolute.
    pub(super) file: PathBuf,
    folder: PathBuf,
}

/// The lock of this process on its own holder file.
#[derive(Debug)]
pub(super) struct HolderLock {
    pub(super) holder: u64,
    path: PathBuf,
    _lock: File,
}

/// Looks at the lock files of others.
#[derive(Debug, Clone)]
pub(super) struct HolderFiles {
    folder: PathBuf,
}

impl Place {
    /// Finds the file and makes the folders that are missing.
    pub(super) fn prepare(path: &Path) -> Result<Self, Fault> {
        let fault = |error: io::Error| Fault::of_io(&error, "make the queue's folder");
        if path.is_dir() {
            return Err(Fault::unusable("it is a folder: name a file"));
        }
        let path = std::path::absolute(path).map_err(fault)?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Fault::unusable("it is no path of a file"));
        };
        fs::create_dir_all(parent).map_err(fault)?;
        let file = match path.canonicalize() {
            Ok(file) => file,
            Err(_) => parent.canonicalize().map_err(fault)?.join(name),
        };
        let mut folder = file.clone().into_os_string();
        folder.push("-owner");
        let folder = PathBuf::from(folder);
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(fault(error)),
            _ => Ok(Self { file, folder }),
        }
    }

    /// Tries to become the owner; `None` while somebody else is.
    pub(super) fn lock(&self) -> Result<Option<File>, Fault> {
        let fault = |error: io::Error| Fault::of_io(&error, "lock the queue file");
        let lock = options().open(self.folder.join("lock")).map_err(fault)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(fault(error)),
        }
    }

    /// A fresh holder of its own for this process.
    pub(super) fn holder(&self) -> Result<HolderLock, Fault> {
        let fault = |error: io::Error| Fault::of_io(&error, "create a lock file");
        loop {
            let holder = fastrand::u64(1..1 << 48);
            let path = self.folder.join(name(holder));
            let lock = match options().create_new(true).open(&path) {
                Ok(lock) => lock,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(fault(error)),
            };
            // Somebody may have swept it away before it was locked.
            if lock.try_lock().is_ok() && path.exists() {
                return Ok(HolderLock {
                    holder,
                    path,
                    _lock: lock,
                });
            }
        }
    }

    pub(super) fn holders(&self) -> HolderFiles {
        HolderFiles {
            folder: self.folder.clone(),
        }
    }

    /// Listens in place of an owner that is gone.
    /// The socket and its inode.
    pub(super) fn listen(&self) -> io::Result<(UnixListener, u64)> {
        let path = self.folder.join("socket");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = self.short(UnixListener::bind)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let inode = fs::metadata(&path)?.ino();
        Ok((listener, inode))
    }

    pub(super) fn connect(&self) -> io::Result<UnixStream> {
        self.short(UnixStream::connect)
    }

    /// Removes the socket, unless another process has put its own there.
    pub(super) fn unlisten(&self, inode: u64) {
        let path = self.folder.join("socket");
        if fs::metadata(&path).is_ok_and(|file| file.ino() == inode) {
            let _ = fs::remove_file(path);
        }
    }

    /// Calls with a path to the socket that is short enough for the system.
    fn short<T>(&self, call: impl FnOnce(PathBuf) -> io::Result<T>) -> io::Result<T> {
        let path = self.folder.join("socket");
        if path.as_os_str().len() <= SOCKET_PATH {
            return call(path);
        }
        let folder = File::open(&self.folder)?;
        call(PathBuf::from(format!("/proc/self/fd/{}/socket", folder.as_raw_fd())))
    }
}

impl HolderFiles {
    /// Whether the process behind a holder is gone; its file is removed then.
    pub(super) fn is_dead(&self, holder: u64) -> bool {
        let path = self.folder.join(name(holder));
        match File::open(&path).map(|file| file.try_lock().map(|()| file)) {
            Ok(Ok(_locked)) => {
                let _ = fs::remove_file(&path);
                true
            }
            Ok(Err(_)) => false,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    /// Removes what dead processes left, but for those that still hold messages.
    pub(super) fn sweep(&self, keep: &BTreeSet<u64>) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let file = entry.file_name();
            let holder = file.to_str().and_then(|name| name.strip_suffix(".holder"));
            let holder = holder.and_then(|hex| u64::from_str_radix(hex, 16).ok());
            if let Some(holder) = holder.filter(|holder| !keep.contains(holder)) {
                self.is_dead(holder);
            }
        }
    }
}

impl Drop for HolderLock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn name(holder: u64) -> String {
    format!("{holder:012x}.holder")
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}
