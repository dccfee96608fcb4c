"""A process that answers as Stripe does, and signs its webhooks as Stripe does.

``make test-shops`` installs it, which is localstripe. It knows no sessions of the Checkout, no
refunds as events, and takes no list of types when it is asked for events: so what it tells us are
payments, those that fail, at once or days later.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

import attrs
import httpx
import pytest

from ladderpipe import Board, Event
from ladderpipe.connect import Stripe
from ladderpipe.templates import sales_management
from tests.connect.senders import OTHER, SECRET
from tests.connect.test_served import uvicorn_serving

from .watched import DEADLINE, SHOPS, Watched, free_port

INSTALLED: Final = SHOPS / "localstripe"

pytestmark = pytest.mark.skipif(
    not (INSTALLED / "localstripe").exists(), reason=f"nothing in {INSTALLED}: run make test-shops"
)


@attrs.frozen
class Payments:
    """Stripe, and the board that it tells."""

    client: httpx.Client
    board: Board
    receiver: Watched
    here: str

    def tells(self, endpoint: str, secret: str) -> None:
        """Let it tell the receiver, too, as this endpoint with this secret."""
        hook = {"url": f"{self.here}/stripe", "secret": secret}
        answer = self.post(f"/_config/webhooks/{endpoint}", hook)
        assert answer.status_code == 200, answer.text

    def post(self, path: str, told: Any) -> httpx.Response:
        return self.client.post(path, data=told)

    def orders(self, deal: str) -> None:
        """Let the shop tell its board of an order that a bank is to pay."""
        at = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
        line = {"sku": "NB-15", "quantity": 2, "unit_price": "899.00"}
        cart = {"cart": {"currency": "EUR", "lines": [line]}}
        for minutes, type in enumerate(("cart.updated", "checkout.started", "order.confirmed")):
            event = Event(
                type,
                deal=deal,
                id=f"{deal}:{type}",
                at=at + dt.timedelta(minutes=minutes),
                data=cart if type == "cart.updated" else {},
            )
            self.board.handle(event)

    def pays(self, deal: str, method: dict[str, str]) -> int:
        """Pay an order; return what the shop is answered."""
        by = self.post("/v1/payment_methods", method).json()["id"]
        payment = {
            "amount": "179800",
            "currency": "eur",
            "payment_method": by,
            "metadata[deal]": deal,
            "confirm": "true",
        }
        return self.post("/v1/payment_intents", payment).status_code

    def answered(self, *statuses: int) -> bool:
        with self.receiver.told:
            return self.receiver.told.wait_for(
                lambda: sorted(self.receiver.answers) == sorted(statuses), timeout=DEADLINE
            )


@pytest.fixture
def payments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Payments]:
    port, log = free_port(), tmp_path_factory.mktemp("stripe") / "log"
    command = [sys.executable, "-m", "localstripe", "--port", str(port), "--from-scratch"]
    there = f"http://127.0.0.1:{port}"
    with (
        Board.open(sales_management(language="en"), "memory:") as board,
        uvicorn_serving(receiver := Watched(board, {"/stripe": Stripe(secrets=[SECRET])})) as here,
        httpx.Client(base_url=there, auth=("sk_test_1", ""), timeout=DEADLINE) as client,
        log.open("w") as out,
        subprocess.Popen(
            command, env=os.environ | {"PYTHONPATH": str(INSTALLED)}, stdout=out, stderr=out
        ) as process,
    ):
        try:
            wait_for(client, process)
            found = Payments(client, board, receiver, here)
            found.tells("ours", SECRET)
            yield found
        finally:
            process.terminate()


def wait_for(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until and process.poll() is None:
        try:
            client.get("/v1/events")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("nobody listens")


CARD: Final = {
    "type": "card",
    "card[exp_month]": "12",
    "card[exp_year]": "2050",
    "card[cvc]": "123",
}


def test_a_bank_that_does_not_pay_after_all_takes_the_order_back(payments: Payments) -> None:
    payments.orders("cart-42")
    assert payments.board.deal("cart-42").stage == "order_confirmed"
    bank = {"type": "sepa_debit", "sepa_debit[iban]": "DE62370400440532013001"}
    assert payments.pays("cart-42", bank) == 200
    deal = payments.receiver.comes_to("cart-42", lambda deal: deal.status != "won")
    assert (deal.stage, payments.board.held()) == ("order_review", [])
    assert payments.answered(200)


def test_a_card_that_is_declined_is_told_and_one_that_pays_tells_nothing(
    payments: Payments,
) -> None:
    payments.orders("cart-1")
    assert payments.pays("cart-1", CARD | {"card[number]": "4000000000000341"}) == 402
    payments.receiver.comes_to("cart-1", lambda deal: deal.stage == "order_review")
    payments.orders("cart-2")
    assert payments.pays("cart-2", CARD | {"card[number]": "4242424242424242"}) == 200
    assert payments.answered(200, 202)
    assert payments.board.deal("cart-2").stage == "order_confirmed"


def test_what_another_secret_has_signed_is_refused(payments: Payments) -> None:
    payments.orders("cart-3")
    payments.tells("others", OTHER)
    assert payments.pays("cart-3", CARD | {"card[number]": "4000000000000341"}) == 402
    assert payments.answered(200, 401)
