"""Comparing one stored deal with the fold of its events; the first difference in words.

Reads nothing itself: :mod:`ladderpipe.board.verify` does.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise, zip_longest
from typing import Any, Final

import attrs

from ..errors import LadderError
from ..fold import fold as folding
from ..fold.order import in_order
from ..fold.withdrawals import standing
from ..model.clock import instant_text
from ..model.event import BASELINE, WITHDRAW, Event
from ..model.history import SetAside
from ..model.move import Move
from ..model.visit import visit_keys
from ..pipeline import Pipeline
from ..stores.base import Checkpoint, EffectRow, MoveRecord, StoredDeal
from .checkpoint import Comparison, is_of
from .customers import is_same, known_source, source_of
from .decision import Decision
from .stored import stored_until

__all__ = ["StoredHistory", "first_difference"]

_SAME_IN_ROW: Final = (
    "visit",
    "visit_key",
    "entered_at",
    "activity_at",
    "opened_at",
    "closed_at",
    "lost_from",
    "due_at",
    "horizon",
    "last_event_at",
    "cursor_at",
    "cursor_phase",
    "cursor_seq",
    "cursor_rung",
    "cursor_source",
    "cursor_id",
    "owner",
    "currency",
    "customer",
    "merged_into",
)
_SAME_IN_MOVE: Final = ("into", "at", "out_of", "rule", "event_source", "event_id", "visit_key")
_NEVER: Final = dt.datetime.max.replace(tzinfo=dt.UTC)


@attrs.frozen
class StoredHistory:
    """All that a store holds of one deal.

    Attributes:
        digests: of its events by identity; ``None`` for a forgotten one.
        aside: identities of the events that are set aside.
    """

    stored: StoredDeal
    document: Mapping[str, Any]
    events: Sequence[Event]
    digests: Mapping[tuple[str, str], str | None]
    moves: Sequence[MoveRecord]
    effects: Sequence[EffectRow]
    aside: Collection[tuple[str, str]] = ()
    checkpoints: Sequence[Checkpoint] = ()


def first_difference(pipeline: Pipeline, found: StoredHistory) -> str | None:
    """Return in words the first thing that is not as the fold says; ``None`` if all of it is."""
    return next(_differences(pipeline, found), None)


def _differences(pipeline: Pipeline, found: StoredHistory) -> Iterator[str]:
    if found.stored.removed_at is not None:
        yield from _left_of_tombstone(found)
        return
    yield from _altered_events(found)
    try:
        folded = _fold(pipeline, found)
    except LadderError as error:
        yield f"its events cannot be folded any more: {error}"
        return
    yield from _aside(found, folded)
    yield from _moves(found, folded)
    yield from _tiling(found.moves)
    yield from _row(pipeline, found, folded)
    yield from _document(found.document, folded.document)
    yield from _effects(found)
    yield from _checkpoints(found, folded)


def _aside(found: StoredHistory, folded: _Folded) -> Iterator[str]:
    for identity, aside in folded.aside.items():
        if identity not in found.aside:
            yield f"{_event(aside.event)} cannot be used any more: {aside.reason}"
    for source, id in found.aside:
        if (source, id) in folded.asked and (source, id) not in folded.aside:
            yield f"event {id!r} (source {source!r}) is set aside, and the fold can use it"


def _left_of_tombstone(found: StoredHistory) -> Iterator[str]:
    for name in ("events", "moves", "effects", "checkpoints", "document"):
        left = getattr(found, name)
        if left:
            yield f"it was removed, and {len(left)} of its {name} are still stored"
    bare = StoredDeal(found.stored.id, found.stored.deal, removed_at=found.stored.removed_at)
    for name in StoredDeal._fields:
        if getattr(found.stored, name) != getattr(bare, name):
            yield f"it was removed, and its {name} is still stored"


def _altered_events(found: StoredHistory) -> Iterator[str]:
    for event in found.events:
        digest = found.digests.get((event.source, event.id))
        if digest is not None and digest != event.digest():
            yield (
                f"{_event(event)} at {_at(event.at)} was altered after it was recorded: type, "
                "time or data do not give its digest"
            )


@attrs.frozen
class _Folded:
    """What the fold says should be stored.

    Attributes:
        asked: identities of the events since the last baseline; of others the fold says nothing.
        checkpoints: those of this definition, each as it is stored and as it should be.
    """

    row: StoredDeal
    document: Mapping[str, Any]
    moves: Sequence[MoveRecord]
    base: int
    causes: Mapping[int, str]
    aside: Mapping[tuple[str, str], SetAside]
    asked: Collection[tuple[str, str]]
    checkpoints: Sequence[tuple[Checkpoint, Checkpoint | None]]


def _fold(pipeline: Pipeline, found: StoredHistory) -> _Folded:
    stored = found.stored
    ordered = in_order(pipeline.ladder, found.events)
    points = [each for each in found.checkpoints if is_of(each, pipeline)]
    has_baseline = any(event.type == BASELINE for event in ordered)
    stops = Comparison(known_source(stored.customer) if has_baseline else "", points)
    draft, rows, start = folding.fold_all(
        pipeline.ladder,
        stored.deal,
        ordered,
        prepare=lambda _: stops.begin(),
        stops=stops,
    )
    base, base_key = 0 if start is None else start.n, draft.visit_key
    until = stored_until(stored)
    if until is not None:
        folding.advance(draft, until, rows)
    draft.changed = True
    keys = visit_keys(base_key, rows)
    source = source_of(ordered, known_source(stored.customer), "")
    decision = Decision(stored, draft, rows, keys, stored.swept_to, source=source)
    change = decision.change(pipeline, _NEVER, stored.has_effects)
    causes = {row.n: _cause(row) for row in rows}
    document = json.loads(change.document or "{}")
    left = standing(ordered)
    _, late, rest = folding.begin(pipeline.ladder, stored.deal, left.events)
    asked = {(event.source, event.id) for event in (*late, *rest)}
    asked |= {(event.source, event.id) for event in ordered if event.type == WITHDRAW}
    should = {each.at: each for each in stops.checkpoints(pipeline, base_key, keys)}
    checkpoints = [(point, should.get(point.at)) for point in points]
    moves = change.moves
    return _Folded(change.deal, document, moves, base, causes, draft.aside, asked, checkpoints)


def _moves(found: StoredHistory, folded: _Folded) -> Iterator[str]:
    """Compare the moves since the last baseline."""
    stored = [move for move in found.moves if move.n > folded.base]
    for is_, should in zip_longest(stored, folded.moves):
        if should is None:
            yield f"{_visit(is_)} is stored, and the fold makes no such move"
            return
        why = f"because of {folded.causes[should.n]}"
        if is_ is None or is_.n != should.n:
            yield f"no visit {should.n} is stored, and the fold says {_where(should)} {why}"
            return
        if (is_.into, is_.at) != (should.into, should.at):
            yield f"visit {is_.n} is stored {_where(is_)}, the fold says {_where(should)} {why}"
        for name in _SAME_IN_MOVE:
            if getattr(is_, name) != getattr(should, name):
                yield (
                    f"{_visit(is_)} is stored with {name} {getattr(is_, name)!r}, the fold says "
                    f"{getattr(should, name)!r} {why}"
                )


def _tiling(moves: Sequence[MoveRecord]) -> Iterator[str]:
    """Check that visits follow one another: each ends where the next begins, the last goes on."""
    for n, move in enumerate(moves, 1):
        if move.n != n:
            yield f"visit {n} is missing: {_visit(move)} stands in its place"
    for left, entered in pairwise(moves):
        if entered.out_of != left.into:
            yield f"{_visit(entered)} came out of {entered.out_of}, and before it was {left.into}"
        if entered.at < left.at:
            yield f"{_visit(entered)} begins before {_visit(left)}"


def _row(pipeline: Pipeline, found: StoredHistory, folded: _Folded) -> Iterator[str]:
    is_, should = found.stored, folded.row
    if is_.stage != should.stage:
        why = folded.causes.get(should.visit, "its baseline")
        says = f"{_stage(should)} because of {why}" if should.stage else "it is not open"
        yield f"stored {_stage(is_)}, the fold says {says}"
    for name in _SAME_IN_ROW:
        if name == "customer" and (is_.customer is None or is_same(is_.customer, should.customer)):
            continue  # one from before customers were known is worked out by a sweep
        if getattr(is_, name) != getattr(should, name):
            yield (
                f"its {name} is stored as {_shown(getattr(is_, name))}, the fold says "
                f"{_shown(getattr(should, name))}"
            )
    # Former versions kept the time of a baseline after its visit, where it does not matter.
    former = {event.at for event in found.events if event.type == BASELINE and folded.moves}
    if is_.baseline_at != should.baseline_at and is_.baseline_at not in former:
        yield (
            f"its baseline_at is stored as {_shown(is_.baseline_at)}, the fold says "
            f"{_shown(should.baseline_at)}"
        )
    # An earlier release stored zero for what is not known.
    if Decimal(is_.value or 0) != Decimal(should.value or 0):
        yield f"its value is stored as {is_.value}, the fold says {should.value}"
    if _notes(is_.timers) != _notes(should.timers):
        yield f"its timers are noted as {is_.timers}, the fold says {should.timers}"
    if is_.definition not in (None, pipeline.fingerprint):
        yield "it was written under another definition of the pipeline: finish board.migrate"
    if found.moves and is_.stage is not None:
        last = found.moves[-1]
        stands = (is_.visit, is_.visit_key, is_.stage, is_.entered_at)
        if (last.n, last.visit_key, last.into, last.at) != stands:
            yield f"stored {_stage(is_)}, and its last visit is {last.n} {_where(last)}"
    if found.moves and is_.stage is None:
        yield f"it is not open, and has visits, such as {_visit(found.moves[-1])}"


def _notes(timers: str | None) -> dict[str, list[str]]:
    return {name: sorted(keys) for name, keys in json.loads(timers or "{}").items()}


def _document(is_: Mapping[str, Any], should: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*is_, *should}):
        if is_.get(name) != should.get(name):
            yield (
                f"its {name} is stored as {_shown(is_.get(name))}, the fold says "
                f"{_shown(should.get(name))}"
            )


def _effects(found: StoredHistory) -> Iterator[str]:
    """Check where effects belong: each to a visit, and none waits whose visit is over."""
    visits = {move.visit_key: move for move in found.moves}
    for effect in found.effects:
        if effect.phase != "into" or effect.state not in ("pending", "open") or effect.attempts:
            continue
        visit = visits.get(effect.visit_key)
        what = f"effect {effect.name!r} ({effect.key})"
        if visit is None:
            yield f"{what} is {effect.state} for a visit that the deal does not have"
        elif effect.run_to_completion:
            continue
        elif effect.state == "open" and visit is not found.moves[-1]:
            yield f"{what} is still open, and {_visit(visit)} has ended"
        elif visit is found.moves[-1] and not found.stored.has_effects:
            yield f"{what} waits in {_visit(visit)}, and the deal's row says that none does"


def _checkpoints(found: StoredHistory, folded: _Folded) -> Iterator[str]:
    """Compare what a late event would be folded from."""
    is_cut = any(event.type == BASELINE for event in found.events)
    for is_, should in folded.checkpoints:
        what = f"its checkpoint at {_at(is_.at)}"
        mend = "remove it from the checkpoints, which can be made again"
        if should is None:
            yield f"{what} is of a merged deal, from which nothing is folded: {mend}"
            continue
        has, wanted = (json.loads(each.state) for each in (is_, should))
        if is_cut:
            # Which source told of the customer before a baseline nobody knows any more.
            wanted["source"] = has.get("source")
        for name in sorted({*has, *wanted}):
            if has.get(name) != wanted.get(name):
                yield (
                    f"{what} has {name} {_shown(has.get(name))}, the fold says "
                    f"{_shown(wanted.get(name))}: {mend}"
                )
        for difference in _document(json.loads(is_.data), json.loads(should.data)):
            yield f"{what} is not the fold: {difference}: {mend}"


def _cause(row: Move) -> str:
    event = row.event
    return f"the timer of rule {row.rule!r}" if event is None else _event(event)


def _event(event: Event) -> str:
    source = f" of {event.source!r}" if event.source else ""
    return f"event {event.id!r}{source} ({event.type})"


def _visit(move: MoveRecord) -> str:
    return f"visit {move.n} in {move.into}"


def _where(move: MoveRecord) -> str:
    return f"in {move.into} since {_at(move.at)}"


def _stage(row: StoredDeal) -> str:
    if row.stage is None:
        return "as not open"
    return f"in {row.stage} since {_shown(row.entered_at)}"


def _at(at: dt.datetime) -> str:
    return instant_text(at)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dt.datetime):
        return _at(value)
    text = str(value) if isinstance(value, int) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:199]}…"
