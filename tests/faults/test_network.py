"""Connections that are cut while nobody uses them, and a network that lets nothing through."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from ladderpipe import Board, Outcome
from ladderpipe.errors import StoreError
from ladderpipe.stores import PostgresStore
from tests.proxy import Proxy
from tests.shops import Shop, lead_ladder, register

from .checking import assert_sound

MANY = 4
BRIEF = "&options=-c%20idle_in_transaction_session_timeout%3D300ms"


def cut_every_connection(url: str) -> int:
    """Let the server cut everyone else; return how many there were."""
    with psycopg.connect(url, autocommit=True) as connection:
        cut = connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return cut.rowcount


@pytest.fixture
def make_shop(proxy: Proxy) -> Iterator[Callable[..., Shop]]:
    stores: list[PostgresStore] = []

    def make(options: str = "", ladder: Any = None, **settings: Any) -> Shop:
        stores.append(PostgresStore.from_url(f"{proxy.url}&listen=false{options}"))
        return Shop(ladder or lead_ladder(), stores[-1], **settings)

    yield make
    for store in stores:
        store.close()


def test_connections_that_are_cut_between_calls_are_not_noticed_by_who_writes(
    make_shop: Callable[..., Shop], postgres_url: str
):
    shop = make_shop()
    shop.tell("lead")
    for _ in range(MANY):
        assert cut_every_connection(postgres_url)
        assert shop.tell("call").outcome in (Outcome.MOVED, Outcome.STAYED)
    assert len(shop.board.events("d")) == MANY + 1
    assert_sound(shop.board)


def test_a_worker_goes_on_after_its_connections_were_cut(
    make_shop: Callable[..., Shop], postgres_url: str
):
    ladder = register(lead_ladder(), into_new=lambda ctx: ctx.do("letter"))
    shop = make_shop(ladder=ladder)
    stop = threading.Event()
    delivered = threading.Semaphore(0)
    shop.board.handles("letter")(lambda delivery: delivered.release())
    worker = threading.Thread(target=shop.board.run, kwargs={"stop": stop})
    worker.start()
    try:
        for number in range(2):
            shop.tell("lead", f"d{number}")
            assert delivered.acquire(timeout=30)
            cut_every_connection(postgres_url)
    finally:
        stop.set()
        worker.join()


def test_who_needs_a_new_connection_waits_no_longer_than_told(
    make_shop: Callable[..., Shop], proxy: Proxy, postgres_url: str
):
    shop = make_shop("&pool_timeout=2")
    cut_every_connection(postgres_url)
    with proxy.partition(), pytest.raises(StoreError, match="no connection to PostgreSQL"):
        shop.tell("lead")


def test_what_is_under_way_when_the_network_stops_is_done_once_when_it_goes_on(
    make_shop: Callable[..., Shop], proxy: Proxy
):
    shop = make_shop()
    shop.tell("lead")
    with ThreadPoolExecutor(1) as pool:
        with proxy.partition():
            answer = pool.submit(shop.tell, "call")
            with pytest.raises(TimeoutError):
                answer.result(timeout=0.2)
        assert answer.result().outcome is Outcome.MOVED
    assert len(shop.board.events("d")) == 2


def test_a_deal_is_free_again_when_the_server_gives_up_who_vanished_with_its_lock(
    make_shop: Callable[..., Shop], proxy: Proxy, postgres_url: str
):
    """``idle_in_transaction_session_timeout`` is what bounds how long."""
    inside, go_on = threading.Event(), threading.Event()

    def be_cut_off(ctx: Any) -> None:
        if not inside.is_set():
            inside.set()
            go_on.wait(30)

    shop = make_shop(BRIEF, ladder=register(lead_ladder(), into_talking=be_cut_off))
    shop.tell("lead")
    with (
        Board.open(lead_ladder(), postgres_url, clock=shop.clock) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        event = shop.event("call")
        answer = pool.submit(shop.board.handle, event)
        assert inside.wait(30)
        with proxy.partition():
            assert other.handle(shop.event("order")).outcome is Outcome.MOVED
        go_on.set()
        assert answer.result().refolded, "the board began it again, behind what came meanwhile"
        assert other.handle(event).outcome is Outcome.DUPLICATE
        assert other.deal("d").stage == "won"
        assert_sound(other)
