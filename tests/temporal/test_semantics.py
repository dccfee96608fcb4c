"""The semantics on Temporal: the same cases as for every store, and whatever Hypothesis draws."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ladderpipe import Board, Event, ManualClock, Pipeline
from ladderpipe.templates import sales_management
from ladderpipe.testing import ConformanceCase, conformance_cases, events
from ladderpipe.testing.copies import disguised
from tests.temporal.driven import DrivenTemporalBoard, Loop
from tests.temporal_server import TemporalServer

NOT_HERE = {"forget", "migrate", "reopen"}
"""Steps of stores, which hold many deals: ``test_changed_ladders`` has what is told of ladders."""
CASES = [
    case for case in conformance_cases() if not any(NOT_HERE.intersection(s) for s in case.steps)
]
LADDER = sales_management(language="en")


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with Loop() as running:
        yield running


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_board_on_temporal(
    case: ConformanceCase, temporal_server: TemporalServer, loop: Loop
) -> None:
    opened: list[DrivenTemporalBoard] = []

    def open_board(pipeline: Pipeline, clock: ManualClock) -> DrivenTemporalBoard:
        opened.append(DrivenTemporalBoard(temporal_server, loop, pipeline, clock))
        return opened[-1]

    try:
        case.check_board(open_board)
    finally:
        for board in opened:
            board.close()


def test_few_cases_are_left_out() -> None:
    left_out = [str(case) for case in conformance_cases() if case not in CASES]
    assert len(left_out) <= 5, left_out


@settings(
    max_examples=5,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_the_history_is_that_of_a_board_in_any_order_and_with_copies(
    temporal_server: TemporalServer, loop: Loop, data: st.DataObject
) -> None:
    told: list[Event] = data.draw(events(LADDER, min_size=1))
    again = [data.draw(disguised(event)) for event in told[:3]]
    shuffled = data.draw(st.permutations([*told, *again]))
    clock = ManualClock(max(event.at for event in told))
    clock.advance(hours=data.draw(st.integers(0, 100)))
    with Board(LADDER, clock=clock) as board:
        for event in told:
            board.handle(event, hold=True)
        board.tick()
        expected = [board.history(deal.id) for deal in board.deals()]
    driven = DrivenTemporalBoard(temporal_server, loop, LADDER, clock)
    try:
        for event in shuffled:
            driven.handle(event, hold=True)
        driven.tick()
        for history in expected:
            found = driven.history(history.deal.id)
            assert (found.deal, found.visits) == (history.deal, history.visits)
    finally:
        driven.close()
