"""Snapshots of carts that say nothing new, and what to do when it turns out that they did."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from ..board.board import Board
from ..errors import InvalidEventError
from ..fold.deal_data import DealData
from ..fold.reducer import cart_reducer
from ..model.event import Event

__all__ = ["Snapshots"]

MOST: Final = 10_000
"""Deals that are kept in mind."""


class Snapshots:
    """Leaves out what a deal's cart holds already.

    Shops tell a cart again when somebody looks at it, or a price list is read anew: nobody has done
    anything then, and a deal that was left must not come back. Which of them says nothing new
    depends on what has come so far, so the last one of each deal is kept in mind: when something
    from before it comes late, it is told after all. An empty cart is never left out: should it be
    missed, because another process has left it out, a customer would be written to about nothing.
    """

    def __init__(self) -> None:
        self._deals: OrderedDict[str, _Told] = OrderedDict()
        self._lock = threading.Lock()

    def leaves_out(self, board: Board, event: Event) -> bool:
        """Return whether an event is the cart that its deal holds, later than all it knows."""
        if event.type != "cart.updated":
            return False
        with self._lock:
            told = self._deals.pop(event.deal, None)
            self._deals[event.deal] = now = _Told(event.data, told.left_out if told else None)
            if len(self._deals) > MOST:
                self._deals.popitem(last=False)
        # What differs from the last one says something new, and nobody has to be asked.
        if (told is not None and told.data != event.data) or not _is_held(board, event):
            return False
        now.left_out = event
        # Who has changed the deal before this one was kept in mind could not know of it.
        return _is_held(board, event)

    def missed(self, stored: Iterable[Event]) -> list[Event]:
        """Return what was left out and has to be told, now that something before it is stored."""
        missed = {}
        for event in stored:
            told = self._deals.get(event.deal)
            if told and told.left_out and _place(told.left_out) >= _place(event):
                missed[event.deal] = told.left_out
        return list(missed.values())


@attrs.define
class _Told:
    """What this process has told of a cart last, and what it has left out last."""

    data: Mapping[str, Any]
    left_out: Event | None


def _place(event: Event) -> tuple[object, int]:
    return event.at, event.seq


def _is_held(board: Board, event: Event) -> bool:
    try:
        deal = board.deal(event.deal)
    except LookupError:
        return False
    if deal.closed_at is not None or deal.last_event_at is None or event.at <= deal.last_event_at:
        return False
    told = DealData()
    try:
        cart_reducer(told, event)
    except InvalidEventError:
        return False
    return (
        bool(told.cart)
        and told.cart.freeze() == deal.cart
        and told.currency in (None, deal.currency)
        and told.contact.items() <= deal.contact.items()
    )
