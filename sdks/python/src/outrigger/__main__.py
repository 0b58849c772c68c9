"""`python -m outrigger handler.py:process`: loads what is named and serves it.

Exit codes: 0 after an orderly stop; 1 where importing the handler, or making its class, raised; 64 for a wrong
command line; 73 where the socket cannot be made; 78 for a handler or a setting that cannot be.
"""

from __future__ import annotations

import argparse
import signal
import sys
from typing import NoReturn

from . import __version__, frames, lifeline, replies
from .errors import EX_USAGE, StartError
from .functions import Functions, collect
from .load import load
from .server import listen


class Parser(argparse.ArgumentParser):
    """Leaves with EX_USAGE, as the `outrigger` command does."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EX_USAGE, f"outrigger: {message}\n")


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        lifeline.hold()
        functions = _load(options.handler)
        listen(functions, options.socket, options.concurrency, options.max_frame)
    except StartError as error:
        print(f"outrigger: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except _Raised as raised:
        print(replies.show(raised.error), end="", file=sys.stderr)
        print(f"outrigger: {options.handler} could not be loaded", file=sys.stderr)
        return 1
    return 0


class _Raised(Exception):
    """The user's code raised while it was imported or its class was made."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


def _load(spec: str) -> Functions:
    try:
        return collect([dict(load(spec))])
    except (StartError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise _Raised(error) from None


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m outrigger", description="Serves a handler to an Outrigger sidecar.")
    parser.add_argument("handler", help="handler.py:function or package.module:function; several names with commas")
    parser.add_argument("--socket", metavar="PATH", help="where to listen (OUTRIGGER_HANDLER_SOCKET)")
    parser.add_argument("--concurrency", metavar="N", type=int, help="calls at once (OUTRIGGER_HANDLER_CONCURRENCY, 1)")
    parser.add_argument("--max-frame", metavar="BYTES", type=int, default=frames.DEFAULT_CAP, help="the largest frame")
    parser.add_argument("--version", action="version", version=f"outrigger {__version__}")
    return parser


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.exit(code)
