"""The figures of a real CRM export, as an independent calculation gave them."""

from __future__ import annotations

import datetime as dt
import os
from decimal import Decimal
from pathlib import Path

import pytest

from ladderpipe import insight
from ladderpipe.insight import Tables

BESIDE = Path(__file__).parents[3] / "shared" / "data"
DATA = Path(os.environ.get("LADDERPIPE_DATA", BESIDE))
EXPORT = DATA / "crm" / "sales_pipeline.csv"

pytestmark = pytest.mark.skipif(
    not EXPORT.exists(),
    reason=f"no CRM export in {DATA}: set LADDERPIPE_DATA to the folder that has it",
)


@pytest.fixture(scope="module")
def crm() -> Tables:
    return insight.read_crm(EXPORT, "crm-sales", as_of="2017-12-31T00:00:00Z")


def test_4238_of_6711_closed_deals_are_won(crm: Tables) -> None:
    found = insight.win_rate(crm).table.row(0, named=True)
    assert (found["won"], found["closed"]) == (4238, 6711)
    assert found["win_rate"] == pytest.approx(0.6315, abs=5e-5)
    assert found["lower"] < found["win_rate"] < found["upper"]


def test_a_won_deal_is_worth_2360_91_and_took_51_78_days_on_average(crm: Tables) -> None:
    found = insight.velocity(crm).table.row(0, named=True)
    assert found["average_value"].quantize(Decimal("0.01")) == Decimal("2360.91")
    assert found["cycle_days"] == pytest.approx(51.78, abs=0.005)


def test_engaging_takes_69_days_and_not_the_45_of_the_closed_deals(crm: Tables) -> None:
    found = insight.time_in_stage(crm, stage="engaging").table.row(0, named=True)
    assert found["deals"] == 8300
    assert (found["median_days"], found["closed_only_median"]) == (69, 45)


def test_three_in_five_are_still_engaging_after_thirty_days(crm: Tables) -> None:
    curve = insight.survival(crm, "engaging", every=dt.timedelta(days=1)).table
    after = dict(curve.select("days", "survival").rows())
    assert after[30] == pytest.approx(0.6188, abs=5e-5)
    assert after[90] == pytest.approx(0.3509, abs=5e-5)
