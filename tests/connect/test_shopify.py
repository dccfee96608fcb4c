"""What Shopify tells: whose it is, which fact, and when."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from ladderpipe import Event
from ladderpipe.connect import Shopify
from ladderpipe.errors import InvalidEventError

from . import payloads
from .senders import NOW, SECRET, shopify


def told(payload: Any, topic: str = "carts/update", **how: Any) -> list[Event]:
    headers = {name: how.pop(name) for name in list(how) if name.startswith(("X_", "Shopify"))}
    delivery = shopify(payload, topic, **headers)
    return Shopify(secrets=[SECRET], **how).verify_and_parse(delivery.headers, delivery.body, NOW)


def cart(**how: Any) -> Event:
    (event,) = told(payloads.cart(**how))
    return event


def by_type(payload: Any, topic: str = "orders/updated", **how: Any) -> dict[str, Event]:
    return {event.type: event for event in told(payload, topic, **how)}


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def test_a_cart_is_told_whole_as_of_its_version() -> None:
    event = cart()
    assert (event.type, event.deal) == ("cart.updated", "x.myshopify.com/c1-9f3a")
    assert event.at == at("2026-01-05T08:59:58Z")
    assert event.data["cart"] == {
        "lines": [
            {
                "sku": "NB-15",
                "variant_id": "704912",
                "title": "Notebook 15",
                "quantity": "2",
                "unit_price": "899.00",
            }
        ]
    }


def test_a_line_without_sku_and_variant_has_its_key_and_id() -> None:
    bare = payloads.item(sku="", variant_id=None)
    (line,) = cart(line_items=[bare]).data["cart"]["lines"]
    assert (line["key"], line["id"]) == ("704912:c3b2", "704912")
    assert not {"sku", "variant_id"} & set(line)


def test_an_emptied_cart_has_no_lines() -> None:
    assert cart(line_items=[]).data["cart"] == {"lines": []}


def test_the_cart_of_one_shop_is_not_that_of_another() -> None:
    (other,) = told(payloads.cart(), X_Shopify_Shop_Domain="y.myshopify.com")
    assert other.deal != cart().deal
    assert other.source != cart().source


def test_one_change_told_five_times_under_five_ids_is_one_event() -> None:
    events = {
        event
        for number in range(5)
        for event in told(payloads.cart(), X_Shopify_Webhook_Id=f"w{number}")
    }
    assert len(events) == 1


def test_two_versions_within_one_second_are_two_events_in_their_order() -> None:
    (first,) = told(payloads.cart(), X_Shopify_Triggered_At="2026-01-05T08:59:58.100200300Z")
    (second,) = told(
        payloads.cart(line_items=[]), X_Shopify_Triggered_At="2026-01-05T08:59:58.100300300Z"
    )
    assert first.at == second.at
    assert first.id != second.id
    assert second.seq - first.seq == 100


def test_a_cart_without_a_time_is_as_of_when_it_came() -> None:
    assert cart(updated_at=None).at == NOW


def test_newer_tokens_end_with_a_key_that_is_left_out() -> None:
    assert cart(token="c1-9f3a?key=5f6e").deal == cart().deal


def test_a_cart_without_a_token_is_nobodys() -> None:
    with pytest.raises(InvalidEventError, match="has no token"):
        cart(token=None, id=None)


def test_money_is_the_shops_or_the_customers_with_its_currency() -> None:
    lines = [payloads.item(price="842.75", price_set=payloads.money("899.00", "842.75"))]
    (shops,) = told(payloads.cart(line_items=lines))
    (customers,) = told(payloads.cart(line_items=lines), money="presentment")
    assert (shops.data["cart"]["currency"], shops.data["cart"]["lines"][0]["unit_price"]) == (
        "EUR",
        "899.00",
    )
    assert customers.data["cart"]["currency"] == "CHF"
    assert customers.data["cart"]["lines"][0]["unit_price"] == "842.75"


def test_a_discount_counts() -> None:
    lines = [payloads.item(discounted_price="809.10")]
    assert cart(line_items=lines).data["cart"]["lines"][0]["unit_price"] == "809.10"


def test_a_checkout_is_its_carts_and_says_whose() -> None:
    snapshot, started = told(payloads.checkout(), "checkouts/update")
    assert {snapshot.deal, started.deal} == {cart().deal}
    assert (snapshot.type, snapshot.at) == ("cart.updated", at("2026-01-05T08:55:00Z"))
    assert snapshot.data["contact"] == {
        "id": "7301",
        "email": "ada@example.com",
        "name": "Ada Rossi",
        "language": "it",
    }
    assert snapshot.data["cart"]["currency"] == "EUR"
    assert (started.type, started.at) == ("checkout.started", snapshot.at)


def test_a_checkout_without_a_cart_is_a_deal_of_its_own() -> None:
    snapshot, _ = told(payloads.checkout(cart_token=None), "checkouts/create")
    assert snapshot.deal == "x.myshopify.com/k7"


def test_an_order_says_what_was_bought() -> None:
    events = by_type(payloads.order(), "orders/create")
    assert set(events) == {"order.confirmed"}
    bought = events["order.confirmed"]
    assert bought.deal == cart().deal
    assert bought.at == at("2026-01-05T08:58:00Z")
    assert bought.data["value"] == "1803.00"
    assert bought.data["currency"] == "EUR"
    assert bought.data["cart"]["currency"] == "EUR"
    assert bought.data["contact"]["email"] == "ada@example.com"
    assert bought.data["properties"] == {"order_number": "#1001"}


def test_an_order_in_the_customers_money() -> None:
    bought = by_type(payloads.order(), money="presentment")["order.confirmed"]
    assert (bought.data["value"], bought.data["currency"]) == ("1690.50", "CHF")


@pytest.mark.parametrize(
    ("without", "deal"),
    [
        ({"cart_token": None}, "x.myshopify.com/k7"),
        ({"cart_token": None, "checkout_token": None}, "x.myshopify.com/order:5501"),
    ],
)
def test_an_order_is_its_carts_else_its_checkouts_else_its_own(
    without: dict[str, Any], deal: str
) -> None:
    assert by_type(payloads.order(**without))["order.confirmed"].deal == deal


def test_an_order_is_confirmed_once_whichever_topic_tells_it() -> None:
    topics = ("orders/create", "orders/paid", "orders/updated", "orders/fulfilled")
    confirmed = [by_type(payloads.order(), topic)["order.confirmed"] for topic in topics]
    assert all(event == confirmed[0] for event in confirmed)


def test_an_order_that_was_edited_conflicts_with_nothing_told_before() -> None:
    first = by_type(payloads.order(), "orders/create")["order.confirmed"]
    added = payloads.order(line_items=[payloads.item(), payloads.item(sku="MS-01")])
    again = by_type(added, "orders/updated")["order.confirmed"]
    assert (again.at, again.deal) == (first.at, first.deal)
    assert again.id != first.id


def test_a_cancelled_order_is_confirmed_and_then_cancelled() -> None:
    events = by_type(payloads.order(cancelled_at="2026-01-06T09:00:00+01:00"), "orders/cancelled")
    assert events["order.cancelled"].at == at("2026-01-06T08:00:00Z")
    assert set(events) == {"order.confirmed", "order.cancelled"}


def test_each_refund_is_told_with_what_went_back_and_when() -> None:
    refunds = [payloads.refund(10, "100.00"), payloads.refund(20, "3.50")]
    back = told(payloads.order(refunds=refunds), "orders/updated")[1:]
    assert [(event.type, event.data["refunded"]) for event in back] == [
        ("order.refunded", "100.00"),
        ("order.refunded", "3.50"),
    ]
    assert {event.at for event in back} == {at("2026-01-08T09:00:00Z")}
    later = payloads.order(refunds=refunds, updated_at="2026-02-01T09:00:00Z")
    assert told(later, "orders/fulfilled")[1:] == back


def test_a_refund_of_nothing_is_none() -> None:
    refunds = [{"id": 10, "transactions": []}, payloads.refund(20, "0.00"), {}]
    assert set(by_type(payloads.order(refunds=refunds))) == {"order.confirmed"}


def test_an_edited_order_says_what_is_left_of_it() -> None:
    edited = payloads.order(
        current_total_price="904.00",
        line_items=[payloads.item(current_quantity=1)],
        updated_at="2026-01-06T10:00:00Z",
    )
    event = by_type(edited)["order.edited"]
    assert event.at == at("2026-01-06T10:00:00Z")
    assert Decimal(event.data["value"]) == Decimal("904.00")
    assert event.data["cart"]["lines"][0]["quantity"] == "1"


def test_a_test_order_is_no_order_unless_asked_for() -> None:
    assert told(payloads.order(test=True), "orders/create") == []
    assert told(payloads.order(test=True), "orders/create", test_orders=True)


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("orders/delete", {"id": 5501}),
        ("checkouts/delete", {"id": 98123, "presentment_currency": "EUR"}),
        ("orders/edited", {"order_edit": {"id": 1, "order_id": 5501}}),
        ("orders/risk_assessment_changed", {"order_id": 5501}),
        ("products/update", {"id": 1}),
        ("app/uninstalled", {"id": 1}),
        ("", {}),
    ],
)
def test_what_tells_no_deal_tells_nothing(topic: str, payload: Any) -> None:
    assert told(payload, topic) == []


def test_newer_headers_without_x_say_the_same() -> None:
    delivery = shopify(payloads.cart())
    newer = {name.removeprefix("X-"): value for name, value in delivery.headers.items()}
    connector = Shopify(secrets=[SECRET])
    assert connector.verify_and_parse(newer, delivery.body, NOW) == [cart()]


def test_a_shop_may_say_itself_whose_a_payload_is() -> None:
    def deal(payload: Any) -> str | None:
        return {"mine": "cart-42"}.get(payload["note"])

    assert told(payloads.cart(note="mine"), deal=deal)[0].deal == "cart-42"
    assert told(payloads.cart(note="other"), deal=deal)[0].deal == cart().deal
