"""The PostgreSQL store: many processes on many machines share one truth."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, urlencode

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from ...errors import StoreError
from ...public import publish
from ..base import ENDED
from ..bridge import awaits
from ..joined import unwrap
from .listener import Listener
from .names import Names
from .older_driver import OlderConnection
from .other_drivers import is_of
from .schema import migrate
from .transaction import NOTICE, SERVERS_CLASSES, PostgresTransaction
from .wire import OwnConnection, PlainConnection, Wire, undoing

if TYPE_CHECKING:
    from .awaited import AwaitedConnection, AwaitedPool, OfLoop, OfLoops

__all__ = ["PostgresStore"]

_BEGIN: Final = b"BEGIN ISOLATION LEVEL READ COMMITTED"
_BEGIN_READING: Final = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_SAVEPOINT: Final = b"ladderpipe"
_TRANSIENT_CLASSES: Final = ("08", "40")
_FINAL: Final = (PoolTimeout, PoolClosed, psycopg.errors.PipelineAborted)
_SERVERS: Final = ("25006", "42501", "42703", "42P01")
"""Only reading is allowed, nothing is, or the tables are not what they were."""
_TRANSIENT: Final = (
    *("53300", "55P03", "57P01", "57P02", "57P03"),
    *("25P03", "25P04", "57P05"),  # the server ended the session: nothing happened for too long
)


class PostgresStore:
    """Deals in a PostgreSQL database, version 14 or later.

    Events of one deal wait for each other on its row, and different deals never do. Workers share
    timers and effects: what one is at, the others skip. Transactions run at READ COMMITTED,
    whatever the database's default; those that only read see one snapshot.

    Connections are pooled, and never carried across a fork. An asynchronous board uses a pool of
    psycopg's asynchronous ones.

    Args:
        dsn: where the database is, as a URL or in libpq's ``key=value`` form.
        schema: where the tables are; created when missing.
        prefix: what the tables' names begin with, so that several stores fit one schema.
        pool_size: how many connections this process may hold at once.
        pool_timeout: how long to wait for one of them, in seconds.
        listen: whether waiting workers keep a connection open to be woken. A pooler between here
            and the server (PgBouncer in transaction mode) does not let that through.
        prepare: whether statements may be prepared on the server. Older poolers cannot have that.
        create: whether to make the tables when they are missing.
        partitions: into how many hash partitions, by deal, the large tables are divided when they
            are made. What was made stays as it is, and is found again without saying it.

    Raises:
        StoreError: the database cannot be reached, is older than 14, not encoded in UTF-8, or
            holds tables newer than this version understands, or made with other partitions.

    Attributes:
        is_awaited: that an asynchronous board uses it on its loop, and not in threads.
    """

    is_awaited: Final = True

    def __init__(
        self,
        dsn: str,
        *,
        schema: str = "public",
        prefix: str = "ladder_",
        pool_size: int = 10,
        pool_timeout: float = 30.0,
        listen: bool = True,
        prepare: bool = True,
        create: bool = True,
        partitions: int = 0,
    ) -> None:
        self._dsn = dsn
        self._names = Names(schema, prefix)
        settings: dict[str, Any] = {} if prepare else {"prepare_threshold": None}
        settings["autocommit"] = True
        self._pool_settings: dict[str, Any] = {
            "kwargs": settings,
            "min_size": 0,
            "max_size": pool_size,
            "timeout": pool_timeout,
        }
        self._loops: OfLoops | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._left_behind: list[object] = []
        _check_address(dsn)
        try:
            with psycopg.connect(dsn, **settings) as connection:
                migrate(connection, self._names, create, partitions)
        except psycopg.Error as error:
            raise StoreError(f"cannot open {self._where()}: {error}") from error
        self._listener = Listener(dsn, self._names.channel) if listen else None
        self._begin_process()

    @classmethod
    def from_url(cls, url: str) -> PostgresStore:
        """Open ``postgresql://user:password@host/database``.

        The options of the constructor may follow, for example ``?schema=sales&pool_size=20``,
        and libpq's own, for example ``?sslmode=verify-full``.

        Raises:
            StoreError: an option has a value it cannot have, or see the constructor.
        """
        base, _, query = url.partition("?")
        options: dict[str, Any] = {}
        libpq = []
        for name, text in parse_qsl(query, keep_blank_values=True):
            read = _OPTIONS.get(name)
            if read is None:
                libpq.append((name, text))
                continue
            try:
                options[name] = read(text)
            except (ValueError, KeyError):
                raise StoreError(f"{name}={text} in the URL of a store: {_HELP[read]}") from None
        return cls(f"{base}?{urlencode(libpq, quote_via=quote)}" if libpq else base, **options)

    @contextlib.contextmanager
    def transaction(self, write: bool = True) -> Iterator[PostgresTransaction]:
        """Begin a unit of work: committed when the block ends, undone when it raises.

        When the connection is lost in the middle of the commit, nobody knows whether it was made;
        the error says so, and doing the same again is safe.
        """
        with self._borrowed() as connection:
            wire = Wire(connection)
            wire.send(_BEGIN if write else _BEGIN_READING)
            transaction = PostgresTransaction(wire, self._names, writes=write)
            try:
                yield transaction
                self._commit(wire, transaction)
            except psycopg.errors.ReadOnlySqlTransaction as error:
                _undo(wire)
                raise StoreError(
                    "this server takes no writes, since it is a standby or set to read only, and "
                    "nothing was stored: read here, and write on the primary"
                ) from error
            except BaseException:
                _undo(wire)
                raise

    def _commit(self, wire: Wire, transaction: PostgresTransaction) -> None:
        if transaction.has_failed:
            raise StoreError(
                "a statement of this transaction failed and a hook went on as if it had not: "
                "nothing was stored; use connection.transaction() around what may fail"
            )
        if wire.is_untouched:
            return
        wire.send(b"COMMIT")
        transaction.announce(self._names.channel)
        try:
            wire.flush()
        except psycopg.OperationalError as error:
            if wire.is_lost:
                error.add_note(
                    "the connection was lost while committing, so this may be stored or not: "
                    "do the same again, which changes nothing if it is"
                )
            raise

    def using(self, connection: Any) -> JoinedPostgresStore:
        """Return the store on the caller's own connection, inside its transaction."""
        return JoinedPostgresStore(connection, self._names)

    def is_transient(self, error: BaseException) -> bool:
        """Whether the same transaction may succeed when it is tried again."""
        return is_transient(error)

    def may_retry(self, error: BaseException) -> bool:
        """Return whether the board may begin this transaction again: it began it itself."""
        return is_transient(error)

    def is_in_trouble(self, error: BaseException) -> bool:
        """Return whether the server cannot be reached, or does not do what it is for."""
        if is_of_the_server(error):
            return True
        try:
            with self.transaction(write=False) as transaction:
                transaction.pipelines()
        except (StoreError, psycopg.Error):
            return True
        return False

    def wait_for_work(self, seconds: float, stop: threading.Event) -> None:
        """Sleep until another process brings work, at most so long, or until *stop* is set."""
        if self._listener is None:
            stop.wait(seconds)
        else:
            self._pool_here()
            listener = self._of_loops().of_this().listener if awaits() else self._listener
            listener.wait(min(seconds, NOTICE.total_seconds()), stop)

    def erase_traces(self) -> None:
        """Merge what was added to totals; ``VACUUM`` removes older versions of rows, later."""
        with self.transaction(write=True) as transaction:
            transaction.merge_totals()

    def close(self) -> None:
        """Close every idle connection; those in use close when they are returned."""
        with self._lock:
            self._closed = True
        if awaits():
            self._of_loops().close()
        if self._pid == os.getpid():
            self._pool.close()
            if self._listener is not None:
                self._listener.close()

    @contextlib.contextmanager
    def _borrowed(self) -> Iterator[OwnConnection | AwaitedConnection]:
        pool: Any = self._pool_here()
        try:
            connection: OwnConnection | AwaitedConnection = pool.getconn()
        except PoolTimeout as error:
            raise StoreError(f"no connection to {self._where()}: {error}") from error
        try:
            yield connection
        finally:
            was_lost = connection.closed
            pool.putconn(connection)
            if was_lost:
                # Whatever cut this one has probably cut the idle ones too.
                pool.check()

    def _pool_here(self) -> ConnectionPool[OwnConnection] | AwaitedPool:
        with self._lock:
            if self._closed:
                raise StoreError(f"the store on {self._where()} is closed: open a new one")
            if self._pid != os.getpid():
                # The parent's pool is never used here, nor collected: its threads are not here.
                self._left_behind.append(self._pool)
                self._begin_process()
            return self._of_loops().of_this().pool if awaits() else self._pool

    def _of_loops(self) -> OfLoops:
        if self._loops is None:
            from .awaited import OfLoops

            self._loops = OfLoops(self._begin_loop)
        return self._loops

    def _begin_loop(self) -> OfLoop:
        from .awaited import AwaitedPool, OfLoop, connect

        pool = AwaitedPool(self._dsn, **self._pool_settings)
        return OfLoop(pool, Listener(self._dsn, self._names.channel, connect))

    def _begin_process(self) -> None:
        self._pid = os.getpid()
        self._pool = ConnectionPool(
            self._dsn,
            connection_class=OwnConnection,
            open=True,
            **self._pool_settings,
        )
        if self._listener is not None:
            self._listener.forget()

    def _where(self) -> str:
        return f"PostgreSQL database {describe(self._dsn)}"

    def __repr__(self) -> str:
        return f"PostgresStore({describe(self._dsn)}, {self._names.tables}*)"


class JoinedPostgresStore:
    """The store on a connection that belongs to the caller: savepoints only, never a commit."""

    def __init__(self, connection: Any, names: Names) -> None:
        driver = unwrap(connection)
        self._connection = _as_plain(driver)
        self._names = names
        self.is_awaited = not isinstance(self._connection, psycopg.Connection | OlderConnection)

    @contextlib.contextmanager
    def transaction(self, write: bool = True) -> Iterator[PostgresTransaction]:
        """Work inside the caller's transaction; it is the caller who commits.

        Raises:
            StoreError: the connection commits by itself and no transaction was begun.
        """
        connection = self._connection
        idle = connection.info.transaction_status == pq.TransactionStatus.IDLE
        wire = Wire(connection)
        transaction = PostgresTransaction(wire, self._names, writes=write, joined=True)
        if connection.autocommit and idle:
            if write:
                raise StoreError(
                    "this connection is in autocommit mode and no transaction is open: begin one "
                    "first (connection.transaction(), transaction.atomic() in Django), so that "
                    "your rows and the move commit together"
                )
            wire.send(_BEGIN_READING)
            try:
                yield transaction
            finally:
                _undo(wire)
            return
        place = wire.begin_savepoint(_SAVEPOINT)
        try:
            try:
                yield transaction
                transaction.announce(self._names.channel)
                wire.release_savepoint(_SAVEPOINT, place)
                wire.flush()
            except BaseException:
                wire.undo_to_savepoint(_SAVEPOINT, place)
                raise
        except (
            psycopg.errors.InvalidSavepointSpecification,
            psycopg.errors.NoActiveSqlTransaction,
        ) as error:
            raise StoreError(ENDED) from error
        except psycopg.errors.UndefinedTable as error:
            raise StoreError(
                f"this connection's database has no tables {self._names.tables}*: open the board "
                "on the same database that the connection is on"
            ) from error

    def using(self, connection: Any) -> JoinedPostgresStore:
        """Return the store on yet another connection."""
        return JoinedPostgresStore(connection, self._names)

    def is_transient(self, error: BaseException) -> bool:
        """Whether the caller's whole transaction may succeed when it is tried again."""
        return is_transient(error)

    def may_retry(self, error: BaseException) -> bool:
        """Return ``False``: it is the caller who would have to begin again."""
        return False

    def is_in_trouble(self, error: BaseException) -> bool:
        """Return whether the caller's transaction cannot go on."""
        is_lasting = isinstance(error, StoreError) or is_transient(error)
        return is_lasting or is_of_the_server(error) or not Wire(self._connection).is_usable

    def wait_for_work(self, seconds: float, stop: threading.Event) -> None:
        """Sleep: nobody is told of work before the caller commits."""
        stop.wait(seconds)

    def erase_traces(self) -> None:
        """Do nothing: the caller has not committed yet."""

    def close(self) -> None:
        """Leave the connection alone: it is the caller's."""


def _as_plain(driver: Any) -> PlainConnection:
    """Return a driver's connection as one that plain code uses as psycopg's.

    Raises:
        StoreError: it is of no driver that is known, or has to be awaited and cannot be here.
    """
    if isinstance(driver, psycopg.Connection):
        return driver
    if is_of("psycopg2", driver):
        return OlderConnection(driver)
    if isinstance(driver, psycopg.AsyncConnection) or is_of("asyncpg", driver):
        if not awaits():
            raise StoreError(
                f"a {type(driver).__module__}.{type(driver).__qualname__} has to be awaited, which "
                "a Board does not: open an AsyncBoard"
            )
        if isinstance(driver, psycopg.AsyncConnection):
            from .awaited import AwaitedConnection

            return AwaitedConnection(driver)
        from .asyncpg_driver import AsyncpgConnection

        return AsyncpgConnection(driver)
    raise StoreError(
        "a PostgreSQL board joins a connection of psycopg 3, psycopg2 or asyncpg, of SQLAlchemy or "
        f"Django over it, and not {type(driver).__module__}.{type(driver).__qualname__}"
    )


def is_transient(error: BaseException) -> bool:
    """Whether an error, or what caused it, goes away when the same transaction is tried again.

    So do serialization failures, deadlocks and lost connections.
    """
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, psycopg.Error) and not isinstance(found, _FINAL):
            state = found.sqlstate
            if state is None and isinstance(found, psycopg.OperationalError):
                return True
            if state is not None and (state[:2] in _TRANSIENT_CLASSES or state in _TRANSIENT):
                return True
        found = found.__cause__
    return False


def is_of_the_server(error: BaseException) -> bool:
    """Return whether PostgreSQL says so of itself or of the tables, and not of what was written.

    It is not asked what a hook was told, which may have another database.
    """
    if not isinstance(error, psycopg.Error):
        return isinstance(error.__cause__, PoolTimeout) if type(error) is StoreError else False
    state = error.sqlstate or ""
    return is_transient(error) or state[:2] in SERVERS_CLASSES or state in _SERVERS


def _check_address(dsn: str) -> None:
    """Refuse what libpq cannot read; its own message repeats all of it, the password too."""
    try:
        conninfo_to_dict(dsn)
    except psycopg.Error as error:
        why = str(error).strip().replace(dsn, "…")
        raise StoreError(
            f"the address of this PostgreSQL database cannot be read ({why}): write "
            "postgresql://user:password@host/database, and %-encode what is special in a password"
        ) from None


def describe(dsn: str) -> str:
    """Return where a database is, without the password."""
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.Error:
        return "(an address that libpq does not understand)"
    host = parts.get("host") or parts.get("hostaddr") or "localhost"
    return f"{parts.get('dbname') or parts.get('user') or ''!s} on {host}"


def _undo(wire: Wire) -> None:
    """Roll back what was begun; a connection on which that fails is closed, which does the same."""
    wire.drop()
    connection = wire.connection
    if connection.closed or connection.info.transaction_status == pq.TransactionStatus.IDLE:
        return
    try:
        connection.execute(undoing(connection, b"ROLLBACK"))
    except BaseException as error:
        connection.close()
        if not isinstance(error, psycopg.Error):
            raise


def _switch(text: str) -> bool:
    return {"true": True, "false": False}[text]


_OPTIONS: Final[dict[str, Callable[[str], Any]]] = {
    "schema": str,
    "prefix": str,
    "pool_size": int,
    "pool_timeout": float,
    "listen": _switch,
    "prepare": _switch,
    "create": _switch,
    "partitions": int,
}
_HELP: Final[dict[Any, str]] = {
    int: "write a whole number",
    float: "write a number of seconds",
    _switch: "write true or false",
}


publish("ladderpipe.stores", PostgresStore)
