"""Timers: firing what is due, and trying again what an event may have freed."""

from __future__ import annotations

import datetime as dt

from .closed import Frozen
from .draft import Draft
from .moves import NewMoves
from .observer import Observer
from .schedule import due_at, is_later, schedule
from .ways import enter, passes

__all__ = ["after_activity", "fire"]


def fire(
    draft: Draft,
    limit: dt.datetime,
    at_limit_too: bool,
    moves: NewMoves,
    observer: Observer | None,
) -> None:
    """Fire what is due before *limit*, one after another, and perhaps what is due then.

    Raises:
        GuardError: a guard, or the time of a timer, raised.
    """
    while (due := draft.due_at) is not None and (due < limit or (at_limit_too and due == limit)):
        timer = draft.next_timer
        if timer is None:
            # Of a stored deal only the time is known.
            schedule(draft)
            continue
        draft.horizon = due
        passed = not draft.has_fired(timer, due) and passes(timer, draft, None)
        if observer is not None:
            observer(draft, timer, timer if passed else None, due)
        if passed:
            draft.note_fired(timer, due)
            enter(draft, timer, due, None, moves)
        else:
            draft.blocked = (*draft.blocked, timer.key)
            schedule(draft)


def after_activity(
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
                if timer.key in draft.blocked and not is_later(due_at(draft, timer), at)
            )
        schedule(draft)
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
            enter(draft, timer, at, None, moves, frozen)
            return
