"""One unit of work on PostgreSQL: the statements, and which rows they lock in which order.

Every write locks the deal's row and reads in a statement of its own after that: at READ COMMITTED
a statement sees what was committed before it began, and not what it waited for. The lock is the
weakest that excludes another writer, so that rows of the caller's own tables may refer to a deal
meanwhile.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

from ..base import (
    EVER,
    DealChange,
    EffectRow,
    KnownEvent,
    NewEvent,
    PipelineRow,
    StoredDeal,
    Structure,
)
from ..sql import SqlTransaction
from ..sql_rows import Row
from .names import Names
from .schema import MIGRATIONS
from .statements import spelled, statements
from .wire import PlainConnection, Wire, for_many

__all__ = ["NOTICE", "SERVERS_CLASSES"]

NOTICE: Final = dt.timedelta(seconds=60)
"""Workers are told of what is due within this time; they look by themselves at least as often."""

SERVERS_CLASSES: Final = ("28", "3D", "53", "57", "58", "XX")
"""Classes of errors that PostgreSQL has with itself, such as a full disk."""


class PostgresTransaction(SqlTransaction):
    """The statements of :mod:`.statements`, run on one connection.

    Attributes:
        brings_work: whether something was written that a sleeping worker should know.
    """

    def __init__(self, wire: Wire, names: Names, *, writes: bool, joined: bool = False) -> None:
        super().__init__(statements(names), None if joined else wire.words)
        self._names = names
        self._wire = wire
        self._writes_rows = writes
        self._joined = joined
        self._depth = 0
        self._swept: list[int] = []
        self._documents: dict[int, str] = {}
        self._locked: str | None = None
        self._server_failed = False
        self.brings_work = False

    @property
    def connection(self) -> PlainConnection:
        """The connection, for the caller's own tables."""
        self._wire.flush()
        return self._wire.connection

    @property
    def is_usable(self) -> bool:
        """Whether nobody has ended it, no statement of it has failed, and the server has not.

        A savepoint takes back what one deal did; a full disk is everybody's.
        """
        return self._wire.is_usable and not self._server_failed

    def check_constraints(self) -> None:
        """Check constraints that are deferred, and defer them again."""
        self._wire.send(b"SET CONSTRAINTS ALL IMMEDIATE")
        self._wire.send(b"SET CONSTRAINTS ALL DEFERRED")
        self._wire.flush()

    def _read(self, statement: bytes, values: Sequence[Any] = ()) -> list[Row]:
        return self._wire.ask(statement, values).fetchall()

    def _spelled(self, text: str) -> bytes:
        return spelled(text, self._names)

    def _write(self, statement: bytes, values: Sequence[Any]) -> int:
        return self._wire.ask(statement, values).rowcount

    def _each(self, statement: bytes, rows: Sequence[Row]) -> None:
        for text, values in self._for_each(statement, rows):
            self._wire.send(text, values)

    def _for_each(
        self, statement: bytes, rows: Sequence[Row]
    ) -> Iterable[tuple[bytes, Sequence[Any]]]:
        if len(rows) > 1:
            return for_many(self._sql.MANY[statement], rows)
        return [(statement, row) for row in rows]

    def _list(self, values: Sequence[Any]) -> list[Any]:
        return list(values)

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what happens in the block when it raises."""
        self._depth += 1
        name = b"ladderpipe_%d" % self._depth
        place = self._wire.begin_savepoint(name)
        try:
            yield
            self._wire.release_savepoint(name, place)
        except BaseException as error:
            if isinstance(error, psycopg.Error):
                self._server_failed |= (error.sqlstate or "").startswith(SERVERS_CLASSES)
            self._documents.clear()
            self._locked = None
            self._forget_new_words()
            self._wire.undo_to_savepoint(name, place)
            raise
        finally:
            self._depth -= 1

    # -- pipelines ----------------------------------------------------------------------------

    def pipeline(self, name: str, change: bool = False) -> PipelineRow | None:
        """Return what is known of a pipeline.

        In a transaction that writes, it stays so until the end: who means to *change* it waits
        for all who rely on it, and they for them.
        """
        if change:
            self._wire.send(self._sql.CHANGE_PIPELINE, (name,))
        elif self._writes_rows:
            self._wire.send(self._sql.SHARE_PIPELINE, (name,))
            if self._joined:
                self._wire.send(self._sql.PIN_PIPELINE_BY_NAME, (name,))
        return self._pipeline(name)

    def share_pipeline(self, pipeline: int) -> None:
        self._wire.send(self._sql.SHARE_PIPELINE_BY_ID, (pipeline,))
        if self._joined:
            self._wire.send(self._sql.PIN_PIPELINE, (pipeline,))

    def save_pipeline(
        self, name: str, fingerprint: str, definition: str, migrating: str | None
    ) -> PipelineRow:
        if not self._write(self._sql.SAVE_DEFINITION, (definition, migrating, name, fingerprint)):
            self._wire.send(self._sql.CHANGE_PIPELINE, (name,))
            self._wire.send(self._sql.SAVE_PIPELINE, (name, fingerprint, definition, migrating))
        self._note_words(definition)
        row = self._pipeline(name)
        assert row is not None
        return row

    def faults(self) -> list[str]:
        """Say nothing: foreign keys are always enforced, and damage is for ``pg_amcheck``."""
        return []

    def structure(self) -> Structure:
        return self._structure([self._names.fill(script).decode() for script in MIGRATIONS])

    def database_now(self) -> dt.datetime:
        """Return the time of the server's clock at this moment, not of the transaction's begin."""
        now: dt.datetime = self._read(self._sql.DATABASE_NOW)[0][0]
        return now

    # -- deals --------------------------------------------------------------------------------

    def load(
        self, pipeline: int, deal: str, create: bool
    ) -> tuple[StoredDeal | None, str | None, str | None]:
        sql = self._sql
        # What was locked with its effect, and its pipeline before, stays as it is.
        locks = self._writes_rows and deal != self._locked
        load = sql.LOAD_LOCKED_DEAL if locks else sql.LOAD_DEAL
        while True:
            if locks:
                self._wire.send(sql.LOCK_DEAL, (pipeline, pipeline, deal))
                if self._joined:
                    self._wire.send(sql.PIN_PIPELINE, (pipeline,))
            ((fingerprint, document, *row),) = self._read(load, (deal, pipeline))
            if row[0] is not None:
                return self._deal(tuple(row)), document, fingerprint
            if not create:
                return None, None, fingerprint
            added = self._read(sql.ADD_DEAL, (pipeline, deal))
            if added:
                return StoredDeal(added[0][0], deal), None, fingerprint

    def load_many(
        self, pipeline: int, deals: Sequence[str]
    ) -> dict[str, tuple[StoredDeal, str | None]]:
        names = list(deals)
        while True:
            self._wire.send(self._sql.ADD_MISSING_DEALS, (names, pipeline, pipeline))
            self._wire.send(self._sql.LOCK_DEALS, (pipeline, names))
            found = self._read(self._sql.LOAD_LOCKED_DEALS)
            # One that was there may have been removed, unused, before it could be locked, and even
            # added again after that.
            if len(found) >= len(names):
                return {row[2]: self._with_document(row) for row in found}

    def load_by_id(self, deal_id: int) -> tuple[StoredDeal, str | None] | None:
        if self._writes_rows:
            self._wire.send(self._sql.LOCK_DEAL_BY_ID, (deal_id,))
        return super().load_by_id(deal_id)

    def due(
        self, pipeline: int, now: dt.datetime, limit: int, latest: dt.datetime = EVER
    ) -> list[StoredDeal]:
        """Return deals with a timer due; to write, those that no other worker is at."""
        deals = super().due(pipeline, now, limit, latest)
        if self._writes_rows:
            self._swept = [deal.id for deal in deals]
        return deals

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

    def document(self, deal_id: int) -> str | None:
        """Return a deal's document; in a sweep, fetch those of its other deals on the way."""
        if deal_id not in self._swept:
            return super().document(deal_id)
        if not self._documents:
            self._documents = dict(self._read(self._sql.DOCUMENTS, (self._swept,)))
        return self._documents.get(deal_id)

    def next_wake(self, pipeline: int, names: Sequence[str]) -> dt.datetime | None:
        wake: dt.datetime | None
        ((wake,),) = self._read(self._sql.NEXT_WAKE, (pipeline, list(names), pipeline, pipeline))
        return wake

    def deals_with_contact(self, pipeline: int, key: str, value: str) -> list[int]:
        values = (pipeline, key, key, value)
        found = self._read(self._sql.EVENTS_WITH_CONTACT, values)
        found += self._read(self._sql.DEALS_WITH_CONTACT, values)
        return sorted({row[0] for row in found})

    # -- events -------------------------------------------------------------------------------

    def add_events(self, pipeline: int, events: Sequence[NewEvent]) -> int:
        # In the order of their identities, so that two batches never wait for each other.
        new = self._without_known(pipeline, events)
        rows = sorted(
            (self._event_values(pipeline, event) for event in new), key=lambda row: row[2:4]
        )
        return sum(
            self._write(statement, values)
            for statement, values in self._for_each(self._sql.ADD_EVENT, rows)
        )

    def known_events(
        self, pipeline: int, identities: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], KnownEvent]:
        values = ([s for s, _ in identities], [id for _, id in identities], pipeline)
        found = self._read(self._sql.KNOWN_EVENTS, values)
        return {(source, id): self._known(tuple(known)) for source, id, *known in found}

    def merge_totals(self) -> None:
        """Leave one row of every total, and none of what has come to nothing."""
        self._wire.send(self._sql.MERGE_TOTALS)

    # -- writing ------------------------------------------------------------------------------

    def save(self, pipeline: int, changes: Sequence[DealChange], now: dt.datetime) -> None:
        super().save(pipeline, changes, now)
        self._swept, self._documents = [], {}
        soon = now + NOTICE
        self.brings_work = self.brings_work or any(_brings_work(c, soon) for c in changes)

    # -- effects ------------------------------------------------------------------------------

    def free_effect(self, pipeline: int, now: dt.datetime, keys: Sequence[str]) -> EffectRow | None:
        """Lock and return the first of these effects that nobody else is at, with its deal."""
        found = self._effects(self._sql.LOCK_FREE_EFFECT, (pipeline, now, list(keys)))
        self._locked = found[0].deal if found else None
        return found[0] if found else None

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
            error = error.encode(errors="replace").decode().replace("\x00", "\ufffd")
        self.brings_work = self.brings_work or state == "pending"
        return super().settle_effect(key, state, ready_at, error, lease)

    def decide_effect(self, key: str, state: str, decisions: str, *told: Any, **named: Any) -> bool:
        self.brings_work = self.brings_work or state == "pending"
        return super().decide_effect(key, state, decisions, *told, **named)

    # -- customers ----------------------------------------------------------------------------

    def lock_customers(self, keys: Sequence[str], wait: bool) -> bool:
        """Lock the customers' keys, which fall into a few locks, so that large batches fit."""
        numbers = sorted({self._names.customer_lock(key) for key in keys})
        if not numbers:
            return True
        if wait:
            self._wire.send(self._sql.LOCK_CUSTOMERS, (numbers,))
            return True
        ((free,),) = self._read(self._sql.TRY_LOCK_CUSTOMERS, (numbers,))
        return bool(free)

    def _unindexed_statement(self) -> Any:
        """To write, take only those that no other worker is at."""
        return self._sql.LOCK_UNINDEXED if self._writes_rows else self._sql.UNINDEXED

    # -- the end ------------------------------------------------------------------------------

    def announce(self, channel: str) -> None:
        """Tell sleeping workers, once all of this is committed, that there is work."""
        if self.brings_work:
            self._wire.send(self._sql.NOTIFY, (channel,))

    @property
    def has_failed(self) -> bool:
        """Whether a statement failed and somebody swallowed the error."""
        status = self._wire.connection.info.transaction_status
        return status == TransactionStatus.INERROR


def _brings_work(change: DealChange, soon: dt.datetime) -> bool:
    due = change.deal.due_at
    return (
        change.revived is not None
        or change.wakes
        or (due is not None and due <= soon)
        or any(e.due_at <= soon and e.state == "pending" for e in change.effects)
    )
