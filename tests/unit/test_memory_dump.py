"""A store in memory written as JSON and read again is the same store."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Board, Event, ManualClock, drop
from ladderpipe.errors import StoreError
from ladderpipe.stores import MemoryStore
from ladderpipe.templates import sales_management
from ladderpipe.testing import events

LADDER = sales_management(language="en")


@given(data=st.data())
def test_it_answers_and_goes_on_as_the_other_does(data: st.DataObject) -> None:
    told = data.draw(events(LADDER, min_size=1))
    middle = data.draw(st.integers(0, len(told)))
    clock = ManualClock(max(event.at for event in told) + dt.timedelta(hours=50))
    store = MemoryStore()
    with Board(LADDER, store=store, clock=clock) as board:
        board.handle_effect("email", lambda delivery: drop("for a test"))
        for event in told[:middle]:
            board.handle(event, hold=True)
        board.deliver()
        written = json.loads(json.dumps(store.dump()))
        copy = Board(LADDER, store=MemoryStore.load(written), clock=clock)
        for event in told[middle:]:
            assert copy.handle(event, hold=True) == board.handle(event, hold=True)
        copy.tick()
        board.tick()
        assert copy.effects() == board.effects()
        assert copy.held() == board.held()
        assert [d.to_dict() for d in copy.deals()] == [d.to_dict() for d in board.deals()]
        assert copy.store.dump() == board.store.dump()  # type: ignore[attr-defined]


def test_what_a_later_version_adds_is_passed_over() -> None:
    store = MemoryStore()
    board = Board(LADDER, store=store, clock=ManualClock("2026-01-05T09:00:00Z"))
    board.handle(Event("order.confirmed", deal="d", id="1", at="2026-01-05T09:00:00Z"))
    written = store.dump()
    for row in written["events"]:
        row[1]["a_field_of_tomorrow"] = 1
    assert MemoryStore.load(written).dump() == store.dump()


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"next_id": 1, "nonsense": []},
        {"next_id": 1, "deals": 3},
        {"next_id": 1, "deals": [[1]]},
    ],
    ids=repr,
)
def test_what_no_store_has_written_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="dump"):
        MemoryStore.load(told)
