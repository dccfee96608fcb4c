"""A cart that a shop tells again, since somebody looked at it, is nothing that happened."""

from __future__ import annotations

import datetime as dt

from ladderpipe import Board, ManualClock
from ladderpipe.connect import Receiver, Shopify
from ladderpipe.templates import sales_management
from ladderpipe.web import Access
from tests.board_app.clients import Client
from tests.board_app.shop import application
from tests.connect import payloads
from tests.connect.senders import NOW, SECRET, shopify
from tests.connect.test_receiver import over_wsgi


def test_who_looks_at_a_cart_again_and_again_leaves_one_entry() -> None:
    with Board(sales_management(language="en"), clock=ManualClock(NOW)) as board:
        receiver = Receiver(board, {"/shopify": Shopify(secrets=[SECRET])})
        for minutes in range(5):
            seen = (NOW - dt.timedelta(minutes=9 - minutes)).isoformat()
            told = payloads.cart(updated_at=seen, line_items=[payloads.item(quantity=1)])
            assert over_wsgi(receiver, "POST", "/shopify", shopify(told)).status == 200
        (deal,) = board.deals()
        with Client(application(board, access=Access()), user="anna") as anna:
            page = anna.get(f"/deal?deal={deal.id}").text
    assert page.count("The cart changed") == 1
