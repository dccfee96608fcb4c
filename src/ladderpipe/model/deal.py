"""A deal as readers get it, with its cart; frozen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import attrs

from .canonical import canonical
from .clock import instant, instant_text
from .money import amount_text, product, total
from .stage import Stage, Status, stage_called

__all__ = ["Cart", "CartLine", "Deal"]

_INSTANTS: Final = ("entered_at", "opened_at", "closed_at", "due_at", "last_event_at")


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

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, amounts as text; the keys stay."""
        return {
            "sku": self.sku,
            "title": self.title,
            "quantity": amount_text(self.quantity),
            "unit_price": None if self.unit_price is None else amount_text(self.unit_price),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> CartLine:
        """Return the line that :meth:`to_dict` wrote.

        Raises:
            KeyError: a key is missing.
        """
        price = record["unit_price"]
        return cls(
            record["sku"],
            Decimal(record["quantity"]),
            record["title"],
            None if price is None else Decimal(price),
        )

    @property
    def total(self) -> Decimal:
        """Quantity times unit price, to ten decimal places; zero without a price."""
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
        """Status of the stage: open, won, lost, abandoned or merged."""
        return self.stage.status

    @property
    def weighted_value(self) -> Decimal | None:
        """Value times the stage's probability; ``None`` when the stage has none."""
        if self.stage.probability is None:
            return None
        return product(self.value, Decimal(str(self.stage.probability)))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values: instants in RFC 3339, amounts as text; the keys stay.

        What has no value is ``None``, the cart is the list of its lines, and a stage is its key;
        ``status``, ``probability`` and ``weighted_value`` are of the stage that it is in.
        """
        weighted = self.weighted_value
        return {
            "id": self.id,
            "pipeline": self.pipeline,
            "title": self.title,
            "stage": self.stage.key,
            "status": self.status,
            "probability": self.stage.probability,
            "value": amount_text(self.value),
            "currency": self.currency,
            "weighted_value": None if weighted is None else amount_text(weighted),
            "cart": [line.to_dict() for line in self.cart],
            "owner": self.owner,
            "source": self.source,
            **canonical(
                {
                    "contact": self.contact,
                    "company": self.company,
                    "properties": self.properties,
                }
            ),
            "visit": self.visit,
            "lost_from": None if self.lost_from is None else self.lost_from.key,
            **{
                name: None if at is None else instant_text(at)
                for name, at in ((name, getattr(self, name)) for name in _INSTANTS)
            },
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any], stages: Iterable[Stage] = ()) -> Deal:
        """Return the deal that :meth:`to_dict` wrote.

        Args:
            stages: those of its ladder, ``pipeline.stages``. A stage that is not among them has
                no title, and is otherwise what the record says.

        Raises:
            KeyError: a key is missing.
            InstantError: an instant is none.
        """
        stages = tuple(stages)
        known = {"status": record["status"], "probability": record["probability"]}
        left = record["lost_from"]
        instants: dict[str, Any] = {
            name: None if record[name] is None else instant(record[name]) for name in _INSTANTS
        }
        as_they_are = ("id", "pipeline", "title", "visit", "currency", "owner", "source")
        return cls(
            stage=stage_called(record["stage"], stages, **known),
            lost_from=None if left is None else stage_called(left, stages),
            value=Decimal(record["value"]),
            cart=Cart(tuple(CartLine.from_dict(line) for line in record["cart"])),
            contact=record["contact"],
            company=record["company"],
            properties=record["properties"],
            **{name: record[name] for name in as_they_are},
            **instants,
        )

    def as_deal(self) -> Deal:
        """Return itself; guards ask this of a deal and of the fold's draft alike."""
        return self
