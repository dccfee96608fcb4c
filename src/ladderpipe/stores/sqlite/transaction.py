"""One unit of work on SQLite."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from operator import ne
from typing import Any, Final

from ...errors import StoreError
from ..base import (
    ENDED,
    DealChange,
    KnownEvent,
    NewEvent,
    PipelineRow,
    StoredDeal,
    Structure,
)
from ..joined import is_in_transaction
from ..listing import Told, parts_of
from ..micros import MicrosTransaction, from_micros, to_micros
from ..sql_rows import Row
from ..stored_deal import FOUND_BY, VALUE
from ..words import Words
from . import statements as sql
from .connection import OwnConnection
from .schema import SCHEMA, VERSION

__all__: list[str] = []

_PLACES: Final = range(len(StoredDeal._fields))


@functools.lru_cache(maxsize=256)
def _update_of(places: tuple[int, ...], besides: tuple[str, ...]) -> str:
    """Return what writes the fields at these places of a row, and others."""
    return sql.update_deal((*map(StoredDeal._fields.__getitem__, places), *besides))


class SqliteTransaction(MicrosTransaction):
    """The statements of :mod:`.statements`, run on one connection."""

    def __init__(self, connection: sqlite3.Connection, words: Words | None = None) -> None:
        super().__init__(sql, words)
        self._connection = connection
        self._execute: Callable[..., sqlite3.Cursor]
        if connection.row_factory is not None:
            self._execute = self._plainly
        elif isinstance(connection, OwnConnection):
            self._execute = connection.execute_own
        else:
            self._execute = connection.execute
        self._executemany = connection.executemany
        self._depth = 0
        self._has_ended = False

    def _plainly(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a statement whose rows come as tuples, whatever the caller made of his own."""
        cursor = self._connection.cursor()
        cursor.row_factory = None
        return cursor.execute(statement, values)

    def run(self, statement: str) -> None:
        """Run a statement that begins or ends the transaction."""
        self._execute(statement)

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, for the caller's own tables."""
        return self._connection

    @property
    def is_usable(self) -> bool:
        """Whether nobody has ended it."""
        return not self._has_ended and is_in_transaction(self._connection)

    def check_constraints(self) -> None:
        """Do nothing: SQLite looks at deferred foreign keys at the commit, and not before."""

    @contextlib.contextmanager
    def _unless_ended(self) -> Iterator[None]:
        """Say what it means when a savepoint of ours is not there any more."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "no such savepoint" not in str(error):
                raise
            self._has_ended = True
            raise StoreError(ENDED) from error

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what happens in the block when it raises."""
        self._depth += 1
        name = f"ladderpipe_{self._depth}"
        self._execute(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            self._forget_new_words()
            if is_in_transaction(self._connection):
                with self._unless_ended():
                    self._execute(f"ROLLBACK TO {name}")
                    self._execute(f"RELEASE {name}")
            raise
        else:
            with self._unless_ended():
                self._execute(f"RELEASE {name}")
        finally:
            self._depth -= 1

    def _read(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        return self._execute(statement, values).fetchall()

    def _spelled(self, text: str) -> str:
        return text

    def _write(self, statement: str, values: Sequence[Any]) -> int:
        return self._execute(statement, values).rowcount

    def _each(self, statement: str, rows: Sequence[Row]) -> None:
        if len(rows) == 1:
            self._execute(statement, rows[0])
        elif rows:
            self._executemany(statement, rows)

    def _list(self, values: Sequence[Any]) -> str:
        return json.dumps(list(values))

    def _saves_deal(
        self, change: DealChange, told: Told | None, recorded_at: Any
    ) -> tuple[Any, Row]:
        """Return what writes only what has changed of a deal's row.

        SQLite writes an index anew when a statement names one of its columns, whatever it sets.
        """
        before, deal = change.before, change.deal
        if before is None:
            return super()._saves_deal(change, told, recorded_at)
        places = tuple(compress(_PLACES, map(ne, before, deal)))
        values: list[Any] = [
            to_micros(now) if isinstance(now, dt.datetime) else now
            for now in map(deal.__getitem__, places)
        ]
        besides: tuple[str, ...] = ()
        if before.value != deal.value:
            besides = VALUE
            values += parts_of(deal.value)
        if told is not None:
            besides += FOUND_BY
            values += told[2:4]
        return _update_of(places, besides), (*values, recorded_at, deal.id)

    def _remove_empty_totals(self) -> None:
        self._execute(sql.REMOVE_EMPTY_TOTALS)

    def pipeline(self, name: str, change: bool = False) -> PipelineRow | None:
        return self._pipeline(name)

    def faults(self) -> list[str]:
        damage = [row[0] for row in self._execute("PRAGMA integrity_check(10)")]
        orphans = [
            f"a row of {table} belongs to a row of {parent} that is not there"
            for table, _, parent, _ in self._execute("PRAGMA foreign_key_check")
            if table.startswith("ladder_")
        ]
        return [text for text in damage if text != "ok"] + orphans[:10]

    def structure(self) -> Structure:
        return self._structure([SCHEMA], VERSION)

    def database_now(self) -> None:
        """Return ``None``: SQLite runs in this process and by its clock."""

    def save_pipeline(
        self, name: str, fingerprint: str, definition: str, migrating: str | None
    ) -> PipelineRow:
        self._execute(sql.SAVE_PIPELINE, (name, fingerprint, definition, migrating))
        self._note_words(definition)
        return PipelineRow(*self._execute(sql.PIPELINE, (name,)).fetchone())

    def load(
        self, pipeline: int, deal: str, create: bool
    ) -> tuple[StoredDeal | None, str | None, str | None]:
        row = self._execute(sql.LOAD_DEAL, (deal, pipeline)).fetchone()
        fingerprint, document, number = row[:3]
        if number is not None:
            return self._deal(row[2:]), document, fingerprint
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
        return {row[2]: self._with_document(row) for row in found}

    def add_events(self, pipeline: int, events: Sequence[NewEvent]) -> int:
        new = self._without_known(pipeline, events)
        rows = [self._event_values(pipeline, event) for event in new]
        if not rows:
            return 0
        if len(rows) == 1:
            return self._execute(sql.ADD_EVENT, rows[0]).rowcount
        return self._executemany(sql.ADD_EVENT, rows).rowcount

    def known_events(
        self, pipeline: int, identities: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], KnownEvent]:
        rows = self._execute(sql.KNOWN_EVENTS, (json.dumps(identities), pipeline))
        return {(source, id): self._known(row) for source, id, *row in rows.fetchall()}

    def next_wake(self, pipeline: int, names: Sequence[str]) -> dt.datetime | None:
        timer = self._execute(sql.NEXT_TIMER, (pipeline,)).fetchone()[0]
        effect = self._execute(sql.NEXT_EFFECT, (pipeline, json.dumps(list(names)))).fetchone()
        held = self._execute(sql.NEXT_HELD, (pipeline,)).fetchone()[0]
        found = [micros for micros in (timer, effect and effect[0], held) if micros is not None]
        return from_micros(min(found)) if found else None

    def deals_with_contact(self, pipeline: int, key: str, value: str) -> list[int]:
        found: set[int] = set()
        for statement in (sql.EVENTS_WITH_CONTACT, sql.DEALS_WITH_CONTACT):
            found.update(row[0] for row in self._execute(statement, (pipeline, key, value)))
        return sorted(found)
