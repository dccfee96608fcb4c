"""What a reducer writes on: a deal's data while it is being folded, and its document."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from ..errors import InvalidEventError, SealedError
from ..model.canonical import canonical
from ..model.clock import instant
from ..model.deal import CartLine, Unread
from ..model.event import Event
from ..model.money import amount
from ..public import publish
from .cart import LINE_KEYS, CartDraft

__all__ = ["DealData", "Taken", "Worth", "found_by"]

MOST_UNREAD: Final = 50
"""Parts of events that a deal keeps aside at most, the last of them."""

_SHOWN_OF_A_LINE: Final = (*LINE_KEYS, "quantity", "unit_price", "currency")
_LONGEST_TEXT: Final = 200


class Worth(NamedTuple):
    """Cart, explicit value and currency, as they stood; not changed any more."""

    cart: CartDraft
    explicit_value: Decimal | None
    currency: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; what is empty is left out."""
        written: dict[str, Any] = {"cart": self.cart.to_list()}
        if self.explicit_value is not None:
            written["value"] = str(self.explicit_value)
        if self.currency is not None:
            written["currency"] = self.currency
        if self.cart.currency != self.currency:
            written["cart_currency"] = self.cart.currency or ""
        return written

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Worth:
        """Return what :meth:`to_dict` wrote."""
        currency = written.get("currency")
        of_cart = written.get("cart_currency", currency) or None
        return cls(
            CartDraft.from_list(written.get("cart"), of_cart),
            Decimal(written["value"]) if "value" in written else None,
            currency,
        )


class Taken(NamedTuple):
    """What removals took from a cart, for the order that they may belong to.

    Attributes:
        before: the deal's worth before the first of them.
        since: when that was.
        emptied_at: when they had emptied the cart; ``None`` while something is left in it.
    """

    before: Worth
    since: dt.datetime
    emptied_at: dt.datetime | None = None


class DealData:
    """A deal's data while it is being folded; a reducer writes on it.

    Attributes:
        explicit_value: a value that an event named; it outranks the cart's total.
        currency: that of what the deal is worth; the cart's is ``cart.currency``.
        taken: what removals took lately, should an order be for it.
        unread: parts of events that could not be read.
    """

    __slots__ = (
        "cart",
        "company",
        "contact",
        "currency",
        "explicit_value",
        "owner",
        "properties",
        "source",
        "taken",
        "title",
        "unread",
    )

    def __init__(self) -> None:
        self.title: str | None = None
        self.explicit_value: Decimal | None = None
        self.currency: str | None = None
        self.cart = CartDraft()
        self.taken: Taken | None = None
        self.unread: tuple[Unread, ...] = ()
        self.owner: str | None = None
        self.contact: dict[str, Any] = {}
        self.company: Any = None
        self.source: str | None = None
        self.properties: dict[str, Any] = {}

    @property
    def value(self) -> Decimal | None:
        """The explicit value, otherwise what the cart comes to; ``None`` while neither is known."""
        return self.cart.worth() if self.explicit_value is None else self.explicit_value

    @property
    def holds_an_amount(self) -> bool:
        """Whether anything is counted in the deal's currency, so that another cannot join it."""
        return bool(self.cart) or self.explicit_value is not None

    def worth(self) -> Worth:
        """Return cart, explicit value and currency as they stand, to be put back."""
        return Worth(self.cart.copy(), self.explicit_value, self.currency)

    def put_back(
        self, worth: Worth, taken: Taken | None = None, unread: tuple[Unread, ...] = ()
    ) -> None:
        """Make cart, explicit value and currency what they were, with what belongs to them."""
        self.cart = worth.cart
        self.explicit_value = worth.explicit_value
        self.currency = worth.currency
        self.taken = taken
        self.unread = unread

    def set_cart(self, cart: CartDraft) -> None:
        """Hold this cart; if it is another than the one held, an explicit value falls."""
        if cart.differs(self.cart):
            self.explicit_value = None
        self.cart = cart
        self.follow_cart()

    def follow_cart(self) -> None:
        """Take the cart's currency, unless the deal is worth what it was said to be."""
        if self.currency is None or (self.explicit_value is None and self.cart.currency):
            self.currency = self.cart.currency

    @property
    def currency_of_cart(self) -> str | None:
        """What the cart's next line is in, if it does not say so."""
        return self.cart.currency if self.cart else self.currency or self.cart.currency

    def label(self, code: str) -> bool:
        """Note the currency of amounts that have none yet; return whether it may be that one."""
        if self.currency not in (None, code) and self.holds_an_amount:
            return False
        self.currency = code
        if not self.cart or self.cart.currency is None:
            self.cart.currency = code
        return True

    def keep_aside(self, part: str, told: Any, reason: str, event: Event) -> None:
        """Note a part of an event that cannot be read; the rest of it counts."""
        if part == "line" and isinstance(told, Mapping):
            told = {name: told[name] for name in _SHOWN_OF_A_LINE if name in told}
        unread = Unread(part, _shortened(told), reason, event.source, event.id)
        self.unread = (*self.unread, unread)[-MOST_UNREAD:]

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
        self.properties = canonical(as_mapping("properties", self.properties))
        self.contact = canonical(as_mapping("contact", self.contact))
        if isinstance(self.company, Mapping):
            self.company = canonical(self.company)
        elif not isinstance(self.company, str | None):
            raise InvalidEventError(
                f"the reducer left company={self.company!r}: a name, or a mapping"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; what is empty is left out."""
        document = {
            "title": self.title,
            **Worth(self.cart, self.explicit_value, self.currency).to_dict(),
            "owner": self.owner,
            "contact": self.contact,
            "company": self.company,
            "source": self.source,
            "properties": self.properties,
            "unread": [part.to_dict() for part in self.unread],
        }
        if self.taken is not None:
            ended = self.taken.emptied_at
            document["taken"] = {
                **self.taken.before.to_dict(),
                "since": self.taken.since.isoformat(),
                "emptied_at": None if ended is None else ended.isoformat(),
            }
        written = {name: part for name, part in document.items() if part or part == ""}
        # An empty cart that was told is worth nothing; one that nobody told of is not known.
        return {**written, "cart": []} if self.cart.is_told and not self.cart else written

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> DealData:
        """Return what :meth:`to_dict` wrote.

        Raises:
            SealedError: it is encrypted, and the key is not there.
        """
        if "sealed" in document:
            raise SealedError(str(document.get("why")))
        data = cls()
        data.put_back(Worth.from_dict(document))
        data.title = document.get("title")
        data.owner = document.get("owner")
        data.company = document.get("company")
        data.source = document.get("source")
        data.contact = dict(document.get("contact", {}))
        data.properties = dict(document.get("properties", {}))
        data.unread = tuple(Unread.from_dict(part) for part in document.get("unread", ()))
        taken = document.get("taken")
        if taken is not None:
            ended = taken["emptied_at"]
            since = instant(taken["since"])
            ended = None if ended is None else instant(ended)
            data.taken = Taken(Worth.from_dict(taken), since, ended)
        return data


def found_by(written: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the parts of a document that lists are searched by, as they are now."""
    contact, company = written.get("contact"), written.get("company")
    return (
        written.get("title"),
        written.get("source"),
        # Of these a reducer may change what is in them.
        dict(contact) if isinstance(contact, dict) else contact,
        dict(company) if isinstance(company, dict) else company,
    )


def as_mapping(name: str, value: Any) -> Mapping[str, Any]:
    """Return *value* if it is a mapping.

    Raises:
        InvalidEventError: it is none.
    """
    # Asking an abstract class takes longer than most of what is done with the answer.
    if type(value) is not dict and not isinstance(value, Mapping):
        raise InvalidEventError(f"{name} is {value!r}: send a mapping of names to values")
    return value


def _shortened(told: Any) -> Any:
    """Return what was told, of texts no more than people need to find it."""
    if isinstance(told, str):
        return told if len(told) <= _LONGEST_TEXT else f"{told[: _LONGEST_TEXT - 1]}…"
    if isinstance(told, Mapping):
        return {name: _shortened(part) for name, part in told.items()}
    if isinstance(told, bool | int | float | None):
        return told
    return _shortened(str(told))


publish("ladderpipe", DealData)
