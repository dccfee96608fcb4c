"""The SQLite store: one file, several threads and processes, no server."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Self

from ..errors import StoreError
from ..events import Event
from . import sqlite_statements as sql
from .base import (
    DealChange,
    DealFilter,
    EffectRow,
    MoveRecord,
    NewEffect,
    NewEvent,
    PipelineRow,
    StoredDeal,
)
from .sqlite_schema import MIGRATIONS

__all__ = ["SqliteStore"]

BUSY_SECONDS: Final = 60.0
CACHE_KIBIBYTES: Final = 8_000
"""Enough for the pages of one batch, which would otherwise be written twice."""
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


# Most instants of a deal are the same few, so that remembering them pays.
_remembering = functools.lru_cache(maxsize=4096)


@_remembering
def to_micros(at: dt.datetime | None) -> int | None:
    """Return microseconds since 1970."""
    if at is None:
        return None
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_micros(micros: int | None) -> dt.datetime | None:
    """Return the instant that :func:`to_micros` wrote."""
    return None if micros is None else _at(micros)


@_remembering
def _at(micros: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(0, 0, micros)


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
            raise StoreError(f"cannot open SQLite database {self.path!r}: {error}") from error

    @classmethod
    def from_url(cls, url: str) -> SqliteStore:
        """Open ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``sqlite://`` (memory).

        ``?synchronous=FULL`` may follow, and ``?create=false`` to refuse a file that is missing
        instead of making it.

        Raises:
            StoreError: the URL is malformed.
        """
        from urllib.parse import unquote

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
        return cls(unquote(path) or ":memory:", create=create == "true", **options)

    @contextlib.contextmanager
    def transaction(self, write: bool = True) -> Iterator[SqliteTransaction]:
        """Begin a unit of work: committed when the block ends, undone when it raises."""
        with self._borrowed() as connection:
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield SqliteTransaction(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def using(self, connection: Any) -> JoinedSqliteStore:
        """Return the store on the caller's own connection, inside its transaction.

        Raises:
            StoreError: it is no connection to this store's file.
        """
        return JoinedSqliteStore(connection, self.path)

    def close(self) -> None:
        """Close every idle connection; those in use close when they are returned."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextlib.contextmanager
    def _borrowed(self) -> Iterator[sqlite3.Connection]:
        if self._in_memory:
            with self._lock:
                yield self._take()
            return
        connection, process = self._take(), os.getpid()
        try:
            yield connection
        finally:
            if process == os.getpid():
                self._give_back(connection)

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
            if not self._closed:
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


_open_stores: weakref.WeakSet[SqliteStore] = weakref.WeakSet()


def _after_fork() -> None:
    for store in list(_open_stores):
        store.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class OwnConnection(sqlite3.Connection):
    """A connection of the store's, on which nobody else ends a transaction.

    Hooks are given it; the habit of committing after an insert would break a move in two.
    """

    def commit(self) -> None:
        """Refuse.

        Raises:
            StoreError: always.
        """
        raise StoreError("the board commits this transaction itself: leave commit() out")

    def rollback(self) -> None:
        """Refuse.

        Raises:
            StoreError: always.
        """
        raise StoreError("the board ends this transaction itself: raise to undo it")

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        """Refuse, since it commits first.

        Raises:
            StoreError: always.
        """
        raise StoreError("executescript() commits first: execute the statements one by one")

    def __enter__(self) -> Self:
        raise StoreError("'with connection' commits, and the board does that: leave it out")


class JoinedSqliteStore:
    """The store on a connection that belongs to the caller: savepoints only, never a commit."""

    def __init__(self, connection: Any, path: str) -> None:
        if not isinstance(connection, sqlite3.Connection):
            raise StoreError(
                f"a SQLite board joins a sqlite3.Connection, not {type(connection).__name__}"
            )
        self._connection = connection
        self._path = path
        cursor = connection.cursor()
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
            StoreError: the connection commits by itself and no transaction was begun.
        """
        connection = self._connection
        if write and not connection.in_transaction:
            if connection.isolation_level is None or getattr(connection, "autocommit", 0) is True:
                raise StoreError(
                    "this connection is in autocommit mode and no transaction is open: "
                    'execute("BEGIN IMMEDIATE") first, so that your rows and the move commit '
                    "together"
                )
            connection.execute("BEGIN IMMEDIATE")
        transaction = SqliteTransaction(connection)
        with transaction.savepoint():
            yield transaction

    def using(self, connection: Any) -> JoinedSqliteStore:
        """Return the store on yet another connection."""
        return JoinedSqliteStore(connection, self._path)

    def close(self) -> None:
        """Leave the connection alone: it is the caller's."""


class SqliteTransaction:
    """The statements of :mod:`.sqlite_statements`, run on one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._execute = connection.execute if connection.row_factory is None else self._plainly
        self._executemany = connection.executemany
        self._depth = 0

    def _plainly(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a statement whose rows come as tuples, whatever the caller made of his own."""
        cursor = self._connection.cursor()
        cursor.row_factory = None
        return cursor.execute(statement, values)

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, for the caller's own tables."""
        return self._connection

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what happens in the block when it raises."""
        self._depth += 1
        name = f"ladderpipe_{self._depth}"
        self._execute(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:
                self._execute(f"ROLLBACK TO {name}")
                self._execute(f"RELEASE {name}")
            raise
        else:
            self._execute(f"RELEASE {name}")
        finally:
            self._depth -= 1

    def pipeline(self, name: str) -> PipelineRow | None:
        row = self._execute(sql.PIPELINE, (name,)).fetchone()
        return None if row is None else PipelineRow(*row)

    def pipelines(self) -> list[PipelineRow]:
        return [PipelineRow(*row) for row in self._execute(sql.PIPELINES)]

    def faults(self) -> list[str]:
        damage = [row[0] for row in self._execute("PRAGMA integrity_check(10)")]
        orphans = [
            f"a row of {table} belongs to a row of {parent} that is not there"
            for table, _, parent, _ in self._execute("PRAGMA foreign_key_check")
            if table.startswith("ladder_")
        ]
        return [text for text in damage if text != "ok"] + orphans[:10]

    def save_pipeline(
        self, name: str, fingerprint: str, definition: str, migrating: str | None
    ) -> PipelineRow:
        self._execute(sql.SAVE_PIPELINE, (name, fingerprint, definition, migrating))
        return PipelineRow(*self._execute(sql.PIPELINE, (name,)).fetchone())

    def load(
        self, pipeline: int, deal: str, create: bool
    ) -> tuple[StoredDeal | None, str | None, str | None]:
        row = self._execute(sql.LOAD_DEAL, (deal, pipeline)).fetchone()
        fingerprint, document, number = row[:3]
        if number is not None:
            return _deal(row[2:]), document, fingerprint
        if not create:
            return None, None, fingerprint
        added = self._execute(sql.ADD_DEAL, (pipeline, deal)).lastrowid
        assert added is not None
        return StoredDeal(added, deal), None, fingerprint

    def load_many(
        self, pipeline: int, deals: Sequence[str]
    ) -> dict[str, tuple[StoredDeal, str | None]]:
        wanted = (json.dumps(list(deals)), pipeline)
        found = self._execute(sql.LOAD_DEALS, wanted).fetchall()
        if len(found) < len(deals):
            known = {row[2] for row in found}
            self._executemany(
                sql.ADD_DEAL, [(pipeline, deal) for deal in deals if deal not in known]
            )
            found = self._execute(sql.LOAD_DEALS, wanted).fetchall()
        return {row[2]: (_deal(row[1:]), row[0]) for row in found}

    def load_by_id(self, deal_id: int) -> tuple[StoredDeal, str | None] | None:
        row = self._execute(sql.LOAD_DEAL_BY_ID, (deal_id,)).fetchone()
        return None if row is None else (_deal(row[1:]), row[0])

    def document(self, deal_id: int) -> str | None:
        row = self._execute(sql.DOCUMENT, (deal_id,)).fetchone()
        return None if row is None else row[0]

    def add_events(self, pipeline: int, events: Sequence[NewEvent]) -> int:
        rows = [
            (pipeline, e[0], e[1], e[2], e[3], to_micros(e[4]), e[5], e[6], e[7], to_micros(e[8]))
            for e in events
        ]
        if len(rows) == 1:
            return self._execute(sql.ADD_EVENT, rows[0]).rowcount
        return self._executemany(sql.ADD_EVENT, rows).rowcount

    def known_events(
        self, pipeline: int, identities: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], str | None]:
        rows = self._execute(sql.KNOWN_EVENTS, (json.dumps(identities), pipeline))
        return {(source, id): digest for source, id, digest in rows}

    def remove_events(self, pipeline: int, identities: Sequence[tuple[str, str]]) -> None:
        self._executemany(sql.REMOVE_EVENT, [(pipeline, *identity) for identity in identities])

    def events(self, deal_id: int) -> list[tuple[Event, dt.datetime]]:
        (deal,) = self._execute("SELECT deal FROM ladder_deals WHERE id = ?", (deal_id,)).fetchone()
        return [
            (
                Event(
                    kind,
                    deal=deal,
                    id=id,
                    at=_at(at),
                    source=source,
                    seq=seq,
                    data=json.loads(data),
                ),
                _at(recorded_at),
            )
            for source, id, kind, at, seq, data, recorded_at in self._execute(
                sql.EVENTS, (deal_id,)
            )
        ]

    def replace_event_data(self, pipeline: int, replacements: Sequence[tuple[Event, str]]) -> None:
        self._executemany(
            sql.REPLACE_EVENT_DATA,
            [(data, pipeline, event.source, event.id) for event, data in replacements],
        )

    def remove_unused_deals(self, deal_ids: Sequence[int]) -> None:
        if deal_ids:
            self._executemany(sql.REMOVE_UNUSED_DEAL, [(deal_id,) for deal_id in deal_ids])

    def remove_deal_events(self, deal_id: int) -> None:
        for statement in sql.REMOVE_DEAL:
            self._execute(statement, (deal_id,))

    def moves(self, deal_id: int) -> list[MoveRecord]:
        return [
            MoveRecord(
                n, key, out_of, into, _at(at), from_micros(left), _at(recorded), rule, source, id
            )
            for n, key, out_of, into, at, left, recorded, rule, source, id in self._execute(
                sql.MOVES, (deal_id,)
            )
        ]

    def rename_stages(self, pipeline: int, deal_id: int, mapping: dict[str, str]) -> None:
        # Old names may also be new ones (a swap), so each goes by way of a name no stage can have.
        for statement in (sql.RENAME_OUT_OF, sql.RENAME_INTO):
            for old in mapping:
                self._execute(statement, (f"->{old}", deal_id, old))
            for old, new in mapping.items():
                self._execute(statement, (new, deal_id, f"->{old}"))

    def save(self, pipeline: int, changes: Sequence[DealChange], now: dt.datetime) -> None:
        recorded_at = to_micros(now)
        if len(changes) == 1:
            for statement, values in _writes(pipeline, changes[0], recorded_at):
                self._execute(statement, values)
            return
        rows: dict[str, list[tuple[Any, ...]]] = {statement: [] for statement in sql.SAVING}
        for change in changes:
            for statement, values in _writes(pipeline, change, recorded_at):
                rows[statement].append(values)
        for statement, found in rows.items():
            if found:
                self._executemany(statement, found)

    def due(self, pipeline: int, now: dt.datetime, limit: int) -> list[StoredDeal]:
        micros = to_micros(now)
        return [_deal(r) for r in self._execute(sql.DUE_DEALS, (pipeline, micros, micros, limit))]

    def next_wake(self, pipeline: int, names: Sequence[str]) -> dt.datetime | None:
        timer = self._execute(sql.NEXT_TIMER, (pipeline,)).fetchone()[0]
        effect = self._execute(sql.NEXT_EFFECT, (pipeline, json.dumps(list(names)))).fetchone()
        found = [micros for micros in (timer, effect and effect[0]) if micros is not None]
        return from_micros(min(found)) if found else None

    def note_failure(self, deal_id: int, failures: int, retry_at: dt.datetime) -> None:
        self._execute(sql.NOTE_FAILURE, (failures, to_micros(retry_at), deal_id))

    def deals(
        self, pipeline: int, wanted: DealFilter, after: int, limit: int
    ) -> list[tuple[StoredDeal, str | None]]:
        where, values = ["+d.pipeline = ?", "d.stage IS NOT NULL", "d.id > ?"], [pipeline, after]
        parameters: list[Any] = list(values)
        if wanted.stages is not None:
            where.append("d.stage IN (SELECT value FROM json_each(?))")
            parameters.append(json.dumps(wanted.stages))
        if wanted.owner is not None:
            where.append("d.owner = ?")
            parameters.append(wanted.owner)
        rows = self._execute(
            f"SELECT c.data, {sql._DEAL} FROM ladder_deals d "
            "LEFT JOIN ladder_documents c ON c.deal = d.id "
            f"WHERE {' AND '.join(where)} ORDER BY d.id LIMIT ?",
            (*parameters, limit),
        )
        return [(_deal(row[1:]), row[0]) for row in rows]

    def every_deal(
        self, pipeline: int, after: int, limit: int
    ) -> list[tuple[StoredDeal, str | None]]:
        rows = self._execute(sql.EVERY_DEAL, (pipeline, after, limit))
        return [(_deal(row[1:]), row[0]) for row in rows]

    def count_deals(self, pipeline: int) -> int:
        count: int = self._execute(sql.COUNT_DEALS, (pipeline,)).fetchone()[0]
        return count

    def unadopted(
        self, pipeline: int, fingerprint: str, after: int, limit: int
    ) -> list[StoredDeal]:
        rows = self._execute(sql.UNADOPTED, (pipeline, fingerprint, after, limit))
        return [_deal(row) for row in rows]

    def stage_counts(self, pipeline: int) -> dict[str, int]:
        return dict(self._execute(sql.STAGE_COUNTS, (pipeline,)).fetchall())

    def totals(self, pipeline: int) -> Iterator[tuple[str, str | None, str]]:
        yield from self._execute(sql.TOTALS, (pipeline,))

    def deals_with_contact(self, pipeline: int, key: str, value: str) -> list[int]:
        found: set[int] = set()
        for statement in (sql.EVENTS_WITH_CONTACT, sql.DEALS_WITH_CONTACT):
            found.update(row[0] for row in self._execute(statement, (pipeline, key, value)))
        return sorted(found)

    def effects(
        self, pipeline: int, deal_id: int | None, states: Sequence[str] | None
    ) -> list[EffectRow]:
        if deal_id is None and states == ("open",):
            return [_effect(row) for row in self._execute(sql.OPEN_TASKS, (pipeline,))]
        if deal_id is None and states == ("dead",):
            return [_effect(row) for row in self._execute(sql.DEAD_LETTERS, (pipeline,))]
        listed = None if states is None else json.dumps(list(states))
        if deal_id is None:
            rows = self._execute(sql.EFFECTS, (pipeline, listed, listed))
        else:
            rows = self._execute(sql.EFFECTS_OF_DEAL, (pipeline, deal_id, listed, listed))
        return [_effect(row) for row in rows]

    def effect(self, pipeline: int, key: str) -> EffectRow | None:
        row = self._execute(sql.EFFECT, (pipeline, key)).fetchone()
        return None if row is None else _effect(row)

    def ready_effects(
        self, pipeline: int, now: dt.datetime, names: Sequence[str], limit: int
    ) -> list[EffectRow]:
        values = (pipeline, to_micros(now), json.dumps(list(names)), limit)
        return [_effect(row) for row in self._execute(sql.READY_EFFECTS, values)]

    def claim_effect(self, key: str, lease: str, until: dt.datetime, attempts: int) -> None:
        self._execute(sql.CLAIM_EFFECT, (lease, to_micros(until), attempts, key))

    def settle_effect(
        self,
        key: str,
        state: str,
        ready_at: dt.datetime | None = None,
        error: str | None = None,
        lease: str | None = None,
    ) -> bool:
        values = (state, to_micros(ready_at), error, key, lease)
        return self._execute(sql.SETTLE_EFFECT, values).rowcount == 1

    def replace_effect_payload(self, key: str, payload: str) -> None:
        self._execute(sql.REPLACE_EFFECT_PAYLOAD, (payload, key))


def refuse_missing(path: str) -> None:
    """Refuse a file that is not there or holds no tables of ours; nothing is written.

    Raises:
        StoreError: it is so.
    """
    if not os.path.exists(path):
        raise StoreError(f"there is no file {path!r}: check the path")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if not _version(connection):
            raise StoreError(
                f"the SQLite database {path!r} has no ladderpipe tables: check the path"
            )


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to the newest version, one numbered step after another.

    Raises:
        StoreError: the file was written by a later version of the library.
    """
    if _version(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("CREATE TABLE IF NOT EXISTS ladder_schema (version INTEGER NOT NULL)")
        version = _version(connection)
        if version > len(MIGRATIONS):
            raise StoreError(
                f"this file has schema version {version} and this ladderpipe knows "
                f"{len(MIGRATIONS)}: install a later ladderpipe"
            )
        for script in MIGRATIONS[version:]:
            for statement in script.split(";\n"):
                if statement.strip():
                    connection.execute(statement)
        connection.execute("DELETE FROM ladder_schema")
        connection.execute("INSERT INTO ladder_schema VALUES (?)", (len(MIGRATIONS),))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    try:
        row = connection.execute("SELECT version FROM ladder_schema").fetchone()
    except sqlite3.OperationalError:
        return 0
    return row[0] if row else 0


_INSTANTS: Final = frozenset(
    index for index, name in enumerate(StoredDeal._fields) if name.endswith("_at")
) | {StoredDeal._fields.index(name) for name in ("horizon", "swept_to", "quiet_to")}


def _deal(row: Sequence[Any]) -> StoredDeal:
    values = list(row)
    for index in _INSTANTS:
        micros = values[index]
        if micros is not None:
            values[index] = _at(micros)
    return StoredDeal._make(values)


def _deal_values(deal: StoredDeal) -> tuple[Any, ...]:
    values: list[Any] = list(deal)
    for index in _INSTANTS:
        at = values[index]
        if at is not None:
            values[index] = to_micros(at)
    return (*values[2:], values[0])


def _writes(
    pipeline: int, change: DealChange, recorded_at: int | None
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield what one decision writes, each statement with its values, in the order of SAVING."""
    deal = change.deal.id
    if change.cut_from is not None:
        yield sql.CUT_MOVES, (deal, change.cut_from)
    if change.reopen is not None:
        yield sql.REOPEN_VISIT, (deal, change.reopen)
    if change.close is not None:
        n, at = change.close
        yield sql.CLOSE_VISIT, (to_micros(at), deal, n)
    yield sql.SAVE_DEAL, _deal_values(change.deal)
    for move in change.moves:
        yield sql.ADD_MOVE, _move_values(deal, move)
    if change.document is not None:
        yield sql.SAVE_DOCUMENT, (deal, change.document)
    for key in change.vanished:
        yield sql.VANISH_VISIT_EFFECTS, (deal, key)
    for key in change.ended:
        yield sql.END_VISIT_EFFECTS, (deal, key)
    if change.revived is not None:
        yield sql.UNDO_LEAVING_EFFECTS, (deal, change.revived)
        yield sql.REVIVE_VISIT_EFFECTS, (deal, change.revived)
    for effect in change.effects:
        yield sql.ADD_EFFECT, (pipeline, deal, recorded_at, *_effect_values(effect))


def _move_values(deal_id: int, move: MoveRecord) -> tuple[Any, ...]:
    n, key, out_of, into, at, left_at, recorded_at, rule, source, id = move
    return (
        deal_id,
        n,
        key,
        out_of,
        into,
        to_micros(at),
        to_micros(left_at),
        to_micros(recorded_at),
        rule,
        source,
        id,
    )


def _effect_values(effect: NewEffect) -> tuple[Any, ...]:
    due_at, expires_at = to_micros(effect.due_at), to_micros(effect.expires_at)
    return (*effect[:7], due_at, expires_at, effect.run_to_completion, effect.owner, due_at)


def _effect(row: Iterable[Any]) -> EffectRow:
    effect = EffectRow._make(row)
    return effect._replace(
        due_at=_at(effect.due_at),
        ready_at=_at(effect.ready_at),
        expires_at=from_micros(effect.expires_at),  # type: ignore[arg-type]
        run_to_completion=bool(effect.run_to_completion),
    )
