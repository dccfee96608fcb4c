"""S11: a late event folded from a checkpoint leaves what folding everything leaves."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladderpipe import Board, Event, ManualClock, MemoryStore, Pipeline, SqliteStore
from ladderpipe.board import checkpoint
from ladderpipe.board.verify import verify
from ladderpipe.stores import PostgresStore
from ladderpipe.stores.base import Checkpoint
from ladderpipe.testing.copies import copies
from tests.ladders import ladders_and_events
from tests.shops import folded, wide_rows

START = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
STORES = (MemoryStore, lambda: SqliteStore(":memory:"))

_numbers = itertools.count()


@contextlib.contextmanager
def checkpoints_every(count: int) -> Iterator[None]:
    """Have checkpoints of short deals, too."""
    with (
        mock.patch.object(checkpoint, "EVERY", count),
        mock.patch.object(checkpoint, "ASKED", 1),
    ):
        yield


def checkpoints_of(board: Board, deals: Iterable[str]) -> list[list[Checkpoint]]:
    with board.store.transaction(write=False) as transaction:
        rows = (transaction.load(board._session.number, deal, create=False)[0] for deal in deals)
        return [transaction.checkpoints(row.id) for row in rows if row is not None]


def tell(board: Board, event: Event, data: st.DataObject) -> None:
    """Tell an event in one of several ways, perhaps after a sweep, and perhaps twice."""
    how = data.draw(st.sampled_from(["handle", "quietly", "tick", "tick to then"]), label="how")
    if how.startswith("tick"):
        board.tick(until=event.at if how == "tick to then" else None)
    if how == "quietly":
        board.handle_many([event, data.draw(copies(event))], quiet=True, hold=True)
    else:
        board.handle(event, hold=True)


@given(
    told=ladders_and_events(hands=False, max_size=24),
    every=st.integers(1, 4),
    store=st.sampled_from(STORES),
    data=st.data(),
)
def test_in_any_order_a_deal_with_checkpoints_is_the_fold_of_its_events(
    told: tuple[Pipeline, list[Event]], every: int, store: Any, data: st.DataObject
) -> None:
    pipeline, events = told
    end = max((event.at for event in events), default=START)
    with (
        checkpoints_every(every),
        closing(Board(pipeline, store=store(), clock=ManualClock(end))) as board,
    ):
        for event in data.draw(st.permutations(events), label="order"):
            tell(board, event, data)
            report = verify(board)
            assert report.agrees, report.differences
        for deal in board.deals():
            assert folded(board, deal.id)[0] == deal
        board.tick()
        report = verify(board)
        assert report.agrees, report.differences


@given(
    told=ladders_and_events(hands=False, min_size=4, max_size=16),
    every=st.integers(1, 3),
    data=st.data(),
)
@settings(
    max_examples=settings().max_examples // 2,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_all_stores_hold_the_same_with_checkpoints_and_without(
    postgres_url: str, told: tuple[Pipeline, list[Event]], every: int, data: st.DataObject
) -> None:
    pipeline, events = told
    end = max(event.at for event in events)
    order = data.draw(st.permutations(events), label="order")
    found, points = [], []
    for make, count in (
        (MemoryStore, 1_000),
        (MemoryStore, every),
        (lambda: SqliteStore(":memory:"), every),
        (lambda: PostgresStore(postgres_url, prefix=f"c{next(_numbers)}_", pool_size=1), every),
    ):
        with (
            checkpoints_every(count),
            closing(Board(pipeline, store=make(), clock=ManualClock(end))) as board,
        ):
            for event in order:
                board.handle(event, hold=True)
            deals = {event.deal for event in events}
            found.append(wide_rows(board.store, board._session.number, deals))
            points.append(checkpoints_of(board, deals))
    assert found[1:] == found[:1] * 3
    assert points[0] == [[] for _ in points[0]]
    assert points[2:] == points[1:2] * 2
