"""The frames that answer a request: `ok` with its result, or `error` with what is known of it.

An answer can always be written: what has no JSON becomes an error that says so.
"""

from __future__ import annotations

import importlib
import os
import traceback
from types import TracebackType
from typing import Any

from . import jsontext
from .errors import Fail, Retry
from .values import One

MAX_MESSAGE = 16 * 1024
MAX_TRACEBACK = 64 * 1024


def ok(result: Any, cap: int) -> list[bytes]:
    """The final frame of a call that returned `result`; None is an empty result."""
    if result is None:
        return [b'{"status":"ok"}']
    try:
        body = jsontext.encode(result.value if isinstance(result, One) else result)
    except jsontext.NotJson as error:
        return refusal("invalid_result", f"the handler's result cannot be sent: {error}")
    if isinstance(result, One):
        parts = [b'{"status":"ok","result":[', body, b"]}"]
    else:
        parts = [b'{"status":"ok","result":', body, b"}"]
    size = sum(map(len, parts))
    if size > cap:
        message = f"the handler's result makes a frame of {size} bytes, more than the cap of {cap}"
        return refusal("result_too_large", message)
    return parts


def refusal(code: str, message: str) -> list[bytes]:
    """The final frame of a request that this runtime cannot serve, now or later."""
    return [jsontext.encode({"status": "error", "error": code, "message": message, "retryable": False})]


def failed(error: BaseException) -> list[bytes]:
    """The final frame of a call that raised."""
    frame: dict[str, Any] = {
        "status": "error",
        "message": _clip(_message(error), MAX_MESSAGE),
        "type": type(error).__qualname__,
        "traceback": _clip(_traceback(error), MAX_TRACEBACK),
    }
    if isinstance(error, (Retry, Fail)):
        frame["retryable"] = isinstance(error, Retry)
        if error.code is not None:
            frame["error"] = str(error.code)
        if isinstance(error, Retry) and error.after is not None:
            frame["retry_after"] = error.after
        if error.details is not None:
            frame["details"] = _details(error.details)
    return [jsontext.encode(frame)]


def show(error: BaseException) -> str:
    """The traceback as a person wants it: from the first frame that is not the runtime's."""
    return _traceback(error)


def _message(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"the handler called sys.exit({'' if error.code is None else repr(error.code)})"
    try:
        text = str(error)
    except Exception:  # its own __str__ is the user's code too
        text = ""
    return text if text.strip() else type(error).__qualname__


def _traceback(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(type(error), error, _own_frames_off(error.__traceback__)))
    except Exception:
        return "".join(traceback.format_tb(_own_frames_off(error.__traceback__)))


def _own_frames_off(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def _is_ours(filename: str) -> bool:
    return filename.startswith((_HERE, _IMPORTLIB, "<frozen importlib"))


def _details(details: Any) -> Any:
    try:
        jsontext.encode(details)
    except jsontext.NotJson:
        return repr(details)
    return details


def _clip(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_IMPORTLIB = os.path.dirname(os.path.abspath(importlib.__file__)) + os.sep
