"""Several processes receive from one shop, and ask it: they know no more of each other than the
store holds, and the deals are as if one process had heard all.
"""

from __future__ import annotations

import datetime as dt
import itertools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import Board, ManualClock, verify
from ladderpipe.connect import Receiver, Reconciler, Shopify
from ladderpipe.templates import sales_management

from . import payloads
from .senders import NOW, SECRET, shopify
from .simulated_shops import SimulatedShop
from .test_receiver import over_wsgi
from .test_reconcile import ACTIONS, KIND, MORNING, Street, street, tell_own_carts

__all__ = ["street"]

CART: Final = "x.myshopify.com/c1-9f3a"
PROCESSES: Final = 3
CARTS: Final[Sequence[list[Any]]] = (
    [],
    [payloads.item(quantity=1)],
    [payloads.item(quantity=2)],
)


def snapshot(minute: int, lines: list[Any]) -> Any:
    """A cart as somebody looked at it, days ago."""
    at = NOW - dt.timedelta(days=5) + dt.timedelta(hours=12 * minute)
    return payloads.cart(updated_at=at.isoformat(), line_items=lines)


class Processes:
    """Boards with a receiver each, on one store."""

    def __init__(self, url: str, number: int, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock(NOW)
        ladder = sales_management(language="en")
        first = Board.open(ladder, url, clock=self.clock)
        others = [Board(ladder, store=first.store, clock=self.clock) for _ in range(number - 1)]
        self.board, self.boards = first, [first, *others]
        connector = Shopify(secrets=[SECRET])
        self.receivers = [Receiver(board, {"/shopify": connector}) for board in self.boards]

    def hears(self, which: int, payload: Any) -> None:
        receiver = self.receivers[which % len(self.receivers)]
        answer = over_wsgi(receiver, "POST", "/shopify", shopify(payload))
        assert answer.status == 200

    def history(self) -> Any:
        board = self.boards[0]
        board.tick()
        visits = board.history(CART).visits
        return board.deal(CART), [(each.stage, each.entered_at, each.left_at) for each in visits]


SEEN: Final = st.lists(st.integers(0, len(CARTS) - 1), min_size=1, max_size=7).flatmap(
    lambda carts: st.permutations(list(enumerate(carts)))
)
"""Which cart was seen at which of the times, in the order in which it is told."""


@given(seen=SEEN, who=st.lists(st.integers(0, PROCESSES - 1), min_size=9, max_size=9))
def test_several_processes_make_of_carts_what_one_does(
    seen: list[tuple[int, int]], who: list[int]
) -> None:
    one, several = Processes("memory:", 1), Processes("memory:", PROCESSES)
    with one.boards[0], several.boards[0]:
        for which, (minute, cart) in zip(itertools.cycle(who), [(-1, 1), *seen, *seen]):
            for processes in (one, several):
                processes.hears(which, snapshot(minute, CARTS[cart]))
        assert one.history() == several.history()
        assert verify(several.boards[0]).differences == ()
        assert len(several.boards[0].deal(CART).cart) == len(CARTS[max(seen)[1]])


@given(seen=SEEN)
def test_in_the_order_in_which_they_were_seen_only_what_is_new_counts(
    seen: list[tuple[int, int]],
) -> None:
    """What was left out, and what was told after all, is what would have been told in order."""
    told, expected = Processes("memory:", 2), Processes("memory:", 1)
    with told.boards[0], expected.boards[0]:
        told.hears(0, snapshot(0, CARTS[1]))
        expected.hears(0, snapshot(0, CARTS[1]))
        held = CARTS[1]
        for minute, cart in sorted(seen):
            told.hears(minute, snapshot(minute + 1, CARTS[cart]))
            if held != CARTS[cart] or not held:
                expected.hears(0, snapshot(minute + 1, CARTS[cart]))
            held = CARTS[cart]
        assert told.history() == expected.history()


def test_what_another_process_has_left_out_counts_once_something_before_it_comes() -> None:
    processes = Processes("memory:", 3)
    with processes.boards[0] as board:
        processes.hears(0, snapshot(0, CARTS[1]))
        processes.hears(1, snapshot(4, CARTS[1]))
        assert board.history(CART).visits[-1].entered_at < NOW - dt.timedelta(days=4)
        processes.hears(2, snapshot(2, []))
        stages = [visit.stage for visit in board.history(CART).visits]
        assert stages == ["quote_requested", "cart_parked", "quote_requested"]
        assert board.deal(CART).cart
        assert "discarded" not in str(board.explain(CART))


def test_a_cart_that_is_looked_at_for_days_does_not_fill_the_store() -> None:
    processes = Processes("memory:", 2)
    with processes.boards[0] as board:
        for minute in (0, 3, 5, 1, 4, 5, 2, 9, 9):
            processes.hears(minute, snapshot(minute, CARTS[1]))
        assert len(board.events(CART)) == 2
        assert verify(board).differences == ()


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_processes_at_the_same_time_lose_no_cart(
    store: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    file = f"sqlite:///{tmp_path}/shop.db"
    url = file if store == "sqlite" else request.getfixturevalue("postgres_url")
    processes = Processes(url, PROCESSES)
    # Between the first and the last, each of which is told more than once, somebody empties it.
    told = [snapshot(0, CARTS[1]), snapshot(1, []), *(snapshot(n, CARTS[1]) for n in range(2, 8))]
    failed: list[BaseException] = []

    def hear(which: int) -> None:
        try:
            for number in range(len(told)):
                processes.hears(which, told[(5 * number + 3 * which) % len(told)])
        except BaseException as error:
            failed.append(error)

    with processes.boards[0] as board:
        threads = [threading.Thread(target=hear, args=(n,)) for n in range(PROCESSES)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert len(board.deal(CART).cart) == 1
        assert verify(board).differences == ()


@KIND
@settings(max_examples=15)
@given(
    actions=ACTIONS,
    heard=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=20),
)
def test_receivers_and_reconcilers_in_several_processes_are_as_one(
    kind: type[SimulatedShop], street: Street, actions: list[Any], heard: list[tuple[int, int]]
) -> None:
    shop, url = street.opens(kind)
    at = MORNING
    for action, number, quantity, minutes in actions:
        at += dt.timedelta(minutes=minutes)
        shop.do(action, number, at, quantity)
    one, several = Processes("memory:", 1), Processes("memory:", PROCESSES)
    with one.boards[0], several.boards[0]:
        for processes in (one, several):
            shops: Any = {"/shop": shop.connector(url, processes.clock)}
            receivers = [Receiver(board, shops) for board in processes.boards]
            reconcilers = [Reconciler(board, shops) for board in processes.boards]
            tell_own_carts(shop, processes)
            for place, who in heard if shop.deliveries else ():
                which = who % len(receivers)
                if place % 7 == 0:
                    assert not reconcilers[which].once(MORNING).failed
                told = shop.deliveries[place % len(shop.deliveries)][1]
                delivery = shop.signed(told, processes.clock.now())
                assert over_wsgi(receivers[which], "POST", "/shop", delivery).status == 200
            processes.boards[0].tick()
        assert {deal.id: deal for deal in one.boards[0].deals()} == {
            deal.id: deal for deal in several.boards[0].deals()
        }
