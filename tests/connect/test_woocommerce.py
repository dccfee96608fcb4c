"""What WooCommerce tells: an order's status, whatever the topic."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from ladderpipe import Event
from ladderpipe.connect import WooCommerce

from . import payloads
from .senders import NOW, SECRET, woocommerce


def told(payload: Any, how: Any = None, **headers: Any) -> list[Event]:
    delivery = woocommerce(payload, **headers)
    connector = WooCommerce(secrets=[SECRET], **(how or {}))
    return connector.verify_and_parse(delivery.headers, delivery.body, NOW)


def one(payload: Any) -> Event:
    (event,) = told(payload)
    return event


@pytest.mark.parametrize(
    ("status", "types"),
    [
        ("checkout-draft", ["cart.updated", "checkout.started"]),
        ("pending", ["cart.updated", "checkout.started"]),
        ("failed", ["cart.updated", "payment.failed"]),
        ("on-hold", ["order.confirmed"]),
        ("processing", ["order.confirmed"]),
        ("completed", ["order.confirmed"]),
        ("cancelled", ["order.cancelled"]),
        ("trash", ["order.cancelled"]),
        ("refunded", ["order.refunded"]),
        ("shipped-by-a-plugin", []),
    ],
)
def test_the_status_says_what_happened_and_the_topic_does_not(
    status: str, types: list[str]
) -> None:
    for topic in ("order.created", "order.updated", "order.restored"):
        events = told(payloads.woo_order(status), X_WC_Webhook_Topic=topic)
        assert [event.type for event in events] == types


def test_times_without_a_zone_are_utc() -> None:
    assert one(payloads.woo_order()).at == dt.datetime(2026, 1, 5, 8, 58, 10, tzinfo=dt.UTC)


def test_an_order_says_what_was_bought_and_by_whom() -> None:
    event = one(payloads.woo_order())
    assert event.deal == "shop.example/order:727"
    assert event.data == {
        "cart": {
            "currency": "EUR",
            "lines": [
                {
                    "sku": "NB-15",
                    "variant_id": "93",
                    "id": "315",
                    "title": "Notebook 15",
                    "quantity": "2",
                    "unit_price": "899",
                }
            ],
        },
        "value": "1803.00",
        "currency": "EUR",
        "contact": {"id": "26", "email": "ada@example.com", "name": "Ada Rossi"},
        "properties": {"order_number": "727"},
    }


def test_a_line_may_have_no_sku_or_one_that_is_a_number() -> None:
    items = [payloads.woo_item(sku=""), payloads.woo_item(sku=123, variation_id=7)]
    lines = one(payloads.woo_order(line_items=items)).data["cart"]["lines"]
    assert [(line.get("sku"), line["variant_id"]) for line in lines] == [(None, "93"), ("123", "7")]


def test_a_price_keeps_the_digits_that_the_shop_wrote() -> None:
    body = b'{"id": 7, "status": "completed", "line_items": [{"price": 10.799999999999999}]}'
    event = one(body)
    assert event.data["cart"]["lines"] == [{"unit_price": "10.799999999999999"}]


def test_the_delivery_id_is_no_identity() -> None:
    again = told(payloads.woo_order(), X_WC_Webhook_Delivery_ID="other")
    assert again == told(payloads.woo_order())


def test_statuses_of_one_second_come_in_their_order() -> None:
    statuses = ("pending", "failed", "processing", "completed", "cancelled", "refunded")
    events = [told(payloads.woo_order(status))[-1] for status in statuses]
    assert len({event.id for event in events}) == len(events)
    assert [event.seq for event in events] == sorted({event.seq for event in events})


def test_what_was_refunded_in_part_is_taken_off() -> None:
    refunds = [{"id": 8, "total": "-100.00"}, {"id": 9, "reason": "", "total": "-3.50"}]
    bought, back = told(payloads.woo_order("completed", refunds=refunds))
    assert (bought.type, back.type) == ("order.confirmed", "order.refunded")
    assert back.data == {"value": "1699.50", "currency": "EUR"}
    assert (bought.at, bought.seq) < (back.at, back.seq)


def test_what_was_refunded_wholly_leaves_nothing() -> None:
    refunds = [{"id": 8, "total": "-1803.00"}]
    assert one(payloads.woo_order("refunded", refunds=refunds)).data["value"] == "0.00"
    assert one(payloads.woo_order("refunded")).data["value"] == "0"


@pytest.mark.parametrize(
    ("payload", "headers"),
    [
        ({"id": 727}, {"X_WC_Webhook_Topic": "order.deleted"}),
        ({"id": 1, "status": "publish"}, {"X_WC_Webhook_Resource": "product"}),
        ({"action": "woocommerce_x", "arg": 1}, {"X_WC_Webhook_Resource": "action"}),
    ],
)
def test_what_is_no_order_tells_nothing(payload: Any, headers: Any) -> None:
    assert told(payload, **headers) == []


def test_orders_of_two_shops_are_two_deals() -> None:
    other = told(payloads.woo_order(), X_WC_Webhook_Source="https://other.example/")
    assert other[0].deal == "other.example/order:727"
    assert other[0].source != one(payloads.woo_order()).source


def test_shop_deal_and_statuses_may_be_given() -> None:
    assert told(payloads.woo_order(), {"shop": "s1"})[0].deal == "s1/order:727"
    how = {"deal": lambda payload: payload["order_key"], "statuses": {"shipped": "completed"}}
    (event,) = told(payloads.woo_order("shipped"), how)
    assert (event.deal, event.type) == ("wc_order_58d2d042d1d", "order.confirmed")
