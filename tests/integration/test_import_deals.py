"""Bringing deals over: their past as it was, right timers from now on, again and again."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import (
    AsyncBoard,
    Board,
    ImportReport,
    ManualClock,
    Stay,
    ToldDeal,
    verify,
)
from tests.integration.test_told import NOW, ladder

DAY = dt.timedelta(days=1)


def deal(id: str, *stays: tuple[str, float | None], **facts: Any) -> ToldDeal:
    closing = {"properties": {"loss_reason": "price"}} if stays[-1][0] == "lost" else {}
    return ToldDeal(
        id,
        [Stay(stage, None if ago is None else NOW - ago * DAY) for stage, ago in stays],
        {"owner": "Ada", "currency": "EUR", **facts},
        closing,
    )


DEALS = [
    deal("fresh", ("lead", 9), ("offer", 1), value="10"),
    deal("cold", ("lead", 90), ("offer", 60), value="20"),
    deal("back", ("offer", 90), ("lead", 60), ("offer", 30), ("lead", 2)),
    deal("won", ("lead", 90), ("offer", 80), ("won", 70), value="99"),
    deal("lost", ("offer", 80), ("lost", 70)),
    deal("somewhen", ("lead", 5), ("offer", None)),
]


@pytest.fixture(params=["memory", "sqlite", "postgres", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param in ("postgres", "mariadb"):
        yield request.getfixturevalue(f"{request.param}_url")
    else:
        yield {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path / 'shop.db'}"}[request.param]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def board(url: str, clock: ManualClock) -> Iterator[Board]:
    with Board.open(ladder(), url, clock=clock) as board:
        yield board


def stays_of(board: Board, id: str) -> list[tuple[str, dt.datetime]]:
    return [(visit.stage.key, visit.entered_at) for visit in board.history(id).visits]


def told(deal: ToldDeal) -> list[tuple[str, dt.datetime]]:
    return [(stay.stage, NOW if stay.at is None else stay.at) for stay in deal.stays]


def events_of(board: Board) -> list[Any]:
    return [sorted(board.events(each.id), key=lambda event: event.id) for each in DEALS]


def test_every_history_is_as_it_was_and_rules_hold_from_now_on(board: Board, clock: ManualClock):
    report = board.import_deals(DEALS)
    assert (report.deals, report.new, report.undated) == (6, 6, 1)
    assert report.stages == {"lead": 1, "offer": 3, "won": 1, "lost": 1}
    assert report.overdue == {("offer", "lead"): 1}
    for each in DEALS:
        assert stays_of(board, each.id) == told(each)
    assert not verify(board).differences
    board.tick()
    assert stays_of(board, "cold") == [*told(DEALS[1]), ("lead", NOW)]
    assert board.deal("fresh").due_at == NOW + 13 * DAY
    assert board.deal("somewhen").due_at == NOW + 14 * DAY
    assert board.deal("won").value == 99
    assert board.deal("lost").properties == {"loss_reason": "price"}
    clock.advance(days=13)
    board.tick()
    assert stays_of(board, "fresh")[-1] == ("lead", clock.now())
    assert not verify(board).differences


def test_what_is_overdue_may_have_a_grace(board: Board, clock: ManualClock):
    report = board.import_deals(DEALS, grace=7 * DAY)
    assert [(each.deal, each.due_at, each.moves_at) for each in report.overdue_deals] == [
        ("cold", NOW - 46 * DAY, NOW + 7 * DAY)
    ]
    board.tick()
    assert board.deal("cold").due_at == NOW + 7 * DAY
    assert board.deal("fresh").due_at == NOW + 13 * DAY


def test_a_dry_run_writes_nothing_and_says_the_same(board: Board):
    before = board.import_deals(DEALS, dry_run=True)
    assert [list(board.deals()), before.dry_run] == [[], True]
    after = board.import_deals(DEALS)
    assert dict(_told(before)) == dict(_told(after))


def _told(report: ImportReport) -> Iterator[tuple[str, Any]]:
    for name in ("at", "deals", "new", "events", "stages", "owners", "overdue", "first_at"):
        yield name, getattr(report, name)


def test_done_again_it_changes_nothing(board: Board, clock: ManualClock):
    board.import_deals(DEALS)
    before = events_of(board)
    clock.advance(hours=5)
    again = board.import_deals(DEALS)
    assert (again.events, again.unchanged) == (0, 6)
    assert events_of(board) == before


def test_a_newer_export_adds_what_is_new_and_leaves_what_happened_here(
    board: Board, clock: ManualClock
):
    board.import_deals(DEALS)
    clock.advance(days=2)
    board.move("back", "won", by="Ada")
    newer = [
        deal("fresh", ("lead", 9), ("offer", 1), ("won", -1), value="12", title="Roof"),
        deal("back", ("offer", 90), ("lead", 60), ("offer", 30), ("lead", 2), owner="Bruno"),
        deal("new", ("lead", -1)),
    ]
    report = board.import_deals(newer)
    assert (report.new, report.changed) == (1, 2)
    assert stays_of(board, "fresh") == told(newer[0])
    assert (board.deal("fresh").value, board.deal("fresh").title) == (12, "Roof")
    assert (board.deal("back").stage, board.deal("back").owner) == ("won", "Bruno")
    assert board.import_deals(newer).events == 0
    assert not verify(board).differences


def test_tasks_of_the_present_stage_are_due_as_they_were_or_from_now(url: str, clock: ManualClock):
    for start, due in ((False, NOW + DAY), (True, NOW + 2 * DAY)):
        with Board(ladder(), clock=clock) as board:
            board.import_deals(DEALS[:1], start_sequences=start)
            assert [(task.due_at, task.state.value) for task in board.effects()] == [(due, "open")]


def test_what_cannot_be_brought_over_is_grouped_and_stops_nothing(board: Board):
    told: list[tuple[str, str]] = []
    report = board.import_deals(
        [
            deal("gone", ("attic", 3)),
            deal("gone too", ("attic", 3)),
            deal("backwards", ("offer", 3), ("lead", 9)),
            deal("unreadable", ("lead", 3), value="plenty"),
            *DEALS,
            DEALS[0],
        ],
        on_refused=lambda where, why: told.append((where, why)),
    )
    assert (report.deals, len(told)) == (6, 5)
    assert [group.count for group in report.refused] == [2, 1, 1, 1]


def test_an_awaited_board_brings_them_over_as_well(clock: ManualClock, url: str):
    async def moved() -> None:
        async with await AsyncBoard.open(ladder(), url, clock=clock) as board:
            report = await board.import_deals(DEALS)
            assert report.new == 6
            assert (await board.deal("cold")).stage == "offer"

    asyncio.run(functools.partial(moved)())


def test_a_deal_that_says_only_where_it_is_moves_when_it_says_otherwise(
    board: Board, clock: ManualClock
):
    for stage in ("lead", "offer", "lead", "lead"):
        board.import_deals([deal("d", (stage, None))])
        clock.advance(days=1)
    assert stays_of(board, "d") == [
        ("lead", NOW),
        ("offer", NOW + DAY),
        ("lead", NOW + 2 * DAY),
    ]
