"""Waiting for work on PostgreSQL: a worker sleeps until another process says there is some."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Protocol

import psycopg

__all__ = ["Listener"]

_log = logging.getLogger("ladderpipe")
_SLICE: Final = 0.2
"""How long a wait goes on after ``stop`` was set, in seconds."""


class NotifiedConnection(Protocol):
    """A connection on which notifications come, of psycopg's or one that is awaited."""

    def execute(self, statement: Any, /) -> object:
        """Run a statement."""

    def notifies(self, *, timeout: float, stop_after: int) -> Iterable[object]:
        """Return the notifications that come within that many seconds, at most so many."""

    def close(self) -> None:
        """Drop the connection."""


class Listener:
    """Waits for notifications on one channel, on connections of its own."""

    def __init__(
        self, dsn: str, channel: str, connect: Callable[..., NotifiedConnection] = psycopg.connect
    ) -> None:
        self._dsn = dsn
        self._channel = channel
        self._connect = connect
        self._idle: list[NotifiedConnection] = []

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Return when there may be work, after that many seconds, or when *stop* is set.

        The first wait returns at once, since what came before nobody was told.
        """
        until = time.monotonic() + seconds
        try:
            with self._listening() as (connection, is_new):
                while not is_new and not stop.is_set():
                    left = until - time.monotonic()
                    if left <= 0 or _was_told(connection, min(left, _SLICE)):
                        return
        except psycopg.OperationalError as error:
            _log.warning("cannot wait for notifications, so this worker looks by itself: %s", error)
            stop.wait(max(0.0, until - time.monotonic()))

    def forget(self) -> None:
        """Leave connections that another process opened alone."""
        self._idle = []

    def close(self) -> None:
        """Close every connection."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextlib.contextmanager
    def _listening(self) -> Iterator[tuple[NotifiedConnection, bool]]:
        connection = self._idle.pop() if self._idle else None
        is_new = connection is None
        if connection is None:
            connection = self._connect(self._dsn, autocommit=True)
            connection.execute(f'LISTEN "{self._channel}"'.encode())
        try:
            yield connection, is_new
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)


def _was_told(connection: NotifiedConnection, seconds: float) -> bool:
    return bool(list(connection.notifies(timeout=seconds, stop_after=1)))
