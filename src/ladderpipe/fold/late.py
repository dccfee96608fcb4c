"""What comes late to a baseline: folded where the deal stood when that was written (S12)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Final

from ..errors import GuardError, InvalidEventError
from ..ladder.machine import NOT_OPEN, Candidate
from ..model.event import DISCARDED, EDITED, TOLD, Event
from .closed import counts_when_closed, freeze, put_back
from .deal_data import DealData
from .draft import Draft
from .intake import SPECIAL, take
from .moves import NewMoves
from .observer import Observer
from .order import order_key
from .tellings import AMOUNTS, Tellings, changed_parts, parts_of, restore
from .timers import after_activity
from .watching import watcher
from .ways import enter, passes, ways_for

__all__ = ["step_late"]

_THAWS: Final = SPECIAL | {EDITED, TOLD}
"""What they say counts on a closed deal as on an open one."""


def step_late(
    draft: Draft, events: Sequence[Event], moves: NewMoves, observer: Observer | None = None
) -> None:
    """Fold ordered *events* that came late, where the deal stood when the baseline was written.

    No timer fires before that place. One that cannot be used is set aside.
    """
    base = draft.base
    if base is None or not events:
        return
    if observer is None:
        observer = watcher(draft)
    tellings = base.tellings(draft.ladder)
    for event in events:
        if event.type == DISCARDED:
            draft.passed = event
            if observer is not None:
                observer(draft, event, None, base.at)
            continue
        before = copy.deepcopy(draft.data)
        stood = _standing(draft)
        left = draft.rung
        frozen = freeze(draft) if left.is_closed and event.type not in _THAWS else None
        try:
            take(draft, event)
            winner = _late_winner(draft, event, before, tellings)
            into = None if winner is None else winner.into.stage
            if frozen is not None and counts_when_closed(
                draft.data, event, left.stage, into, frozen
            ):
                frozen = None
        except (GuardError, InvalidEventError) as error:
            error.event = event
            draft.last_event = None
            draft.set_aside(event, error, before)
            if observer is not None:
                observer(draft, event, None, base.at)
            continue
        draft.note_late(event, changed=False)
        if observer is not None:
            observer(draft, event, winner, base.at)
        if winner is not None:
            enter(draft, winner, base.at, event, moves, frozen)
        elif _is_of_the_visit(draft, event):
            if left.is_closed and event.type in draft.ladder.rungs[NOT_OPEN].by_trigger:
                draft.note_after_closing(event)
            is_newer = draft.activity_at is None or event.at > draft.activity_at
            if is_newer and draft.ladder.is_activity(event.type):
                draft.activity_at = event.at
            after_activity(draft, base.at, moves, observer, frozen)
        if frozen is not None and draft.rung.is_closed:
            put_back(draft, frozen)
        told = changed_parts(parts_of(before), parts_of(draft.data))
        draft.note_late(event, draft.stage is None or _standing(draft) != stood or bool(told))


def _standing(draft: Draft) -> tuple[object, ...]:
    """Return what an event can change of where a deal stands, data aside."""
    return draft.visit, draft.activity_at, frozenset(draft.blocked)


def _is_of_the_visit(draft: Draft, event: Event) -> bool:
    """Whether what came late happened in the visit that the baseline holds, or after it."""
    began = None if draft.base is None else draft.base.began
    if draft.stage is None or began is None:
        return draft.stage is not None
    return order_key(draft.ladder, event) > began.key(draft.ladder)


def _late_winner(
    draft: Draft, event: Event, before: DealData, tellings: Tellings
) -> Candidate | None:
    """Return the rule by which an event moves that came late; what was told since stays.

    Guards see the deal with what counts of the event: for a rule into a closed stage its amount
    does in any case.
    """
    assert draft.base is not None
    key = order_key(draft.ladder, event)
    was, now = parts_of(before), parts_of(draft.data)
    changed = changed_parts(was, now)
    stale = {part for part in changed if tellings.is_older(part, key)}
    closing = draft.data
    restore(closing, stale - AMOUNTS, was)
    staying = closing
    if stale & AMOUNTS:
        staying = copy.deepcopy(closing)
        restore(staying, stale & AMOUNTS, was)
    winner = None
    for candidate in ways_for(draft, event):
        is_closing = candidate.into.is_closed
        if draft.base.answer(draft.ladder, key, is_closing) is not None:
            continue
        draft.restore(closing if is_closing else staying)
        if candidate.unconditional or passes(candidate, draft, event):
            winner = candidate
            break
    draft.restore(closing if winner is not None and winner.into.is_closed else staying)
    tellings.note(event, changed - stale)
    return winner
