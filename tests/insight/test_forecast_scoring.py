"""Scores against closed forms, and intervals that are as wide as the past asks for."""

from __future__ import annotations

import attrs
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtrit

from ladderpipe.insight.forecasting.revenue import Money, Replayed, student, widened
from ladderpipe.insight.forecasting.scores import brier, calibration, money_errors, skill

FORECASTS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30)


def framed(forecasts: list[tuple[float, bool]]) -> pl.DataFrame:
    schema = {"probability": pl.Float64, "won": pl.Boolean}
    return pl.DataFrame(forecasts, schema=schema, orient="row").with_columns(method=pl.lit("a"))


@given(forecasts=FORECASTS)
def test_the_brier_score_is_the_mean_squared_distance_from_what_came(
    forecasts: list[tuple[float, bool]],
) -> None:
    (score,) = brier(framed(forecasts), ["method"])["brier"]
    by_hand = sum((given - won) ** 2 for given, won in forecasts) / len(forecasts)
    assert score == pytest.approx(by_hand)
    assert 0 <= score <= 1


def test_foreknowledge_scores_nothing_and_a_half_scores_a_quarter() -> None:
    for given_to_won, score in ((1.0, 0.0), (0.5, 0.25), (0.0, 1.0)):
        told = framed([(given_to_won, True), (1 - given_to_won, False)])
        assert brier(told, ["method"])["brier"].to_list() == [score]


def test_the_share_known_beforehand_has_no_skill() -> None:
    told = framed([(0.25, True), (0.25, False), (0.25, False), (0.25, False)])
    scored = brier(told, ["method"]).select(skill(pl.col("brier"), pl.col("won_share")))
    assert scored.item() == pytest.approx(0)
    alike = brier(framed([(0.3, False)]), ["method"])
    assert alike.select(skill(pl.col("brier"), pl.col("won_share"))).item() is None


@given(forecasts=FORECASTS)
def test_every_forecast_is_in_the_tenth_of_its_probability(
    forecasts: list[tuple[float, bool]],
) -> None:
    bins = calibration(framed(forecasts), ["method"])
    assert bins["forecasts"].sum() == len(forecasts)
    assert bins["won"].sum() == sum(won for _, won in forecasts)
    for row in bins.iter_rows(named=True):
        assert row["bin"] / 10 - 1e-9 <= row["mean_probability"] <= (row["bin"] + 1) / 10 + 1e-9
        assert row["lower"] - 1e-9 <= row["won_share"] <= row["upper"] + 1e-9


def test_too_much_promised_is_a_bias_above_zero() -> None:
    windows = pl.DataFrame(
        {
            "method": ["a"] * 3,
            "expected": [10.0, 20.0, 30.0],
            "actual": [16.0, 8.0, 15.0],
            "lower_80": [5.0, 15.0, None],
            "upper_80": [15.0, 25.0, None],
            "lower_95": [2.0, 5.0, None],
            "upper_95": [18.0, 30.0, None],
        }
    )
    (row,) = money_errors(windows, ["method"]).to_dicts()
    assert (row["windows"], row["intervals"]) == (3, 2)
    assert (row["mean_error"], row["bias"], row["mean_actual"]) == (11.0, 7.0, 13.0)
    assert (row["covered_80"], row["covered_95"]) == (0.0, 1.0)


@pytest.mark.parametrize("freedom", [3, 4, 6, 10, 24])
@pytest.mark.parametrize("share", [0.9, 0.975])
def test_the_quantiles_are_those_of_students_distribution(share: float, freedom: int) -> None:
    assert student(share, freedom) == pytest.approx(stdtrit(freedom, share), rel=0.01)


MONEY = Money(
    horizon=30,
    currency="EUR",
    deals=9,
    forecast_of=9,
    value=1000.0,
    wins=4.5,
    expected=500.0,
    deviation=50.0,
    ends={0.8: (436.0, 564.0), 0.95: (402.0, 598.0)},
)


def missed_by(*errors: float) -> list[Replayed]:
    return [Replayed(MONEY, 500.0 + error) for error in errors]


def test_without_enough_past_windows_there_is_no_interval() -> None:
    assert widened(MONEY, missed_by(50, -50)) == attrs.evolve(MONEY, ends={}, tested=2)


def test_a_past_that_missed_by_no_more_than_chance_leaves_the_interval() -> None:
    assert widened(MONEY, missed_by(50, -50, 20)).ends == MONEY.ends


def test_what_was_missed_beyond_chance_widens_the_interval() -> None:
    # Beyond the deviation of 50 each window missed by 120: 130² = 50² + 120².
    lower, upper = widened(MONEY, missed_by(130, -130, 130)).ends[0.8]
    half = (64**2 + (student(0.9, 3) * 120) ** 2) ** 0.5
    assert (500 - lower, upper - 500) == pytest.approx((half, half))


def test_an_interval_stays_between_nothing_and_all_that_the_deals_are_worth() -> None:
    assert widened(MONEY, missed_by(500, -500, 500)).ends[0.95] == (0.0, 1000.0)
