"""What hooks see of a deal is what is stored of it, whatever an event brings."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import ANY, HookContext, MemoryStore, Pipeline, Stage, after, on
from ladderpipe.ladder.guards import cart_has_items
from tests.shops import Shop


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
