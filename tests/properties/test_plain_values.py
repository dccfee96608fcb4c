"""What is accepted at the door is what is stored: Python's own values, whatever came (S7)."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladderpipe import (
    Board,
    Event,
    ManualClock,
    MemoryStore,
    Pipeline,
    SqliteStore,
    Stage,
    Timer,
    VisitTimes,
    after,
    by_hand,
    on,
)
from ladderpipe.board.verify import verify
from ladderpipe.stores import PostgresStore
from ladderpipe.testing.copies import Bag, Stamp, Text, disguised
from ladderpipe.testing.strategies import events_of_many_deals
from tests.ladders import ladders, ladders_and_events
from tests.shops import wide_rows

DEALS = ("deal-1", "deal-2")
START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
LATER = dt.timedelta(days=1)

MakeStore = Callable[[], Any]

_numbers = itertools.count()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def make_store(request: pytest.FixtureRequest) -> MakeStore:
    """Return a function that makes an empty store, and another, and another."""
    if request.param == "memory":
        return MemoryStore
    if request.param == "sqlite":
        return lambda: SqliteStore(":memory:")
    url = request.getfixturevalue("postgres_url")
    return lambda: PostgresStore(url, prefix=f"p{next(_numbers)}_", pool_size=2)


class StampClock:
    """A clock that tells the time as a data frame would."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def now(self) -> dt.datetime:
        now = self._clock.now()
        return Stamp.combine(now.date(), now.timetz())


def assert_plain(value: Any) -> None:
    """Assert that a value is of Python's own classes, and so is all within it."""
    assert type(value) in (str, int, float, bool, dict, list, type(None), dt.datetime), type(value)
    if isinstance(value, Mapping):
        for name, part in value.items():
            assert type(name) is str
            assert_plain(part)
    elif isinstance(value, list):
        for part in value:
            assert_plain(part)


def assert_plain_event(event: Event) -> None:
    for field in attrs.fields(Event):
        assert_plain(getattr(event, field.name))


@given(ladders_and_events(), st.data())
def test_a_history_does_not_show_what_classes_its_events_came_in(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
) -> None:
    pipeline, events = case
    told = [data.draw(disguised(event)) for event in events]
    for event in told:
        assert_plain_event(event)
    assert told == events
    assert [event.digest() for event in told] == [event.digest() for event in events]
    assert pipeline.fold(told) == pipeline.fold(events)
    assert str(pipeline.explain(told)) == str(pipeline.explain(events))


@given(data=st.data())
@settings(
    max_examples=settings().max_examples // 5,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_what_a_store_returns_is_what_was_given(make_store: MakeStore, data: st.DataObject) -> None:
    pipeline = data.draw(ladders(sequences=True))
    events = data.draw(events_of_many_deals(pipeline, deals=DEALS, max_size=6).filter(bool))
    order = data.draw(st.permutations(range(len(events))), label="order")
    told = [data.draw(disguised(event)) for event in events]
    clock = ManualClock(max(event.at for event in events) + LATER)
    plain = Board(pipeline, store=make_store(), clock=clock)
    board = Board(pipeline, store=make_store(), clock=StampClock(clock))
    for index in order:
        assert board.handle(told[index]) == plain.handle(events[index])
    for found in (board, plain):
        found.tick()
        stored = {(e.source, e.id): e for deal in DEALS for e in found.events(deal)}
        assert stored == {(event.source, event.id): event for event in events}
        for event in events:
            again = stored[event.source, event.id]
            assert_plain_event(again)
            assert again.digest() == event.digest()
        assert verify(found).agrees
    rows = [wide_rows(one.store, one._session.number, DEALS) for one in (board, plain)]
    assert rows[0] == rows[1]
    for found in (board, plain):
        found.close()


@attrs.frozen
class Stamped(Timer):
    """A timer of a shop that reckons in data frames."""

    hours: int

    def due_at(self, visit: VisitTimes) -> dt.datetime:
        due = visit.entered_at + dt.timedelta(hours=self.hours)
        return Stamp.combine(due.date(), due.timetz())


def hand_ladder(text: Callable[[str], str]) -> Pipeline:
    low, high = Stage(text("low"), requires=[text("why")]), Stage(text("high"))
    return Pipeline(
        text("hands"),
        stages=[low, high],
        rules=[
            on(text("came"), into=high, opens=True),
            after(Stamped(1), into=low, out_of=high, key=text("cooled")),
            by_hand(into=low),
        ],
    )


def test_so_it_is_with_hands_stages_rules_timers_and_clocks(make_store: MakeStore) -> None:
    found = []
    for text, stamp, mapping in ((str, StampClock, dict), (Text, StampClock, Bag)):
        clock = ManualClock(START)
        board = Board(hand_ladder(text), store=make_store(), clock=stamp(clock))
        board.handle(Event(text("came"), deal=text("d"), id=text("1"), at=START))
        board.move(
            text("d"),
            text("low"),
            by=text("Ada"),
            reason=text("called"),
            properties=mapping({text("why"): text("price")}),
        )
        board.override(text("d"), text("high"), by=text("Ada"), properties=mapping({}))
        clock.advance(hours=2)
        board.tick()
        for event in board.events(text("d")):
            assert_plain_event(event)
        assert verify(board).agrees
        deal = board.deal(text("d"))
        moves = [(*move[:5], move.rule) for move in board.history(text("d")).moves]
        found.append((deal, moves, board.pipeline.fingerprint, [d.id for d in board.deals()]))
        assert [move[-1] for move in moves][-1] == "cooled"
        assert list(board.deals(stage=text("low"))) == [deal]
        assert type(deal.stage.key) is str
        board.close()
    assert found[0] == found[1]
