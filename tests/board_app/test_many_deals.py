"""The board of a shop with fifty thousand deals, in a real browser."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import expect

from ladderpipe import Board, Event
from tests.board_app.browsing import IN_A_BROWSER, Open, browser, drag, in_stage, opened, says
from tests.board_app.shop import pipeline
from tests.board_app.sites import Site, site

__all__ = ["browser", "opened"]

pytestmark = IN_A_BROWSER

DEALS = 50_000
PAGE = 50
MOST = 500
"""Cards that a column shows at a time, and keeps at most."""


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("many")
    url = f"sqlite:///{folder / 'team.db'}"
    with Board.open(pipeline(), url) as board:
        board.handle_many(leads(dt.datetime.now(dt.UTC) - dt.timedelta(days=3)), quiet=True)
    with site("uvicorn", url, folder) as found:
        yield found


def leads(start: dt.datetime) -> Iterator[Event]:
    for number in range(DEALS):
        data = {
            "title": f"Offer {number}",
            "value": str(number % 977 * 100),
            "currency": "EUR",
            "owner": ("anna", "bea", "carla")[number % 3],
            "contact": {"name": f"Ada Rossi {number}"},
        }
        at = start + dt.timedelta(seconds=number)
        yield Event("lead", deal=f"deal-{number}", id=f"lead-{number}", at=at, data=data)


def test_the_board_shows_a_page_of_each_stage_and_counts_all(opened: Open, team: Site) -> None:
    page = opened()
    column = page.locator('.column[data-stage="contact"]')
    expect(column.locator(".card")).to_have_count(PAGE)
    expect(column.locator(".count")).to_have_text("50,000")


def test_a_card_among_them_is_dragged_and_taken_back(opened: Open, team: Site) -> None:
    page = opened()
    drag(page, "deal-7", "offer")
    says(page, "“Offer 7” is in “Offer sent” now.")
    expect(in_stage(page, "deal-7", "offer")).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    says(page, "Taken back: it is in “First contact” again.")
    expect(in_stage(page, "deal-7", "contact")).to_have_count(1)
    assert team.board.deal("deal-7").stage == "contact"


def test_a_column_keeps_no_more_cards_than_a_browser_bears(opened: Open, team: Site) -> None:
    page = opened()
    cards = page.locator('.column[data-stage="contact"] .card')
    more = page.locator('.column[data-stage="contact"] .next')
    for shown in range(PAGE, MOST, PAGE):
        expect(cards).to_have_count(shown)
        more.click()
    expect(cards).to_have_count(MOST)
    # What comes after them is a list, from where they end.
    more.click()
    expect(page.get_by_role("link", name="Offer 500", exact=True)).to_be_visible()


def test_with_all_its_cards_a_column_stays_up_to_date_and_takes_a_drag(
    opened: Open, team: Site
) -> None:
    page = opened()
    cards = page.locator('.column[data-stage="contact"] .card')
    more = page.locator('.column[data-stage="contact"] .next')
    for shown in range(PAGE, MOST, PAGE):
        expect(cards).to_have_count(shown)
        more.click()
    expect(cards).to_have_count(MOST)
    team.board.move("deal-3", "offer", by="bea")
    expect(in_stage(page, "deal-3", "offer")).to_have_count(1)
    expect(cards).to_have_count(MOST)
    drag(page, "deal-11", "offer")
    says(page, "“Offer 11” is in “Offer sent” now.")
    expect(in_stage(page, "deal-11", "offer")).to_have_count(1)


def test_one_of_them_is_found_by_its_contact(opened: Open, team: Site) -> None:
    page = opened("?search=rossi+43210")
    expect(page.locator(".columns .card")).to_have_count(1)
    expect(in_stage(page, "deal-43210", "contact")).to_have_count(1)
