"""What events do to a deal's data: the draft they write on, and the standard reducer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

from ..errors import InvalidEventError
from ..model.canonical import canonical
from ..model.deal import Cart, CartLine
from ..model.event import EDITED, Event
from ..model.money import amount, check_total, currency_code, may_be_too_much, total

__all__ = ["CART_TYPES", "CartDraft", "DealData", "Reducer", "cart_reducer", "read_line"]


class CartDraft(dict[str, CartLine]):
    """The cart while it is being folded: lines by SKU, in the order they were first added."""

    def put(
        self, sku: str, quantity: Decimal, title: str | None, unit_price: Decimal | None
    ) -> None:
        """Set a line; what is not told (title, price) stays as last known.

        Raises:
            InvalidEventError: it comes to more than reports can add up.
        """
        known = self.get(sku)
        if known is not None:
            title = known.title if title is None else title
            unit_price = known.unit_price if unit_price is None else unit_price
        self[sku] = line = CartLine(sku, quantity, title, unit_price)
        if may_be_too_much(quantity, unit_price):
            check_total(quantity, f"the quantity of line {sku!r}")
            check_total(line.total, f"line {sku!r} ({quantity} × {unit_price})")
            check_total(total(each.total for each in self.values()), "the cart")

    def take(self, sku: str, quantity: Decimal | None) -> None:
        """Remove *quantity* of a line, all of it for ``None``; stops at zero."""
        known = self.get(sku)
        if known is None:
            return
        if quantity is None or quantity >= known.quantity:
            del self[sku]
        else:
            rest = total((known.quantity, -quantity))
            self[sku] = CartLine(sku, rest, known.title, known.unit_price)

    def freeze(self) -> Cart:
        """Return the cart as a record."""
        return Cart(tuple(self.values()))


class DealData:
    """A deal's data while it is being folded; a reducer writes on it.

    Attributes:
        explicit_value: a value that an event named; it outranks the cart's total.
        is_closed: whether what an event says of cart, value and currency is put back after it.
    """

    __slots__ = (
        "cart",
        "company",
        "contact",
        "currency",
        "explicit_value",
        "is_closed",
        "owner",
        "properties",
        "source",
        "title",
    )

    def __init__(self) -> None:
        self.title: str | None = None
        self.explicit_value: Decimal | None = None
        self.is_closed = False
        self.currency: str | None = None
        self.cart = CartDraft()
        self.owner: str | None = None
        self.contact: dict[str, Any] = {}
        self.company: Any = None
        self.source: str | None = None
        self.properties: dict[str, Any] = {}

    @property
    def value(self) -> Decimal:
        """The explicit value, otherwise the cart's total."""
        if self.explicit_value is not None:
            return self.explicit_value
        return total(line.total for line in self.cart.values())

    def set_currency(self, code: str) -> None:
        """Note the deal's currency.

        Raises:
            InvalidEventError: the deal already has another one, and is not closed.
        """
        if self.currency is not None and self.currency != code and not self.is_closed:
            raise InvalidEventError(
                f"the deal is in {self.currency} and the event in {code}: a deal has one "
                "currency; open a second deal for the other"
            )
        self.currency = code

    def check(self) -> None:
        """Make plain JSON values of what a reducer of one's own has written, or refuse it.

        Raises:
            InvalidEventError: something in it cannot be stored, or is not what it should be.
        """
        for name in ("title", "owner", "source", "currency"):
            if not isinstance(getattr(self, name), str | None):
                raise InvalidEventError(
                    f"the reducer left {name}={getattr(self, name)!r}: it must be text, or None"
                )
        value = self.explicit_value
        if value is not None:
            self.explicit_value = amount(value, "the value that the reducer left")
        for line in self.cart.values():
            if not isinstance(line, CartLine):
                raise InvalidEventError(
                    f"the reducer left {line!r} in the cart: change it with cart.put and cart.take"
                )
        self.properties = canonical(_mapping("properties", self.properties))
        self.contact = canonical(_mapping("contact", self.contact))
        if isinstance(self.company, Mapping):
            self.company = canonical(self.company)
        elif not isinstance(self.company, str | None):
            raise InvalidEventError(
                f"the reducer left company={self.company!r}: a name, or a mapping"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; what is empty is left out."""
        lines = [_line_to_dict(line) for line in self.cart.values()]
        value = None if self.explicit_value is None else str(self.explicit_value)
        document = {
            "title": self.title,
            "value": value,
            "currency": self.currency,
            "cart": lines,
            "owner": self.owner,
            "contact": self.contact,
            "company": self.company,
            "source": self.source,
            "properties": self.properties,
        }
        return {name: part for name, part in document.items() if part not in (None, [], {})}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> DealData:
        """Return what :meth:`to_dict` wrote."""
        data = cls()
        data.title = document.get("title")
        data.currency = document.get("currency")
        data.owner = document.get("owner")
        data.company = document.get("company")
        data.source = document.get("source")
        if "value" in document:
            data.explicit_value = Decimal(document["value"])
        for line in document.get("cart", ()):
            price = line.get("unit_price")
            data.cart[line["sku"]] = CartLine(
                line["sku"],
                Decimal(line["quantity"]),
                line.get("title"),
                None if price is None else Decimal(price),
            )
        data.contact = dict(document.get("contact", {}))
        data.properties = dict(document.get("properties", {}))
        return data


Reducer: TypeAlias = Callable[[DealData, Event], None]


def cart_reducer(deal: DealData, event: Event) -> None:
    """Fold one standard event into a deal's data.

    It understands ``cart.updated``, ``cart.item_added``, ``cart.item_removed`` and
    ``cart.emptied``, and the deal's own fields at the top of any event's data.

    Raises:
        InvalidEventError: a part it knows is not what it should be.
    """
    data = event.data
    if event.type == EDITED:
        data = _corrected(deal, data)
    change = _CART_CHANGES.get(event.type)
    if change is not None:
        change(deal, data)
    if data:
        for name in data:
            field = _FIELDS.get(name)
            if field is not None:
                field(deal, data[name])


def _corrected(deal: DealData, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a correction says: another currency is a label, and null erases a field."""
    if data.get("currency") is not None:
        deal.currency = currency_code(data["currency"])
    if isinstance(data.get("contact"), Mapping):
        merged = {**deal.contact, **data["contact"]}
        return {**data, "contact": {n: told for n, told in merged.items() if told is not None}}
    return data


def _replace_cart(deal: DealData, data: Mapping[str, Any]) -> None:
    snapshot = data.get("cart")
    if not isinstance(snapshot, Mapping) or not isinstance(snapshot.get("lines"), list):
        raise InvalidEventError(
            'cart.updated needs data["cart"] = {"currency": "EUR", "lines": [...]}, the whole cart'
        )
    if snapshot.get("currency") is not None:
        deal.set_currency(currency_code(snapshot["currency"]))
    cart = CartDraft()
    for line in snapshot["lines"]:
        sku, quantity, title, unit_price = read_line(line)
        if sku in cart:
            raise InvalidEventError(f"cart.updated has two lines for SKU {sku!r}: send their sum")
        if quantity is None or quantity > 0:
            cart.put(sku, Decimal(1) if quantity is None else quantity, title, unit_price)
    deal.cart = cart


def _add_line(deal: DealData, data: Mapping[str, Any]) -> None:
    sku, quantity, title, unit_price = read_line(data.get("line"))
    known = deal.cart.get(sku)
    added = Decimal(1) if quantity is None else quantity
    after = added if known is None else total((known.quantity, added))
    if after > 0:
        deal.cart.put(sku, after, title, unit_price)


def _remove_line(deal: DealData, data: Mapping[str, Any]) -> None:
    sku, quantity, _, _ = read_line(data.get("line"))
    deal.cart.take(sku, quantity)


def _empty_cart(deal: DealData, data: Mapping[str, Any]) -> None:
    deal.cart = CartDraft()


_CART_CHANGES: dict[str, Callable[[DealData, Mapping[str, Any]], None]] = {
    "cart.updated": _replace_cart,
    "cart.item_added": _add_line,
    "cart.item_removed": _remove_line,
    "cart.emptied": _empty_cart,
}


CART_TYPES: Final = frozenset(_CART_CHANGES)
"""The events that change a cart, some of them without any data."""


def read_line(line: Any) -> tuple[str, Decimal | None, str | None, Decimal | None]:
    """Return SKU, quantity, title and unit price of a cart line, ``None`` for what is not told.

    Raises:
        InvalidEventError: a part of it is not what it should be.
    """
    if not isinstance(line, Mapping):
        raise InvalidEventError(
            f'data["line"] is {line!r}: send {{"sku": ..., "quantity": ..., "unit_price": ...}}'
        )
    sku = line.get("sku")
    if not isinstance(sku, str) or not sku:
        raise InvalidEventError(f"a cart line has the SKU {sku!r}: it must be text")
    quantity = line.get("quantity")
    if quantity is not None:
        quantity = amount(quantity, f"quantity of {sku}")
        if quantity < 0:
            raise InvalidEventError(f"quantity of {sku} is {quantity}: send cart.item_removed")
    title = line.get("title")
    if title is not None and not isinstance(title, str):
        raise InvalidEventError(f"title of {sku} is {title!r}: it must be text")
    price = line.get("unit_price")
    return sku, quantity, title, None if price is None else amount(price, f"unit price of {sku}")


def _set_contact(deal: DealData, value: Any) -> None:
    deal.contact = {} if value is None else canonical(_mapping("contact", value))


def _set_properties(deal: DealData, value: Any) -> None:
    deal.properties = {**deal.properties, **canonical(_mapping("properties", value))}


def _set_value(deal: DealData, value: Any) -> None:
    deal.explicit_value = None if value is None else amount(value, "value")


def _set_currency(deal: DealData, value: Any) -> None:
    if value is not None:
        deal.set_currency(currency_code(value))


def _set_company(deal: DealData, value: Any) -> None:
    if not isinstance(value, str | Mapping | None):
        raise InvalidEventError(f"company is {value!r}: send its name, or a mapping")
    deal.company = canonical(value) if isinstance(value, Mapping) else value


def _set_text(name: str) -> Callable[[DealData, Any], None]:
    def set_text(deal: DealData, value: Any) -> None:
        if value is not None and not isinstance(value, str):
            raise InvalidEventError(f"{name} is {value!r}: it must be text")
        setattr(deal, name, value or None)

    return set_text


_FIELDS: dict[str, Callable[[DealData, Any], None]] = {
    "title": _set_text("title"),
    "owner": _set_text("owner"),
    "source": _set_text("source"),
    "contact": _set_contact,
    "company": _set_company,
    "currency": _set_currency,
    "value": _set_value,
    "properties": _set_properties,
}


def _mapping(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidEventError(f"{name} is {value!r}: send a mapping of names to values")
    return value


def _line_to_dict(line: CartLine) -> dict[str, str]:
    written = {"sku": line.sku, "quantity": str(line.quantity)}
    if line.title is not None:
        written["title"] = line.title
    if line.unit_price is not None:
        written["unit_price"] = str(line.unit_price)
    return written
