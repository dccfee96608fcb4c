"""Whatever happens to a board, in whatever order, ``verify`` agrees with what it stores."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Board, Event, ManualClock, MemoryStore, Pipeline, SqliteStore
from ladderpipe.board.verify import verify
from ladderpipe.testing.copies import copies
from tests.ladders import ladders_and_events

START = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


@given(
    told=ladders_and_events(hands=False, max_size=12),
    data=st.data(),
    store=st.sampled_from([MemoryStore, lambda: SqliteStore(":memory:")]),
)
def test_a_board_that_is_told_in_any_order_agrees(
    told: tuple[Pipeline, list[Event]], data: st.DataObject, store: Any
) -> None:
    pipeline, events = told
    end = max((event.at for event in events), default=START)
    board = Board(pipeline, store=store(), clock=ManualClock(end))
    for event in data.draw(st.permutations(events), label="order"):
        how = data.draw(st.sampled_from(["handle", "quietly", "tick", "tick to then"]), label="how")
        if how.startswith("tick"):
            board.tick(until=event.at if how == "tick to then" else None)
        if how == "quietly":
            board.handle_many([event, data.draw(copies(event))], quiet=True)
        else:
            board.handle(event)
            board.handle(data.draw(copies(event)))
    report = verify(board)
    assert report.agrees, report.differences
    board.tick()
    report = verify(board)
    assert report.agrees, report.differences
    board.close()
