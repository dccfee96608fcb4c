"""What Stripe tells: what is paid, and what is not."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from ladderpipe import Event
from ladderpipe.connect import Stripe

from . import payloads
from .senders import NOW, SECRET, stripe


def told(payload: Any, **how: Any) -> list[Event]:
    delivery = stripe(payload)
    connector = Stripe(secrets=[SECRET], **how)
    return connector.verify_and_parse(delivery.headers, delivery.body, NOW)


def one(payload: Any) -> Event:
    (event,) = told(payload)
    return event


def test_a_paid_session_is_an_order_of_the_deal_that_the_shop_named() -> None:
    event = one(payloads.stripe_session())
    assert (event.type, event.deal, event.id) == ("order.confirmed", "cart-42", "evt_1")
    assert event.at == dt.datetime(2026, 1, 5, 8, 58, tzinfo=dt.UTC)
    assert event.data == {
        "value": "1803.00",
        "currency": "EUR",
        "contact": {
            "id": "cus_9",
            "email": "ada@example.com",
            "name": "Ada Rossi",
            "language": "it",
        },
    }


@pytest.mark.parametrize(
    ("type", "paid", "means"),
    [
        ("checkout.session.completed", "paid", "order.confirmed"),
        ("checkout.session.completed", "no_payment_required", "order.confirmed"),
        ("checkout.session.completed", "unpaid", "checkout.started"),
        ("checkout.session.async_payment_succeeded", "paid", "order.confirmed"),
        ("checkout.session.async_payment_failed", "unpaid", "payment.failed"),
    ],
)
def test_an_order_is_one_when_it_is_paid(type: str, paid: str, means: str) -> None:
    assert one(payloads.stripe_session(type, payment_status=paid)).type == means


@pytest.mark.parametrize(
    ("currency", "minor", "value"),
    [
        ("eur", 1050, "10.50"),
        ("jpy", 1050, "1050"),
        ("KRW", 5, "5"),
        ("kwd", 1050, "1.050"),
        ("isk", 500, "5.00"),
        ("ugx", 500, "5.00"),
        ("huf", 1050, "10.50"),
        ("eur", 0, "0.00"),
    ],
)
def test_an_amount_has_the_places_of_its_currency(currency: str, minor: int, value: str) -> None:
    data = one(payloads.stripe_session(amount_total=minor, currency=currency)).data
    assert (data["value"], data["currency"]) == (value, currency.upper())


def test_a_session_that_names_no_deal_is_one_of_its_own() -> None:
    assert one(payloads.stripe_session(client_reference_id=None)).deal == "stripe/cs_1"


def test_a_refund_tells_what_is_left() -> None:
    event = one(payloads.stripe_charge())
    assert (event.type, event.deal, event.data) == (
        "order.refunded",
        "cart-42",
        {"value": "1600.00", "currency": "EUR"},
    )


def test_a_failed_payment_is_told_of_the_deal_in_its_metadata() -> None:
    intent = {"object": "payment_intent", "metadata": {"deal": "cart-42"}}
    event = one(payloads.stripe_event("payment_intent.payment_failed", intent))
    assert (event.type, event.deal) == ("payment.failed", "cart-42")


@pytest.mark.parametrize(
    "payload",
    [
        payloads.stripe_charge(metadata={}),
        payloads.stripe_event("customer.created", {"object": "customer", "id": "cus_9"}),
        payloads.stripe_session("checkout.session.expired"),
        {"object": "event"},
    ],
)
def test_what_tells_no_deal_tells_nothing(payload: Any) -> None:
    assert told(payload) == []


def test_connected_accounts_are_sources_of_their_own() -> None:
    payload = payloads.stripe_session() | {"account": "acct_7"}
    assert one(payload).source == "stripe/acct_7"


def test_the_deal_may_be_read_from_elsewhere() -> None:
    payload = payloads.stripe_charge(metadata={}, description="Cart 9")
    (event,) = told(payload, deal=lambda subject: subject["description"])
    assert event.deal == "Cart 9"
