"""Shops tell whole seconds, and a second holds more than one thing: what was first comes first,
whatever order it is told in and wherever the ladder has its stages.
"""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import ANY, Board, ManualClock, Pipeline, Stage, on
from ladderpipe.connect import Receiver, Reconciler, Shopify, Stripe, WooCommerce
from ladderpipe.templates import sales_management

from . import payloads
from .senders import NOW, SECRET, Delivery, shopify, stripe, woocommerce
from .simulated_shops import SimulatedSender, SimulatedShop
from .test_receiver import over_wsgi
from .test_reconcile import KIND, MORNING, Street, street, tell_own_carts

__all__ = ["street"]

LIVES: Final = st.sampled_from(
    [
        ("fill", "check out", "decline"),
        ("fill", "check out", "decline", "buy"),
        ("fill", "check out", "buy", "cancel"),
        ("fill", "check out", "decline", "buy", "refund a part"),
        ("fill", "check out", "buy", "refund"),
    ]
)
"""What happens to an order, one thing after the other."""


def refused_at_the_end() -> Pipeline:
    """A ladder on which a payment that fails leads higher than one that does not."""
    cart, checkout = Stage("cart"), Stage("checkout")
    won, back = Stage("won", status="won"), Stage("back", status="abandoned")
    refused = Stage("refused", status="lost")
    return Pipeline(
        "refused-at-the-end",
        stages=[cart, checkout, won, back, refused],
        rules=[
            on("order.confirmed", into=won, out_of=ANY, opens=True),
            on("order.cancelled", "order.refunded", into=back, out_of=won),
            on("payment.failed", into=refused, out_of=[cart, checkout, won, back]),
            on("checkout.started", into=checkout),
            on("cart.updated", into=cart, out_of=back, opens=True),
        ],
    )


class Hearer:
    """A board that one shop tells, and that may ask it."""

    def __init__(self, shop: SimulatedShop, url: str, ladder: Pipeline) -> None:
        self.clock = ManualClock(NOW)
        self.board = Board(ladder, clock=self.clock)
        self.shop: Any = shop
        self.shops: Any = {"/shop": shop.connector(url, self.clock)}
        self.receiver = Receiver(self.board, self.shops)

    def hears(self, told: Any) -> None:
        delivery = self.shop.signed(told, self.clock.now())
        assert over_wsgi(self.receiver, "POST", "/shop", delivery).status == 200

    def asks(self) -> None:
        assert not Reconciler(self.board, self.shops).once(MORNING).failed

    def stands(self) -> list[Any]:
        assert self.board.held() == []
        return [(deal.stage, deal.status, deal.value, deal.cart) for deal in self.board.deals()]


@pytest.mark.parametrize("ladder", [sales_management, refused_at_the_end])
@KIND
@settings(max_examples=30)
@given(life=LIVES, data=st.data())
def test_facts_of_one_second_fold_as_they_happened(
    ladder: Any, kind: type[SimulatedShop], street: Street, life: tuple[str, ...], data: Any
) -> None:
    if kind is SimulatedSender and ladder is refused_at_the_end:
        return  # who sends messages of one's own numbers them
    slow, slow_url = street.opens(kind)
    quick, quick_url = street.opens(kind)
    told, expected = Hearer(quick, quick_url, ladder()), Hearer(slow, slow_url, ladder())
    for minutes, action in enumerate(life):
        slow.do(action, 1, MORNING + dt.timedelta(minutes=minutes), 3)
        quick.do(action, 1, MORNING, 3)
    with told.board, expected.board:
        for shop, hearer in ((slow, expected), (quick, told)):
            tell_own_carts(shop, hearer)
        for _, each in slow.deliveries:
            expected.hears(each)
        order = data.draw(st.permutations([*quick.deliveries, None, *quick.deliveries]))
        for number, each in enumerate(order):
            if each is not None:
                told.hears(each[1])
            elif number % 2:
                told.asks()
        assert told.stands() == expected.stands()


class OneOrder:
    """A board that is told of one order by deliveries."""

    def __init__(self, connector: Any) -> None:
        self.board = Board(sales_management(language="en"), clock=ManualClock(NOW))
        self.receiver = Receiver(self.board, {"/shop": connector})

    def stands_after(self, *deliveries: Delivery) -> tuple[Any, Any]:
        with self.board:
            for delivery in deliveries:
                assert over_wsgi(self.receiver, "POST", "/shop", delivery).status == 200
            (deal,) = self.board.deals()
            return deal.stage, deal.value


AT: Final = "2026-01-05T08:55:00Z"
PLACED: Final[dict[str, Any]] = {"created_at": AT, "updated_at": AT}


def triggered(payload: Any, topic: str, second: int) -> Delivery:
    at = f"2026-01-05T08:55:00.{second}Z"
    return shopify(payload, topic, X_Shopify_Triggered_At=at)


def test_an_order_that_is_edited_in_the_second_it_was_placed_is_edited() -> None:
    edited = payloads.order(
        current_total_price="904.00", line_items=[payloads.item(current_quantity=1)], **PLACED
    )
    delivery = triggered(edited, "orders/updated", 2)
    stands = OneOrder(Shopify(secrets=[SECRET])).stands_after(delivery)
    assert stands == ("order_confirmed", Decimal("904.00"))


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_a_cancelled_order_that_is_told_otherwise_stays_cancelled(order: tuple[int, ...]) -> None:
    cancelled = PLACED | {"cancelled_at": AT}
    told = [
        triggered(payloads.order(**PLACED), "orders/create", 1),
        triggered(payloads.order(**cancelled), "orders/cancelled", 2),
        triggered(payloads.order(name="#1002", **cancelled), "orders/updated", 3),
    ]
    stage, _ = OneOrder(Shopify(secrets=[SECRET])).stands_after(*(told[n] for n in order))
    assert stage == "quote_requested"


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_of_two_refunds_in_one_second_the_larger_sum_is_the_later(order: tuple[int, ...]) -> None:
    charges = [
        payloads.stripe_charge(amount=180300, amount_refunded=back)
        | {"id": f"evt_{9 - number}", "created": 1767603500}
        for number, back in enumerate((10000, 20300))
    ]
    told = [stripe(payloads.stripe_session() | {"created": 1767603500}), *map(stripe, charges)]
    stands = OneOrder(Stripe(secrets=[SECRET])).stands_after(*(told[n] for n in order))
    assert stands == ("order_confirmed", Decimal("1600.00"))

    versions = [
        payloads.woo_order("processing", refunds=[{"id": n, "total": f"-{sum}"} for n, sum in each])
        for each in ((), ((1, "100.00"),), ((1, "100.00"), (2, "103.00")))
    ]
    told = [woocommerce(version) for version in versions]
    stands = OneOrder(WooCommerce(secrets=[SECRET])).stands_after(*(told[n] for n in order))
    assert stands == ("order_confirmed", Decimal("1600.00"))
