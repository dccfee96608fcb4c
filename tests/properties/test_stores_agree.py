"""All four stores hold the same rows after the same events, with either board."""

from __future__ import annotations

import datetime as dt
import itertools
from contextlib import ExitStack, closing
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladderpipe import (
    Board,
    Event,
    Identity,
    ManualClock,
    MemoryStore,
    Pipeline,
    SqliteStore,
    Stage,
    after,
    on,
)
from ladderpipe.errors import LadderError
from ladderpipe.model.canonical import is_storable
from ladderpipe.stores import MariadbStore, PostgresStore
from ladderpipe.testing.copies import copies
from ladderpipe.testing.strategies import events_of_many_deals
from tests.driven import DrivenBoard
from tests.ladders import ladders
from tests.mariadb import MariadbServer
from tests.shops import START, lead_ladder, wide_rows
from tests.totals import assert_counted

DEALS = ("deal-1", "deal-2", "deal-3")

_numbers = itertools.count()

storable_texts = st.text(max_size=8).filter(is_storable)


@pytest.mark.parametrize("make_board", [Board, DrivenBoard], ids=["plain", "asynchronous"])
@given(data=st.data())
@settings(
    max_examples=settings().max_examples // 2,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_all_stores_hold_the_same(
    postgres_url: str, mariadb_server: MariadbServer, make_board: Any, data: st.DataObject
):
    pipeline = data.draw(ladders(sequences=True))
    events = data.draw(st.permutations(data.draw(events_of_many_deals(pipeline, deals=DEALS))))
    clock = ManualClock("2026-01-05T09:00:00Z")
    with ExitStack() as stack:
        stores: list[Any] = [
            MemoryStore(),
            SqliteStore(":memory:"),
            PostgresStore(postgres_url, prefix=f"p{next(_numbers)}_", pool_size=2),
            MariadbStore.from_url(mariadb_server.emptied_url()),
        ]
        boards = [
            stack.enter_context(closing(make_board(pipeline, store=store, clock=clock)))
            for store in stores
        ]
        latest = max((event.at for event in events), default=clock.now())
        clock.set(max(latest, clock.now()))
        while events:
            steps = [
                handle_one,
                handle_some,
                sweep,
                tell,
                move_by_hand,
                edit_by_hand,
                take_back,
                undo,
            ]
            step = data.draw(st.sampled_from(steps))
            size = data.draw(SIZES[step])
            batch, events = events[:size], events[size:]
            again = [data.draw(copies(batch[0]))] if step is handle_some else []
            clock.advance(hours=0 if batch else data.draw(st.integers(0, 50)))
            into = data.draw(st.sampled_from(pipeline.stages))
            answers = {answer(step, board, [*batch, *again], into) for board in boards}
            assert len(answers) == 1
        for board in boards:
            assert_counted(board)
        rows = [wide_rows(board.store, board._session.number, DEALS) for board in boards]
        assert rows[0] == rows[1]
        assert rows[0] == rows[2]


def handle_one(board: Board, batch: list[Event], into: Stage) -> Any:
    return board.handle(batch[0])


def handle_some(board: Board, batch: list[Event], into: Stage) -> Any:
    return board.handle_many(batch)


def sweep(board: Board, batch: list[Event], into: Stage) -> Any:
    return board.tick()


def move_by_hand(board: Board, batch: list[Event], into: Stage) -> Any:
    number = len(board.events(DEALS[0])).to_bytes(16, "big")
    with mock.patch("os.urandom", return_value=number):
        return board.move(DEALS[0], into, by="Ada", properties={"a": 1.0, "b": 1e22})


def tell(board: Board, batch: list[Event], into: Stage) -> Any:
    number = len(board.events(DEALS[0]))
    since = board.clock.now() - dt.timedelta(hours=7 * (number % 5))
    data = {"stage": into.key, "owner": "Ada", "timers_from": board.clock.now().isoformat()}
    told = Event("ladder.told", deal=DEALS[0], id=f"told {number}", at=since, data=data)
    return board.handle(told)


def edit_by_hand(board: Board, batch: list[Event], into: Stage) -> Any:
    with _numbered(board):
        return board.edit(DEALS[0], by="Ada", owner=into.key, value="10.50")


def take_back(board: Board, batch: list[Event], into: Stage) -> Any:
    with _numbered(board):
        # Stores may list what happened at one instant in any order.
        told = sorted(event.identity for event in board.events(DEALS[0]))
        told = told or [Identity("", "nothing")]
        return board.withdraw(told[len(told) // 2], by="Ada")


def undo(board: Board, batch: list[Event], into: Stage) -> Any:
    with _numbered(board):
        return board.undo(DEALS[0], by="Ada", expecting=into)


def _numbered(board: Board) -> Any:
    number = (len(board.events(DEALS[0])) + 1000).to_bytes(16, "big")
    return mock.patch("os.urandom", return_value=number)


SIZES = {
    edit_by_hand: st.just(0),
    take_back: st.just(0),
    undo: st.just(0),
    handle_one: st.just(1),
    handle_some: st.integers(1, 8),
    sweep: st.just(0),
    tell: st.just(0),
    move_by_hand: st.just(0),
}


def answer(step: Any, *arguments: Any) -> str:
    """Return what a board says, or what it complains of."""
    try:
        return repr(step(*arguments))
    except LadderError as error:
        return repr(error)


@given(told=st.permutations(["slow", "late", "idle", "idle", "late", "late"]))
def test_a_sweep_says_the_same_in_whatever_order_deals_are_listed(told: list[str]) -> None:
    """Deals that are due at one instant are listed in the order in which each came."""
    parked, *opened = (Stage(key) for key in ("parked", "slow", "late", "idle"))
    rules = [on(stage.key, into=stage, opens=True) for stage in opened]
    rules += [after(hours=1, out_of=stage, into=parked) for stage in opened]
    clock = ManualClock(START)
    pipeline = Pipeline("leads", stages=[*opened, parked], rules=rules)
    with closing(Board(pipeline, store=MemoryStore(), clock=clock)) as board:
        for number, kind in enumerate(told):
            board.handle(Event(kind, deal=f"deal-{number}", id=f"{number}", at=clock.now()))
        clock.advance(hours=2)
        moves = list(board.tick().timers.items())
    assert [count for _, count in moves] == [3, 2, 1]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | storable_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(storable_texts, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(
    told=st.lists(JSON, max_size=5), seqs=st.lists(st.integers(-(2**63) + 1, 2**63 - 1), max_size=5)
)
@settings(
    max_examples=settings().max_examples // 4,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_store_gives_back_the_events_that_it_was_given(
    postgres_url: str, mariadb_server: MariadbServer, told: list[Any], seqs: list[int]
) -> None:
    given = [
        Event("noted", deal="d", id=f"é{n}", at=START, source="s", seq=seq, data={"told": value})
        for n, (value, seq) in enumerate(
            itertools.zip_longest(told, seqs[: len(told)], fillvalue=0)
        )
    ]
    stores = [
        MemoryStore(),
        SqliteStore(":memory:"),
        PostgresStore(postgres_url, prefix=f"p{next(_numbers)}_", pool_size=1),
        MariadbStore.from_url(mariadb_server.emptied_url()),
    ]
    for store in stores:
        with closing(Board(lead_ladder(), store=store, clock=ManualClock(START))) as board:
            board.handle_many(given)
            found = sorted(board.events("d"), key=lambda event: event.id)
        assert found == given
        # To which 1 is not True, and 0.0 is not -0.0.
        assert [event.digest() for event in found] == [event.digest() for event in given]
