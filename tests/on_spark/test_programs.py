"""What is shown of Spark is what happens: the example, and the page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl

from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "insight" / "bulk-replay.md"
EXAMPLE = ROOT / "examples" / "on_spark" / "fold_a_log.py"


def test_the_example_folds_a_log(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(EXAMPLE), str(tmp_path)]
    said = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    count = len(pl.read_parquet(tmp_path / "moves" / "*.parquet"))
    assert said.stdout.startswith(f"{count:,} moves of 2,000 carts")
    assert "into order_confirmed" in said.stdout


def test_the_page_does_what_it_says(spark: Any, tmp_path: Path) -> None:
    told = [("cart-1", "order.confirmed", "2026-01-08T11:00:00Z", "e1")]
    events = spark.createDataFrame(told, ["deal", "type", "told", "id"])
    events.selectExpr("*", "timestamp(told) AS at").write.parquet(str(tmp_path / "events"))
    names: dict[str, Any] = {"session": spark}
    shown = [block for block in blocks(PAGE) if block.not_run == "it needs Spark"]
    assert shown
    for block in shown:
        # Paths are relative to where Java was started, long ago.
        text = re.sub(r'parquet\("(\w+)"\)', rf'parquet("{tmp_path}/\1")', block.text)
        exec(compile(text, str(PAGE), "exec"), names)
    assert pl.read_parquet(tmp_path / "moves/*.parquet")["into"].to_list() == ["order_confirmed"]
    assert pl.read_parquet(tmp_path / "aside/*.parquet").is_empty()
