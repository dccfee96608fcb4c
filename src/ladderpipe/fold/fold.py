"""The fold: a deal's history as a pure function of its events, the ladder and a time.

No input or output, no clock, no randomness. A private mutable draft is stepped from event to
event and timer to timer, and frozen into records only when somebody asks.
"""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final, Literal, TypeAlias

from ..errors import EventConflictError, GuardError, InvalidEventError, LadderError, shown
from ..ladder.ladder import Ladder
from ..ladder.machine import HAND_PREFIX, NOT_OPEN, Candidate, Rung, missing
from ..ladder.rules import VisitTimes
from ..model.clock import instant
from ..model.deal import Deal, Unread
from ..model.event import (
    BASELINE,
    BY_HAND,
    DISCARDED,
    EDITED,
    MERGED,
    OVERRIDE,
    PHASE_HAND,
    PHASE_TIMER,
    TIMERS_FROM,
    TOLD,
    Event,
    told_instant,
)
from ..model.stage import Stage
from ..model.visit import Visit
from .baseline import in_turn
from .deal_data import DealData, Taken, Worth
from .draft import Draft, OrderKey, order_key
from .moves import MovesMade, NewMoves
from .reducer import ORDER, corrects, keep_correction_aside
from .tellings import AMOUNTS, Tellings, changed_parts, parts_of, restore
from .withdrawals import is_told, standing

__all__ = [
    "Observer",
    "advance",
    "begin",
    "counts_when_closed",
    "fold_all",
    "freeze",
    "in_order",
    "last_telling",
    "order_key",
    "passes",
    "put_back",
    "run",
    "step",
    "step_late",
    "take_in",
]

Observer: TypeAlias = "Callable[[Draft, Event | Candidate, Candidate | None, dt.datetime], None]"
"""Told of every decision before it is carried out: the draft, the event or timer that asked,
the winner if there is one, and the instant."""

Frozen: TypeAlias = "tuple[Worth, Taken | None, tuple[Unread, ...]]"
"""What a deal that is closed is worth, with what belongs to it, as it was before an event."""

_at = attrgetter("at")
_SPECIAL: Final = frozenset((BY_HAND, OVERRIDE, BASELINE, DISCARDED))
_THAWS: Final = _SPECIAL | {EDITED, TOLD}
"""What they say counts on a closed deal as on an open one."""


def in_order(ladder: Ladder, events: Iterable[Event]) -> list[Event]:
    """Return one deal's events in their one order, each once; of copies the lowest ``seq``.

    Raises:
        EventConflictError: two events share an identity and differ in content.
        ValueError: the events belong to several deals.
    """
    found = list(events)
    deals = {event.deal for event in found}
    if len(deals) > 1:
        raise ValueError(
            f"these events belong to {len(deals)} deals, and fold takes one deal's: "
            "use replay(events) for many"
        )
    if len({event.id for event in found}) < len(found):
        found = _without_duplicates(found)
    found.sort(key=_at)
    start = 0
    for end in range(1, len(found) + 1):
        if end == len(found) or found[end].at != found[start].at:
            if end - start > 1:
                found[start:end] = sorted(
                    found[start:end], key=lambda event: order_key(ladder, event)
                )
            start = end
    return found


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
) -> tuple[Draft, NewMoves, Visit | None]:
    """Fold ordered events from the last baseline on, setting aside what cannot be used.

    Keeping the data as it was before every event would cost more than folding, so it is done only
    once an event was found that needs it, or when somebody watches and must not watch twice.

    Args:
        prepare: called with every draft before it is folded on.

    Raises:
        GuardError: the guard or the time of a timer raised.
    """
    careful = observer is not None
    left = standing(ordered)
    ordered = left.events
    while True:
        draft, late, rest = begin(ladder, deal, ordered)
        if prepare is not None:
            prepare(draft)
        start = draft.current_visit()
        moves = NewMoves(draft)
        step_late(draft, late, moves, observer)
        try:
            step(draft, rest, moves, observer, careful)
        except (GuardError, InvalidEventError) as error:
            if careful or error.event is None:
                raise
            careful = True
        else:
            draft.note_withdrawn(left)
            return draft, moves, start


def begin(
    ladder: Ladder, deal: str, events: Sequence[Event]
) -> tuple[Draft, Sequence[Event], Sequence[Event]]:
    """Return the draft to start from, what of the ordered *events* came late to it, and the rest.

    That is a deal not yet opened, or what the last baseline says. What is in that is left out; what
    sorts before it and is not comes late.
    """
    baselines = in_turn(events)
    if not baselines:
        draft = Draft(ladder, deal)
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
    """Return the last of these that says in which stage the deal was; see S13a."""
    for event in reversed(events):
        if event.type == TOLD:
            into = str(event.data.get("stage"))
            if into in ladder.rungs or (renamed and into in renamed):
                return event
    return None


def step_late(
    draft: Draft, events: Sequence[Event], moves: NewMoves, observer: Observer | None = None
) -> None:
    """Fold ordered *events* that came late, where the deal stood when the baseline was written.

    No timer fires before that place. One that cannot be used is set aside.
    """
    base = draft.base
    if base is None or not events:
        return
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
            _take(draft, event)
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
            _enter(draft, winner, base.at, event, moves, frozen)
        elif _is_of_the_visit(draft, event):
            if left.is_closed and event.type in draft.ladder.rungs[NOT_OPEN].by_trigger:
                draft.note_after_closing(event)
            is_newer = draft.activity_at is None or event.at > draft.activity_at
            if is_newer and draft.ladder.is_activity(event.type):
                draft.activity_at = event.at
            _after_activity(draft, base.at, moves, observer, frozen)
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
    for candidate in _candidates(draft, event):
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


def _candidates(draft: Draft, event: Event) -> Sequence[Candidate]:
    """Return the ways on which an event may move the deal from where it stands."""
    if event.type == TOLD:
        return _told(draft, event)
    if event.type not in _SPECIAL:
        itself = merges_into_itself(event)
        return () if itself else draft.rung.by_trigger.get(event.type, ())
    into = str(event.data.get("into"))
    if draft.base is not None and into not in draft.ladder.rungs:
        into = draft.base.renamed.get(into, into)
    if event.type == OVERRIDE:
        past_the_rules = draft.ladder.override_candidate(into)
        return () if past_the_rules is None else (past_the_rules,)
    return draft.rung.by_trigger.get(HAND_PREFIX + into, ())


def _told(draft: Draft, event: Event) -> Sequence[Candidate]:
    """Return the way into the stage that another system says the deal was in.

    Raises:
        InvalidEventError: the ladder has no such stage.
    """
    stage = event.data.get("stage")
    if stage is None:
        return ()
    into = str(stage)
    if draft.base is not None and into not in draft.ladder.rungs:
        into = draft.base.renamed.get(into, into)
    found = draft.ladder.told_candidate(into)
    if found is None:
        raise InvalidEventError(
            f"event {event.id!r} says that deal {event.deal!r} was in stage {into!r}, which "
            f"pipeline {draft.ladder.name!r} does not have: tell it with one that it has"
        )
    return () if found.into is draft.rung else (found,)


def _end_of_telling(draft: Draft, event: Event) -> None:
    """Let the ladder's rules hold again, from the last ``ladder.told`` on or as that says."""
    draft.telling = None
    floor = event.at
    # One that says no instant was set aside, if that was where it failed.
    with contextlib.suppress(InvalidEventError):
        floor = max(floor, told_instant(event, TIMERS_FROM) or floor)
    draft.floor = floor
    if draft.stage is not None:
        reschedule(draft)


def step(
    draft: Draft,
    events: Sequence[Event],
    moves: NewMoves,
    observer: Observer | None = None,
    careful: bool = False,
) -> None:
    """Fold ordered *events* onto *draft*, timers in between, appending the moves made.

    Args:
        careful: set aside an event whose guard or reducer raises, instead of raising.

    Raises:
        GuardError: a guard raised; its ``event`` is ``None`` when it was a timer's.
        InvalidEventError: the reducer cannot understand an event.
    """
    reduces = draft.ladder.reduces_without_data
    for event in events:
        at = event.at
        kind = event.type
        special = kind in _SPECIAL
        if kind == DISCARDED:
            draft.passed = event
            if observer is not None:
                observer(draft, event, None, at)
            continue
        by_hand = special or kind == EDITED
        if (
            draft.due_at is not None
            and draft.telling is None
            and (draft.due_at < at or (by_hand and draft.due_at == at))
        ):
            _fire(draft, at, by_hand, moves, observer)
        last, draft.last_event = draft.last_event, event
        rung = draft.rung
        frozen = None
        kept = copy.deepcopy(draft.data) if careful else None
        try:
            if special:
                winner = _by_hand(draft, event)
            elif kind == TOLD:
                ways = _told(draft, event)
                told_instant(event, TIMERS_FROM)
                _reduce(draft, event)
                winner = ways[0] if ways else None
            else:
                if event.data or reduces is None or kind in reduces or kind.startswith(ORDER):
                    if rung.is_closed and kind != EDITED:
                        frozen = freeze(draft)
                    _reduce(draft, event)
                winner = None
                candidates = rung.by_trigger.get(kind)
                if candidates is not None and not merges_into_itself(event):
                    for candidate in candidates:
                        if candidate.unconditional or passes(candidate, draft, event):
                            winner = candidate
                            break
                if frozen is not None:
                    into = None if winner is None else winner.into.stage
                    if counts_when_closed(draft.data, event, rung.stage, into, frozen):
                        frozen = None
        except (GuardError, InvalidEventError) as error:
            error.event = event
            if kept is None:
                raise
            draft.last_event = last
            draft.set_aside(event, error, kept)
            if observer is not None:
                observer(draft, event, None, at)
            if event is draft.telling:
                _end_of_telling(draft, event)
            continue
        if observer is not None:
            observer(draft, event, winner, at)
        if winner is not None:
            _enter(draft, winner, at, event, moves, frozen)
        elif rung.stage is not None:
            if rung.is_closed and kind in draft.ladder.rungs[NOT_OPEN].by_trigger:
                draft.note_after_closing(event)
            if draft.ladder.is_activity(kind):
                draft.activity_at = at
            if rung.timers and draft.telling is None:
                _after_activity(draft, at, moves, observer, frozen)
        if frozen is not None and draft.rung.is_closed:
            put_back(draft, frozen)
        if event is draft.telling:
            _end_of_telling(draft, event)


def merges_into_itself(event: Event) -> bool:
    """Return whether an event says that a deal was merged into itself, which moves nothing."""
    return event.type == MERGED and event.data.get("into") == event.deal


def freeze(draft: Draft) -> Frozen:
    """Return what an event cannot change while the deal is closed, before the event is taken in."""
    data = draft.data
    return data.worth(), data.taken, data.unread


def put_back(draft: Draft, frozen: Frozen) -> None:
    """Make cart, value and currency what they were."""
    draft.data.put_back(*frozen)


def counts_when_closed(
    data: DealData, event: Event, left: Stage | None, into: Stage | None, frozen: Frozen
) -> bool:
    """Return whether what an event said of cart and amounts stays, though the deal was closed.

    It does if the event opens the deal again, wins it, or corrects it. A correction in another
    currency than the deal's is kept aside; only a hand relabels.

    Args:
        left: the stage that the deal was in.
        into: the stage that the event moves it into, if any.
    """
    if into is not None and not into.is_closed:
        return True
    if not corrects(event):
        return False
    currency = frozen[0].currency
    is_won = into is not None and into.status == "won" and left is not None and left.status != "won"
    if not is_won and event.type != EDITED and currency not in (None, data.currency):
        told = data.currency
        data.put_back(*frozen)
        keep_correction_aside(data, event, told)
    return True


def advance(
    draft: Draft, until: dt.datetime, moves: NewMoves, observer: Observer | None = None
) -> None:
    """Fire every timer that is due up to and at *until*, appending the moves made."""
    if draft.due_at is not None and draft.due_at <= until and draft.telling is None:
        _fire(draft, until, True, moves, observer)


def _fire(
    draft: Draft,
    limit: dt.datetime,
    at_limit_too: bool,
    moves: NewMoves,
    observer: Observer | None,
) -> None:
    while (due := draft.due_at) is not None and (due < limit or (at_limit_too and due == limit)):
        timer = draft.next_timer
        if timer is None:
            # Of a stored deal only the time is known.
            _schedule(draft)
            continue
        draft.horizon = due
        passed = not draft.has_fired(timer, due) and passes(timer, draft, None)
        if observer is not None:
            observer(draft, timer, timer if passed else None, due)
        if passed:
            draft.note_fired(timer, due)
            _enter(draft, timer, due, None, moves)
        else:
            draft.blocked = (*draft.blocked, timer.key)
            _schedule(draft)


def _after_activity(
    draft: Draft,
    at: dt.datetime,
    moves: NewMoves,
    observer: Observer | None,
    frozen: Frozen | None,
) -> None:
    """Rearm timers that count from activity, then try the blocked ones again."""
    if draft.rung.rearms:
        if draft.blocked:
            draft.blocked = tuple(
                timer.key
                for timer in draft.rung.timers
                if timer.key in draft.blocked and not _is_later(_due(draft, timer), at)
            )
        _schedule(draft)
    if not draft.blocked:
        return
    for timer in draft.rung.timers:
        if timer.key not in draft.blocked or draft.has_fired(timer, at):
            continue
        passed = passes(timer, draft, None)
        if observer is not None:
            observer(draft, timer, timer if passed else None, at)
        if passed:
            draft.note_fired(timer, at)
            _enter(draft, timer, at, None, moves, frozen)
            return


def _is_later(due: dt.datetime | None, at: dt.datetime) -> bool:
    return due is None or due > at


def _schedule(draft: Draft) -> None:
    """Find the next timer of the visit that was not yet tried: by due time, then rule order."""
    best: dt.datetime | None = None
    draft.next_timer = None
    for timer in draft.rung.timers:
        if timer.key in draft.blocked:
            continue
        due = _due(draft, timer)
        if due is not None and draft.floor is not None:
            due = max(due, draft.floor)
        if due is not None and (best is None or due < best):
            best, draft.next_timer = due, timer
    draft.due_at = best


def _due(draft: Draft, timer: Candidate) -> dt.datetime | None:
    assert draft.entered_at and draft.activity_at and draft.opened_at
    times = VisitTimes(draft.entered_at, draft.activity_at, draft.opened_at)
    try:
        due = timer.rule.trigger.due_at(times)  # type: ignore[union-attr]
        if due is None:
            return None
        due = instant(due)
    except OverflowError:
        return None
    except Exception as error:
        raise GuardError(
            f"the timer of rule {timer.key!r} raised {shown(error)} for deal {draft.deal!r}: "
            "mend due_at"
        ) from error
    return max(due, draft.entered_at)


def passes(candidate: Candidate, draft: Draft, event: Event | None) -> bool:
    """Return whether a rule's guard holds and its target's requirements are filled.

    Raises:
        GuardError: the guard raised.
    """
    if candidate.guard is not None:
        try:
            if not candidate.guard.holds(draft, event):
                return False
        except Exception as error:
            asked = "a timer" if event is None else f"event {event.id!r}"
            raise GuardError(
                f"the guard of rule {candidate.key!r} raised {shown(error)} for deal "
                f"{draft.deal!r} ({asked}): a guard must answer for every deal"
            ) from error
    unfilled = missing(candidate.requires, draft.data) if candidate.requires else ()
    if unfilled and event is not None and candidate.into.stage is not None:
        draft.note_unfilled(event, candidate.into.stage, unfilled)
    return not unfilled


def _reduce(draft: Draft, event: Event) -> None:
    draft.changed = True
    try:
        draft.ladder.reducer(draft.data, event)
        if draft.ladder.reduces_without_data is None:
            draft.data.check()
    except LadderError as error:
        raise _refused(event, error) from error
    except Exception as error:
        raise InvalidEventError(
            f"the reducer cannot understand event {event.id!r} ({event.type}) for deal "
            f"{event.deal!r}: {shown(error)}"
        ) from error


def _refused(event: Event, error: LadderError) -> InvalidEventError:
    return InvalidEventError(
        f"event {event.id!r} ({event.type}) for deal {event.deal!r} is refused: {error}"
    )


def take_in(draft: Draft, event: Event) -> None:
    """Let *draft* know what an event says of the deal, whatever it may move.

    Raises:
        InvalidEventError: the reducer cannot understand it.
    """
    draft.last_event = event
    _take(draft, event)


def _take(draft: Draft, event: Event) -> None:
    if event.type in _SPECIAL:
        _take_properties(draft, event)
    else:
        _reduce(draft, event)


def _take_properties(draft: Draft, event: Event) -> None:
    properties = event.data.get("properties")
    if properties:
        draft.changed = True
        draft.data.properties = {**draft.data.properties, **properties}


def _by_hand(draft: Draft, event: Event) -> Candidate | None:
    """Return what a hand or an override sets off; the properties it brings count either way."""
    _take_properties(draft, event)
    for candidate in _candidates(draft, event):
        if candidate.unconditional or passes(candidate, draft, event):
            return candidate
    return None


def _enter(
    draft: Draft,
    way: Candidate,
    at: dt.datetime,
    event: Event | None,
    moves: NewMoves,
    frozen: Frozen | None = None,
) -> None:
    """Make a move; from closed to closed, hooks see cart and value as they were *frozen*."""
    rung = way.into
    if frozen is not None and rung.is_closed:
        put_back(draft, frozen)
    left = draft.rung
    n = draft.visit + 1
    moves.add(way, at, event)
    snapshots = draft.snapshots if n > draft.settled else None
    if snapshots is not None:
        snapshots[n] = (_snapshot(draft, "out_of"), None)
    draft.visit = n
    draft.rung = rung
    draft.floor = None
    draft.entered_at = draft.activity_at = at
    if left.stage is None:
        draft.opened_at = at
        draft.name_deal()
    if rung.is_closed or left.is_closed:
        _note_closing(draft, left, rung, at)
    draft.blocked = ()
    if rung.timers:
        _schedule(draft)
    else:
        draft.due_at = draft.next_timer = None
    if snapshots is not None:
        snapshots[n] = (snapshots[n][0], _snapshot(draft, "into"))


def _snapshot(draft: Draft, direction: Literal["into", "out_of"]) -> Deal | None:
    stage = draft.rung.stage
    if stage is None or (direction, stage.key) not in draft.hooked:
        return None
    return draft.as_deal()


def _note_closing(draft: Draft, left: Rung, entered: Rung, at: dt.datetime) -> None:
    was = left.stage.status if left.stage else None
    now = entered.stage.status if entered.stage else None
    if not entered.is_closed:
        draft.closed_at = None
    elif not (was == now == "won"):
        draft.closed_at = at
    if now != "lost":
        draft.lost_from = None
    elif was != "lost":
        draft.lost_from = left.stage


def _without_duplicates(events: list[Event]) -> list[Event]:
    """Return one event of each identity: of copies the lowest ``seq``, however they came."""
    known: dict[tuple[str, str], Event] = {}
    for event in events:
        identity = (event.source, event.id)
        first = known.setdefault(identity, event)
        if first is event:
            continue
        if not first.says_the_same(event):
            raise EventConflictError(
                f"two events are called {event.id!r} (source {event.source!r}) and differ: "
                "an identity names one event; give the second its own id"
            )
        if (event.seq, event.data_text()) < (first.seq, first.data_text()):
            known[identity] = event
    return list(known.values())


def sorts_after_all(draft: Draft, key: OrderKey) -> bool:
    """Return whether an event with this key goes after all that *draft* has folded."""
    if draft.cursor is not None and key <= draft.cursor:
        return False
    at, phase = key[0], key[1]
    return draft.horizon is None or (at, phase) > (draft.horizon, PHASE_TIMER)


def hand_instant(draft: Draft, now: dt.datetime) -> tuple[dt.datetime, int]:
    """Return the instant and ``seq`` of a hand made now: after all that the deal has seen."""
    latest = [now]
    if draft.entered_at is not None:
        latest.append(draft.entered_at)
    if draft.horizon is not None:
        latest.append(draft.horizon)
    if draft.cursor is not None:
        latest.append(draft.cursor[0])
    at = max(latest)
    if draft.cursor is None or draft.cursor[0] < at or draft.cursor[1] < PHASE_HAND:
        return at, 0
    if draft.cursor[1] == PHASE_HAND:
        return at, draft.cursor[2] + 1
    return at + dt.timedelta(microseconds=1), 0


def reschedule(draft: Draft) -> None:
    """Work out anew which timer is due next."""
    draft.due_at = draft.next_timer = None
    if draft.rung.timers:
        _schedule(draft)


def stay_blocked(draft: Draft) -> None:
    """Leave those timers blocked that the ladder still has and that were due where the deal stood.

    Raises:
        GuardError: the time of a timer raised.
    """
    tried = draft.horizon
    timers = [timer for timer in draft.rung.timers if timer.key in draft.blocked]
    draft.blocked = tuple(
        timer.key
        for timer in timers
        if tried is not None and not _is_later(_due(draft, timer), tried)
    )
