"""The in-memory store: for tests and trying things out, kept honest by the same tests as SQLite.

Every value in it is immutable and every write notes how to undo itself, so a transaction that
fails leaves nothing behind and no reader is handed a live object.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Final, TypeVar

from ..errors import StoreError
from ..model.event import Event, stored_event
from ..public import publish
from .base import (
    ALL,
    ASIDE,
    CROWD,
    EVER,
    FAILED,
    FROM_THE_FIRST,
    Checkpoint,
    CustomerDeal,
    DealChange,
    EffectRow,
    HeldRow,
    KnownEvent,
    MoveRecord,
    NewEffect,
    NewEvent,
    PipelineRow,
    RemarkCount,
    StoredDeal,
    Subscription,
)
from .chain import REMOVED
from .filters import DealFilter, TaskFilter
from .listing import told_of
from .memory_chain import MemoryChains
from .memory_tables import Tables

__all__ = ["MemoryStore"]

Key = TypeVar("Key")
Value = TypeVar("Value")

_GONE: Final = object()
_UNSETTLED: Final = ("pending", "open", "waiting")


class MemoryStore:
    """Deals in this process's memory. One transaction at a time; gone when it is closed."""

    def __init__(self) -> None:
        self._tables = Tables()
        self._lock = threading.RLock()

    def dump(self) -> dict[str, Any]:
        """Return all that it holds as JSON values, for :meth:`load`."""
        with self._lock:
            return self._tables.to_json()

    @classmethod
    def load(cls, told: Mapping[str, Any]) -> MemoryStore:
        """Return a store that holds what :meth:`dump` wrote, as it was.

        Raises:
            StoreError: it did not write this.
        """
        store = cls()
        store._tables = Tables.from_json(told)
        return store

    @contextlib.contextmanager
    def transaction(self, write: bool = True) -> Iterator[MemoryTransaction]:
        """Begin a unit of work: kept when the block ends, undone when it raises."""
        with self._lock:
            transaction = MemoryTransaction(self._tables)
            with transaction.savepoint():
                yield transaction

    def is_transient(self, error: BaseException) -> bool:
        """Return ``False``: one transaction at a time cannot get in the way of another."""
        return False

    def may_retry(self, error: BaseException) -> bool:
        """Return ``False``, as nothing is transient."""
        return False

    def is_in_trouble(self, error: BaseException) -> bool:
        """Return ``False``: memory is always there."""
        return False

    def wait_for_work(self, seconds: float, stop: threading.Event) -> None:
        """Sleep so long, or until *stop* is set."""
        stop.wait(seconds)

    def using(self, connection: Any) -> MemoryStore:
        """Refuse: memory has no connection to share.

        Raises:
            StoreError: always.
        """
        raise StoreError("a board in memory has no connection to join: open it on a database")

    def erase_traces(self) -> None:
        """Do nothing: what was removed is gone."""

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._tables = Tables()

    def __repr__(self) -> str:
        return f"MemoryStore({len(self._tables.deals)} deals)"


class MemoryTransaction(MemoryChains):
    """One unit of work on the tables."""

    connection = None
    is_usable = True

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._undo: list[tuple[MutableMapping[Any, Any], Any, Any]] = []

    def check_constraints(self) -> None:
        """Do nothing: all is checked at once."""

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what happens in the block when it raises."""
        mark = len(self._undo)
        try:
            yield
        except BaseException:
            while len(self._undo) > mark:
                table, key, before = self._undo.pop()
                if before is _GONE:
                    table.pop(key, None)
                else:
                    table[key] = before
            raise

    def _put(self, table: MutableMapping[Key, Value], key: Key, value: Value) -> None:
        self._undo.append((table, key, table.get(key, _GONE)))
        table[key] = value

    def _drop(self, table: MutableMapping[Key, Value], key: Key) -> None:
        if key in table:
            self._undo.append((table, key, table.pop(key)))

    def pipeline(self, name: str, change: bool = False) -> PipelineRow | None:
        return self._tables.pipelines.get(name)

    def share_pipeline(self, pipeline: int) -> None:
        """Do nothing: who may write is alone anyway."""

    def pipelines(self) -> list[PipelineRow]:
        return list(self._tables.pipelines.values())

    def faults(self) -> list[str]:
        return []

    def structure(self) -> None:
        return None

    def database_now(self) -> None:
        return None

    def save_pipeline(
        self, name: str, fingerprint: str, definition: str, migrating: str | None
    ) -> PipelineRow:
        known = self._tables.pipelines.get(name)
        number = known.id if known else len(self._tables.pipelines) + 1
        row = PipelineRow(number, name, fingerprint, definition, migrating)
        self._put(self._tables.pipelines, name, row)
        return row

    def load(
        self, pipeline: int, deal: str, create: bool
    ) -> tuple[StoredDeal | None, str | None, str | None]:
        row = next(p for p in self._tables.pipelines.values() if p.id == pipeline)
        fingerprint = None if row.migrating is not None else row.fingerprint
        if (pipeline, deal) not in self._tables.deal_ids and not create:
            return None, None, fingerprint
        stored, document = self.load_many(pipeline, [deal])[deal]
        return stored, document, fingerprint

    def load_many(
        self, pipeline: int, deals: Sequence[str]
    ) -> dict[str, tuple[StoredDeal, str | None]]:
        found = {}
        for deal in deals:
            deal_id = self._tables.deal_ids.get((pipeline, deal))
            if deal_id is None:
                deal_id = self._tables.next_id
                self._tables.next_id += 1
                self._put(self._tables.deal_ids, (pipeline, deal), deal_id)
                self._put(self._tables.deals, deal_id, (pipeline, StoredDeal(deal_id, deal)))
            found[deal] = (self._tables.deals[deal_id][1], self._tables.documents.get(deal_id))
        return found

    def load_by_id(self, deal_id: int) -> tuple[StoredDeal, str | None] | None:
        found = self._tables.deals.get(deal_id)
        return None if found is None else (found[1], self._tables.documents.get(deal_id))

    def document(self, deal_id: int) -> str | None:
        return self._tables.documents.get(deal_id)

    def add_events(self, pipeline: int, events: Sequence[NewEvent]) -> int:
        added = 0
        for event in events:
            key = (pipeline, event.source, event.id)
            if key in self._tables.events:
                continue
            self._put(self._tables.events, key, event)
            of_deal = self._tables.events_of.get(event.deal_id, ())
            self._put(self._tables.events_of, event.deal_id, (*of_deal, key))
            added += 1
        return added

    def known_events(
        self, pipeline: int, identities: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], KnownEvent]:
        found: dict[tuple[str, str], KnownEvent] = {}
        for source, id in identities:
            event = self._tables.events.get((pipeline, source, id))
            if event is not None:
                found[(source, id)] = KnownEvent(
                    event.deal_id, event.type, event.at, event.seq, event.digest
                )
        return found

    def remove_events(self, pipeline: int, identities: Sequence[tuple[str, str]]) -> None:
        for source, id in identities:
            key = (pipeline, source, id)
            deal_id = self._tables.events[key].deal_id
            self._drop(self._tables.events, key)
            self._drop(self._tables.remarks, key)
            rest = tuple(k for k in self._tables.events_of[deal_id] if k != key)
            self._put(self._tables.events_of, deal_id, rest)

    def events(
        self, deal_id: int, after: dt.datetime | None = None, until: dt.datetime = EVER
    ) -> list[tuple[Event, dt.datetime]]:
        deal = self._tables.deals[deal_id][1].deal
        stored = [self._tables.events[key] for key in self._tables.events_of.get(deal_id, ())]
        return [
            (
                stored_event(
                    event.type,
                    deal,
                    event.id,
                    event.at,
                    event.source,
                    event.seq,
                    json.loads(event.data),
                ),
                event.recorded_at,
            )
            for event in sorted(stored, key=lambda event: event.at)
            if (after is None or event.at > after) and event.at <= until
        ]

    def events_of(self, deal_ids: Sequence[int]) -> dict[int, list[tuple[Event, dt.datetime]]]:
        return {id: found for id in deal_ids if (found := self.events(id))}

    def replace_event_data(self, pipeline: int, replacements: Sequence[tuple[Event, str]]) -> None:
        for event, data in replacements:
            key = (pipeline, event.source, event.id)
            known = self._tables.events[key]
            self._put(self._tables.events, key, known._replace(data=data, digest=None))

    def remove_unused_deals(self, deal_ids: Sequence[int]) -> None:
        for deal_id in deal_ids:
            pipeline, deal = self._tables.deals[deal_id]
            used = self._tables.events_of.get(deal_id) or deal.definition is not None
            if not used and deal.removed_at is None:
                self._drop(self._tables.deals, deal_id)
                self._drop(self._tables.deal_ids, (pipeline, deal.deal))
                self._drop(self._tables.events_of, deal_id)

    def remove_deal_events(self, deal_id: int) -> None:
        self.retire_leaves(deal_id, REMOVED)
        for key in self._tables.events_of.get(deal_id, ()):
            self._drop(self._tables.events, key)
            self._drop(self._tables.remarks, key)
        self._drop(self._tables.events_of, deal_id)
        self._drop(self._tables.moves, deal_id)
        self._drop(self._tables.checkpoints, deal_id)
        self._drop(self._tables.documents, deal_id)
        self._drop(self._tables.told, deal_id)
        self._set_customer(deal_id, ())
        for effect in [e for _, e in self._tables.effects.values() if e.deal_id == deal_id]:
            self._drop(self._tables.effects, effect.key)

    def checkpoint(self, deal_id: int, before: dt.datetime) -> Checkpoint | None:
        found = [point for point in self.checkpoints(deal_id) if point.at < before]
        return found[-1] if found else None

    def checkpoints(
        self, deal_id: int, since: dt.datetime | None = None, limit: int = ALL
    ) -> list[Checkpoint]:
        found = self._tables.checkpoints.get(deal_id, ())
        return [point for point in found if since is None or point.at >= since][:limit]

    def needs_checkpoint(self, deal_id: int, at: dt.datetime, every: int) -> bool:
        points = self.checkpoints(deal_id)
        last = points[-1].at if points else FROM_THE_FIRST[0]
        events = (self._tables.events[key] for key in self._tables.events_of.get(deal_id, ()))
        return sum(last < event.at <= at for event in events) >= every

    def hold(self, pipeline: int, row: HeldRow) -> None:
        known = self._tables.held.get((pipeline, row.key))
        if known is not None:
            row = known._replace(told=known.told + 1, reason=row.reason)
        self._put(self._tables.held, (pipeline, row.key), row)

    def held(
        self,
        pipeline: int,
        deal: str | None = None,
        *,
        after: str = "",
        limit: int = 500,
        discarded: bool = False,
    ) -> list[HeldRow]:
        found = [
            row
            for row in self._held_of(pipeline)
            if row.key > after
            and (row.discarded_at is not None) is discarded
            and deal in (None, row.deal)
        ]
        return sorted(found)[:limit]

    def held_among(self, pipeline: int, deals: Sequence[str]) -> set[str]:
        held = {row.deal for row in self._held_of(pipeline) if row.discarded_at is None}
        return held.intersection(deals)

    def held_of_deals(self, pipeline: int, wanted: DealFilter, limit: int) -> list[HeldRow]:
        deals = {deal.deal for deal in self._matching(pipeline, wanted)}
        rows = (row for row in self._held_of(pipeline) if row.discarded_at is None)
        found = sorted((row.since, row.key, row) for row in rows if row.deal in deals)
        return [row for _, _, row in found[:limit]]

    def held_by_key(self, pipeline: int, key: str) -> HeldRow | None:
        return self._tables.held.get((pipeline, key))

    def held_due(
        self, pipeline: int, now: dt.datetime, limit: int, latest: dt.datetime = EVER
    ) -> list[HeldRow]:
        due = [(row.retry_at, row) for row in self._held_of(pipeline) if row.retry_at is not None]
        found = [row for at, row in sorted(due) if at <= now or _failed_beyond(row, latest)]
        return found[:limit]

    def count_held(self, pipeline: int) -> dict[str, tuple[int, dt.datetime]]:
        found: dict[str, tuple[int, dt.datetime]] = {}
        for row in self._held_of(pipeline):
            if row.discarded_at is None:
                count, since = found.get(row.kind, (0, row.since))
                found[row.kind] = (count + 1, min(since, row.since))
        return found

    def count_undeclared(self, pipeline: int) -> dict[str, int]:
        events = self._tables.events.items()
        return dict(Counter(e.type for (of, _, _), e in events if of == pipeline and e.undeclared))

    def remarks(
        self, deal_id: int, between: tuple[dt.datetime, dt.datetime] | None = None
    ) -> dict[tuple[str, str], str]:
        since, until = between or (FROM_THE_FIRST[0], EVER)
        found = self._tables.remarks
        return {
            key[1:]: found[key]
            for key in self._tables.events_of.get(deal_id, ())
            if key in found and since <= self._tables.events[key].at <= until
        }

    def count_remarks(self, pipeline: int, since: dt.datetime) -> dict[str, RemarkCount]:
        told: dict[str, list[NewEvent]] = defaultdict(list)
        for key, remark in self._tables.remarks.items():
            if key[0] == pipeline:
                told[remark].append(self._tables.events[key])
        found = {}
        for remark, events in told.items():
            last = max(events, key=lambda event: event.recorded_at)
            deal = self._tables.deals[last.deal_id][1].deal
            lately = sum(event.recorded_at >= since for event in events)
            found[remark] = RemarkCount(len(events), lately, deal)
        return found

    def replace_held(self, pipeline: int, row: HeldRow) -> None:
        self._put(self._tables.held, (pipeline, row.key), row)

    def note_held_customer(self, pipeline: int, held: str, keys: Sequence[str]) -> None:
        self._put(self._tables.held_customers, (pipeline, held), tuple(keys))

    def held_of_customer(self, pipeline: int, keys: Sequence[str]) -> list[HeldRow]:
        wanted = set(keys)
        return [
            row
            for (of_pipeline, held), found in self._tables.held_customers.items()
            if of_pipeline == pipeline and wanted.intersection(found)
            for row in (self._tables.held.get((pipeline, held)),)
            if row is not None and row.discarded_at is None
        ]

    def remove_held(self, pipeline: int, key: str) -> None:
        self._drop(self._tables.held_customers, (pipeline, key))
        self._drop(self._tables.held, (pipeline, key))

    def _held_of(self, pipeline: int) -> list[HeldRow]:
        return [row for (number, _), row in self._tables.held.items() if number == pipeline]

    def moves(self, deal_id: int, after: int = 0, until: int = ALL) -> list[MoveRecord]:
        return [move for move in self._tables.moves.get(deal_id, ()) if after < move.n <= until]

    def moves_of(self, deal_ids: Sequence[int]) -> dict[int, list[MoveRecord]]:
        return {id: found for id in deal_ids if (found := self.moves(id))}

    def rename_stages(self, pipeline: int, deal_id: int, mapping: dict[str, str]) -> None:
        renamed = tuple(
            move._replace(
                out_of=mapping.get(move.out_of, move.out_of) if move.out_of else None,
                into=mapping.get(move.into, move.into),
            )
            for move in self.moves(deal_id)
        )
        self._put(self._tables.moves, deal_id, renamed)

    def save(self, pipeline: int, changes: Sequence[DealChange], now: dt.datetime) -> None:
        for change in changes:
            self._save_moves(change)
            self._put(self._tables.deals, change.deal.id, (pipeline, change.deal))
            if change.document is not None:
                self._put(self._tables.documents, change.deal.id, change.document)
                told = told_of(change.deal.deal, change.deal.value, change.document)
                self._put(self._tables.told, change.deal.id, told)
            for identity, remark in change.remarks.items():
                if remark is None:
                    self._drop(self._tables.remarks, (pipeline, *identity))
                else:
                    self._put(self._tables.remarks, (pipeline, *identity), remark)
            self._put(self._tables.touched, change.deal.id, now)
            self._save_effects(pipeline, change, now)
            if change.customer is not None:
                self._set_customer(change.deal.id, change.customer)
            if change.asked_anew:
                since, until = change.asked_between or (FROM_THE_FIRST[0], EVER)
                for row in self.held(pipeline, change.deal.deal):
                    if row.kind == ASIDE and since <= row.at <= until:
                        self.remove_held(pipeline, row.key)
            for row in change.aside:
                self.hold(pipeline, row)
            if change.cut_checkpoints is not None or change.checkpoints:
                self._save_checkpoints(change)

    def _save_moves(self, change: DealChange) -> None:
        deal_id = change.deal.id
        moves = list(self._tables.moves.get(deal_id, ()))
        if change.cut_from is not None:
            moves = [move for move in moves if move.n < change.cut_from]
        moves.extend(change.moves)
        numbers = [move.n for move in moves]
        if numbers != sorted(set(numbers)):
            raise StoreError(f"deal {change.deal.deal!r} would be in two stages at once")
        self._put(self._tables.moves, deal_id, tuple(moves))

    def _save_checkpoints(self, change: DealChange) -> None:
        end = change.cut_checkpoints or EVER
        kept = [point for point in self.checkpoints(change.deal.id) if point.at < end]
        found = tuple(sorted((*kept, *change.checkpoints)))
        self._put(self._tables.checkpoints, change.deal.id, found)

    def _save_effects(self, pipeline: int, change: DealChange, now: dt.datetime) -> None:
        deal_id = change.deal.id
        for key in change.vanished:
            self._cancel(deal_id, key, ("into", "out_of"), keep_running=False)
        for key in change.ended:
            self._cancel(deal_id, key, ("into", "out_of"), keep_running=True)
        if change.revived is not None:
            self._cancel(deal_id, change.revived, ("out_of",), keep_running=False)
            for effect in self._of_visit(deal_id, change.revived):
                if effect.phase == "into" and effect.state == "cancelled":
                    state = "open" if effect.name == "task" else "pending"
                    self._replace(effect.key, state=state)
        for new in change.effects:
            self._add_effect(pipeline, change.deal, new)
        if change.wakes:
            for _, effect in list(self._tables.effects.values()):
                if effect.deal_id == deal_id and effect.state == "waiting":
                    self._replace(effect.key, state="pending", ready_at=now)

    def _add_effect(self, pipeline: int, deal: StoredDeal, new: NewEffect) -> None:
        known = self._tables.effects.get(new.key)
        if known is None:
            row = EffectRow(
                key=new.key,
                deal_id=deal.id,
                deal=deal.deal,
                visit_key=new.visit_key,
                phase=new.phase,
                name=new.name,
                payload=new.payload,
                state=new.state,
                due_at=new.due_at,
                ready_at=new.ready_at,
                expires_at=new.expires_at,
                run_to_completion=new.run_to_completion,
                attempts=0,
                lease=None,
                error=None,
                owner=new.owner,
                purpose=new.purpose,
                channel=new.channel,
            )
            self._put(self._tables.effects, new.key, (pipeline, row))
        elif known[1].state == "cancelled":
            self._replace(
                new.key,
                state=new.state,
                payload=new.payload,
                due_at=new.due_at,
                ready_at=new.ready_at,
                expires_at=new.expires_at,
                purpose=new.purpose,
                channel=new.channel,
                owner=new.owner,
                delayed_until=None,
            )

    def _cancel(
        self, deal_id: int, visit_key: str, phases: tuple[str, ...], keep_running: bool
    ) -> None:
        for effect in self._of_visit(deal_id, visit_key):
            spared = keep_running and effect.run_to_completion
            if effect.phase in phases and effect.state in _UNSETTLED and not spared:
                self._replace(effect.key, state="cancelled", lease=None)

    def _of_visit(self, deal_id: int, visit_key: str) -> list[EffectRow]:
        return [
            effect
            for _, effect in self._tables.effects.values()
            if effect.deal_id == deal_id and effect.visit_key == visit_key
        ]

    def _replace(self, key: str, **fields: Any) -> None:
        pipeline, effect = self._tables.effects[key]
        self._put(self._tables.effects, key, (pipeline, effect._replace(**fields)))

    def due(
        self, pipeline: int, now: dt.datetime, limit: int, latest: dt.datetime = EVER
    ) -> list[StoredDeal]:
        found = [
            deal
            for deal in self._deals_of(pipeline)
            if deal.due_at is not None
            and deal.due_at <= now
            and not _is_put_off(deal.retry_at, now, latest)
        ]
        found.sort(key=lambda deal: deal.due_at or now)
        return found[:limit]

    def swept_ahead(
        self,
        pipeline: int,
        now: dt.datetime,
        limit: int,
        since: dt.datetime | None = None,
        retry_by: dt.datetime = EVER,
        latest: dt.datetime = EVER,
    ) -> list[StoredDeal]:
        found = [
            (deal.swept_to, deal.id, deal)
            for deal in self._deals_of(pipeline)
            if deal.swept_to is not None
            and deal.swept_to > now
            and deal.horizon is not None
            and (since is None or deal.horizon > since)
            and not _is_put_off(deal.retry_at, retry_by, latest)
        ]
        return [deal for _, _, deal in sorted(found)[:limit]]

    def next_wake(self, pipeline: int, names: Sequence[str]) -> dt.datetime | None:
        instants = [
            max(deal.due_at, deal.retry_at or deal.due_at)
            for deal in self._deals_of(pipeline)
            if deal.due_at is not None
        ]
        instants += [
            effect.ready_at
            for effect in self._effects_of(pipeline)
            if effect.state in ("pending", "claimed") and effect.name in names
        ]
        instants += [row.retry_at for row in self._held_of(pipeline) if row.retry_at is not None]
        return min(instants, default=None)

    def note_failure(self, deal_id: int, failures: int, retry_at: dt.datetime) -> None:
        pipeline, deal = self._tables.deals[deal_id]
        noted = deal._replace(failures=failures, retry_at=retry_at)
        self._put(self._tables.deals, deal_id, (pipeline, noted))

    def deals(
        self, pipeline: int, wanted: DealFilter, after: int, limit: int
    ) -> list[tuple[StoredDeal, str | None]]:
        found = [
            (deal, self._tables.documents.get(deal.id))
            for deal in self._deals_of(pipeline)
            if deal.stage is not None
            and deal.id > after
            and (wanted.stages is None or deal.stage in wanted.stages)
            and (wanted.owner is None or deal.owner == wanted.owner)
        ]
        return found[:limit]

    def every_deal(
        self, pipeline: int, after: int, limit: int
    ) -> list[tuple[StoredDeal, str | None]]:
        found = [deal for deal in self._deals_of(pipeline) if deal.id > after]
        return [(deal, self._tables.documents.get(deal.id)) for deal in found[:limit]]

    def closed_deals(
        self, pipeline: int, before: dt.datetime, after: int, limit: int
    ) -> list[tuple[StoredDeal, str | None]]:
        found = [
            deal
            for deal in self._deals_of(pipeline)
            if deal.id > after and deal.closed_at is not None and deal.closed_at < before
        ]
        return [(deal, self._tables.documents.get(deal.id)) for deal in found[:limit]]

    def count_deals(self, pipeline: int) -> int:
        return len(self._deals_of(pipeline))

    def unadopted(
        self, pipeline: int, fingerprint: str, after: int, limit: int
    ) -> list[StoredDeal]:
        found = [
            deal
            for deal in self._deals_of(pipeline)
            if deal.removed_at is None and deal.definition != fingerprint and deal.id > after
        ]
        return found[:limit]

    def stage_counts(self, pipeline: int, besides: Collection[str] = ()) -> dict[str, int]:
        counts = Counter(d.stage for d in self._deals_of(pipeline) if d.stage is not None)
        return {stage: count for stage, count in counts.items() if stage not in besides}

    def miscounted(self, pipeline: int) -> set[str]:
        """Return none: here no totals are kept."""
        return set()

    def recount(self, pipeline: int) -> None:
        """Do nothing."""

    def troubled_deals(self, pipeline: int) -> tuple[int, int]:
        deals = [deal for deal in self._deals_of(pipeline) if deal.definition is not None]
        return sum(deal.failures > 0 for deal in deals), sum(deal.stage is None for deal in deals)

    def deals_with_contact(self, pipeline: int, key: str, value: str) -> list[int]:
        documents: dict[int, list[str]] = defaultdict(list)
        for deal in self._deals_of(pipeline):
            documents[deal.id].append(self._tables.documents.get(deal.id, "{}"))
        for (of_pipeline, _, _), event in self._tables.events.items():
            if of_pipeline == pipeline:
                documents[event.deal_id].append(event.data)
        return sorted(
            deal_id
            for deal_id, texts in documents.items()
            if any(is_named(contact_in(json.loads(text)).get(key), value) for text in texts)
        )

    def effects(
        self, pipeline: int, deal_id: int | None, states: Sequence[str] | None
    ) -> list[EffectRow]:
        found = [
            effect
            for effect in self._effects_of(pipeline)
            if (deal_id is None or effect.deal_id == deal_id)
            and (states is None or effect.state in states)
        ]
        return sorted(found, key=lambda effect: (effect.due_at, effect.key))

    def unsent_effects(self, pipeline: int, deals: Sequence[str]) -> list[EffectRow]:
        found = (self._tables.deal_ids.get((pipeline, deal)) for deal in deals)
        visits = {id: self._tables.deals[id][1].visit_key for id in found if id is not None}
        wanted = (e for e in self._effects_of(pipeline) if e.deal_id in visits)
        unsent = [effect for effect in wanted if _is_unsent(effect, visits[effect.deal_id])]
        return sorted(unsent, key=lambda effect: (effect.due_at, effect.key))

    def open_tasks(
        self,
        pipeline: int,
        wanted: TaskFilter,
        after: tuple[dt.datetime, str] | None = None,
        limit: int | None = None,
    ) -> list[EffectRow]:
        found = sorted(
            (task.ready_at, task.key, task)
            for task in self._effects_of(pipeline)
            if task.state == "open" and self._is_wanted_task(task, wanted)
        )
        return [task for at, key, task in found if after is None or (at, key) > after][:limit]

    def _is_wanted_task(self, task: EffectRow, wanted: TaskFilter) -> bool:
        deal = self._tables.deals[task.deal_id][1]
        return (
            (task.expires_at is None or task.expires_at >= wanted.now)
            and wanted.owner in (None, task.owner)
            and (wanted.deals is None or task.deal in wanted.deals)
            and (wanted.due_by is None or task.ready_at <= wanted.due_by)
            and self._is_wanted(deal, self._told(deal), wanted.of)
        )

    def count_open_tasks(self, pipeline: int, wanted: TaskFilter) -> int:
        return len(self.open_tasks(pipeline, wanted))

    def effect(self, pipeline: int, key: str) -> EffectRow | None:
        found = self._tables.effects.get(key)
        return found[1] if found and found[0] == pipeline else None

    def oldest_effect(self, pipeline: int) -> EffectRow | None:
        undelivered = [e for e in self._effects_of(pipeline) if e.state in ("pending", "claimed")]
        return min(undelivered, key=lambda effect: effect.ready_at, default=None)

    def count_dead_letters(self, pipeline: int) -> int:
        return sum(effect.state == "dead" for effect in self._effects_of(pipeline))

    def ready_effects(
        self,
        pipeline: int,
        now: dt.datetime,
        names: Sequence[str],
        limit: int,
        after: tuple[dt.datetime, str] = FROM_THE_FIRST,
    ) -> list[EffectRow]:
        found = [
            effect
            for effect in self._effects_of(pipeline)
            if effect.state in ("pending", "claimed")
            and effect.ready_at <= now
            and effect.name in names
            and (effect.ready_at, effect.key) > after
        ]
        return sorted(found, key=lambda effect: (effect.ready_at, effect.key))[:limit]

    def count_ready(
        self, pipeline: int, until: dt.datetime, names: Sequence[str]
    ) -> dict[str, int]:
        ready = self.ready_effects(pipeline, until, names, len(self._tables.effects))
        return dict(Counter(effect.name for effect in ready))

    def free_effect(self, pipeline: int, now: dt.datetime, keys: Sequence[str]) -> EffectRow | None:
        found = [effect for key in keys if (effect := self.effect(pipeline, key)) is not None]
        ready = [e for e in found if e.state in ("pending", "claimed") and e.ready_at <= now]
        return min(ready, key=lambda effect: (effect.ready_at, effect.key), default=None)

    def put_off_effects(self, pipeline: int, latest: dt.datetime, limit: int) -> list[EffectRow]:
        found = [e for e in self._effects_of(pipeline) if e.ready_at > latest and _was_put_off(e)]
        return sorted(found, key=lambda effect: (effect.ready_at, effect.key))[:limit]

    def claim_effect(
        self,
        key: str,
        lease: str,
        until: dt.datetime,
        attempts: int,
        address: str | None = None,
        sent_at: dt.datetime | None = None,
        decisions: str | None = None,
    ) -> None:
        told = {"address": address, "sent_at": sent_at, "decisions": decisions}
        given = {name: value for name, value in told.items() if value is not None}
        fields = {"lease": lease, "ready_at": until, "attempts": attempts, "delayed_until": None}
        self._replace(key, state="claimed", **fields, **given)

    def settle_effect(
        self,
        key: str,
        state: str,
        ready_at: dt.datetime | None = None,
        error: str | None = None,
        lease: str | None = None,
    ) -> bool:
        found = self._tables.effects.get(key)
        if found is None or (lease is not None and found[1].lease != lease):
            return False
        effect = found[1]
        ready_at = effect.ready_at if ready_at is None else ready_at
        self._replace(key, state=state, lease=None, ready_at=ready_at, error=error)
        return True

    def give_task(self, key: str, owner: str | None, payload: str) -> None:
        self._replace(key, owner=owner, payload=payload)

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
        found = self._tables.effects.get(key)
        if found is None or (lease is not None and found[1].lease != lease):
            return False
        told = {"ready_at": ready_at, "address": address, "attempts": attempts}
        given = {name: value for name, value in told.items() if value is not None}
        fields = {"decisions": decisions, "delayed_until": delayed_until, "sent_at": sent_at}
        self._replace(key, state=state, lease=None, **fields, **given)
        return True

    def replace_effect_payload(self, key: str, payload: str, decisions: str | None) -> None:
        self._replace(key, payload=payload, decisions=decisions)

    def count_waiting(self, pipeline: int) -> int:
        return sum(effect.state == "waiting" for effect in self._effects_of(pipeline))

    def deals_of_customer(self, keys: Sequence[str], limit: int) -> list[CustomerDeal]:
        found = []
        for key in sorted(set(keys)):
            for deal_id in sorted(self._tables.customers.get(key, ()))[:limit]:
                pipeline, deal = self._tables.deals[deal_id]
                standing = (deal.stage, deal.closed_at)
                found.append(CustomerDeal(key, pipeline, deal_id, deal.deal, *standing))
        return found

    def lock_customers(self, keys: Sequence[str], wait: bool) -> bool:
        return True

    def hands_since(
        self, deal_ids: Sequence[int], since: dt.datetime, types: Sequence[str]
    ) -> list[tuple[int, Event]]:
        return [
            (deal_id, event)
            for deal_id in deal_ids
            for event, _ in self.events(deal_id)
            if event.at >= since and event.type in types
        ]

    def sent_to(
        self, address: str, since: dt.datetime, besides: str, deal_id: int | None, limit: int
    ) -> list[dt.datetime]:
        found = [
            effect.sent_at
            for _, effect in self._tables.effects.values()
            if effect.address == address
            and effect.sent_at is not None
            and effect.sent_at > since
            and effect.key != besides
            and effect.purpose == "marketing"
            and effect.state in ("delivered", "claimed", "dropped")
            and deal_id in (None, effect.deal_id)
        ]
        return sorted(found, reverse=True)[:limit]

    def newer_effect(self, address: str, name: str, due_at: dt.datetime, key: str) -> str | None:
        for _, effect in self._tables.effects.values():
            is_delayed = effect.state == "pending" and effect.delayed_until is not None
            of_these = (effect.address, effect.name) == (address, name)
            is_sent = effect.state in ("delivered", "claimed")
            if (is_delayed or is_sent) and of_these and (effect.due_at, effect.key) > (due_at, key):
                return effect.key
        return None

    def note_subscription(self, told: Subscription) -> None:
        known = self._tables.subscriptions.get(told.address, frozenset())
        if told not in known:
            self._put(self._tables.subscriptions, told.address, known | {told})

    def take_back_subscription(self, told: Subscription) -> None:
        known = self._tables.subscriptions.get(told.address, frozenset())
        if told in known:
            self._put(self._tables.subscriptions, told.address, known - {told})

    def last_subscription(self, address: str) -> Subscription | None:
        known = self._tables.subscriptions.get(address, frozenset())
        return max(known, key=lambda told: (*told[2:6], not told.wanted), default=None)

    def arms(self, keys: Sequence[str]) -> dict[str, tuple[str, dt.datetime]]:
        return {key: self._tables.arms[key] for key in keys if key in self._tables.arms}

    def note_arm(self, keys: Sequence[str], arm: str, at: dt.datetime) -> None:
        for key in keys:
            if key not in self._tables.arms:
                self._put(self._tables.arms, key, (arm, at))

    def count_merged_into_nothing(self, pipeline: int) -> int:
        return sum(
            deal.merged_into is not None
            and (pipeline, deal.merged_into) not in self._tables.deal_ids
            for deal in self._deals_of(pipeline)
        )

    def count_crowds(self, pipeline: int) -> int:
        return sum(
            len(deals) > CROWD and any(self._tables.deals[id][0] == pipeline for id in deals)
            for deals in self._tables.customers.values()
        )

    def unindexed(self, pipeline: int, limit: int) -> list[tuple[StoredDeal, str | None]]:
        found = [
            (deal, self._tables.documents.get(deal.id))
            for deal in self._deals_of(pipeline)
            if deal.customer is None and deal.definition is not None
        ]
        return found[:limit]

    def secret(self, create: bool = False) -> bytes | None:
        if create and not self._tables.secrets:
            self._put(self._tables.secrets, "hashes", os.urandom(32))
        return self._tables.secrets.get("hashes")

    def _set_customer(self, deal_id: int, keys: Sequence[str]) -> None:
        """Index a deal under these keys and no others."""
        for key in {*self._tables.customer_of.get(deal_id, ()), *keys}:
            others = (number for number in self._tables.customers.get(key, ()) if number != deal_id)
            now = (*others, deal_id) if key in keys else tuple(others)
            if now:
                self._put(self._tables.customers, key, now)
            else:
                self._drop(self._tables.customers, key)
        self._put(self._tables.customer_of, deal_id, keys)

    def _deals_of(self, pipeline: int) -> list[StoredDeal]:
        rows = (self._tables.deals[deal_id] for deal_id in sorted(self._tables.deals))
        return [deal for of_pipeline, deal in rows if of_pipeline == pipeline]

    def _effects_of(self, pipeline: int) -> list[EffectRow]:
        return [e for of_pipeline, e in self._tables.effects.values() if of_pipeline == pipeline]


def _failed_beyond(row: HeldRow, latest: dt.datetime) -> bool:
    return row.kind == FAILED and row.retry_at is not None and row.retry_at > latest


def _is_put_off(retry_at: dt.datetime | None, now: dt.datetime, latest: dt.datetime) -> bool:
    return retry_at is not None and now < retry_at <= latest


def _is_unsent(effect: EffectRow, visit_key: str | None) -> bool:
    if effect.state == "pending":
        return effect.delayed_until is not None
    has_ended = effect.state in ("dropped", "dead")
    if has_ended or (effect.state == "expired" and effect.decisions is not None):
        return effect.visit_key == visit_key
    return effect.state == "waiting"


def _was_put_off(effect: EffectRow) -> bool:
    has_failed = effect.state == "pending" and effect.error is not None
    if effect.delayed_until is not None:
        return False
    return effect.ready_at > effect.due_at and (effect.state == "claimed" or has_failed)


def is_named(found: Any, value: str) -> bool:
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return (json.dumps(found) if is_number else found) == value


def contact_in(document: Any) -> dict[str, Any]:
    contact = document.get("contact") if isinstance(document, dict) else None
    return contact if isinstance(contact, dict) else {}


publish("ladderpipe.stores", MemoryStore)
