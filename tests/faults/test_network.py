"""Connections that are cut while nobody uses them, and a network that lets nothing through."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pymysql
import pytest

from ladderpipe import Board, Outcome
from ladderpipe.errors import StoreError
from ladderpipe.stores import MariadbStore, PostgresStore
from tests.mariadb import MariadbServer
from tests.proxy import Proxy
from tests.shops import Shop, lead_ladder, register

from .checking import assert_sound

MANY = 4
BRIEF = "&options=-c%20idle_in_transaction_session_timeout%3D300ms"
BRIEF_ON_MARIADB = "SET GLOBAL idle_write_transaction_timeout = {}"
Cut = Callable[[], int]


@pytest.fixture
def cut_every_connection(request: pytest.FixtureRequest, server_url: str) -> Cut:
    """Return what lets the server cut everyone else, and says how many there were."""
    if server_url.startswith("mariadb:"):
        server: MariadbServer = request.getfixturevalue("mariadb_server")
        return server.cut_every_connection

    def cut() -> int:
        with psycopg.connect(server_url, autocommit=True) as connection:
            cut = connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return cut.rowcount

    return cut


@pytest.fixture
def brief(request: pytest.FixtureRequest, server_url: str) -> Iterator[str]:
    """Have the server give up soon whoever is silent in a transaction; return a URL's options."""
    if not server_url.startswith("mariadb:"):
        yield BRIEF
        return
    server: MariadbServer = request.getfixturevalue("mariadb_server")
    server.run(BRIEF_ON_MARIADB.format(1))
    yield ""
    server.run(BRIEF_ON_MARIADB.format(0))


@pytest.fixture
def make_shop(proxy: Proxy) -> Iterator[Callable[..., Shop]]:
    stores: list[MariadbStore | PostgresStore] = []

    def make(options: str = "", ladder: Any = None, **settings: Any) -> Shop:
        if proxy.is_mariadb:
            stores.append(MariadbStore.from_url(f"{proxy.url}{options}"))
        else:
            stores.append(PostgresStore.from_url(f"{proxy.url}&listen=false{options}"))
        return Shop(ladder or lead_ladder(), stores[-1], **settings)

    yield make
    for store in stores:
        store.close()


def test_connections_that_are_cut_between_calls_are_not_noticed_by_who_writes(
    make_shop: Callable[..., Shop], cut_every_connection: Cut
):
    shop = make_shop()
    shop.tell("lead")
    for _ in range(MANY):
        assert cut_every_connection()
        assert shop.tell("call").outcome in (Outcome.MOVED, Outcome.STAYED)
    assert len(shop.board.events("d")) == MANY + 1
    assert_sound(shop.board)


def test_a_worker_goes_on_after_its_connections_were_cut(
    make_shop: Callable[..., Shop], cut_every_connection: Cut
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
            cut_every_connection()
    finally:
        stop.set()
        worker.join()


def test_who_needs_a_new_connection_waits_no_longer_than_told(
    make_shop: Callable[..., Shop], proxy: Proxy, cut_every_connection: Cut
):
    shop = make_shop("&pool_timeout=2")
    cut_every_connection()
    refused = (StoreError, pymysql.OperationalError)
    with proxy.partition(), pytest.raises(refused, match=r"no connection to|timed out"):
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
    make_shop: Callable[..., Shop], proxy: Proxy, server_url: str, brief: str
):
    """``idle_in_transaction_session_timeout`` is what bounds how long, and on MariaDB
    ``idle_write_transaction_timeout``.
    """
    inside, go_on = threading.Event(), threading.Event()

    def be_cut_off(ctx: Any) -> None:
        if not inside.is_set():
            inside.set()
            go_on.wait(30)

    shop = make_shop(brief, ladder=register(lead_ladder(), into_talking=be_cut_off))
    shop.tell("lead")
    with (
        Board.open(lead_ladder(), server_url, clock=shop.clock) as other,
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
