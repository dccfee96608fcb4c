"""Waiting for an event loop from inside plain functions, which know nothing of it.

What a board does is written once, as plain functions. An asynchronous board runs them in a
*strand*: code that can hand an awaitable to the task that called it, and goes on with the answer.
How a strand runs is the business of :mod:`.asynchronous`; no event loop is imported here.
"""

from __future__ import annotations

import contextlib
import inspect
import threading
import time
from collections.abc import Awaitable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from ..errors import DefinitionError

__all__ = [
    "Strand",
    "await_",
    "awaits",
    "close",
    "current",
    "entered",
    "finished",
    "running",
    "sleep",
]

Result = TypeVar("Result")


class Strand(Protocol):
    """Plain code at work for a task, which awaits for it.

    Attributes:
        awaits: whether it runs on the loop's own thread, so that whatever takes long has to be
            awaited there.
    """

    awaits: bool

    def wait_for(self, awaitable: Awaitable[Result]) -> Result:
        """Have the task await this, and return or raise what comes of it."""

    def begin(self) -> None:
        """Note that a transaction has begun.

        Raises:
            CancelledError: the task does not want it any more.
        """

    def check(self) -> None:
        """Give up, while nothing is committed yet, when the task does not want this any more.

        Raises:
            CancelledError: it does not.
        """

    def end(self) -> None:
        """Note that the transaction has ended."""

    def put_off_cancelling(self, cancelled: BaseException) -> None:
        """Raise this only after the next transaction, in which something is noted that is done."""


_here = threading.local()
"""An instance, no class: a sandboxed interpreter that imports this again makes no second kind."""


def current() -> Strand | None:
    """Return the strand that this code runs in, ``None`` outside of any."""
    strand: Strand | None = getattr(_here, "strand", None)
    return strand


def awaits() -> bool:
    """Return whether this code runs on an event loop's thread, and can await."""
    strand = current()
    return strand is not None and strand.awaits


def await_(awaitable: Awaitable[Result]) -> Result:
    """Await something from plain code.

    Raises:
        DefinitionError: nobody here can await.
    """
    strand = current()
    if strand is None:
        close(awaitable)
        raise DefinitionError(
            "a synchronous board was given something to await, such as the answer of an "
            "'async def' hook: open an AsyncBoard, or make it a plain function"
        )
    return strand.wait_for(awaitable)


def finished(answer: Any) -> Any:
    """Return what a caller's function answered, awaiting it if it was an ``async def``."""
    return await_(answer) if inspect.isawaitable(answer) else answer


def close(awaitable: Awaitable[object]) -> None:
    """Say that nobody will await this."""
    if isinstance(awaitable, Coroutine):
        awaitable.close()


def sleep(seconds: float) -> None:
    """Wait, without keeping an event loop waiting."""
    strand = current()
    if strand is None:
        time.sleep(seconds)
    else:
        import asyncio

        strand.wait_for(asyncio.sleep(seconds))


@contextlib.contextmanager
def running(strand: Strand) -> Iterator[None]:
    """Mark what runs in the block, on this thread, as that strand's."""
    before, _here.strand = current(), strand
    try:
        yield
    finally:
        _here.strand = before


@contextlib.contextmanager
def entered(manager: AbstractAsyncContextManager[Result]) -> Iterator[Result]:
    """Do what ``async with`` does."""
    value = await_(manager.__aenter__())
    try:
        yield value
    except BaseException as error:
        if not await_(manager.__aexit__(type(error), error, error.__traceback__)):
            raise
    else:
        await_(manager.__aexit__(None, None, None))
