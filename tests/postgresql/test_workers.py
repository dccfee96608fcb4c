"""Several workers on one server: they share what there is to do, and wait for nobody."""

from __future__ import annotations

import datetime as dt
import threading
import time
from typing import Any

import pytest

from ladderpipe import Board, Delivery, Event, SystemClock
from ladderpipe.errors import EffectNotFoundError, PipelineChangedError
from ladderpipe.stores import PostgresStore
from tests.postgresql.conftest import IMPATIENT, OpenStore
from tests.postgresql.test_adopting import changed_ladder
from tests.postgresql.test_locks import wait_until, waiting_sessions
from tests.shops import Shop, lead_ladder, register

SLOWEST = 30
"""How long a thread may take, in seconds, before the test gives up."""


def greeting_ladder() -> Any:
    return register(lead_ladder(), into_new=lambda ctx: ctx.do("email", template="hello"))


class Crew:
    """Workers in threads, each with a store of its own; their first deliveries overlap."""

    def __init__(self, stores: list[PostgresStore], clock: Any) -> None:
        self.delivered: list[tuple[int, str]] = []
        self.failures: list[BaseException] = []
        self._meeting = threading.Barrier(len(stores), timeout=SLOWEST)
        boards = [Board(greeting_ladder(), store=store, clock=clock) for store in stores]
        threads = [
            threading.Thread(target=self._work, args=(number, board))
            for number, board in enumerate(boards)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, number: int, board: Board) -> None:
        met: list[str] = []

        @board.handles("email")
        def send(delivery: Delivery) -> None:
            if not met:
                met.append(delivery.key)
                self._meeting.wait()
            self.delivered.append((number, delivery.key))

        try:
            board.deliver()
        except BaseException as error:
            self.failures.append(error)


def test_workers_share_the_effects_and_none_is_claimed_twice(
    store: PostgresStore, open_store: OpenStore
):
    shop = Shop(greeting_ladder(), store)
    for number in range(30):
        shop.tell("lead", f"d{number}")
    crew = Crew([open_store() for _ in range(3)], shop.clock)
    assert crew.failures == []
    keys = [key for _, key in crew.delivered]
    assert sorted(keys) == sorted(effect.key for effect in shop.board.effects())
    assert {number for number, _ in crew.delivered} == {0, 1, 2}, "each had something to do"
    assert {effect.attempts for effect in shop.board.effects()} == {1}


def test_a_worker_steps_round_a_deal_that_somebody_is_slow_with(
    store: PostgresStore, open_store: OpenStore
):
    shop = Shop(greeting_ladder(), store)
    for deal in ("slow", "a", "b"):
        shop.tell("lead", deal)
    worker = Shop(greeting_ladder(), open_store(IMPATIENT))
    with store.transaction() as transaction:
        transaction.load(shop.board._session.number, "slow", create=True)
        assert worker.board.deliver().delivered == 2
    assert sorted(delivery.deal.id for delivery in worker.sent) == ["a", "b"]
    assert worker.board.deliver().delivered == 1


def test_a_worker_does_not_spin_while_others_are_at_what_is_due(
    store: PostgresStore, open_store: OpenStore
):
    shop = Shop(greeting_ladder(), store)
    shop.tell("lead")
    worker = Shop(greeting_ladder(), open_store())
    stop = threading.Event()
    begun: list[float] = []
    begin = worker.store.transaction

    def counted(write: bool = True) -> Any:
        begun.append(time.monotonic())
        return begin(write)

    worker.store.transaction = counted  # type: ignore[method-assign]
    thread = threading.Thread(target=worker.board.run, kwargs={"stop": stop})
    with store.transaction() as transaction:
        transaction.load(shop.board._session.number, "d", create=True)
        thread.start()
        until = time.monotonic() + SLOWEST
        while (not begun or time.monotonic() - begun[0] < 0.5) and time.monotonic() < until:
            transaction.connection.execute("SELECT pg_sleep(0.05)")
        rounds = len(begun)
    stop.set()
    thread.join()
    assert 0 < rounds < 60, "some ten rounds of a few transactions each"


# -- waking ---------------------------------------------------------------------------------------


def test_a_worker_that_hardly_ever_polls_is_woken(open_store: OpenStore, store: PostgresStore):
    sent = threading.Event()
    stop = threading.Event()
    worker = Board(greeting_ladder(), store=open_store())
    worker.handles("email")(lambda delivery: sent.set())
    thread = threading.Thread(
        target=worker.run, kwargs={"stop": stop, "poll": dt.timedelta(hours=1)}
    )
    writer = Board(greeting_ladder(), store=store)
    thread.start()
    try:
        with store.transaction() as transaction:
            wait_until(transaction.connection, is_somebody_listening)
        writer.handle(Event("lead", deal="d", id="1", at=SystemClock().now()))
        assert sent.wait(SLOWEST)
    finally:
        stop.set()
        thread.join()


def is_somebody_listening(connection: Any) -> bool:
    found = connection.execute(
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND state = 'idle'"
    )
    return found.fetchone() is not None


def test_an_outdated_worker_ends_and_says_why(shop: Shop, open_store: OpenStore):
    shop.tell("lead")
    ladder = changed_ladder(5)
    new = ladder.stage("new")
    board = Board(ladder, store=open_store(), clock=shop.clock, adopting=True)
    board.migrate({"talking": new, "won": new, "lost": new})
    shop.wait(6)
    with pytest.raises(PipelineChangedError, match="another definition"):
        shop.board.run()


# -- the clock ------------------------------------------------------------------------------------


class Waiter:
    """Somebody who waits for a deal's lock while an hour goes by."""

    def __init__(self, shop: Shop, other: Shop, work: Any) -> None:
        self.answer: Any = None

        def act() -> None:
            try:
                self.answer = work(other.board)
            except Exception as error:
                self.answer = error

        thread = threading.Thread(target=act)
        with shop.store.transaction() as transaction:
            transaction.load(shop.board._session.number, "d", create=True)
            thread.start()
            wait_until(transaction.connection, lambda c: waiting_sessions(c) == 1)
            other.clock.advance(hours=1)
        thread.join()


@pytest.fixture
def waiting(store: PostgresStore, open_store: OpenStore) -> tuple[Shop, Shop]:
    """Return two processes on one board, half an hour before a lead goes cold."""
    shop, other = (Shop(lead_ladder(sequence=True), found) for found in (store, open_store()))
    shop.tell("lead")
    for each in (shop, other):
        each.wait(71.5)
    return shop, other


def test_a_hand_that_waited_sees_the_timer_that_fell_due_meanwhile(waiting: tuple[Shop, Shop]):
    shop, other = waiting
    Waiter(shop, other, lambda board: board.override("d", "won", by="Ada"))
    assert shop.stages == ["new", "cold", "won"]


def test_a_claim_that_waited_sees_the_timer_that_fell_due_meanwhile(waiting: tuple[Shop, Shop]):
    shop, other = waiting
    (task,) = [t for t in shop.board.tasks() if t.title == "Call"]
    found = Waiter(shop, other, lambda board: board.complete(task)).answer
    assert isinstance(found, EffectNotFoundError), found
    assert shop.stage == "cold"


def test_what_waited_is_recorded_when_it_had_the_lock(waiting: tuple[Shop, Shop]):
    """Otherwise it would lie before what a reader has seen since."""
    shop, other = waiting
    event = other.event("call")
    Waiter(shop, other, lambda board: board.handle(event))
    assert shop.board.history("d").moves[-1].recorded_at == other.clock.now()


def test_a_batch_that_waited_is_recorded_when_it_had_the_lock(waiting: tuple[Shop, Shop]):
    shop, other = waiting
    event = other.event("call")
    Waiter(shop, other, lambda board: board.handle_many([event]))
    assert shop.board.history("d").moves[-1].recorded_at == other.clock.now()
