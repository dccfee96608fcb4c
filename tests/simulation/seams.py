"""Real stores that stop at every statement: where a schedule gets between two workers.

Nothing of a store is replaced but what would block the one thread that everybody shares: SQLite's
write lock and memory's lock are waited for in the schedule before they are taken.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import attrs

from ladderpipe import MemoryStore, SqliteStore
from ladderpipe.stores import Store

from .scheduler import Scheduler

__all__ = ["Injected", "MemorySeam", "Points", "Seam", "SqliteSeam", "to_empty"]

KEPT: Final = {"ladder_locks", "ladder_pipelines", "ladder_schema", "ladder_secrets"}
"""What stays in a database from one schedule to the next."""


class Injected:
    """Marks an error that the schedule asked for."""


class DiskFull(Injected, sqlite3.OperationalError):
    """A statement that SQLite could not run."""


class ReplyLost(Injected, sqlite3.OperationalError):
    """A commit after which the disk reports an error, although it was made."""


class Points(Protocol):
    """What a store tells of where it is."""

    scheduler: Scheduler

    def committed(self) -> None:
        """Note that what everybody sees may have changed."""


class Seam(Protocol):
    """Every worker's way to the one store of a simulation."""

    def open(self) -> Store:
        """Return a worker's own way in."""

    def crash(self, store: Store) -> None:
        """Let go of a worker's connections as the machine would when its process dies."""

    def watch(self) -> Store:
        """Return a way in that stops nowhere, for whoever looks on."""

    def empty(self) -> None:
        """Remove every deal."""

    def settle(self) -> None:
        """Let the store come to rest between two steps."""

    def close(self) -> None:
        """Let go of everything."""


@attrs.define(eq=False)
class Lock:
    """A lock that is waited for in the schedule."""

    points: Points
    holder: object = None
    is_held: Callable[[], bool] = bool

    def wait(self, what: str) -> None:
        self.points.scheduler.wait(lambda: self.holder is None or not self.is_held(), what)

    def take(self, holder: object, is_held: Callable[[], bool]) -> None:
        self.holder, self.is_held = holder, is_held

    def let_go(self, holder: object) -> None:
        if self.holder is holder:
            self.holder = None


def to_empty(names: Iterable[str]) -> list[str]:
    """Return those tables of a database that schedules fill, what others refer to last."""
    filled = {name for name in names if name.startswith("ladder_")} - KEPT
    return sorted(filled, key=lambda name: (name == "ladder_deals", name))


# -- memory -------------------------------------------------------------------------------------


class MemorySeam:
    """Threads of one process that share a store in its memory."""

    def __init__(self, points: Points) -> None:
        self._points = points
        self._store = _SteppingMemoryStore(points)

    def open(self) -> Store:
        return self._store

    def crash(self, store: Store) -> None:
        """Do nothing: a thread's transaction is undone by the exception that ends it."""

    def watch(self) -> Store:
        watching = MemoryStore()
        watching._tables = self._store._tables
        return watching

    def empty(self) -> None:
        tables = self._store._tables
        known, secrets = tables.pipelines, tables.secrets
        self._store._tables.__init__()
        tables.pipelines.update(known)
        tables.secrets.update(secrets)

    def settle(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        self._store.close()


class _SteppingMemoryStore(MemoryStore):
    def __init__(self, points: Points) -> None:
        super().__init__()
        self._points = points
        self._lock = _SteppingLock(points)

    @contextlib.contextmanager
    def transaction(self, write: bool = True) -> Iterator[Any]:
        scheduler = self._points.scheduler
        with super().transaction(write) as transaction:
            yield _SteppingTransaction(transaction, scheduler)
            scheduler.step("commit")
        if write:
            self._points.committed()
        scheduler.step("committed")


class _SteppingLock:
    """Stands for the store's lock, which one thread could take again and again."""

    def __init__(self, points: Points) -> None:
        self._points = points
        self._is_held = False

    def __enter__(self) -> None:
        self._points.scheduler.step("begin")
        self._points.scheduler.wait(lambda: not self._is_held, "waits for the lock")
        self._is_held = True

    def __exit__(self, *error: object) -> None:
        self._is_held = False


class _SteppingTransaction:
    """A transaction that stops before each of its methods."""

    def __init__(self, transaction: Any, scheduler: Scheduler) -> None:
        self._transaction = transaction
        self._scheduler = scheduler

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._transaction, name)
        if not callable(found):
            return found

        def stepping(*values: Any, **named: Any) -> Any:
            self._scheduler.step(name)
            return found(*values, **named)

        return stepping


# -- SQLite -------------------------------------------------------------------------------------


class SqliteSeam:
    """Processes that share a file; each has its own connection."""

    def __init__(self, points: Points, path: Path) -> None:
        self._points = points
        self._path = path
        self._lock = Lock(points)
        self._watching = SqliteStore(path, synchronous="OFF")
        self._open: list[_SteppingSqliteStore] = []

    def open(self) -> Store:
        store = _SteppingSqliteStore(self._path, self._points, self._lock)
        self._open.append(store)
        return store

    def crash(self, store: Store) -> None:
        assert isinstance(store, _SteppingSqliteStore)
        store.crash()

    def watch(self) -> Store:
        return self._watching

    def empty(self) -> None:
        with self._watching.transaction() as transaction:
            run = transaction.connection.execute
            known = run("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for table in to_empty(name for (name,) in known):
                run(f"DELETE FROM {table}")
            # A connection relies on words being there for ever.
            used = [connection for store in self._open for connection in store._used]
            for connection in (transaction.connection, *self._watching._idle, *used):
                connection.words.clear()

    def settle(self) -> None:
        """Do nothing: nothing happens in a file by itself."""

    def close(self) -> None:
        for store in (self._watching, *self._open):
            store.close()


class _SteppingSqliteStore(SqliteStore):
    def __init__(self, path: Path, points: Points, lock: Lock) -> None:
        self._points = points
        self._write_lock = lock
        self._used: list[_SteppingConnection] = []
        try:
            super().__init__(path, synchronous="OFF")
        except BaseException:
            self._let_go()
            raise

    def _connect(self) -> Any:
        connection = _SteppingConnection(super()._connect(), self._points, self._write_lock)
        connection.execute("PRAGMA busy_timeout = 0")
        self._used.append(connection)
        return connection

    def crash(self) -> None:
        """Close every connection in the middle of what it is at."""
        self._idle.clear()
        self._let_go()

    def _let_go(self) -> None:
        while self._used:
            self._used.pop().close()


class _SteppingConnection:
    """A connection of the store's that stops before and after each statement."""

    def __init__(self, own: sqlite3.Connection, points: Points, lock: Lock) -> None:
        self._own = own
        self._points = points
        self._lock = lock
        self._seen = own.total_changes
        self._is_closed = False

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self._run(self._own.execute, statement, values)

    def executemany(self, statement: str, rows: Sequence[Any]) -> sqlite3.Cursor:
        return self._run(self._own.executemany, statement, rows)

    def _run(self, run: Callable[..., sqlite3.Cursor], statement: str, values: Any) -> Any:
        scheduler = self._points.scheduler
        scheduler.step(statement)
        is_commit = statement == "COMMIT"
        if statement == "BEGIN IMMEDIATE":
            self._lock.wait("waits for the write lock")
        if statement != "ROLLBACK" and scheduler.fails():
            raise DiskFull("database or disk is full (simulated)")
        cursor = run(statement, values)
        wrote = is_commit and self._lock.holder is self
        if statement == "BEGIN IMMEDIATE":
            self._lock.take(self, self._is_in_transaction)
        elif wrote or statement == "ROLLBACK":
            self._lock.let_go(self)
        if not self._own.in_transaction and self._own.total_changes > self._seen:
            self._seen = self._own.total_changes
            self._points.committed()
        if wrote and scheduler.loses_reply():
            raise ReplyLost("disk I/O error (simulated)")
        scheduler.step("done")
        return cursor

    def _is_in_transaction(self) -> bool:
        return self.in_transaction

    @property
    def in_transaction(self) -> bool:
        return not self._is_closed and self._own.in_transaction

    def close(self) -> None:
        self._is_closed = True
        self._own.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)
