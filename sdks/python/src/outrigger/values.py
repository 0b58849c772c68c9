"""Return values that plain Python cannot spell."""

from __future__ import annotations

from typing import Any


class One:
    """Exactly one output, whatever the value is.

    A returned list is a fan-out, one output an item, and `None` is no output at all; `One([1, 2])` sends the list
    on as one value, `One(None)` a null.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"One({self.value!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, One) and other.value == self.value

    __hash__ = None  # type: ignore[assignment]


class Result:
    """Yielded by a generator in place of its `return`, which an async generator does not have.

    What it holds is the result; the generator is closed after it.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Result({self.value!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Result) and other.value == self.value

    __hash__ = None  # type: ignore[assignment]
