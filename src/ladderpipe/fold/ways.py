"""The ways out of a stage: which there are for an event, whether one is open, and going it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Literal

from ..errors import GuardError, InvalidEventError, shown
from ..ladder.machine import HAND_PREFIX, Candidate, Rung, missing
from ..model.deal import Deal
from ..model.event import MERGED, OVERRIDE, TOLD, Event
from .closed import Frozen, put_back
from .draft import Draft
from .intake import SPECIAL
from .moves import NewMoves
from .schedule import schedule
from .watching import note_required, watched

__all__ = ["enter", "merges_into_itself", "passes", "ways_for"]


def ways_for(draft: Draft, event: Event) -> Sequence[Candidate]:
    """Return the ways on which an event may move the deal from where it stands."""
    if event.type == TOLD:
        return _ways_told(draft, event)
    if event.type not in SPECIAL:
        itself = merges_into_itself(event)
        return () if itself else draft.rung.by_trigger.get(event.type, ())
    into = str(event.data.get("into"))
    if draft.base is not None and into not in draft.ladder.rungs:
        into = draft.base.renamed.get(into, into)
    if event.type == OVERRIDE:
        past_the_rules = draft.ladder.override_candidate(into)
        return () if past_the_rules is None else (past_the_rules,)
    return draft.rung.by_trigger.get(HAND_PREFIX + into, ())


def _ways_told(draft: Draft, event: Event) -> Sequence[Candidate]:
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


def merges_into_itself(event: Event) -> bool:
    """Return whether an event says that a deal was merged into itself, which moves nothing."""
    return event.type == MERGED and event.data.get("into") == event.deal


def passes(candidate: Candidate, draft: Draft, event: Event | None) -> bool:
    """Return whether a rule's guard holds and its target's requirements are filled.

    Raises:
        GuardError: the guard raised.
    """
    if candidate.guard is not None:
        try:
            guard = candidate.guard
            holds = guard.holds if draft.ladder.watch is None else watched(candidate, draft)
            if not holds(draft, event):
                return False
        except Exception as error:
            asked = "a timer" if event is None else f"event {event.id!r}"
            raise GuardError(
                f"the guard of rule {candidate.key!r} raised {shown(error)} for deal "
                f"{draft.deal!r} ({asked}): a guard must answer for every deal"
            ) from error
    unfilled = missing(candidate.requires, draft.data) if candidate.requires else ()
    if candidate.requires and draft.ladder.watch is not None:
        note_required(candidate, draft, unfilled)
    if unfilled and event is not None and candidate.into.stage is not None:
        draft.note_unfilled(event, candidate.into.stage, unfilled)
    return not unfilled


def enter(
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
    moves.ways.append(way)
    moves.ats.append(at)
    moves.causes.append(event)
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
        schedule(draft)
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
    was, now = left.status, entered.status
    if not entered.is_closed:
        draft.closed_at = None
    elif not (was == now == "won"):
        draft.closed_at = at
    if now != "lost":
        draft.lost_from = None
    elif was != "lost":
        draft.lost_from = left.stage
