"""Baselines: events that carry a deal's whole fold state, after which the past is not folded."""

from __future__ import annotations

from ..errors import GuardError, HookError, InvalidEventError, ReentrancyError
from ..fold.draft import Draft
from ..fold.fold import hand_instant, reschedule
from ..model.event import BASELINE, OWN_SOURCE, Event
from ..stores.base import StoredDeal
from .unit import Unit

__all__ = ["folded_anew", "write_baseline"]


def folded_anew(unit: Unit, stored: StoredDeal, may_open: bool) -> bool:
    """Fold a deal that waits once more from its events, and return whether that was possible.

    It has no past that a baseline would have to keep, and what happened before a baseline is late
    for ever, its opening too.

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


def write_baseline(unit: Unit, stored: StoredDeal, draft: Draft) -> None:
    """Store *draft* as the deal's new baseline, after everything the deal has seen."""
    at, _ = hand_instant(draft, unit.now)
    event = Event(
        BASELINE,
        deal=stored.deal,
        id=f"baseline-{stored.id}-{at.isoformat()}",
        at=at,
        source=OWN_SOURCE,
        data={"state": draft.to_state()},
    )
    unit.add_event(stored, event)
    carried = Draft.from_baseline(unit.pipeline.ladder, event)
    reschedule(carried)
    carried.changed = True
    unit.note_baseline(stored._replace(baseline_at=at), carried)
