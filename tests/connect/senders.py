"""Senders as they are out there: each signs what it tells, and says it in its own headers."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
from standardwebhooks import Webhook

from ladderpipe import Event
from ladderpipe.connect import (
    CloudEvents,
    Connector,
    Shopify,
    StandardWebhooks,
    Stripe,
    WooCommerce,
)

from . import payloads

NOW: Final = dt.datetime(2026, 1, 5, 9, 0, tzinfo=dt.UTC)
SECRET: Final = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
OTHER: Final = "whsec_d3JvbmcgYnV0IG9mIHRoZSBzYW1lIGxlbmd0aCE="

Headers = dict[str, str]


def as_bytes(payload: Any) -> bytes:
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()


@attrs.frozen
class Delivery:
    """One request: its headers and its body."""

    headers: Headers
    body: bytes


def hmac_of(secret: str, body: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def shopify(
    payload: Any, topic: str = "carts/update", *, secret: str = SECRET, **more: str
) -> Delivery:
    body = as_bytes(payload)
    headers = {
        "X-Shopify-Topic": topic,
        "X-Shopify-Shop-Domain": "x.myshopify.com",
        "X-Shopify-Webhook-Id": "b54557e4",
        "X-Shopify-Triggered-At": "2026-01-05T08:59:59.123456789Z",
        "X-Shopify-Hmac-Sha256": hmac_of(secret, body),
    }
    return Delivery(headers | {name.replace("_", "-"): value for name, value in more.items()}, body)


def woocommerce(payload: Any, *, secret: str = SECRET, **more: str) -> Delivery:
    body = as_bytes(payload)
    headers = {
        "X-WC-Webhook-Source": "https://shop.example/",
        "X-WC-Webhook-Topic": "order.updated",
        "X-WC-Webhook-Resource": "order",
        "X-WC-Webhook-Delivery-ID": "77ab01",
        "X-WC-Webhook-Signature": hmac_of(secret, body),
    }
    return Delivery(headers | {name.replace("_", "-"): value for name, value in more.items()}, body)


def stripe(payload: Any, *, secret: str = SECRET, at: dt.datetime = NOW) -> Delivery:
    body, seconds = as_bytes(payload), int(at.timestamp())
    signed = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return Delivery({"Stripe-Signature": f"t={seconds},v1={signed}"}, body)


def standard(
    payload: Any, *, id: str = "msg_1", secret: str = SECRET, at: dt.datetime = NOW
) -> Delivery:
    """Sign as the library of that name does, which every sender may use."""
    body = as_bytes(payload)
    headers = {
        "webhook-id": id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(id, at, body.decode("utf-8", "replace")),
        "content-type": "application/json",
    }
    return Delivery(headers, body)


def cloudevents(payload: Any, *, secret: str = SECRET, at: dt.datetime = NOW) -> Delivery:
    signed = standard(payload, secret=secret, at=at)
    return Delivery(signed.headers | {"content-type": "application/cloudevents+json"}, signed.body)


@attrs.frozen
class Scheme:
    """A kind of sender: its connector, how it signs, and a payload that it would send.

    Attributes:
        signature: the header that holds the signature.
        dated: whether the time of sending is signed, so that it may be too long ago.
    """

    connector: Callable[..., Connector]
    send: Callable[..., Delivery]
    payload: Callable[[], Mapping[str, Any]]
    signature: str
    dated: bool

    def receiver(self, *secrets: str) -> Connector:
        return self.connector(secrets=list(secrets or [SECRET]))


def message() -> dict[str, Any]:
    return {
        "type": "cart.updated",
        "timestamp": "2026-01-05T08:59:58Z",
        "deal": "cart-42",
        "data": {"cart": {"currency": "EUR", "lines": [payloads.line()]}},
    }


def event() -> Event:
    told = message()
    return Event(
        told["type"],
        deal="cart-42",
        id="e1",
        at=told["timestamp"],
        source="till",
        data=told["data"],
    )


SCHEMES: Final = {
    "shopify": Scheme(Shopify, shopify, payloads.cart, "X-Shopify-Hmac-Sha256", False),
    "woocommerce": Scheme(
        WooCommerce, woocommerce, payloads.woo_order, "X-WC-Webhook-Signature", False
    ),
    "stripe": Scheme(Stripe, stripe, payloads.stripe_session, "Stripe-Signature", True),
    "standard": Scheme(StandardWebhooks, standard, message, "webhook-signature", True),
    "cloudevents": Scheme(
        CloudEvents,
        cloudevents,
        lambda: event().to_cloudevent(),
        "webhook-signature",
        True,
    ),
}
