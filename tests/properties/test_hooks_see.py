"""What hooks see of a deal is what is stored of it, whatever an event brings."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import ANY, Event, HookContext, MemoryStore, Pipeline, Stage, after, on
from ladderpipe.ladder.guards import cart_has_items
from ladderpipe.model.clock import instant
from tests.shops import START, Shop


def till() -> Pipeline:
    """Return a ladder on which deals go from closed to closed, by events and by timers."""
    cart, won = Stage("cart"), Stage("won", status="won")
    paid, lost = Stage("paid", status="won"), Stage("lost", status="lost")
    return Pipeline(
        "till",
        stages=[lost, cart, won, paid],
        rules=[
            on("cart.updated", into=cart, opens=True),
            on("order", into=won, out_of=cart),
            on("pay", into=paid, out_of=won),
            on("refund", into=lost, out_of=ANY),
            on("again", into=cart, out_of=ANY),
            after(hours=2, out_of=paid, into=lost, when=~cart_has_items),
        ],
    )


def snapshot(quantity: int) -> dict[str, Any]:
    return {"lines": [{"sku": "A", "quantity": quantity, "unit_price": "1"}]}


CARTS = st.integers(0, 3).map(lambda n: {"cart": snapshot(n), "value": n})
KINDS = st.sampled_from(["cart.updated", "order", "pay", "refund", "again"])


@given(events=st.lists(st.tuples(KINDS, CARTS), min_size=1, max_size=12))
def test_a_hook_sees_the_cart_and_value_that_are_stored(
    events: list[tuple[str, dict[str, Any]]],
) -> None:
    pipeline = till()
    seen: list[HookContext] = []
    for stage in pipeline.stages:
        pipeline.move_into(stage)(seen.append)
        pipeline.move_out_of(stage)(seen.append)
    shop = Shop(pipeline, MemoryStore())
    for kind, data in events:
        seen.clear()
        receipt = shop.board.handle(shop.event(kind, **data))
        shop.wait(1)
        if not seen:
            continue
        deal = receipt.deal_or_none
        assert deal is not None
        assert (seen[-1].deal.cart, seen[-1].deal.value) == (deal.cart, deal.value)
        if len(receipt.moves) == 1 and all(context.deal.stage.is_closed for context in seen):
            leaving, entering = (context.deal for context in seen)
            assert (leaving.cart, leaving.value) == (entering.cart, entering.value)


def patient() -> Pipeline:
    """Return a ladder whose timer is tried, and held back, while the cart has items."""
    lost, cart, won = Stage("lost", status="lost"), Stage("cart"), Stage("won", status="won")
    return Pipeline(
        "patient",
        stages=[lost, cart, won],
        rules=[
            on("cart.updated", into=cart, out_of=ANY, opens=True),
            on("order", into=won, out_of=cart),
            after(hours=2, out_of=ANY, into=lost, when=~cart_has_items),
        ],
    )


@given(
    past=st.lists(st.tuples(KINDS, st.integers(1, 3)), max_size=6),
    late=st.lists(st.tuples(KINDS, st.integers(1, 3)), min_size=1, max_size=4),
    together=st.booleans(),
)
def test_hooks_see_the_same_when_a_timer_was_tried_before_the_event_arrived(
    past: list[tuple[str, int]], late: list[tuple[str, int]], together: bool
) -> None:
    first = [("cart.updated", 1), *past]
    events = [
        Event(
            kind,
            deal="d",
            id=f"e{number}",
            at=instant(START) + dt.timedelta(minutes=number),
            data={"cart": snapshot(quantity)},
        )
        for number, (kind, quantity) in enumerate([*first, *late])
    ]
    told = []
    for sweeps in (False, True):
        seen: list[tuple[Any, ...]] = []
        pipeline = patient()
        for stage in pipeline.stages:
            pipeline.move_into(stage)(lambda ctx, seen=seen: seen.append(_seen(ctx)))
            pipeline.move_out_of(stage)(lambda ctx, seen=seen: seen.append(_seen(ctx)))
        shop = Shop(pipeline, MemoryStore())
        shop.wait(4)
        shop.board.handle_many(events[: len(first)])
        if sweeps:
            shop.board.tick()
        if together:
            shop.board.handle_many(events[len(first) :])
        else:
            for event in events[len(first) :]:
                shop.board.handle(event)
        told.append(seen)
    assert told[0] == told[1]


def _seen(context: HookContext) -> tuple[Any, ...]:
    return context.move._replace(recorded_at=None), context.deal, context.refold
