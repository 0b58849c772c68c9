"""One call of a function, of whatever kind it is: plain, generator, async, async generator.

Told apart by what the call returns, so a decorated or wrapped function is treated as what it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator
from typing import Any

from .context import Context
from .eventloop import EventLoop
from .functions import Function
from .values import Result


def run(function: Function, payload: Any, context: Context, loop: EventLoop) -> Any:
    """The function's result; every item that a generator yields is reported as a partial one."""
    value: Any = function.call(payload, context)
    if inspect.isgenerator(value):
        return _drain(value, context)
    if inspect.isasyncgen(value) or inspect.isawaitable(value):
        return loop.run(value, context)
    return value


def _drain(items: Generator[Any, Any, Any], context: Context) -> Any:
    try:
        while True:
            try:
                item = next(items)
            except StopIteration as end:
                return end.value
            if isinstance(item, Result):
                return item.value
            context.partial(item)
    finally:
        items.close()
