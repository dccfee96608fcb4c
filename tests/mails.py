"""Deals to write to, and the deliveries that the mail tests hand to handlers."""

from __future__ import annotations

import datetime as dt
import functools
from email.message import EmailMessage
from typing import Any

from ladderpipe import Deal, Event, ManualClock, Pipeline, Stage, on
from ladderpipe.mail import EmailHandler
from ladderpipe.model.effect import Delivery

MORNING = "2026-01-05T09:00:00Z"
KEY = "0123456789abcdef0123456789abcdef"
LINES = [
    {"sku": "NB-15", "title": "Notebook 15", "quantity": 2, "unit_price": "899.00"},
    {"sku": "M-1", "title": "Mouse", "quantity": "1.5", "unit_price": "24.90"},
]


def deal(*, lines: list[dict[str, Any]] | None = None, **data: Any) -> Deal:
    """Return a deal with a cart and a contact; *data* is what the event says of it."""
    cart = {"currency": "EUR", "lines": LINES if lines is None else lines}
    contact = {"name": "Ada Rossi", "email": "ada@example.com"}
    event = Event(
        "cart.updated",
        deal="cart-42",
        id="e1",
        at=MORNING,
        data={"cart": cart, "contact": contact, **data},
    )
    stage = Stage("any")
    pipeline = Pipeline("mails", stages=[stage], rules=[on(event.type, into=stage, opens=True)])
    history = pipeline.fold([event])
    assert history is not None
    return history.deal


def delivery(
    template: str | None = "cart-reminder", about: Deal | None = None, **payload: Any
) -> Delivery:
    """Return a delivery of the effect ``email``."""
    told = {"template": template, **payload}
    return Delivery(
        key=KEY,
        name="email",
        payload={name: value for name, value in told.items() if value is not None},
        deal=about or deal(),
        pipeline="sales-management",
        due_at=dt.datetime(2026, 1, 7, 9, tzinfo=dt.UTC),
        attempt=1,
    )


class Composed(EmailHandler):
    """A handler that sends nowhere, for what it composes."""

    def send(self, message: EmailMessage) -> None:
        raise AssertionError("compose, do not send")


def composed(about: Delivery | None = None, **options: Any) -> EmailMessage:
    """Return the message that a delivery makes."""
    return _handler(**options).compose(about or delivery())


@functools.cache
def _handler(**options: Any) -> Composed:
    usual = {"sender": "Shop <shop@example.com>", "clock": ManualClock(MORNING)}
    return Composed(**{**usual, **options})
