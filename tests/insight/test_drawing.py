"""Charts cost nothing until one is drawn, and say what is missing."""

from __future__ import annotations

import subprocess
import sys

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ladderpipe import insight
from ladderpipe.insight.reports import kaplan_meier

from .lives import life, tables_of


def test_reports_are_imported_without_what_draws_them() -> None:
    drawing = "{'altair', 'jinja2', 'vl_convert'}"
    told = f"import sys, ladderpipe.insight; print(sorted({drawing} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["altair", "vl_convert", "jinja2"])
def test_what_is_not_installed_is_named_with_the_extra_that_brings_it(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = tables_of([life("a", (0, "new"))])
    monkeypatch.setitem(sys.modules, module, None)
    assert insight.summary(tables).table["deals"].sum() == 1
    with pytest.raises(ImportError, match=r"pip install '\.\[insight\]'"):
        insight.page(tables, forecasts=False)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 9), st.booleans()), min_size=20))
def test_many_curves_at_once_are_those_of_each_alone(rows: list[tuple[int, int, bool]]) -> None:
    times = pl.DataFrame(rows, schema=["group", "lasted", "left"], orient="row")
    together = kaplan_meier.curve(times, "group")
    alone = [kaplan_meier.curve(one, "group") for one in times.sort("group").partition_by("group")]
    assert_frame_equal(together, pl.concat(alone))
