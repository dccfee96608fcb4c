"""The ladders and the events that the benchmarks share."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from typing import Any

from ladderpipe import ANY, Event, Pipeline, Stage, after, by_hand, on
from ladderpipe.ladder.guards import cart_has_items, cart_is_empty

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
END = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)

CART = ("cart.updated", "cart.item_added", "cart.item_removed", "cart.emptied")
QUOTED = ("opened", "called", "quoted", "ordered")
"""The four events of :func:`quoted_deals`, each a move."""
IN_FLIGHT = 50
CYCLE = ("work", "win", "reopen")
"""The three events that drive :func:`three_stages` round and round, each a move."""


def three_stages() -> Pipeline:
    """Return a ladder without guards, data or timers: what every state machine can do."""
    lead, working, won = Stage("lead"), Stage("working"), Stage("won")
    return Pipeline(
        "three",
        stages=[lead, working, won],
        rules=[
            on("reopen", into=lead, out_of=won, opens=True),
            on("work", into=working, out_of=lead),
            on("win", into=won, out_of=working),
        ],
    )


def cycle_events(count: int) -> list[Event]:
    """Return *count* events of one deal, every one of them a move."""
    kinds = itertools.chain(("reopen",), itertools.cycle(CYCLE))
    return [
        Event(kind, deal="d", id=f"e{number}", at=START + number * SECOND)
        for number, kind in zip(range(count), kinds, strict=False)
    ]


def sales() -> Pipeline:
    """Return the ladder of a B2B shop, as in the README."""
    quote, parked, saved = Stage("quote_requested"), Stage("cart_parked"), Stage("cart_saved")
    review = Stage("order_review")
    confirmed = Stage("order_confirmed", status="won")
    abandoned = Stage("checkout_abandoned", status="abandoned")
    lost = Stage("lost", status="lost", requires=["loss_reason"])
    return Pipeline(
        "sales-management",
        stages=[quote, parked, saved, review, confirmed, abandoned, lost],
        rules=[
            on("order.confirmed", into=confirmed, out_of=ANY, opens=True),
            on("checkout.started", into=review),
            on("cart.saved", into=saved, when=cart_has_items),
            on(*CART, into=parked, when=cart_is_empty),
            on(*CART, into=quote, out_of=[parked, abandoned], when=cart_has_items, opens=True),
            after(hours=48, out_of=quote, into=abandoned, when=cart_has_items),
            by_hand(into=lost),
        ],
    )


CONTACT = {"name": "Ada Rossi", "email": "ada@example.com"}
NOTEBOOK = {"sku": "NB-15", "title": "Notebook 15", "quantity": 2, "unit_price": "899.00"}
MOUSE = {"sku": "MS-01", "title": "Mouse", "quantity": 4, "unit_price": "19.90"}

DEAL: tuple[tuple[str, dict[str, Any]], ...] = (
    ("cart.item_added", {"line": NOTEBOOK, "contact": CONTACT, "currency": "EUR"}),
    ("cart.item_added", {"line": MOUSE}),
    ("cart.item_removed", {"line": {"sku": "MS-01", "quantity": 1}}),
    ("cart.saved", {}),
    ("page.viewed", {}),
    ("checkout.started", {}),
    ("cart.item_removed", {"line": {"sku": "MS-01"}}),
    ("cart.saved", {}),
    ("checkout.started", {}),
    ("cart.emptied", {}),
    ("cart.item_added", {"line": NOTEBOOK}),
    ("order.confirmed", {"properties": {"order": "2026-00042"}}),
)
"""A sales deal from the first line in the cart to the order: twelve events, eight moves."""


def deal_events(deal: str, start: dt.datetime = START) -> list[Event]:
    """Return the twelve events of one sales deal, a minute apart."""
    return [
        Event(kind, deal=deal, id=f"{deal}-{n}", at=start + n * 60 * SECOND, data=data)
        for n, (kind, data) in enumerate(DEAL)
    ]


def shop_events(deals: int, in_flight: int) -> Iterator[Event]:
    """Yield the events of many sales deals as a shop sees them, *in_flight* carts at a time."""
    for first in range(0, deals, in_flight):
        some = range(first, min(first + in_flight, deals))
        streams = [deal_events(f"cart-{n}", START + n * SECOND) for n in some]
        for at_once in zip(*streams, strict=True):
            yield from at_once


def quoted() -> Pipeline:
    """Return the ladder of deals that are opened, talked to, quoted and won, or go cold."""
    lead, talking, quote = Stage("lead"), Stage("talking"), Stage("quote")
    won, cold = Stage("won", status="won"), Stage("cold", status="abandoned")
    return Pipeline(
        "durable",
        stages=[lead, talking, quote, won, cold],
        rules=[
            on("opened", into=lead, opens=True),
            on("called", into=talking, out_of=lead),
            on("quoted", into=quote, out_of=talking),
            on("ordered", into=won, out_of=ANY),
            after(hours=48, out_of=[lead, talking, quote], into=cold),
        ],
    )


def quoted_deals(count: int, name: str, start: dt.datetime = START) -> Iterator[Event]:
    """Yield the events of that many deals, fifty of them at a time."""
    for first in range(0, count, IN_FLIGHT):
        for step, kind in enumerate(QUOTED):
            for number in range(first, first + IN_FLIGHT):
                deal = f"{name}-{number}"
                at = start + (number * len(QUOTED) + step) * SECOND
                yield Event(kind, deal=deal, id=f"{deal}-{step}", at=at, data={"by": "Ada"})
