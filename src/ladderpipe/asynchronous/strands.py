"""Strands: plain code that runs for a task, in a greenlet or in a worker thread.

A greenlet runs on the loop's own thread and is left at every statement that goes to the database;
so does SQLAlchemy's asyncio extension. It serves stores whose driver can be awaited. Everything
else would block the loop, and runs in a worker thread: a whole call at a time, which costs 1.15
times the synchronous call on SQLite, where a thread for each statement costs 1.7 times it and
leaves the fold's own work on the loop. A synchronous store, and its locks, need no change for
that.

**Cancelling.** A greenlet is told where it awaits, and rolls back. A thread cannot be stopped: it
is told when it is about to commit, or when its transaction begins. Until then the task waits for
it, since what was cancelled must not be stored a moment later; but not for a lock that it has not
got, because when it gets it, it gives it back and stores nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import queue
import threading
from asyncio import AbstractEventLoop, CancelledError, Future
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import attrs

from ..errors import StoreError
from ..extras import how_to_install
from ..stores import bridge

if TYPE_CHECKING:
    from greenlet import greenlet  # type: ignore[import-untyped]

__all__ = ["Threads", "in_greenlet"]

Given = ParamSpec("Given")
Result = TypeVar("Result")
AT_ONCE: Final = 16
"""How many calls of one board are in threads at once; the others wait their turn on the loop."""


# -- greenlets --------------------------------------------------------------------------------


async def in_greenlet(work: Callable[[], Result]) -> Result:
    """Run plain code on the loop's thread, and await what it asks for."""
    strand = _GreenletStrand(work)
    answer: Any = strand.resume()
    while not strand.is_over:
        try:
            value = await answer
        except GeneratorExit:
            strand.abandon()
            raise
        except BaseException as error:
            answer = strand.throw(error)
        else:
            answer = strand.resume(value)
    result: Result = answer
    return result


class _GreenletStrand:
    """Code that is left where it asks for something to be awaited.

    Every exception of an awaited thing, cancellation included, is raised where it was asked for.
    Context variables are the task's own, on both sides.
    """

    awaits = True

    def __init__(self, work: Callable[[], object]) -> None:
        current, new = _greenlets()
        self._greenlet: greenlet = new(work, current())
        self._greenlet.gr_context = current().gr_context
        self._is_abandoned = False
        self._put_off: BaseException | None = None

    @property
    def is_over(self) -> bool:
        return bool(self._greenlet.dead)

    def resume(self, *value: object) -> Any:
        with bridge.running(self):
            return self._greenlet.switch(*value)

    def throw(self, error: BaseException) -> Any:
        with bridge.running(self):
            return self._greenlet.throw(error)

    def abandon(self) -> None:
        """End it at once: the loop is gone, and nothing can be awaited any more."""
        self._is_abandoned = True
        with contextlib.suppress(BaseException):
            self.throw(GeneratorExit())

    def wait_for(self, awaitable: Awaitable[Result]) -> Result:
        if self._is_abandoned:
            bridge.close(awaitable)
            raise GeneratorExit
        driver = self._greenlet.parent
        assert driver is not None
        result: Result = driver.switch(awaitable)
        return result

    def begin(self) -> None:
        """Do nothing: it is told of a cancellation where it awaits."""

    check = begin

    def end(self) -> None:
        put_off, self._put_off = self._put_off, None
        if put_off is not None:
            raise put_off

    def put_off_cancelling(self, cancelled: BaseException) -> None:
        self._put_off = cancelled


@functools.cache
def _greenlets() -> tuple[Callable[[], greenlet], type[greenlet]]:
    try:
        from greenlet import getcurrent, greenlet
    except ModuleNotFoundError as error:
        raise StoreError(
            f"an AsyncBoard on this store needs greenlet: {how_to_install('async')}"
        ) from error
    return getcurrent, greenlet


# -- threads ----------------------------------------------------------------------------------


@attrs.frozen
class _Asked:
    """A thread wants this awaited."""

    awaitable: Awaitable[Any]


@attrs.frozen
class _Ended:
    """A thread has come to its end."""

    value: Any = None
    error: BaseException | None = None


class Threads:
    """The worker threads of one board, as many as are needed up to a bound.

    Who is called from within a call (a handler that calls the board) does not wait its turn: the
    call outside would wait for it for ever.
    """

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._pool = _new_pool()

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run plain code in a thread, and await here what it asks for."""
        if _within_call.get():
            return await self._run(work)
        async with self._turns:
            token = _within_call.set(True)
            try:
                return await self._run(work)
            finally:
                _within_call.reset(token)

    def close(self) -> None:
        """Let threads end that have nothing to do."""
        idle, self._pool = self._pool, _new_pool()
        idle.shutdown(wait=False)

    async def _run(self, work: Callable[[], Result]) -> Result:
        strand = _ThreadStrand(asyncio.get_running_loop(), work)
        self._pool.submit(contextvars.copy_context().run, strand.run)
        said = await strand.hear()
        while isinstance(said, _Asked):
            await strand.serve(said.awaitable)
            said = await strand.hear()
        if said.error is not None:
            raise said.error
        if strand.cancelled is not None:
            raise strand.cancelled
        result: Result = said.value
        return result


def _new_pool() -> ThreadPoolExecutor:
    # It makes a thread only where none is idle, so that the bound is that of the turns.
    return ThreadPoolExecutor(max_workers=10_000, thread_name_prefix="ladderpipe")


_within_call: Final[contextvars.ContextVar[bool]] = contextvars.ContextVar(
    "ladderpipe_within_call", default=False
)


class _ThreadStrand:
    """Code in a worker thread, which waits where it asks for something to be awaited.

    Attributes:
        cancelled: why the task does not want it any more, as long as the thread does not know.
    """

    awaits = False

    def __init__(self, loop: AbstractEventLoop, work: Callable[[], object]) -> None:
        self._loop = loop
        self._work = work
        self._said: Future[_Asked | _Ended] = loop.create_future()
        self._answers: queue.SimpleQueue[_Ended] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._in_transaction = False
        self._is_abandoned = False
        self._unheard: _Asked | _Ended | None = None
        self._put_off: BaseException | None = None
        self.cancelled: BaseException | None = None

    # -- on the loop's thread -----------------------------------------------------------------

    async def hear(self) -> _Asked | _Ended:
        """Return what the thread says next.

        Raises:
            CancelledError: the task is cancelled, and the thread will store nothing.
        """
        while not self._said.done():
            try:
                await asyncio.wait([self._said])
            except BaseException as error:
                if self._is_left(error):
                    raise
        said, self._said = self._said.result(), self._loop.create_future()
        self._unheard = None
        return said

    async def serve(self, awaitable: Awaitable[object]) -> None:
        """Await something for the thread, and tell it what came of it."""
        told = self._take_cancelled()
        if told is not None:
            bridge.close(awaitable)
            self._answers.put(_Ended(error=told))
            return
        try:
            self._answers.put(_Ended(await awaitable))
        except BaseException as error:
            self._answers.put(_Ended(error=error))
            if isinstance(error, GeneratorExit):
                self._is_left(error)
                raise

    def _is_left(self, error: BaseException) -> bool:
        """Note a cancellation; return whether the thread may be left to itself."""
        with self._lock:
            self.cancelled = error
            self._is_abandoned = not self._in_transaction or isinstance(error, GeneratorExit)
        if self._is_abandoned:
            # What it has asked for at this very moment is awaited by nobody any more.
            self._refuse()
        return self._is_abandoned

    def _hear(self, said: _Asked | _Ended) -> None:
        if self._is_abandoned:
            self._refuse()
        else:
            self._said.set_result(said)

    def _refuse(self) -> None:
        """Answer what the thread asks for that was left, or it would wait for ever."""
        with self._lock:
            said, self._unheard = self._unheard, None
        if isinstance(said, _Asked):
            bridge.close(said.awaitable)
            self._answers.put(_Ended(error=CancelledError()))

    # -- in the worker thread -----------------------------------------------------------------

    def run(self) -> None:
        """Do the work."""
        with bridge.running(self):
            try:
                ended = _Ended(self._work())
            except BaseException as error:
                ended = _Ended(error=error)
        self._say(ended)

    def wait_for(self, awaitable: Awaitable[Result]) -> Result:
        self._say(_Asked(awaitable))
        answer = self._answers.get()
        if answer.error is not None:
            raise answer.error
        result: Result = answer.value
        return result

    def begin(self) -> None:
        with self._lock:
            self._in_transaction = self.cancelled is None
        self.check()

    def check(self) -> None:
        cancelled = self._take_cancelled()
        if cancelled is not None:
            raise CancelledError(*cancelled.args)

    def end(self) -> None:
        with self._lock:
            self._in_transaction = False
        put_off, self._put_off = self._put_off, None
        if put_off is not None:
            raise put_off

    def put_off_cancelling(self, cancelled: BaseException) -> None:
        self._put_off = cancelled

    def _take_cancelled(self) -> BaseException | None:
        """Return why the task wants no more; it is told once, unless the thread was left."""
        with self._lock:
            cancelled = self.cancelled
            if not self._is_abandoned:
                self.cancelled = None
            return cancelled

    def _say(self, said: _Asked | _Ended) -> None:
        with self._lock:
            self._unheard = said
            is_left = self._is_abandoned
        if is_left:
            # The loop may be about to close, and never call what it is given.
            self._refuse()
            return
        try:
            self._loop.call_soon_threadsafe(self._hear, said)
        except RuntimeError:  # the loop is closed
            self._refuse()
