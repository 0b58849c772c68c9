"""One connection of a sidecar: hello, pings, and one exchange after the other, on a thread of its own.

The thread reads, calls a plain function itself and writes the answer: nothing is handed over. That the peer has gone
while a call runs is noticed by the server, which watches all connections.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from typing import Any, Callable, NamedTuple

from . import calls, frames, jsontext, replies
from .context import Context
from .errors import Canceled
from .eventloop import EventLoop
from .functions import Functions
from .slots import Slots

PROTOCOL = 1


class Parts(NamedTuple):
    """What all connections of a server share."""

    functions: Functions
    slots: Slots
    loop: EventLoop
    actor: str
    max_frame: int


class Violation(Exception):
    """The peer sent what the protocol does not have; the connection is given up."""


class Connection:
    """Serves one accepted socket until either side is done with it."""

    def __init__(self, sock: socket.socket, parts: Parts, on_end: Callable[[Connection], None]) -> None:
        self._sock = sock
        self._parts = parts
        self._on_end = on_end
        self._meta: dict[str, Any] = {}
        self._context: Context | None = None
        self._gone = False
        self._closing = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begins to serve."""
        threading.Thread(target=self._run, name="outrigger-connection", daemon=True).start()

    def fileno(self) -> int:
        """The descriptor, for whoever watches it; -1 once it is closed."""
        return self._sock.fileno()

    def hang_up(self) -> None:
        """The peer has gone: what it asked for is canceled."""
        with self._lock:
            self._gone = True
            context = self._context
        if context is not None:
            context.cancel()
        self._parts.slots.wake()

    def close_when_idle(self) -> None:
        """Ends the connection after the exchange that runs on it; at once where none does."""
        with self._lock:
            self._closing = True
            if self._context is None:
                self._shut()

    def forget(self) -> None:
        """Closes this process's copy of the socket, and nothing else: for a forked child."""
        self._sock.close()

    def _run(self) -> None:
        try:
            frames.widen(self._sock)
            self._serve()
        except (BrokenPipeError, ConnectionResetError):
            pass  # the peer left without a word; it knows why
        except (Violation, frames.CutShort, OSError) as error:
            if not self._closing:
                print(f"outrigger: a connection was given up: {error}", file=sys.stderr)
        finally:
            self.hang_up()
            self._on_end(self)
            self._shut()
            self._sock.close()

    def _serve(self) -> None:
        functions = [function.announcement() for function in self._parts.functions.all]
        self._control({"hello": {"protocol": PROTOCOL, "functions": functions}})
        reader = frames.Reader(self._sock, self._parts.max_frame)
        while not self._closing:
            frame = reader.read()
            if frame is None:
                return
            if frame.control:
                self._on_control(frame)
                continue
            meta, self._meta = self._meta, {}
            self._exchange(frame, meta)
            reader.skip(frame.unread)

    def _on_control(self, frame: frames.Frame) -> None:
        try:
            body = None if frame.problem else jsontext.decode(frame.text)
        except jsontext.NotJson as error:
            raise Violation(f"a control frame is not JSON: {error}") from None
        if not isinstance(body, dict):
            raise Violation(frame.problem or "a control frame is not a JSON object")
        if "ping" in body:
            self._parts.slots.wait_serving(lambda: self._gone)
            self._control({"pong": body["ping"]})
        elif "meta" in body:
            if not isinstance(body["meta"], dict):
                raise Violation("the meta of a control frame is not a JSON object")
            self._meta = body["meta"]
        # Any other control frame is from a protocol to come, which says itself what may be passed over.

    def _exchange(self, frame: frames.Frame, meta: dict[str, Any]) -> None:
        context = Context._of(meta, self._parts.actor, self._report)
        with self._lock:
            if self._gone or self._closing:
                return
            self._context = context
        answer = self._answer(frame, context)
        context._end()
        if not context.canceled:
            frames.send(self._sock, answer)
        with self._lock:
            self._context = None

    def _answer(self, frame: frames.Frame, context: Context) -> list[bytes]:
        if frame.problem is not None:
            return replies.refusal("frame_too_large" if frame.unread else "invalid_request", frame.problem)
        try:
            payload = jsontext.decode(frame.take())
        except jsontext.NotJson as error:
            return replies.refusal("invalid_request", f"the request is not JSON: {error}")
        function = self._parts.functions.select(context.function)
        if function is None:
            names = ", ".join(self._parts.functions.names())
            asked = f"there is no function `{context.function}` here" if context.function else "no function was named"
            return replies.refusal("unknown_function", f"{asked}; this handler serves {names}")
        if not self._parts.slots.enter(context):
            return []
        try:
            result = calls.run(function, payload, context, self._parts.loop)
            return replies.ok(result, self._parts.max_frame)
        except BaseException as error:  # a SystemExit too is this message's failure, not its neighbours'
            return replies.failed(error)
        finally:
            self._parts.slots.leave(context)

    def _report(self, data: bytes) -> None:
        if len(data) > self._parts.max_frame:
            raise ValueError(f"a report of {len(data)} bytes is more than the cap of {self._parts.max_frame}")
        try:
            frames.send(self._sock, [data])
        except OSError as error:
            self.hang_up()
            raise Canceled(f"the sidecar has closed the connection ({os.strerror(error.errno or 0)})") from None

    def _control(self, body: dict[str, Any]) -> None:
        frames.send(self._sock, [jsontext.encode(body)], control=True)

    def _shut(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the peer was first
