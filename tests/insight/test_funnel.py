"""The funnel: every deal in one part, backward moves counted once, skips and returns named."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings

from ladderpipe import insight
from ladderpipe.errors import DefinitionError
from ladderpipe.insight.reports.funnel import PARTS
from tests.insight.lives import START, Life, life, lives, tables_of

WAYS = list(
    itertools.product(("opened", "entries", "snapshot"), ("any", "strict"), ("first", "every"))
)
every_way = pytest.mark.parametrize(("definition", "order", "entry"), WAYS)


def figures(deals: list[Life], *columns: str, **asked: Any) -> dict[str, Any]:
    table = insight.funnel(tables_of(deals), **asked).table
    return {row[0]: row[1:] if len(columns) > 1 else row[1] for row in _rows(table, columns)}


def _rows(table: pl.DataFrame, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    return table.select("stage", *columns).rows()


@every_way
@settings(max_examples=25)
@given(deals=lives())
def test_the_parts_add_up_to_the_whole(
    definition: Any, order: Any, entry: Any, deals: list[Life]
) -> None:
    table = insight.funnel(tables_of(deals), definition=definition, order=order, entry=entry).table
    assert (
        table.select(pl.sum_horizontal(*PARTS))
        .to_series()
        .equals(table["entered"], check_names=False)
    )


@pytest.mark.parametrize("order", ["any", "strict"])
@pytest.mark.parametrize("definition", ["opened", "snapshot"])
@settings(max_examples=25)
@given(deals=lives())
def test_what_advances_out_of_a_step_enters_the_next(
    definition: Any, order: Any, deals: list[Life]
) -> None:
    table = insight.funnel(tables_of(deals), definition=definition, order=order).table
    assert table["advanced"].to_list()[:-1] == table["entered"].to_list()[1:]


@every_way
@settings(max_examples=25)
@given(deals=lives())
def test_a_backward_move_never_counts_a_deal_twice(
    definition: Any, order: Any, entry: Any, deals: list[Life]
) -> None:
    tables = tables_of(deals)
    table = insight.funnel(tables, definition=definition, order=order, entry=entry).table
    if entry == "first" or definition == "snapshot":
        assert (table["entered"] <= tables.deals.height).all()
    visits = tables.visits.filter("counts").group_by("stage").len()
    if definition == "entries" and entry == "every":
        counted = table.filter(pl.col("entered") > 0).select("stage", "entered")
        assert (
            counted.join(visits, on="stage").filter(pl.col("entered") != pl.col("len")).is_empty()
        )


BACK_AND_FORTH = life("a", (0, "new"), (10, "working"), (20, "new"), (30, "working"), (40, "offer"))


def test_who_came_back_is_said_and_entered_once() -> None:
    assert figures([BACK_AND_FORTH], "entered", "came_back") == {
        "new": (1, 1),
        "working": (1, 1),
        "offer": (1, 0),
        "won": (0, 0),
    }


@settings(max_examples=60)
@given(deals=lives())
def test_turned_back_is_who_stands_open_on_a_lower_step_than_it_came_to(deals: list[Life]) -> None:
    """By hand, of the definition that the page shows: opened, any order, once a deal."""
    steps = ["new", "working", "offer", "won"]
    back, there = dict.fromkeys(steps, 0), dict.fromkeys(steps, 0)
    for one in deals:
        came = [steps.index(stage) for _, stage in one.stays if stage in steps]
        stands = one.stays[-1][1]
        if came and stands in steps[:3]:
            (back if steps.index(stands) < max(came) else there)[steps[max(came)]] += 1
    found = figures(deals, "turned_back", "open")
    assert found == {step: (back[step], there[step]) for step in steps}


def test_who_bought_and_was_taken_up_again_has_turned_back_and_is_not_open_there() -> None:
    again = life("a", (0, "new"), (10, "won"), (20, "new"))
    found = figures([again], "entered", "turned_back", "open", "won")
    assert found["won"] == (1, 1, 0, 0)
    entries = figures([again], "turned_back", "open", "won", definition="entries")
    assert entries["won"] == (1, 0, 0)


def test_a_funnel_of_each_owner_and_who_has_none_last() -> None:
    ada = life("a", (0, "new"), (10, "working"), owner="Ada")
    bo = life("b", (0, "new"), owner="Bo")
    table = insight.funnel(tables_of([ada, bo, life("c", (0, "new"))]), by="owner").table
    assert table.filter(stage="working").select("owner", "entered").rows() == [
        ("Ada", 1), ("Bo", 0), (None, 0),
    ]  # fmt: skip


def test_with_every_entry_a_deal_that_turns_back_begins_a_new_climb() -> None:
    assert figures([BACK_AND_FORTH], "entered", "advanced", "turned_back", entry="every") == {
        "new": (2, 2, 0),
        "working": (2, 1, 1),
        "offer": (1, 0, 0),
        "won": (0, 0, 0),
    }


def test_a_skipped_step_counts_as_passed_in_any_order_and_stops_a_strict_one() -> None:
    leap = life("a", (0, "new"), (10, "offer"), (20, "won"))
    columns = ("entered", "skipped")
    assert figures([leap], *columns)["working"] == (1, 1)
    strict = figures([leap], *columns, order="strict")
    assert (strict["working"], strict["offer"]) == ((0, 1), (0, 0))


def test_a_strict_climb_goes_step_by_step_even_after_a_leap() -> None:
    after_all = life("a", (0, "new"), (10, "offer"), (20, "working"), (30, "offer"))
    assert figures([after_all], "entered", order="strict") == {
        "new": 1, "working": 1, "offer": 1, "won": 0,
    }  # fmt: skip


def test_a_snapshot_forgets_how_far_a_deal_had_been() -> None:
    fallen = life("a", (0, "new"), (10, "offer"), (20, "working"))
    assert figures([fallen], "entered", definition="snapshot")["offer"] == 0
    assert figures([fallen], "entered", definition="opened")["offer"] == 1


def test_a_lost_deal_stays_where_it_was_lost() -> None:
    lost = life("a", (0, "new"), (10, "working"), (20, "lost"))
    assert figures([lost], "entered", "lost")["working"] == (1, 1)
    assert figures([lost], "entered", "lost")["new"] == (1, 0)


def test_entries_are_followed_from_the_step_they_enter() -> None:
    deals = [
        life("a", (0, "working"), (20, "offer")),
        life("b", (0, "new"), (5, "working"), (30, "lost")),
    ]
    found = figures(deals, "entered", "advanced", "lost", definition="entries")
    assert found["working"] == (2, 1, 1)
    assert found["new"] == (1, 1, 0)


def test_an_entry_that_is_repeated_before_an_advance_has_turned_back() -> None:
    found = figures(
        [BACK_AND_FORTH], "entered", "advanced", "turned_back", definition="entries", entry="every"
    )
    assert found["working"] == (2, 1, 1)
    assert found["new"] == (2, 2, 0)


def test_the_period_chooses_the_deals_that_were_opened_in_it() -> None:
    deals = [life("a", (0, "new")), life("b", (24, "new")), life("c", (48, "new"))]
    period = (START + dt.timedelta(hours=24), START + dt.timedelta(hours=48))
    assert figures(deals, "entered", period=period)["new"] == 1


def test_the_last_step_leads_nowhere_and_has_no_conversion() -> None:
    won = life("a", (0, "new"), (10, "won"))
    assert figures([won], "conversion") == {"new": 1, "working": 1, "offer": 1, "won": None}


def test_deals_without_a_step_are_told_of() -> None:
    report = insight.funnel(tables_of([life("a", (0, "gone"))]))
    assert report.notes[0]["en"].startswith("1 of the period reached no step")


@pytest.mark.parametrize(
    "asked",
    [
        {"steps": ["new", "new"]},
        {"steps": ["nowhere"]},
        {"period": (START, START)},
        {"definition": "vague"},
        {"order": "none"},
        {"entry": "second"},
    ],
)
def test_what_makes_no_funnel_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match=r"(?s).+: "):
        insight.funnel(tables_of([BACK_AND_FORTH]), **asked)
