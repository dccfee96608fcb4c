"""Addresses as SQLAlchemy has them: URLs with a driver's name in them, and engines.

By the shape of the object, so that SQLAlchemy is not imported. A board has connections of its own:
what it takes of an engine is where the database is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, quote, unquote, urlencode

from ..errors import StoreError

__all__ = ["Engine", "RenderedUrl", "awaited_url_of", "of_pymysql", "plain_url", "url_of"]

_URL: Final = re.compile(
    r"(?P<database>\w+)(?:\+(?P<driver>\w+))?://"
    r"(?:(?P<user>[^:/@]*)(?::(?P<password>[^@]*))?@)?"
    r"(?P<host>[^/?]*)(?:/(?P<name>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_SSL_IS_REQUIRED: Final = 0x800
"""``CLIENT_SSL`` of MySQL's protocol; PyMySQL does not set it where it only prefers encryption."""
_HOST_WITH_PORT: Final = re.compile(r"(?P<host>[A-Za-z0-9.-]*):(?P<port>\d+)")
_OTHER_DRIVERS: Final = ("pg8000", "pysqlcipher")
_OF_A_DRIVER: Final = {
    "sqlite": ("timeout", "check_same_thread", "cached_statements", "isolation_level"),
    "asyncpg": (
        *("timeout", "command_timeout", "prepared_statement_cache_size", "statement_cache_size"),
        *("prepared_statement_name_func", "max_cached_statement_lifetime"),
    ),
}
"""What a URL says to a driver about connections that are not the board's."""


class RenderedUrl(Protocol):
    """An SQLAlchemy ``URL``."""

    def render_as_string(self, hide_password: bool = ...) -> str:
        """Return it as text."""


class Engine(Protocol):
    """An SQLAlchemy ``Engine`` or ``AsyncEngine``."""

    @property
    def url(self) -> Any:
        """Where its database is, as far as its URL says so."""

    def connect(self) -> Any:
        """Return a connection."""


def plain_url(url: str | RenderedUrl) -> str:
    """Return the URL of a store for one of SQLAlchemy's.

    The driver goes, since it is SQLAlchemy's choice and not the board's. What SQLAlchemy takes
    and libpq does not is written in libpq's way: a password with special characters, several
    hosts, asyncpg's ``ssl``.

    Raises:
        StoreError: it is of a driver that has databases of its own, or its password is masked.
    """
    text = url if isinstance(url, str) else url.render_as_string(hide_password=False)
    found = _URL.fullmatch(text)
    if found is None:
        scheme = text.partition(":")[0]
        raise StoreError(f"'{scheme}:…' is no URL: write {scheme}://user:password@host/database")
    if found["driver"] in _OTHER_DRIVERS:
        raise _of_another_driver(found["driver"])
    if found["password"] == "***":
        raise StoreError(
            "the password of this URL is masked, as str(engine.url) shows it: pass engine.url "
            "itself, or engine=engine"
        )
    login = ":".join(
        quote(unquote(each), safe="")
        for each in (found["user"], found["password"])
        if each is not None
    )
    told = parse_qsl(found["query"] or "", keep_blank_values=True)
    kind = found["database"] if found["database"] == "sqlite" else found["driver"]
    theirs = _OF_A_DRIVER.get(kind, ())
    told = [(name, value) for name, value in told if name not in theirs]
    if found["driver"] == "asyncpg":
        told = [("sslmode" if name == "ssl" else name, value) for name, value in told]
    if found["database"] != "sqlite":
        told = _with_hosts_in_one(told)
    query = urlencode(told, quote_via=quote)
    host = f"{login}@{found['host']}" if found["user"] is not None else found["host"]
    name = "" if found["name"] is None else f"/{quote(unquote(found['name']))}"
    return f"{found['database']}://{host}{name}{'?' if query else ''}{query}"


def _with_hosts_in_one(told: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Write ``host=a:1&host=b:2`` as libpq does, ``host=a,b&port=1,2``."""
    hosts = [each for name, value in told if name == "host" for each in value.split(",")]
    apart = [_HOST_WITH_PORT.fullmatch(each) for each in hosts]
    if len(hosts) < 2 and not any(apart):
        return list(told)
    found = [(name, value) for name, value in told if name != "host"]
    ports = [each["port"] if each else "" for each in apart]
    names = [each["host"] if each else host for each, host in zip(apart, hosts, strict=True)]
    found.append(("host", ",".join(names)))
    return [*found, ("port", ",".join(ports))] if any(ports) else found


def url_of(engine: Engine) -> str:
    """Return the URL of the store on an engine's database, whatever the engine connects by.

    A connection is asked, since an engine may be told by ``creator`` or ``connect_args``.

    Raises:
        StoreError: it is no engine, it cannot connect, or nobody else can open its database.
    """
    if not callable(getattr(engine, "raw_connection", None)):
        raise StoreError(
            f"engine={engine!r} is no engine of SQLAlchemy's: pass what create_engine() returned"
        )
    if hasattr(engine, "sync_engine"):
        raise StoreError("this engine has to be awaited: await AsyncBoard.open(…, engine=engine)")
    with _connected(engine) as connection:
        return _url_on(connection)


async def awaited_url_of(engine: Engine) -> str:
    """Do the same with an ``AsyncEngine``."""
    try:
        async with engine.connect() as connection:
            url: str = await connection.run_sync(_url_on)
            return url
    except StoreError:
        raise
    except Exception as error:
        raise _cannot_connect(engine, error) from error


def _connected(engine: Engine) -> Any:
    try:
        return engine.connect()
    except Exception as error:
        raise _cannot_connect(engine, error) from error


def _cannot_connect(engine: Engine, error: Exception) -> StoreError:
    return StoreError(f"cannot connect with {engine!r}: {getattr(error, 'orig', error)}")


def _url_on(connection: Any) -> str:
    dialect = connection.dialect
    if dialect.name == "sqlite":
        path = connection.exec_driver_sql("PRAGMA database_list").fetchone()[2]
        if not path:
            raise StoreError(
                "this engine's database is in memory, where the board's own connections cannot "
                "see it: give the engine a file, for a test one in a temporary folder"
            )
        return f"sqlite:///{quote(path)}"
    driver = connection.connection.driver_connection
    if hasattr(driver, "unix_socket"):
        return of_pymysql(driver)
    info = getattr(driver, "info", None)
    if dialect.name != "postgresql" or info is None:
        return _as_told(connection.engine.url)
    return f"postgresql://?{urlencode(_parameters(info), quote_via=quote)}"


def of_pymysql(driver: Any) -> str:
    """Return where a connection of PyMySQL is.

    Raises:
        StoreError: it has to be encrypted, which the URL cannot say for it.
    """
    if driver.client_flag & _SSL_IS_REQUIRED:
        # The board would speak in clear where the engine refuses to.
        raise StoreError(
            "this engine's connection has to be encrypted, and PyMySQL does not say by whose "
            "certificate: give the board a URL with ?ssl_ca=FILE"
        )
    login, database = (
        ":".join(_quoted(each) for each in told if each)
        for told in ((driver.user, driver.password), (driver.db,))
    )
    if driver.unix_socket:
        return f"mariadb://{login}@/{database}?socket={_quoted(driver.unix_socket)}"
    return f"mariadb://{login}@{_quoted(driver.host)}:{driver.port}/{database}"


def _quoted(told: str | bytes) -> str:
    return quote(told, safe="")


def _as_told(url: Any) -> str:
    """Return where an engine's URL says it is: some drivers do not tell where they connected."""
    if not (url.host or url.query.get("host")):
        raise StoreError(
            f"this engine is told by something else than its URL where its database is, and "
            f"{url.get_driver_name()} does not say: give the board a URL"
        )
    return plain_url(url)


def _parameters(info: Any) -> dict[str, str]:
    """Return what libpq connected by, from what psycopg 3 or psycopg2 knows of a connection."""
    if hasattr(info, "get_parameters"):
        found = dict(info.get_parameters())
    else:
        wanted = (
            *("host", "hostaddr", "port", "dbname", "user", "options", "service"),
            *("channel_binding", "gssencmode", "target_session_attrs"),
        )
        known = info.dsn_parameters
        found = {name: known[name] for name in known if name in wanted or name.startswith("ssl")}
    if info.password:
        found["password"] = info.password
    return found


def _of_another_driver(driver: str) -> StoreError:
    return StoreError(
        f"a board does not speak through {driver}: it uses psycopg 3 on PostgreSQL, PyMySQL on "
        "MariaDB and Python's sqlite3. Where the database is the same, give the board a URL "
        "without a driver, postgresql://user:password@host/database"
    )
