"""The records that readers get: deals, carts, moves, visits, receipts. All frozen."""

from __future__ import annotations

import datetime as dt
import enum
import functools
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

import attrs

from .event import Event
from .money import product, total
from .stage import Stage, Status

__all__ = ["Cart", "CartLine", "Deal", "Move", "Outcome", "Receipt", "Visit"]


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


class Move(NamedTuple):
    """The passage from one stage into another. A named tuple, since histories hold millions.

    Attributes:
        n: number of the visit it begins, from 1.
        out_of: the stage left; ``None`` for the opening.
        at: when it happened; for a timer, when it was due.
        recorded_at: when a store wrote it; ``None`` in a bare fold.
        rule: key of the rule that made it, or ``ladder.override``.
        event: what caused it; ``None`` for a timer.
    """

    deal: str
    n: int
    out_of: Stage | None
    into: Stage
    at: dt.datetime
    recorded_at: dt.datetime | None
    rule: str
    event: Event | None


new_move = functools.partial(tuple.__new__, Move)
"""Builds a move from a tuple of its fields, faster than the class does."""


class Visit(NamedTuple):
    """A stay in a stage, ``[entered_at, left_at)``.

    Attributes:
        n: number in the deal's life, from 1; display order only.
        key: what the visit is, whatever its number: derived from what caused it.
        left_at: ``None`` for the current visit.
    """

    deal: str
    n: int
    key: str
    stage: Stage
    entered_at: dt.datetime
    left_at: dt.datetime | None

    @property
    def duration(self) -> dt.timedelta | None:
        """How long it lasted; ``None`` while it goes on."""
        return None if self.left_at is None else self.left_at - self.entered_at


class Outcome(enum.StrEnum):
    """What became of one event."""

    OPENED = "opened"
    """It opened the deal."""
    MOVED = "moved"
    """It moved the deal."""
    STAYED = "stayed"
    """It was recorded and moved nothing."""
    DUPLICATE = "duplicate"
    """It was known already; nothing changed."""
    WAITING = "waiting"
    """No rule has opened its deal yet; it is kept and takes part when one does."""
    LATE = "late"
    """It is older than the deal's baseline; recorded, changes nothing."""
    ARCHIVED = "archived"
    """Its deal was removed; recorded nowhere, changes nothing."""


class _Stands(Protocol):
    """A deal, or the fold's draft of one."""

    def as_deal(self) -> Deal: ...


def _as_deal(stands: _Stands | None) -> Deal | None:
    return None if stands is None else stands.as_deal()


@attrs.frozen(repr=False)
class Receipt:
    """What a board answers to an event.

    Attributes:
        outcome: what became of *this* event.
        moves: the moves that are newly current, timers that were due before included.
        refolded: whether the event was late and the deal's history was folded again.
    """

    outcome: Outcome
    _stands: _Stands | None = attrs.field(alias="deal", eq=_as_deal)
    moves: tuple[Move, ...] = ()
    refolded: bool = False

    @functools.cached_property
    def deal(self) -> Deal | None:
        """The deal as it stands now; ``None`` while none is open."""
        return _as_deal(self._stands)

    def __repr__(self) -> str:
        return f"Receipt({self.outcome!r}, {self.deal!r}, {self.moves!r}, {self.refolded!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Receipt, (self.outcome, self.deal, self.moves, self.refolded))
