"""Stores, the registry that resolves their URLs, and what a store of your own is made of.

``PostgresStore`` and ``MariadbStore`` are here too; they need the extras ``postgres`` and
``mariadb``, and so ``import *`` leaves them out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import StoreError
from ..extras import how_to_install
from ..public import publish
from .base import (
    DealChange,
    EffectRow,
    MoveRecord,
    NewEffect,
    NewEvent,
    PipelineRow,
    RemarkCount,
    Store,
    StoredDeal,
    Structure,
    Transaction,
)
from .listing import Changed, Listed, Order, Place, StageSum
from .sqlite.store import SqliteStore

if TYPE_CHECKING:
    from .filters import DealFilter
    from .mariadb.store import MariadbStore as MariadbStore
    from .memory import MemoryStore
    from .postgres.store import PostgresStore as PostgresStore
    from .sealed.ring import KeyRing as KeyRing
    from .sealed.ring import StoreKeyRing as StoreKeyRing
    from .sealed.store import SealedStore as SealedStore
    from .sqlalchemy_url import Engine, RenderedUrl

__all__ = [
    "Changed",
    "DealChange",
    "DealFilter",
    "EffectRow",
    "KeyRing",
    "Listed",
    "MemoryStore",
    "MoveRecord",
    "NewEffect",
    "NewEvent",
    "Order",
    "PipelineRow",
    "Place",
    "RemarkCount",
    "SealedStore",
    "SqliteStore",
    "StageSum",
    "Store",
    "StoreKeyRing",
    "StoredDeal",
    "Structure",
    "Transaction",
    "open_store",
    "register_store",
    "seal",
    "store_of",
]

_openers: dict[str, Callable[[str], Store]] = {}


def register_store(scheme: str, opener: Callable[[str], Store]) -> None:
    """Let ``Board.open`` resolve URLs of this scheme; *opener* is given the whole URL."""
    _openers[scheme] = opener


def open_store(url: str | RenderedUrl, **options: object) -> Store:
    """Open the store that a URL names, for example ``sqlite:///shop.db``.

    SQLAlchemy's URLs are taken too, with a driver in them, ``postgresql+psycopg://…``.

    Args:
        options: what may follow in the URL, for example ``schema="sales"``.

    Raises:
        StoreError: no store answers to its scheme, or it cannot be opened.
    """
    scheme, separator, _ = str(url).partition(":")
    if not isinstance(url, str) or ("+" in scheme and scheme not in _openers):
        from .sqlalchemy_url import plain_url

        url = plain_url(url)
        scheme = url.partition(":")[0]
    if options:
        url = _with_options(url, options)
    if not separator or scheme not in _openers:
        # What follows a colon may be a password.
        shown = f"{scheme}:…" if separator else url
        raise StoreError(
            f"{shown!r} names no store: begin with one of "
            f"{', '.join(f'{known}:' for known in sorted(_openers))}, "
            "for example sqlite:///shop.db"
        )
    return _openers[scheme](url)


def seal(store: Store, keys: KeyRing | str, *, read_only: bool = False) -> Store:
    """Return a store in which personal data is encrypted, around one on a SQL database.

    Args:
        keys: a ring of keys, or the URL of a store for one, in another database.
        read_only: leave a store as it is that is plain.

    Raises:
        StoreError: the store is sealed with another ring, or keeps nothing at rest; or there is no
            package ``cryptography``.
    """
    from .sealed.ring import StoreKeyRing, url_of_ring
    from .sealed.store import SealedStore

    if not isinstance(keys, str):
        return SealedStore(store, keys, read_only=read_only)
    ring = StoreKeyRing(open_store(url_of_ring(keys)))
    try:
        return SealedStore(store, ring, read_only=read_only, owns_keys=True)
    except BaseException:
        ring.close()
        raise


def store_of(engine: Engine, **options: object) -> Store:
    """Open the store on the database of an SQLAlchemy engine, through connections of its own.

    Args:
        engine: an ``Engine`` on a SQLite file or on PostgreSQL.
        options: what may follow in the URL of a store, for example ``schema="sales"``.

    Raises:
        StoreError: the engine cannot connect, has to be awaited, or its database is in memory.
    """
    from .sqlalchemy_url import url_of

    return open_store(url_of(engine), **options)


def _with_options(url: str, options: Mapping[str, object]) -> str:
    from urllib.parse import quote, urlencode

    told = {
        name: str(value).lower() if value is True or value is False else value
        for name, value in options.items()
    }
    return f"{url}{'&' if '?' in url else '?'}{urlencode(told, quote_via=quote)}"


def _open_postgres(url: str) -> Store:
    return _postgres_store().from_url(url)


def _postgres_store() -> type[PostgresStore]:
    try:
        from .postgres.store import PostgresStore
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("psycopg", "psycopg_pool"):
            raise
        raise StoreError(
            f"PostgreSQL needs psycopg 3 and its pool: {how_to_install('postgres')}"
        ) from error
    return PostgresStore


def _open_mariadb(url: str) -> Store:
    return _mariadb_store().from_url(url)


def _mariadb_store() -> type[MariadbStore]:
    try:
        from .mariadb.store import MariadbStore
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pymysql":
            raise
        raise StoreError(f"MariaDB needs PyMySQL: {how_to_install('mariadb')}") from error
    return MariadbStore


def _memory_store() -> type[MemoryStore]:
    from .memory import MemoryStore

    return MemoryStore


def __getattr__(name: str) -> Any:
    if name == "PostgresStore":
        return _postgres_store()
    if name == "MariadbStore":
        return _mariadb_store()
    if name == "MemoryStore":
        return _memory_store()
    if name in ("KeyRing", "StoreKeyRing"):
        from .sealed import ring

        return getattr(ring, name)
    if name == "SealedStore":
        from .sealed.store import SealedStore

        return SealedStore
    if name == "DealFilter":
        from .filters import DealFilter

        return DealFilter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


register_store("postgresql", _open_postgres)
register_store("postgres", _open_postgres)
for _scheme in ("mariadb", "mysql", "mariadb+pymysql", "mysql+pymysql"):
    register_store(_scheme, _open_mariadb)
register_store("sqlite", SqliteStore.from_url)
register_store("memory", lambda url: _memory_store()())

publish(__name__, *(globals()[name] for name in __all__ if name in globals()))
