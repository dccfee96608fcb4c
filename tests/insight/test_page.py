"""The page of reports as text: what it says, what cannot break it, and what machines get."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import string
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import attrs
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import Board, ManualClock, Pipeline, Stage, insight, on
from ladderpipe.errors import DefinitionError
from ladderpipe.formats import Format
from ladderpipe.insight import Tables
from ladderpipe.insight.report_page import contents, record_of, rendered, write_charts
from ladderpipe.insight.report_page.cells import cells_of
from ladderpipe.insight.report_page.html import for_script
from ladderpipe.insight.report_page.key_figures import key_figures
from ladderpipe.insight.report_page.words import in_language

from .lives import START, Life, life, tables_of

VOID = frozenset(("meta", "br", "hr", "img", "input", "link"))
HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;\x00\u202e"


class Read(HTMLParser):
    """A page as a browser's parser sees it: elements, ids, and what is not balanced."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def few(owner: str = "Ada", title: str = "Notebooks", **others: str) -> Tables:
    """Return five deals in two currencies."""
    facts = {"title": title, "owner": owner, "source": "web", "loss_reason": "price", **others}
    euros = {**facts, "value": Decimal("1234.56"), "currency": "EUR"}
    return tables_of(
        [
            Life("d-1", ((0, "new"), (30, "working"), (80, "won")), ((0, euros),)),
            Life("d-2", ((5, "new"), (40, "lost")), ((5, euros),)),
            Life("d-3", ((9, "new"), (57, "gone")), ((9, {**euros, "currency": "CHF"}),)),
            Life("d-4", ((12, "new"), (60, "gone"), (90, "working")), ((12, euros),)),
            Life("d-5", ((100, "new"),), ((100, {**euros, "value": Decimal("0.5")}),)),
        ]
    )


@pytest.fixture(scope="module")
def page() -> str:
    return insight.page(few(), forecasts=False)


def test_the_page_is_well_formed_and_every_link_in_it_leads_somewhere(page: str) -> None:
    read = Read(page)
    assert not read.open
    ids = [found["id"] for _, found in read.elements if "id" in found]
    assert len(ids) == len(set(ids))
    assert {str(link["href"]).removeprefix("#") for link in read.all("a")} <= set(ids)
    assert read.all("html") == [{"lang": "en"}]


def test_the_page_asks_for_nothing_and_its_policy_forbids_it_to(page: str) -> None:
    read = Read(page)
    assert not [tag for tag, found in read.elements if "src" in found or tag == "link"]
    (policy,) = [found["content"] for found in read.all("meta") if "http-equiv" in found]
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy


def test_without_deals_the_page_says_so() -> None:
    nobody = insight.page(tables_of([]))
    assert "There are no deals as of this instant" in nobody


@pytest.mark.parametrize("language", ["en", "it"])
def test_amounts_are_written_as_the_language_writes_them(language: Any) -> None:
    page = rendered(contents(few(), forecasts=False), language)
    assert {"en": "€1,234.56", "it": "1.234,56\N{NO-BREAK SPACE}€"}[language] in page
    assert {"en": "Won in March 2026", "it": "Vinte in marzo 2026"}[language] in page
    assert f'<html lang="{language}">' in page


def test_a_language_nobody_speaks_is_refused() -> None:
    with pytest.raises(DefinitionError, match="language='de'"):
        insight.page(few(), language="de")  # type: ignore[arg-type]


def test_nothing_that_a_deal_is_called_breaks_out_of_the_page() -> None:
    hostile = few(owner=HOSTILE, title=HOSTILE, source=HOSTILE, loss_reason=HOSTILE)
    late = attrs.evolve(
        hostile, pipeline=HOSTILE, as_of=hostile.as_of.replace(year=hostile.as_of.year + 1)
    )
    read = Read(insight.page(late, forecasts=False))
    assert not read.open
    assert not read.all("img")
    assert len(read.all("style")) == 1
    assert [script for script in read.all("script") if not script] == [{}, {}]
    assert not any(name.startswith("on") for _, found in read.elements for name in found)


@given(
    st.recursive(
        st.text(st.sampled_from("</script!->&\u2028\u2029\"'\\" + string.ascii_letters)),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    )
)
def test_data_inside_a_script_says_the_same_and_never_ends_it(data: Any) -> None:
    written = for_script(data)
    assert json.loads(written) == data
    assert not set("<>&\u2028\u2029") & set(written)


@given(st.floats(-1e12, 1e12), st.integers(0, 6))
def test_a_number_written_in_italian_is_the_english_one_with_other_marks(
    value: float, digits: int
) -> None:
    english, italian = Format("en").number(value, digits), Format("it").number(value, digits)
    assert italian.translate(str.maketrans(",.", ".,")) == english
    read = float(english.replace(",", ""))
    assert read == pytest.approx(round(value, digits), abs=10**-digits)


@settings(max_examples=25)
@given(st.integers(0, 1_200))
def test_a_long_table_stands_on_the_page_in_part_and_says_how_much_is_missing(deals: int) -> None:
    many = few()
    rows = many.deals.head(1).with_columns(status=pl.lit("open"))
    numbered = pl.concat([rows] * deals) if deals else rows.clear()
    named = numbered.with_columns(deal=pl.format("d-{}", pl.int_range(pl.len())))
    late = many.as_of.replace(year=many.as_of.year + 1)
    report = insight.stale_deals(attrs.evolve(many, deals=named, as_of=late))
    cells = cells_of(report, Format("en"))
    assert len(cells.rows) == min(deals, 500)
    assert len(cells.rows) + cells.left_out == deals


def test_machines_get_every_table_whole_with_its_definition() -> None:
    found = json.loads(json.dumps(record_of(contents(few(), forecasts=False))))
    assert set(found) == {
        "schema", "pipeline", "title", "as_of", "zone", "deals", "moves", "notes", "problems",
        "headline", "reports",
    }  # fmt: skip
    assert (found["schema"], found["deals"]) == ("ladderpipe.report/1", 5)
    for report in found["reports"]:
        assert set(report) == {
            "section", "key", "name", "title", "definition", "notes", "columns", "labels", "rows",
        }  # fmt: skip
        assert all(set(row) == set(report["columns"]) for row in report["rows"])
        assert set(report["definition"]) == {"en", "it"}
    assert found["headline"]["open"] == [
        {"currency": "EUR", "value": "1235.0600000000", "deals": 2},
    ]
    assert found["headline"]["win_rate"]["won"] == 1
    assert found["headline"]["win_rate_with_abandoned"]["closed"] == 3


def test_two_currencies_are_never_one_figure(page: str) -> None:
    summary = next(e for e in contents(few(), forecasts=False).entries if e.key == "summary")
    assert set(summary.report.table["currency"]) == {"EUR", "CHF"}
    assert "€" in page
    assert "CHF" in page


def test_charts_are_pictures_of_their_own(tmp_path: Any) -> None:
    some = contents(few(), forecasts=False)
    only = attrs.evolve(some, sections=some.sections[2:3])
    (png,) = write_charts(only, tmp_path / "png", "png", "it")
    (pdf,) = write_charts(only, tmp_path / "pdf", "pdf", "it")
    assert (png.name, pdf.name) == ("funnel.png", "funnel.pdf")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert pdf.read_bytes().startswith(b"%PDF")


def test_scripts_on_the_page_are_those_its_policy_names(page: str) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digests = {base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts}
    assert digests == set(re.findall(r"'sha256-([^']+)'", html.unescape(page.split("<style>")[0])))


def test_a_deal_won_within_seconds_took_seconds() -> None:
    quick = tables_of([life("quick", (0, "new"), (30 / 3600, "won"))])
    assert "30 seconds" in insight.page(quick, forecasts=False)
    assert "30 secondi" in insight.page(quick, forecasts=False, language="it")


def test_a_headline_never_calls_it_success_that_nobody_records_losses() -> None:
    """841 of 8,000 leads won, none ever marked as lost; here 2 of 20."""
    facts = {"value": Decimal(1000), "currency": "EUR"}
    lying = [life(f"o{n}", (0, "new"), **facts) for n in range(18)]
    won = [life(f"w{n}", (0, "new"), (240, "won"), **facts) for n in range(2)]
    found = contents(tables_of(lying + won), forecasts=False)
    record = record_of(found)["headline"]
    assert record["conversion"] == {
        "rate": 0.1, "lower": pytest.approx(0.0279, abs=1e-4),
        "upper": pytest.approx(0.3010, abs=1e-4), "won": 2, "closed": 20,
    }  # fmt: skip
    assert record["seldom_lost"] is True
    assert record["won_per_day"] == [{"currency": "EUR", "value": "33.3333330000", "deals": None}]
    figures = {
        figure.title: (figure.values, figure.beneath)
        for figure in key_figures(found.headline, Format("en"), in_language("en"))
    }
    assert figures["Won of those opened"] == (("10.0%",), "2 of 20 opened so far (3% – 30%)")
    assert figures["Win rate"][0] == ("–",)
    assert figures["Win rate"][1].startswith("2 won, 0 marked as lost: too few losses")
    # 2 wins in 18 × 60 + 2 × 10 days of being open; 18 are open.
    expected = 18 * 1000 * 2 / (18 * 60 + 2 * 10)
    assert figures["Sales velocity"] == (
        (f"€{expected:.2f}",), "per day, expected of what is open; really won: €33.33"
    )  # fmt: skip


def test_durations_are_told_in_the_unit_that_fits_each() -> None:
    stays = {"quick": 12 / 3600, "day": 36.0, "long": 24 * 40.0}
    for language, told in (
        ("en", {"12 sec", "1.5 days", "40 days"}),
        ("it", {"12 s", "1,5 giorni", "40 giorni"}),
    ):
        found = set()
        for name, hours in stays.items():
            report = insight.time_in_stage(tables_of([life(name, (0, "new"), (hours, "won"))]))
            cells = cells_of(report, Format(language))
            column = [c.title for c in cells.columns].index(
                {"en": "Median", "it": "Mediana"}[language]
            )
            found.add(cells.rows[0][column].text)
        assert found == told


def test_the_curves_are_those_of_the_stages_that_hold_the_most_value_for_longest() -> None:
    ladder = (*(Stage(f"s{n}") for n in range(6)), Stage("won", status="won"))
    # Every stage is passed by more deals than the next, and holds each of them longer, at s5 100 h.
    stays = [10.0, 20, 30, 40, 50, 100]
    deals = []
    for number in range(40):
        at, path = 0.0, []
        for place, length in enumerate(stays[: 6 if number < 10 else 2]):
            path.append((at, f"s{place}"))
            at += length
        deals.append(life(f"d{number:02}", *path, (at, "won"), value=Decimal(1000), currency="EUR"))
    found = contents(tables_of(deals, ladder=ladder), forecasts=False)
    # Value-days, in hours of 1,000: s0 400, s1 800, s2 300, s3 400, s4 500, s5 1,000.
    curves = [entry.key for entry in found.entries if entry.report.name == "survival"]
    assert curves == ["survival-s0", "survival-s1", "survival-s4", "survival-s5"]


def test_the_page_is_called_as_people_call_the_pipeline() -> None:
    clock = ManualClock("2026-01-05T09:00Z")
    titles = {"en": "Sales", "it": "Vendite"}
    ladder = Pipeline("p-1", stages=[(new := Stage("new"))], title=titles, rules=[
        on("lead", into=new, opens=True),
    ])  # fmt: skip
    tables = insight.tables(Board(ladder, clock=clock))
    assert "<h1>Vendite</h1>" in insight.page(tables, language="it", forecasts=False)
    assert record_of(contents(tables, forecasts=False))["title"] == titles
    assert few().called("it") == "made-up"


def crowd(owners: int) -> Tables:
    return tables_of(
        [
            life(
                f"d{n:03}-{m:02}",
                (n, "new"),
                (n + 30.0, "won" if m % 2 else "lost"),
                owner=f"Owner {n:02}",
                loss_reason="price",
                value=Decimal(1000 * n),
                currency="EUR",
            )
            for n in range(owners)
            for m in range(1 + n % 3)
        ],
        hours=24 * 40,
    )


@pytest.mark.parametrize("key", ["summary-owner", "win_rate-owner"])
def test_a_chart_of_some_says_of_how_many_and_shows_whom_the_table_shows(key: str) -> None:
    found = contents(crowd(54), forecasts=False)
    (entry,) = [entry for entry in found.entries if entry.key == key]
    chart: Any = entry.report.chart("it")
    drawn = chart.to_dict()
    assert "20 di 54, le maggiori" in json.dumps(drawn)
    first = entry.report.table["owner"].to_list()[:20]
    charted = {row["owner"] for rows in drawn["datasets"].values() for row in rows}
    assert charted == set(first)
    page = rendered(found, "en")
    table = page.split(f'<article id="{key}"')[1].split("</article>")[0]
    assert 'data-shown="20"' in table
    assert "Printed: 20 of 54 rows" in table


def test_the_month_that_is_not_over_is_marked() -> None:
    tables = crowd(9)
    note = "Not over yet: Feb 2026, with figures up to 14 Feb 2026, 10:00."
    rome = {"zone": "Europe/Rome"}
    running = tables_of([life("a", (24 * 39, "new"), (24 * 39.5, "won"))], hours=24 * 40)
    for report in (
        insight.win_rate(running, by="month", **rome),
        insight.arrivals(running, **rome),
    ):  # type: ignore[arg-type]
        assert report.notes[0]["en"] == note
        chart: Any = report.chart("en")
        rows = [row for part in chart.to_dict()["datasets"].values() for row in part]
        assert {row["over"] for row in rows if "over" in row} == {False}
    assert "Not over" not in str(insight.arrivals(tables).notes), "nothing came in February"


@given(
    st.lists(st.decimals(0, 10**6, places=2), min_size=2, max_size=5),
    st.sampled_from(["en", "it"]),
)
def test_the_amounts_of_one_table_have_the_same_decimals(
    values: list[Decimal], language: str
) -> None:
    deals = [
        life(f"d{n}", (n, stage), value=value, currency="EUR")
        for n, (value, stage) in enumerate(zip(values, ["new", "working"] * 3, strict=False))
    ]
    report = insight.summary(tables_of(deals), compared_with=START)
    texts = {
        cell.text
        for row in cells_of(report, Format(language)).rows
        for cell in row
        if "€" in cell.text
    }
    mark = {"en": ".", "it": ","}[language]
    assert len({mark in text for text in texts}) == 1


def test_who_asks_for_no_forecast_is_not_told_of_too_many_deals() -> None:
    asked = insight.page(few(), forecasts=False)
    assert "Forecast (not asked for)" in asked
    assert "so many deals" not in asked


def test_what_machines_get_is_json() -> None:
    found = contents(few(), forecasts=False)
    entry = next(found.entries)
    strange = entry.report.table.with_columns(share=pl.lit(float("nan")))
    report = attrs.evolve(entry.report, table=strange, columns={
        **entry.report.columns, "share": {"en": "Share", "it": "Quota"},
    })  # fmt: skip
    section = attrs.evolve(found.sections[0], entries=(attrs.evolve(entry, report=report),))
    record = record_of(attrs.evolve(found, sections=(section,)))
    written = json.dumps(record, allow_nan=False)
    assert json.loads(written)["reports"][0]["rows"][0]["share"] is None


def test_a_definition_is_folded_and_said_once(page: str) -> None:
    definition = html.escape(insight.win_rate(few()).definition).replace("&#x27;", "&#39;")
    assert page.count(definition) == 1
    assert f"<p>{definition}</p></details>" in page
    assert '<a href="#win_rate">Definition: as above</a>' in page
