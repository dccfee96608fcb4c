"""Baselines: events that carry a deal's whole fold state, after which the past is not folded."""

from __future__ import annotations

from .draft import Draft
from .events import BASELINE, OWN_SOURCE, Event
from .fold import hand_instant
from .stores.base import StoredDeal
from .unit import Unit

__all__ = ["write_baseline"]


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
    carried = Draft.from_baseline(unit.pipeline, event)
    carried.changed = True
    unit.note_baseline(stored._replace(baseline_at=at), carried)
