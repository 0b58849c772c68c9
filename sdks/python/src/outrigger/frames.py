"""Frames on a stream socket: a big-endian u32 length, then that many bytes of text.

Bit 31 of the length marks a control frame. A large body is read straight into a buffer of its own size and written
from where it lies. What the text means is for others.
"""

from __future__ import annotations

import socket
import struct

CONTROL = 0x8000_0000
DEFAULT_CAP = 256 * 1024 * 1024
CHUNK = 64 * 1024
SOCKET_BUFFER = 4 * 1024 * 1024


class CutShort(Exception):
    """The peer closed in the middle of a frame."""


class Frame:
    """One frame as it came. `problem` says why there is no text; `unread` bytes of it still stand in the stream."""

    __slots__ = ("control", "text", "problem", "unread")

    def __init__(self, control: bool, text: str, problem: str | None = None, unread: int = 0) -> None:
        self.control = control
        self.text = text
        self.problem = problem
        self.unread = unread

    def take(self) -> str:
        """The text, given away: a large one is not held for as long as the handler works."""
        text, self.text = self.text, ""
        return text


class Reader:
    """Reads frame after frame from one socket, small ones with one `recv` for length and body."""

    def __init__(self, sock: socket.socket, cap: int = DEFAULT_CAP) -> None:
        self._sock = sock
        self._cap = cap
        self._view = memoryview(bytearray(CHUNK))
        self._start = 0
        self._end = 0

    def read(self) -> Frame | None:
        """The next frame; None when the peer closed between two. Raises `CutShort` when it closed within one."""
        if not self._fill(4):
            if self._end > self._start:
                raise CutShort(f"the connection ended {self._end - self._start} bytes into a frame's length")
            return None
        (head,) = struct.unpack_from(">I", self._view, self._start)
        self._start += 4
        control, size = bool(head & CONTROL), head & ~CONTROL
        if size > self._cap:
            problem = f"a frame of {size} bytes is more than the cap of {self._cap}"
            return Frame(control, "", problem, unread=size)
        try:
            return Frame(control, self._text(size))
        except UnicodeDecodeError as error:
            return Frame(control, "", f"the frame is not UTF-8 at byte {error.start}")

    def skip(self, size: int) -> None:
        """Passes over `size` bytes of a frame that is not wanted."""
        held = min(size, self._end - self._start)
        self._start += held
        left = size - held
        while left:
            got = self._sock.recv_into(self._view, min(left, CHUNK))
            if not got:
                raise CutShort(f"the connection ended {left} bytes before the end of a frame")
            left -= got

    def _text(self, size: int) -> str:
        if size <= CHUNK:
            if not self._fill(size):
                raise CutShort(f"the connection ended {self._end - self._start} bytes into a frame of {size}")
            body = self._view[self._start : self._start + size]
            self._start += size
            return str(body, "utf-8")
        whole = bytearray(size)
        view = memoryview(whole)
        got = self._end - self._start
        view[:got] = self._view[self._start : self._end]
        self._start = self._end = 0
        while got < size:
            count = self._sock.recv_into(view[got:], size - got, socket.MSG_WAITALL)
            if not count:
                raise CutShort(f"the connection ended {got} bytes into a frame of {size}")
            got += count
        return str(view, "utf-8")

    def _fill(self, need: int) -> bool:
        """Brings `need` bytes, at most a chunk, into the buffer; False at the end of the stream."""
        held = self._end - self._start
        if held >= need:
            return True
        if held == 0:
            self._start = self._end = 0
        elif self._start + need > CHUNK:
            self._view[:held] = bytes(self._view[self._start : self._end])
            self._start, self._end = 0, held
        while self._end - self._start < need:
            count = self._sock.recv_into(self._view[self._end :])
            if not count:
                return False
            self._end += count
        return True


def send(sock: socket.socket, parts: list[bytes], control: bool = False) -> None:
    """Writes one frame whose body is `parts` in order; length and body leave in one call."""
    size = sum(map(len, parts))
    head = struct.pack(">I", size | CONTROL if control else size)
    if size <= CHUNK:
        sock.sendall(b"".join([head, *parts]))
        return
    left = [memoryview(part) for part in (head, *parts)]
    while left:
        sent = sock.sendmsg(left)
        while left and sent >= len(left[0]):
            sent -= len(left.pop(0))
        if left:
            left[0] = left[0][sent:]


def widen(sock: socket.socket) -> None:
    """Asks for socket buffers that carry large bodies in few steps; the system may grant less."""
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
