"""The drawn ladder in the README is the ladder that is shipped."""

from __future__ import annotations

from ladderpipe import templates

from .pages import ROOT


def test_the_drawn_ladder_has_every_stage_with_its_probability() -> None:
    drawn = (ROOT / "docs" / "assets" / "ladder.svg").read_text("utf-8")
    for stage in templates.sales_management(language="en").stages:
        assert f">{stage.title}" in drawn
        if stage.status == "open":
            assert f"{stage.title} <tspan" in drawn
            assert f"{stage.probability:.0%}".replace("%", " %") in drawn
