"""What happens in a shop, and where the deal then stands: from the webhook to the board."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Board, Deal, ManualClock
from ladderpipe.connect import Receiver, Shopify, Stripe, WooCommerce
from ladderpipe.templates import sales_management

from . import payloads
from .senders import NOW, SECRET, Delivery, shopify, stripe, woocommerce
from .test_receiver import over_wsgi

CART = "x.myshopify.com/c1-9f3a"
ORDER = "shop.example/order:727"


class Told:
    """A board that was told by shops."""

    def __init__(self) -> None:
        self.board = Board(sales_management(language="en"), clock=ManualClock(NOW))
        shops = {
            "/shopify": Shopify(secrets=[SECRET]),
            "/woocommerce": WooCommerce(secrets=[SECRET]),
            "/stripe": Stripe(secrets=[SECRET]),
        }
        self.receiver = Receiver(self.board, shops)

    def by(self, path: str, delivery: Delivery) -> None:
        assert over_wsgi(self.receiver, "POST", path, delivery).status == 200

    def shopify(self, payload: Any, topic: str) -> Deal:
        self.by("/shopify", shopify(payload, topic))
        return self.board.deal(CART)

    def woocommerce(self, status: str, **told: Any) -> Deal:
        self.by("/woocommerce", woocommerce(payloads.woo_order(status, **told)))
        return self.board.deal(ORDER)


@pytest.fixture
def told() -> Iterator[Told]:
    shops = Told()
    with shops.board:
        yield shops


def test_a_cart_may_hold_a_product_twice_without_sku_or_under_a_number(told: Told) -> None:
    deal = told.shopify(
        payloads.cart(
            line_items=[
                payloads.item(quantity=1),
                payloads.item(quantity=1, key="704912:engraved"),
                payloads.item(sku="", variant_id=7, quantity=1, price="25.00"),
                payloads.item(sku=123, quantity=3, price="10.00"),
                payloads.item(sku=None, variant_id=None, title="Gift wrap", price="5.00"),
            ]
        ),
        "carts/create",
    )
    assert deal.value == 2 * 899 + 25 + 30 + 2 * 5
    assert [line.quantity for line in deal.cart] == [2, 1, 3, 2]


def test_a_line_that_cannot_be_read_keeps_no_order_from_winning(told: Told) -> None:
    strange = payloads.item(sku="X", quantity=-1)
    order = payloads.order(line_items=[payloads.item(), strange])
    deal = told.shopify(order, "orders/create")
    assert (deal.stage, deal.value) == ("order_confirmed", Decimal("1803.00"))
    assert told.board.held() == []


def test_who_pays_in_another_currency_has_paid(told: Told) -> None:
    lines = [payloads.item(price_set={"shop_money": {"amount": "842.75", "currency_code": "CHF"}})]
    assert told.shopify(payloads.cart(line_items=lines), "carts/create").currency == "CHF"
    deal = told.shopify(payloads.order(), "orders/create")
    assert (deal.stage, deal.value, deal.currency) == (
        "order_confirmed",
        Decimal("1803.00"),
        "EUR",
    )


def test_a_shop_that_empties_the_cart_after_the_order_changes_nothing(told: Told) -> None:
    told.shopify(payloads.cart(updated_at="2026-01-05T08:50:00Z"), "carts/create")
    told.shopify(payloads.order(), "orders/create")
    emptied = payloads.cart(updated_at="2026-01-05T08:58:00Z", line_items=[])
    deal = told.shopify(emptied, "carts/update")
    assert (deal.stage, deal.value, len(deal.cart)) == ("order_confirmed", Decimal("1803.00"), 1)


def test_a_refund_in_part_leaves_the_rest(told: Told) -> None:
    told.shopify(payloads.order(), "orders/create")
    at = "2026-01-05T08:59:30Z"
    refunds = [payloads.refund(10, "100.00", at), payloads.refund(20, "3.00", at)]
    deal = told.shopify(payloads.order(refunds=refunds, updated_at=at), "orders/updated")
    assert (deal.stage, deal.value) == ("order_confirmed", Decimal("1700.00"))
    again = payloads.order(refunds=refunds, updated_at="2026-01-05T09:00:00Z")
    assert told.shopify(again, "orders/fulfilled").value == Decimal("1700.00")


def test_an_edited_order_is_worth_what_it_is_now(told: Told) -> None:
    told.shopify(payloads.order(), "orders/create")
    edited = payloads.order(
        current_total_price="904.00",
        line_items=[payloads.item(current_quantity=1)],
        updated_at="2026-01-05T08:59:00Z",
    )
    deal = told.shopify(edited, "orders/updated")
    assert (deal.value, deal.cart.lines[0].quantity) == (Decimal("904.00"), 1)
    assert told.board.held() == []


def test_an_order_that_is_cancelled_is_no_order(told: Told) -> None:
    told.shopify(payloads.order(), "orders/create")
    cancelled = payloads.order(cancelled_at="2026-01-05T08:59:00Z")
    assert told.shopify(cancelled, "orders/cancelled").status != "won"


def test_an_order_that_is_first_heard_of_when_it_is_cancelled_is_none(told: Told) -> None:
    cancelled = payloads.order(cancelled_at="2026-01-05T08:59:00Z")
    assert told.shopify(cancelled, "orders/cancelled").status != "won"


def test_the_order_number_is_told_to_the_customer(told: Told) -> None:
    deal = told.shopify(payloads.order(), "orders/create")
    assert deal.properties["order_number"] == "#1001"


@pytest.mark.parametrize(
    ("statuses", "stage"),
    [
        (["pending"], "order_review"),
        (["pending", "processing", "completed"], "order_confirmed"),
        (["pending", "failed"], "order_review"),
        (["failed"], "order_review"),
        (["failed", "processing"], "order_confirmed"),
        (["on-hold", "completed"], "order_confirmed"),
        (["processing", "cancelled"], "quote_requested"),
    ],
)
def test_an_order_of_woocommerce_goes_where_its_status_says(
    told: Told, statuses: list[str], stage: str
) -> None:
    for second, status in enumerate(statuses):
        deal = told.woocommerce(status, date_modified_gmt=f"2026-01-05T08:58:{10 + second}")
    assert deal.stage == stage


@given(order=st.permutations(["pending", "failed", "processing", "completed"]))
def test_statuses_of_one_second_count_in_their_order(order: list[str]) -> None:
    shops = Told()
    with shops.board:
        for status in order:
            shops.by("/woocommerce", woocommerce(payloads.woo_order(status)))
        assert shops.board.deal(ORDER).stage == "order_confirmed"


def test_what_woocommerce_refunds_in_part_is_taken_off(told: Told) -> None:
    refunds = [{"id": 8, "total": "-100.00"}]
    deal = told.woocommerce("completed", refunds=refunds)
    assert (deal.stage, deal.value) == ("order_confirmed", Decimal("1703.00"))


def test_a_price_with_fifteen_digits_is_one(told: Told) -> None:
    items = [payloads.woo_item(quantity=3, price=10.799999999999999)]
    deal = told.woocommerce("pending", line_items=items)
    assert deal.value == Decimal("32.40")


def test_stripe_tells_what_was_paid_and_what_went_back(told: Told) -> None:
    told.by("/stripe", stripe(payloads.stripe_session()))
    assert told.board.deal("cart-42").value == Decimal("1803.00")
    charge = payloads.stripe_charge() | {"id": "evt_2", "created": 1767603500}
    told.by("/stripe", stripe(charge))
    deal = told.board.deal("cart-42")
    assert (deal.stage, deal.value) == ("order_confirmed", Decimal("1600.00"))


def test_a_payment_that_fails_later_takes_the_order_back(told: Told) -> None:
    told.by("/stripe", stripe(payloads.stripe_session()))
    failed = payloads.stripe_session("checkout.session.async_payment_failed")
    told.by("/stripe", stripe(failed | {"id": "evt_2", "created": 1767603500}))
    assert told.board.deal("cart-42").stage == "order_review"


def test_two_shops_with_one_cart_number_have_two_deals(told: Told) -> None:
    told.by("/shopify", shopify(payloads.cart()))
    told.by("/shopify", shopify(payloads.order(), "orders/create", X_Shopify_Shop_Domain="y.shop"))
    assert told.board.deal(CART).stage == "quote_requested"
    assert told.board.deal("y.shop/c1-9f3a").stage == "order_confirmed"
