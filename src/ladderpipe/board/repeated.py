"""Snapshots of carts that say nothing new.

Shops tell a cart again when somebody looks at it, or a price list is read anew: nobody has done
anything then, and a deal that was left must not come back. Which of them says nothing new depends
on what has come so far, in whatever process. So such a one is stored in its place, put aside as if
somebody had discarded it: it has no effect, and counts after all once something from before it
comes late and it is not the cart any more that its deal holds there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Final

from ..errors import InvalidEventError
from ..fold.deal_data import DealData
from ..fold.draft import Draft
from ..fold.fold import fold_all
from ..fold.order import in_order
from ..fold.reducer import cart_reducer
from ..ladder.ladder import Ladder
from ..ladder.machine import Candidate
from ..model.event import DISCARDED, OWN_SOURCE, Event, discarded

__all__ = ["REPEATED", "SNAPSHOT", "is_repeated", "new_again", "repeated", "says_nothing_new"]

SNAPSHOT: Final = "cart.updated"
REPEATED: Final = "it is the cart that the deal holds already"


def says_nothing_new(draft: Draft, event: Event) -> bool:
    """Return whether an event is the cart that its deal holds, later than all it knows.

    An empty cart is never one: whether the deal has ever been told a cart cannot be seen of it.
    """
    last = draft.last_event_at
    if draft.stage is None or draft.rung.is_closed or last is None or event.at <= last:
        return False
    told = DealData()
    try:
        cart_reducer(told, event)
    except InvalidEventError:
        return False
    held = draft.data
    return (
        bool(told.cart)
        and told.cart.freeze() == held.cart.freeze()
        and told.currency in (None, held.currency)
        and told.contact.items() <= held.contact.items()
    )


def repeated(event: Event) -> Event:
    """Return a snapshot as it is stored while it says nothing new."""
    return discarded(event, OWN_SOURCE, REPEATED)


def is_repeated(event: Event) -> bool:
    """Return whether an event is a snapshot that was put aside since it said nothing new."""
    note = event.data[DISCARDED] if event.type == DISCARDED else {}
    return note.get("by") == OWN_SOURCE and note.get("reason") == REPEATED


def new_again(ladder: Ladder, events: Iterable[Event]) -> Event | None:
    """Return the first snapshot that was put aside and, at its place, says something new now.

    Args:
        events: all of a deal's.
    """
    found: list[Event] = []

    def watch(draft: Draft, asks: Event | Candidate, _: Candidate | None, at: dt.datetime) -> None:
        if not found and isinstance(asks, Event) and is_repeated(asks):
            snapshot = _as_told(asks)
            if not says_nothing_new(draft, snapshot):
                found.append(snapshot)

    ordered = in_order(ladder, events)
    if any(map(is_repeated, ordered)):
        fold_all(ladder, ordered[0].deal, ordered, watch)
    return found[0] if found else None


def _as_told(event: Event) -> Event:
    return Event(
        SNAPSHOT,
        deal=event.deal,
        id=event.id,
        at=event.at,
        source=event.source,
        seq=event.seq,
        data={name: part for name, part in event.data.items() if name != DISCARDED},
    )
