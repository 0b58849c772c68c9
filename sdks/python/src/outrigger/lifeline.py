"""Leaves when the parent has gone: an inherited pipe reads its end, however the parent died."""

from __future__ import annotations

import os
import signal
import sys
import threading

from .errors import StartError

VARIABLE = "OUTRIGGER_HANDLER_LIFELINE"


def hold() -> None:
    """Watches the descriptor that the environment names, if it names one; a second call does nothing."""
    text = os.environ.pop(VARIABLE, None)
    if not text:
        return
    try:
        number = int(text)
        os.set_inheritable(number, False)
    except (ValueError, OSError):
        raise StartError(f"{VARIABLE}={text} is not the number of an open file descriptor") from None
    if number == 0:
        number = _free_stdin()
    threading.Thread(target=_watch, args=(number,), name="outrigger-lifeline", daemon=True).start()


def _free_stdin() -> int:
    """Moves the pipe out of the way, so that a handler that reads its input does not take it away."""
    number = os.dup(0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return number


def _watch(number: int) -> None:
    try:
        while os.read(number, 4096):
            pass
    except OSError:
        pass
    try:
        os.write(2, b"outrigger: the parent process has gone, leaving\n")
    except OSError:
        pass
    if os.getpgrp() == os.getpid() and sys.platform != "win32":
        # The group is ours alone: what the handler has started is not to outlive it.
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
