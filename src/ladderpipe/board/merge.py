"""Merged deals: of a circle of merges the earlier by S9 does not count.

The fold sees one deal and knows no other. So when a merge closes a circle, the earliest of its
events is put aside for good, as if somebody had discarded it, in whatever order they arrived.
"""

from __future__ import annotations

from typing import Final

from ..fold.draft import order_key
from ..model.event import OWN_SOURCE, Event, discarded
from ..stores.base import StoredDeal
from .unit import Unit

__all__ = ["untangle"]

LONGEST_CHAIN: Final = 100
WHY: Final = "it closes a circle of merges, of which the earlier does not count"


def untangle(unit: Unit) -> bool:
    """Put aside what closes a circle of merges; return whether some deal was merged at all.

    Raises:
        HookError: a hook of the deal that is open again raised.
        GuardError: a guard raised.
    """
    merged = unit.taken_merged()
    for deal in merged:
        _untangle(unit, deal)
    return bool(merged)


def _untangle(unit: Unit, deal: str) -> None:
    """Put the earliest merge of a circle aside, if the deal has been merged into one."""
    while circle := _circle(unit, deal):
        merges = [(stored, document, _merge_of(unit, stored)) for stored, document in circle]
        known = [(stored, document, event) for stored, document, event in merges if event]
        if not known:
            return  # a baseline keeps no event that could be put aside
        ladder = unit.pipeline.ladder
        stored, document, event = min(known, key=lambda merge: order_key(ladder, merge[2]))
        unit.transaction.remove_events(unit.number, [(event.source, event.id)])
        unit.add_inert(stored, discarded(event, OWN_SOURCE, WHY))
        unit.decide_again(stored, document)
        unit.flush()


def _circle(unit: Unit, deal: str) -> list[tuple[StoredDeal, str | None]]:
    """Return the deals of the circle that a deal is in, if it is in one."""
    found: list[tuple[StoredDeal, str | None]] = []
    name: str | None = deal
    while name is not None and len(found) < LONGEST_CHAIN:
        stored, document = unit.load(name, create=False)
        if stored is None:
            return []
        found.append((stored, document))
        name = stored.merged_into
        if name == deal:
            return found
    return []


def _merge_of(unit: Unit, stored: StoredDeal) -> Event | None:
    """Return the event that merged a deal."""
    moves = unit.transaction.moves(stored.id)
    cause = (moves[-1].event_source, moves[-1].event_id) if moves else None
    events = unit.transaction.events(stored.id)
    return next((event for event, _ in events if (event.source, event.id) == cause), None)
