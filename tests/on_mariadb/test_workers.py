"""Several workers on one server: they share what there is to do, and wait for nobody."""

from __future__ import annotations

import threading
from typing import Any

from ladderpipe import Board, Delivery
from ladderpipe.stores import MariadbStore
from tests.on_mariadb.conftest import IMPATIENT, OpenStore
from tests.shops import Shop, lead_ladder, register

SLOWEST = 30
"""How long a thread may take, in seconds, before the test gives up."""


def greeting_ladder() -> Any:
    return register(lead_ladder(), into_new=lambda ctx: ctx.do("email", template="hello"))


class Crew:
    """Workers in threads, each with a store of its own; their first deliveries overlap."""

    def __init__(self, stores: list[MariadbStore], clock: Any) -> None:
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
    store: MariadbStore, open_store: OpenStore
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
    store: MariadbStore, open_store: OpenStore
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
