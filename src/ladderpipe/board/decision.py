"""One pure decision: from a stored deal and new events to all that has to be written.

No input or output beyond the loaders that are passed in, and no rules: those are the fold's.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from operator import attrgetter
from typing import Final, Protocol

import attrs

from ..errors import GuardError, InvalidEventError
from ..fold import fold as folding
from ..fold.cursor import sorts_after_all
from ..fold.draft import Draft, OrderKey, order_key
from ..fold.intake import SPECIAL
from ..fold.moves import NewMoves
from ..fold.order import in_order
from ..ladder.ladder import Ladder
from ..model.canonical import json_encoder
from ..model.event import BASELINE, TOLD, WITHDRAW, Event
from ..model.held import HeldKind
from ..model.history import SetAside
from ..model.move import Move
from ..model.receipt import Outcome
from ..model.visit import visit_keys
from ..pipeline import Pipeline
from ..stores.base import (
    ALL,
    EVER,
    FROM_THE_FIRST,
    Checkpoint,
    DealChange,
    HeldRow,
    MoveRecord,
    StoredDeal,
    Transaction,
    new_held,
)
from .checkpoint import (
    Recorder,
    are_many,
    checkpoint_of,
    is_of,
    is_telling,
    is_turn,
    notes_of,
    state_of,
    stored_at,
    told_ids,
)
from .customers import (
    customer_text,
    has_said,
    is_reached_anew,
    keys_of,
    known_source,
    source_of,
    unsubscribes_all,
)
from .repeated import is_repeated

__all__ = [
    "Decision",
    "StoredPast",
    "decide",
    "decide_anew",
    "draft_of",
    "stored_of",
    "stored_until",
]

_encode = json_encoder()
_type = attrgetter("type")


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
        return list(map(_record, self.moves, self.keys, repeat(now)))

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


def decide(
    pipeline: Pipeline,
    stored: StoredDeal,
    document: Callable[[], str | None],
    events: Sequence[Event],
    past: Past,
    now: dt.datetime,
    sweep_to: dt.datetime | None = None,
    hold: bool = False,
) -> Decision:
    """Fold new events of one deal onto what is stored, or all of them again if one is late.

    Args:
        document: loads the deal's document.
        past: loads what a refold needs.
        now: the board's time. Who swept further than that had a wrong clock, and what its timers
            did after now has not happened yet.
        sweep_to: also fire timers due up to and at this instant, and note it.
        hold: set a new event aside, instead of raising, when it cannot be used at its place.

    Raises:
        GuardError: a guard raised.
        InvalidEventError: the reducer cannot understand an event.
    """
    draft = draft_of(pipeline, stored, document)
    ordered = in_order(pipeline.ladder, events) if len(events) > 1 else events
    swept_to = stored.swept_to
    if swept_to is not None and swept_to > now:
        swept_to = now
    if sweep_to is not None and (swept_to is None or sweep_to > swept_to):
        swept_to = sweep_to
    is_ahead = stored.swept_to != swept_to and draft.horizon is not None and draft.horizon > now
    if ordered or is_ahead:
        is_late = ordered and (
            _changes_the_past(draft, ordered)
            or not sorts_after_all(draft, order_key(pipeline.ladder, ordered[0]))
        )
        if is_late or is_ahead:
            decision = _fold_again(pipeline, stored, draft, past, swept_to, ordered, is_ahead)
            if not hold:
                _refuse_unusable(decision.draft, ordered)
            decision.has_said = any(map(unsubscribes_all, events))
            return decision
    made = NewMoves(draft)
    standing, recorder = None, None
    if ordered:
        if is_turn(stored, ordered) and stored.definition == pipeline.fingerprint:
            standing = _standing(pipeline, stored, draft)
        if are_many(ordered):
            recorder = Recorder(known_source(stored.customer))
        draft.telling = folding.last_telling(pipeline.ladder, ordered)
        try:
            folding.step_on(draft, ordered, made, recorder)
        except (GuardError, InvalidEventError) as error:
            if not hold or error.event is None:
                raise
            draft = draft_of(pipeline, stored, document)
            made = NewMoves(draft)
            draft.telling = folding.last_telling(pipeline.ladder, ordered)
            if recorder is not None:
                recorder.begin()
            folding.step_on(draft, ordered, made, recorder, careful=True)
    if swept_to is not None and _reaches(draft, swept_to):
        folding.advance(draft, swept_to, made)
    moves = tuple(made)
    keys = visit_keys(stored.visit_key, moves)
    only_swept = not ordered and not draft.changed
    source = source_of(ordered) if draft.changed else None
    return Decision(
        stored,
        draft,
        moves,
        keys,
        swept_to,
        only_swept=only_swept,
        checkpoints=()
        if recorder is None
        else recorder.checkpoints(pipeline, stored.visit_key, keys),
        standing=standing,
        source=source,
        has_said=any(map(unsubscribes_all, events)),
    )


def _fold_again(
    pipeline: Pipeline,
    stored: StoredDeal,
    before: Draft,
    past: Past,
    swept_to: dt.datetime | None,
    new: Sequence[Event],
    from_the_first: bool = False,
) -> Decision:
    """Fold a deal's events again, from the last checkpoint before the *new* ones if that does."""
    if new and not from_the_first and not _changes_the_past(before, new):
        since = past.checkpoint(new[0].at)
        if since is None or is_of(since, pipeline):
            if swept_to == stored.swept_to:
                settled = _settled(pipeline, stored, before, past, new, since)
                if settled is not None:
                    return settled
            if since is not None:
                events = in_order(pipeline.ladder, past.events(since.at))
                if _stand_alone(before, events):
                    found = _folded(pipeline, stored, before, past, swept_to, new, events, since)
                    # What began a visit before the checkpoint is not among what was loaded.
                    if found.current_move() is not None or not found.current_changed:
                        return found
    events = in_order(pipeline.ladder, past.events())
    return _folded(pipeline, stored, before, past, swept_to, new, events)


def _settled(
    pipeline: Pipeline,
    stored: StoredDeal,
    before: Draft,
    past: Past,
    new: Sequence[Event],
    since: Checkpoint | None,
) -> Decision | None:
    """Return what late events make of a deal that stands at its next checkpoint as it stood.

    ``None`` where it does not, or where that cannot be told from the events before that.
    """
    until = past.next_checkpoint(new[-1].at)
    if until is None or not is_of(until, pipeline) or is_telling(until):
        return None
    events = in_order(pipeline.ladder, past.events(since and since.at, until.at))
    if not _stand_alone(before, events):
        return None
    recorder = Recorder("" if since is None else told_ids(since), is_closed=True)
    draft, made, start = folding.fold_all(
        pipeline.ladder,
        stored.deal,
        events,
        prepare=lambda _: recorder.begin(),
        resume=None if since is None else lambda: _resumed(pipeline, stored, before, since),
        stops=recorder,
    )
    base, base_key = 0 if start is None else start.n, None if start is None else start.key
    keys = visit_keys(base_key, made)
    points = recorder.checkpoints(pipeline, base_key, keys)
    if not points or points[-1] != until:
        return None
    moves = past.moves(base, draft.visit)
    if len(moves) != len(made) or not all(map(_is_same, moves, made, keys)):
        return None
    before.aside, before.refusals = draft.aside, draft.refusals
    before.unfilled, before.after_closing = draft.unfilled, draft.after_closing
    return Decision(
        stored,
        before,
        (),
        (),
        stored.swept_to,
        before=before,
        since=since,
        until=until,
        refolded=True,
        events={(event.source, event.id): event for event in events},
        kept=before.visit,
        asked_anew=True,
        checkpoints=points[:-1],
    )


def _folded(
    pipeline: Pipeline,
    stored: StoredDeal,
    before: Draft,
    past: Past,
    swept_to: dt.datetime | None,
    new: Sequence[Event],
    ordered: Sequence[Event],
    since: Checkpoint | None = None,
) -> Decision:
    goes_last = (
        bool(new)
        and not _changes_the_past(before, new)
        and _goes_last(before, order_key(pipeline.ladder, new[0]))
    )
    source = known_source(stored.customer) if since is None else told_ids(since)
    recorder = Recorder(source if since is not None else "")

    def watch(draft: Draft) -> None:
        recorder.begin()
        # A snapshot holds the whole deal, and a long past has many moves. If the new events go
        # last, hooks run for what they do; else they see the deal as it is in the end.
        if goes_last:
            _watch(draft, pipeline, settled=before.visit)

    draft, made, start = folding.fold_all(
        pipeline.ladder,
        stored.deal,
        ordered,
        prepare=watch,
        resume=None if since is None else lambda: _resumed(pipeline, stored, before, since),
        stops=recorder,
    )
    base, base_key = 0 if start is None else start.n, draft.visit_key
    if swept_to is not None and _reaches(draft, swept_to):
        folding.advance(draft, swept_to, made)
    moves = tuple(made)
    draft.changed = True
    keys = visit_keys(base_key, moves)
    old_moves = past.moves(0 if since is None else base)
    old = [move for move in old_moves if move.n > base]
    same = 0
    while same < min(len(old), len(moves)) and _is_same(old[same], moves[same], keys[same]):
        same += 1
    if same:
        draft.visit_key = keys[same - 1]
    has_baseline = since is None and any(event.type == BASELINE for event in ordered)
    return Decision(
        stored,
        draft,
        moves[same:],
        keys[same:],
        swept_to,
        before=before,
        since=since,
        refolded=not goes_last or base + same < before.visit,
        old_moves=old[same:],
        kept_moves=[move for move in old_moves if move.n <= base + same],
        events={(event.source, event.id): event for event in ordered},
        old_keys=[move.visit_key for move in old],
        new_keys=keys if base_key is None else [base_key, *keys],
        kept=base + same,
        asked_anew=True,
        cut_checkpoints=FROM_THE_FIRST[0] if since is None else new[0].at,
        checkpoints=() if has_baseline else recorder.checkpoints(pipeline, base_key, keys),
        source=source_of(ordered, source, "" if since is None else source),
    )


def _resumed(
    pipeline: Pipeline, stored: StoredDeal, before: Draft, checkpoint: Checkpoint
) -> Draft:
    """Return the draft of a deal as it stood at a checkpoint."""
    draft = draft_of(pipeline, stored_at(stored.deal, checkpoint), lambda: checkpoint.data)
    draft.withdrawn = before.withdrawn
    return draft


def _stand_alone(before: Draft, events: Sequence[Event]) -> bool:
    """Whether a deal's last events and what is before them say nothing of each other.

    They do where one was taken back, by whichever side, where a baseline is among them that may
    hold what is before it, where a hand names a stage that was renamed since, and where a snapshot
    was put aside, which may say something new now.
    """
    rungs, withdrawn = before.ladder.rungs, before.withdrawn
    for event in events:
        kind = event.type
        if kind in (BASELINE, WITHDRAW) or (event.source, event.id) in withdrawn:
            return False
        if kind == TOLD or kind in SPECIAL:
            into = event.data.get("stage" if kind == TOLD else "into")
            if (into is not None and str(into) not in rungs) or is_repeated(event):
                return False
    return True


def _standing(pipeline: Pipeline, stored: StoredDeal, draft: Draft) -> Checkpoint | None:
    """Return a checkpoint of a deal as it is stored."""
    assert stored.cursor_at is not None
    state = state_of(draft, known_source(stored.customer))
    data = draft.document or "{}"
    return checkpoint_of(pipeline, stored.cursor_at, state, stored.visit_key, data)


def decide_again(
    pipeline: Pipeline,
    stored: StoredDeal,
    document: Callable[[], str | None],
    past: Past,
) -> Decision:
    """Fold all events of a deal again, none of them new.

    Raises:
        GuardError: the guard or the time of a timer raised.
    """
    before = draft_of(pipeline, stored, document)
    return _fold_again(pipeline, stored, before, past, stored.swept_to, new=())


def decide_anew(pipeline: Pipeline, stored: StoredDeal, past: Past) -> Decision:
    """Fold all events of a deal that waits, as another definition of its ladder has it.

    Raises:
        GuardError: a guard raised.
        InvalidEventError: the reducer cannot understand an event.
    """
    before = Draft(pipeline.ladder, stored.deal)
    return _fold_again(pipeline, stored, before, past, stored.swept_to, new=())


def _refuse_unusable(draft: Draft, new: Sequence[Event]) -> None:
    """Raise what a new event's guard or reducer raised; what an old one's did sets it aside."""
    for event in new:
        refusal = draft.refusals.get((event.source, event.id))
        if refusal is not None:
            raise refusal


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


def _changes_the_past(draft: Draft, new: Sequence[Event]) -> bool:
    """Whether some of these take back what was told, or were taken back before they came.

    What another system tells has no timer fire before it, so that it changes the past, too.
    """
    kinds = set(map(_type, new))
    if WITHDRAW in kinds or (TOLD in kinds and draft.cursor is not None):
        return True
    withdrawn = draft.withdrawn
    return bool(withdrawn) and any((event.source, event.id) in withdrawn for event in new)


def _goes_last(before: Draft, key: OrderKey) -> bool:
    """Whether an event sorts after every stored event and every move, if not every timer try."""
    if before.cursor is not None and key <= before.cursor:
        return False
    return before.entered_at is not None and key[0] > before.entered_at


def _is_same(stored: MoveRecord, move: Move, key: str) -> bool:
    out_of = None if move.out_of is None else move.out_of.key
    was = (stored.visit_key, stored.rule, stored.out_of, stored.into, stored.at)
    return was == (key, move.rule, out_of, move.into.key, move.at)


def _reaches(draft: Draft, until: dt.datetime) -> bool:
    """Whether sweeping to *until* goes beyond the deal's last event."""
    return draft.last_event_at is None or until >= draft.last_event_at


def draft_of(pipeline: Pipeline, stored: StoredDeal, document: Callable[[], str | None]) -> Draft:
    """Return the fold's draft of a stored deal; its data is decoded only when asked for.

    Raises:
        PipelineChangedError: it stands in a stage that the pipeline does not have.
    """
    draft = Draft(pipeline.ladder, stored.deal)
    _watch(draft, pipeline, settled=stored.visit)
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


def _watch(draft: Draft, pipeline: Pipeline, settled: int) -> None:
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


def _record(move: Move, key: str, now: dt.datetime) -> MoveRecord:
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
