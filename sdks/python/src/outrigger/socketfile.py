"""The socket's file: made so that only its owner can ever connect, and taken away only by whoever made it."""

from __future__ import annotations

import os
import socket
import stat

from .errors import EX_CANTCREAT, StartError

MAX_PATH = 100
BACKLOG = 128


class SocketFile:
    """A listening Unix socket and its place in the file system."""

    def __init__(self, path: str) -> None:
        length = len(os.fsencode(path))
        if length > MAX_PATH:
            raise StartError(f"the socket's path has {length} bytes, at most {MAX_PATH} are possible: {path}")
        self.path = path
        _make_room(path)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            self.sock.bind(path)
        except OSError as error:
            self.sock.close()
            raise StartError(f"cannot make the socket {path}: {error.strerror}", EX_CANTCREAT) from error
        finally:
            os.umask(mask)
        self._identity = _identity(path)
        self.sock.listen(BACKLOG)
        self.sock.setblocking(False)

    def close(self) -> None:
        """Stops listening and removes the file, unless somebody else's stands there by now."""
        if self.sock.fileno() == -1:
            return
        try:
            if _identity(self.path) == self._identity:
                os.unlink(self.path)
        except OSError:
            pass  # gone already, with its folder perhaps
        self.sock.close()


def _make_room(path: str) -> None:
    """Removes what a process that is no more has left; refuses where anything else stands."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise StartError(f"{path} exists and is not a socket: remove it, or choose another path", EX_CANTCREAT)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass  # its backlog is full: alive, and busy
        except OSError as error:
            raise StartError(f"cannot use the socket {path}: {error.strerror}", EX_CANTCREAT) from error
    raise StartError(f"another process is serving on {path}: stop it, or choose another path", EX_CANTCREAT)


def _identity(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino
