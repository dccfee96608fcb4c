"""The page of reports as a reader has it: in a real browser, without a network."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Page, sync_playwright

from ladderpipe import insight

from .test_page import HOSTILE, few

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
    pytest.mark.xdist_group("browser"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu"]
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield running
        running.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page of five deals, with names that would like to be scripts."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    told = few(owner=HOSTILE, source=HOSTILE, title=HOSTILE)
    # A third currency, so that the table of stages is a long one.
    dollars = pl.when(pl.col("deal") == "d-5").then(pl.lit("USD")).otherwise("currency")
    tables = attrs.evolve(told, changes=told.changes.with_columns(currency=dollars))
    late = tables.at(tables.as_of - dt.timedelta(days=1))
    path.write_text(insight.page(late, language="it", forecasts=False), "utf-8")
    return path


@pytest.fixture
def opened(browser: Any, file: Path) -> Iterator[tuple[Page, list[str]]]:
    """Return the page, drawn, and what it asked for or complained of."""
    context = browser.new_context(offline=True, color_scheme="light")
    page, heard = context.new_page(), []
    page.on("request", lambda request: heard.append(request.url))
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("dialog", lambda dialog: heard.append(dialog.message))
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-drawn]")
    yield page, heard
    context.close()


def test_the_page_draws_itself_asks_for_nothing_and_has_nothing_to_complain_of(
    opened: tuple[Page, list[str]], file: Path
) -> None:
    page, heard = opened
    assert heard == [file.as_uri()]
    charts, drawn = page.locator(".chart"), page.locator(".chart svg")
    assert charts.count() == drawn.count() > 5
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_bar_says_more_where_the_pointer_rests(opened: tuple[Page, list[str]]) -> None:
    page, _ = opened
    page.locator("#funnel .chart svg .mark-rect path").first.hover()
    told = page.locator("#vg-tooltip-element.visible")
    told.wait_for()
    assert "Fase" in told.inner_text()


def test_a_click_on_a_heading_sorts_by_number_and_another_turns_it_round(
    opened: tuple[Page, list[str]],
) -> None:
    page, _ = opened
    table = page.locator("#summary table")
    heading = table.locator("th", has_text="Trattative").first
    column = heading.evaluate("heading => heading.cellIndex") + 1
    for order in ("descending", "ascending"):
        heading.locator("button").press("Enter")
        assert heading.get_attribute("aria-sort") == order
        cells = table.locator(f"tbody td:nth-child({column})")
        numbers = [
            float(str(key)) for key in cells.evaluate_all("all => all.map(c => c.dataset.key)")
        ]
        assert numbers == sorted(numbers, reverse=order == "descending")
        assert len(set(numbers)) > 1


def test_a_long_table_shows_all_when_asked(opened: tuple[Page, list[str]]) -> None:
    page, _ = opened
    article = page.locator("article", has=page.locator(".more")).first
    shown = article.locator("tbody tr:visible")
    assert shown.count() == 12
    article.locator(".more button").click()
    assert shown.count() == article.locator("tbody tr").count() > 12


def test_the_page_turns_dark_with_the_system_and_with_its_button(
    opened: tuple[Page, list[str]],
) -> None:
    page, _ = opened

    def colours() -> list[str]:
        return page.evaluate(
            "[document.body, document.querySelector('.chart svg text')]"
            ".map((e, i) => getComputedStyle(e)[i ? 'fill' : 'backgroundColor'])"
        )

    light = colours()
    page.emulate_media(color_scheme="dark")
    dark = colours()
    assert all(one != other for one, other in zip(light, dark, strict=True))
    page.locator("#theme").click()
    assert colours() == light
    page.locator("#theme").click()
    page.emulate_media(media="print")
    assert colours() == light


def test_an_amount_is_told_as_the_tables_tell_it(opened: tuple[Page, list[str]]) -> None:
    page, _ = opened
    bars = page.locator("#summary .chart svg .mark-rect path")
    told = bars.evaluate_all("all => all.map(bar => bar.getAttribute('aria-label'))")
    assert any("Valore: 1.234,56\N{NO-BREAK SPACE}€" in text for text in told)


def test_names_take_room_from_the_bars_and_not_from_the_page(browser: Any, tmp_path: Path) -> None:
    """Nothing is decided yet, and the timer that will decide has a long name."""
    path = tmp_path / "report.html"
    tables = few(owner="Alessandra Castelbarco-Montefeltro of the third office").at(
        "2026-01-06T20:00:00Z"
    )
    path.write_text(insight.page(tables, forecasts=False), "utf-8")
    context = browser.new_context(offline=True, viewport={"width": 900, "height": 900})
    page, heard = context.new_page(), []
    page.on("console", lambda message: heard.append(message.text))
    page.goto(path.as_uri())
    page.locator("html[data-drawn]").wait_for()
    assert heard == []
    assert page.locator(".chart svg").count() == page.locator(".chart").count() > 2
    wider = page.locator(".chart svg").evaluate_all(
        "all => all.filter(s => s.getBoundingClientRect().width > "
        "s.closest('.chart').clientWidth + 1).map(s => s.closest('article').id)"
    )
    assert wider == []
    context.close()


def test_on_a_telephone_nothing_is_wider_than_the_screen(browser: Any, file: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-drawn]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()
