"""JSON as the standard has it, both ways: no NaN, no Infinity, UTF-8.

Python's `json` is laxer than that by default; everything that crosses the socket goes through here.
"""

from __future__ import annotations

import json
from typing import Any


class NotJson(ValueError):
    """A text that is not JSON, or a value that has no JSON form; the message says what and where."""


def decode(text: str) -> Any:
    """The value of a JSON text."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise NotJson("it is nested too deeply") from None
    except ValueError as error:
        raise NotJson(str(error) if text else "it is empty") from None


def encode(value: Any) -> bytes:
    """The JSON of a value, in UTF-8 and without spaces."""
    try:
        text = _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise NotJson(_complaint(value, error)) from None
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        # Half a surrogate pair has no UTF-8; it came in escaped and goes out escaped.
        return _ASCII_ENCODER.encode(value).encode("ascii")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _complaint(value: Any, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if "Circular" in str(error):
        return "it contains itself"
    found = _culprit(value, "$", 0)
    return found if found is not None else str(error)


def _culprit(value: Any, path: str, depth: int) -> str | None:
    """Where in `value` the first thing stands that JSON does not have."""
    if depth > 64:
        return None
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, (str, int, float, type(None))):
                return f"a key of type {type(key).__name__} at {path} is not JSON"
            found = _culprit(item, f"{path}.{key}", depth + 1)
            if found is not None:
                return found
        return None
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            found = _culprit(item, f"{path}[{index}]", depth + 1)
            if found is not None:
                return found
        return None
    if isinstance(value, (str, int, type(None))):
        return None
    if isinstance(value, float):
        return None if value - value == 0 else f"{value} at {path} is not JSON"
    return f"a value of type {type(value).__name__} at {path} is not JSON"


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_ASCII_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
