"""Who waits for whom on MariaDB: one deal's writers for each other, and nobody else.

Nobody here sleeps to see another wait: a store that is impatient gets an error from the server
where others would wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pymysql
import pytest

from ladderpipe import Outcome, Pipeline, Stage, by_hand, on
from ladderpipe.errors import PipelineChangedError
from ladderpipe.stores import MariadbStore
from tests.mariadb import MariadbServer
from tests.on_mariadb.conftest import IMPATIENT, OpenStore
from tests.shops import Shop, assert_is_the_fold, lead_ladder

WAITS = pytest.raises(pymysql.OperationalError, match="Lock wait timeout")


@pytest.fixture
def at_work(shop: Shop) -> Iterator[Any]:
    """A transaction that has taken the deal ``mine`` and is not finished."""
    shop.tell("lead", "mine")
    shop.tell("lead", "yours")
    with shop.store.transaction() as transaction:
        transaction.load(shop.board._session.number, "mine", create=True)
        yield transaction


@pytest.mark.usefixtures("at_work")
def test_different_deals_never_wait_for_each_other(impatient: Shop):
    assert impatient.tell("call", "yours").outcome is Outcome.MOVED
    assert impatient.tell("lead", "new").outcome is Outcome.OPENED
    impatient.board.move("new", "lost", by="Ada", properties={"why": "price"})
    assert (
        impatient.board.handle_many(
            [impatient.event("call", "newer"), impatient.event("lead", "yours")]
        ).accepted
        == 2
    )


@pytest.mark.usefixtures("at_work")
def test_a_deals_writers_wait_for_each_other(impatient: Shop):
    with WAITS:
        impatient.tell("call", "mine")
    with WAITS:
        impatient.board.handle_many([impatient.event("call", "mine")])
    with WAITS:
        impatient.board.override("mine", "won", by="Ada")


@pytest.mark.usefixtures("at_work")
def test_readers_wait_for_nobody(impatient: Shop):
    assert impatient.board.deal("mine").stage == "new"
    assert len(list(impatient.board.deals())) == 2
    assert impatient.board.summary()


def test_who_opens_the_same_deal_waits(shop: Shop, impatient: Shop):
    with shop.store.transaction() as transaction:
        transaction.load(shop.board._session.number, "new", create=True)
        with WAITS:
            impatient.tell("lead", "new")


def test_two_sweepers_share_the_deals_that_are_due(shop: Shop, open_store: OpenStore):
    number = shop.board._session.number
    for deal in range(5):
        shop.tell("lead", f"d{deal}")
    shop.wait(100)
    now = shop.clock.now()
    with shop.store.transaction() as one, open_store(IMPATIENT).transaction() as other:
        first = one.due(number, now, 2)
        second = other.due(number, now, 10)
        assert len(first) == 2
        assert sorted(row.deal for row in [*first, *second]) == ["d0", "d1", "d2", "d3", "d4"]
        assert one.due(number, now, 2) == first, "what is taken stays taken"
    assert shop.board.tick().moves == 5


def test_two_workers_share_the_effects_that_are_ready(store: MariadbStore, open_store: OpenStore):
    shop = Shop(lead_ladder(sequence=True), store)
    number, now = shop.board._session.number, shop.clock.now()
    for deal in "ab":
        shop.tell("lead", deal)
    keys = [effect.key for effect in shop.board.effects() if effect.due_at <= now]
    with store.transaction() as one, open_store(IMPATIENT).transaction() as other:
        taken = [transaction.free_effect(number, now, keys) for transaction in (one, other)]
        assert sorted(row.deal for row in taken if row) == ["a", "b"]
        with store.transaction() as late:
            assert late.free_effect(number, now, keys) is None


def test_a_sweep_steps_round_a_deal_that_is_being_written(at_work: Any, impatient: Shop):
    impatient.wait(100)
    assert impatient.board.tick().moves == 1
    assert impatient.board.deal("yours").stage == "cold"
    assert impatient.board.deal("mine").stage == "new"


def shorter_ladder() -> Pipeline:
    """Return the ladder as somebody else has changed it: two stages, and no timers."""
    new, lost = Stage("new"), Stage("lost", status="lost")
    return Pipeline(
        "leads", stages=[new, lost], rules=[on("lead", into=new, opens=True), by_hand(into=lost)]
    )


def test_who_changes_the_ladder_waits_for_writers_under_way(shop: Shop, impatient: Shop):
    shop.tell("lead", "mine")
    board = Shop(shorter_ladder(), impatient.store, adopting=True).board
    new = board.pipeline.stage("new")
    gone = {"cold": new, "talking": new, "won": new}
    with shop.store.transaction() as transaction:
        transaction.load(shop.board._session.number, "unheard of", create=True)
        with WAITS:
            board.migrate(gone)
    assert board.migrate(gone).deals == 2
    with pytest.raises(PipelineChangedError):
        shop.tell("call", "mine")


def test_writers_wait_for_who_changes_the_ladder_and_then_see_it(
    shop: Shop, impatient: Shop, open_store: OpenStore, mariadb_server: MariadbServer
):
    """The one that waited must not go by what it saw before it waited."""
    shop.tell("lead")
    name = shop.pipeline.name
    errors: list[BaseException] = []
    waiting = Shop(lead_ladder(), open_store())

    def write() -> None:
        try:
            waiting.tell("call")
        except PipelineChangedError as error:
            errors.append(error)

    writer = threading.Thread(target=write)
    with shop.store.transaction() as transaction:
        transaction.pipeline(name, change=True)
        transaction.save_pipeline(name, "another", "{}", None)
        with WAITS:
            impatient.tell("call")
        writer.start()
        wait_until(mariadb_server, 1)
    writer.join()
    assert len(errors) == 1


def test_titles_that_change_make_nobody_wait(at_work: Any, shop: Shop, impatient: Shop):
    row = at_work.pipeline(shop.pipeline.name)
    with impatient.store.transaction() as transaction:
        saved = transaction.save_pipeline(row.name, row.fingerprint, '{"new": "title"}', None)
    assert saved.definition == '{"new": "title"}'


def test_two_first_openings_agree_on_one_definition(store: MariadbStore, open_store: OpenStore):
    with store.transaction() as one:
        assert one.pipeline("leads", change=True) is None
        with WAITS, open_store(IMPATIENT).transaction() as other:
            other.pipeline("leads", change=True)
        one.save_pipeline("leads", "first", "{}", None)
    with open_store(IMPATIENT).transaction() as other:
        row = other.pipeline("leads", change=True)
    assert row is not None
    assert row.fingerprint == "first"


def test_a_deal_removed_as_unused_is_made_again(
    shop: Shop, open_store: OpenStore, mariadb_server: MariadbServer
):
    """Somebody waits for its row, and finds it gone."""
    number = shop.board._session.number
    waiting = Shop(lead_ladder(), open_store())
    writers = [
        threading.Thread(target=lambda: waiting.tell("lead", "a")),
        threading.Thread(
            target=lambda: waiting.board.handle_many([waiting.event("call", n) for n in "ba"])
        ),
    ]
    with shop.store.transaction() as transaction:
        rows = [transaction.load(number, name, create=True)[0] for name in "ab"]
    with shop.store.transaction() as transaction:
        transaction.load_many(number, ["a", "b"])
        for writer in writers:
            writer.start()
        wait_until(mariadb_server, 2)
        transaction.remove_unused_deals([row.id for row in rows if row])
    for writer in writers:
        writer.join()
    assert {e.type for e in shop.board.events("a")} == {"lead", "call"}
    assert len(shop.board.events("b")) == 1


def test_batches_in_opposite_orders_never_deadlock(shop: Shop, open_store: OpenStore):
    shops = [Shop(lead_ladder(), open_store()) for _ in range(3)]
    names = [f"d{n}" for n in range(40)]
    failures: list[BaseException] = []

    def work(shop: Shop, order: Callable[[list[str]], list[str]], who: int) -> None:
        try:
            for round in range(6):
                events = [
                    shop.event("lead", d, id=f"{who if round % 2 else 'all'}-{d}-{round}")
                    for d in order(names)
                ]
                assert not shop.board.handle_many(events, batch=25).failures
        except BaseException as error:
            failures.append(error)

    orders = [lambda n: n, lambda n: n[::-1], lambda n: n[1::2] + n[::2]]
    threads = [
        threading.Thread(target=work, args=(s, order, n))
        for n, (s, order) in enumerate(zip(shops, orders, strict=True))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert all(len(shop.board.events(d)) == 3 + 3 * 3 for d in names)
    assert_is_the_fold(shop.board, names)


def wait_until(server: MariadbServer, waiting: int) -> None:
    """Ask the server until so many wait for a lock, half a minute at most.

    It answers anew only to who has not asked for a tenth of a second.
    """
    connection = server.connect("")
    with closing(connection), connection.cursor() as cursor:
        for _ in range(150):
            cursor.execute(
                "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
            )
            if cursor.fetchone() == (waiting,):
                return
            cursor.execute("SELECT sleep(0.2)")
    raise AssertionError("nobody waits")
