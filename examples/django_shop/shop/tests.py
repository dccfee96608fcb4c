"""The shop's tests: the board is on Django's test database, like the orders."""

import datetime as dt
import json

from django.test import TestCase, override_settings

from ladderpipe import Event, ManualClock
from ladderpipe.django import deal_moved, get_board

from .models import Order
from .sales import CREDIT_LIMIT

LINE = {"sku": "NB-15", "quantity": 1, "unit_price": "899.00"}
CLOCK = ManualClock("2026-01-05T09:00:00Z")
SENT = []
SETTINGS = {
    "PIPELINES": ["shop.sales.ladder"],
    "HANDLERS": {"email": SENT.append},
    "BOARD": {"clock": CLOCK},
}

board = get_board()


class Shop(TestCase):
    def post(self, path, body):
        return self.client.post(path, json.dumps(body), content_type="application/json")

    def fill(self, cart, line=LINE):
        contact = {"name": "Ada", "email": "ada@example.com"}
        told = {"line": line, "currency": "EUR", "contact": contact}
        return self.post(f"/carts/{cart}/items", told)

    def test_a_cart_is_filled_and_ordered(self):
        self.fill("cart-1")
        answer = self.post("/carts/cart-1/order", {})
        assert answer.status_code == 201
        assert Order.objects.get(cart="cart-1").total == 899
        assert board.deal("cart-1").status == "won"

    def test_an_order_beyond_the_credit_leaves_no_trace(self):
        self.fill("cart-2", LINE | {"unit_price": str(CREDIT_LIMIT + 1)})
        assert self.post("/carts/cart-2/order", {}).status_code == 409
        assert Order.objects.count() == 0
        assert board.deal("cart-2").status == "open"

    def test_salespeople_hear_of_orders(self):
        heard = []

        def hear(deal, move, **more):
            heard.append((deal, str(move.into)))

        deal_moved.connect(hear)
        self.addCleanup(deal_moved.disconnect, hear)
        with self.captureOnCommitCallbacks(execute=True):
            self.fill("cart-3")
            self.post("/carts/cart-3/order", {})
        assert heard == [("cart-3", "quote_requested"), ("cart-3", "order_confirmed")]

    @override_settings(LADDERPIPE=SETTINGS)
    def test_who_forgets_a_cart_is_reminded(self):
        self.fill("cart-4")
        CLOCK.advance(hours=49)
        board.tick()
        board.deliver()
        assert [mail.payload["to"] for mail in SENT] == ["ada@example.com"]

    def test_the_web_hook_takes_what_comes_late(self):
        self.fill("cart-5")
        earlier = board.clock.now() - dt.timedelta(hours=1)
        event = Event("cart.saved", deal="cart-5", id="till-1", at=earlier, source="/till")
        assert self.post("/events", event.to_cloudevent()).status_code == 202
        assert len(board.events("cart-5")) == 2
