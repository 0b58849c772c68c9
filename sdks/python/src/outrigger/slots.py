"""How many calls run at once, and whether there is room for one more.

A call whose sidecar has gone keeps its place until it really ends: a function cannot be stopped from outside. While
such calls fill every place, a ping waits: the process is alive and yet cannot serve.
"""

from __future__ import annotations

import threading
from typing import Callable

from .context import Context


class Slots:
    """`limit` places for running calls."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running: list[Context] = []
        self._changed = threading.Condition()

    def enter(self, context: Context) -> bool:
        """Waits for a place and takes it; False when the call was canceled meanwhile."""
        context._when_canceled(self.wake)
        with self._changed:
            self._changed.wait_for(lambda: context.canceled or len(self._running) < self._limit)
            if context.canceled:
                return False
            self._running.append(context)
            return True

    def leave(self, context: Context) -> None:
        """Gives the place of a call that has ended back."""
        with self._changed:
            self._running.remove(context)
            self._changed.notify_all()

    def wait_serving(self, given_up: Callable[[], bool]) -> None:
        """Returns once a place is free or held by a call that somebody waits for, or when `given_up`."""
        with self._changed:
            self._changed.wait_for(lambda: given_up() or self._serving())

    def wake(self) -> None:
        """Makes everyone who waits look again."""
        with self._changed:
            self._changed.notify_all()

    def _serving(self) -> bool:
        return sum(context.canceled for context in self._running) < self._limit
