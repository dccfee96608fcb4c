"""A deal as readers get it, with its cart; frozen."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import attrs

from ..public import publish
from .canonical import canonical
from .clock import instant, instant_text
from .money import amount_text, product, read_amount, total
from .record import json_record, within
from .sameness import same_data
from .stage import Stage, Status, stage_called

__all__ = ["KEEP", "Cart", "CartLine", "Deal", "Unread"]

_INSTANTS: Final = ("entered_at", "opened_at", "closed_at", "due_at", "last_event_at")


class _Keep:
    """What stands for a field that an edit leaves alone, since ``None`` empties it."""

    def __repr__(self) -> str:
        return "..."


KEEP: Final[Any] = _Keep()


def _key_of(line: CartLine) -> str:
    return f"title:{line.title}" if line.sku is None else f"sku:{line.sku}"


@json_record()
@attrs.frozen
class CartLine:
    """One line of a cart.

    Attributes:
        sku: the shop's article number, where it has told one.
        quantity: how many; more than zero.
        title: what people call it.
        unit_price: last known price of one, in the cart's currency; ``None`` adds no value, and a
            negative one is a discount.
        key: what the line is of, and who says so: ``sku:NB-15``, ``variant_id:39072856``, or
            ``key:``, ``id:``, ``title:``. A cart has one line for each key and price.
    """

    sku: str | None
    quantity: Decimal
    title: str | None = None
    unit_price: Decimal | None = None
    key: str = attrs.field(default=attrs.Factory(_key_of, takes_self=True))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, amounts as text; the keys stay."""
        return {
            "sku": self.sku,
            "title": self.title,
            "quantity": amount_text(self.quantity),
            "unit_price": None if self.unit_price is None else amount_text(self.unit_price),
            "key": self.key,
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> CartLine:
        """Return the line that :meth:`to_dict` wrote; one that has no ``key`` is its SKU's.

        Raises:
            KeyError: a key is missing.
            InvalidEventError: an amount is none.
        """
        price = record.get("unit_price")
        told = (
            record["sku"],
            read_amount(record["quantity"]),
            record.get("title"),
            None if price is None else read_amount(price),
        )
        return cls(*told, record["key"]) if "key" in record else cls(*told)

    @property
    def total(self) -> Decimal:
        """Quantity times unit price, to ten decimal places; zero without a price."""
        return Decimal() if self.unit_price is None else product(self.quantity, self.unit_price)

    @property
    def name(self) -> str:
        """What to call it: its title, its SKU, or what else its key says."""
        return self.title or self.sku or self.key.partition(":")[2]


@attrs.frozen
class Cart:
    """What is in the cart, in the order in which it was first told. False when empty.

    Attributes:
        currency: ISO 4217 code of the unit prices; ``None`` while no event named one. The deal's
            own can be another, when an order was told in it.
    """

    lines: tuple[CartLine, ...] = ()
    currency: str | None = None

    @property
    def total(self) -> Decimal:
        """Sum of the lines that have a price, in the cart's currency."""
        return total(line.total for line in self.lines)

    @property
    def is_complete(self) -> bool:
        """Whether every line has a price, so that the total is all of it."""
        return all(line.unit_price is not None for line in self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[CartLine]:
        return iter(self.lines)


@json_record()
@attrs.frozen
class Unread:
    """A part of an event that was kept aside, since it could not be read where it stands.

    The rest of the event counts. What is kept aside goes when the whole cart, or the amount, is
    told anew. Two are equal if they say the same, however an amount in them is written: 100, 100.0
    or ``"100"``.

    Attributes:
        part: ``line``, ``cart``, ``value``, ``refunded`` or ``currency``.
        told: what stood there, as JSON.
        reason: why it could not be read, in words.
        source: source of the event that told it.
        event: its id.
    """

    part: str
    told: Any
    reason: str
    source: str
    event: str

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Unread):
            return NotImplemented
        return (
            (self.source, self.event, self.reason) == (other.source, other.event, other.reason)
            # Names of parts are those of an event's data, which say where an amount stands.
            and same_data({self.part: self.told}, {other.part: other.told})
        )

    def __hash__(self) -> int:
        return hash((self.part, self.source, self.event))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the keys stay."""
        return attrs.asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Unread:
        """Return what :meth:`to_dict` wrote.

        Raises:
            KeyError: a key is missing.
        """
        return cls(*(record[field.name] for field in attrs.fields(cls)))

    def __str__(self) -> str:
        return f"{self.part} {json.dumps(self.told, ensure_ascii=False)}: {self.reason}"


@json_record(
    lambda: {
        "stage": Stage,
        "status": Status,
        "probability": float | None,
        "cart": tuple[CartLine, ...],
        "cart_currency": str | None,
        "weighted_value": Decimal | None,
    },
    optional=("cart_currency", "weighted_value"),
)
@attrs.frozen(kw_only=True, repr=False)
class Deal:
    """A deal as it stands: always in exactly one stage.

    Attributes:
        visit: number of the current visit, from 1; display order only.
        value: what it is worth, in ``currency``: the explicit value if one was given, otherwise
            the cart's total; ``None`` while neither is known.
        currency: ISO 4217 code of what it is worth, ``None`` while no event named one.
        closed_at: when it entered the closed stage it is in; ``None`` while it is not closed.
        lost_from: the stage it was lost in; ``None`` unless it is lost.
        due_at: when the next timer that was not yet tried is due.
        source: where the deal came from (a campaign, a referrer), as told by its events.
        unread: parts of events that were kept aside, such as a line of a negative quantity.
    """

    id: str
    pipeline: str
    title: str
    stage: Stage
    entered_at: dt.datetime
    opened_at: dt.datetime
    closed_at: dt.datetime | None
    visit: int
    value: Decimal | None
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
    unread: tuple[Unread, ...] = ()

    def __repr__(self) -> str:
        worth = "" if self.value is None else f", {amount_text(self.value)} {self.currency or ''}"
        return f"<Deal {self.id[:60]!r} in {self.stage.key!r}{worth.rstrip()}>"

    def _repr_html_(self) -> str:
        """Return it as a notebook shows it."""
        from .notebook import facts_table

        worth = None if self.value is None else f"{amount_text(self.value)} {self.currency or ''}"
        return facts_table(
            self.title or self.id,
            (
                ("deal", self.id),
                ("pipeline", self.pipeline),
                ("stage", self.stage.title),
                ("status", self.status),
                ("value", worth),
                ("owner", self.owner),
                ("source", self.source),
                ("opened", self.opened_at),
                ("in this stage since", self.entered_at),
                ("closed", self.closed_at),
                ("next timer", self.due_at),
                ("lost from", self.lost_from and self.lost_from.title),
                ("lines in the cart", len(self.cart) or None),
            ),
        )

    @property
    def status(self) -> Status:
        """Status of the stage: open, won, lost, abandoned or merged."""
        return self.stage.status

    @property
    def weighted_value(self) -> Decimal | None:
        """Value times the stage's probability; ``None`` when one of them is not known."""
        if self.value is None or self.stage.probability is None:
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
            "value": None if self.value is None else amount_text(self.value),
            "currency": self.currency,
            "weighted_value": None if weighted is None else amount_text(weighted),
            "cart": [line.to_dict() for line in self.cart],
            "cart_currency": self.cart.currency,
            "unread": [part.to_dict() for part in self.unread],
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
            InvalidEventError: an amount is none.
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
            value=None if record["value"] is None else read_amount(record["value"]),
            cart=Cart(
                tuple(within(CartLine, line) for line in record["cart"]),
                record.get("cart_currency", record["currency"]),
            ),
            unread=tuple(within(Unread, part) for part in record.get("unread", ())),
            contact=record["contact"],
            company=record["company"],
            properties=record["properties"],
            **{name: record[name] for name in as_they_are},
            **instants,
        )

    def as_deal(self) -> Deal:
        """Return itself; guards ask this of a deal and of the fold's draft alike."""
        return self


publish("ladderpipe", Cart, CartLine, Deal, Unread)
