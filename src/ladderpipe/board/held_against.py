"""Held events that speak against writing to somebody: facts that arrived and cannot be used yet.

While one of them could end the visit that an effect belongs to, or is about the same customer,
marketing effects wait (S12): a purchase that nobody can read yet is a purchase all the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..ladder.ladder import Ladder
from ..model.customer import contact_keys
from ..model.event import Event
from ..model.held import HeldKind
from ..stores.base import CustomerDeal, HeldRow, Transaction

__all__ = ["held_against", "keys_in"]


class _Told:
    """An event's data, as keys are worked out of a deal's."""

    def __init__(self, event: Event) -> None:
        contact, properties = event.data.get("contact"), event.data.get("properties")
        self.contact = contact if isinstance(contact, dict) else {}
        self.properties = properties if isinstance(properties, dict) else {}


def keys_in(event: Event) -> list[str]:
    """Return the usual keys of the customer that can be read from an event."""
    return contact_keys(_Told(event), event.source)


def held_against(
    transaction: Transaction,
    ladder: Ladder,
    pipeline: int,
    deals: Sequence[CustomerDeal],
    keys: Sequence[str],
) -> HeldRow | None:
    """Return a held event because of which nothing is sent about these deals and keys."""
    stages = {deal.deal: deal.stage for deal in deals if deal.pipeline == pipeline}
    for deal, stage in stages.items():
        for row in transaction.held(pipeline, deal):
            if _speaks(ladder, row, stage):
                return row
    for row in transaction.held_of_customer(pipeline, keys) if keys else ():
        if _speaks(ladder, row, stages.get(row.deal)):
            return row
    return None


def _speaks(ladder: Ladder, row: HeldRow, stage: str | None) -> bool:
    """Whether an event could move its deal, which stands in a stage or is not known."""
    if row.kind == HeldKind.COPY:
        return False
    rung = ladder.rungs.get(stage) if stage is not None else None
    if rung is None:
        return any(row.type in rung.by_trigger for rung in ladder.rungs.values())
    return row.type in rung.by_trigger
