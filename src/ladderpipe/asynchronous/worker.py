"""What a worker needs of an event loop: handlers, being told to stop, and signals."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, TypeAlias, cast

from ..model.effect import Delivery, Handler
from ..stores import bridge
from ..stores.uncancelled import to_its_end

__all__ = ["AsyncHandler", "Stop", "as_plain_handler", "stopping_on_signals"]

AsyncHandler: TypeAlias = Callable[[Delivery], object | Awaitable[object]]
"""Delivers one effect; raising means that it is tried again."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def as_plain_handler(handler: AsyncHandler) -> Handler:
    """Return a handler that the synchronous code can call.

    An ``async def`` one is awaited on the loop, and cancelled with its task: that is a failed try.
    A plain one may take long, so it runs in a worker thread, where nothing can stop it: it runs to
    its end. What became of either is noted, and only then the task learns that it was cancelled.
    """
    is_awaited = inspect.iscoroutinefunction(handler)

    def deliver(delivery: Delivery) -> None:
        strand = bridge.current()
        assert strand is not None
        deliver_here = _in_loop if is_awaited else _in_worker
        bridge.finished(strand.wait_for(deliver_here(handler, delivery, strand)))

    return deliver


async def _in_loop(handler: AsyncHandler, delivery: Delivery, strand: bridge.Strand) -> object:
    try:
        return await cast("Awaitable[object]", handler(delivery))
    except asyncio.CancelledError as cancelled:
        strand.put_off_cancelling(cancelled)
        raise InterruptedError("the task was cancelled while its handler ran") from cancelled


async def _in_worker(handler: AsyncHandler, delivery: Delivery, strand: bridge.Strand) -> object:
    work = asyncio.ensure_future(asyncio.to_thread(handler, delivery))
    try:
        return await to_its_end(lambda: work)
    except asyncio.CancelledError as cancelled:
        if work.cancelled():
            raise
        strand.put_off_cancelling(cancelled)
        return work.result()


class Stop:
    """An ``asyncio.Event`` as the worker's loop sees it, which waits for a ``threading.Event``."""

    def __init__(self, event: asyncio.Event) -> None:
        self._event = event
        self._loop = asyncio.get_running_loop()

    def is_set(self) -> bool:
        """Return whether to stop."""
        return self._event.is_set()

    def set(self) -> None:
        """Stop; this may be called on any thread, and by a signal."""
        self._loop.call_soon_threadsafe(self._event.set)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, at most that many seconds; return whether it is."""
        bridge.await_(self._wait(timeout))
        return self._event.is_set()

    async def _wait(self, timeout: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), timeout)


@contextlib.contextmanager
def stopping_on_signals(stop: Stop) -> Iterator[None]:
    """Let SIGTERM and SIGINT finish the round under way.

    Signals that somebody else minds, such as the web server that this worker is a task of, are
    left to them: they will cancel the task.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    before = {n: handler for n, handler in handlers.items() if _is_minded_by_nobody(handler)}
    loop = asyncio.get_running_loop()
    for number in before:
        _mind(loop, number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, handler)


def _mind(loop: asyncio.AbstractEventLoop, number: signal.Signals, stop: Stop) -> None:
    try:
        # It wakes the loop, whichever thread the system interrupts.
        loop.add_signal_handler(number, stop.set)
    except NotImplementedError:
        signal.signal(number, lambda *_: stop.set())


def _is_minded_by_nobody(handler: Any) -> bool:
    """Return whether a signal's handler is Python's own, or ``asyncio.run``'s."""
    of_runner = getattr(getattr(handler, "func", None), "__self__", None)
    defaults = (signal.SIG_DFL, signal.default_int_handler)
    return handler in defaults or isinstance(of_runner, asyncio.Runner)
