"""What is stored of a deal as the fold has it, and back: its row, its document, its moves."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import Protocol

from ..fold.draft import Draft
from ..ladder.ladder import Ladder
from ..model.event import Event
from ..model.move import Move
from ..pipeline import Pipeline
from ..stores.base import ALL, EVER, Checkpoint, MoveRecord, StoredDeal, Transaction

__all__ = [
    "Past",
    "StoredPast",
    "draft_of",
    "move_of",
    "record_of",
    "stored_until",
    "watch",
]


class Past(Protocol):
    """What is stored of a deal's past, read where a decision asks for it."""

    def checkpoint(self, before: dt.datetime) -> Checkpoint | None:
        """Return the last checkpoint at an earlier instant."""

    def next_checkpoint(self, since: dt.datetime) -> Checkpoint | None:
        """Return the first checkpoint at this instant or later."""

    def events(self, after: dt.datetime | None = None, until: dt.datetime = EVER) -> list[Event]:
        """Return the events, new ones included: only those later than the one, up to the other."""

    def moves(self, after: int = 0, until: int = ALL) -> list[MoveRecord]:
        """Return the moves with a number above the one, up to the other."""


class StoredPast:
    """What a transaction sees of it."""

    def __init__(self, transaction: Transaction, deal_id: int) -> None:
        self._transaction = transaction
        self._deal_id = deal_id

    def checkpoint(self, before: dt.datetime) -> Checkpoint | None:
        """Return the last checkpoint at an earlier instant."""
        return self._transaction.checkpoint(self._deal_id, before)

    def next_checkpoint(self, since: dt.datetime) -> Checkpoint | None:
        """Return the first checkpoint at this instant or later."""
        found = self._transaction.checkpoints(self._deal_id, since, 1)
        return found[0] if found else None

    def events(self, after: dt.datetime | None = None, until: dt.datetime = EVER) -> list[Event]:
        """Return the events, new ones included: only those later than the one, up to the other."""
        return [event for event, _ in self._transaction.events(self._deal_id, after, until)]

    def moves(self, after: int = 0, until: int = ALL) -> list[MoveRecord]:
        """Return the moves with a number above the one, up to the other."""
        return self._transaction.moves(self._deal_id, after, until)


def draft_of(pipeline: Pipeline, stored: StoredDeal, document: Callable[[], str | None]) -> Draft:
    """Return the fold's draft of a stored deal; its data is decoded only when asked for.

    Raises:
        PipelineChangedError: it stands in a stage that the pipeline does not have.
    """
    draft = Draft(pipeline.ladder, stored.deal)
    watch(draft, pipeline, settled=stored.visit)
    draft.load(document)
    draft.resume(
        cursor=None
        if stored.cursor_at is None
        else (
            stored.cursor_at,
            stored.cursor_phase,
            stored.cursor_seq,
            stored.cursor_rung,
            stored.cursor_source,
            stored.cursor_id,
        ),
        last_event_at=stored.last_event_at,
    )
    draft.floor = stored.baseline_at
    draft.horizon = stored.horizon
    notes = {}
    if stored.timers is not None:
        notes = json.loads(stored.timers)
        draft.withdrawn = {(source, id) for source, id in notes.get("withdrawn", ())}
    if stored.stage is None:
        return draft
    draft.enter_stored(stored.stage)
    draft.visit = stored.visit
    draft.visit_key = stored.visit_key
    draft.entered_at = stored.entered_at
    draft.activity_at = stored.activity_at
    draft.opened_at = stored.opened_at
    draft.closed_at = stored.closed_at
    if stored.lost_from is not None:
        draft.lost_from = pipeline.stage(stored.lost_from)
    draft.blocked = tuple(notes.get("blocked", ()))
    if "fired" in notes:
        draft.fired, draft.fired_at = tuple(notes["fired"]), stored.entered_at
    draft.due_at = stored.due_at
    return draft


def watch(draft: Draft, pipeline: Pipeline, settled: int) -> None:
    """Have the fold keep what hooks will be shown of the moves after one."""
    if pipeline.has_hooks:
        draft.settled = settled
        draft.hooked = pipeline.hooked
        draft.snapshots = {}


def move_of(
    ladder: Ladder,
    deal: str,
    record: MoveRecord,
    events: Mapping[tuple[str, str], Event],
) -> Move:
    """Return a stored move as a record."""
    cause = None
    if record.event_source is not None and record.event_id is not None:
        cause = events.get((record.event_source, record.event_id))
    return Move(
        deal,
        record.n,
        None if record.out_of is None else ladder.stage(record.out_of),
        ladder.stage(record.into),
        record.at,
        record.recorded_at,
        record.rule,
        cause,
    )


def record_of(move: Move, key: str, now: dt.datetime) -> MoveRecord:
    """Return a new move as it is stored."""
    _, n, out_of, into, at, _, rule, event = move
    return MoveRecord(
        n,
        key,
        None if out_of is None else out_of.key,
        into.key,
        at,
        now,
        rule,
        None if event is None else event.source,
        None if event is None else event.id,
    )


def stored_until(stored: StoredDeal) -> dt.datetime | None:
    """Return the ``until`` for which a bare fold gives exactly what is stored of this deal."""
    if stored.swept_to is None:
        return None
    if stored.last_event_at is not None and stored.last_event_at > stored.swept_to:
        return None
    return stored.swept_to
