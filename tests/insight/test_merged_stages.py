"""Stages that ``migrate`` made one: nothing that only went forward comes back in a report."""

from __future__ import annotations

import datetime as dt
from itertools import groupby, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import ANY, MemoryStore, Pipeline, SqliteStore, Stage, insight, on
from ladderpipe.insight import Tables
from tests.shops import HOUR, Shop

from .boards import rows

OLD = ("new", "called", "contacting", "offer", "won")
MERGED = {"called": "contacting"}


def ladder(*names: str, again: str | None = None) -> Pipeline:
    """Return a ladder on which ``to.x`` leads into ``x``; ``to.<again>`` also out of itself."""
    stages = [Stage(name, status="won" if name == "won" else "open") for name in names]
    rules = [
        on(f"to.{s}", into=s, out_of=ANY, opens=True, reenter=s == again) for s in stages
    ]  # fmt: skip
    return Pipeline("merging", stages=stages, rules=rules)


def merged(path: list[str], store: Any = None, again: str | None = None) -> Shop:
    """Return a shop whose deal went this way, an hour in each stage, before two became one.

    A stage with a star is entered by an override.
    """
    shop = Shop(ladder(*OLD, again=again), store or MemoryStore())
    for stage in path:
        if stage.endswith("*"):
            shop.board.override("d", stage.rstrip("*"), by="Ada")
        else:
            shop.tell(f"to.{stage}")
        shop.wait(1)
    fewer = ladder(*(name for name in OLD if name not in MERGED), again=again)
    found = Shop(fewer, shop.store, start=shop.clock.now().isoformat(), adopting=True)
    found.board.migrate({"called": fewer.stage("contacting")})
    return found


def stays(tables: Tables) -> list[tuple[str, dt.timedelta]]:
    end = tables.as_of
    return [
        (row["stage"], (row["left_at"] or end) - row["entered_at"])
        for row in tables.visits.to_dicts()
    ]


@pytest.mark.parametrize("make", [MemoryStore, lambda: SqliteStore(":memory:")])
def test_a_deal_that_only_went_forward_never_came_back(make: Any) -> None:
    shop = merged(["new", "called", "contacting", "won"], make())
    tables = insight.tables(shop.board)
    assert stays(tables)[:2] == [("new", HOUR), ("contacting", 2 * HOUR)]
    for definition in ("opened", "entries"):
        for entry in ("first", "every"):
            table = insight.funnel(tables, definition=definition, entry=entry).table  # type: ignore[arg-type]
            assert (table["turned_back"].sum(), table["came_back"].sum()) == (0, 0)
            assert table["entered"].to_list()[:2] == [1, 1]
    (held,) = rows(insight.bottlenecks(tables).table, stage="contacting")
    assert (held["visits"], held["deal_days"]) == (1, 2 / 24)
    (time,) = rows(insight.time_in_stage(tables).table, stage="contacting")
    assert time["median_days"] == 2 / 24
    moved = {(row["out_of"], row["into"]) for row in tables.moves.to_dicts()}
    assert moved == {(None, "new"), ("new", "contacting"), ("contacting", "won")}
    cut = insight.tables(shop.board, as_of=tables.as_of - HOUR)
    assert stays(cut) == [("new", HOUR), ("contacting", 2 * HOUR), ("won", 0 * HOUR)]


def test_the_old_name_stays_readable_in_the_history() -> None:
    history = merged(["new", "called", "contacting"]).board.history("d")
    assert [move.rule for move in history.moves] == [
        "on to.new into new",
        "on to.called into called",
        "on to.contacting into contacting",
    ]


@settings(max_examples=60, deadline=None)
@given(
    path=st.lists(st.sampled_from([*OLD, *(f"{name}*" for name in OLD)]), min_size=1, max_size=7)
)
def test_every_instant_is_in_the_stage_that_the_old_one_became(path: list[str]) -> None:
    """And two stays next to each other are one, however the deal came from one to the other."""
    went = [path[0].rstrip("*"), *path[1:]]
    shop = merged(went)
    tables = insight.tables(shop.board)
    names = [name for place, name in enumerate(went) if is_move(went, place)]
    expected = [
        (stage, len(list(hours)) * HOUR)
        for stage, hours in groupby(
            (MERGED.get(name, name) for name in hour_by_hour(went)),
        )
    ]
    # Taken by hand out of a stage that is there still, and put into it again, it has two stays.
    again = sum(
        one == other and one not in MERGED
        for one, other in pairwise(name.rstrip("*") for name in names)
    )
    assert len(stays(tables)) == len(expected) + again
    if not again:
        assert stays(tables) == expected
    assert insight.visits(shop.board).equals(tables.visits)
    assert (
        insight.deals(shop.board).drop("last_event_at").equals(tables.deals.drop("last_event_at"))
    )


def is_move(path: list[str], place: int) -> bool:
    """Return whether a step moved the deal: an event leads into no stage that it is in."""
    if place == 0 or path[place].endswith("*"):
        return True
    return path[place] != hour_by_hour(path)[place - 1]


def hour_by_hour(path: list[str]) -> list[str]:
    return [name.rstrip("*") for name in path]


def test_a_stage_that_is_re_entered_by_its_rule_is_two_stays_as_before() -> None:
    shop = merged(["new", "contacting", "contacting", "won"], again="contacting")
    assert [stage for stage, _ in stays(insight.tables(shop.board))] == [
        "new", "contacting", "contacting", "won",
    ]  # fmt: skip


def test_what_happens_after_the_merging_is_told_as_it_is() -> None:
    shop = merged(["new", "called"])
    shop.wait(1)
    shop.board.override("d", "contacting", by="Ada")
    assert [stage for stage, _ in stays(insight.tables(shop.board))] == [
        "new", "contacting", "contacting",
    ]  # fmt: skip
