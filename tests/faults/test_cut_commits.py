"""The connection is cut in the middle of a commit, and nobody knows whether it was made.

``LADDERPIPE_CUTS=2000`` cuts that many connections at bytes that a seed chooses;
``--log-cli-level=INFO`` shows what was survived.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import psycopg2
import pymysql
import pytest

from ladderpipe import AsyncBoard, Board, Event, Outcome
from ladderpipe.errors import StoreError
from ladderpipe.stores import MariadbStore, PostgresStore
from tests.proxy import Fault, Proxy
from tests.shops import HOUR, Shop, lead_ladder, register

from .checking import assert_sound, row_counts

report = logging.getLogger(__name__)
CUT_OFF = (psycopg.OperationalError, pymysql.OperationalError)
CUTS = int(os.environ.get("LADDERPIPE_CUTS", "40"))


def mailing_ladder() -> Any:
    return register(lead_ladder(), into_new=lambda ctx: ctx.do("email", template="hello"))


@pytest.fixture
def shop(proxy: Proxy) -> Iterator[Shop]:
    """A shop whose every statement goes through the proxy."""
    store = (
        MariadbStore.from_url(proxy.url)
        if proxy.is_mariadb
        else PostgresStore(proxy.url, listen=False)
    )
    yield Shop(mailing_ladder(), store)
    store.close()


@pytest.fixture
def witness(shop: Shop, server_url: str) -> Iterator[Board]:
    """The same board on a way of its own to the server."""
    with Board.open(mailing_ladder(), server_url, clock=shop.clock) as board:
        yield board


both_faults = pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name.lower())


@both_faults
def test_an_event_is_stored_once(fault: Fault, shop: Shop, proxy: Proxy, witness: Board):
    event = shop.event("lead")
    proxy.lose(fault)
    receipt = shop.board.handle(event)
    was_stored = fault is Fault.REPLY_LOST
    assert receipt.outcome is (Outcome.DUPLICATE if was_stored else Outcome.OPENED)
    assert proxy.cuts == 1
    assert shop.board.handle(event).outcome is Outcome.DUPLICATE
    assert row_counts(witness) == {
        "deals": 1, "events": 1, "moves": 1, "effects": 1, "documents": 1,
    }  # fmt: skip
    assert_sound(witness)


@both_faults
def test_a_batch_is_stored_once(fault: Fault, shop: Shop, proxy: Proxy, witness: Board):
    events = [shop.event("lead", f"d{n}") for n in range(5)]
    proxy.lose(fault)
    report = shop.board.handle_many(events)
    was_stored = fault is Fault.REPLY_LOST
    assert report.outcomes == {Outcome.DUPLICATE if was_stored else Outcome.OPENED: 5}
    assert (proxy.cuts, row_counts(witness)["effects"]) == (1, 5)
    assert [len(witness.events(f"d{n}")) for n in range(5)] == [1] * 5
    assert_sound(witness)


@both_faults
def test_a_hand_moves_once(fault: Fault, shop: Shop, proxy: Proxy, witness: Board):
    shop.tell("lead")
    shop.wait(1)
    proxy.lose(fault)
    receipt = shop.board.move("d", "lost", by="Ada", properties={"why": "too dear"})
    assert receipt.outcome is Outcome.MOVED
    assert [move.into for move in receipt.moves] == ["lost"]
    assert [visit.stage.key for visit in witness.history("d").visits] == ["new", "lost"]
    assert (proxy.cuts, len(witness.events("d"))) == (1, 2)
    assert_sound(witness)


@both_faults
def test_a_timer_fires_once(fault: Fault, shop: Shop, proxy: Proxy, witness: Board):
    shop.tell("lead")
    shop.wait(80)
    proxy.lose(fault)
    shop.board.tick()
    assert [visit.stage.key for visit in witness.history("d").visits] == ["new", "cold"]
    assert proxy.cuts == 1
    assert shop.board.tick().moves == 0
    assert_sound(witness)


@both_faults
def test_a_claim_that_nobody_knows_of_costs_a_lease_and_no_mail(
    fault: Fault, shop: Shop, proxy: Proxy
):
    shop.tell("lead")
    proxy.lose(fault)
    shop.board.deliver()
    assert proxy.cuts == 1
    assert len(shop.sent) == (fault is Fault.COMMIT_LOST), "nobody sends what he may not hold"
    shop.clock.advance(shop.board._session.lease)
    shop.board.deliver()
    assert len(shop.sent) == 1
    assert shop.states() == {"hello": "delivered"}


@both_faults
def test_a_delivery_whose_settling_is_cut_off_is_made_once(fault: Fault, shop: Shop, proxy: Proxy):
    shop.tell("lead")
    proxy.lose(fault, pass_first=1)
    shop.board.deliver()
    assert proxy.cuts == 1
    shop.clock.advance(hours=1)
    shop.board.deliver()
    assert len(shop.sent) == 1
    assert shop.states() == {"hello": "delivered"}


@both_faults
def test_a_task_is_completed_once(fault: Fault, proxy: Proxy):
    with Board.open(lead_ladder(sequence=True), proxy.url) as board:
        board.handle(Event("lead", deal="d", id="1", at=board.clock.now() - 25 * HOUR))
        (task,) = [task for task in board.tasks() if task.title == "Call"]
        proxy.lose(fault)
        with contextlib.suppress(*CUT_OFF):
            board.complete(task)
        if fault is Fault.COMMIT_LOST:
            board.complete(task)
        assert board.tasks() == []


@both_faults
@pytest.mark.parametrize("driver", [psycopg, psycopg2], ids=lambda driver: driver.__name__)
@pytest.mark.parametrize("server_url", ["postgres"], indirect=True)
def test_the_caller_of_a_shared_transaction_does_all_of_it_again(
    fault: Fault, shop: Shop, proxy: Proxy, server_url: str, witness: Board, driver: Any
):
    """He has a key of his own for his own rows, as the event has its identity."""
    with psycopg.connect(server_url) as connection:
        connection.execute("CREATE TABLE orders (number text PRIMARY KEY)")
    event = shop.event("lead")

    def order() -> Outcome:
        with contextlib.closing(driver.connect(proxy.url)) as own, own as connection:
            connection.cursor().execute("INSERT INTO orders VALUES ('1') ON CONFLICT DO NOTHING")
            return shop.board.using(connection).handle(event).outcome

    proxy.lose(fault)
    with pytest.raises(driver.OperationalError):
        order()
    assert order() is (Outcome.DUPLICATE if fault is Fault.REPLY_LOST else Outcome.OPENED)
    with psycopg.connect(server_url) as connection:
        assert connection.execute("SELECT * FROM orders").fetchall() == [("1",)]
    assert_sound(witness)


@both_faults
def test_an_asynchronous_board_stores_it_once_too(
    fault: Fault, shop: Shop, proxy: Proxy, witness: Board
):
    events = [shop.event("lead"), shop.event("call", hours=1)]
    shop.wait(1)

    async def tell() -> list[Outcome]:
        async with await AsyncBoard.open(mailing_ladder(), proxy.url, clock=shop.clock) as board:
            await board.handle(events[0])
            proxy.lose(fault)
            return [(await board.handle(events[1])).outcome for _ in range(2)]

    first, second = asyncio.run(tell())
    assert first is (Outcome.DUPLICATE if fault is Fault.REPLY_LOST else Outcome.MOVED)
    assert (second, proxy.cuts) == (Outcome.DUPLICATE, 1)
    assert len(witness.events("d")) == 2
    assert_sound(witness)


# -- anywhere -------------------------------------------------------------------------------------


class Stubborn:
    """A caller who does the same again until he is answered."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    def __call__(self, work: Callable[[], Any]) -> Any:
        while True:
            try:
                return work()
            except (StoreError, *CUT_OFF) as error:
                self.errors.append(error)
                assert len(self.errors) < CUTS, "it never gets better"


def test_wherever_the_connection_is_cut_the_same_comes_out(
    shop: Shop, proxy: Proxy, witness: Board
):
    stubborn = Stubborn()
    for seed in range(CUTS):
        dice = random.Random(seed)
        deals = [f"d{seed}-{n}" for n in range(4)]
        proxy.cut_after(dice.randrange(9_000), dice.choice(("up", "down")))
        do_everything(shop, stubborn, deals)
        proxy.be_good()
        found = [stages(witness, deal) for deal in deals]
        assert found == [["new", "won"]] + [["new", "cold"]] * 3, seed
        assert [len(witness.events(deal)) for deal in deals] == [2, 1, 1, 1], seed
    shop.board.deliver()
    assert proxy.cuts > CUTS / 3
    assert_sound(witness)
    sent = {delivery.key for delivery in shop.sent}
    states = {effect.key: effect.state.value for effect in witness.effects()}
    assert {key for key, state in states.items() if state == "delivered"} == sent
    assert set(states.values()) <= {"delivered", "cancelled"}
    told = f"{proxy.cuts} cuts, {len(stubborn.errors)} errors told, {row_counts(witness)}"
    report.info(told)


def do_everything(shop: Shop, stubborn: Stubborn, deals: list[str]) -> None:
    """Do to new deals all that a shop does, saying the same again where no answer comes."""
    events = [shop.event("lead", deal) for deal in deals]
    stubborn(lambda: shop.board.handle(events[0]))
    stubborn(lambda: shop.board.handle_many(events[1:]))
    stubborn(shop.board.deliver)
    stubborn(lambda: shop.board.override(deals[0], "won", by="Ada"))
    shop.wait(80)
    stubborn(shop.board.tick)


def stages(board: Board, deal: str) -> list[str]:
    return [visit.stage.key for visit in board.history(deal).visits]
