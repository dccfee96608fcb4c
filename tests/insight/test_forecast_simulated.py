"""On ladders whose rates are known: probabilities that are true, and intervals that hold."""

from __future__ import annotations

import datetime as dt
import math

import pytest

from ladderpipe import insight
from ladderpipe.insight.forecasting.features import outcome, snapshot
from ladderpipe.insight.forecasting.history import from_history
from ladderpipe.insight.forecasting.methods import planned
from ladderpipe.insight.forecasting.period_ends import (
    beside_what_came,
    calibrated,
    looked,
    period_ends,
    recall,
)
from ladderpipe.insight.forecasting.revenue import Replayed, drawn
from tests.insight.hazards import World

HORIZON = 60


def test_the_probabilities_are_those_the_deals_were_made_with() -> None:
    world = World(deals=4000, days=500)
    told = insight.forecast(world.lived(5), horizons=(HORIZON,), lookback=0, draws=1).deals
    truth = world.share_won(HORIZON)
    assert told["won"].mean() == pytest.approx(truth, abs=0.03)
    assert told["lost"].mean() == pytest.approx(truth, abs=0.03)


def test_intervals_of_deals_that_are_won_each_by_itself_hold_as_often_as_they_say() -> None:
    worlds = 60
    held = dict.fromkeys((0.8, 0.95), 0)
    for seed in range(worlds):
        tables = World(deals=150, days=260).lived(seed)
        seen = snapshot(tables.at(tables.as_of - dt.timedelta(days=HORIZON)))
        estimates = from_history(seen, [HORIZON], by=(), minimum=20)
        (money,) = drawn(seen, estimates, [HORIZON], draws=400, seed=seed)
        came = outcome(tables, seen, HORIZON)
        assert came is not None
        said = estimates.drop_nulls("won").select("deal")
        actual = float(came.deals.join(said, on="deal")["revenue"].sum())
        for share, (lower, upper) in money.ends.items():
            held[share] += lower <= actual <= upper
    for share, times in held.items():
        # Three and a half standard deviations: chance alone fails once in two thousand.
        slack = 3.5 * math.sqrt(share * (1 - share) * worlds)
        assert abs(times - share * worlds) <= slack + 1, (share, times)


def test_where_whole_months_are_good_or_bad_the_past_makes_the_interval_wide_enough() -> None:
    tables = World(deals=1500, days=1200, won=0.012, season=0.7).lived(11)
    plan = planned(tables.stages, horizons=[30], by=(), minimum=30, draws=200, seed=0)
    past = recall(tables, period_ends(tables, "month", "UTC"), plan)
    came = beside_what_came([looked("history", seen, past, plan) for seen in past.snapshots], past)
    calibrated_ones = [
        Replayed(money, trial.actual)
        for one, trial in came
        for money in calibrated([trial.money], one.snapshot.at, came)
        if money.ends
    ]
    by_itself, made_wider = (
        sum(trial.money.ends[0.8][0] <= trial.actual <= trial.money.ends[0.8][1] for trial in told)
        for told in ([trial for _, trial in came if trial.money.expected], calibrated_ones)
    )
    windows = len(calibrated_ones)
    assert windows >= 30
    nominal, slack = 0.8 * windows, 3 * math.sqrt(0.8 * 0.2 * windows)
    assert by_itself < nominal - slack
    assert abs(made_wider - nominal) <= slack
