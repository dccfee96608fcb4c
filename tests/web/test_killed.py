"""A process that is killed in the middle of orders leaves each of them whole, or none of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.web.servers import WebShop, running, wait_until

CUSTOMERS = 4
ENOUGH = 20
"""Orders that are answered before the process is killed."""


class Customers:
    """Order one cart after another, until nobody answers any more."""

    def __init__(self, shop: WebShop) -> None:
        self.shop = shop
        self.answered: list[str] = []
        self.unanswered: list[str] = []

    def order_on_and_on(self, customer: int) -> None:
        cart = ""
        try:
            while True:
                cart = f"cart-{customer}-{len(self.answered)}"
                self.shop.fill(cart, key="fill")
                assert self.shop.order(cart, key="order").status_code == 201
                self.answered.append(cart)
        except httpx.TransportError:
            self.unanswered.append(cart)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_process_that_is_killed_leaves_no_order_without_its_move(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
):
    if database == "sqlite":
        url = f"sqlite:///{tmp_path / 'shop.db'}"
    else:
        url = request.getfixturevalue("postgres_server").new_database()
    with running("fastapi", url, tmp_path) as shop, ThreadPoolExecutor(CUSTOMERS) as pool:
        customers = Customers(shop)
        done = [pool.submit(customers.order_on_and_on, n) for n in range(CUSTOMERS)]
        wait_until(lambda: len(customers.answered) >= ENOUGH or any(d.done() for d in done))
        shop.server.kill()
        for customer in done:
            customer.result()
    wait_until(lambda: sorted(shop.ordered()) == sorted(shop.won()))
    assert set(customers.answered) <= set(shop.ordered())

    with running("fastapi", url, tmp_path) as again:
        for cart in customers.unanswered:
            again.fill(cart, key="fill").raise_for_status()
            assert again.order(cart, key="order").status_code in (200, 201)
    everything = sorted([*customers.answered, *customers.unanswered])
    assert sorted(shop.ordered()) == sorted(shop.won()) == everything
