"""The shop's tests: the board is on Django's test database, like the orders."""

from django.db import connection
from django.test import TestCase, TransactionTestCase

from ladderpipe import Event

from .models import Order
from .sales import the_board

LINE = {"sku": "NB-15", "quantity": 1, "unit_price": "899.00"}


class OverHttp(TransactionTestCase):
    """What commits by itself, as views do, needs a test without a transaction around it."""

    def test_a_cart_is_filled_and_ordered(self):
        told = {"line": LINE, "currency": "EUR"}
        self.client.post("/carts/cart-1/items", told, content_type="application/json")
        answer = self.client.post("/carts/cart-1/order", {}, content_type="application/json")
        assert answer.status_code == 201
        assert Order.objects.get(cart="cart-1").total == 899


class InOneTransaction(TestCase):
    """What is told on Django's connection is rolled back with the test."""

    def test_the_order_closes_the_deal(self):
        board = the_board().using(connection)
        for kind, data in (("cart.item_added", {"line": LINE}), ("order.confirmed", {})):
            at = board.clock.now()
            receipt = board.handle(Event(kind, deal="cart-2", id=kind, at=at, data=data))
        assert receipt.deal.status == "won"
