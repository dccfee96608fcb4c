"""What a what-if says is the fold of the same events over the other ladder."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import Board, Event, History, Pipeline, insight
from ladderpipe.insight.scenarios.what_if import WhatIf
from tests.ladders import ladders

from .boards import DEALS, Story, stories

EXAMPLES = settings().max_examples // 3


def told(board: Board, as_of: Any) -> dict[str, list[Event]]:
    return {deal: [e for e in board.events(deal) if e.at <= as_of] for deal in DEALS}


def folded(pipeline: Pipeline, board: Board, found: WhatIf) -> dict[str, History]:
    histories = {
        deal: pipeline.fold(events, found.as_of)
        for deal, events in told(board, found.as_of).items()
    }
    return {deal: history for deal, history in histories.items() if history is not None}


def side(table: pl.DataFrame, name: str, *columns: str) -> list[tuple[Any, ...]]:
    kept = table.filter(pl.col(f"{columns[0]}_{name}").is_not_null())
    return kept.select("deal", *(f"{column}_{name}" for column in columns)).rows()


def rows_of(histories: dict[str, History]) -> list[tuple[Any, ...]]:
    return [
        (deal, history.deal.stage.key, history.deal.status, len(history.moves))
        for deal, history in sorted(histories.items())
    ]


@given(stories())
@settings(max_examples=EXAMPLES)
def test_the_same_ladder_makes_no_difference(story: Story) -> None:
    board = story.told()
    found = insight.what_if(board, story.pipeline)
    assert found.different.is_empty()
    assert found.hands_refused == 0
    for table in (found.stages, found.rules, found.reminders, found.hooks):
        for column in table.columns:
            if column.endswith("_before"):
                after = table[f"{column.removesuffix('_before')}_after"]
                assert table[column].to_list() == after.to_list()


@given(st.data())
@settings(max_examples=EXAMPLES)
def test_both_sides_are_the_fold_deal_by_deal(data: st.DataObject) -> None:
    story: Story = data.draw(stories())
    changed = data.draw(ladders())
    board = story.told()
    found = insight.what_if(board, changed, as_of=data.draw(story.instants(board)))
    before, after = folded(story.pipeline, board, found), folded(changed, board, found)
    assert not found.problems
    wanted = ("stage", "status", "moves")
    assert side(found.deals, "before", *wanted) == rows_of(before)
    assert side(found.deals, "after", *wanted) == rows_of(after)


@given(st.data())
@settings(max_examples=EXAMPLES)
def test_a_deal_differs_from_the_first_instant_at_which_its_stage_does(
    data: st.DataObject,
) -> None:
    story: Story = data.draw(stories())
    changed = data.draw(ladders())
    board = story.told()
    found = insight.what_if(board, changed)
    before, after = folded(story.pipeline, board, found), folded(changed, board, found)
    for deal, differs_at in found.deals.select("deal", "differs_at").iter_rows():
        passages = [
            [(move.into.key, move.at) for move in sides[deal].moves] if deal in sides else []
            for sides in (before, after)
        ]
        assert (differs_at is None) == (passages[0] == passages[1])
        if differs_at is not None:
            same = [[p for p in side if p[1] < differs_at] for side in passages]
            until = [[p for p in side if p[1] <= differs_at] for side in passages]
            assert same[0] == same[1]
            assert until[0] != until[1]


@given(st.data())
@settings(max_examples=EXAMPLES)
def test_totals_are_the_sums_of_the_deals(data: st.DataObject) -> None:
    story: Story = data.draw(stories())
    found = insight.what_if(story.told(), data.draw(ladders()))
    for name in ("visits_before", "visits_after", "time_before", "time_after"):
        by_stage = found.times.group_by("stage").agg(pl.col(name).sum())
        totals = dict(found.stages.select("stage", name).iter_rows())
        assert {stage: total for stage, total in by_stage.iter_rows() if total} == {
            stage: total for stage, total in totals.items() if total
        }
    for name in ("before", "after"):
        moves = found.deals[f"moves_{name}"].sum()
        assert found.rules[f"moves_{name}"].sum() == moves
        assert found.stages[f"visits_{name}"].sum() == moves
        assert found.reminders[f"sent_{name}"].sum() == found.deals[f"reminders_{name}"].sum()
    assert found.outcomes["deals"].sum() == found.deals.height
