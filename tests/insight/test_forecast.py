"""What holds for every forecast, and what one made from the ladder's own history knows."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, get_args

import attrs
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ladderpipe import insight
from ladderpipe.errors import DefinitionError
from ladderpipe.insight.forecasting.competing_risks import aalen_johansen, incidence_at
from ladderpipe.insight.forecasting.features import outcome, snapshot
from ladderpipe.insight.forecasting.history import from_history
from ladderpipe.insight.forecasting.methods import Method
from ladderpipe.insight.frames.snapshot import DAY
from tests.insight.hazards import World
from tests.insight.lives import LADDER, Life, after, life, lives, tables_of

METHODS: tuple[Method, ...] = get_args(Method)
HORIZONS = (5, 10, 20)
ENDS = ("lower_80", "upper_80", "lower_95", "upper_95")

every_method = pytest.mark.parametrize("method", METHODS)


def forecast(tables: insight.Tables, method: Method = "history", **options: Any) -> Any:
    asked = {"horizons": HORIZONS, "minimum": 1, "draws": 40, "lookback": 3} | options
    return insight.forecast(tables, method=method, **asked)


@every_method
@settings(max_examples=6)
@given(deals=lives())
def test_probabilities_are_shares_of_one_and_grow_with_the_horizon(
    method: Method, deals: list[Life]
) -> None:
    each = forecast(tables_of(deals), method).deals
    told = each.filter(pl.col("won").is_not_null())
    assert told["won"].is_between(0, 1).all()
    parts = told.filter(pl.col("lost").is_not_null())
    whole = parts.select(pl.sum_horizontal("won", "lost", "undecided")).to_series()
    assert whole.to_list() == pytest.approx([1.0] * parts.height)
    if method not in ("naive_bayes", "base_rate"):  # they learn each horizon by itself
        for name in ("won", "lost"):
            steps = each.select(pl.col(name).diff().over("deal")).drop_nulls().to_series()
            assert (steps >= -1e-12).all()


@every_method
@settings(max_examples=6)
@given(deals=lives())
def test_no_more_is_expected_than_the_deals_are_worth(method: Method, deals: list[Life]) -> None:
    tables = tables_of(deals)
    found = forecast(tables, method)
    standing = tables.deals.filter(~pl.col("status").is_in(["won", "lost"]))
    assert found.deals["deal"].unique().sort().to_list() == standing["deal"].to_list()
    for row in found.table.iter_rows(named=True):
        held = standing.filter(pl.col("currency").eq_missing(pl.lit(row["currency"])))
        assert row["deals"] == held.height
        assert row["value"] <= held["value"].sum()
        ends = [row[name] for name in ("expected", *ENDS) if row[name] is not None]
        assert all(0 <= end <= row["value"] + Decimal("0.000001") for end in ends)


@every_method
@settings(max_examples=6)
@given(deals=lives(), order=st.randoms(use_true_random=False))
def test_the_order_of_the_deals_changes_nothing(
    method: Method, deals: list[Life], order: Any
) -> None:
    shuffled = list(deals)
    order.shuffle(shuffled)
    one, other = forecast(tables_of(deals), method), forecast(tables_of(shuffled), method)
    assert_frame_equal(one.table, other.table)
    assert_frame_equal(one.deals, other.deals)


@every_method
@settings(max_examples=6)
@given(deals=lives(), others=lives())
def test_nothing_that_came_later_is_in_a_forecast(
    method: Method, deals: list[Life], others: list[Life]
) -> None:
    then = 24 * 25
    earlier = [
        attrs.evolve(
            one,
            stays=tuple(stay for stay in one.stays if stay[0] <= then),
            changes=tuple(change for change in one.changes if change[0] <= then),
        )
        for one in deals
    ]
    elsewise = [
        attrs.evolve(other, deal=f"new-{other.deal}", stays=stays, changes=other.changes)
        for other in others
        if (stays := tuple((at + then + 1, stage) for at, stage in other.stays))
    ]
    known = [one for one in earlier if one.stays]
    told = forecast(tables_of(deals), method, as_of=after(then))
    assert_frame_equal(told.table, forecast(tables_of(known, hours=then), method).table)
    other = forecast(tables_of([*known, *elsewise]), method, as_of=after(then))
    assert_frame_equal(told.deals, other.deals)
    assert_frame_equal(told.table, other.table)


@pytest.mark.parametrize("language", ["en", "it"])
@every_method
def test_a_forecast_says_in_words_what_its_columns_mean(method: Method, language: str) -> None:
    found = forecast(World(days=200).lived(1), method, include_new=True)
    assert list(found.columns) == found.table.columns
    assert all(words[language].strip() for words in found.columns.values())
    assert found.definitions[language]
    drawn = found.chart(language).to_dict()
    assert drawn["config"]["background"] == "transparent"


# -- from the ladder's own history --------------------------------------------------------------


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000))
def test_with_one_stage_it_is_the_incidence_given_the_age(seed: int) -> None:
    tables = World(deals=60, days=120).lived(seed)
    found = forecast(tables, minimum=1, horizons=(10, 30), draws=1)
    seen = snapshot(tables).visits.with_columns(group=pl.lit(0))
    curves = aalen_johansen(seen, "group")

    def read(ages: pl.Series) -> pl.DataFrame:
        asked = pl.DataFrame({"lasted": ages}).with_row_index("row").with_columns(group=pl.lit(0))
        return incidence_at(curves, "group", asked).sort("row")

    older = seen["watched"].max() - 30 * DAY
    deals = found.deals.with_columns(age=(pl.col("age_days") * DAY).round().cast(pl.Int64))
    # Beyond that age nobody has been watched long enough; a value band is drawn in besides.
    deals = deals.filter(pl.col("age") <= older, pl.col("won").is_not_null())
    now, then = read(deals["age"]), read(deals["age"] + deals["horizon_days"] * DAY)
    by_hand = (then["won"] - now["won"]) / now["undecided"]
    blended = _unbanded(tables, (10, 30)).join(deals, on=["deal", "horizon_days"], how="right")
    kept = ~blended["older"]
    assert kept.any()
    assert blended["won"].filter(kept).to_list() == pytest.approx(
        by_hand.filter(kept).to_list(), abs=1e-9
    )


def _unbanded(tables: insight.Tables, horizons: tuple[int, ...]) -> pl.DataFrame:
    """Return the history's estimates without their value bands."""
    seen = snapshot(tables)
    bare = attrs.evolve(
        seen,
        visits=seen.visits.with_columns(band=pl.lit(None, pl.Int64)),
        deals=seen.deals.with_columns(band=pl.lit(None, pl.Int64)),
    )
    told = from_history(bare, horizons, by=(), minimum=1)
    return told.rename({"horizon": "horizon_days"}).drop("lost", "variance")


def test_a_deal_that_was_taken_up_again_is_open_again() -> None:
    again = life(
        "again", (0, "offer"), (24, "won"), (48, "offer"), value=Decimal(10), currency="EUR"
    )
    found = forecast(tables_of([again], hours=72))
    assert found.deals["deal"].unique().to_list() == ["again"]
    seen = snapshot(tables_of([again], hours=72))
    assert seen.decided == (0, 0)
    assert seen.visits["cause"].to_list() == [None, None]


def test_a_win_that_was_undone_by_then_is_no_win() -> None:
    again = life(
        "again", (0, "offer"), (24, "won"), (72, "offer"), value=Decimal(10), currency="EUR"
    )
    tables = tables_of([again], hours=24 * 10)
    seen = snapshot(tables.at(after(12)))
    for horizon, won in ((1, True), (3, False)):
        came = outcome(tables, seen, horizon)
        assert came is not None
        assert came.deals["won"].to_list() == [won]


def test_an_abandoned_deal_may_still_be_won() -> None:
    came_back = [
        life(f"back-{n}", (0, "new"), (24, "gone"), (72, "won"), value=Decimal(5), currency="EUR")
        for n in range(20)
    ]
    away = life("away", (24 * 30, "new"), (24 * 31, "gone"), value=Decimal(5), currency="EUR")
    found = forecast(tables_of([*came_back, away], hours=24 * 32), horizons=(10,), minimum=5)
    assert found.deals.select("status", "won").rows() == [("abandoned", 1.0)]
    assert found.table["expected"].to_list() == [Decimal(5)]


def test_what_a_later_stage_brings_counts_for_the_visits_before_it() -> None:
    """Half of the new deals are worked on and then all of those won, later than the others lost."""
    through = [
        life(f"up-{n}", (0, "new"), (24, "working"), (24 * 9, "won"), value=1, currency="EUR")
        for n in range(15)
    ]
    down = [life(f"down-{n}", (0, "new"), (48, "lost"), value=1, currency="EUR") for n in range(15)]
    fresh = life("fresh", (24 * 30, "new"), value=1, currency="EUR")
    late = life("late", (24 * 24, "working"), value=1, currency="EUR")
    tables = tables_of([*through, *down, fresh, late], hours=24 * 30)
    won = dict(forecast(tables, horizons=(10,), minimum=10).deals.select("deal", "won").rows())
    assert won == {"fresh": pytest.approx(0.5), "late": pytest.approx(1.0)}


def test_with_too_little_history_nothing_is_said_and_a_note_says_so() -> None:
    world = World(deals=30, days=60)
    found = forecast(world.lived(3), minimum=200)
    assert found.deals["won"].null_count() == found.deals.height
    assert found.table["expected"].to_list() == [None] * 3
    assert found.table["lower_80"].to_list() == [None] * 3
    assert any("too little history" in note["en"] for note in found.notes)


def test_deals_without_a_value_are_still_expected_to_be_won() -> None:
    tables = World(deals=200, days=200).lived(3)
    priceless = pl.lit(None, dtype=tables.changes.schema["value"])
    unvalued = attrs.evolve(tables, changes=tables.changes.with_columns(value=priceless))
    found = forecast(unvalued.at(tables.as_of - dt.timedelta(seconds=1)), horizons=(30,))
    (row,) = found.table.to_dicts()
    assert row["wins"] == pytest.approx(found.deals["won"].sum())
    assert (row["forecast_of"], row["expected"]) == (0, None)
    assert any("have no value" in note["en"] for note in found.notes)


def test_a_horizon_longer_than_the_past_is_refused_and_a_shorter_one_is_not() -> None:
    found = forecast(World(deals=200, days=80).lived(3), minimum=20, horizons=(10, 365))
    assert found.table["expected"].is_null().to_list() == [False, True]


def test_a_thin_group_is_drawn_towards_its_stage() -> None:
    """Ada won all her three deals, the others half of theirs: she is given a little more."""
    deals = [
        life(f"{who}-{n}", (0, "new"), (48, "won" if who == "Ada" or n % 2 else "lost"),
             owner=who, value=1, currency="EUR")
        for who, count in (("Ada", 3), ("Bruno", 60))
        for n in range(count)
    ]  # fmt: skip
    open_ones = [
        life(f"open-{who}", (24 * 40, "new"), owner=who, value=1, currency="EUR")
        for who in ("Ada", "Bruno")
    ]
    tables = tables_of([*deals, *open_ones], hours=24 * 40)
    ada, bruno = forecast(tables, horizons=(10,), by="owner", minimum=30).deals["won"]
    share = 33 / 63
    assert ada == pytest.approx(3 / 33 * 1 + 30 / 33 * share)
    assert bruno == pytest.approx(60 / 90 * 0.5 + 30 / 90 * share)


def test_currencies_are_not_added_up_and_rates_put_them_together() -> None:
    world = World(deals=120, days=200).lived(2)
    other = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("USD")).otherwise(pl.lit("EUR"))
    mixed = attrs.evolve(world, changes=world.changes.with_columns(currency=other))
    mixed = mixed.at(world.as_of - dt.timedelta(days=1))
    apart = forecast(mixed, horizons=(30,))
    assert apart.table["currency"].to_list() == ["EUR", "USD"]
    days = [mixed.as_of.date() - dt.timedelta(days=back) for back in range(0, 200, 5)]
    rates = insight.Rates.of({("USD", day): "0.5" for day in days}, into="EUR")
    together = forecast(mixed, horizons=(30,), rates=rates)
    (euro, dollar), (whole,) = apart.table["value"], together.table["value"]
    assert whole == euro + dollar / 2


def test_new_deals_stand_apart_and_are_only_guessed_from_enough_of_the_past() -> None:
    tables = World(deals=400, days=300, won=0.05).lived(4)
    found = forecast(tables, horizons=(30,), include_new=True, lookback=9)
    (expected,) = found.table["expected_new"]
    # 400 deals in 300 days: 40 in a window, each watched for fifteen days on average.
    assert 15_000 < expected < 50_000
    short = forecast(tables, horizons=(30,), include_new=True, lookback=2)
    assert short.table["expected_new"].to_list() == [None]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"horizons": ()}, "for no horizon"),
        ({"horizons": (0,)}, "0 days"),
        ({"horizons": (dt.timedelta(hours=12),)}, "0.5 days"),
        ({"minimum": 0}, "minimum=0"),
        ({"draws": 0}, "draws=0"),
        ({"method": "hope"}, "no forecast by 'hope'"),
        ({"by": "closed_at"}, "cannot be told apart by 'closed_at'"),
    ],
)
def test_what_cannot_be_forecast_is_refused_with_the_reason(
    options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(DefinitionError, match=reason):
        forecast(tables_of([life("one", (0, LADDER[0].key))]), **options)
