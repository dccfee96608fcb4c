"""What the type checker knows of connectors and receivers. Checked by mypy, never run."""

from __future__ import annotations

import datetime as dt
from typing import assert_type

from ladderpipe import AsyncBoard, Board, Event
from ladderpipe.connect import CloudEvents, Connector, Receiver, Shopify, StandardWebhooks

shop = Shopify(secrets=["…"], money="presentment")
till: Connector = StandardWebhooks(secrets=["whsec_…"])
crm = CloudEvents(secrets=["…"], by="bearer")

Shopify(secrets=["…"], money="dollars")  # type: ignore[arg-type]
Shopify("…")  # type: ignore[call-arg]


def receive(board: Board, awaited: AsyncBoard, body: bytes, now: dt.datetime) -> None:
    assert_type(shop.verify_and_parse({"X-Shopify-Topic": "carts/update"}, body), list[Event])
    assert_type(till.events([(b"webhook-id", b"1")], body, now), list[Event])
    Receiver(board, {"/shopify": shop, "/till": till})
    Receiver(awaited, {"/crm": crm})
    Receiver(board, [shop])  # type: ignore[arg-type]
