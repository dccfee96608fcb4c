"""Tasks that are cancelled at a chosen moment, so that every moment can be tried."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from ladderpipe import SqliteStore

__all__ = ["TracedStore", "cancelled_at_wait"]

WAIT = 30.0


@types.coroutine
def cancelled_at_wait(
    call: Coroutine[Any, Any, Any], number: int, late: bool
) -> Generator[Any, Any, Any]:
    """Await a call, whose task is cancelled at its wait of this number (from 0).

    Args:
        late: cancel when what is waited for has come, and the task has not been told of it yet.
    """
    proceed: Callable[[Any], Any] = call.send
    value: Any = None
    while True:
        try:
            awaited = proceed(value)
        except StopIteration as end:
            return end.value
        if number == 0:
            task = asyncio.current_task()
            assert task is not None
            cancel: Callable[..., object] = lambda *_, task=task: task.cancel()  # noqa: E731
            if late and awaited is not None:
                awaited.add_done_callback(cancel)
            else:
                cancel()
        number -= 1
        try:
            value = yield awaited
            proceed = call.send
        except BaseException as error:
            proceed, value = call.throw, error


class TracedStore(SqliteStore):
    """A SQLite store that cancels a task when its thread comes to a statement."""

    def __init__(self, path: Any) -> None:
        self.statements: list[str] = []
        self._cancel_at: int | None = None
        super().__init__(path)

    def cancel_at(self, number: int | None) -> None:
        """Cancel the task that runs now, when statement of this number comes (from 0)."""
        self.statements = []
        self._cancel_at = number
        if number is not None:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        connection.set_trace_callback(self._trace)
        return connection

    def _trace(self, statement: str) -> None:
        self.statements.append(statement)
        if len(self.statements) - 1 == self._cancel_at:
            told = threading.Event()
            self._loop.call_soon_threadsafe(self._cancel, told)
            assert told.wait(WAIT)

    def _cancel(self, told: threading.Event) -> None:
        assert self._task is not None
        self._task.cancel()
        # Once the task has been woken, and whoever that wakes.
        self._loop.call_soon(self._loop.call_soon, self._loop.call_soon, told.set)
