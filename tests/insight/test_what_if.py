"""A what-if says what the recorded events would have come to, and what it cannot know."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ladderpipe import (
    Board,
    Calendar,
    Event,
    ManualClock,
    MemoryStore,
    Pipeline,
    Stage,
    after,
    by_hand,
    do,
    insight,
    on,
    wait,
)
from ladderpipe.errors import ClockError, DefinitionError
from tests.ladders import sales_ladder

START = "2026-01-05T09:00:00Z"
HOUR = timedelta(hours=1)


def ladder(hours: float = 48, *, gone: str = "gone", manual: bool = True) -> Pipeline:
    """Return a ladder whose leads are gone after some hours, reminded of at once and a day on."""
    new, won = Stage("new"), Stage("won", status="won")
    reminders = [do("email", template="first"), wait(days=1), do("email", template="second")]
    away = Stage(gone, status="abandoned", sequence=reminders)
    rules = [
        on("lead.came", into=new, opens=True),
        on("order", into=won),
        after(hours=hours, out_of=new, into=away, key="forgotten"),
    ]
    if manual:
        rules.append(by_hand(into=away))
    return Pipeline("leads", stages=[new, away, won], rules=rules)


def told(pipeline: Pipeline, store: Any = None) -> tuple[Board, ManualClock]:
    """Return a board with one lead that orders after 30 hours, and one that never does."""
    clock = ManualClock(START)
    board = Board(pipeline, store=store, clock=clock)
    tell(board, clock, "buyer", "lead.came")
    tell(board, clock, "idler", "lead.came")
    clock.advance(hours=30)
    tell(board, clock, "buyer", "order")
    clock.advance(hours=42)
    return board, clock


def tell(board: Board, clock: ManualClock, deal: str, kind: str) -> None:
    board.handle(Event(kind, deal=deal, id=f"{deal} {kind}", at=clock.now()))


def row(frame: pl.DataFrame, **columns: Any) -> dict[str, Any]:
    (found,) = frame.filter(**columns).to_dicts()
    return found


def test_a_shorter_timer_moves_deals_that_came_back_in_time():
    board, _ = told(ladder())
    found = insight.what_if(board, ladder(24))
    buyer = row(found.deals, deal="buyer")
    assert (buyer["moves_before"], buyer["moves_after"]) == (2, 3)
    assert buyer["differs_at"] == board.deal("buyer").opened_at + 24 * HOUR
    timer = row(found.timers, rule="forgotten")
    assert (timer["moves_before"], timer["moves_after"], timer["moves_change"]) == (1, 2, 1)


def test_time_in_stage_is_told_by_deal_and_in_total():
    board, _ = told(ladder())
    found = insight.what_if(board, ladder(24))
    idle = row(found.times, deal="idler", stage="new")
    assert (idle["time_before"], idle["time_after"]) == (48 * HOUR, 24 * HOUR)
    total = row(found.stages, stage="new")
    assert (total["time_before"], total["time_after"]) == (78 * HOUR, 48 * HOUR)
    assert total["time_change"] == -30 * HOUR


def test_a_reminder_counts_as_sent_only_if_it_was_due_before_the_deal_left():
    board, _ = told(ladder())
    found = insight.what_if(board, ladder(24))
    at_once, next_day = found.reminders.to_dicts()
    assert (at_once["sent_before"], at_once["sent_after"]) == (1, 2)
    assert (next_day["asked_before"], next_day["asked_after"]) == (1, 2)
    assert (next_day["sent_before"], next_day["sent_after"]) == (1, 1)
    assert row(found.deals, deal="buyer")["reminders_after"] == 1


def test_a_reminder_that_waits_on_a_calendar_is_due_by_when_its_deal_came():
    """Gone on Tuesday at 9 after a day, on Wednesday at 9 after two."""
    shut = Calendar("shut", zone="UTC", hours={"mon-sun": "09:00-10:00"}, holidays=["2026-01-07"])

    def leads(hours: float) -> Pipeline:
        new = Stage("new")
        steps = [wait(hours=0.5), do("soon"), wait(minutes=45, calendar=shut), do("later")]
        away = Stage("gone", status="abandoned", sequence=steps)
        rules = [
            on("lead.came", into=new, opens=True),
            after(hours=hours, out_of=new, into=away, key="forgotten"),
        ]
        return Pipeline("leads", stages=[new, away], rules=rules)

    board = Board(leads(48), clock=(clock := ManualClock(START)))
    tell(board, clock, "idler", "lead.came")
    clock.set("2026-01-08T09:14:00Z")
    # After 24 hours: Tuesday 9:30, 30 minutes until closing; Wednesday is a holiday; 9:15 on
    # Thursday. After 48 hours: Wednesday 9:30; 9:45 on Thursday.
    early = insight.what_if(board, leads(24)).reminders
    later = {"stage": "gone", "effect": "later"}
    assert row(early, stage="gone", effect="soon")["sent_after"] == 1
    assert (row(early, **later)["sent_before"], row(early, **later)["sent_after"]) == (0, 0)
    clock.set("2026-01-08T09:15:00Z")
    found = row(insight.what_if(board, leads(24)).reminders, **later)
    assert (found["sent_before"], found["sent_after"]) == (0, 1)
    clock.set("2026-01-08T09:45:00Z")
    found = row(insight.what_if(board, leads(24)).reminders, **later)
    assert (found["sent_before"], found["sent_after"]) == (1, 1)


def test_a_new_stage_appears_with_nothing_before():
    board, _ = told(ladder())
    new, calm, won = Stage("new"), Stage("calm"), Stage("won", status="won")
    changed = Pipeline(
        "other",
        stages=[new, calm, won],
        rules=[
            on("lead.came", into=new, opens=True),
            on("order", into=won),
            after(hours=1, out_of=new, into=calm),
        ],
    )
    found = insight.what_if(board, changed)
    assert found.stages["stage"].to_list() == ["new", "calm", "won", "gone"]
    calmed = row(found.stages, stage="calm")
    assert (calmed["visits_before"], calmed["visits_after"], calmed["deals_after"]) == (0, 2, 1)
    assert row(found.stages, stage="gone")["visits_after"] == 0


def test_a_renamed_stage_is_no_difference():
    board, clock = told(ladder())
    tell(board, clock, "third", "lead.came")
    board.move("third", "gone", by="Ada")
    renamed = ladder(gone="away")
    assert insight.what_if(board, renamed, renamed={"gone": "away"}).different.is_empty()
    assert insight.what_if(board, renamed).different["deal"].to_list() == ["idler", "third"]


def test_a_renamed_stage_that_there_is_not_is_refused():
    board, _ = told(ladder())
    with pytest.raises(DefinitionError, match="the board's ladder has no stage 'lots'"):
        insight.what_if(board, ladder(), renamed={"lots": "gone"})
    with pytest.raises(DefinitionError, match="the changed ladder has no stage 'lots'"):
        insight.what_if(board, ladder(), renamed={"gone": "lots"})


def test_a_hand_that_is_no_longer_allowed_moves_nothing_and_is_counted():
    board, clock = told(ladder())
    tell(board, clock, "third", "lead.came")
    board.move("third", "gone", by="Ada")
    found = insight.what_if(board, ladder(manual=False))
    assert found.hands_refused == 1
    third = row(found.deals, deal="third")
    assert (third["stage_before"], third["stage_after"]) == ("gone", "new")
    assert (third["hands_before"], third["hands_after"]) == (1, 0)
    assert "1 move by hand is not allowed" in found.notes[1]["en"]


def test_an_outcome_may_be_another_one():
    board, _ = told(without_timer())
    found = insight.what_if(board, ladder())
    changed = row(found.outcomes, status_before="open")
    assert (changed["status_after"], changed["deals"]) == ("abandoned", 1)


def without_timer() -> Pipeline:
    new, won = Stage("new"), Stage("won", status="won")
    rules = [on("lead.came", into=new, opens=True), on("order", into=won)]
    return Pipeline("leads", stages=[new, won], rules=rules)


def test_what_nobody_can_know_is_always_said():
    board, _ = told(ladder())
    found = insight.what_if(board, ladder())
    (note,) = found.notes
    assert "how customers would have reacted" in note["en"]
    assert all(report.notes == found.notes for report in found.reports)


def test_hooks_are_not_run_but_counted():
    called: list[str] = []
    changed = ladder(24)

    @changed.move_into(changed.stage("gone"))
    def call(ctx: Any) -> None:
        called.append(ctx.deal.id)

    board, _ = told(ladder())
    found = insight.what_if(board, changed)
    hook = row(found.hooks, stage="gone", direction="into")
    assert (hook["calls_before"], hook["calls_after"]) == (0, 2)
    assert not called
    assert "not run" in found.notes[1]["en"]


def test_nothing_is_written():
    board, _ = told(ladder())
    before = [board.deal(deal) for deal in ("buyer", "idler")]
    insight.what_if(board, ladder(24))
    assert [board.deal(deal) for deal in ("buyer", "idler")] == before


def test_baselines_take_no_part():
    store = MemoryStore()
    _, clock = told(ladder(), store)
    changed = Board(ladder(24), store=store, clock=clock, adopting=True)
    changed.migrate()
    found = insight.what_if(changed, ladder(24))
    assert found.different.is_empty()
    assert found.with_baseline == 2
    assert row(found.deals, deal="buyer")["moves_before"] == 3


def test_deals_whose_past_is_gone_are_left_out_and_counted(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'leads.db'}"
    clock = ManualClock(START)
    with Board.open(ladder(), url, clock) as board:
        tell(board, clock, "buyer", "lead.came")
        tell(board, clock, "idler", "lead.came")
    with Board.open(ladder(24), url, clock, adopting=True) as board:
        board.migrate()
    with sqlite3.connect(tmp_path / "leads.db") as connection:
        connection.execute("DELETE FROM ladder_events WHERE id = 'idler lead.came'")
    connection.close()
    with Board.open(ladder(24), url, clock) as board:
        found = insight.what_if(board, ladder())
    assert found.excluded == ("idler",)
    assert found.deals["deal"].to_list() == ["buyer"]
    assert any("1 deal was left out" in note["en"] for note in found.notes)


def test_a_deal_that_the_changed_ladder_cannot_fold_is_named_and_the_others_go_on():
    def choosy(deal: Any, event: Any) -> bool:
        return bool({"buyer": True}[deal.id])

    new, won = Stage("new"), Stage("won", status="won")
    rules = [on("lead.came", into=new, opens=True, when=choosy), on("order", into=won)]
    board, _ = told(ladder())
    found = insight.what_if(board, Pipeline("leads", stages=[new, won], rules=rules))
    (problem,) = found.problems
    assert problem.place == "deal 'idler'"
    assert found.deals["deal"].to_list() == ["buyer"]


def test_an_instant_that_is_still_to_come_is_refused():
    board, clock = told(ladder())
    with pytest.raises(ClockError, match="lies after the board's clock"):
        insight.what_if(board, ladder(), as_of=clock.now() + HOUR)


def test_progress_is_told():
    board, _ = told(ladder())
    seen: list[tuple[int, int]] = []
    insight.what_if(board, ladder(), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 2)]


@pytest.mark.parametrize("language", ["en", "it"])
def test_every_report_is_readable_in_every_language(language: Any):
    board, _ = told(ladder())
    for report in insight.what_if(board, ladder(24)).reports:
        printed = report.printed(language)
        assert printed.height == report.table.height
        assert not set(printed.columns) & set(report.table.columns)
        chart = report.chart(language)
        assert (chart is not None) == (report.name == "what_if_stages")
        if chart is not None:
            assert chart.to_dict()["mark"]["type"] == "bar"


def test_the_chart_shows_only_stages_that_deals_should_leave():
    board, _ = told(ladder())
    (report,) = [r for r in insight.what_if(board, ladder(24)).reports if r.name.endswith("stages")]
    chart = report.chart()
    assert chart is not None
    (rows,) = chart.to_dict()["datasets"].values()
    assert {shown["stage"] for shown in rows} == {"new", "gone"}


def test_a_board_without_deals_has_no_difference():
    board = Board(sales_ladder(), clock=ManualClock(START))
    found = insight.what_if(board, sales_ladder())
    assert found.deals.is_empty()
    assert found.stages["visits_after"].sum() == 0
    assert [report.name for report in found.reports] == ["what_if_outcomes", "what_if_stages"]
