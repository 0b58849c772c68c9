"""From `handler.py:process` or `package.module:name` to the object that it names.

Importing runs the user's code: what that raises is passed on as it is.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from types import ModuleType
from typing import Any

from .errors import StartError
from .functions import is_handler_class

DEFAULT_NAME = "process"

#: True while the user's file is being imported, when it must not start to serve by itself.
importing = False


def load(spec: str) -> list[tuple[str, Any]]:
    """The handlers that `spec` names, each under its name. Several names are separated by commas."""
    place, names = _split(spec)
    module = _import(place)
    if not names:
        names = [_only_handler(module, place)]
    return [(name, _find(module, name, place)) for name in names]


def _split(spec: str) -> tuple[str, list[str]]:
    place, colon, rest = spec.partition(":")
    names = [name.strip() for name in rest.split(",")] if colon else []
    if not place or "" in names:
        raise StartError(f"`{spec}` is not a handler: write handler.py:function or package.module:function")
    return place, names


def _import(place: str) -> ModuleType:
    global importing
    importing = True
    try:
        if place.endswith(".py") or os.sep in place:
            return _import_file(place)
        return _import_module(place)
    finally:
        importing = False


def _import_file(place: str) -> ModuleType:
    path = os.path.abspath(place)
    if not os.path.isfile(path):
        raise StartError(f"there is no file {place} (looked in {os.path.dirname(path)})")
    folder, file = os.path.split(path)
    stem = os.path.splitext(file)[0]
    # A name that is taken, such as that of a module of the standard library, is not taken away.
    name = stem if stem not in sys.modules else f"outrigger_handler_{stem}"
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise StartError(f"{place} is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _import_module(place: str) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not (place == error.name or place.startswith(error.name + ".")):
            raise
        hint = f": did you mean {place}.py?" if os.path.isfile(place + ".py") else ""
        raise StartError(f"there is no module `{place}`{hint}") from None


def _find(module: ModuleType, name: str, place: str) -> Any:
    thing: Any = module
    for part in name.split("."):
        try:
            thing = getattr(thing, part)
        except AttributeError:
            raise StartError(f"{place} has no `{name}`{_what_is_there(module)}") from None
    return thing


def _only_handler(module: ModuleType, place: str) -> str:
    if hasattr(module, DEFAULT_NAME):
        return DEFAULT_NAME
    found = _handlers(module)
    if len(found) == 1:
        return found[0]
    if not found:
        raise StartError(f"{place} defines no function: write one, `def {DEFAULT_NAME}(payload): ...`")
    raise StartError(f"{place} has no `{DEFAULT_NAME}` but several others: say which, as in {place}:{found[0]}"
                     f"{_what_is_there(module)}")


def _what_is_there(module: ModuleType) -> str:
    found = _handlers(module)
    return f"; found {', '.join(found)}" if found else "; it defines no function"


def _handlers(module: ModuleType) -> list[str]:
    """The public functions and handler classes that the module itself defines, in its order."""
    return [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and getattr(thing, "__module__", None) == module.__name__
        and (inspect.isfunction(thing) or is_handler_class(thing))
    ]
