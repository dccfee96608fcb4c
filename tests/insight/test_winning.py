"""Win rate, loss reasons, velocity: who is counted as decided, and when."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import insight
from ladderpipe.errors import DefinitionError
from ladderpipe.insight.reports.intervals import wilson
from tests.insight.lives import START, Life, life, lives, tables_of

WON = life("won", (0, "new"), (48, "won"), value=Decimal(600), currency="EUR", owner="Ada")
LOST = life(
    "lost", (0, "new"), (24, "working"), (72, "lost"),
    value=Decimal(90), currency="EUR", loss_reason="price",
)  # fmt: skip
OPEN = life("open", (0, "new"), value=Decimal(400), currency="EUR")
GONE = life("gone", (0, "new"), (10, "gone"), value=Decimal(50), currency="EUR")
ALL = [WON, LOST, OPEN, GONE]


def only(report: Any) -> dict[str, Any]:
    (row,) = report.table.rows(named=True)
    return dict(row)


def test_the_win_rate_is_won_among_won_and_lost() -> None:
    found = only(insight.win_rate(tables_of(ALL)))
    assert (found["won"], found["lost"], found["win_rate"]) == (1, 1, 0.5)


def test_reopening_takes_a_deal_out_of_won() -> None:
    again = life("won", (0, "new"), (48, "won"), (60, "working"))
    assert only(insight.win_rate(tables_of([again, LOST])))["won"] == 0
    assert only(insight.win_rate(tables_of([again, LOST], hours=50)))["won"] == 1


@settings(max_examples=40)
@given(deals=lives())
def test_won_are_exactly_the_deals_that_stand_in_a_won_stage(deals: list[Life]) -> None:
    tables = tables_of(deals)
    won = sum(one.stays[-1][1] == "won" for one in deals)
    table = insight.win_rate(tables).table
    assert table["won"].sum() == won
    assert insight.win_rate(tables, by="owner").table["won"].sum() == won
    assert insight.win_rate(tables, by="month").table["closed"].sum() == table["closed"].sum()
    assert insight.win_rate(tables, by="value_band").table["won"].sum() == won


def test_abandoned_deals_count_as_lost_only_when_asked() -> None:
    found = only(insight.win_rate(tables_of(ALL), abandoned_as_lost=True))
    assert (found["won"], found["lost"]) == (1, 2)


def test_the_months_are_those_of_the_time_zone() -> None:
    late = life("late", (0, "new"), (26 * 24 + 14.5, "won"))  # 31 January 23:30 UTC
    utc = insight.win_rate(tables_of([late]), by="month")
    rome = insight.win_rate(tables_of([late]), by="month", zone="Europe/Rome")
    assert utc.table["month"].to_list() == [dt.date(2026, 1, 1)]
    assert rome.table["month"].to_list() == [dt.date(2026, 2, 1)]


def test_a_value_band_begins_at_its_limit() -> None:
    deals = [
        life(f"d{value}", (0, "won"), value=Decimal(value), currency="EUR")
        for value in ("99.99", "100", "999.99", "1000")
    ]
    table = insight.win_rate(tables_of(deals), by="value_band", bands=[100, 1000]).table
    assert table.select("value_band", "won").rows() == [
        ("< 100", 1), ("100 – 1,000", 2), ("≥ 1,000", 1),
    ]  # fmt: skip


def test_the_period_is_that_of_the_decision() -> None:
    period = (START + dt.timedelta(hours=48), START + dt.timedelta(hours=72))
    found = only(insight.win_rate(tables_of(ALL), period=period))
    assert (found["won"], found["lost"]) == (1, 0)


def test_wilson_s_interval_is_the_one_of_the_textbook() -> None:
    # Agresti and Coull (1998): 0 successes of 10, 95 %: up to 0.278.
    table = pl.DataFrame({"won": [0, 10, 5], "closed": [10, 10, 10]})
    ends = table.select(wilson("won", "closed"))
    assert ends["lower"].to_list() == pytest.approx([0, 0.7225, 0.2366], abs=1e-4)
    assert ends["upper"].to_list() == pytest.approx([0.2775, 1, 0.7634], abs=1e-4)


@given(won=st.integers(0, 50), lost=st.integers(0, 50))
def test_wilson_s_interval_holds_the_share(won: int, lost: int) -> None:
    ends = pl.DataFrame({"won": [won], "closed": [won + lost]}).select(wilson("won", "closed"))
    if won + lost:
        (lower, upper) = ends.row(0)
        assert 0 <= lower <= won / (won + lost) + 1e-12
        assert won / (won + lost) - 1e-12 <= upper <= 1
    else:
        assert ends.row(0) == (None, None)


def test_loss_reasons_are_of_the_deals_that_are_lost_now() -> None:
    silent = life("silent", (0, "new"), (5, "lost"), currency="EUR")
    back = life("back", (0, "new"), (5, "lost"), (9, "new"), loss_reason="budget")
    report = insight.loss_reasons(tables_of([LOST, silent, back]), by="lost_from")
    assert report.table.select("lost_from", "loss_reason", "deals", "share").rows() == [
        ("new", None, 1, 1.0),
        ("working", "price", 1, 1.0),
    ]
    assert report.notes[0]["en"] == "1 lost deal says no reason."


def test_velocity_is_its_four_factors() -> None:
    found = only(insight.velocity(tables_of(ALL)))
    # Opened at 0 of 60 days; closed after 2 and 3 days, abandoned after 10 hours, or still open.
    lived = (2 + 3 + 10 / 24 + 60) / 4
    assert found == {
        "currency": "EUR",
        "deals": 1,
        "win_rate": 0.25,
        "average_value": Decimal(600),
        "cycle_days": 2.0,
        "open_days": pytest.approx(lived),
        "velocity": pytest.approx(Decimal(0.25 * 600 / lived)),
        "won_per_day": Decimal(600) / 60,
        "won": 1,
        "days": 60.0,
    }


def test_velocity_by_closed_deals_is_that_of_the_textbooks() -> None:
    found = only(insight.velocity(tables_of(ALL), win_rate="closed", cycle_length="won"))
    assert (found["win_rate"], found["cycle_days"], found["velocity"]) == (0.5, 2.0, Decimal(150))


def test_where_nothing_is_ever_lost_velocity_is_near_what_was_really_won() -> None:
    """Ninety leads lie open for ever; ten were won within ten days of 59: 10,000 in 59 days."""
    lying = [life(f"o{n}", (0, "new"), value=Decimal(1000), currency="EUR") for n in range(90)]
    won = [
        life(f"w{n}", (0, "new"), (240, "won"), value=Decimal(1000), currency="EUR")
        for n in range(10)
    ]
    found = only(insight.velocity(tables_of(lying + won, hours=59 * 24)))
    assert found["won_per_day"] == pytest.approx(Decimal(10_000) / 59)
    # 10 wins in 90 × 59 + 10 × 10 days of being open; 90 are open, worth 1,000 each.
    assert float(found["velocity"]) == pytest.approx(90 * 1000 * 10 / (90 * 59 + 10 * 10))


@settings(max_examples=30)
@given(deals=lives())
def test_what_was_won_a_day_is_the_money_won_over_the_days_since_the_first_opening(
    deals: list[Life],
) -> None:
    tables = tables_of(deals)
    for row in insight.velocity(tables).table.to_dicts():
        mine = [deal for deal in tables.deals.to_dicts() if deal["currency"] == row["currency"]]
        won = [deal["value"] for deal in mine if deal["status"] == "won"]
        known = [value for value in won if value is not None]
        days = (tables.as_of - min(deal["opened_at"] for deal in mine)) / dt.timedelta(days=1)
        assert row["won"] == len(won)
        if won and not known:
            assert row["won_per_day"] is None
        else:
            assert float(row["won_per_day"]) == pytest.approx(float(sum(known)) / days, abs=1e-6)


def test_the_days_of_a_period_are_its_own_up_to_the_report() -> None:
    asked = {"period": (START, START + dt.timedelta(days=20))}
    assert only(insight.velocity(tables_of(ALL), **asked))["won_per_day"] == 30
    young = tables_of(ALL, hours=24 * 10)
    assert only(insight.velocity(young, **asked))["days"] == 10


def test_velocity_by_owner_is_that_of_the_deals_of_each() -> None:
    bo = life("bo", (0, "new"), value=Decimal(9), currency="EUR", owner="Bo")
    ada = life("ada", (24, "new"), value=Decimal(7), currency="EUR", owner="Ada")
    report = insight.velocity(tables_of([WON, bo, ada]), by="owner")
    assert report.table.select("owner", "deals", "win_rate", "won", "days").rows() == [
        ("Ada", 1, 0.5, 1, 60.0),
        ("Bo", 1, 0.0, 0, 60.0),
    ]
    assert report.table["won_per_day"].to_list() == [Decimal(10), Decimal(0)]


def test_open_deals_without_a_value_are_multiplied_and_the_note_says_so() -> None:
    unknown = life("unknown", (0, "new"), currency="EUR")
    report = insight.velocity(tables_of([*ALL, unknown]))
    assert only(report)["deals"] == 2
    assert report.notes[0]["en"] == (
        "1 open deal has no value; it is taken to be worth the average."
    )


def test_a_win_rate_says_when_hardly_anything_was_ever_lost() -> None:
    won = [life(f"w{n}", (0, "new"), (24, "won")) for n in range(21)]
    note = insight.win_rate(tables_of([*won, OPEN])).notes[0]["en"]
    assert note.startswith("Hardly any deal was ever marked as lost (0 of 21 decided)")
    assert note.endswith("Of all 22 deals opened, 21 (95.5%) are won.")
    assert "Hardly" not in insight.win_rate(tables_of(won)).notes[0]["en"], "all are decided"
    two_lost = [life(f"l{n}", (0, "new"), (24, "lost")) for n in range(2)]
    assert "Hardly" not in insight.win_rate(tables_of([*won, *two_lost, OPEN])).notes[0]["en"]


def test_every_factor_of_velocity_may_be_given() -> None:
    report = insight.velocity(
        tables_of(ALL), deals=30, win_rate=0.25, average_value=Decimal("1000.10"),
        cycle_length=dt.timedelta(days=10),
    )  # fmt: skip
    assert only(report)["velocity"] == Decimal("750.075")


@pytest.mark.parametrize(
    ("asked", "column", "expected"),
    [
        ({"deals": "opened"}, "deals", 4),
        ({"deals": "closed"}, "deals", 2),
        ({"win_rate": "closed"}, "win_rate", 0.5),
        ({"average_value": "open"}, "average_value", Decimal(400)),
        ({"average_value": "all"}, "average_value", Decimal(285)),
        ({"cycle_length": "won"}, "cycle_days", 2.0),
        ({"cycle_length": "closed"}, "cycle_days", 2.5),
        ({"cycle_length": "won_median"}, "cycle_days", 2.0),
    ],
)
def test_a_factor_is_what_its_definition_says(
    asked: dict[str, Any], column: str, expected: Any
) -> None:
    assert only(insight.velocity(tables_of(ALL), **asked))[column] == expected


def test_without_anything_won_there_is_no_velocity_and_a_note_says_so() -> None:
    report = insight.velocity(tables_of([LOST, OPEN]))
    assert only(report)["velocity"] is None
    assert report.chart() is None
    assert "No velocity for EUR" in report.notes[-1]["en"]


@pytest.mark.parametrize(
    "asked",
    [{"deals": "all"}, {"deals": -1}, {"win_rate": 1.5}, {"cycle_length": dt.timedelta(-1)}],
)
def test_a_factor_that_is_no_definition_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="is no definition of this factor"):
        insight.velocity(tables_of(ALL), **asked)


@pytest.mark.parametrize(
    "asked", [{"bands": [10, 5], "by": "value_band"}, {"zone": "Mars", "by": "month"}]
)
def test_groups_that_make_no_sense_are_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match=r"(?s).+: "):
        insight.win_rate(tables_of(ALL), **asked)
