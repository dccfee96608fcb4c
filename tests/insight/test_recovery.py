"""Recovery: every abandonment has one outcome, and each return its last reminder."""

from __future__ import annotations

import datetime as dt
from typing import Any

import attrs
import pytest
from hypothesis import given, settings

from ladderpipe import Stage, do, insight, wait
from ladderpipe.errors import DefinitionError
from tests.insight.lives import LADDER, Life, life, lives, tables_of

REMINDERS = {"second": dt.timedelta(days=3), "first": dt.timedelta(hours=12)}
DEALS = [
    life("quick", (0, "new"), (48, "gone"), (50, "new")),
    life("reminded", (0, "new"), (48, "gone"), (48 + 12, "working"), (90, "won")),
    life("late", (0, "new"), (48, "gone"), (48 + 80, "won")),
    life("lost", (0, "new"), (48, "gone"), (60, "lost")),
    life("away", (0, "new"), (48, "gone")),
]


def outcomes(deals: list[Life], **asked: Any) -> list[tuple[Any, ...]]:
    table = insight.recovery(tables_of(deals), **asked).table
    return table.select("outcome", "reminder", "visits", "won_in_the_end").rows()


def test_a_return_is_put_down_to_the_last_reminder_that_was_due() -> None:
    assert outcomes(DEALS, reminders=REMINDERS) == [
        ("came_back", "none", 1, 0),
        ("came_back", "first", 1, 1),
        ("came_back", "second", 1, 1),
        ("away", None, 1, 0),
        ("lost", None, 1, 0),
    ]


@settings(max_examples=50)
@given(deals=lives())
def test_the_outcomes_add_up_to_the_abandonments(deals: list[Life]) -> None:
    tables = tables_of(deals)
    table = insight.recovery(tables, reminders=REMINDERS).table
    assert table["visits"].sum() == tables.visits.filter("counts", stage="gone").height
    assert table["share"].sum() == pytest.approx(1 if table.height else 0)


def test_the_reminders_are_those_of_the_stage_s_sequence() -> None:
    gone = Stage(
        "gone",
        status="abandoned",
        sequence=[do("email", template="reminder"), wait(days=3), do("task", title="Call")],
    )
    ladder = tuple(gone if stage == "gone" else stage for stage in LADDER)
    tables = attrs.evolve(tables_of(DEALS), stages=ladder)
    table = insight.recovery(tables).table
    assert table.select("reminder", "after_days", "visits").rows()[:2] == [
        ("reminder", 0.0, 2),
        ("Call", 3.0, 1),
    ]


def test_the_notes_say_how_many_and_how_soon() -> None:
    total, soon = insight.recovery(tables_of(DEALS), reminders=REMINDERS).notes
    assert total["en"] == "Abandonments that came back: 3 of 5 (60.0%)."
    assert total["it"] == "Abbandoni recuperati: 3 su 5 (60,0%)."
    assert soon["en"].startswith("Half are back after 3.3 days")


def test_a_deal_abandoned_twice_counts_twice() -> None:
    twice = life("a", (0, "gone"), (1, "new"), (2, "gone"), (3, "new"))
    assert outcomes([twice], reminders=REMINDERS) == [("came_back", "none", 2, 0)]


@pytest.mark.parametrize(
    "reminders",
    [
        {"one": dt.timedelta(days=1), "other": dt.timedelta(days=1)},
        {"early": dt.timedelta(days=-1)},
    ],
)
def test_reminders_that_cannot_be_told_apart_are_refused(reminders: Any) -> None:
    with pytest.raises(DefinitionError, match="cannot be told apart"):
        insight.recovery(tables_of(DEALS), reminders=reminders)


def test_a_return_within_seconds_is_not_told_in_no_days_at_all() -> None:
    soon = life("soon", (0, "new"), (1, "gone"), (1 + 30 / 3600, "new"))
    _, note = insight.recovery(tables_of([soon]), reminders=REMINDERS).notes
    assert note["en"].startswith("Half are back after 30 seconds ")
    assert note["it"].startswith("La metà è tornata dopo 30 secondi ")


def test_won_in_the_end_are_deals_here_as_they_are_among_the_timers() -> None:
    """Abandoned twice and won: two abandonments, one deal."""
    twice = attrs.evolve(
        life("a", (0, "new"), (48, "gone"), (49, "new"), (97, "gone"), (98, "won")),
        timers=frozenset([1, 3]),
    )
    once = attrs.evolve(life("b", (0, "new"), (48, "gone"), (49, "won")), timers=frozenset([1]))
    tables = tables_of([twice, once])
    (row,) = insight.recovery(tables).table.to_dicts()
    (timer,) = insight.timers(tables).table.to_dicts()
    assert (row["visits"], row["won_in_the_end"], row["won_deals"]) == (3, 3, 2)
    assert timer["won_in_the_end"] == 2
    recovered, fired = insight.recovery(tables), insight.timers(tables)
    assert recovered.columns["won_deals"] == fired.columns["won_in_the_end"]
    assert recovered.columns["won_in_the_end"] != fired.columns["won_in_the_end"]
