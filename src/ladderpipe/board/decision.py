"""What a decision comes to: what a deal becomes, what became of its events, what to write."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Final

import attrs

from ..fold.draft import Draft
from ..model.canonical import json_encoder
from ..model.event import WITHDRAW, Event
from ..model.held import HeldKind
from ..model.history import SetAside
from ..model.move import Move
from ..model.receipt import Outcome
from ..pipeline import Pipeline
from ..stores.base import (
    EVER,
    Checkpoint,
    DealChange,
    HeldRow,
    MoveRecord,
    StoredDeal,
    new_held,
)
from .checkpoint import notes_of
from .customers import customer_text, has_said, is_reached_anew, keys_of, known_source
from .stored import move_of, record_of

__all__ = ["Decision"]

_encode = json_encoder()


@attrs.define(eq=False)
class Decision:
    """What becomes of one deal.

    Attributes:
        draft: the deal as it will be.
        moves: moves to add, as the fold made them.
        keys: the visit keys of those moves.
        before: on a refold, the deal as it was stored.
        refolded: whether the history was changed by a late event.
        since: on a refold from a checkpoint, that one; of what is before it nothing is loaded.
        until: where the deal stands, after the refold, as it stood before: nothing behind that is
            another than it was, and nothing of it is loaded.
        old_moves: on a refold, the stored moves it replaces, from the first that differs.
        kept_moves: on a refold, the stored moves that stay.
        events: on a refold, the events that were folded, by identity.
        kept: on a refold, the number of the last stored visit that stays.
        only_swept: whether there was nothing to do but to fire timers.
        asked_anew: whether every event since the baseline, or the checkpoint, was folded.
        cut_checkpoints: checkpoints at this instant or later hold no more.
        checkpoints: how the deal stood on the way.
        standing: how it stood before an event that asks whether it is time for a checkpoint.
        source: of the event that told the customer's ids; ``None`` when it is the stored one.
        has_said: whether a new event unsubscribes the customer and says no address.
        visit_key: of the visit that is current after the decision.
        current_changed: whether that is another one than before.
    """

    stored: StoredDeal
    draft: Draft
    moves: Sequence[Move]
    keys: Sequence[str]
    swept_to: dt.datetime | None
    before: Draft | None = None
    since: Checkpoint | None = None
    until: Checkpoint | None = None
    refolded: bool = False
    old_moves: Sequence[MoveRecord] = ()
    kept_moves: Sequence[MoveRecord] = ()
    events: Mapping[tuple[str, str], Event] = attrs.field(factory=dict)
    old_keys: Sequence[str] = ()
    new_keys: Sequence[str] = ()
    kept: int | None = None
    only_swept: bool = False
    asked_anew: bool = False
    cut_checkpoints: dt.datetime | None = None
    checkpoints: Sequence[Checkpoint] = ()
    standing: Checkpoint | None = None
    source: str | None = None
    has_said: bool = False
    visit_key: str | None = attrs.field(init=False)
    current_changed: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        if self.keys:
            self.visit_key = self.keys[-1]
        else:
            self.visit_key = None if self.draft.stage is None else self.draft.visit_key
        self.current_changed = self.visit_key != self.stored.visit_key

    @property
    def left_key(self) -> str | None:
        """Key of the visit that the first of the new moves leaves."""
        return self.stored.visit_key if self.before is None else self.draft.visit_key

    def current_move(self) -> Move | None:
        """Return the move that began the visit that is current after the decision."""
        if self.moves:
            return self.moves[-1]
        if self.draft.stage is None or not self.kept_moves:
            return None
        return self._move(self.kept_moves[-1])

    def withdrawn(self) -> Move:
        """Return the stored move that began the visit which, it turns out, never was."""
        return self._move(self.old_moves[-1])

    def _move(self, record: MoveRecord) -> Move:
        return move_of(self.draft.ladder, self.stored.deal, record, self.events)

    @property
    def asked_between(self) -> tuple[dt.datetime, dt.datetime] | None:
        """From when to when events were folded; ``None`` where that is all of them."""
        if self.since is None and self.until is None:
            return None
        first = next(iter(self.events.values())).at
        return first, EVER if self.until is None else self.until.at

    def outcomes(self, events: Iterable[Event]) -> list[Outcome]:
        """Return what became of each of the events that were decided about."""
        caused = {(c.source, c.id): m.n for m in self.moves if (c := m.event) is not None}
        unmoved = Outcome.WAITING if self.draft.stage is None else Outcome.STAYED
        aside, late = self.draft.aside, self.draft.late
        found = []
        for event in events:
            identity = (event.source, event.id)
            n = caused.get(identity)
            if event.type == WITHDRAW:
                is_moved = self.current_changed and self.draft.stage is not None
                found.append(Outcome.MOVED if is_moved else unmoved)
            elif aside and identity in aside:
                found.append(Outcome.HELD)
            elif n is not None:
                found.append(Outcome.OPENED if n == 1 else Outcome.MOVED)
            elif late and late.get(identity) is False:
                found.append(Outcome.LATE)
            else:
                found.append(unmoved)
        return found

    def why_not(self, event: Event) -> str | None:
        """Return why an event is set aside, or moved nothing though a rule led on."""
        identity = (event.source, event.id)
        aside = self.draft.aside.get(identity)
        if aside is not None:
            return aside.reason
        unfilled = self.draft.unfilled
        if not unfilled or identity not in unfilled:
            return None
        has_moved = any(m.event is not None and m.event.identity == identity for m in self.moves)
        return None if has_moved else unfilled[identity]

    def count_timers(self, fired: Counter[str]) -> None:
        """Count what moves timers made, by rule, less those that a refold replaces."""
        for move in self.moves:
            if move.event is None:
                fired[move.rule] += 1
        for record in self.old_moves:
            if record.event_id is None:
                fired[record.rule] -= 1

    def outcome(self, event: Event) -> Outcome:
        """Return what became of one of the events that were decided about."""
        return self.outcomes([event])[0]

    def change(self, pipeline: Pipeline, now: dt.datetime, has_effects: bool) -> DealChange:
        """Return what the store has to write, effects aside."""
        row = stored_of(self, has_effects, pipeline)
        change = DealChange(
            row,
            moves=self._records(now) if self.moves else (),
            only_swept=self.only_swept,
            asked_anew=self.asked_anew,
            asked_between=self.asked_between,
            aside=[_aside(found, now) for found in self.draft.aside.values()]
            if self.draft.aside
            else (),
            customer=_new_keys(self.stored, row),
            no_customer=_lost_keys(self.stored, row),
            wakes=is_reached_anew(self.stored.customer, row.customer),
            cut_checkpoints=self.cut_checkpoints,
            checkpoints=self.checkpoints,
        )
        if self.draft.changed:
            self._write_document(change)
        if self.before is not None:
            self._replace_past(change)
        elif self.moves and self.stored.has_effects and self.stored.visit_key:
            change.ended = [self.stored.visit_key]
        return change

    def _records(self, now: dt.datetime) -> list[MoveRecord]:
        return list(map(record_of, self.moves, self.keys, repeat(now)))

    def _write_document(self, change: DealChange) -> None:
        written = self.draft.data.to_dict()
        text = _encode(written)
        # Most of what is told again says the same, and a document takes as long to write as a deal.
        if text != (self.before or self.draft).document:
            change.document = text
            change.found_as_before = self.draft.is_found_as_before(written)

    def _replace_past(self, change: DealChange) -> None:
        kept = self.kept or 0
        if self.old_moves:
            change.cut_from = kept + 1
        surviving = set(self.new_keys)
        change.vanished = [key for key in self.old_keys if key not in surviving]
        left = self.stored.visit_key
        if self.current_changed:
            if left in surviving:
                change.ended = [left] if left else []
            if not self.moves and kept:
                change.revived = self.visit_key


def _new_keys(stored: StoredDeal, row: StoredDeal) -> tuple[str, ...] | None:
    if stored.customer == row.customer:
        return None
    keys = keys_of(row.customer)
    return None if keys == keys_of(stored.customer) else keys


def _lost_keys(stored: StoredDeal, row: StoredDeal) -> tuple[str, ...]:
    if stored.customer == row.customer:
        return ()
    now = keys_of(row.customer)
    return tuple(key for key in keys_of(stored.customer) if key not in now)


def _aside(found: SetAside, now: dt.datetime) -> HeldRow:
    return new_held(HeldKind.ASIDE, found.event, found.reason, now)


_NO_CURSOR: Final = (None, 0, 0, 0, "", "")


def stored_of(decision: Decision, has_effects: bool, pipeline: Pipeline) -> StoredDeal:
    """Return the narrow row of a deal after a decision."""
    draft, stored = decision.draft, decision.stored
    stage, entered_at = draft.rung.stage, draft.entered_at
    owner, currency, value = stored.owner, stored.currency, stored.value
    merged_into = None
    if stage is not None and stage.status == "merged":
        merged_into = _merged_into(decision, stored)
    customer: str | None = stored.customer
    if draft.changed:
        data = draft.data
        worth = data.value
        owner, currency, value = data.owner, data.currency, None if worth is None else str(worth)
    if draft.changed or customer is None or decision.has_said:
        told_by = decision.source
        if told_by is None:
            told_by = known_source(customer)
        said = decision.has_said or has_said(customer)
        customer = customer_text(pipeline, draft, told_by, said)
    return StoredDeal._make(
        (
            stored.id,
            stored.deal,
            None if stage is None else stage.key,
            draft.visit,
            decision.visit_key,
            entered_at,
            draft.activity_at,
            draft.opened_at,
            draft.closed_at,
            None if draft.lost_from is None else draft.lost_from.key,
            None if stage is None else draft.due_at,
            draft.horizon,
            decision.swept_to,
            stored.quiet_to,
            draft.last_event_at,
            *(draft.cursor or _NO_CURSOR),
            notes_of(
                draft.blocked,
                draft.fired if draft.fired_at == entered_at else (),
                tuple(sorted(draft.withdrawn)) if draft.withdrawn else (),
            ),
            owner,
            currency,
            value,
            has_effects,
            draft.floor,
            pipeline.fingerprint,
            0,  # failures
            None,  # retry_at
            None,  # removed_at
            customer,
            merged_into,
        )
    )


def _merged_into(decision: Decision, stored: StoredDeal) -> str | None:
    """Return the deal that a merged one went on in, as the event says that merged it."""
    move = decision.current_move()
    if move is None or move.event is None:
        return stored.merged_into
    into = move.event.data.get("into")
    return into if isinstance(into, str) and into else None
