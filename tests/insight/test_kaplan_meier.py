"""The Kaplan-Meier estimate agrees with lifelines, and reads its curve as the textbook does."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter

from ladderpipe.insight.reports import kaplan_meier

# Few distinct durations, so that many deals leave at one instant.
TIMES = st.lists(
    st.tuples(st.integers(0, 12), st.booleans(), st.integers(1, 5)), min_size=1, max_size=40
)


def framed(times: list[tuple[int, bool, int]]) -> pl.DataFrame:
    schema = {"lasted": pl.Int64, "left": pl.Boolean, "weight": pl.Int64}
    return pl.DataFrame(times, schema=schema, orient="row").with_columns(group=pl.lit("one"))


def fitted(times: list[tuple[int, bool, int]], alpha: float = 0.05) -> Any:
    lasted, left, weight = (np.array(column) for column in zip(*times, strict=True))
    return KaplanMeierFitter(alpha=alpha).fit(lasted, left, weights=weight)


@settings(max_examples=40)
@given(times=TIMES, confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_the_curve_and_its_band_are_those_of_lifelines(
    times: list[tuple[int, bool, int]], confidence: float
) -> None:
    curve = kaplan_meier.curve(framed(times), "group", confidence=confidence)
    theirs = fitted(times, alpha=1 - confidence)
    at = curve["lasted"].to_numpy()
    band = theirs.confidence_interval_.loc[at].to_numpy()
    assert curve["survival"].to_numpy() == pytest.approx(
        theirs.survival_function_at_times(at).to_numpy(), abs=1e-9
    )
    assert curve["lower"].to_numpy() == pytest.approx(band[:, 0], abs=1e-9)
    assert curve["upper"].to_numpy() == pytest.approx(band[:, 1], abs=1e-9)
    assert curve["at_risk"].to_list() == list(theirs.event_table["at_risk"].loc[at])


@settings(max_examples=40)
@given(times=TIMES)
def test_the_median_is_that_of_lifelines(times: list[tuple[int, bool, int]]) -> None:
    curve = kaplan_meier.curve(framed(times), "group")
    # Where the curve touches a half, lifelines' rounding decides; ours does not (see below).
    assume(((curve["survival"] - 0.5).abs() > 1e-9).all())
    (median,) = kaplan_meier.quantiles(curve, "group", [0.5])["q50"]
    theirs = fitted(times).median_survival_time_
    assert (np.inf if median is None else median) == theirs


@given(times=TIMES)
def test_a_weight_counts_as_so_many(times: list[tuple[int, bool, int]]) -> None:
    repeated = framed([(at, left, 1) for at, left, weight in times for _ in range(weight)])
    weighted = kaplan_meier.curve(framed(times), "group")
    assert weighted.equals(kaplan_meier.curve(repeated.drop("weight"), "group"))


@given(times=TIMES, others=TIMES)
def test_groups_do_not_touch(
    times: list[tuple[int, bool, int]], others: list[tuple[int, bool, int]]
) -> None:
    beside = framed(others).with_columns(group=pl.lit("two"))
    both = kaplan_meier.curve(pl.concat([framed(times), beside]), "group")
    alone = kaplan_meier.curve(framed(times), "group")
    assert both.filter(pl.col("group") == "one").equals(alone)


def test_where_nobody_has_left_there_is_no_median() -> None:
    curve = kaplan_meier.curve(framed([(3, False, 1), (5, False, 2)]), "group")
    assert curve["survival"].to_list() == [1.0, 1.0]
    assert kaplan_meier.quantiles(curve, "group", [0.5])["q50"].to_list() == [None]


def test_a_half_reached_exactly_is_the_median_despite_rounding() -> None:
    # (1 - 1/6)(1 - 1/5)(1 - 1/4) is one half, and not in floating point.
    curve = kaplan_meier.curve(
        framed([(1, True, 1), (2, True, 1), (3, True, 1), (4, True, 3)]), "group"
    )
    assert kaplan_meier.quantiles(curve, "group", [0.5])["q50"].to_list() == [3]


def test_the_curve_is_read_between_its_steps() -> None:
    curve = kaplan_meier.curve(framed([(2, True, 1), (4, False, 1), (6, True, 2)]), "group")
    read = kaplan_meier.survival_at(curve, pl.Series([0, 2, 3, 5, 6, 9]))
    assert read["survival"].to_list() == [1.0, 0.75, 0.75, 0.75, 0.0, 0.0]
    assert read["at_risk"].to_list() == [4, 4, 3, 2, 2, 0]


@settings(max_examples=60)
@given(times=TIMES, most=st.sampled_from([2, 5, 100]))
def test_the_steps_read_as_steps_are_the_curve(
    times: list[tuple[int, bool, int]], most: int
) -> None:
    curve = kaplan_meier.curve(framed(times), "group")
    steps = kaplan_meier.steps(curve, most)
    assert steps["lasted"][0] == 0
    assert steps["survival"][0] == 1
    assert steps["lasted"][-1] == curve["lasted"].max()
    falls = (curve["survival"].diff().fill_null(curve["survival"][0] - 1) < 0).sum()
    off = 0.0 if falls <= most else 1 / most
    assert steps.height <= min(falls, most) + 2
    for lasted, survival in curve.select("lasted", "survival").rows():
        drawn = steps.filter(pl.col("lasted") <= lasted)["survival"][-1]
        assert survival - 1e-12 <= drawn <= survival + off + 1e-12
