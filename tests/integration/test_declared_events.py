"""Events that nobody declared are recorded like any other, and counted: on every store."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladderpipe import ANY, Board, Event, ManualClock, Outcome, Pipeline, Stage, on, replay
from ladderpipe.board.health import examine_store
from ladderpipe.stores import MemoryStore

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
DECLARED = ("order.completed", "cart.filled", "page.viewed")
OTHERS = ("order.complete", "page.view", "weather")
ONCE = Event("order.complete", deal="d", id="e", at=START)


def shop(events: tuple[str, ...] | None = DECLARED) -> Pipeline:
    quote, won = Stage("quote"), Stage("won", status="won")
    return Pipeline(
        "shop",
        stages=[quote, won],
        rules=[
            on("order.completed", into=won, out_of=ANY, opens=True),
            on("cart.filled", "weather", into=quote, opens=True),
        ],
        events=events,
    )


def board_on(store: Any, events: tuple[str, ...] | None = DECLARED) -> Board:
    return Board(shop(events), store=store, clock=ManualClock(START))


def finding(board: Board) -> Any:
    return next((found for found in board.health().findings if found.code == "H020"), None)


def told() -> st.SearchStrategy[list[Event]]:
    """Events of both sorts, doubled and shuffled as a shop's queue does it."""
    events = st.builds(
        lambda kind, deal, number: Event(kind, deal=deal, id=f"{kind} {number}", at=START),
        st.sampled_from(DECLARED + OTHERS),
        st.sampled_from("abc"),
        st.integers(1, 3),
    )
    distinct = st.lists(events, unique_by=lambda event: event.id)
    return distinct.flatmap(lambda found: st.permutations([*found, *found[: len(found) // 2]]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=told(), in_batches=st.booleans())
def test_each_event_is_counted_once_and_named_each_time(
    events: list[Event], in_batches: bool
) -> None:
    board = board_on(MemoryStore())
    distinct = {event.id: event.type for event in events if event.type in OTHERS}
    if in_batches:
        report = board.handle_many(events, hold=True)
        assert report.undeclared == Counter(e.type for e in events if e.type in OTHERS)
    else:
        for event in events:
            receipt = board.handle(event)
            assert (receipt.undeclared is not None) == (event.type in OTHERS)
    assert board.health().undeclared == Counter(distinct.values())


@given(events=told())
def test_declaring_changes_no_history(events: list[Event]) -> None:
    strict, usual = shop(), shop(None)
    assert strict.fingerprint == usual.fingerprint
    assert list(strict.replay(events)) == list(usual.replay(events))


def test_a_receipt_says_what_was_probably_meant(store: Any) -> None:
    board = board_on(store)
    receipt = board.handle(ONCE)
    assert receipt.outcome is Outcome.WAITING
    assert receipt.undeclared == (
        "pipeline 'shop' declares no event 'order.complete' (did you mean 'order.completed'?)"
    )
    assert board.handle(ONCE).undeclared == receipt.undeclared
    assert board.handle(Event("page.viewed", deal="d", id="f", at=START)).undeclared is None


def test_health_counts_them_by_type_and_warns_of_a_likely_mistake(store: Any) -> None:
    board = board_on(store)
    board.handle(Event("weather", deal="d", id="w", at=START))
    assert finding(board).severity == "info"
    board.handle_many([ONCE, ONCE, Event("order.complete", deal="e", id="g", at=START)])
    found = finding(board)
    assert found.severity == "warning"
    assert "2 × 'order.complete' (did you mean 'order.completed'?), 1 × 'weather'" in found.message


def test_whoever_knows_no_definition_is_told_the_same(store: Any) -> None:
    board = board_on(store)
    board.handle(ONCE)
    (health,) = examine_store(store)
    assert health.undeclared == {"order.complete": 1}
    assert finding(board) in health.findings


def test_what_is_declared_later_was_all_right(store: Any) -> None:
    board_on(store).handle(ONCE)
    later = board_on(store, (*DECLARED, "order.complete"))
    assert finding(later) is None
    assert later.handle(ONCE).undeclared is None


def test_what_stood_aside_is_counted_when_it_is_taken(store: Any) -> None:
    board = board_on(store)
    future = Event("weather", deal="d", id="w", at=START + dt.timedelta(days=1))
    receipt = board.handle(future, hold=True)
    assert receipt.outcome is Outcome.HELD
    assert receipt.undeclared is not None
    assert board.health().undeclared == {}
    assert isinstance(board.clock, ManualClock)
    board.clock.advance(days=2)
    board.tick()
    assert board.health().undeclared == {"weather": 1}


def test_an_archive_takes_them_along_and_brings_them_back(store: Any, tmp_path: Path) -> None:
    board = board_on(store)
    board.handle(Event("order.completed", deal="d", id="o", at=START))
    board.handle(ONCE)
    assert isinstance(board.clock, ManualClock)
    board.clock.advance(days=2)
    board.archive(before=board.clock.now(), to=tmp_path / "old")
    assert board.health().undeclared == {}
    again = board_on(MemoryStore())
    again.restore(tmp_path / "old")
    assert again.health().undeclared == {"order.complete": 1}


def test_a_replay_adds_them_up(store: Any, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(
        "\n".join(
            f'{{"id": "{n}", "source": "s", "type": "{kind}", "subject": "d", '
            f'"time": "2026-01-05T08:00:00Z"}}'
            for n, kind in enumerate([*OTHERS, *OTHERS[:2], *DECLARED])
        )
    )
    board = board_on(store)
    report = replay(board, log)
    assert report.undeclared == {"order.complete": 2, "page.view": 2, "weather": 1}
    assert report.undeclared == board.health().undeclared
    assert replay(board, log).undeclared == report.undeclared


@pytest.mark.parametrize("name", ["ladder.by_hand", "ladder.told"])
def test_what_the_board_writes_itself_is_never_a_surprise(name: str) -> None:
    assert shop(()).ladder.declares(name)
