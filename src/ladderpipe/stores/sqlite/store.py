"""The SQLite store: one file, several threads and processes, no server."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Final, cast

from ...errors import StoreError
from ..bridge import current
from ..joined import is_closed, is_in_transaction, unwrap
from .connection import OwnConnection
from .schema import SCHEMA, VERSION, version_of
from .transaction import SqliteTransaction

__all__ = ["SqliteStore"]

_log = logging.getLogger("ladderpipe.store")

BUSY_SECONDS: Final = 60.0
DEFERRED: Final = (
    "the board cannot write in this transaction: it was begun without the write lock, and somebody "
    "else writes or has written meanwhile. SQLite does not wait once a transaction has read, since "
    "what it has read would be out of date. Roll back, begin with BEGIN IMMEDIATE, which takes the "
    'lock before it reads (in Django: OPTIONS transaction_mode "IMMEDIATE"), and do all of it again'
)
_LOCKED: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
CHECKPOINT_SECONDS: Final = 1.0
CACHE_KIBIBYTES: Final = 8_000
"""Enough for the pages of one batch, which would otherwise be written twice."""


class SqliteStore:
    """Deals in one SQLite file (3.38 or later), in write-ahead-log mode.

    Every writing transaction takes the write lock before it reads (``BEGIN IMMEDIATE``), so
    that threads and processes that share the file serialise instead of conflicting. Connections
    are pooled, and never carried across a fork.

    Args:
        path: the file; created when missing. ``":memory:"`` keeps one database in this process.
        synchronous: SQLite's ``PRAGMA synchronous``. ``NORMAL`` survives a crash of the process
            without loss and of the machine without damage; ``FULL`` loses nothing then either.
        create: whether to make the file and its tables when they are missing.

    Raises:
        StoreError: the file cannot be opened, or is newer than this version understands.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, synchronous: str = "NORMAL", create: bool = True
    ) -> None:
        self.path = os.fspath(path)
        if synchronous.upper() not in ("NORMAL", "FULL", "EXTRA", "OFF"):
            raise StoreError(f"synchronous={synchronous!r}: choose NORMAL, FULL, EXTRA or OFF")
        self._synchronous = synchronous.upper()
        self._in_memory = self.path in (":memory:", "")
        self._lock = threading.RLock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        _open_stores.add(self)
        try:
            if not create and not self._in_memory:
                refuse_missing(self.path)
            with self._borrowed() as connection:
                migrate(connection)
        except sqlite3.Error as error:
            self.close()
            raise StoreError(f"cannot open SQLite database {self.path!r}: {error}") from error

    @classmethod
    def from_url(cls, url: str) -> SqliteStore:
        """Open ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``sqlite://`` (memory).

        ``?synchronous=FULL`` may follow, and ``?create=false`` to refuse a file that is missing
        instead of making it.

        Raises:
            StoreError: the URL is malformed.
        """
        rest, _, query = url.partition("?")
        if not rest.startswith("sqlite://"):
            raise StoreError(f"{url!r}: write sqlite:///file.db, with three slashes")
        host, slash, path = rest.removeprefix("sqlite://").partition("/")
        if host:
            raise StoreError(
                f"{url!r} names a host, and SQLite has none: sqlite:///{host}{slash}{path} is the "
                "file below this folder"
            )
        options = dict(part.partition("=")[::2] for part in query.split("&") if part)
        create = options.pop("create", "true")
        unknown = set(options) - {"synchronous"}
        if unknown or create not in ("true", "false"):
            wrong = f"option {sorted(unknown)[0]!r}" if unknown else f"create={create}"
            raise StoreError(f"{url!r}: unknown {wrong}; try synchronous=FULL or create=false")
        if "%" in path:
            from urllib.parse import unquote

            path = unquote(path)
        return cls(path or ":memory:", create=create == "true", **options)

    def transaction(self, write: bool = True) -> AbstractContextManager[SqliteTransaction]:
        """Begin a unit of work: committed when the block ends, undone when it raises."""
        return _UnitOfWork(self._borrowed(), "BEGIN IMMEDIATE" if write else "BEGIN")

    def is_transient(self, error: BaseException) -> bool:
        """Return whether the file was locked for longer than SQLite waits."""
        return is_transient(error)

    def is_in_trouble(self, error: BaseException) -> bool:
        """Return whether the file cannot be read or written, whatever is asked."""
        if is_of_the_file(error):
            return True
        try:
            with self.transaction(write=False) as transaction:
                transaction.pipelines()
        except (StoreError, sqlite3.Error):
            return True
        return False

    def may_retry(self, error: BaseException) -> bool:
        """Return ``False``: the write lock is taken first, and SQLite has waited for it."""
        return False

    def wait_for_work(self, seconds: float, stop: threading.Event) -> None:
        """Sleep so long, or until *stop* is set: a file tells nobody of new work."""
        stop.wait(seconds)

    def using(self, connection: Any) -> JoinedSqliteStore:
        """Return the store on the caller's own connection, inside its transaction.

        Raises:
            StoreError: it is no connection to this store's file.
        """
        return JoinedSqliteStore(connection, self.path)

    def erase_traces(self) -> None:
        """Empty the write-ahead log, in which older versions of rows stand.

        A reader that takes longer than a second keeps it from being emptied, which is logged; the
        last connection that closes the file empties it too.
        """
        if self._in_memory:
            return
        with self._borrowed() as connection:
            connection.execute(f"PRAGMA busy_timeout = {CHECKPOINT_SECONDS * 1000:.0f}")
            try:
                (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
        if busy:
            _log.warning(
                "readers kept the write-ahead log of %s from being emptied: what was removed "
                "stands in it until a later checkpoint",
                self.path,
            )

    def close(self) -> None:
        """Close every idle connection; those in use close when they are returned."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _borrowed(self) -> _Borrowed:
        return _Borrowed(self, self._lock if self._in_memory else None)

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise StoreError(f"the store on {self.path!r} is closed: open a new one")
            if self._idle:
                return self._idle[-1] if self._in_memory else self._idle.pop()
        connection = self._connect()
        if self._in_memory:
            self._idle.append(connection)
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed and not is_closed(connection):
                self._idle.append(connection)
                return
        connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            factory=OwnConnection,
        )
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            if not self._in_memory:
                connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIBIBYTES}")
            # What is removed or replaced is overwritten, so that forgetting a person is no search
            # for what earlier transactions have left in free pages.
            connection.execute("PRAGMA secure_delete = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def after_fork(self) -> None:
        """Begin anew in a child process: SQLite's connections must not be carried into it."""
        self._lock = threading.RLock()
        if not self._in_memory:
            self._idle = []

    def __repr__(self) -> str:
        return f"SqliteStore({self.path!r})"


class _Borrowed:
    """A connection of a store's, for a block.

    This and the next are classes, since every event goes through them: a generator takes several
    times as long to begin and to end.
    """

    __slots__ = ("_connection", "_lock", "_process", "_store")

    def __init__(self, store: SqliteStore, lock: threading.RLock | None) -> None:
        self._store = store
        self._lock = lock
        self._process = os.getpid()

    def __enter__(self) -> sqlite3.Connection:
        if self._lock is not None:
            self._lock.acquire()
        try:
            self._connection = self._store._take()
        except BaseException:
            if self._lock is not None:
                self._lock.release()
            raise
        return self._connection

    def __exit__(self, *raised: object) -> None:
        if self._lock is not None:
            self._lock.release()
        elif self._process == os.getpid():
            self._store._give_back(self._connection)


class _UnitOfWork:
    """A transaction on a borrowed connection, for a block."""

    __slots__ = ("_begin", "_borrowed", "_connection", "_transaction")

    def __init__(self, borrowed: _Borrowed, begin: str) -> None:
        self._borrowed = borrowed
        self._begin = begin

    def __enter__(self) -> SqliteTransaction:
        self._connection = self._borrowed.__enter__()
        try:
            words = getattr(self._connection, "words", None)
            self._transaction = SqliteTransaction(self._connection, words)
            self._transaction.run(self._begin)
        except BaseException:
            self._undo()
            raise
        return self._transaction

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._undo()
            return
        try:
            self._transaction.run("COMMIT")
        except BaseException:
            self._undo()
            raise
        self._borrowed.__exit__()

    def _undo(self) -> None:
        try:
            if is_in_transaction(self._connection):
                self._connection.execute("ROLLBACK")
        finally:
            self._borrowed.__exit__()


_open_stores: weakref.WeakSet[SqliteStore] = weakref.WeakSet()


def _after_fork() -> None:
    for store in list(_open_stores):
        store.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class JoinedSqliteStore:
    """The store on a connection that belongs to the caller: savepoints only, never a commit."""

    def __init__(self, connection: Any, path: str) -> None:
        driver = self._connection = _as_plain(unwrap(connection))
        self._path = path
        cursor = driver.cursor()
        cursor.row_factory = None
        found = cursor.execute("PRAGMA database_list").fetchone()[2]
        if not (found and os.path.exists(path) and os.path.samefile(found, path)):
            raise StoreError(
                f"this connection is on {found or 'a database in memory'!r} and the board's store "
                f"on {path!r}: connect to the board's file"
            )

    @contextlib.contextmanager
    def transaction(self, write: bool = True) -> Iterator[SqliteTransaction]:
        """Work inside the caller's transaction; it is the caller who commits.

        Raises:
            StoreError: the connection commits by itself and no transaction was begun; or the
                transaction read before it wrote, and somebody else has written since.
        """
        connection = self._connection
        was_begun = connection.in_transaction
        if write and not connection.in_transaction:
            if connection.isolation_level is None or getattr(connection, "autocommit", 0) is True:
                raise StoreError(
                    "this connection is in autocommit mode and no transaction is open: "
                    'execute("BEGIN IMMEDIATE") first (transaction.atomic() in Django), so that '
                    "your rows and the move commit together"
                )
            connection.execute("BEGIN IMMEDIATE")
        transaction = SqliteTransaction(connection)
        try:
            with transaction.savepoint():
                yield transaction
        except sqlite3.OperationalError as error:
            if was_begun and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise StoreError(DEFERRED) from error
            raise

    def is_transient(self, error: BaseException) -> bool:
        """Return whether the caller's whole transaction may succeed when it is done again."""
        return is_transient(error)

    def may_retry(self, error: BaseException) -> bool:
        """Return ``False``: it is the caller who would have to begin again."""
        return False

    def is_in_trouble(self, error: BaseException) -> bool:
        """Return whether the caller's transaction cannot go on."""
        is_lasting = isinstance(error, StoreError) or is_of_the_file(error) or is_transient(error)
        return is_lasting or not is_in_transaction(self._connection)

    def wait_for_work(self, seconds: float, stop: threading.Event) -> None:
        """Sleep so long, or until *stop* is set."""
        stop.wait(seconds)

    def using(self, connection: Any) -> JoinedSqliteStore:
        """Return the store on yet another connection."""
        return JoinedSqliteStore(connection, self._path)

    def erase_traces(self) -> None:
        """Do nothing: the caller has not committed yet."""

    def close(self) -> None:
        """Leave the connection alone: it is the caller's."""


def _as_plain(driver: Any) -> sqlite3.Connection:
    """Return a driver's connection as one that plain code uses as sqlite3's.

    Raises:
        StoreError: it is of no driver that is known, or has to be awaited and cannot be here.
    """
    if isinstance(driver, sqlite3.Connection):
        return driver
    if type(driver).__module__.partition(".")[0] == "aiosqlite":
        if current() is None:
            raise StoreError(
                "an aiosqlite.Connection has to be awaited, which a Board does not: open an "
                "AsyncBoard"
            )
        from .aiosqlite_driver import AwaitedSqliteConnection

        awaited: Any = AwaitedSqliteConnection(driver)
        return cast(sqlite3.Connection, awaited)
    raise StoreError(
        "a SQLite board joins a connection of sqlite3 or aiosqlite, or one of SQLAlchemy or Django "
        f"over it, and not {type(driver).__module__}.{type(driver).__qualname__}"
    )


def is_transient(error: BaseException) -> bool:
    """Return whether an error, or what caused it, is a lock that was not to be had."""
    found: BaseException | None = error
    while found is not None:
        # The low byte is the kind of error, whatever the extended code adds.
        if isinstance(found, sqlite3.OperationalError) and found.sqlite_errorcode & 0xFF in _LOCKED:
            return True
        found = found.__cause__
    return False


def is_of_the_file(error: BaseException) -> bool:
    """Return whether SQLite says so of the file or the disk, and not of what was written.

    It is not asked what a hook was told, which may have another file.
    """
    kinds = (sqlite3.OperationalError, sqlite3.InternalError)
    # A damaged file is told as the class above all others.
    if type(error) is sqlite3.DatabaseError or isinstance(error, kinds):
        return "no such savepoint" not in str(error)
    return False


def refuse_missing(path: str) -> None:
    """Refuse a file that is not there or holds no tables of ours; nothing is written.

    Raises:
        StoreError: it is so.
    """
    if not os.path.exists(path):
        raise StoreError(f"there is no file {path!r}: check the path")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if not version_of(connection):
            raise StoreError(
                f"the SQLite database {path!r} has no ladderpipe tables: check the path"
            )


def migrate(connection: sqlite3.Connection) -> None:
    """Make the tables in a new file, and bring those of an older one to the newest version.

    Raises:
        StoreError: the file was written by a later version of the library, or cannot be upgraded.
    """
    version = version_of(connection)
    if version == VERSION or (version == 0 and _made(connection)):
        return
    from .upgrade import upgrade

    upgrade(connection)


def _made(connection: sqlite3.Connection) -> bool:
    """Make the tables; return whether there were none, once nobody else can make them."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        is_new = version_of(connection) == 0
        if is_new:
            for statement in SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute("INSERT INTO ladder_schema VALUES (?)", (VERSION,))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return is_new
