"""Baselines: events that carry a deal's whole fold state, after which the past is not folded."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter

import attrs

from ..errors import GuardError, HookError, InvalidEventError, ReentrancyError
from ..fold.baseline import Baseline, in_turn, marks
from ..fold.deal_data import DealData
from ..fold.draft import Draft
from ..fold.order import Cause, in_order, order_key
from ..fold.schedule import reschedule
from ..fold.tellings import EVERYTHING, last_told
from ..fold.withdrawals import standing
from ..ladder.ladder import Ladder
from ..model.event import BASELINE, OWN_SOURCE, Event
from ..stores.base import MoveRecord, StoredDeal, Transaction
from .hold import held_rows
from .unit import Unit

__all__ = ["Past", "baseline_event", "folded_anew", "past_of", "pasts_of", "write_baseline"]


@attrs.frozen
class Past:
    """What a baseline is written after.

    Attributes:
        events: all that are stored of the deal.
        moves: all that are stored.
        aside: identities of the events that could not be used: they are asked anew.
    """

    events: Sequence[Event]
    moves: Sequence[MoveRecord]
    aside: Collection[tuple[str, str]] = ()


def pasts_of(unit: Unit, deals: Sequence[StoredDeal]) -> Iterator[tuple[StoredDeal, Past]]:
    """Yield deals with their pasts, read together."""
    transaction, ids = unit.transaction, [stored.id for stored in deals]
    events, moves = transaction.events_of(ids), transaction.moves_of(ids)
    has_aside = "aside" in transaction.count_held(unit.number)
    for stored in deals:
        told = [event for event, _ in events.get(stored.id, ())]
        aside = aside_of(transaction, unit.number, stored.deal) if has_aside else ()
        yield stored, Past(told, moves.get(stored.id, ()), aside)


def past_of(unit: Unit, stored: StoredDeal) -> Past:
    """Return a deal's past."""
    return next(past for _, past in pasts_of(unit, [stored]))


def aside_of(transaction: Transaction, number: int, deal: str) -> set[tuple[str, str]]:
    """Return the identities of a deal's events that are set aside in their place."""
    return {(row.source, row.id) for row in held_rows(transaction, number, deal) if not row.data}


def folded_anew(unit: Unit, stored: StoredDeal, may_open: bool) -> bool:
    """Fold a deal that waits once more from its events, and return whether that was possible.

    It has no past that a baseline would have to keep.

    Args:
        may_open: whether it may be open afterwards.
    """
    if stored.stage is not None:
        return False
    try:
        with unit.attempt():
            return unit.decide_anew(stored, may_open)
    except (GuardError, InvalidEventError, HookError, ReentrancyError):
        if not unit.transaction.is_usable:
            raise
        return False


def write_baseline(
    unit: Unit,
    stored: StoredDeal,
    draft: Draft,
    past: Past,
    renamed: Mapping[str, str] | None = None,
    erased: Callable[[str], str] = str,
) -> None:
    """Store *draft* as the deal's new baseline, where the deal stood.

    Args:
        renamed: the stages that get other names by it.
        erased: what becomes of the name of a part of the deal's data.
    """
    event = baseline_event(draft, past, unit.now, renamed, erased)
    unit.add_event(stored, event)
    carried = Draft.from_baseline(unit.pipeline.ladder, event)
    reschedule(carried)
    carried.load(lambda: draft.document)
    carried.changed = True
    carried.withdrawn = draft.withdrawn
    unit.note_baseline(stored, carried)
    told = standing(in_order(unit.pipeline.ladder, [*past.events, event])).events
    base = carried.base
    if base is None or not all(each.type == BASELINE or base.has_seen(each) for each in told):
        # What was set aside is asked anew.
        unit.flush()
        row = unit.transaction.load_by_id(stored.id)
        assert row is not None
        unit.decide_again(*row)


def baseline_event(
    draft: Draft,
    past: Past,
    now: dt.datetime,
    renamed: Mapping[str, str] | None = None,
    erased: Callable[[str], str] = str,
) -> Event:
    """Return the event that carries *draft*; the arguments are those of :func:`write_baseline`."""
    held = _held(draft, past, now, renamed or {})
    held = attrs.evolve(held, told={erased(part): cause for part, cause in held.told.items()})
    name = hashlib.blake2b(draft.deal.encode(), digest_size=8).hexdigest()
    return Event(
        BASELINE,
        deal=draft.deal,
        id=f"baseline-{name}-{held.number}",
        at=held.at,
        source=OWN_SOURCE,
        data={"state": draft.to_state(), **held.to_json()},
    )


def _held(draft: Draft, past: Past, now: dt.datetime, renamed: Mapping[str, str]) -> Baseline:
    """Return what the new baseline holds beside the deal's state."""
    ladder, cursor = draft.ladder, draft.cursor
    baselines = in_turn(past.events)
    former = baselines[-1] if baselines else None
    base = None if former is None else Baseline.of(former)
    # One that is later than all that was folded is one whose fold was cut short.
    told = standing(in_order(ladder, past.events)).events
    cut_short = {
        (event.source, event.id)
        for event in told
        if (cursor is None or event.at > cursor[0])
        and (base is None or not base.is_after(ladder, order_key(ladder, event)))
    }
    unseen = cut_short.union(past.aside)
    seen = [
        event for event in told if event.type != BASELINE and (event.source, event.id) not in unseen
    ]
    former_ones = [event for event in baselines if Baseline.of(event) is None]
    # By the ladder as it is now: another one may have had another order within an instant.
    last = max((*seen, *former_ones), key=functools.partial(order_key, ladder), default=None)
    moves = past.moves
    if base is not None and former is not None:
        moves = [move for move in moves if move.n > former.data["state"]["visit"]]
    causes = _Causes(past.events)
    began = causes.of_the_last(moves)
    settled = causes.of_the_last(_settling(ladder, moves, renamed))
    if base is not None:
        began, settled = began or base.began, settled or base.settled
    return Baseline(
        number=len(baselines) + 1,
        written_at=now,
        last=None if last is None else Cause.of(last),
        horizon=_tried_until(draft, last),
        began=began,
        settled=settled,
        told=_told(ladder, seen, former, base),
        renamed=_renamed(base, renamed),
        seen=marks(seen),
    )


def _tried_until(draft: Draft, last: Event | None) -> dt.datetime | None:
    """Return when the last timer was tried; it began the visit, if no event that is known did."""
    began, tried = draft.entered_at, draft.horizon
    seen = (tried, None if last is None else last.at)
    if began is None or any(at is not None and at >= began for at in seen):
        return tried
    return began


class _Causes:
    """What made stored moves."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._events = {(event.source, event.id): event for event in events}

    def of_the_last(self, moves: Iterable[MoveRecord]) -> Cause | None:
        """Return what made the last of *moves*."""
        move = max(moves, key=attrgetter("n"), default=None)
        if move is None:
            return None
        event = self._events.get((move.event_source or "", move.event_id or ""))
        return Cause(move.at, rule=move.rule) if event is None else Cause.of(event)


def _settling(
    ladder: Ladder, moves: Iterable[MoveRecord], renamed: Mapping[str, str]
) -> Iterator[MoveRecord]:
    """Yield the moves that won the deal or took it out of a closed stage."""
    for move in moves:
        into = ladder.rungs[renamed.get(move.into, move.into)].stage
        out_of = move.out_of and ladder.rungs[renamed.get(move.out_of, move.out_of)].stage
        if (into and into.status == "won") or (out_of and out_of.is_closed):
            yield move


def _told(
    ladder: Ladder, seen: Iterable[Event], former: Event | None, base: Baseline | None
) -> Mapping[str, Cause]:
    """Return what told each part of the deal's data last."""
    events = in_order(ladder, seen)
    if former is None:
        return last_told(ladder, events, {}, DealData())
    if base is None:
        after = order_key(ladder, former)
        known = {EVERYTHING: Cause.of(former)}
        events = [event for event in events if order_key(ladder, event) > after]
    else:
        known = dict(base.told)
        events = [event for event in events if not base.has_seen(event)]
    return last_told(ladder, events, known, DealData.from_dict(former.data["state"]["data"]))


def _renamed(base: Baseline | None, renamed: Mapping[str, str]) -> dict[str, str]:
    """Return all renames so far, by the oldest name of each stage."""
    before = {} if base is None else base.renamed
    return {**{old: renamed.get(new, new) for old, new in before.items()}, **renamed}
