"""The fold: a deal's history as a pure function of its events, the ladder and a time.

No input or output, no clock, no randomness. A private mutable draft is stepped from event to
event and timer to timer, and frozen into records only when somebody asks.
"""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from ..errors import GuardError, InvalidEventError
from ..ladder.ladder import Ladder
from ..ladder.machine import NOT_OPEN, Candidate
from ..model.clock import instant
from ..model.event import (
    BASELINE,
    DISCARDED,
    EDITED,
    MERGED,
    PHASE_TIMER,
    TIMERS_FROM,
    TOLD,
    Event,
    told_instant,
)
from ..model.visit import Visit
from .baseline import in_turn
from .closed import Frozen, counts_when_closed, freeze, put_back
from .draft import Draft
from .intake import SPECIAL, reduce, take
from .late import step_late
from .moves import MovesMade, NewMoves
from .observer import Observer
from .order import in_order, order_key
from .reducer import ORDER
from .schedule import reschedule
from .timers import after_activity, fire
from .watching import watcher
from .ways import enter, merges_into_itself, passes, ways_for
from .withdrawals import is_told, standing

__all__ = ["Stops", "advance", "begin", "fold_all", "last_telling", "run", "step", "step_on"]

_OWN: Final = SPECIAL | {TOLD}
_SAYS_WHERE: Final = frozenset((BASELINE, TOLD))
"""What says where a deal stood, whatever was before: nearly no deal has any."""


class Stops(Protocol):
    """Where a fold stops on its way, for somebody to see how the deal stands there."""

    def split(self, events: Sequence[Event]) -> Iterable[Sequence[Event]]:
        """Divide ordered events; those of one instant stay together."""

    def reached(self, draft: Draft, moves: NewMoves, folded: Sequence[Event]) -> None:
        """See how the deal stands after a part of them, the next one being still to come."""


def run(
    ladder: Ladder,
    events: Iterable[Event],
    until: dt.datetime | str | None = None,
    observer: Observer | None = None,
) -> tuple[Draft | None, MovesMade, Visit | None]:
    """Fold one deal's events; return draft, moves, and the visit a baseline began in.

    An event whose guard or reducer raises is set aside: see ``draft.aside``.

    Raises:
        GuardError: the guard or the time of a timer raised.
        EventConflictError: one identity, two contents.
    """
    if until is not None:
        until = instant(until)
        events = [event for event in events if is_told(event, until)]
    ordered = in_order(ladder, events)
    if not ordered:
        return None, MovesMade("", 0, None), None
    draft, moves, start = fold_all(ladder, ordered[0].deal, ordered, observer)
    if until is not None:
        advance(draft, until, moves, observer)
    return draft, moves, start


def fold_all(
    ladder: Ladder,
    deal: str,
    ordered: Sequence[Event],
    observer: Observer | None = None,
    prepare: Callable[[Draft], None] | None = None,
    resume: Callable[[], Draft] | None = None,
    stops: Stops | None = None,
) -> tuple[Draft, NewMoves, Visit | None]:
    """Fold ordered events from the last baseline on, setting aside what cannot be used.

    Keeping the data as it was before every event would cost more than folding, so it is done only
    once an event was found that needs it, or when somebody watches and must not watch twice.

    Args:
        prepare: called with every draft before it is folded on.
        resume: returns the draft after all that sorts before these events, where that is known;
            none of them is a baseline or a withdrawal then.
        stops: where to stop on the way.

    Raises:
        GuardError: the guard or the time of a timer raised.
    """
    careful = observer is not None
    left = standing(ordered)
    ordered = left.events
    while True:
        if resume is None:
            draft, late, rest = begin(ladder, deal, ordered)
        else:
            draft, late, rest = resume(), (), ordered
            draft.telling = last_telling(ladder, ordered)
        if prepare is not None:
            prepare(draft)
        start = draft.current_visit()
        moves = NewMoves(draft)
        step_late(draft, late, moves, observer)
        try:
            step_on(draft, rest, moves, stops, observer, careful)
        except (GuardError, InvalidEventError) as error:
            if careful or error.event is None:
                raise
            careful = True
        else:
            if resume is None:
                draft.note_withdrawn(left)
            return draft, moves, start


def begin(
    ladder: Ladder, deal: str, events: Sequence[Event]
) -> tuple[Draft, Sequence[Event], Sequence[Event]]:
    """Return the draft to start from, what of the ordered *events* came late to it, and the rest.

    That is a deal not yet opened, or what the last baseline says. What is in that is left out; what
    sorts before it and is not comes late.
    """
    draft = Draft(ladder, deal)
    if _SAYS_WHERE.isdisjoint({event.type for event in events}):
        return draft, (), events
    baselines = in_turn(events)
    if not baselines:
        draft.telling = last_telling(ladder, events)
        return draft, (), events
    baseline = baselines[-1]
    draft = Draft.from_baseline(ladder, baseline)
    reschedule(draft)
    base = draft.base
    if base is None:
        # Of a former version: what is in it and what came late cannot be told apart.
        at = list(events).index(baseline)
        draft.late = {(event.source, event.id): False for event in events[:at]}
        draft.telling = last_telling(ladder, events[at + 1 :])
        return draft, (), events[at + 1 :]
    told = [event for event in events if event.type != BASELINE and not base.has_seen(event)]
    late = 0
    while late < len(told) and base.is_after(ladder, order_key(ladder, told[late])):
        late += 1
    draft.telling = last_telling(ladder, told[late:], base.renamed)
    return draft, told[:late], told[late:]


def last_telling(
    ladder: Ladder, events: Sequence[Event], renamed: Mapping[str, str] | None = None
) -> Event | None:
    """Return the last of these that says in which stage the deal was; see S13a.

    One that cannot be read will be set aside, and changes nothing.
    """
    for event in reversed(events):
        if event.type == TOLD:
            into = str(event.data.get("stage"))
            is_known = into in ladder.rungs or (renamed and into in renamed)
            with contextlib.suppress(InvalidEventError):
                told_instant(event, TIMERS_FROM)
                if is_known:
                    return event
    return None


def step(
    draft: Draft,
    events: Sequence[Event],
    moves: NewMoves,
    observer: Observer | None = None,
    careful: bool = False,
) -> None:
    """Fold ordered *events* onto *draft*, timers in between, adding the moves made to *moves*.

    Args:
        careful: set aside an event whose guard or reducer raises, instead of raising.

    Raises:
        GuardError: a guard raised; its ``event`` is ``None`` when it was a timer's.
        InvalidEventError: the reducer cannot understand an event.
    """
    if observer is None:
        observer = watcher(draft)
    for event in events:
        at = event.at
        if event.type == DISCARDED:
            draft.passed = event
            if observer is not None:
                observer(draft, event, None, at)
            continue
        due = draft.due_at
        if due is not None and due <= at and draft.telling is None:
            fire(draft, at, event.phase > PHASE_TIMER, moves, observer)
        last, draft.last_event = draft.last_event, event
        kept = copy.deepcopy(draft.data) if careful else None
        try:
            winner, frozen = _decide(draft, event)
        except (GuardError, InvalidEventError) as error:
            error.event = event
            if kept is None:
                raise
            draft.last_event = last
            draft.set_aside(event, error, kept)
            if observer is not None:
                observer(draft, event, None, at)
        else:
            if observer is not None:
                observer(draft, event, winner, at)
            if winner is not None:
                enter(draft, winner, at, event, moves, frozen)
            elif draft.rung.stage is not None:
                _stay(draft, event, moves, observer, frozen)
            if frozen is not None and draft.rung.is_closed:
                put_back(draft, frozen)
        if event is draft.telling:
            _end_of_telling(draft, event)


def step_on(
    draft: Draft,
    events: Sequence[Event],
    moves: NewMoves,
    stops: Stops | None,
    observer: Observer | None = None,
    careful: bool = False,
) -> None:
    """Do what :func:`step` does, and stop on the way.

    Raises:
        GuardError: as :func:`step` has it.
        InvalidEventError: as :func:`step` has it.
    """
    if stops is None:
        step(draft, events, moves, observer, careful)
        return
    before: Sequence[Event] | None = None
    for part in stops.split(events):
        if before is not None:
            stops.reached(draft, moves, before)
        step(draft, part, moves, observer, careful)
        before = part


def _decide(draft: Draft, event: Event) -> tuple[Candidate | None, Frozen | None]:
    """Take an event in; return the way it moves the deal on, and what of a closed deal it leaves.

    Raises:
        GuardError: a guard raised.
        InvalidEventError: the reducer cannot understand it.
    """
    kind = event.type
    left = draft.rung
    frozen = None
    ways: Sequence[Candidate]
    if kind in _OWN:
        ways = ways_for(draft, event)
        if kind == TOLD:
            told_instant(event, TIMERS_FROM)
        take(draft, event)
    else:
        minded = draft.ladder.reduces_without_data
        # To ask where a type begins takes ten times as long as whether the word is in it at all.
        is_minded = event.data or minded is None or kind in minded
        if is_minded or (ORDER in kind and kind.startswith(ORDER)):
            if left.is_closed and kind != EDITED:
                frozen = freeze(draft)
            reduce(draft, event)
        ways = left.by_trigger.get(kind, ())
        if kind == MERGED and merges_into_itself(event):
            ways = ()
    winner = None
    for way in ways:
        if way.unconditional or passes(way, draft, event):
            winner = way
            break
    if frozen is not None:
        into = None if winner is None else winner.into.stage
        if counts_when_closed(draft.data, event, left.stage, into, frozen):
            frozen = None
    return winner, frozen


def _stay(
    draft: Draft,
    event: Event,
    moves: NewMoves,
    observer: Observer | None,
    frozen: Frozen | None,
) -> None:
    """Note an event that moved nothing; it may free a timer that does."""
    rung = draft.rung
    if rung.is_closed and event.type in draft.ladder.rungs[NOT_OPEN].by_trigger:
        draft.note_after_closing(event)
    if draft.ladder.is_activity(event.type):
        draft.activity_at = event.at
    if rung.timers and draft.telling is None:
        after_activity(draft, event.at, moves, observer, frozen)


def _end_of_telling(draft: Draft, event: Event) -> None:
    """Let the ladder's rules hold again, from the last ``ladder.told`` on or as that says."""
    draft.telling = None
    draft.floor = max(event.at, told_instant(event, TIMERS_FROM) or event.at)
    if draft.stage is not None:
        reschedule(draft)


def advance(
    draft: Draft, until: dt.datetime, moves: NewMoves, observer: Observer | None = None
) -> None:
    """Fire every timer that is due up to and at *until*, adding the moves made to *moves*."""
    if observer is None:
        observer = watcher(draft)
    if draft.due_at is not None and draft.due_at <= until and draft.telling is None:
        fire(draft, until, True, moves, observer)
