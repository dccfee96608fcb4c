"""Where a new event goes in a deal that has been folded: after all of it, or into its past."""

from __future__ import annotations

import datetime as dt

from ..model.event import PHASE_HAND, PHASE_TIMER
from .draft import Draft
from .order import OrderKey

__all__ = ["hand_instant", "sorts_after_all"]


def sorts_after_all(draft: Draft, key: OrderKey) -> bool:
    """Return whether an event with this key goes after all that *draft* has folded."""
    cursor = draft.cursor
    if cursor is not None and key <= cursor:
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
