"""A real browser before the team's board, and what a hand does there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from tests.board_app.sites import Site

__all__ = [
    "IN_A_BROWSER",
    "Open",
    "browser",
    "card",
    "column",
    "drag",
    "hide",
    "in_stage",
    "opened",
    "says",
    "wait_for",
    "watched",
]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

IN_A_BROWSER = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
    pytest.mark.xdist_group("browser"),
]

PATIENCE = 30_000
"""Milliseconds until a test gives up waiting for what a page is to show."""

expect.set_options(timeout=PATIENCE)

Open: TypeAlias = Callable[..., Page]
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (e) => violations.push(e.violatedDirective));
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu"]
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield running
        running.close()


@pytest.fixture
def opened(browser: Any, team: Site) -> Iterator[Open]:
    """Return what opens the board for somebody, and watches over what the page does."""
    contexts: list[BrowserContext] = []
    failures: list[str] = []

    def open_(path: str = "", user: str = "anna", language: str = "en", **settings: Any) -> Page:
        size = {"viewport": {"width": 1500, "height": 800}}
        context = browser.new_context(**{**size, **settings})
        contexts.append(context)
        told = {"user": user, "language": language}
        context.add_cookies(
            [{"name": name, "value": value, "url": team.address} for name, value in told.items()]
        )
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.add_init_script(WATCH)
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(team.address + path)
        if settings.get("java_script_enabled", True):
            page.wait_for_selector("html.js")
        return page

    yield open_
    for context in contexts:
        for page in context.pages:
            page.wait_for_load_state()
            if page.evaluate("document.documentElement.classList.contains('js')"):
                assert page.evaluate("window.violations") == []
        context.close()
    assert failures == []


def card(page: Page, deal: str) -> Any:
    return page.locator(f'.columns .card[data-deal="{deal}"]')


def in_stage(page: Page, deal: str, stage: str) -> Any:
    return page.locator(f'.column[data-stage="{stage}"] .card[data-deal="{deal}"]')


def drag(page: Page, deal: str, stage: str, meanwhile: Callable[[], None] | None = None) -> None:
    """Drag a card with the mouse into the middle of a column."""
    card(page, deal).scroll_into_view_if_needed()
    start, end = card(page, deal).bounding_box(), column(page, stage)
    assert start
    x, y = start["x"] + 40, start["y"] + 50
    page.mouse.move(x, y)
    page.mouse.down()
    with page.expect_response("**/options?*"):
        page.mouse.move(x + 5, y + 12, steps=3)
    if meanwhile:
        meanwhile()
    page.mouse.move(end[0], end[1], steps=12)
    page.mouse.move(end[0] + 2, end[1] + 2, steps=3)
    page.mouse.up()


def column(page: Page, stage: str) -> tuple[float, float]:
    box = page.locator(f'.cards[data-stage="{stage}"]').bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + 40


def says(page: Page, text: str) -> None:
    expect(page.locator("#toasts")).to_contain_text(text)


def watched(page: Page) -> tuple[list[str], list[str]]:
    """Return the paths that a page asks for from now on, and the events that it is told."""
    asked: list[str] = []
    heard: list[str] = []

    def note(path: str) -> None:
        if path != "/static/icon.svg":  # which the browser asks for by itself, whenever it likes
            asked.append(path)

    page.on("request", lambda request: note(urlsplit(request.url).path))
    cdp = page.context.new_cdp_session(page)
    cdp.send("Network.enable")
    cdp.on("Network.eventSourceMessageReceived", lambda told: heard.append(told["eventName"]))
    return asked, heard


def wait_for(page: Page, happened: Callable[[], object]) -> None:
    for _ in range(PATIENCE // 20):
        if happened():
            return
        page.wait_for_timeout(20)
    pytest.fail("it did not happen")


def hide(page: Page, is_hidden: bool) -> None:
    """Do to a page what a browser does when somebody looks at another tab."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        is_hidden,
    )
