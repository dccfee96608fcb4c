"""Charts cost nothing until one is drawn, and say what is missing."""

from __future__ import annotations

import gzip
import subprocess
import sys
from importlib import resources
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ladderpipe import insight
from ladderpipe.insight.report_page import contents, write_charts
from ladderpipe.insight.reports import kaplan_meier

from .lives import life, tables_of


def test_reports_are_imported_without_what_draws_them() -> None:
    drawing = "{'altair', 'jinja2', 'vl_convert'}"
    told = f"import sys, ladderpipe.insight; print(sorted({drawing} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["altair", "jinja2"])
def test_what_is_not_installed_is_named_with_the_extra_that_brings_it(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = tables_of([life("a", (0, "new"))])
    monkeypatch.setitem(sys.modules, module, None)
    assert insight.summary(tables).table["deals"].sum() == 1
    with pytest.raises(ImportError, match=r"pip install '\.\[insight\]'"):
        insight.page(tables, forecasts=False)


def test_a_page_needs_no_converter_and_pictures_say_which_extra_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = tables_of([life("a", (0, "new"))])
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    assert "vegaEmbed" in insight.page(tables, forecasts=False)
    with pytest.raises(ImportError, match=r"pip install '\.\[pictures\]'"):
        write_charts(contents(tables, forecasts=False), tmp_path / "png", "png")
    assert not (tmp_path / "png").exists()


def test_the_page_s_script_is_the_one_that_pictures_are_drawn_with() -> None:
    """After another vl-convert-python in the lock: make vega."""
    vl_convert = pytest.importorskip("vl_convert")
    packed = resources.files("ladderpipe.insight.report_page") / "assets" / "vega.js.gz"
    assert gzip.decompress(packed.read_bytes()).decode() == vl_convert.javascript_bundle()


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 9), st.booleans()), min_size=20))
def test_many_curves_at_once_are_those_of_each_alone(rows: list[tuple[int, int, bool]]) -> None:
    times = pl.DataFrame(rows, schema=["group", "lasted", "left"], orient="row")
    together = kaplan_meier.curve(times, "group")
    alone = [kaplan_meier.curve(one, "group") for one in times.sort("group").partition_by("group")]
    assert_frame_equal(together, pl.concat(alone))
