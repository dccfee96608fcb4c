"""What one deal's life looks like from an instant, by what was recorded by an instant.

The fold says so; what it cannot say (what was before a baseline) the stored moves do.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Container, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from itertools import groupby, takewhile
from operator import attrgetter
from typing import Final, Literal, NamedTuple, TypeAlias

import attrs

from ...board.boundary import UNREADABLE
from ...errors import GuardError, InvalidEventError
from ...fold import fold as folding
from ...fold.baseline import Baseline, in_turn
from ...fold.closed import counts_when_closed, freeze, put_back
from ...fold.draft import Draft
from ...fold.intake import take_in
from ...fold.late import step_late
from ...fold.moves import NewMoves
from ...fold.order import in_order, order_key
from ...fold.withdrawals import is_told, standing
from ...ladder.ladder import Ladder
from ...model.event import BASELINE, BY_HAND, DISCARDED, EDITED, OVERRIDE, PHASE_TIMER, TOLD, Event
from ...model.money import MOST_PLACES
from ...model.move import Move
from ...pipeline import Pipeline
from ...stores.base import MoveRecord
from .apart import why_unreadable
from .merged_stages import in_one_stay

__all__ = ["Change", "Life", "Moment", "Passage", "Trigger", "facts", "life_of", "settled_life"]

Trigger = Literal["event", "timer", "hand", "override"]

Told: TypeAlias = Sequence[tuple[Event, dt.datetime]]
"""Events, each with when it was recorded."""

_at: Final = attrgetter("at")
_EXACT: Final = Context(prec=100, rounding=ROUND_HALF_EVEN)
_PLACES: Final = Decimal(1).scaleb(-MOST_PLACES)
_TOO_LARGE: Final = Decimal(10) ** (38 - MOST_PLACES)
"""More than the tables hold, and than a cart can come to."""


@attrs.frozen
class Moment:
    """From when a history is looked at.

    Attributes:
        as_of: what happened later is left out; timers due up to and at it have fired.
        believed_at: what was recorded later is left out; ``None`` when all that is stored counts.
    """

    as_of: dt.datetime
    believed_at: dt.datetime | None = None

    def knows(self, recorded_at: dt.datetime) -> bool:
        """Return whether what was recorded then counts."""
        return self.believed_at is None or recorded_at <= self.believed_at


class Passage(NamedTuple):
    """A row of the moves, the deal left out."""

    n: int
    out_of: str | None
    into: str
    at: dt.datetime
    recorded_at: dt.datetime | None
    rule: str
    trigger: Trigger
    event_type: str | None
    event_source: str | None
    event_id: str | None
    event_seq: int | None


class Change(NamedTuple):
    """A row of the changes, the deal left out."""

    at: dt.datetime
    title: str | None = None
    value: Decimal | None = None
    currency: str | None = None
    owner: str | None = None
    source: str | None = None
    loss_reason: str | None = None
    active_at: dt.datetime | None = None


class Life(NamedTuple):
    """What a deal went through; without passages it was not open yet.

    ``trouble`` says why it could not be folded, in which case it is as the store has it.
    """

    passages: Sequence[Passage]
    changes: Sequence[Change]
    trouble: str | None = None


def life_of(pipeline: Pipeline, told: Told, records: Sequence[MoveRecord], moment: Moment) -> Life:
    """Return what a deal's events make of it, and before its last baseline its stored moves.

    Args:
        told: all events of the deal that are stored.
        records: its stored moves.
    """
    events = {(event.source, event.id): event for event, _ in told}
    changes: list[Change] = []
    trouble = None
    known = list(takewhile(lambda r: r.at <= moment.as_of and moment.knows(r.recorded_at), records))
    try:
        eras = _eras(pipeline, told, moment)
        for era in eras[:-1]:
            _observe_before_baseline(pipeline, era, known, changes)
        if eras and _is_last_era(eras[-1], told):
            draft, moves = _observe(pipeline, eras[-1], changes)
            folding.advance(draft, moment.as_of, moves)
            found = _passages(draft.visit, moves, records, events, moment)
            base = draft.visit - len(moves)
            passages = in_one_stay(pipeline.ladder, found, base, events)
            return Life(passages, _from_opening(passages, changes))
        if eras:
            _observe_before_baseline(pipeline, eras[-1], known, changes)
    except UNREADABLE as error:
        trouble = why_unreadable(error)
    passages = in_one_stay(
        pipeline.ladder, [_stored(record, events) for record in known], len(known), events
    )
    return Life(passages, _from_opening(passages, changes), trouble)


def settled_life(
    draft: Draft, told: Told, records: Sequence[MoveRecord], baseline_at: dt.datetime | None
) -> Life:
    """Return the life of a deal whose stored rows are the answer, with its last change only."""
    events = {(event.source, event.id): event for event, _ in told}
    passages = [_stored(record, events) for record in records]
    if baseline_at is not None:
        base = sum(record.at <= baseline_at for record in records)
        passages = in_one_stay(draft.ladder, passages, base, events)
    assert draft.last_event_at is not None
    return Life(passages, [facts(draft, draft.last_event_at)])


def facts(draft: Draft, at: dt.datetime) -> Change:
    """Return what a deal is worth and whose it is, from *at* on."""
    data = draft.data
    reason = data.properties.get("loss_reason")
    value = data.value
    if value is not None and not abs(value) < _TOO_LARGE:
        raise InvalidEventError(f"its value, {value:.3e}, is no amount that tables hold")
    return Change(
        at,
        draft.title,
        None if value is None else value.quantize(_PLACES, context=_EXACT),
        data.currency,
        data.owner,
        data.source,
        None if reason is None else str(reason),
        _active_at(draft, at),
    )


def _active_at(draft: Draft, at: dt.datetime) -> dt.datetime:
    """Return when there was the last sign of life by *at*; what corrects a deal is none.

    Of a deal that a timer moved since, the fold knows no more than that.
    """
    return at if draft.activity_at is None else min(at, draft.activity_at)


def _eras(pipeline: Pipeline, told: Told, moment: Moment) -> list[list[Event]]:
    """Return the events that count, in order, in a list for the time from each baseline on.

    Each stands before the first baseline that it is in. One that is in none of those that count,
    and not in the one that follows, happened to the deal later, if it did at all.
    """
    ladder = pipeline.ladder
    recorded = {(event.source, event.id): recorded_at for event, recorded_at in told}
    baselines = in_turn(event for event, _ in told)
    counting = [
        event
        for event, recorded_at in told
        if is_told(event, moment.as_of) and moment.knows(recorded_at)
    ]
    known = standing(in_order(ladder, counting)).events
    counts = {(event.source, event.id) for event in known}
    counting = [event for event in baselines if (event.source, event.id) in counts]
    eras: list[list[Event]] = [[], *([event] for event in counting)]
    for event in known:
        if event.type == BASELINE:
            continue
        holding = (n for n, base in enumerate(baselines) if _holds(ladder, base, event, recorded))
        era = next(holding, len(baselines))
        if era < len(counting) or (era == len(counting) and not _is_lost(ladder, eras[-1], event)):
            eras[era].append(event)
    return [era for era in eras if era]


def _holds(
    ladder: Ladder,
    baseline: Event,
    event: Event,
    recorded: Mapping[tuple[str, str], dt.datetime],
) -> bool:
    """Whether an event is in a baseline; of a former version's, only the times can tell."""
    base = Baseline.of(baseline)
    if base is not None:
        return base.has_seen(event)
    is_before = order_key(ladder, event) < order_key(ladder, baseline)
    known, written = ((each.source, each.id) for each in (event, baseline))
    return is_before and recorded[known] <= recorded[written]


def _is_lost(ladder: Ladder, era: Sequence[Event], event: Event) -> bool:
    """Whether it came late to a baseline of a former version, and changes nothing."""
    begins = era[0] if era and era[0].type == BASELINE else None
    is_former = begins is not None and Baseline.of(begins) is None
    return is_former and begins is not None and order_key(ladder, event) < order_key(ladder, begins)


def _is_last_era(era: Sequence[Event], told: Told) -> bool:
    """Whether no stored baseline is later than the one that the era begins with, if it does."""
    baselines = in_turn(event for event, _ in told)
    return not baselines or era[0] == baselines[-1]


def _observe(
    pipeline: Pipeline, era: Sequence[Event], changes: list[Change]
) -> tuple[Draft, NewMoves]:
    """Fold *era*, adding to *changes* what the deal is like after each instant."""
    before = list(changes)
    try:
        return _observe_once(pipeline, era, changes, careful=False)
    except (GuardError, InvalidEventError) as error:
        if error.event is None:
            raise
        # An event cannot be used: see how the fold sets it aside.
        changes[:] = before
        return _observe_once(pipeline, era, changes, careful=True)


def _observe_once(
    pipeline: Pipeline, era: Sequence[Event], changes: list[Change], careful: bool
) -> tuple[Draft, NewMoves]:
    draft, late, rest = _begun(pipeline, era, changes)
    moves = NewMoves(draft)
    draft.changed = not changes
    if late and draft.base is not None:
        step_late(draft, late, moves)
        changes.append(facts(draft, draft.base.at))
        draft.changed = False
    for at, events in groupby(rest, key=_at):
        folding.step(draft, list(events), moves, careful=careful)
        changes.append(
            facts(draft, at)
            if draft.changed
            else changes[-1]._replace(at=at, active_at=_active_at(draft, at))
        )
        draft.changed = False
    return draft, moves


def _begun(
    pipeline: Pipeline, era: Sequence[Event], changes: list[Change]
) -> tuple[Draft, Sequence[Event], Sequence[Event]]:
    """Begin to fold *era*, with what the baseline says that it begins with, if it does.

    Returns the draft, what came late to the baseline, and the rest.
    """
    draft, late, rest = folding.begin(pipeline.ladder, era[0].deal, list(era))
    if era[0].type == BASELINE and draft.last_event_at is not None:
        while changes and changes[-1].at >= draft.last_event_at:
            changes.pop()
        changes.append(facts(draft, draft.last_event_at))
    return draft, late, rest


def _observe_before_baseline(
    pipeline: Pipeline,
    era: Sequence[Event],
    records: Sequence[MoveRecord],
    changes: list[Change],
) -> None:
    """Observe events of a deal that stood where its stored moves say.

    No rule is asked: the ladder may have been another one, and a guard may have read what was
    forgotten since. If nothing can be made of them, nothing that was before is known.
    """
    before = list(changes)
    try:
        try:
            _follow(pipeline, era, records, changes, careful=False)
        except InvalidEventError:
            changes[:] = before
            _follow(pipeline, era, records, changes, careful=True)
    except UNREADABLE:
        changes.clear()


def _follow(
    pipeline: Pipeline,
    era: Sequence[Event],
    records: Sequence[MoveRecord],
    changes: list[Change],
    careful: bool,
) -> None:
    draft, late, rest = _begun(pipeline, era, changes)
    stages = {stage.key: stage for stage in pipeline.stages}
    ahead = [record for record in records if record.n > draft.visit]
    stage = draft.stage
    seen: set[tuple[str | None, str | None]] = set()
    for event in (*late, *rest):
        if event.type == DISCARDED:
            continue
        while ahead and _is_before(ahead[0], event, seen):
            stage = stages.get(ahead.pop(0).into)
        kept = copy.deepcopy(draft.data) if careful else None
        left, into = stage, None
        is_frozen = left is not None and left.is_closed and event.type not in (EDITED, TOLD)
        frozen = freeze(draft) if is_frozen else None
        try:
            take_in(draft, event)
        except InvalidEventError as error:
            if kept is None:
                raise
            draft.set_aside(event, error, kept)
            continue
        seen.add((event.source, event.id))
        while ahead and (ahead[0].event_source, ahead[0].event_id) in seen:
            if ahead[0].n == 1:
                draft.name_deal()
            stage = into = stages.get(ahead.pop(0).into)
        if frozen is not None and not (
            counts_when_closed(draft.data, event, left, into, frozen)
            or (stage is None or not stage.is_closed)
        ):
            put_back(draft, frozen)
        changes[-1:] = [
            *(change for change in changes[-1:] if change.at < event.at),
            facts(draft, event.at),
        ]


def _is_before(
    record: MoveRecord, event: Event, seen: Container[tuple[str | None, str | None]]
) -> bool:
    """Return whether a stored move was made before an event was folded; timers go by S9."""
    if record.at != event.at:
        return record.at < event.at
    if record.event_id is None:
        return event.phase > PHASE_TIMER
    return (record.event_source, record.event_id) in seen


def _passages(
    visit: int,
    moves: Sequence[Move],
    records: Sequence[MoveRecord],
    events: Mapping[tuple[str, str], Event],
    moment: Moment,
) -> list[Passage]:
    """Return the stored moves up to the baseline, then those that the fold made."""
    base = visit - len(moves)
    found = [_stored(record, events) for record in records if record.n <= base]
    stored = {record.n: record for record in records}
    for move in moves:
        record = stored.get(move.n)
        found.append(_folded(move, record if record and moment.knows(record.recorded_at) else None))
    return found


def _folded(move: Move, record: MoveRecord | None) -> Passage:
    event = move.event
    passage = Passage(
        move.n,
        None if move.out_of is None else move.out_of.key,
        move.into.key,
        move.at,
        None,
        move.rule,
        _trigger(event),
        None if event is None else event.type,
        None if event is None else event.source,
        None if event is None else event.id,
        None if event is None else event.seq,
    )
    if record is None or not _is_same(record, passage):
        return passage
    return passage._replace(recorded_at=record.recorded_at)


def _is_same(record: MoveRecord, passage: Passage) -> bool:
    written = (record.into, record.at, record.rule, record.event_source, record.event_id)
    return written == (
        passage.into,
        passage.at,
        passage.rule,
        passage.event_source,
        passage.event_id,
    )


def _stored(record: MoveRecord, events: Mapping[tuple[str, str], Event]) -> Passage:
    source, id = record.event_source, record.event_id
    event = None if source is None or id is None else events.get((source, id))
    return Passage(
        record.n,
        record.out_of,
        record.into,
        record.at,
        record.recorded_at,
        record.rule,
        _trigger(event) if event is not None or id is None else "event",
        None if event is None else event.type,
        source,
        id,
        None if event is None else event.seq,
    )


def _trigger(event: Event | None) -> Trigger:
    if event is None:
        return "timer"
    if event.type == BY_HAND:
        return "hand"
    return "override" if event.type == OVERRIDE else "event"


def _from_opening(passages: Sequence[Passage], changes: Sequence[Change]) -> list[Change]:
    """Return the changes from the opening on, the first of them at it."""
    if not passages:
        return []
    opened_at = passages[0].at
    found = [change for change in changes if change.at >= opened_at]
    if not found or found[0].at > opened_at:
        found.insert(0, Change(opened_at))
    return found
