"""A real PostgreSQL server under a schedule: at most one of its processes runs at any moment.

A statement that has to wait for another worker's lock gives no answer. The server is then asked
whom it waits for (``pg_blocking_pids``), and its process is stopped (``SIGSTOP``) until nobody is
in its way any more. So nothing happens there behind the schedule's back, and who gets a lock first
does not depend on the machine's mood.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from typing import Any, Final

import psycopg
from psycopg import pq, waiting

from ladderpipe.stores import PostgresStore, Store
from ladderpipe.stores.postgres.wire import OwnConnection

from .scheduler import Stuck
from .seams import Injected, Points, to_empty

__all__ = ["PostgresSeam"]

PATIENCE: Final = 30.0
"""Seconds after which the server has gone wrong, and not the schedule."""
SOON: Final = 0.001
"""Seconds after which a statement without an answer is worth asking about."""
OPTIONS: Final = "&options=-c%20deadlock_timeout%3D3600s"
"""Nobody but the schedule ends a wait."""


class ReplyLost(Injected, psycopg.OperationalError):
    """The connection was cut after a commit was made and before its answer came."""


class Conflict(Injected, psycopg.errors.SerializationFailure):
    """What the server says to a transaction that has to be tried again."""


class PostgresSeam:
    """Processes that share a server; each has its own connection."""

    def __init__(self, points: Points, url: str) -> None:
        self.points = points
        self.waiting: list[_SteppingConnection] = []
        self._url = url + OPTIONS
        self._watching = PostgresStore.from_url(url + "&listen=false")
        self._control = psycopg.connect(url, autocommit=True)
        known = self._control.execute("SELECT tablename FROM pg_tables").fetchall()
        self._tables = to_empty(name for (name,) in known)
        self._open: list[_SteppingPostgresStore] = []

    def open(self) -> Store:
        store = _SteppingPostgresStore(self._url, self)
        self._open.append(store)
        return store

    def crash(self, store: Store) -> None:
        """Cut a worker's connections, and wait until the server has noticed."""
        assert isinstance(store, _SteppingPostgresStore)
        self._open.remove(store)
        for connection in store.connections:
            self.cut(connection)
            connection.close()

    def cut(self, connection: _SteppingConnection) -> None:
        """Cut one connection; what it was at is undone before this returns."""
        if connection.closed:
            return
        pid = connection.info.backend_pid
        if connection in self.waiting:
            self.waiting.remove(connection)
            self._control.execute("SELECT pg_terminate_backend(%s)", [pid])
            os.kill(pid, signal.SIGCONT)
        with socket.socket(fileno=os.dup(connection.pgconn.socket)) as line:
            line.shutdown(socket.SHUT_RDWR)
        self._until_gone(pid)

    def _until_gone(self, pid: int) -> None:
        deadline = time.monotonic() + PATIENCE
        there = "SELECT FROM pg_stat_activity WHERE pid = %s"
        while self._control.execute(there, [pid]).fetchall():
            if time.monotonic() > deadline:
                raise Stuck(f"the server's process {pid} does not end")

    def watch(self) -> Store:
        return self._watching

    def empty(self) -> None:
        for table in self._tables:
            self._control.execute(f"DELETE FROM {table}")
        with self._watching.transaction() as transaction:
            # A connection relies on words being there for ever.
            used = [connection for store in self._open for connection in store.connections]
            for connection in (transaction.connection, *self._watching._pool._pool, *used):
                connection.ladder_words.clear()

    def is_blocked(self, connection: _SteppingConnection) -> bool:
        """Whether a connection's statement waits for another transaction."""
        pid = connection.info.backend_pid
        found = self._control.execute("SELECT pg_blocking_pids(%s)", [pid]).fetchone()
        return bool(found and found[0])

    def settle(self) -> None:
        """Let those go on who are in nobody's way any more, in the order in which they came."""
        for connection in list(self.waiting):
            if not self.is_blocked(connection):
                os.kill(connection.info.backend_pid, signal.SIGCONT)
                if connection.has_answer():
                    self.waiting.remove(connection)
                else:
                    os.kill(connection.info.backend_pid, signal.SIGSTOP)

    def stop(self, connection: _SteppingConnection) -> None:
        """Stop the server's process whose statement waits."""
        os.kill(connection.info.backend_pid, signal.SIGSTOP)
        self.waiting.append(connection)

    def close(self) -> None:
        for store in list(self._open):
            self.crash(store)
            store.close()
        self._watching.close()
        self._control.close()


class _SteppingPostgresStore(PostgresStore):
    def __init__(self, url: str, seam: PostgresSeam) -> None:
        self._seam = seam
        super().__init__(url, listen=False)

    @property
    def connections(self) -> list[_SteppingConnection]:
        """Every connection that was made."""
        return self._pool.made

    def _begin_process(self) -> None:
        self._pid = os.getpid()
        self._pool: Any = _Connections(self._dsn, self._seam)


class _Connections:
    """Stands for the pool, whose threads would be no part of the schedule."""

    def __init__(self, dsn: str, seam: PostgresSeam) -> None:
        self.made: list[_SteppingConnection] = []
        self._idle: list[_SteppingConnection] = []
        self._dsn = dsn
        self._seam = seam

    def getconn(self) -> _SteppingConnection:
        if self._idle:
            return self._idle.pop()
        connection = _SteppingConnection.connect(self._dsn, autocommit=True)
        connection.seam = self._seam
        self.made.append(connection)
        return connection

    def putconn(self, connection: _SteppingConnection) -> None:
        if not connection.closed:
            self._idle.append(connection)

    def check(self) -> None:
        self._idle = [connection for connection in self._idle if not connection.closed]

    def close(self) -> None:
        for connection in self.made:
            connection.close()


class _SteppingConnection(OwnConnection):
    """A connection of the store's that stops before and after each statement.

    So every statement makes a round trip of its own. In libpq's pipeline mode the number of times
    that psycopg looks for answers depends on how fast they come, and no seed would show it again.
    """

    seam: PostgresSeam | None = None

    def pipeline(self) -> Any:
        return contextlib.nullcontext()

    def wait(self, gen: Any, interval: float = 0.0, timeout: float | None = None) -> Any:
        seam = self.seam
        if seam is None or seam.points.scheduler.running is None:
            answer = super().wait(gen, interval or 0.1, timeout)
        else:
            answer = self._wait_on_schedule(gen, seam)
        if seam is not None and self._is_idle:
            seam.points.committed()
            if seam.points.scheduler.loses_reply():
                seam.cut(self)
                self.close()
                raise ReplyLost("the connection was cut before the answer came (simulated)")
        if seam is not None:
            seam.points.scheduler.step("done")
        return answer

    @property
    def _is_idle(self) -> bool:
        return self.pgconn.transaction_status == pq.TransactionStatus.IDLE

    def _wait_on_schedule(self, gen: Any, seam: PostgresSeam) -> Any:
        scheduler = seam.points.scheduler
        scheduler.step(_statement(gen))
        if not self._is_idle and scheduler.fails():
            if scheduler.flips_coin():
                raise Conflict("could not serialize access (simulated)")
            seam.cut(self)
        try:
            state = next(gen)
            while True:
                while not (ready := self._poll(state)):
                    if seam.is_blocked(self):
                        seam.stop(self)
                        scheduler.wait(lambda: self not in seam.waiting, "waits for a lock")
                state = gen.send(ready)
        except StopIteration as end:
            return end.value
        finally:
            with contextlib.suppress(psycopg.Error):
                gen.close()

    def _poll(self, state: waiting.Wait, seconds: float = SOON) -> waiting.Ready:
        line = [self.pgconn.socket]
        read = line if state & waiting.WAIT_R else []
        write = line if state & waiting.WAIT_W else []
        reads, writes, _ = select.select(read, write, [], seconds)
        ready = (waiting.READY_R if reads else 0) | (waiting.READY_W if writes else 0)
        return waiting.Ready(ready) if ready else waiting.READY_NONE

    def has_answer(self) -> bool:
        """Wait until the server has answered, or has found somebody else to wait for."""
        deadline = time.monotonic() + PATIENCE
        while not self._poll(waiting.WAIT_R):
            assert self.seam is not None
            if self.seam.is_blocked(self):
                return False
            if time.monotonic() > deadline:
                raise Stuck("the server does not answer")
        return True


def _statement(gen: Any) -> str:
    """Return the text of the statement that a generator of psycopg's is about to send."""
    frame = getattr(gen, "gi_frame", None)
    query = frame.f_locals.get("query") if frame is not None else None
    return query.decode() if isinstance(query, bytes) else str(query or "sends and waits")
