"""A worker that sleeps is woken by what another process writes."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from ladderpipe import UndeliverableError
from ladderpipe.stores import PostgresStore
from tests.postgresql.conftest import OpenStore
from tests.shops import Shop, lead_ladder

LONG = 600.0


class Sleeper:
    """A thread that waits for work, and has begun to."""

    def __init__(self, store: PostgresStore) -> None:
        self.stop = threading.Event()
        store.wait_for_work(LONG, self.stop)
        self._thread = threading.Thread(target=store.wait_for_work, args=(LONG, self.stop))
        self._thread.start()

    def wakes(self) -> bool:
        self._thread.join(timeout=30)
        return not self._thread.is_alive()

    def sleeps_on(self) -> bool:
        self._thread.join(timeout=0.4)
        return self._thread.is_alive()


@pytest.fixture
def worker(open_store: OpenStore) -> PostgresStore:
    return open_store()


def test_the_first_wait_returns_at_once(worker: PostgresStore):
    worker.wait_for_work(LONG, threading.Event())


@pytest.mark.parametrize(
    "bring",
    [
        lambda shop: shop.tell("lead"),
        lambda shop: shop.board.handle_many([shop.event("lead", d) for d in "abc"]),
        lambda shop: shop.tell("lead", hours=-71.99),
    ],
    ids=["an effect", "a batch", "a timer that is due soon"],
)
def test_new_work_wakes_a_worker(
    worker: PostgresStore, store: PostgresStore, bring: Callable[[Shop], object]
):
    shop = Shop(lead_ladder(sequence=True), store)
    sleeper = Sleeper(worker)
    bring(shop)
    assert sleeper.wakes()


def test_a_dead_letter_sent_again_wakes_a_worker(worker: PostgresStore, store: PostgresStore):
    shop = Shop(lead_ladder(sequence=True), store)

    def refuse(delivery: object) -> None:
        raise UndeliverableError("never")

    shop.board._session.handlers["email"] = refuse
    shop.tell("lead")
    shop.board.deliver()
    sleeper = Sleeper(worker)
    shop.board.send_again(shop.board.dead_letters()[0])
    assert sleeper.wakes()


def test_what_is_due_in_two_days_wakes_nobody(worker: PostgresStore, shop: Shop):
    sleeper = Sleeper(worker)
    shop.tell("lead")
    assert sleeper.sleeps_on()
    sleeper.stop.set()
    assert sleeper.wakes()


def test_what_is_rolled_back_wakes_nobody(worker: PostgresStore, store: PostgresStore):
    shop = Shop(lead_ladder(sequence=True), store)
    sleeper = Sleeper(worker)
    with pytest.raises(ZeroDivisionError), store.transaction() as transaction:
        joined = shop.board.using(transaction.connection)
        joined.handle(shop.event("lead"))
        raise ZeroDivisionError
    assert sleeper.sleeps_on()
    sleeper.stop.set()
    assert sleeper.wakes()


def test_a_joined_board_wakes_workers_when_the_caller_commits(
    worker: PostgresStore, store: PostgresStore
):
    shop = Shop(lead_ladder(sequence=True), store)
    sleeper = Sleeper(worker)
    with store.transaction() as transaction:
        shop.board.using(transaction.connection).handle(shop.event("lead"))
        assert sleeper.sleeps_on()
    assert sleeper.wakes()


def test_a_wait_ends_after_its_time_and_when_told_to_stop(worker: PostgresStore):
    stop = threading.Event()
    worker.wait_for_work(LONG, stop)
    worker.wait_for_work(0.01, stop)
    stop.set()
    worker.wait_for_work(LONG, stop)


def test_a_lost_connection_does_not_end_the_worker(worker: PostgresStore, postgres_url: str):
    sleeper = Sleeper(worker)
    assert worker._listener is not None
    with worker.transaction() as transaction:
        (pid,) = transaction.connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        ).fetchone()
        transaction.connection.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))
    assert sleeper.sleeps_on(), "it goes on by itself"
    sleeper.stop.set()
    assert sleeper.wakes()
    worker.wait_for_work(LONG, threading.Event())


def test_a_store_that_does_not_listen_sleeps(open_store: OpenStore):
    store = open_store("&listen=false")
    store.wait_for_work(0.01, threading.Event())
    assert store._listener is None
