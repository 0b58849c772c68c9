//! The socket's file: made so that only its owner can ever connect, and taken away only by whoever made it.

use std::{
    fs, io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::{
            ffi::OsStrExt,
            fs::{FileTypeExt, MetadataExt},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    sys::{
        socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket},
        stat::{Mode, umask},
    },
};

use crate::StartError;

/// A listening Unix socket and its place in the file system.
pub(crate) struct SocketFile {
    path: PathBuf,
    listener: UnixListener,
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    pub(crate) fn new(path: PathBuf) -> Result<Self, StartError> {
        let length = path.as_os_str().as_bytes().len();
        if length > MAX_PATH {
            return Err(StartError::PathTooLong {
                path,
                length,
                most: MAX_PATH,
            });
        }
        make_room(&path)?;
        let listener = bind(&path).map_err(|source| StartError::Socket {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            identity: identity(&path),
            path,
            listener,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes one peer in, without waiting.
    pub(crate) fn accept(&self) -> io::Result<UnixStream> {
        let (stream, _) = self.listener.accept()?;
        stream.set_nonblocking(false)?;
        Ok(stream)
    }
}

impl AsFd for SocketFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody else's may stand there by now, or nothing.
        if self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds with a mode that lets nobody else in, not even for a moment.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let before = umask(Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(path);
    umask(before);
    let listener = listener?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Removes what a process that is no more has left; refuses where anything else stands.
fn make_room(path: &Path) -> Result<(), StartError> {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !metadata.file_type().is_socket() {
        return Err(StartError::NotASocket { path: path.to_owned() });
    }
    match probe(path) {
        Err(Errno::ECONNREFUSED) => fs::remove_file(path).map_err(|source| StartError::Socket {
            path: path.to_owned(),
            source,
        }),
        // Its backlog is full: alive, and busy.
        Ok(()) | Err(Errno::EAGAIN) => Err(StartError::Served { path: path.to_owned() }),
        Err(errno) => Err(StartError::Socket {
            path: path.to_owned(),
            source: errno.into(),
        }),
    }
}

/// Connects without waiting.
fn probe(path: &Path) -> nix::Result<()> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let probe = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(probe.as_raw_fd(), &UnixAddr::new(path)?)
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Less than the system's own limit, which differs from one to the next.
const MAX_PATH: usize = 100;
