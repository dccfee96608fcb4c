"""What events do to a deal's data: the standard reducer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

from ..errors import InvalidEventError
from ..model.canonical import canonical
from ..model.event import EDITED, TOLD, Event
from ..model.money import amount, currency_code, total
from ..public import publish
from .cart import CartDraft, LineTold, read_line
from .deal_data import DealData, Taken, as_mapping

__all__ = [
    "AFTER_THE_PURCHASE",
    "CART_TYPES",
    "ORDER",
    "REFUNDED",
    "Reducer",
    "cart_reducer",
    "corrects",
    "keep_correction_aside",
]

ORDER: Final = "order."
"""What the type of an event begins with that tells of a purchase."""

REFUNDED: Final = "order.refunded"
CANCELLED: Final = "order.cancelled"
CORRECTED: Final = "order.edited"
AFTER_THE_PURCHASE: Final = frozenset((REFUNDED, CANCELLED, CORRECTED))

_CORRECTS: Final = frozenset((EDITED, TOLD))
"""What counts on a closed deal, too, and may tell a whole cart."""

SHORTLY: Final = dt.timedelta(minutes=15)
"""Shops empty the cart when they take the order, a little before they tell of it."""

Reducer: TypeAlias = Callable[[DealData, Event], None]


def cart_reducer(deal: DealData, event: Event) -> None:
    """Fold one standard event into a deal's data.

    It understands ``cart.updated``, ``cart.item_added``, ``cart.item_removed`` and
    ``cart.emptied``, what was bought in events whose type begins with ``order.``, the corrections
    of ``deal.edited``, what another system says with ``ladder.told``, and the deal's own fields at
    the top of any event's data.

    Raises:
        InvalidEventError: a part it knows is not what it should be.
    """
    data, kind = event.data, event.type
    change = _CART_CHANGES.get(kind)
    if change is not None:
        change(deal, event)
    elif kind.startswith(ORDER):
        _take_order(deal, event)
    elif kind in _CORRECTS and _whole_cart(event) is not None:
        _replace_cart(deal, event)
    if data:
        for name in data:
            field = _FIELDS.get(name)
            if field is not None:
                field(deal, event, data[name])


def corrects(event: Event) -> bool:
    """Return whether what *event* says of cart and amounts counts on a closed deal."""
    return event.type.startswith(ORDER) or event.type in _CORRECTS


def keep_correction_aside(deal: DealData, event: Event, currency: str | None) -> None:
    """Note what a correction told in another currency than the closed deal's."""
    part = "cart" if _whole_cart(event) is not None else "value"
    told = {name: event.data[name] for name in ("value", "currency") if name in event.data}
    deal.keep_aside(part, told, _other(currency, deal.currency), event)


def _whole_cart(event: Event) -> list[Any] | None:
    """Return the lines of a whole cart, if the event tells one; an order without any tells none."""
    cart = event.data.get("cart")
    lines = cart.get("lines") if isinstance(cart, dict) else None
    if not isinstance(lines, list):
        return None
    told = event.type in ("cart.updated", CORRECTED) or (bool(lines) and corrects(event))
    return lines if told else None


# -- carts -------------------------------------------------------------------------------------


def _replace_cart(deal: DealData, event: Event) -> None:
    lines = _whole_cart(event)
    if lines is None:
        raise InvalidEventError(
            f'{event.type} needs data["cart"] = {{"currency": "EUR", "lines": [...]}}, '
            "the whole cart"
        )
    # What is told anew as a whole leaves nothing of before that could not be read.
    deal.unread = ()
    read = []
    for line in lines:
        try:
            read.append((line, read_line(line)))
        except InvalidEventError as error:
            deal.keep_aside("line", line, str(error), event)
    cart = CartDraft(_currency_of_cart(deal, event, [told for _, told in read]))
    for line, told in read:
        if told.currency in (None, cart.currency):
            cart.place(told)
        else:
            deal.keep_aside("line", line, _other(told.currency, cart.currency), event)
    cart.is_told = bool(cart) or not deal.unread
    if cart or deal.unread:
        deal.taken = None
    else:
        _note_taken(deal, event)
    deal.set_cart(cart)
    _note_emptied(deal, event)


def _currency_of_cart(deal: DealData, event: Event, lines: list[LineTold]) -> str | None:
    """Return what a whole cart is in: as it says, else its first line that says so, else as was."""
    told = event.data["cart"].get("currency"), event.data.get("currency")
    said = (line.currency for line in lines if line.currency is not None)
    return _currency(told[0]) or _currency(told[1]) or next(said, deal.currency_of_cart)


def _add_line(deal: DealData, event: Event) -> None:
    told = _line_told(deal, event)
    if told is None:
        return
    line, read = told
    currency = read.currency or _currency(event.data.get("currency"))
    held = deal.currency_of_cart
    if None not in (currency, held) and currency != held and deal.holds_an_amount:
        deal.keep_aside("line", line, _other(currency, held), event)
        return
    if deal.cart.add(read):
        deal.taken, deal.explicit_value = None, None
        deal.cart.currency = currency or held
        deal.follow_cart()


def _remove_line(deal: DealData, event: Event) -> None:
    told = _line_told(deal, event)
    if told is None or told[1].quantity == 0 or not deal.cart.holds(told[1].key):
        return
    _note_taken(deal, event)
    deal.cart.remove(told[1].key, told[1].quantity)
    _note_emptied(deal, event)
    deal.explicit_value = None
    deal.follow_cart()


def _line_told(deal: DealData, event: Event) -> tuple[Any, LineTold] | None:
    line = event.data.get("line")
    if line is None:
        raise InvalidEventError(
            f'{event.type} needs data["line"] = {{"sku": ..., "quantity": ..., "unit_price": ...}}'
        )
    try:
        return line, read_line(line)
    except InvalidEventError as error:
        deal.keep_aside("line", line, str(error), event)
        return None


def _empty_cart(deal: DealData, event: Event) -> None:
    deal.unread = ()
    _note_taken(deal, event)
    deal.set_cart(CartDraft(deal.currency_of_cart, is_told=True))
    _note_emptied(deal, event)


def _note_taken(deal: DealData, event: Event) -> None:
    """Note what the cart is before a removal, unless it is one of several made shortly."""
    taken = deal.taken
    if deal.cart and (taken is None or event.at - taken.since >= SHORTLY):
        deal.taken = Taken(deal.worth(), event.at)


def _note_emptied(deal: DealData, event: Event) -> None:
    taken = deal.taken
    if taken is not None and taken.emptied_at is None and not deal.cart:
        deal.taken = Taken(taken.before, taken.since, event.at)


_CART_CHANGES: dict[str, Callable[[DealData, Event], None]] = {
    "cart.updated": _replace_cart,
    "cart.item_added": _add_line,
    "cart.item_removed": _remove_line,
    "cart.emptied": _empty_cart,
}


CART_TYPES: Final = frozenset(_CART_CHANGES)
"""The events that change a cart, some of them without any data."""


# -- orders ------------------------------------------------------------------------------------


def _take_order(deal: DealData, event: Event) -> None:
    """Take what was bought: the order's own lines, or the cart that its taking has emptied."""
    kind = event.type
    if _whole_cart(event) is not None:
        _replace_cart(deal, event)
    elif kind not in AFTER_THE_PURCHASE:
        _give_back(deal, event)
    if kind == REFUNDED:
        _take_refund(deal, event)


def _give_back(deal: DealData, event: Event) -> None:
    taken = deal.taken
    if deal.cart or taken is None or taken.emptied_at is None:
        return
    if event.at - taken.emptied_at < SHORTLY:
        before, deal.taken = taken.before, None
        deal.cart = before.cart.copy()
        # A value that was told since the cart was emptied is newer than the one before.
        if deal.explicit_value is None:
            deal.explicit_value, deal.currency = before.explicit_value, before.currency


def _take_refund(deal: DealData, event: Event) -> None:
    data = event.data
    back = data.get("refunded")
    if back is None:
        if data.get("value") is None:
            deal.explicit_value = Decimal()
        return
    if data.get("value") is not None:
        raise InvalidEventError(
            f"{event.type} tells value={data['value']!r}, what is left, and refunded={back!r}, "
            "what went back: send one of them"
        )
    back, currency = amount(back, "refunded"), _currency(data.get("currency"))
    if back < 0:
        deal.keep_aside("refunded", data["refunded"], "what went back is less than nothing", event)
    elif None not in (currency, deal.currency) and currency != deal.currency:
        reason = _other(currency, deal.currency)
        deal.keep_aside("refunded", data["refunded"], reason, event)
    else:
        # What is left of an amount that nobody knows is not known either.
        if deal.value is not None:
            deal.explicit_value = max(total((deal.value, -back)), Decimal())
        deal.currency = deal.currency or currency


# -- what any event may carry ------------------------------------------------------------------


def _set_value(deal: DealData, event: Event, value: Any) -> None:
    if value is None:
        if event.type != REFUNDED:
            deal.explicit_value = None
            deal.follow_cart()
        return
    told, data = amount(value, "value"), event.data
    currency, is_whole = _currency(data.get("currency")), _whole_cart(event) is not None
    if currency is None and is_whole:
        currency = deal.cart.currency
    if currency is not None:
        may_be_another = is_whole or corrects(event) or not deal.holds_an_amount
        if deal.currency not in (None, currency) and not may_be_another:
            deal.keep_aside("value", value, _other(currency, deal.currency), event)
            return
        deal.currency = currency
        if deal.cart.currency is None:
            deal.cart.currency = currency
    deal.explicit_value = told
    deal.unread = tuple(part for part in deal.unread if part.part == "line")


def _set_currency(deal: DealData, event: Event, value: Any) -> None:
    """Label what has no currency yet; beside an amount the currency is that amount's."""
    currency = _currency(value)
    if currency is None or _tells_amount(event):
        return
    if event.type == EDITED:
        if deal.cart.currency == deal.currency:
            deal.cart.currency = currency
        deal.currency = currency
    elif not deal.label(currency):
        deal.keep_aside("currency", value, _other(currency, deal.currency), event)


def _tells_amount(event: Event) -> bool:
    return (
        event.data.get("value") is not None
        or event.type == "cart.item_added"
        or (event.type == REFUNDED and event.data.get("refunded") is not None)
        or _whole_cart(event) is not None
    )


def _currency(value: Any) -> str | None:
    return None if value is None or value == "" else currency_code(value)


def _other(currency: str | None, held: str | None) -> str:
    """Return why an amount in one currency is kept aside from one in another."""
    return f"it is in {currency}, and what is held there in {held}: two currencies are never summed"


def _set_contact(deal: DealData, event: Event, value: Any) -> None:
    """Merge the contact field by field, or replace it by another person's."""
    if value is None:
        return
    told = canonical(as_mapping("contact", value))
    filled = {name: part for name, part in told.items() if part is not None and part != ""}
    if _is_another(deal.contact, filled) and event.type != EDITED:
        deal.contact = filled
    else:
        deal.contact = {**deal.contact, **filled}
    if event.type == EDITED:
        for name in told.keys() - filled.keys():
            deal.contact.pop(name, None)


_IDS: Final = ("id", "customer_id")


def _is_another(known: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Return whether these are two people: by their ids, else by their e-mails."""
    by_id = [str(known[name]) == str(told[name]) for name in _IDS if name in known and name in told]
    if by_id:
        return not all(by_id)
    return "email" in known and "email" in told and _email(known) != _email(told)


def _email(contact: Mapping[str, Any]) -> str:
    return str(contact["email"]).strip().casefold()


def _set_properties(deal: DealData, event: Event, value: Any) -> None:
    deal.properties = {**deal.properties, **canonical(as_mapping("properties", value))}


def _set_company(deal: DealData, event: Event, value: Any) -> None:
    if not isinstance(value, str | Mapping | None):
        raise InvalidEventError(f"company is {value!r}: send its name, or a mapping")
    deal.company = canonical(value) if isinstance(value, Mapping) else value


def _set_text(name: str) -> Callable[[DealData, Event, Any], None]:
    def set_text(deal: DealData, event: Event, value: Any) -> None:
        if value is not None and not isinstance(value, str):
            raise InvalidEventError(f"{name} is {value!r}: it must be text")
        setattr(deal, name, value or None)

    return set_text


_FIELDS: dict[str, Callable[[DealData, Event, Any], None]] = {
    "title": _set_text("title"),
    "owner": _set_text("owner"),
    "source": _set_text("source"),
    "contact": _set_contact,
    "company": _set_company,
    "currency": _set_currency,
    "value": _set_value,
    "properties": _set_properties,
}


publish("ladderpipe", cart_reducer)
