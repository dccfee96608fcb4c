"""S14a: claims and purchases of one customer wait for each other, on each SQL store."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import psycopg
import pymysql
import pytest

from ladderpipe import Board, ManualClock, SqliteStore
from ladderpipe.policy import Policy, at_most, bought, unsubscribed
from ladderpipe.stores import MariadbStore, PostgresStore, Store
from ladderpipe.stores import open_store as open_store_at
from tests.carts import ADA, Shopper, carts

CAPPED: Final = Policy(stop_when=[bought, unsubscribed], caps=[at_most(1, days=30)])
READ_COMMITTED: Final = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
LONG: Final = 60.0
"""Seconds after which a test gives up waiting; it never waits so long."""


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Return what opens the same database again, as another process would."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'shop.db'}"
    else:
        url = request.getfixturevalue(f"{request.param}_url")
    with ExitStack() as stack:

        def opened() -> Store:
            return stack.enter_context(closing(open_store_at(url)))

        yield opened


def connection_of(shop: Shopper) -> Any:
    """Return a connection of one's own to a shop's database, with a transaction begun."""
    if isinstance(shop.store, SqliteStore):
        own = sqlite3.connect(shop.store.path, isolation_level=None)
        own.execute("BEGIN IMMEDIATE")
        return own
    if isinstance(shop.store, MariadbStore):
        settings = {**shop.store._pool._settings, "init_command": READ_COMMITTED}
        return pymysql.connect(**settings, charset="utf8mb4")
    return psycopg.connect(shop.store._dsn)


def left_carts(store: Any, *deals: str) -> Shopper:
    """Return a shop with these carts of Ada's, all of them to be reminded now."""
    shop = Shopper(carts(CAPPED), store)
    for deal in deals:
        shop.cart(deal)
    shop.wait(48)
    shop.board.tick()
    return shop


def worker(shop: Shopper, store: Any, sent: list[str]) -> Board:
    """Return another process's board, which notes whom it reminds."""
    board = Board(carts(CAPPED), store=store, clock=ManualClock(shop.clock.now()))

    @board.handles("email")
    def send(delivery: Any) -> None:
        if delivery.payload["template"] == "remind":
            sent.append(delivery.deal.id)

    return board


def together(*works: Callable[[], object]) -> None:
    """Do works in threads that start at once; what they raise is raised."""
    start, errors = threading.Barrier(len(works)), []

    def run(work: Callable[[], object]) -> None:
        try:
            start.wait(LONG)
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert not errors
    assert not any(thread.is_alive() for thread in threads)


def test_two_workers_send_one_mail_about_two_carts_of_one_customer(open_store: Any):
    for round in range(5):
        deals = [f"{round}-{n}" for n in range(4)]
        shop = left_carts(open_store(), *deals)
        sent: list[str] = []
        workers = [worker(shop, open_store(), sent) for _ in range(2)]
        together(*(board.deliver for board in workers))
        for board in workers:  # what one passed over, because the other was at the customer
            board.deliver()
        assert len(sent) == (1 if round == 0 else 0), "one in thirty days"


def test_a_claim_that_finds_a_customer_locked_passes_on_and_comes_back(postgres_url: str):
    with closing(PostgresStore(postgres_url)) as store:
        shop = left_carts(store, "a")
        shop.cart("b", "bob@example.com")
        shop.wait(48)
        shop.board.tick()
        with store.transaction() as transaction:
            assert transaction.lock_customers([f"email:{ADA}"], wait=False)
            report = shop.board.deliver()
            assert (shop.reminded, report.failed) == (["b"], 0), "nobody waits for a customer"
        shop.board.deliver()
        assert shop.reminded == ["b", "a"]


def test_an_order_that_is_being_committed_is_waited_for_and_stops_the_mail(open_store: Any):
    shop = left_carts(open_store(), "a")
    sent: list[str] = []
    other = worker(shop, open_store(), sent)
    connection = connection_of(shop)
    order = shop.event("order", "b", contact={"email": ADA})
    shop.board.using(connection).handle(order)
    # PostgreSQL's worker passes on at once; SQLite's waits until the shop has committed.
    thread = threading.Thread(target=other.deliver)
    thread.start()
    if not isinstance(shop.store, SqliteStore):
        thread.join(LONG)
    connection.commit()
    connection.close()
    thread.join(LONG)
    other.deliver()
    assert sent == []
    assert shop.why("a") == ["dropped: bought with 'b'"]


def test_an_order_waits_for_a_claim_that_is_being_committed(open_store: Any):
    shop = left_carts(open_store(), "a")
    buyer = worker(shop, open_store(), [])
    order = shop.event("order", "b", contact={"email": ADA})
    is_done = threading.Event()

    def buy() -> None:
        buyer.handle(order)
        is_done.set()

    thread = threading.Thread(target=buy)
    with shop.store.transaction() as transaction:
        assert transaction.lock_customers([f"email:{ADA}"], wait=False)
        assert transaction.pipelines()
        thread.start()
        assert not is_done.wait(0.2), "the purchase is committed while a claim is decided"
    thread.join(LONG)
    assert is_done.is_set()


def test_batches_of_the_same_customers_in_other_orders_never_wait_in_a_circle(open_store: Any):
    shop = left_carts(open_store(), "a")
    people = [f"p{n}@example.com" for n in range(40)]
    boards = [worker(shop, open_store(), []) for _ in range(3)]

    def buy(number: int, board: Board) -> None:
        told = people if number % 2 else people[::-1]
        events = [
            shop.event("order", f"{number}-{person}", contact={"email": person}) for person in told
        ]
        report = board.handle_many(events, batch=20)
        assert not report.failures

    together(*(lambda n=n, b=b: buy(n, b) for n, b in enumerate(boards)))
    assert all(len(shop.board.customer(person)) == 3 for person in people)


def test_mails_stop_while_a_batch_of_orders_comes_in(open_store: Any):
    people = [f"p{n}@example.com" for n in range(30)]
    shop = Shopper(carts(CAPPED), open_store())
    for person in people:
        shop.cart(f"cart of {person}", person)
    shop.wait(48)
    shop.board.tick()
    bought_by: set[str] = set()
    wrong: list[str] = []
    other = Board(carts(CAPPED), store=open_store(), clock=ManualClock(shop.clock.now()))
    other.handles("email")(
        lambda delivery: (
            wrong.append(delivery.payload["to"])
            if delivery.payload["template"] == "remind" and delivery.payload["to"] in bought_by
            else None
        )
    )

    def buy() -> None:
        for start in range(0, len(people), 5):
            some = people[start : start + 5]
            orders = [shop.event("order", f"o {p}", contact={"email": p}) for p in some]
            shop.board.handle_many(orders)
            # What is claimed from here on was claimed after these had bought.
            in_flight = {e.deal for e in shop.board.effects() if e.state == "claimed"}
            bought_by.update(p for p in some if f"cart of {p}" not in in_flight)

    together(buy, lambda: [other.deliver(limit=3) for _ in range(30)])
    other.deliver()
    assert wrong == []
