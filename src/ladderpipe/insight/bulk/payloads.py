"""What events tell, in columns: cart lines, value, currency, and answers to the ladder's questions.

The rows are *payloads*. Data that stands in columns has one for each event; data that is JSON text
has one for each different text, which is read once, by the reducer itself, however many events
carry it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs
import numpy as np

from ...errors import InvalidEventError
from ...fold.cart import read_line
from ...fold.deal_data import DealData
from ...fold.reducer import cart_reducer
from ...model.clock import instant
from ...model.event import BY_HAND, Event
from .arrays import MONEY_PLACES, NOTHING, PRICE_PLACES, QUANTITY_PLACES, Ints, Numbers, scaled
from .guard_bits import Asked
from .program import ADD, BOUGHT, MENDED, REMOVE, REPLACE

__all__ = ["ANSWERS", "CURRENCY", "UNREADABLE", "VALUE", "Lines", "Told", "read_texts"]

ANSWERS, VALUE, CURRENCY, UNREADABLE = 1, 2, 4, 8
"""Flags of a payload: what it tells."""

MOST_LINES: Final = 64
"""Larger carts go to the ordinary fold."""

LARGEST_VALUE: Final = 2**62

_KINDS: Final = {
    ADD: "cart.item_added",
    REMOVE: "cart.item_removed",
    REPLACE: "cart.updated",
    BOUGHT: "order.confirmed",
    MENDED: "order.edited",
}
_HAND: Final = -1
_ANY_TYPE: Final = "told"
_ANY_TIME: Final = instant("2000-01-01T00:00Z")


@attrs.frozen(eq=False)
class Lines:
    """Cart lines: the product by number, quantity and unit price scaled, or ``NOTHING``."""

    sku: Numbers
    quantity: Ints
    price: Ints


@attrs.frozen(eq=False)
class Told:
    """What each payload tells.

    Attributes:
        flags: :data:`ANSWERS`, :data:`VALUE`, :data:`CURRENCY`, :data:`UNREADABLE`.
        line: the line that is added or removed.
        value: the explicit value, scaled; ``NOTHING`` takes it back.
        currency: place in ``currencies``.
        mask: the bits of a deal's word that the payload answers anew.
        bits: the answers.
        first_line: of a whole cart, where its lines begin in ``cart_lines``.
        line_count: and how many they are.
    """

    flags: Numbers
    line: Lines
    value: Ints
    currency: Numbers
    mask: Numbers
    bits: Numbers
    first_line: Numbers
    line_count: Numbers
    cart_lines: Lines
    currencies: Sequence[str]


class _Reading:
    """Payloads being read, one after another."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.skus: dict[str, int] = {}
        self.currencies: dict[str, int] = {}
        self.rows: list[tuple[int, int, int, int, int, int, int, int, int, int]] = []
        self.cart_lines: list[tuple[int, int, int]] = []

    def read(self, change: int, text: str | None) -> None:
        """Read what an event with this *change* to the cart tells, unreadable or not."""
        start = len(self.cart_lines)
        try:
            self.rows.append(self._row(change, {} if text is None else json.loads(text)))
        except (ValueError, TypeError, AttributeError):
            # Whatever is wrong with it, the ordinary fold says it better.
            del self.cart_lines[start:]
            self.rows.append((UNREADABLE, -1, NOTHING, NOTHING, NOTHING, -1, 0, 0, 0, 0))

    def _row(
        self, change: int, written: Any
    ) -> tuple[int, int, int, int, int, int, int, int, int, int]:
        kind = BY_HAND if change == _HAND else _KINDS.get(change, _ANY_TYPE)
        event = Event(kind, deal="any", id="any", at=_ANY_TIME, data=written)
        deal = DealData()
        if change == _HAND:
            deal.properties = dict(event.data.get("properties") or {})
            return self._answers(deal, deal.properties, (), 0, (-1, NOTHING, NOTHING), (0, 0))
        cart_reducer(deal, event)
        if deal.unread or (change in (BOUGHT, MENDED) and "cart" in event.data):
            raise ValueError("it hangs on what the deal was before")
        line, first = (-1, NOTHING, NOTHING), len(self.cart_lines)
        if change in (ADD, REMOVE):
            line = self._line(event.data["line"])
            if change == ADD and not deal.cart and event.data.get("currency"):
                raise ValueError("it labels a cart that it may not change")
        elif change == REPLACE:
            lines_told = list(map(self._line, event.data["cart"]["lines"]))
            if len({product for product, _, _ in lines_told}) < len(lines_told):
                raise ValueError("two lines of one product")
            self.cart_lines += lines_told
        lines = first, len(self.cart_lines) - first
        if lines[1] > MOST_LINES:
            raise ValueError("too many lines")
        told = event.data
        flags = VALUE * ("value" in told) | CURRENCY * (deal.currency is not None)
        fields = told.keys() - {"contact"} if not deal.contact else told
        return self._answers(deal, told.get("properties") or {}, fields, flags, line, lines)

    def _answers(
        self,
        deal: DealData,
        properties: Iterable[str],
        fields: Iterable[str],
        flags: int,
        line: tuple[int, int, int],
        lines: tuple[int, int],
    ) -> tuple[int, int, int, int, int, int, int, int, int, int]:
        mask = sum(map(self.asked.property_bits, properties))
        mask += sum(map(self.asked.field_bits, fields))
        if deal.currency is not None:
            mask |= self.asked.field_bits("currency")
        bits = self.asked.word(deal) & mask if mask else 0
        value = NOTHING if deal.explicit_value is None else _value(deal.explicit_value)
        currency = self._currency(deal.currency)
        return (flags | (ANSWERS if mask else 0), *line, value, currency, mask, bits, *lines)

    def _line(self, line: Mapping[str, Any]) -> tuple[int, int, int]:
        told = read_line(line)
        if told.currency is not None:
            raise ValueError("a line with a currency of its own")
        quantity, price = told.quantity, told.unit_price
        return (
            self.skus.setdefault(told.key, len(self.skus)),
            NOTHING if quantity is None else _exactly(scaled(quantity, QUANTITY_PLACES)),
            NOTHING if price is None else _exactly(scaled(price, PRICE_PLACES)),
        )

    def _currency(self, code: str | None) -> int:
        return -1 if code is None else self.currencies.setdefault(code, len(self.currencies))

    def finished(self) -> Told:
        columns = np.array(self.rows, np.int64).reshape(-1, 10).T
        lines = np.array(self.cart_lines, np.int64).reshape(-1, 3).T
        return Told(
            flags=columns[0].astype(np.int8),
            line=Lines(*columns[1:4]),
            value=columns[4],
            currency=columns[5],
            mask=columns[6],
            bits=columns[7],
            first_line=columns[8],
            line_count=columns[9],
            cart_lines=Lines(*lines),
            currencies=tuple(self.currencies),
        )


def read_texts(asked: Asked, payloads: Iterable[tuple[int, str | None]]) -> Told:
    """Read payloads, each given as what its event does to the cart (−1 for a hand) and its text."""
    reading = _Reading(asked)
    for change, text in payloads:
        reading.read(change, text)
    return reading.finished()


def _value(amount: Any) -> int:
    return _exactly(scaled(amount, MONEY_PLACES, LARGEST_VALUE))


def _exactly(number: int | None) -> int:
    if number is None:
        raise InvalidEventError("too fine or too large for a column")
    return number
