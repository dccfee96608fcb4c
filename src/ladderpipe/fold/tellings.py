"""When each part of a deal's data was told last, so that what comes late counts part by part (S12).

Parts are read off an event's data and off the data before and after it, whatever the reducer does
in between: each field of the contact, each property, owner, title, company, source, value,
currency, and the whole cart. A single line of a cart is no part: it counts unless a whole cart was
told since. Of a reducer of the user's own nobody knows what it reads, so all is one part.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from ..ladder.ladder import Ladder
from ..model.event import DISCARDED, EDITED, RESERVED, TOLD, Event
from .cart import CartDraft
from .deal_data import DealData
from .order import Cause, OrderKey, order_key
from .reducer import corrects

__all__ = [
    "AMOUNTS",
    "EVERYTHING",
    "Tellings",
    "changed_parts",
    "last_told",
    "parts_of",
    "restore",
]

EVERYTHING: Final = "*"
"""The part that stands for all others; what is told of it was told of each of them."""

CART: Final = "cart"
AMOUNTS: Final = frozenset(("value", "currency", CART))
"""What a deal comes to; what closes it brings its own."""

_ALONE: Final = ("title", "owner", "company", "source", "currency")
_NAMED: Final = {name: name for name in _ALONE} | {"explicit_value": "value"}
_FIELDS: Final = ("contact", "properties")
_WHOLE_CARTS: Final = frozenset(("cart.updated", "cart.emptied"))
CORRECTED: Final = "order.edited"
_NOTHING: Final = object()


class Tellings:
    """What told each part last, as far as a fold has got."""

    def __init__(self, ladder: Ladder, told: Mapping[str, Cause]) -> None:
        self._ladder = ladder
        self._is_own = ladder.reduces_without_data is None
        self._keys = {part: cause.key(ladder) for part, cause in told.items()}
        self.told = dict(told)

    def is_older(self, part: str, key: OrderKey) -> bool:
        """Return whether what has that place in S9 is older than what *part* is known to be."""
        last, of_all = self._keys.get(part), self._keys.get(EVERYTHING)
        return (last is not None and last > key) or (of_all is not None and of_all > key)

    def note(self, event: Event, changed: Collection[str]) -> None:
        """Note what an event tells and has *changed*."""
        key = order_key(self._ladder, event)
        told = {EVERYTHING} if self._is_own else {*parts_told(event), *changed} - {CART}
        if not self._is_own and tells_whole_cart(event):
            told.add(CART)
        cause = Cause.of(event)
        for part in told:
            if not self.is_older(part, key):
                self._keys[part] = key
                self.told[part] = cause


def parts_told(event: Event) -> Iterator[str]:
    """Yield what an event names; "not known" in a contact names nothing, unless a hand says so."""
    data = event.data
    yield from (part for part in (*_ALONE, "value") if part in data)
    cart = data.get(CART)
    if isinstance(cart, Mapping) and cart.get("currency") is not None:
        yield "currency"
    is_by_hand = event.type == EDITED or _is_own(event)
    for slot in _FIELDS:
        fields = data.get(slot)
        for name, value in fields.items() if isinstance(fields, Mapping) else ():
            if slot != "contact" or is_by_hand or value not in (None, ""):
                yield f"{slot}.{name}"


def _is_own(event: Event) -> bool:
    """Return whether the board wrote an event itself; then only its properties say anything."""
    return event.type.startswith(RESERVED) and event.type != TOLD


def tells_whole_cart(event: Event) -> bool:
    """Return whether an event says what all of the cart is; an order without lines does not."""
    if event.type in _WHOLE_CARTS:
        return True
    cart = event.data.get(CART)
    lines = cart.get("lines") if isinstance(cart, Mapping) else None
    return isinstance(lines, list) and corrects(event) and (bool(lines) or event.type == CORRECTED)


def parts_of(data: DealData, cart: bool = True) -> dict[str, Any]:
    """Return a deal's data by its parts; what belongs to none of the others is the cart's.

    Args:
        cart: whether that is wanted, too.
    """
    found: dict[str, Any] = {CART: {}} if cart else {}
    for slot in DealData.__slots__:
        value = getattr(data, slot)
        if slot in _FIELDS:
            found |= {f"{slot}.{name}": part for name, part in value.items()}
        elif slot in _NAMED:
            found[_NAMED[slot]] = value
        elif cart and slot != "is_closed":
            found[CART][slot] = copy.deepcopy(value)
    return found


def changed_parts(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """Return which parts are not what they were."""
    return {
        part
        for part in {*before, *after}
        if _compared(before.get(part, _NOTHING)) != _compared(after.get(part, _NOTHING))
    }


def _compared(part: Any) -> Any:
    """Return what two states of a part are compared by: carts do not compare all they hold."""
    if not isinstance(part, dict):
        return part
    return {
        name: (each, each.currency, each.is_told) if isinstance(each, CartDraft) else each
        for name, each in part.items()
    }


def restore(data: DealData, parts: Iterable[str], before: Mapping[str, Any]) -> None:
    """Make some parts of a deal's data what they were."""
    slots = {part: slot for slot, part in _NAMED.items()}
    for part in parts:
        slot, _, name = part.partition(".")
        if slot in _FIELDS:
            fields = {key: value for key, value in getattr(data, slot).items() if key != name}
            if part in before:
                fields[name] = before[part]
            setattr(data, slot, fields)
        elif part == CART:
            for slot, value in before[CART].items():
                setattr(data, slot, copy.deepcopy(value))
        else:
            setattr(data, slots[part], before[part])


def last_told(
    ladder: Ladder, events: Iterable[Event], known: Mapping[str, Cause], begin: DealData
) -> dict[str, Cause]:
    """Return what told each part last, after more ordered *events* than those of *known*.

    What an event takes away, as when another person's contact comes, shows in the data only: so
    the events are reduced once more, from what the deal was at the *begin*. No rule is asked.
    """
    tellings = Tellings(ladder, known)
    before = parts_of(begin, cart=False)
    for event in events:
        if event.type == DISCARDED:
            continue
        if not _is_own(event):
            with contextlib.suppress(Exception):
                ladder.reducer(begin, event)
        after = parts_of(begin, cart=False)
        tellings.note(event, changed_parts(before, after))
        before = after
    return tellings.told
