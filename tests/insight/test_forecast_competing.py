"""Won and lost as competing risks: as lifelines has it, and as the product integral says."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import AalenJohansenFitter, KaplanMeierFitter

from ladderpipe.insight.forecasting.competing_risks import aalen_johansen, incidence_at

CAUSE = st.sampled_from(["won", "lost", None])
TIED = st.lists(st.tuples(st.integers(0, 8), CAUSE), min_size=1, max_size=40)
UNTIED = st.lists(
    st.tuples(st.integers(1, 10_000), CAUSE), min_size=2, max_size=40, unique_by=lambda row: row[0]
)

Times = list[tuple[int, str | None]]


def framed(times: Times, group: str = "one") -> pl.DataFrame:
    schema = {"lasted": pl.Int64, "cause": pl.String}
    return pl.DataFrame(times, schema=schema, orient="row").with_columns(group=pl.lit(group))


@settings(max_examples=40)
@given(times=UNTIED)
def test_the_incidences_are_those_of_lifelines(times: Times) -> None:
    ours = aalen_johansen(framed(times), "group")
    lasted = np.array([at for at, _ in times])
    for number, cause in enumerate(("won", "lost"), start=1):
        if cause not in {seen for _, seen in times}:
            assert ours[cause].to_list() == [0.0] * ours.height
            continue
        codes = np.array([{"won": 1, "lost": 2, None: 0}[seen] for _, seen in times])
        fitter = AalenJohansenFitter(calculate_variance=False)
        theirs = fitter.fit(lasted, codes, event_of_interest=number).cumulative_density_
        found = theirs.iloc[:, 0].loc[ours["lasted"].to_numpy()].to_numpy()
        assert ours[cause].to_numpy() == pytest.approx(found, abs=1e-9)


@settings(max_examples=60)
@given(times=TIED)
def test_at_ties_the_incidences_are_the_product_integral(times: Times) -> None:
    ours = aalen_johansen(framed(times), "group")
    state = np.array([1.0, 0.0, 0.0])
    for row in ours.iter_rows(named=True):
        there = [cause for at, cause in times if at >= row["lasted"]]
        now = [cause for at, cause in times if at == row["lasted"]]
        won, lost = (now.count(cause) / len(there) for cause in ("won", "lost"))
        step = np.array([[1 - won - lost, won, lost], [0, 1, 0], [0, 0, 1]])
        state = state @ step
        assert [row["undecided"], row["won"], row["lost"]] == pytest.approx(list(state), abs=1e-12)


@settings(max_examples=40)
@given(times=TIED)
def test_undecided_is_the_estimate_of_kaplan_and_meier(times: Times) -> None:
    ours = aalen_johansen(framed(times), "group")
    lasted, decided = [at for at, _ in times], [cause is not None for _, cause in times]
    theirs = KaplanMeierFitter().fit(lasted, decided)
    found = theirs.survival_function_at_times(ours["lasted"].to_numpy()).to_numpy()
    assert ours["undecided"].to_numpy() == pytest.approx(found, abs=1e-9)


@given(times=TIED, others=TIED)
def test_won_lost_and_undecided_are_the_whole_and_groups_do_not_touch(
    times: Times, others: Times
) -> None:
    both = aalen_johansen(pl.concat([framed(times), framed(others, "two")]), "group")
    whole = both.select(pl.sum_horizontal("undecided", "won", "lost")).to_series()
    assert whole.to_numpy() == pytest.approx(np.ones(both.height), abs=1e-12)
    alone = aalen_johansen(framed(times), "group")
    assert both.filter(group="one").equals(alone)


def test_the_curves_are_read_between_their_steps() -> None:
    curves = aalen_johansen(framed([(2, "won"), (4, "lost"), (6, None), (6, None)]), "group")
    asked = pl.DataFrame({"lasted": [0, 2, 3, 5, 9]}).with_columns(group=pl.lit("one"))
    read = incidence_at(curves, "group", asked).sort("lasted")
    assert read["won"].to_list() == [0, 0.25, 0.25, 0.25, 0.25]
    assert read["lost"].to_list() == [0, 0, 0, 0.25, 0.25]
    assert read["undecided"].to_list() == [1, 0.75, 0.75, 0.5, 0.5]
