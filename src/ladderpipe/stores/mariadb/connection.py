"""The store's own connections to MariaDB, on which no hook ends a transaction, and their pool.

The driver is PyMySQL: it is alive, needs no compiler and no client library, and is what SQLAlchemy
and Django take too; mysqlclient and MariaDB's connector are bindings to one in C.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NoReturn

import pymysql
from pymysql.connections import Connection
from pymysql.constants import SERVER_STATUS
from pymysql.cursors import Cursor

from ...errors import StoreError
from ..hook_guard import refuse_closing, refuse_ending, running_hook
from ..words import Words

if TYPE_CHECKING:
    from .awaited import AsyncMariadbConnection

__all__ = ["OwnConnection", "Pool"]

SESSION: Final = (
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', "
    "autocommit = 1, max_error_count = 65535"
)
_READ_COMMITTED: Final = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"

DEADLOCK: Final = 1213
UNDOES_ALL: Final = (DEADLOCK, 1020)
"""Errors after which nothing is left of the transaction, and not only of the statement."""
LOCK_WAIT: Final = 1205

_COMMITS: Final = re.compile(
    r"(?is)(?:\s|--[^\n]*(?:\n|$)|\#[^\n]*(?:\n|$)|/\*.*?\*/)*"
    r"(?:begin|start\s+(?:transaction|slave|replica)|lock\s+tables?|unlock\s+tables?|truncate"
    r"|rename|grant|revoke|analyze|optimize|repair|flush|install|uninstall|reset|change"
    r"|set\s+(?:session\s+|@@(?:session\.)?)?autocommit"
    r"|(?:create(?:\s+or\s+replace)?|drop|alter)\b(?!\s+temporary\b))\b"
)
"""What commits on MariaDB without saying so."""
_IDLE_SECONDS: Final = 30.0
"""A connection that was idle for longer is asked whether it is still there."""


class OwnConnection(Connection):
    """A connection of the store's, on which nobody else ends a transaction.

    Hooks are given it; the habit of committing after an insert would break a move in two.

    Attributes:
        words: those that are known to be committed.
        was_undone: whether the server has undone the transaction that was open.
        most: how many bytes of a statement the server takes.
        step: from one number that the server gives out to the next.
    """

    def __init__(self, **settings: Any) -> None:
        self.words = Words()
        self.was_undone = False
        self.most: int | None = None
        super().__init__(charset="utf8mb4", autocommit=None, **settings)
        self.run(SESSION)
        self.run(_READ_COMMITTED)
        ((self.most, self.step),) = self.rows(
            "SELECT @@max_allowed_packet, @@auto_increment_increment"
        )

    def connect(self, sock: Any = None) -> None:
        """Connect, within the time for that: PyMySQL would wait for ever to be greeted.

        A socket that leads nowhere is closed at once, and not by the collector.
        """
        path = getattr(self, "unix_socket", None)
        if sock is None and path:
            sock = _reached(path, self.connect_timeout)
            # What stays on the machine needs no TLS, as PyMySQL has it of sockets of its own.
            self._secure = True
        connection: Any = self
        told, connection._read_timeout = connection._read_timeout, self.connect_timeout
        try:
            super().connect(sock)
        finally:
            connection._read_timeout = told

    def query(self, sql: Any, unbuffered: bool = False) -> Any:
        """Run a statement, as all of PyMySQL's cursors do.

        Raises:
            StoreError: a hook's statement would end the transaction, or the server takes none
                that is so large.
        """
        if running_hook() is not None:
            text = sql if isinstance(sql, str) else bytes(sql).decode(errors="replace")
            refuse_ending(text)
            if _COMMITS.match(text):
                raise StoreError(
                    f"{text.strip()[:40]!r} commits on MariaDB, in the middle of a move: the board "
                    "commits, after all hooks; make and alter tables elsewhere"
                )
        data = sql.encode(self.encoding) if isinstance(sql, str) else sql
        if self.most is not None and len(data) >= self.most:
            raise StoreError(
                f"a statement of {len(data):,} bytes is larger than the server takes: raise its "
                f"max_allowed_packet, which is {self.most:,}, or tell less at once"
            )
        try:
            return super().query(data, unbuffered)
        except pymysql.MySQLError as error:
            self._note(error)
            raise

    def _note(self, error: pymysql.MySQLError) -> None:
        """Note whether the server has undone the transaction, which it says nowhere else."""
        number = error.args[0] if error.args else None
        if number in UNDOES_ALL:
            self.was_undone = True
        elif number == LOCK_WAIT:
            # Only the statement is undone, unless the server has innodb_rollback_on_timeout.
            with contextlib.suppress(pymysql.MySQLError):
                self.ping(reconnect=False)
                self.was_undone = self.was_undone or not self.in_transaction

    def run(self, text: str) -> Cursor:
        """Run a statement as it is, and return its cursor."""
        cursor = Cursor(self)
        cursor.execute(text)
        return cursor

    def rows(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement with values and return its rows."""
        cursor = Cursor(self)
        cursor.execute(text, values or None)
        return list(cursor.fetchall())

    def execute(self, text: str, values: Any = None) -> Cursor:
        """Run a statement and return its cursor, as psycopg's and SQLite's connections do."""
        cursor: Cursor = self.cursor()
        cursor.execute(text, values)
        return cursor

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return is_in_transaction(self)

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone."""
        return not self.open

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""
        return not self.open

    def begin(self) -> NoReturn:
        """Refuse, since it commits first.

        Raises:
            StoreError: always.
        """
        raise StoreError("the board has begun this transaction itself: leave begin() out")

    def commit(self) -> NoReturn:
        """Refuse.

        Raises:
            StoreError: always.
        """
        raise StoreError("the board commits this transaction itself: leave commit() out")

    def rollback(self) -> NoReturn:
        """Refuse.

        Raises:
            StoreError: always.
        """
        raise StoreError("the board ends this transaction itself: raise to undo it")

    def close(self) -> None:
        """Close the connection; refuse it to a hook.

        Raises:
            StoreError: a hook is running.
        """
        refuse_closing()
        if self.open:
            super().close()

    def __enter__(self) -> NoReturn:
        raise StoreError("'with connection' closes it, and it is the board's: leave it out")

    @property
    def asynchronous(self) -> AsyncMariadbConnection:
        """This connection for an ``async def`` hook."""
        from .awaited import AsyncMariadbConnection

        return AsyncMariadbConnection(self)


def _reached(path: str, timeout: float | None) -> socket.socket:
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        found.settimeout(timeout)
        found.connect(path)
    except OSError as error:
        found.close()
        raise pymysql.OperationalError(2002, f"cannot connect to {path}: {error}") from error
    return found


def is_in_transaction(connection: Any) -> bool:
    """Return whether a transaction is open, as the server said with its last answer."""
    status = connection.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS
    return bool(connection.open and status)


class Pool:
    """A store's connections, at most so many at once, and never carried across a fork.

    Args:
        settings: what PyMySQL connects with.
        size: how many there may be at once.
        timeout: how long to wait for one, in seconds.
        where: what an error calls the database.
    """

    def __init__(self, settings: dict[str, Any], size: int, timeout: float, where: str) -> None:
        self._settings = settings
        self._size = size
        self._timeout = timeout
        self._where = where
        self._closed = False
        self._left_behind: list[object] = []
        self._begin_process()

    def _begin_process(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(self._size)
        self._idle: list[tuple[float, OwnConnection]] = []

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[OwnConnection]:
        """Lend a connection for a block.

        Raises:
            StoreError: the store is closed, or no connection is free in time.
        """
        if self._closed:
            raise StoreError(f"the store on {self._where} is closed: open a new one")
        if self._process != os.getpid():
            # The parent's are never used here, nor closed, which would end them for it too.
            self._left_behind.append(self._idle)
            self._begin_process()
        free = self._free
        if not free.acquire(timeout=self._timeout):
            raise StoreError(
                f"no connection to {self._where} was free within {self._timeout:g} s: raise "
                "pool_size, or let fewer threads share the store"
            )
        try:
            connection = self._take()
            try:
                yield connection
            finally:
                self._give_back(connection)
        finally:
            free.release()

    def _take(self) -> OwnConnection:
        while True:
            with self._lock:
                if not self._idle:
                    break
                since, connection = self._idle.pop()
            if time.monotonic() - since < _IDLE_SECONDS:
                return connection
            try:
                connection.ping(reconnect=False)
            except (pymysql.MySQLError, OSError):
                drop(connection)
                continue
            return connection
        return OwnConnection(**self._settings)

    def _give_back(self, connection: OwnConnection) -> None:
        if connection.is_lost:
            # Whatever cut this one has probably cut the idle ones too.
            with self._lock:
                idle, self._idle = self._idle, []
            for _, other in idle:
                drop(other)
            return
        with self._lock:
            if not self._closed:
                self._idle.append((time.monotonic(), connection))
                return
        connection.close()

    def close(self) -> None:
        """Close every idle connection; those in use close when they are given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        if self._process == os.getpid():
            for _, connection in idle:
                drop(connection)


def drop(connection: Connection[Any]) -> None:
    """Close a connection that may be gone already."""
    with contextlib.suppress(pymysql.MySQLError, OSError):
        connection.close()
