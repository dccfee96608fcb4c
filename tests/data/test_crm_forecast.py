"""Forecasts of a real CRM's export, replayed. The data is no part of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ladderpipe import insight

BESIDE = Path(__file__).parents[3] / "shared" / "data"
DATA = Path(os.environ.get("LADDERPIPE_DATA", BESIDE))
EXPORT = DATA / "crm" / "sales_pipeline.csv"

pytestmark = pytest.mark.skipif(
    not EXPORT.exists(),
    reason=f"the export is not in {DATA}: set LADDERPIPE_DATA to the folder that has it",
)

PRICED = """\
extends = "crm-sales"
# Open deals have no value; their product's list price stands in for it.
deal.value = "{products.sales_price}"
join.products = { file = "products.csv", by = "product" }
"""

BRIER = {
    (30, "history"): 0.116158,
    (30, "stage_probability"): 0.25,
    (30, "win_rate"): 0.385418,
    (30, "base_rate"): 0.122577,
    (30, "naive_bayes"): 0.122052,
    (60, "history"): 0.186981,
    (60, "stage_probability"): 0.25,
    (60, "win_rate"): 0.351440,
    (60, "base_rate"): 0.196257,
    (60, "naive_bayes"): 0.194355,
    (90, "history"): 0.223604,
    (90, "stage_probability"): 0.25,
    (90, "win_rate"): 0.325769,
    (90, "base_rate"): 0.241512,
    (90, "naive_bayes"): 0.246543,
}


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> insight.Tables:
    map = tmp_path_factory.mktemp("map") / "priced.toml"
    map.write_text(PRICED, "utf-8")
    return insight.read_crm(EXPORT, map)


@pytest.fixture(scope="module")
def replayed(sales: insight.Tables) -> insight.Backtest:
    return insight.backtest(sales, draws=200)


def test_the_scores_are_those_the_documentation_gives(replayed: insight.Backtest) -> None:
    scores = {
        (row["horizon_days"], row["method"]): row["brier"]
        for row in replayed.table.iter_rows(named=True)
    }
    assert scores == pytest.approx(BRIER, abs=1e-6)
    for horizon in (30, 60, 90):
        others = [score for (days, _), score in scores.items() if days == horizon]
        assert scores[horizon, "history"] == min(others)


def test_the_wider_interval_held_the_money_at_most_month_ends(replayed: insight.Backtest) -> None:
    rows = replayed.table.filter(method="history").to_dicts()
    assert [(row["windows"], row["intervals"]) for row in rows] == [(9, 6), (8, 4), (7, 2)]
    held = sum(round(row["covered_95"] * row["intervals"]) for row in rows)
    assert held >= 11


def test_deals_older_than_any_that_closed_are_not_expected_to_be_won(
    sales: insight.Tables,
) -> None:
    deals = insight.forecast(sales, lookback=0, draws=1).deals.filter(horizon_days=90)
    # The oldest deal that was ever decided was so after 138 days.
    assert deals.filter(deals["age_days"] >= 138)["won"].max() == 0
    assert deals.filter(deals["age_days"] < 100)["won"].min() > 0.1
