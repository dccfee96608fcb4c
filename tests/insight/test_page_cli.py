"""``ladderpipe report``, as typed."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

pytest.importorskip("typer")

from ladderpipe import Board, ManualClock
from ladderpipe.templates import kanban, sales_management
from tests.commands import SALES, START, filled, run, shop

AS_OF = ("--as-of", "2026-01-07T10:00Z")
BRIEF = (*AS_OF, "--no-forecast")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return shop(tmp_path / "shop.db")


def test_a_store_becomes_a_page(url: str, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    ran = run("report", url, "--out", out, "--language", "it", "--zone", "Europe/Rome", *BRIEF)
    assert ran.code == 0, ran.err
    assert str(out) in ran.out
    assert "on 3 deals" in ran.out
    page = out.read_text("utf-8")
    assert "7 gen 2026, 11:00" in page
    assert "1.798,00" in page
    again = run("report", url, "--out", out, *BRIEF)
    assert again.code == 0, again.err
    assert '<html lang="en">' in out.read_text("utf-8")
    assert not list(tmp_path.glob(".report*"))


def test_several_pipelines_stand_on_one_page(url: str, tmp_path: Path) -> None:
    clock = ManualClock(START)
    with Board.open(kanban("en"), url, clock) as board:
        board.move("d1", board.pipeline.stages[0], by="ann")
    other = shop(tmp_path / "other.db")
    out, png = tmp_path / "report.html", tmp_path / "png"
    ran = run("report", url, other, "--out", out, "--png", png, *BRIEF)
    assert ran.code == 0, ran.err
    told = [line.partition(":")[0] for line in ran.out.splitlines() if " reports on " in line]
    assert told == ["sales-management", "kanban", "sales-management"]
    page = out.read_text("utf-8")
    assert page.count('id="p1-summary"') == page.count('id="p3-summary"') == 1
    assert {path.name for path in png.iterdir()} == {
        "1-sales-management",
        "kanban",
        "3-sales-management",
    }
    found = run("report", url, other, "--json", *BRIEF).json()
    assert [one["pipeline"] for one in found["pipelines"]] == [
        "sales-management",
        "kanban",
        "sales-management",
    ]
    named = run("report", url, "--name", "kanban", "--json", *BRIEF).json()
    assert named["pipeline"] == "kanban"


def test_a_file_that_is_no_report_is_never_overwritten(url: str, tmp_path: Path) -> None:
    before = (tmp_path / "shop.db").read_bytes()
    line = run("report", url, "--out", tmp_path / "shop.db").refusal()
    assert "is no report, so it is not overwritten" in line
    assert (tmp_path / "shop.db").read_bytes() == before


def test_machines_get_the_reports_in_one_currency_with_the_rate_used(
    url: str, tmp_path: Path
) -> None:
    rates = tmp_path / "rates.csv"
    rates.write_text("currency,date,rate\nCHF,2026-01-06,1.05\n")
    asked = ("--currency", "EUR", "--rates", rates, "--as-of", "2026-01-07T10:00Z")
    found = run("report", url, "--json", "--no-forecast", *asked).json()
    (rows,) = [report["rows"] for report in found["reports"] if report["key"] == "currencies"]
    assert {row["currency"] for row in rows} == {"EUR"}
    assert found["headline"]["won"] == [{"currency": "EUR", "value": "12.5000000000", "deals": 1}]


def test_rates_that_are_none_are_refused(url: str, tmp_path: Path) -> None:
    wrong = tmp_path / "rates.csv"
    wrong.write_text("what,is,this\n1,2,3\n")
    line = run("report", url, "--json", "--currency", "EUR", "--rates", wrong).refusal()
    assert "is no table of rates" in line
    assert "need each other" in run("report", url, "--json", "--currency", "EUR").refusal(2)


def test_a_report_needs_something_to_write(url: str) -> None:
    assert "say what to write" in run("report", url).refusal(2)


def test_a_crm_s_export_becomes_a_page(tmp_path: Path) -> None:
    export = tmp_path / "deals.csv"
    export.write_text(
        "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value\n"
        "1,Ada,GTX,Marino,Won,2016-10-20,2017-03-01,1040\n"
        "2,Ada,GTX,Bianchi,Engaging,2016-10-25,,\n"
    )
    ran = run("report", export, "--crm", "crm-sales", "--out", tmp_path / "r.html", "--no-forecast")
    assert ran.code == 0, ran.err
    assert "on 2 deals" in ran.out
    assert "Ada" in (tmp_path / "r.html").read_text("utf-8")


def test_a_store_on_postgresql_is_reported_on_alike(postgres_url: str, url: str) -> None:
    clock = ManualClock(START)
    with Board.open(sales_management("en"), postgres_url, clock) as board:
        board.handle(filled("cart-1", clock, owner="marta", value="1798.00"))
        clock.advance(hours=49)
        board.tick()
    asked = ("--pipeline", SALES, "--as-of", "2026-01-07T10:00Z", "--json", "--no-forecast")
    found = run("report", postgres_url, *asked).json()
    assert found["deals"] == 1
    assert "recovery" in {report["key"] for report in found["reports"]}


def test_the_example_makes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = Path(__file__).parents[2] / "examples" / "report.py"
    runpy.run_path(str(example))["main"](tmp_path / "report.html")
    assert "120 deals" in capsys.readouterr().out
    assert "What will come" in (tmp_path / "report.html").read_text("utf-8")


def test_targets_stand_on_the_page_against_what_came(url: str, tmp_path: Path) -> None:
    wanted = tmp_path / "targets.csv"
    wanted.write_text("start,owner,target,currency\n2026-01-01,Ada,20000.50,EUR\n")
    out = tmp_path / "report.html"
    ran = run("report", url, "--out", out, "--targets", wanted, *BRIEF)
    assert ran.code == 0, ran.err
    assert '<article id="targets"' in out.read_text("utf-8")
    assert "€20,000.50" in out.read_text("utf-8")
    wanted.write_text("start,owner\n2026-01-01,Ada\n")
    line = run("report", url, "--out", out, "--targets", wanted, *BRIEF).refusal()
    assert "targets without target say too little" in line
