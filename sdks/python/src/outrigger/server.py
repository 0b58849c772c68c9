"""Listens, watches every connection for its peer's going, and stops in order.

One loop, which never runs a handler; each connection has a thread. The first SIGTERM stops accepting and serves on
until the peers have closed; SIGINT ends idle connections and finishes what runs; any signal after that ends at once.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import sys
import threading
import weakref
from types import FrameType
from typing import Any

from . import frames, lifeline, load
from .connection import Connection, Parts
from .errors import StartError
from .eventloop import EventLoop
from .functions import Functions, collect
from .slots import Slots
from .socketfile import SocketFile

SOCKET_VARIABLE = "OUTRIGGER_HANDLER_SOCKET"
CONCURRENCY_VARIABLE = "OUTRIGGER_HANDLER_CONCURRENCY"
ACTOR_VARIABLE = "OUTRIGGER_ACTOR"


def serve(
    *handlers: Any,
    name: str | None = None,
    socket: str | None = None,
    concurrency: int | None = None,
    max_frame: int = frames.DEFAULT_CAP,
) -> None:
    """Serves handlers until it is told to stop; returns when all that was in flight has been answered.

    A handler is a function, a callable object, or a class, which is made once. Several are told apart by their
    names; one mapping of names to handlers chooses other names. `socket` and `concurrency` default to
    `OUTRIGGER_HANDLER_SOCKET` and `OUTRIGGER_HANDLER_CONCURRENCY` (1); `max_frame` is in bytes.

    Raises `StartError` where it cannot start. Signals are handled only when called on the main thread.
    """
    if load.importing:
        raise StartError("the file calls serve() as it is imported: put that under `if __name__ == '__main__':`")
    lifeline.hold()
    listen(collect(handlers, name), socket, concurrency, max_frame)


def listen(functions: Functions, socket: str | None, concurrency: int | None, max_frame: int) -> None:
    """Serves functions that are ready to be called: the second half of `serve`."""
    path = socket if socket is not None else os.environ.get(SOCKET_VARIABLE, "")
    if not path:
        raise StartError(f"no socket to serve on: `outrigger up` sets {SOCKET_VARIABLE}; by hand, give its path")
    limit = _concurrency(concurrency)
    _flush_lines()
    Server(functions, limit, max_frame).run(path)


class Server:
    """The listener and its connections."""

    def __init__(self, functions: Functions, concurrency: int, max_frame: int) -> None:
        actor = os.environ.get(ACTOR_VARIABLE, "")
        self._concurrency = concurrency
        self._file: SocketFile | None = None
        self._loop = EventLoop()
        self._parts = Parts(functions, Slots(concurrency), self._loop, actor, max_frame)
        self._connections: dict[int, Connection] = {}
        self._changed = threading.Lock()
        self._bell, self._ringer = socket.socketpair()
        self._bell.setblocking(False)
        self._ringer.setblocking(False)
        self._signals: list[int] = []
        self._accepting = True

    def run(self, path: str) -> None:
        """Serves until a signal asks for the end and the last connection has gone."""
        _let_go_in_children(self)
        # Whoever finds the socket may already send a signal.
        before = self._take_signals()
        try:
            self._file = SocketFile(path)
            names = ", ".join(self._parts.functions.names())
            self._note(f"serving {names} on {path}, {self._concurrency} at once")
            while self._accepting or self._connections:
                self._turn(self._file.sock)
        finally:
            self._stop_listening()
            self._loop.stop()
            self._give_signals_back(before)

    def forget(self) -> None:
        """Closes this process's copies of all sockets: a forked child must not keep connections open."""
        if self._file is not None:
            self._file.sock.close()
        self._bell.close()
        self._ringer.close()
        for connection in self._connections.values():
            connection.forget()

    def _turn(self, listener: socket.socket) -> None:
        """Waits for one thing to happen: a new peer, a peer's end, a connection's end, a signal."""
        with self._changed:
            watched = dict(self._connections)
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        for descriptor in watched:
            poll.register(descriptor, 0)  # only its end is of interest, and that is always told
        full = False
        if self._accepting:
            poll.register(listener, select.POLLIN)
        for descriptor, _ in poll.poll():
            if descriptor == self._bell.fileno():
                self._answer_bell()
            elif descriptor in watched:
                self._drop(descriptor, watched[descriptor])
                watched[descriptor].hang_up()
            elif self._accepting:
                full = not self._accept(listener)
        if full:
            self._wait_for_room()
        self._obey_signals()

    def _accept(self, listener: socket.socket) -> bool:
        """Takes one peer in; False where this process may open no more files."""
        try:
            sock, _ = listener.accept()
        except OSError as error:
            # Anything else is a peer that has gone again before it was taken in.
            return error.errno not in (errno.EMFILE, errno.ENFILE)
        sock.setblocking(True)
        connection = Connection(sock, self._parts, self._ended)
        with self._changed:
            self._connections[sock.fileno()] = connection
        connection.start()
        return True

    def _wait_for_room(self) -> None:
        self._note("too many open files, accepting no connection for now")
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        poll.poll(1000)

    def _ended(self, connection: Connection) -> None:
        """Called on the connection's thread, before its socket is closed."""
        self._drop(connection.fileno(), connection)
        self._ring()

    def _drop(self, descriptor: int, connection: Connection) -> None:
        # The number may stand for a newer connection by now.
        with self._changed:
            if self._connections.get(descriptor) is connection:
                del self._connections[descriptor]

    def _ring(self) -> None:
        try:
            self._ringer.send(b"\0")
        except OSError:
            pass  # it is ringing already, or nobody listens any more

    def _answer_bell(self) -> None:
        try:
            self._bell.recv(4096)
        except BlockingIOError:
            pass  # what it rang for has been seen to

    def _obey_signals(self) -> None:
        if self._signals and self._accepting:
            self._accepting = False
            self._stop_listening()
            with self._changed:
                left = list(self._connections.values())
            if left:
                self._note(f"stopping when its {len(left)} connections are closed")
            if self._signals[0] == signal.SIGINT:
                for connection in left:
                    connection.close_when_idle()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)
        if len(self._signals) > 1:
            self._stop_listening()
            os._exit(128 + number)

    def _stop_listening(self) -> None:
        if self._file is not None:
            self._file.close()

    def _take_signals(self) -> list[Any] | None:
        if threading.current_thread() is not threading.main_thread():
            return None
        return [
            signal.set_wakeup_fd(self._ringer.fileno(), warn_on_full_buffer=False),
            signal.signal(signal.SIGTERM, self._on_signal),
            signal.signal(signal.SIGINT, self._on_signal),
        ]

    def _give_signals_back(self, before: list[Any] | None) -> None:
        if before is not None:
            signal.set_wakeup_fd(before[0])
            signal.signal(signal.SIGTERM, before[1])
            signal.signal(signal.SIGINT, before[2])

    def _note(self, text: str) -> None:
        print(f"outrigger: {text}", file=sys.stderr, flush=True)


def _let_go_in_children(server: Server) -> None:
    """A child that a handler forks is not a second server: no sockets of ours, no signals of ours."""
    reference = weakref.ref(server)

    def in_child() -> None:
        server = reference()
        if server is None:
            return
        if signal.getsignal(signal.SIGTERM) == server._on_signal:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
        server.forget()

    os.register_at_fork(after_in_child=in_child)


def _concurrency(given: int | None) -> int:
    text = os.environ.get(CONCURRENCY_VARIABLE) or "1"
    if given is None:
        try:
            given = int(text)
        except ValueError:
            raise StartError(f"{CONCURRENCY_VARIABLE}={text} is not a whole number") from None
    if given < 1:
        raise StartError(f"a concurrency of {given} would serve nothing: it is 1 or more")
    return given


def _flush_lines() -> None:
    """What a handler prints shows at once, also where the output is a pipe."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(line_buffering=True)
