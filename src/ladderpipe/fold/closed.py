"""What an event cannot change of a deal that is closed: its cart, and what it is worth."""

from __future__ import annotations

from typing import TypeAlias

from ..model.deal import Unread
from ..model.event import EDITED, Event
from ..model.stage import Stage
from .deal_data import DealData, Taken, Worth
from .draft import Draft
from .reducer import corrects, keep_correction_aside

__all__ = ["Frozen", "counts_when_closed", "freeze", "put_back"]

Frozen: TypeAlias = "tuple[Worth, Taken | None, tuple[Unread, ...]]"
"""What a deal that is closed is worth, with what belongs to it, as it was before an event."""


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
