"""Which timer of a visit is due next, and when."""

from __future__ import annotations

import datetime as dt

from ..errors import GuardError, shown
from ..ladder.machine import Candidate
from ..ladder.rules import VisitTimes, not_before
from ..model.clock import instant
from .draft import Draft

__all__ = ["due_at", "is_later", "reschedule", "schedule", "stay_blocked"]


def reschedule(draft: Draft) -> None:
    """Work out anew which timer is due next."""
    draft.due_at = draft.next_timer = None
    if draft.rung.timers:
        schedule(draft)


def schedule(draft: Draft) -> None:
    """Find the next timer of the visit that was not yet tried: by due time, then rule order."""
    best: dt.datetime | None = None
    draft.next_timer = None
    for timer in draft.rung.timers:
        if timer.key in draft.blocked:
            continue
        due = due_at(draft, timer)
        if due is not None and draft.floor is not None:
            due = not_before(timer.rule.trigger, due, draft.floor)
        if due is not None and (best is None or due < best):
            best, draft.next_timer = due, timer
    draft.due_at = best


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
        if tried is not None and not is_later(due_at(draft, timer), tried)
    )


def due_at(draft: Draft, timer: Candidate) -> dt.datetime | None:
    """Return when a timer of the current visit is due, ``None`` for never.

    Raises:
        GuardError: its trigger raised.
    """
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


def is_later(due: dt.datetime | None, at: dt.datetime) -> bool:
    """Return whether what is due then, or never, was not due yet at an instant."""
    return due is None or due > at
