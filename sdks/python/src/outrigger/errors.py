"""What a handler raises to say how its failure is to be treated, and what the runtime raises itself.

Any other exception is a plain handler error: whether that is tried again is the actor's configuration.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

EX_USAGE = 64
EX_CANTCREAT = 73
EX_CONFIG = 78


class Retry(Exception):
    """Try this message again: what went wrong may pass.

    `after` is the least delay, in seconds or as a `timedelta`; `code` names the error where the attempts run
    out, `details` is any JSON that helps whoever reads it then.
    """

    def __init__(
        self,
        message: str = "",
        *,
        after: float | timedelta | None = None,
        code: str | None = None,
        details: Any = None,
    ) -> None:
        super().__init__(message)
        seconds = after.total_seconds() if isinstance(after, timedelta) else after
        if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError(f"Retry(after={after!r}): a delay is a finite number of seconds, 0 or more")
        self.message = message
        self.after = seconds
        self.code = code
        self.details = details

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_retry, (self.message, self.after, self.code, self.details)


class Fail(Exception):
    """Give this message up: trying again would not help. It goes to the error-end under `code`."""

    def __init__(self, code: str, message: str = "", *, details: Any = None) -> None:
        super().__init__(message)
        if not isinstance(code, str) or not code:
            raise ValueError(f"Fail({code!r}): the code is a short word such as 'bad_image'")
        self.code = code
        self.message = message
        self.details = details

    def __str__(self) -> str:
        return self.message or self.code

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_fail, (self.code, self.message, self.details)


class Canceled(BaseException):
    """Nobody waits for this call any more: the sidecar has closed its connection.

    Raised by `Context.progress`, `partial` and `heartbeat`. Like `asyncio.CancelledError` it is no `Exception`,
    so that a broad `except Exception` does not keep unwanted work going.
    """


class StartError(Exception):
    """The runtime cannot start as it was asked to; `exit_code` is what `python -m outrigger` leaves with."""

    def __init__(self, message: str, exit_code: int = EX_CONFIG) -> None:
        super().__init__(message)
        self.exit_code = exit_code


# An exception travels back from a process pool by pickle, which knows positional arguments only.
def _rebuild_retry(message: str, after: float | None, code: str | None, details: Any) -> Retry:
    return Retry(message, after=after, code=code, details=details)


def _rebuild_fail(code: str, message: str, details: Any) -> Fail:
    return Fail(code, message, details=details)
