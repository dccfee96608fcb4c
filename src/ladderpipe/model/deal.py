"""A deal as readers get it, with its cart; frozen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import attrs

from .money import product, total
from .stage import Stage, Status

__all__ = ["Cart", "CartLine", "Deal"]


@attrs.frozen
class CartLine:
    """One line of a cart.

    Attributes:
        sku: what identifies the product; one line per SKU.
        quantity: how many; more than zero.
        title: what people call it.
        unit_price: last known price of one, in the deal's currency; ``None`` adds no value.
    """

    sku: str
    quantity: Decimal
    title: str | None = None
    unit_price: Decimal | None = None

    @property
    def total(self) -> Decimal:
        """Quantity times unit price; zero without a price."""
        return Decimal() if self.unit_price is None else product(self.quantity, self.unit_price)


@attrs.frozen
class Cart:
    """What is in the cart, in the order in which it was first added. False when empty."""

    lines: tuple[CartLine, ...] = ()

    @property
    def total(self) -> Decimal:
        """Sum of the lines, in the deal's currency."""
        return total(line.total for line in self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[CartLine]:
        return iter(self.lines)


@attrs.frozen(kw_only=True)
class Deal:
    """A deal as it stands: always in exactly one stage.

    Attributes:
        visit: number of the current visit, from 1; display order only.
        value: explicit value if one was given, otherwise the cart's total; in ``currency``.
        currency: ISO 4217 code, ``None`` while no event named one.
        closed_at: when it entered the closed stage it is in; ``None`` while it is not closed.
        lost_from: the stage it was lost in; ``None`` unless it is lost.
        due_at: when the next timer that was not yet tried is due.
        source: where the deal came from (a campaign, a referrer), as told by its events.
    """

    id: str
    pipeline: str
    title: str
    stage: Stage
    entered_at: dt.datetime
    opened_at: dt.datetime
    closed_at: dt.datetime | None
    visit: int
    value: Decimal
    currency: str | None
    cart: Cart
    owner: str | None
    contact: Mapping[str, Any]
    company: Any
    source: str | None
    properties: Mapping[str, Any]
    lost_from: Stage | None
    due_at: dt.datetime | None
    last_event_at: dt.datetime

    @property
    def status(self) -> Status:
        """Status of the stage: open, won, lost or abandoned."""
        return self.stage.status

    @property
    def weighted_value(self) -> Decimal | None:
        """Value times the stage's probability; ``None`` when the stage has none."""
        if self.stage.probability is None:
            return None
        return product(self.value, Decimal(str(self.stage.probability)))

    def as_deal(self) -> Deal:
        """Return itself; guards ask this of a deal and of the fold's draft alike."""
        return self
