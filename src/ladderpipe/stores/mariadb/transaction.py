"""One unit of work on MariaDB: the statements, and which rows they lock in which order.

Every write locks the pipeline's row, which it shares with others that write, and then the deal's.
Transactions run at READ COMMITTED, where a statement sees what was committed before it began, and
one that locks sees what is there once it has the lock; there are hardly any locks on gaps.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pymysql
from pymysql.constants import FIELD_TYPE
from pymysql.cursors import Cursor

from ...errors import StoreError
from ..base import (
    ENDED,
    EffectRow,
    KnownEvent,
    NewEvent,
    PipelineRow,
    StoredDeal,
    Structure,
    chunks,
)
from ..micros import MicrosTransaction, from_micros, to_micros
from ..sql_rows import Row
from ..words import Words
from . import totals
from .connection import UNDOES_ALL, is_in_transaction
from .schema import CUSTOMER_LOCKS, VERSION, indexes
from .statements import Statement, spelled, statements

__all__: list[str] = []

_DUPLICATE: Final = 1062
_NO_SAVEPOINT: Final = 1305
_EVENTS_AT_ONCE: Final = 60
"""As many warnings are remembered even on a connection of the caller's."""


class MariadbTransaction(MicrosTransaction):
    """The statements of :mod:`.statements`, run on one connection."""

    def __init__(
        self, connection: Any, prefix: str, *, writes: bool, words: Words | None = None
    ) -> None:
        super().__init__(statements(prefix), words)
        self._connection = connection
        self._prefix = prefix
        self._writes_rows = writes
        self._depth = 0
        self._was_undone = False
        self._last: Cursor | None = None
        self._shared: set[int] = set()

    @property
    def connection(self) -> Any:
        """The connection, for the caller's own tables."""
        return self._connection

    @property
    def is_usable(self) -> bool:
        """Whether nobody has ended it, and the server has not undone it."""
        was_undone = self._was_undone or getattr(self._connection, "was_undone", False)
        return not was_undone and is_in_transaction(self._connection)

    def check_constraints(self) -> None:
        """Do nothing: MariaDB checks every constraint at once."""

    def run(self, text: str) -> Cursor:
        """Run a statement as it is."""
        cursor = Cursor(self._connection)
        try:
            cursor.execute(text)
        except pymysql.MySQLError as error:
            self._was_undone = self._was_undone or error.args[:1] in [(n,) for n in UNDOES_ALL]
            raise
        return cursor

    def _read(self, statement: Statement, values: Sequence[Any] = ()) -> list[Row]:
        cursor = self.run(statement.filled(values, self._connection.escape))
        rows = list(cursor.fetchall())
        columns: Sequence[Sequence[Any]] = cursor.description or ()
        names = [n for n, told in enumerate(columns) if told[1] == FIELD_TYPE.VAR_STRING]
        return [_read_names(row, names) for row in rows] if names else rows

    def _spelled(self, text: str) -> Statement:
        return spelled(text, self._prefix)

    def _write(self, statement: Statement, values: Sequence[Any]) -> int:
        return int(self.run(statement.filled(values, self._connection.escape)).rowcount)

    def _each(self, statement: Statement, rows: Sequence[Row]) -> None:
        for text in statement.filled_for(rows, self._connection.escape):
            self._last = self.run(text)

    def _list(self, values: Sequence[Any]) -> list[Any]:
        return list(values)

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what happens in the block when it raises."""
        self._depth += 1
        name = f"ladderpipe_{self._depth}"
        self.run(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            self._forget_new_words()
            if self.is_usable:
                with self._unless_ended():
                    self._undo_to(name)
            raise
        else:
            with self._unless_ended():
                self.run(f"RELEASE SAVEPOINT {name}")
        finally:
            self._depth -= 1

    def _undo_to(self, savepoint: str) -> None:
        """Undo what happened since a savepoint; a connection that is gone has undone all of it."""
        try:
            self.run(f"ROLLBACK TO SAVEPOINT {savepoint}")
            self.run(f"RELEASE SAVEPOINT {savepoint}")
        except pymysql.MySQLError:
            if self._connection.open:
                raise

    @contextlib.contextmanager
    def _unless_ended(self) -> Iterator[None]:
        """Say what it means when a savepoint of ours is not there any more."""
        try:
            yield
        except pymysql.MySQLError as error:
            if error.args[:1] != (_NO_SAVEPOINT,):
                raise
            self._was_undone = True
            raise StoreError(ENDED) from error

    # -- pipelines ----------------------------------------------------------------------------

    def pipeline(self, name: str, change: bool = False) -> PipelineRow | None:
        """Return what is known of a pipeline.

        In a transaction that writes, it stays so until the end: who means to *change* it waits
        for all who rely on it, and they for him.
        """
        if change:
            self._lock_to_change(name)
        elif self._writes_rows:
            self._read(self._sql.SHARE_PIPELINE, (name,))
        return self._pipeline(name)

    def share_pipeline(self, pipeline: int) -> None:
        if pipeline not in self._shared:
            self._read(self._sql.SHARE_PIPELINE_BY_ID, (pipeline,))
            self._shared.add(pipeline)

    def _lock_to_change(self, name: str) -> None:
        if not self._read(self._sql.CHANGE_PIPELINE, (name,)):
            # There is no row to wait at, so those who add one wait at another.
            self._read(self._sql.LOCK_SCHEMA)
            self._read(self._sql.CHANGE_PIPELINE, (name,))

    def save_pipeline(
        self, name: str, fingerprint: str, definition: str, migrating: str | None
    ) -> PipelineRow:
        sql = self._sql
        if not self._write(sql.SAVE_DEFINITION, (definition, migrating, name, fingerprint)):
            self._lock_to_change(name)
            told = (fingerprint, definition, migrating, name)
            if self._pipeline(name) is None:
                self._each(sql.ADD_PIPELINE, [told])
                self._each(sql.ADD_PIPELINE_LOCK, [(name,)])
            else:
                self._each(sql.SAVE_PIPELINE, [told])
        self._note_words(definition)
        row = self._pipeline(name)
        assert row is not None
        return row

    def faults(self) -> list[str]:
        """Say nothing: foreign keys are always enforced, and damage is for ``CHECK TABLE``."""
        return []

    def structure(self) -> Structure:
        return self._structure(indexes(self._prefix), VERSION)

    def database_now(self) -> dt.datetime:
        """Return the time of the server's clock at this moment."""
        return self._from_instant(self._read(self._sql.DATABASE_NOW)[0][0])

    # -- deals --------------------------------------------------------------------------------

    def load(
        self, pipeline: int, deal: str, create: bool
    ) -> tuple[StoredDeal | None, str | None, str | None]:
        if not self._writes_rows:
            ((fingerprint, document, *row),) = self._read(self._sql.LOAD_DEAL, (deal, pipeline))
            return (self._deal(tuple(row)) if row[0] else None), document, fingerprint
        self.share_pipeline(pipeline)
        while True:
            for fingerprint, document, *row in self._read(self._sql.LOCK_DEAL, (deal, pipeline)):
                return self._deal(tuple(row)), document, fingerprint
            if not create:
                ((fingerprint,),) = self._read(self._sql.FINGERPRINT, (pipeline,))
                return None, None, fingerprint
            self._each(self._sql.ADD_DEAL, [(pipeline, deal)])

    def load_many(
        self, pipeline: int, deals: Sequence[str]
    ) -> dict[str, tuple[StoredDeal, str | None]]:
        names = list(deals)
        if not names:
            return {}
        while True:
            known = {row[0] for row in self._read(self._sql.KNOWN_DEALS, (pipeline, names))}
            missing = [(pipeline, name) for name in names if name not in known]
            self._each(self._sql.ADD_DEAL, missing)
            found = self._read(self._sql.LOCK_DEALS, (pipeline, names))
            # One that was there may have been removed, unused, before it could be locked.
            if len(found) >= len(names):
                return {row[2]: self._with_document(row) for row in found}

    def load_by_id(self, deal_id: int) -> tuple[StoredDeal, str | None] | None:
        if not self._writes_rows:
            return super().load_by_id(deal_id)
        rows = self._read(self._sql.LOCK_DEAL_BY_ID, (deal_id,))
        return self._with_document(rows[0]) if rows else None

    def _due_statement(self) -> Any:
        return self._sql.LOCK_DUE_DEALS if self._writes_rows else self._sql.DUE_DEALS

    def _swept_ahead_statement(self) -> Any:
        """To write, take only those that no other worker is at."""
        return self._sql.LOCK_SWEPT_AHEAD if self._writes_rows else self._sql.SWEPT_AHEAD

    def _held_by_key_statement(self) -> Any:
        return self._sql.LOCK_HELD_BY_KEY if self._writes_rows else self._sql.HELD_BY_KEY

    def _chain_statement(self) -> Any:
        return self._sql.LOCK_CHAIN if self._writes_rows else self._sql.CHAIN

    def _free_deals_statement(self) -> Any:
        """To write, take only those that nobody else is at."""
        return self._sql.LOCK_FREE_DEALS if self._writes_rows else self._sql.FREE_DEALS

    def _unindexed_statement(self) -> Any:
        """To write, take only those that no other worker is at."""
        return self._sql.LOCK_UNINDEXED if self._writes_rows else self._sql.UNINDEXED

    def unadopted(
        self, pipeline: int, fingerprint: str, after: int, limit: int
    ) -> list[StoredDeal]:
        sql = self._sql.LOCK_UNADOPTED if self._writes_rows else self._sql.UNADOPTED
        return [self._deal(row) for row in self._read(sql, (pipeline, fingerprint, after, limit))]

    def next_wake(self, pipeline: int, names: Sequence[str]) -> dt.datetime | None:
        found = [
            self._read(self._sql.NEXT_TIMER, (pipeline,))[0][0],
            self._read(self._sql.NEXT_EFFECT, (pipeline, list(names)))[0][0],
            self._read(self._sql.NEXT_HELD, (pipeline,))[0][0],
        ]
        return from_micros(min((micros for micros in found if micros is not None), default=None))

    def deals_with_contact(self, pipeline: int, key: str, value: str) -> list[int]:
        values = (pipeline, f"$.contact.{json.dumps(key, ensure_ascii=False)}", value)
        found = self._read(self._sql.EVENTS_WITH_CONTACT, values)
        found += self._read(self._sql.DEALS_WITH_CONTACT, values)
        return sorted({row[0] for row in found})

    # -- events -------------------------------------------------------------------------------

    def add_events(self, pipeline: int, events: Sequence[NewEvent]) -> int:
        """Store events whose identity is new; return how many were.

        ``INSERT IGNORE`` counts what is new, whatever the connection counts of updates; that it
        takes every other error for a warning too is looked after here.
        """
        # In the order of their identities, so that two batches seldom wait for each other.
        new = self._without_known(pipeline, events)
        rows = sorted(
            (self._event_values(pipeline, event) for event in new), key=lambda row: row[2:4]
        )
        added = 0
        for some in chunks(rows, _EVENTS_AT_ONCE):
            for text in self._sql.ADD_EVENT.filled_for(some, self._connection.escape):
                cursor = self.run(text)
                added += cursor.rowcount
                if cursor.warning_count:
                    self._refuse_warnings()
        return added

    def _refuse_warnings(self) -> None:
        for _, number, message in self.run("SHOW WARNINGS").fetchall():
            if number != _DUPLICATE:
                raise pymysql.DataError(number, message)

    def known_events(
        self, pipeline: int, identities: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], KnownEvent]:
        rows = self._read(self._sql.KNOWN_EVENTS, (list(identities), pipeline))
        return {(source, id): self._known(tuple(row)) for source, id, *row in rows}

    # -- totals -------------------------------------------------------------------------------

    def _count_deals(self, one: Any, many: Any, deals: Sequence[int]) -> None:
        super()._count_deals(one, many, deals)
        if not deals or self._last is None or not self._last.lastrowid:
            return
        step = getattr(self._connection, "step", 1)
        found = totals.due_for_merging(self._last.lastrowid, self._last.rowcount, step)
        if found is not None:
            self.merge_totals(*found)

    def merge_totals(self, since: int = 0, until: int = totals.HIGHEST) -> None:
        """Leave one row of every total, and none of what has come to nothing.

        Args:
            since: only of rows with a number above this one.
            until: and up to this one.
        """
        rows = self._read(self._sql.LOCK_TOTALS, (since, until))
        merged = totals.merged(rows)
        if len(merged) < len(rows):
            self._each(self._sql.REMOVE_TOTALS, [([row[0] for row in rows],)])
            self._each(self._sql.ADD_TOTAL, merged)

    # -- effects ------------------------------------------------------------------------------

    def free_effect(self, pipeline: int, now: dt.datetime, keys: Sequence[str]) -> EffectRow | None:
        """Lock and return the first of these effects that nobody else is at, with its deal.

        One after another: ``LIMIT`` would lock all of them, and return the first.
        """
        micros = to_micros(now)
        for deal, key in self._read(self._sql.FREE_EFFECTS, (pipeline, list(keys), micros)):
            for effect in self._effects(self._sql.LOCK_EFFECT, (deal, key, micros)):
                return effect
        return None

    def settle_effect(
        self,
        key: str,
        state: str,
        ready_at: dt.datetime | None = None,
        error: str | None = None,
        lease: str | None = None,
    ) -> bool:
        if error is not None:
            # What a handler's exception says is not checked by anybody before.
            error = error.encode(errors="replace").decode()
        was_there = super().settle_effect(key, state, ready_at, error, lease)
        return was_there or self._stays(key, lease)

    def decide_effect(
        self,
        key: str,
        state: str,
        decisions: str,
        ready_at: dt.datetime | None = None,
        delayed_until: dt.datetime | None = None,
        address: str | None = None,
        sent_at: dt.datetime | None = None,
        attempts: int | None = None,
        lease: str | None = None,
    ) -> bool:
        told = (ready_at, delayed_until, address, sent_at, attempts, lease)
        return super().decide_effect(key, state, decisions, *told) or self._stays(key, lease)

    def _stays(self, key: str, lease: str | None) -> bool:
        """Return whether an effect was there and nothing of it had to change.

        Not every connection counts that; who has a lease gives it back, which is a change.
        """
        return lease is None and bool(self._read(self._sql.IS_EFFECT, (key,)))

    # -- customers ----------------------------------------------------------------------------

    def lock_customers(self, keys: Sequence[str], wait: bool) -> bool:
        """Lock the customers' keys, which share a few rows."""
        numbers = sorted({_customer_lock(key) for key in keys})
        if not numbers:
            return True
        lock = self._sql.LOCK_CUSTOMERS if wait else self._sql.LOCK_FREE_CUSTOMERS
        return len(self._read(lock, (numbers,))) == len(numbers)


def _read_names(row: Row, places: Sequence[int]) -> Row:
    """Return a row whose names, which are kept as bytes, are text."""
    values = list(row)
    for place in places:
        if isinstance(values[place], bytes):
            values[place] = values[place].decode()
    return tuple(values)


def _customer_lock(key: str) -> int:
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % CUSTOMER_LOCKS
