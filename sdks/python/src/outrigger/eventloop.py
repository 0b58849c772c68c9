"""The one event loop on which all async handlers run, in a thread of its own.

The thread of the connection waits for the work and writes what it reports, so that the loop never waits for a socket.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable
from queue import SimpleQueue
from typing import Any, Callable, NamedTuple, Union

from . import jsontext
from .context import Context
from .errors import Canceled
from .values import Result

Work = Union[Awaitable[Any], AsyncGenerator[Any, Any]]


class EventLoop:
    """Started with the first async call; until `stop` it survives whatever a handler does to it."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._stopping = False
        self._tasks: set[asyncio.Task[_End]] = set()

    def run(self, work: Work, context: Context) -> Any:
        """Runs `work` to its end and returns or raises as it does. A canceled context cancels it."""
        loop = self._running()
        outbox: SimpleQueue[_Piece | _End] = SimpleQueue()
        send = context._report
        context._report = lambda data: outbox.put(_Piece(data, None))
        loop.call_soon_threadsafe(self._begin, loop, work, context, outbox)
        while True:
            item = outbox.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return item.value
            if send is not None and not context.canceled:
                _unless_gone(send, item.data)
            if item.written is not None:
                self._call_soon(_settle, item.written)

    def stop(self) -> None:
        """Cancels what still runs and ends the loop; work that will not be canceled is left behind."""
        self._stopping = True
        if self._thread is not None:
            self._call_soon(self._cancel_all)
            self._thread.join(timeout=1.0)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                turn = threading.Thread(target=self._turn, args=(self._loop,), name="outrigger-async", daemon=True)
                self._thread = turn
                self._thread.start()
            return self._loop

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        while not self._stopping:
            try:
                loop.run_forever()
            except BaseException as error:  # SystemExit from a task that a handler started
                print(f"outrigger: a background task of a handler raised {error!r}", file=sys.stderr)
        loop.close()

    def _begin(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Work,
        context: Context,
        outbox: SimpleQueue[_Piece | _End],
    ) -> None:
        task = loop.create_task(_to_the_end(work, outbox))
        self._tasks.add(task)

        def ended(task: asyncio.Task[_End]) -> None:
            self._tasks.discard(task)
            if task.cancelled():
                # Canceled before its first step, it never took the work up.
                if inspect.iscoroutine(work):
                    work.close()
                outbox.put(_End(None, asyncio.CancelledError("the call was canceled")))
            else:
                outbox.put(task.result())

        task.add_done_callback(ended)
        context._when_canceled(lambda: self._call_soon(task.cancel))

    def _cancel_all(self) -> None:
        assert self._loop is not None
        tasks = [task for task in asyncio.all_tasks(self._loop) if task.cancel()]
        gone = asyncio.gather(*tasks, return_exceptions=True) if tasks else None
        if gone is None:
            self._loop.stop()
        else:
            gone.add_done_callback(lambda _: self._loop.stop() if self._loop is not None else None)

    def _call_soon(self, callback: Callable[..., Any], *args: Any) -> None:
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(callback, *args)
            except RuntimeError:
                pass  # the loop has been closed: nobody is left to be told


class _Piece(NamedTuple):
    """An interim frame on its way out; `written` is set once it has gone."""

    data: bytes
    written: asyncio.Future[None] | None


class _End(NamedTuple):
    """How the work ended."""

    value: Any
    error: BaseException | None


async def _to_the_end(work: Any, outbox: SimpleQueue[_Piece | _End]) -> _End:
    """Catches everything: a SystemExit that left a task would take the whole loop with it."""
    try:
        if inspect.isasyncgen(work):
            return _End(await _drain(work, outbox), None)
        return _End(await work, None)
    except BaseException as error:
        return _End(None, error)


async def _drain(items: AsyncGenerator[Any, Any], outbox: SimpleQueue[_Piece | _End]) -> Any:
    """Sends each item, and asks for the next only when it has been written."""
    loop = asyncio.get_running_loop()
    try:
        async for item in items:
            if isinstance(item, Result):
                return item.value
            written: asyncio.Future[None] = loop.create_future()
            outbox.put(_Piece(jsontext.encode({"status": "partial", "data": item}), written))
            await written
        return None
    finally:
        await items.aclose()


def _settle(written: asyncio.Future[None]) -> None:
    if not written.done():
        written.set_result(None)


def _unless_gone(send: Callable[[bytes], None], data: bytes) -> None:
    try:
        send(data)
    except Canceled:
        pass  # the context knows, and the work is being canceled
