"""The MariaDB store: where the shop's own tables are, many processes share one truth."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CLIENT

from ...errors import StoreError
from ...public import publish
from ..joined import unwrap
from .connection import LOCK_WAIT, UNDOES_ALL, OwnConnection, Pool, drop, is_in_transaction
from .schema import migrate
from .transaction import MariadbTransaction

__all__ = ["MariadbStore"]

_BEGIN_READING: Final = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
_SNAPSHOT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
_PREFIX: Final = re.compile(r"[a-z_][a-z0-9_]{0,39}", re.ASCII)
_NO_TABLE: Final = 1146

_LOST: Final = (0, 2002, 2003, 2006, 2013, 2014, 2026, 2055)
"""The connection is gone, or was not to be had."""
_TRANSIENT: Final = (
    *UNDOES_ALL,
    LOCK_WAIT,
    *_LOST,
    *(1040, 1203, 1226),  # too many connections
    *(1053, 1080, 1158, 1159, 1160, 1161, 1184, 1927),  # the server or the session ends
)
_SERVERS: Final = (
    *(3, 5, 1005, 1016, 1021, 1026, 1030, 1034, 1037, 1038, 1041, 1114, 1194, 1195),
    *(1044, 1045, 1049, 1142, 1143, 1227, 1290, 1698, 1792, 1836),
    *(1054, _NO_TABLE),
)
"""Nothing can be stored, nothing is allowed, or the tables are not what they were."""


class MariadbStore:
    """Deals in a MariaDB database, version 10.6 or later. MySQL is refused: it was never tried.

    Events of one deal wait for each other on its row, and different deals never do. Workers share
    timers and effects: what one is at, the others skip. Transactions run at READ COMMITTED,
    whatever the server's default; those that only read see one snapshot. Connections are pooled,
    and never carried across a fork.

    Args:
        database: the name of the database that the tables are in.
        host: where the server is.
        port: where it listens.
        user: who connects.
        password: of that user.
        socket: the server's socket, in place of host and port.
        prefix: what the tables' names begin with, so that several stores fit one database.
        pool_size: how many connections this process may hold at once.
        pool_timeout: how long to wait for one of them, and for the server to answer when one is
            opened, in seconds.
        lock_timeout: how many seconds to wait for what another transaction has locked, in place
            of the server's ``innodb_lock_wait_timeout``.
        ssl_ca: a file of certificates, one of which has to have signed the server's.
        create: whether to make the tables when they are missing.

    Raises:
        StoreError: the server cannot be reached, is no MariaDB or older than 10.6, or holds
            tables newer than this version understands.
    """

    def __init__(
        self,
        database: str,
        *,
        host: str = "localhost",
        port: int = 3306,
        user: str | None = None,
        password: str = "",
        socket: str | None = None,
        prefix: str = "ladder_",
        pool_size: int = 10,
        pool_timeout: float = 30.0,
        lock_timeout: int | None = None,
        ssl_ca: str | None = None,
        create: bool = True,
    ) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise StoreError(
                f"prefix={prefix!r}: at most 40 lower-case letters, digits and underscores make a "
                "name here"
            )
        self._prefix = prefix
        self._where = f"MariaDB database {database} on {socket or host}"
        settings: dict[str, Any] = {
            "database": database,
            "user": user,
            "password": password,
            "client_flag": CLIENT.FOUND_ROWS,
            "connect_timeout": max(1, int(pool_timeout)),
            "ssl_ca": ssl_ca,
        }
        if lock_timeout is not None and lock_timeout < 1:
            # With 0, passing over what is locked is an error of the server's.
            raise StoreError(f"lock_timeout={lock_timeout}: give at least 1 second")
        if lock_timeout is not None:
            settings["init_command"] = f"SET SESSION innodb_lock_wait_timeout = {lock_timeout:d}"
        settings |= {"unix_socket": socket} if socket else {"host": host, "port": port}
        self._pool = Pool(settings, pool_size, pool_timeout, self._where)
        try:
            with self._pool.borrowed() as connection:
                migrate(connection, prefix, create)
        except pymysql.MySQLError as error:
            raise StoreError(f"cannot open {self._where}: {error}") from error

    @classmethod
    def from_url(cls, url: str) -> MariadbStore:
        """Open ``mariadb://user:password@host:3306/database``.

        The other options of the constructor may follow, for example ``?socket=/run/mysqld.sock``
        or ``?prefix=sales_&pool_size=20``. SQLAlchemy's ``unix_socket`` and ``charset=utf8mb4``
        are taken too.

        Raises:
            StoreError: the URL is malformed, or see the constructor.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise StoreError(
                f"the address of this MariaDB database cannot be read: {_HOW}"
            ) from error
        database = unquote(parts.path.lstrip("/"))
        if not database or "/" in database:
            raise StoreError(f"the address names no database: {_HOW}")
        options: dict[str, Any] = {}
        for name, text in parse_qsl(parts.query, keep_blank_values=True):
            name = {"unix_socket": "socket"}.get(name, name)
            if (name, text) == ("charset", "utf8mb4"):
                continue
            read = _OPTIONS.get(name)
            if read is None:
                known = ", ".join(sorted(_OPTIONS))
                raise StoreError(f"the URL of a MariaDB store has no option {name!r}: try {known}")
            try:
                options[name] = read(text)
            except (ValueError, KeyError):
                raise StoreError(f"{name}={text} in the URL of a store: {_HELP[read]}") from None
        named: dict[str, Any] = {
            "host": parts.hostname and unquote(parts.hostname),
            "port": port,
            "user": parts.username and unquote(parts.username),
            "password": parts.password and unquote(parts.password),
        }
        return cls(database, **{name: told for name, told in named.items() if told}, **options)

    @contextlib.contextmanager
    def transaction(self, write: bool = True) -> Iterator[MariadbTransaction]:
        """Begin a unit of work: committed when the block ends, undone when it raises.

        When the connection is lost in the middle of the commit, nobody knows whether it was made;
        the error says so, and doing the same again is safe.
        """
        with self._pool.borrowed() as connection:
            connection.was_undone = False
            transaction = MariadbTransaction(
                connection, self._prefix, writes=write, words=connection.words
            )
            try:
                if write:
                    transaction.run("START TRANSACTION")
                else:
                    transaction.run(_SNAPSHOT)
                    transaction.run(_BEGIN_READING)
                yield transaction
                _commit(connection, transaction)
            except BaseException:
                _undo(connection)
                raise

    def using(self, connection: Any) -> JoinedMariadbStore:
        """Return the store on the caller's own connection, inside its transaction."""
        return JoinedMariadbStore(connection, self._prefix)

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
        except (StoreError, pymysql.MySQLError):
            return True
        return False

    def wait_for_work(self, seconds: float, stop: threading.Event) -> None:
        """Sleep so long, or until *stop* is set: MariaDB tells nobody of new work."""
        stop.wait(seconds)

    def erase_traces(self) -> None:
        """Merge what was added to totals; the server's purge removes older versions of rows."""
        with self.transaction(write=True) as transaction:
            transaction.merge_totals()

    def close(self) -> None:
        """Close every idle connection; those in use close when they are returned."""
        self._pool.close()

    def __repr__(self) -> str:
        return f"MariadbStore({self._where}, {self._prefix}*)"


class JoinedMariadbStore:
    """The store on a connection that belongs to the caller: savepoints only, never a commit."""

    def __init__(self, connection: Any, prefix: str) -> None:
        driver = unwrap(connection)
        if not isinstance(driver, Connection):
            raise StoreError(
                "a MariaDB board joins a connection of PyMySQL, or of SQLAlchemy or Django over it "
                "(mysql+pymysql://, pymysql.install_as_MySQLdb()), and not "
                f"{type(driver).__module__}.{type(driver).__qualname__}"
            )
        if driver.charset != "utf8mb4":
            raise StoreError(
                f"this connection's character set is {driver.charset}, which cannot hold every "
                "text: connect with charset='utf8mb4'"
            )
        self._connection = driver
        self._prefix = prefix

    @contextlib.contextmanager
    def transaction(self, write: bool = True) -> Iterator[MariadbTransaction]:
        """Work inside the caller's transaction; it is the caller who commits.

        Raises:
            StoreError: the connection commits by itself and no transaction was begun; or a
                transaction that writes is not at READ COMMITTED, or the server does not check
                what it stores.
        """
        connection = self._connection
        transaction = MariadbTransaction(connection, self._prefix, writes=write)
        if connection.get_autocommit() and not is_in_transaction(connection):
            if write:
                raise StoreError(
                    "this connection is in autocommit mode and no transaction is open: begin one "
                    "first (connection.begin(), transaction.atomic() in Django), so that your rows "
                    "and the move commit together"
                )
            transaction.run(_SNAPSHOT)
            transaction.run(_BEGIN_READING)
            try:
                yield transaction
            finally:
                _undo(connection)
            return
        self._check(transaction, write)
        with transaction.savepoint():
            yield transaction

    def _check(self, transaction: MariadbTransaction, write: bool) -> None:
        """Begin the transaction, if it is to begin with a first statement, and look at it."""
        version = str(getattr(self._connection, "server_version", ""))
        found = re.search(r"(\d+)\.(\d+)\.\d+-MariaDB", version)
        is_new = found is not None and (int(found[1]), int(found[2])) >= (11, 1)
        level = "@@transaction_isolation" if is_new else "@@tx_isolation"
        try:
            ((isolation, mode, _),) = transaction.run(
                f"SELECT {level}, @@sql_mode, (SELECT version FROM {self._prefix}schema)"
            ).fetchall()
        except pymysql.ProgrammingError as error:
            if error.args[:1] != (_NO_TABLE,):
                raise
            raise StoreError(
                f"this connection's database has no tables {self._prefix}*: open the board on the "
                "same database that the connection is on"
            ) from error
        if write and isolation not in ("READ-COMMITTED", "SERIALIZABLE"):
            raise StoreError(
                f"this connection is at {isolation}, where a transaction goes on seeing what was "
                "there when it first read, and not what others have written to a deal since: "
                "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED before it begins "
                "(isolation_level='READ COMMITTED' in SQLAlchemy)"
            )
        if write and not {"STRICT_ALL_TABLES", "STRICT_TRANS_TABLES"} & set(mode.split(",")):
            raise StoreError(
                f"this connection's sql_mode is {mode!r}, in which the server cuts off what does "
                "not fit and says nothing: add STRICT_TRANS_TABLES to it"
            )

    def using(self, connection: Any) -> JoinedMariadbStore:
        """Return the store on yet another connection."""
        return JoinedMariadbStore(connection, self._prefix)

    def is_transient(self, error: BaseException) -> bool:
        """Whether the caller's whole transaction may succeed when it is tried again."""
        return is_transient(error)

    def may_retry(self, error: BaseException) -> bool:
        """Return ``False``: it is the caller who would have to begin again."""
        return False

    def is_in_trouble(self, error: BaseException) -> bool:
        """Return whether the caller's transaction cannot go on."""
        is_lasting = isinstance(error, StoreError) or is_transient(error)
        return is_lasting or is_of_the_server(error) or not is_in_transaction(self._connection)

    def wait_for_work(self, seconds: float, stop: threading.Event) -> None:
        """Sleep so long, or until *stop* is set."""
        stop.wait(seconds)

    def erase_traces(self) -> None:
        """Do nothing: the caller has not committed yet."""

    def close(self) -> None:
        """Leave the connection alone: it is the caller's."""


def _commit(connection: OwnConnection, transaction: MariadbTransaction) -> None:
    if not transaction.is_usable and not connection.is_lost:
        raise StoreError(
            "the server undid this transaction, or a hook ended it, and the hook went on as if "
            "nothing had happened: let what the database raises go through"
        )
    try:
        transaction.run("COMMIT")
    except pymysql.MySQLError as error:
        if connection.is_lost:
            error.add_note(
                "the connection was lost while committing, so this may be stored or not: "
                "do the same again, which changes nothing if it is"
            )
        raise


def _undo(connection: Connection[Any]) -> None:
    """Roll back what was begun; a connection on which that fails is closed, which does the same."""
    if not connection.open:
        return
    try:
        Connection.rollback(connection)
    except BaseException as error:
        drop(connection)
        if not isinstance(error, pymysql.MySQLError | OSError):
            raise


def is_transient(error: BaseException) -> bool:
    """Whether an error, or what caused it, goes away when the same transaction is tried again.

    So do deadlocks, locks that were not to be had in time, and lost connections.
    """
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, pymysql.MySQLError) and found.args[:1] in [(n,) for n in _TRANSIENT]:
            return True
        found = found.__cause__
    return False


def is_of_the_server(error: BaseException) -> bool:
    """Return whether MariaDB says so of itself or of the tables, and not of what was written.

    It is not asked what a hook was told, which may have another database.
    """
    if not isinstance(error, pymysql.MySQLError):
        return False
    return is_transient(error) or error.args[:1] in [(number,) for number in _SERVERS]


def _switch(text: str) -> bool:
    return {"true": True, "false": False}[text]


_HOW: Final = (
    "write mariadb://user:password@host/database, and %-encode what is special in a password"
)
_OPTIONS: Final[dict[str, Callable[[str], Any]]] = {
    "socket": str,
    "prefix": str,
    "pool_size": int,
    "pool_timeout": float,
    "lock_timeout": int,
    "ssl_ca": str,
    "create": _switch,
}
_HELP: Final[dict[Any, str]] = {
    int: "write a whole number",
    float: "write a number of seconds",
    _switch: "write true or false",
}


publish("ladderpipe.stores", MariadbStore)
