"""What a handler is told about its call, and what it can tell while it works.

`Context()` alone is the form for a unit test: what the handler tells is kept in `reported`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Callable

from . import jsontext
from .errors import Canceled

Report = Callable[[bytes], None]


class Context:
    """One call of a handler."""

    def __init__(
        self,
        *,
        id: str = "test",
        actor: str = "",
        function: str | None = None,
        attempt: int = 1,
        deadline: datetime | None = None,
        headers: Mapping[str, Any] | None = None,
    ) -> None:
        #: The message's id; the same along its route, so the same when a message is delivered twice.
        self.id = id
        #: The actor that has the message.
        self.actor = actor
        #: The function that was asked for, where several are served.
        self.function = function
        #: Which attempt at this step this is, from 1.
        self.attempt = attempt
        #: When the answer is no longer wanted; None when never.
        self.deadline = deadline
        #: The message's headers.
        self.headers: dict[str, Any] = dict(headers or {})
        #: The frames that a context made for a test has been told; a real one sends them instead.
        self.reported: list[dict[str, Any]] = []
        self._report: Report | None = None
        self._canceled = False
        self._ended = False
        self._on_cancel: list[Callable[[], None]] = []
        self._state = threading.Lock()
        self._sending = threading.Lock()

    @classmethod
    def _of(cls, meta: Mapping[str, Any], actor: str, report: Report) -> Context:
        """The context of a request that `meta` was sent ahead of; every field of it may be missing."""
        headers = meta.get("headers")
        attempt = meta.get("attempt")
        context = cls(
            id=_text(meta.get("id")) or "",
            actor=_text(meta.get("actor")) or actor,
            function=_text(meta.get("function")),
            attempt=attempt if isinstance(attempt, int) else 1,
            deadline=parse_time(meta.get("deadline")),
            headers=headers if isinstance(headers, dict) else None,
        )
        context._report = report
        return context

    @property
    def canceled(self) -> bool:
        """Nobody waits for the answer any more; a long loop looks at this and stops."""
        return self._canceled

    @property
    def remaining(self) -> float | None:
        """Seconds until the deadline, never below 0; None where there is none."""
        if self.deadline is None:
            return None
        return max(0.0, (self.deadline - datetime.now(timezone.utc)).total_seconds())

    def progress(self, percent: float | None = None, message: str | None = None) -> None:
        """Reports how far the work is: a percentage, a message, or both. Raises `Canceled`."""
        if percent is None and message is None:
            raise ValueError("progress() needs a percent, a message, or both")
        frame: dict[str, Any] = {"status": "progress"}
        if percent is not None:
            frame["percent"] = percent
        if message is not None:
            frame["message"] = str(message)
        self._tell(frame)

    def partial(self, data: Any) -> None:
        """Streams a piece of the answer to whoever follows the job; it is not routed on. Raises `Canceled`."""
        self._tell({"status": "partial", "data": data})

    def heartbeat(self) -> None:
        """Says that the work goes on, where an idle timeout is set. Raises `Canceled`."""
        self._tell({"status": "heartbeat"})

    def cancel(self) -> None:
        """Marks the call as canceled, as a closed connection does; in a test, what the handler then meets."""
        with self._state:
            if self._canceled:
                return
            self._canceled = True
            watchers, self._on_cancel = self._on_cancel, []
        for watcher in watchers:
            watcher()

    def _when_canceled(self, watcher: Callable[[], None]) -> None:
        with self._state:
            if not self._canceled:
                self._on_cancel.append(watcher)
                return
        watcher()

    def _tell(self, frame: dict[str, Any]) -> None:
        data = jsontext.encode(frame)
        with self._sending:
            if self._canceled:
                raise Canceled("the sidecar has closed the connection")
            if self._ended:
                raise RuntimeError("this call has ended: its context cannot report any more")
            if self._report is None:
                self.reported.append(frame)
            else:
                self._report(data)

    def _end(self) -> None:
        """After this nothing is reported: the final frame is the last one of an exchange."""
        with self._sending:
            self._ended = True


def parse_time(value: Any) -> datetime | None:
    """An RFC 3339 time; None for anything else. (`fromisoformat` reads `Z` from Python 3.11 on only.)"""
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(match[index]) for index in range(1, 7))
    micros = int((match[7] or "0")[:6].ljust(6, "0"))
    offset = timedelta()
    if match[8] is not None:
        offset = timedelta(hours=int(match[9]), minutes=int(match[10])) * (-1 if match[8] == "-" else 1)
    leap = second == 60
    try:
        time = datetime(year, month, day, hour, minute, second - leap, micros, timezone(offset))
        return time + timedelta(seconds=leap)
    except (ValueError, OverflowError):
        return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
