"""The handler of every side: gives back what it gets, and notes when two of its calls came.

`BENCH_MARKS` names a file and the numbers of the two calls, as `FILE:FIRST:LAST`; without it nothing is noted.
"""

import itertools
import os
import time

_file, _first, _last = (os.environ.get("BENCH_MARKS") or ":0:0").rsplit(":", 2)
_marks = {int(_first), int(_last)}
_numbers = itertools.count(1)


def echo(payload):
    number = next(_numbers)
    if number in _marks:
        with open(_file, "a") as file:
            file.write(f"{time.monotonic_ns()}\n")
    return payload
