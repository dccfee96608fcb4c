"""A real export brought over: every deal is where it was, and none has moved since."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ladderpipe import Board, ManualClock, Pipeline, after, by_hand, verify
from ladderpipe.logs import crm_map, told_deals
from tests.data.test_crm_reports import EXPORT


@pytest.mark.skipif(not EXPORT.exists(), reason=f"no export in {EXPORT.parent}")
def test_8800_opportunities_are_brought_over_as_they_were(tmp_path: Path) -> None:
    crm = crm_map("crm-sales")
    prospecting, engaging, won, lost = (known.stage for known in crm.stages)
    ladder = Pipeline(
        "sales",
        stages=[prospecting, engaging, won, lost],
        rules=[
            *(by_hand(into=stage, opens=True) for stage in (prospecting, engaging, won, lost)),
            after(days=60, out_of=engaging, into=lost, key="cold"),
        ],
    )
    clock = ManualClock("2018-01-01T00:00Z")
    with Board.open(ladder, f"sqlite:///{tmp_path}/sales.db", clock=clock) as board:
        report = board.import_deals(told_deals(EXPORT, crm, ladder))
        assert (report.deals, report.undated, report.refused) == (8800, 500, ())
        assert Counter(report.stages) == {
            "won": 4238,
            "lost": 2473,
            "engaging": 1589,
            "prospecting": 500,
        }
        # The others were taken up in the last sixty days.
        assert sum(report.overdue.values()) == 1535
        counts = Counter(deal.stage.key for deal in board.deals())
        assert counts == report.stages
        assert board.import_deals(told_deals(EXPORT, crm, ladder)).events == 0
        assert not verify(board).differences
