"""What may be served: functions, callables, classes that load once, and how each is called.

Decided once, at the start, from the signature; a call itself looks at nothing.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from .context import Context
from .errors import StartError


class Function:
    """A handler under the name that the sidecar asks for it by."""

    def __init__(self, name: str, target: Callable[..., Any]) -> None:
        self.name = name
        self._target = target
        self._pass = _shape(name, target)
        self.streaming = _is_generator(target)

    def call(self, payload: Any, context: Context) -> Any:
        """Calls the handler; what comes back may be a coroutine or a generator, not yet started."""
        if self._pass == "payload":
            return self._target(payload)
        if self._pass == "keyword":
            return self._target(payload, ctx=context)
        return self._target(payload, context)

    def announcement(self) -> dict[str, Any]:
        """This function's entry in the hello frame."""
        entry: dict[str, Any] = {"name": self.name, "args": [{"name": "payload"}]}
        if self.streaming:
            entry["streaming"] = True
        return entry


class Functions:
    """All that one process serves. A single function serves every request, whatever name it asks for."""

    def __init__(self, functions: Sequence[Function]) -> None:
        self.all = list(functions)
        self._by_name = {function.name: function for function in functions}
        if not self.all:
            raise StartError("there is nothing to serve: pass at least one function")
        if len(self._by_name) < len(self.all):
            names = sorted(f.name for f in self.all)
            raise StartError(f"two of the functions have the same name ({', '.join(names)}): pass a mapping of names")

    def select(self, name: str | None) -> Function | None:
        """The function for a request; None where the name fits none of several."""
        if len(self.all) == 1:
            return self.all[0]
        return self._by_name.get(name) if name is not None else None

    def names(self) -> list[str]:
        """The names, in the order in which they were given."""
        return [function.name for function in self.all]


def collect(handlers: Sequence[Any], name: str | None = None) -> Functions:
    """The functions behind what `serve` was given: handlers, or one mapping of names to handlers."""
    if len(handlers) == 1 and isinstance(handlers[0], Mapping):
        named = [(str(key), value) for key, value in handlers[0].items()]
    else:
        named = [(_name_of(handler), handler) for handler in handlers]
    if name is not None:
        if len(named) != 1:
            raise StartError("name= is for a single function: pass a mapping of names for several")
        named = [(name, named[0][1])]
    return Functions([Function(key, _target(key, handler)) for key, handler in named])


def is_handler_class(thing: Any) -> bool:
    """A class whose instances can be called, or have a `process`."""
    return inspect.isclass(thing) and _method_of(thing) is not None


def _target(name: str, handler: Any) -> Callable[..., Any]:
    """The callable behind a handler; a class is made an instance, which loads what it has to load."""
    if inspect.isclass(handler):
        if not is_handler_class(handler):
            raise StartError(f"class `{name}` has neither `__call__` nor `process`: its instances cannot be called")
        needed = _required(handler)
        if needed:
            raise StartError(f"class `{name}` needs {', '.join(needed)} to be made: serve an instance of it instead")
        handler = handler()
    if callable(handler):
        return handler  # type: ignore[no-any-return]
    process = getattr(handler, "process", None)
    if callable(process):
        return process  # type: ignore[no-any-return]
    raise StartError(f"`{name}` is a {type(handler).__name__}, not something to call")


def _method_of(cls: type) -> str | None:
    for base in cls.__mro__:
        if "__call__" in vars(base):
            return "__call__"
    return "process" if callable(getattr(cls, "process", None)) else None


def _name_of(handler: Any) -> str:
    while isinstance(handler, functools.partial):
        handler = handler.func
    name = getattr(handler, "__name__", None)
    return name if isinstance(name, str) else type(handler).__name__


def _shape(name: str, target: Callable[..., Any]) -> str:
    """How the context is passed: not at all, by position or by keyword."""
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):
        return "payload"  # a builtin without a signature
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    catch_all = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if not positional and not catch_all:
        raise StartError(f"`{name}` takes no payload: its first parameter must be the payload")
    if positional and positional[0].name == "ctx":
        raise StartError(f"`{name}` has `ctx` as its first parameter: the payload comes first, then the context")
    shape = "payload"
    if len(positional) > 1 and (positional[1].default is inspect.Parameter.empty or positional[1].name == "ctx"):
        shape = "position"
    elif any(p.name == "ctx" and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) for p in parameters):
        shape = "keyword"
    given = 2 if shape == "position" else 1
    unmet = [p.name for p in positional[given:] if p.default is p.empty]
    unmet += [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    unmet = [missing for missing in unmet if not (shape == "keyword" and missing == "ctx")]
    if unmet:
        raise StartError(f"`{name}` also needs {', '.join(unmet)}: a handler is called with a payload and a context")
    return shape


def _required(cls: Any) -> list[str]:
    try:
        parameters = inspect.signature(cls).parameters.values()
    except (TypeError, ValueError):
        return []
    spread: tuple[Any, ...] = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in spread]


def _is_generator(target: Any) -> bool:
    while isinstance(target, functools.partial):
        target = target.func
    if not inspect.isroutine(target):
        target = type(target).__call__
    return inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target)
