"""A real MariaDB server under a schedule: a statement that waits for a lock gives no answer.

The server is a single process, so nobody in it can be stopped. But what waits for a lock does
nothing else, and goes on only when another's statement lets that lock go: between two steps the
seam waits until whoever was let on has its answer. The server is asked who waits
(``SHOW ENGINE INNODB STATUS``, which is not a tenth of a second old as its tables are).
"""

from __future__ import annotations

import re
import select
import socket
import time
from typing import Any, Final

import pymysql
from pymysql.connections import Connection

from ladderpipe.stores import MariadbStore, Store
from ladderpipe.stores.mariadb.connection import DEADLOCK, OwnConnection, Pool

from .scheduler import Stuck
from .seams import Injected, Points, to_empty

__all__ = ["MariadbSeam"]

PATIENCE: Final = 30.0
"""Seconds after which the server has gone wrong, and not the schedule."""
SOON: Final = 0.001
"""Seconds after which a statement without an answer is worth asking about."""
OPTIONS: Final = "&lock_timeout=3600"
"""Nobody but the schedule ends a wait."""
CUT: Final = 2013
_WAITS: Final = re.compile(r"(?ms)^---TRANSACTION (?:(?!^---).)*?^LOCK WAIT.*?thread id (\d+)")
_VALUES: Final = re.compile(r"(?s)'(?:[^'\\]|\\.|'')*'|\b\d+\b")


class ReplyLost(Injected, pymysql.OperationalError):
    """The connection was cut after a commit was made and before its answer came."""


class Conflict(Injected, pymysql.OperationalError):
    """What the server says to a transaction that has to be tried again."""


class MariadbSeam:
    """Processes that share a server; each has its own connections."""

    def __init__(self, points: Points, url: str) -> None:
        self.points = points
        self.waiting: list[_SteppingConnection] = []
        self._url = url + OPTIONS
        self._watching = MariadbStore.from_url(url)
        with self._watching._pool.borrowed() as connection:
            found = connection.rows("SHOW FULL TABLES WHERE table_type = 'BASE TABLE'")
        self._tables = to_empty(row[0] for row in found)
        self._control = OwnConnection(**self._watching._pool._settings)
        self._open: list[_SteppingMariadbStore] = []

    def open(self) -> Store:
        store = _SteppingMariadbStore.on(self._url, self)
        self._open.append(store)
        return store

    def crash(self, store: Store) -> None:
        """Cut a worker's connections, and wait until the server has noticed."""
        assert isinstance(store, _SteppingMariadbStore)
        self._open.remove(store)
        for connection in store.pool.made:
            self.cut(connection)

    def cut(self, connection: _SteppingConnection) -> None:
        """Cut one connection; what it was at is undone before this returns."""
        if not connection.open:
            return
        if connection in self.waiting:
            self.waiting.remove(connection)
            self._control.run(f"KILL HARD CONNECTION {connection.thread_id()}")
        connection._sock.shutdown(socket.SHUT_RDWR)
        connection._force_close()
        deadline = time.monotonic() + PATIENCE
        there = "SELECT 1 FROM information_schema.processlist WHERE id = %s"
        while self._control.rows(there, connection.thread_id()):
            if time.monotonic() > deadline:
                raise Stuck(f"the server's thread {connection.thread_id()} does not end")

    def watch(self) -> Store:
        return self._watching

    def empty(self) -> None:
        with self._watching.transaction() as transaction:
            for table in self._tables:
                transaction.run(f"DELETE FROM {table}")
            # A connection relies on words being there for ever.
            used = [connection for store in self._open for connection in store.pool.made]
            idle = [connection for _, connection in self._watching._pool._idle]
            for connection in (transaction.connection, *idle, *used):
                connection.words.clear()
        # Errors quote numbers of deals.
        self._control.run("ALTER TABLE ladder_deals AUTO_INCREMENT = 1")

    def blocked(self) -> set[int]:
        """Return the threads whose statements wait for another transaction."""
        ((_, _, told),) = self._control.rows("SHOW ENGINE INNODB STATUS")
        return {int(thread) for thread in _WAITS.findall(told)}

    def settle(self) -> None:
        """Let those go on who are in nobody's way any more."""
        deadline = time.monotonic() + PATIENCE
        for connection in list(self.waiting):
            while connection.thread_id() not in self.blocked():
                if connection.has_answer(SOON):
                    self.waiting.remove(connection)
                    break
                if time.monotonic() > deadline:
                    raise Stuck("the server does not answer")

    def close(self) -> None:
        for store in list(self._open):
            self.crash(store)
            store.close()
        self._watching.close()
        self._control.close()


class _SteppingMariadbStore(MariadbStore):
    pool: _Connections

    @classmethod
    def on(cls, url: str, seam: MariadbSeam) -> _SteppingMariadbStore:
        store = cls.from_url(url)
        assert isinstance(store, cls)
        store._pool.close()
        store._pool = store.pool = _Connections(store._pool, seam)
        return store


class _Connections(Pool):
    """A pool whose connections stop."""

    def __init__(self, own: Pool, seam: MariadbSeam) -> None:
        super().__init__(own._settings, own._size, own._timeout, own._where)
        self.made: list[_SteppingConnection] = []
        self._seam = seam

    def _take(self) -> OwnConnection:
        while self._idle:
            _, connection = self._idle.pop()
            if connection.open:
                return connection
        made = _SteppingConnection(**self._settings)
        made.seam = self._seam
        self.made.append(made)
        return made


class _SteppingConnection(OwnConnection):
    """A connection of the store's that stops before and after each statement."""

    seam: MariadbSeam | None = None

    def query(self, sql: Any, unbuffered: bool = False) -> Any:
        seam = self.seam
        if seam is None:
            return super().query(sql, unbuffered)
        scheduler = seam.points.scheduler
        text = sql if isinstance(sql, str) else bytes(sql).decode(errors="replace")
        scheduler.step(_VALUES.sub("?", text))
        if self.in_transaction and scheduler.fails():
            if scheduler.flips_coin():
                Connection.rollback(self)  # as the server does, all of it
                self.was_undone = True
                raise Conflict(DEADLOCK, "deadlock found when trying to get lock (simulated)")
            seam.cut(self)
            raise pymysql.OperationalError(CUT, "lost connection during query (simulated)")
        answer = super().query(sql, unbuffered)
        if not self.in_transaction:
            seam.points.committed()
            if scheduler.loses_reply():
                seam.cut(self)
                raise ReplyLost(CUT, "the connection was cut before the answer came (simulated)")
        scheduler.step("done")
        return answer

    def _read_query_result(self, unbuffered: bool = False) -> Any:
        seam = self.seam
        if seam is not None and seam.points.scheduler.running is not None:
            while not self.has_answer(SOON):
                if self.thread_id() in seam.blocked():
                    seam.waiting.append(self)
                    scheduler = seam.points.scheduler
                    scheduler.wait(lambda: self not in seam.waiting, "waits for a lock")
        return super()._read_query_result(unbuffered)

    def has_answer(self, seconds: float) -> bool:
        """Whether the server's answer comes within so many seconds."""
        return bool(select.select([self._sock], [], [], seconds)[0])
