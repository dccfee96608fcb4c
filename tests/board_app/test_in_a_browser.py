"""The board as people use it: in a real browser, by mouse, finger, keyboard, without a script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import expect

from ladderpipe import Board
from tests.board_app.browsing import (
    IN_A_BROWSER,
    Open,
    browser,
    card,
    column,
    drag,
    hide,
    in_stage,
    opened,
    says,
    wait_for,
    watched,
)
from tests.board_app.shop import renewals, tell
from tests.board_app.sites import KINDS, Site, site

__all__ = ["browser", "opened"]

pytestmark = IN_A_BROWSER

ONE_SERVER = pytest.mark.parametrize("team", KINDS[:1], indirect=True, ids="-".join)
"""For what every server shows alike."""

SEVERAL = pytest.mark.parametrize(
    "team", [(*kind, "several") for kind in KINDS[1:]], indirect=True, ids="-".join
)
"""The team's board, and that of renewals beside it."""

SOON = 2_000
"""Milliseconds of the page's own clock until it has asked what others did."""


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def team(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    kind, database, *more = request.param
    folder = tmp_path_factory.mktemp(f"{kind}-{database}")
    url = f"sqlite:///{folder / 'team.db'}"
    if database == "postgresql":
        url = request.getfixturevalue("postgres_server").new_database()
    with site(kind, url, folder, *more) as found:
        yield found


def test_a_card_is_dragged_with_the_mouse_and_taken_back(opened: Open, team: Site) -> None:
    deal, page = team.deal(), opened()
    drag(page, deal, "offer")
    says(page, f"“{deal}” is in “Offer sent” now. Starts: Call back (")
    expect(in_stage(page, deal, "offer")).to_have_count(1)
    assert team.stages(deal) == ["contact", "offer"]
    page.get_by_role("button", name="Undo").click()
    expect(in_stage(page, deal, "contact")).to_have_count(1)
    assert team.stages(deal) == ["contact"]


def test_a_drop_that_the_rules_do_not_allow_goes_back_and_says_why(
    opened: Open, team: Site
) -> None:
    deal, page = team.deal(), opened()
    drag(page, deal, "won")
    says(page, "Won: nothing leads there by hand from where it is.")
    expect(in_stage(page, deal, "contact")).to_have_count(1)
    assert team.stages(deal) == ["contact"]


def test_a_drop_counts_where_the_hand_let_go_however_quick_it_was(opened: Open, team: Site) -> None:
    deal, page = team.deal(), opened()
    start, end = card(page, deal).bounding_box(), column(page, "offer")
    assert start
    page.mouse.move(start["x"] + 40, start["y"] + 50)
    page.mouse.down()
    page.mouse.move(start["x"] + 45, start["y"] + 62, steps=3)
    expect(page.locator("body.dragging")).to_have_count(1)
    page.mouse.move(*end)
    page.mouse.up()
    says(page, f"“{deal}” is in “Offer sent” now.")
    assert team.stages(deal) == ["contact", "offer"]


def test_what_a_stage_requires_is_asked_for_before_one_request(opened: Open, team: Site) -> None:
    deal, page, posts = team.deal(), opened(), []
    page.on("request", lambda request: posts.append(request) if request.method == "POST" else None)
    drag(page, deal, "lost")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason for the loss").fill("too dear")
    page.keyboard.press("Enter")
    expect(in_stage(page, deal, "lost")).to_have_count(1)
    assert team.board.deal(deal).properties["loss_reason"] == "too dear"
    assert len(posts) == 1
    # Whoever closes the dialog has moved nothing.
    other = team.deal()
    page.reload()
    drag(page, other, "lost")
    dialog.get_by_role("button", name="Close").click()
    expect(in_stage(page, other, "contact")).to_have_count(1)
    assert team.stages(other) == ["contact"]


def test_a_card_is_moved_by_keyboard_alone(opened: Open, team: Site) -> None:
    deal, page = team.deal(), opened()
    card(page, deal).get_by_role("link", name=deal, exact=True).focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    focused = "document.activeElement.closest('dialog') !== null"
    assert page.evaluate(focused)
    page.get_by_role("dialog").get_by_role("button", name="Offer sent").focus()
    page.keyboard.press("Enter")
    expect(in_stage(page, deal, "offer")).to_have_count(1)
    card(page, deal).get_by_role("link", name=deal, exact=True).focus()
    page.keyboard.press("m")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_finger_swipes_to_scroll_and_presses_long_to_drag(opened: Open, team: Site) -> None:
    deal = team.deal()
    for _ in range(12):
        team.deal()
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    page = opened(f"?search={deal.split()[1]}".replace("?", "?sort=recent&"), **phone)
    page.goto(team.address)
    cdp = page.context.new_cdp_session(page)

    def touch(kind: str, x: float = 0, y: float = 0) -> None:
        points = [] if kind == "touchEnd" else [{"x": x, "y": y}]
        cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    cards = page.locator('.cards[data-stage="contact"]')
    box = cards.bounding_box()
    assert box
    x, y = box["x"] + 120, box["y"] + 300
    touch("touchStart", x, y)
    for step in range(1, 9):
        touch("touchMove", x, y - 25 * step)
        page.wait_for_timeout(16)
    touch("touchEnd")
    page.wait_for_function("document.querySelector('.cards[data-stage=contact]').scrollTop > 20")
    assert page.url == team.address
    pressed = page.locator('.cards[data-stage="contact"] .card').nth(4)
    pressed.scroll_into_view_if_needed()
    name = pressed.get_attribute("data-deal") or ""
    box = pressed.bounding_box()
    assert box
    x, y = box["x"] + 200, box["y"] + 45
    touch("touchStart", x, y)
    expect(page.locator(".card.sortable-chosen")).to_have_count(1)
    touch("touchMove", x + 10, y)
    expect(page.locator("body.dragging")).to_have_count(1)
    # At the edge the board scrolls, as fast as the machine lets it, until the next stage is there.
    under = "([x, y]) => document.elementFromPoint(x, y)?.closest('.column')?.dataset.stage"
    for step in range(1, 500):
        at = min(x + 10 * step, 345)
        touch("touchMove", at, y)
        if page.evaluate(under, [at, y]) == "offer":
            break
        page.wait_for_timeout(30)
    touch("touchEnd")
    says(page, f"“{name}” is in “Offer sent” now.")
    assert team.stages(name)[-1] == "offer"
    assert page.url == team.address


def test_what_somebody_else_moves_appears_with_focus_and_scroll_kept(
    opened: Open, team: Site
) -> None:
    source = f"scrolled {team.kind}"
    deal, mine, *_ = (team.deal(source=source) for _ in range(16))
    page = opened(f"?source={source}")
    page.clock.install()
    page.reload()
    cards = page.locator('.cards[data-stage="contact"]')
    card(page, mine).get_by_role("link", name=mine, exact=True).focus()
    cards.evaluate("cards => cards.scrollTop = 150")
    page.evaluate("window.focused = document.activeElement")
    before = card(page, mine).bounding_box()
    team.board.move(deal, "offer", by="bea")
    page.clock.run_for(SOON)
    expect(in_stage(page, deal, "offer")).to_have_count(1)
    assert page.evaluate("document.activeElement === window.focused")
    # The card above it is gone, and it is still where the eye was.
    assert card(page, mine).bounding_box() == before


@ONE_SERVER
def test_where_nothing_happens_nothing_is_asked(opened: Open, team: Site) -> None:
    deal, page = team.deal(), opened("tasks")
    asked, heard = watched(page)
    page.goto(team.address)
    wait_for(page, lambda: heard)
    asked.clear()
    for stage in ("offer", "won"):
        team.board.move(deal, stage, by="bea")
        expect(in_stage(page, deal, stage)).to_have_count(1)
    assert {path for path in asked if path != "/"} == set()
    assert len(asked) <= 4


@ONE_SERVER
def test_a_page_that_nobody_looks_at_is_told_nothing_until_somebody_does(
    opened: Open, team: Site
) -> None:
    deal, page = team.deal(), opened("tasks")
    asked, heard = watched(page)
    page.goto(team.address)
    wait_for(page, lambda: heard)
    with page.expect_event("requestfailed", lambda request: "/live" in request.url):
        hide(page, True)
    asked.clear()
    team.board.move(deal, "offer", by="bea")
    page.wait_for_timeout(2_000)
    assert asked == []
    hide(page, False)
    expect(in_stage(page, deal, "offer")).to_have_count(1)
    wait_for(page, lambda: "/live" in asked)


@ONE_SERVER
def test_where_nothing_can_be_told_the_page_asks(opened: Open, team: Site) -> None:
    deal, page = team.deal(), opened("tasks")
    page.route("**/live?*", lambda route: route.abort())
    page.goto(team.address)
    team.board.move(deal, "offer", by="bea")
    expect(in_stage(page, deal, "offer")).to_have_count(1)


@ONE_SERVER
def test_who_is_signed_out_is_told_and_keeps_what_is_shown(opened: Open, team: Site) -> None:
    deal, page = team.deal(), opened("tasks")
    page.route("**/live?*", lambda route: route.abort())
    page.goto(team.address)
    page.context.clear_cookies()
    says(page, "You are not signed in any more")
    expect(in_stage(page, deal, "contact")).to_have_count(1)
    page.context.add_cookies([{"name": "user", "value": "anna", "url": team.address}])
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#toasts")).to_have_text("")
    expect(in_stage(page, deal, "contact")).to_have_count(1)


def test_two_people_drag_one_card_and_the_second_is_asked(opened: Open, team: Site) -> None:
    deal, page = team.deal(), opened()
    drag(page, deal, "offer", meanwhile=lambda: _move(team, deal, "lost"))
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("bea moved it into “Lost”")
    expect(dialog).to_contain_text("Still move it into “Offer sent”?")
    dialog.get_by_role("button", name="Close").click()
    expect(in_stage(page, deal, "lost")).to_have_count(1)
    assert team.stages(deal) == ["contact", "lost"]


def test_a_card_that_left_and_came_back_during_a_drag_is_asked_about(
    opened: Open, team: Site
) -> None:
    deal, page = team.deal(), opened()

    def meanwhile() -> None:
        team.board.move(deal, "offer", by="bea")
        team.board.override(deal, "contact", by="bea")

    drag(page, deal, "offer", meanwhile=meanwhile)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("bea moved it into “First contact”")
    dialog.get_by_role("button", name="Move it all the same").click()
    expect(in_stage(page, deal, "offer")).to_have_count(1)
    assert team.stages(deal) == ["contact", "offer", "contact", "offer"]


def _move(team: Site, deal: str, stage: str) -> None:
    team.board.move(deal, stage, by="bea", properties={"loss_reason": "gone"})


def test_a_server_that_is_gone_during_a_drag_changes_nothing_and_is_told(
    opened: Open, team: Site
) -> None:
    deal, page = team.deal(), opened()
    drag(page, deal, "offer", meanwhile=team.stop)
    try:
        says(page, "The server cannot be reached. Nothing was changed.")
        expect(in_stage(page, deal, "contact")).to_have_count(1)
    finally:
        team.start()
    page.get_by_role("button", name="Try again").click()
    expect(in_stage(page, deal, "offer")).to_have_count(1)
    assert team.stages(deal) == ["contact", "offer"]


def test_everything_can_be_done_without_a_script(opened: Open, team: Site) -> None:
    deal = team.deal()
    page = opened(java_script_enabled=False)
    page.get_by_role("link", name=f"Move “{deal}”").click()
    page.get_by_role("button", name="Offer sent").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(deal)
    assert team.stages(deal) == ["contact", "offer"]
    page.get_by_role("button", name="Undo the last change").click()
    assert team.stages(deal) == ["contact"]
    page.get_by_label("Note").fill("called")
    page.get_by_role("button", name="Add the note").click()
    expect(page.locator(".timeline")).to_contain_text("called")
    page.get_by_label("Reason for the loss").fill("no budget")
    page.get_by_role("button", name="Lost").click()
    assert team.stages(deal) == ["contact", "lost"]


def test_a_folded_column_takes_drops(opened: Open, team: Site) -> None:
    deal = team.deal()
    page = opened("?fold=offer")
    expect(page.locator('.column[data-stage="offer"]')).to_have_class("column open folded")
    drag(page, deal, "offer")
    says(page, f"“{deal}” is in “Offer sent” now.")
    assert team.stages(deal) == ["contact", "offer"]


@ONE_SERVER
def test_a_long_column_is_read_on_and_keeps_what_was_read_when_others_move(
    opened: Open, team: Site
) -> None:
    deals = [team.deal(source="fair") for _ in range(60)]
    page = opened("?source=fair")
    cards = page.locator('.column[data-stage="contact"] .card')
    expect(cards).to_have_count(50)
    page.get_by_role("link", name="Show more").click()
    expect(cards).to_have_count(60)
    last = cards.last.get_attribute("data-deal") or ""
    first = cards.first.get_attribute("data-deal") or ""
    team.board.move(first, "offer", by="bea")
    expect(in_stage(page, first, "offer")).to_have_count(1)
    expect(cards).to_have_count(59)
    expect(in_stage(page, last, "contact")).to_have_count(1)
    # Other tests look for their cards on the first page.
    team.board.move_many(deals, "lost", by="anna", properties={"loss_reason": "a test"})


@ONE_SERVER
def test_a_card_that_was_moved_is_in_view_wherever_the_order_has_put_it(
    opened: Open, team: Site
) -> None:
    deals = [team.deal(source="view") for _ in range(14)]
    team.board.move_many(deals[1:], "offer", by="anna")
    page = opened("?source=view")
    drag(page, deals[0], "offer")
    says(page, f"“{deals[0]}” is in “Offer sent” now.")
    # The longest in their stage come first.
    last = page.locator('.column[data-stage="offer"] .card').last
    expect(last).to_have_attribute("data-deal", deals[0])
    expect(last).to_be_in_viewport(ratio=0.9)


@ONE_SERVER
def test_arrows_walk_from_card_to_card(opened: Open, team: Site) -> None:
    one, two, three = (team.deal(source="arrows") for _ in range(3))
    team.board.move(three, "offer", by="anna")
    page = opened("?source=arrows")
    focused = "document.activeElement.closest('.card')?.dataset.deal"
    card(page, one).get_by_role("link", name=one, exact=True).focus()
    for key, deal in (("ArrowDown", two), ("ArrowRight", three), ("ArrowLeft", one)):
        page.keyboard.press(key)
        assert page.evaluate(focused) == deal


@ONE_SERVER
def test_nothing_is_left_with_a_move_under_way_unasked(opened: Open, team: Site) -> None:
    deal, page, asked = team.deal(), opened(), []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    waiting: list[Any] = []
    page.route("**/move", lambda route: waiting.append(route))
    with page.expect_request("**/move"):
        drag(page, deal, "offer")
    page.evaluate("location.reload()")
    page.wait_for_event("load")
    assert asked == ["beforeunload"]


@ONE_SERVER
def test_several_deals_are_chosen_in_the_list(opened: Open, team: Site) -> None:
    deals = [team.deal(source="several") for _ in range(3)]
    page = opened("?view=list&source=several")
    for deal in deals[:2]:
        page.get_by_label(f"Choose “{deal}”").check()
    page.get_by_label("Move into").select_option("lost")
    page.get_by_label("Reason for the loss").fill("all at once")
    page.get_by_role("button", name="Move", exact=True).click()
    expect(page.locator(".notice")).to_contain_text("2 deals were changed.")
    assert [team.stages(deal)[-1] for deal in deals] == ["lost", "lost", "contact"]


@ONE_SERVER
def test_what_is_ticked_and_half_written_outlasts_what_others_do(opened: Open, team: Site) -> None:
    chosen, other = team.deal(source="half"), team.deal(source="half")
    page = opened("?view=list&source=half")
    page.get_by_label(f"Choose “{chosen}”").check()
    page.get_by_label("Reason for the loss").fill("too dear")
    page.get_by_label("Move into").select_option("lost")
    team.board.move(other, "offer", by="bea")
    expect(page.get_by_role("row", name=other)).to_contain_text("Offer sent")
    expect(page.get_by_label(f"Choose “{chosen}”")).to_be_checked()
    expect(page.get_by_label("Reason for the loss")).to_have_value("too dear")
    expect(page.get_by_label("Move into")).to_have_value("lost")


@ONE_SERVER
def test_a_filter_that_is_chosen_counts_at_once_and_stands_in_the_address(
    opened: Open, team: Site
) -> None:
    team.deal(owner="bea")
    page = opened()
    page.get_by_label("Sort by").select_option("value")
    page.wait_for_url("**/?sort=value")
    page.get_by_role("link", name="Mine").click()
    page.wait_for_url("**/?*owner=anna*")


@ONE_SERVER
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_found_by_axe(opened: Open, team: Site, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    deal = team.deal(owner="anna")
    team.board.move(deal, "offer", by="anna")
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    for path in ("", "?view=list", f"deal?deal={deal}", f"options?deal={deal}", "tasks", "nowhere"):
        page = opened(path, color_scheme=scheme, bypass_csp=True)
        found = Axe().run(page, options={"runOnly": rules}).response["violations"]
        told = [(each["id"], [node["html"][:120] for node in each["nodes"]][:3]) for each in found]
        assert told == [], path


@ONE_SERVER
@pytest.mark.parametrize("language", ["en", "it"])
def test_a_phone_scrolls_sideways_in_the_board_alone(
    opened: Open, team: Site, language: str
) -> None:
    long = "Trattativa con un titolo molto lungo e unaparolachenonfiniscemaidavvero" * 2
    deal = team.deal(
        title=long, company="Donaudampfschifffahrtsgesellschaft" * 3, value="123456789.5"
    )
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    for path in ("", "?view=list", f"deal?deal={deal}", f"options?deal={deal}", "tasks"):
        page = opened(path, language=language, **phone)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
    heights = opened("", **phone).locator(".card").evaluate_all("c => c.map(e => e.offsetHeight)")
    assert len(set(heights)) == 1


# -- several pipelines ------------------------------------------------------------------------


def renewal(team: Site) -> str:
    """Open a deal of the other pipeline, of the customer whom all deals are with."""
    with Board.open(renewals(), team.url) as board:
        deal = f"renewal {team.deal()}"
        now = board.clock.now()
        contact = {"email": "ada@example.com"}
        tell(board, deal, now, title=deal, owner="anna", contact=contact)
    return deal


def renewal_stages(team: Site, deal: str) -> list[str]:
    with Board.open(renewals(), team.url, read_only=True) as board:
        return [visit.stage.key for visit in board.history(deal).visits]


@SEVERAL
def test_people_go_over_to_another_pipeline_and_work_there(opened: Open, team: Site) -> None:
    deal, page = renewal(team), opened("team/")
    page.get_by_role("button", name="Team sales").click()
    page.get_by_role("navigation", name="Pipelines").get_by_role("link", name="Renewals").click()
    page.wait_for_url("**/renewals/")
    drag(page, deal, "renewed")
    says(page, f"“{deal}” is in “Renewed” now.")
    assert renewal_stages(team, deal) == ["due", "renewed"]
    page.get_by_role("button", name="Undo").click()
    expect(in_stage(page, deal, "due")).to_have_count(1)
    assert renewal_stages(team, deal) == ["due"]


@SEVERAL
def test_deals_of_any_pipeline_are_worked_on_from_one_page(opened: Open, team: Site) -> None:
    deal = renewal(team)
    page = opened("tasks")
    page.get_by_role("link", name="Everybody's").click()
    page.wait_for_url("**/tasks?of=all")
    mine = team.deal(owner="anna")
    page.goto(f"{team.address}team/deal?deal={mine}")
    page.get_by_role("link", name=deal, exact=True).click()
    page.wait_for_url("**/renewals/deal?*")
    page.get_by_role("link", name="Other deals of this customer").click()
    page.wait_for_url("**/customer?*")  # or who is quicker than the script is asked without it
    page.locator(".card", has_text=mine).get_by_role("link", name="Move").click()
    page.get_by_role("dialog").get_by_role("button", name="Offer sent").click()
    says(page, f"“{mine}” is in “Offer sent” now.")
    assert team.stages(mine) == ["contact", "offer"]
    page.get_by_role("button", name="Undo").click()
    says(page, "Taken back")
    assert team.stages(mine) == ["contact"]


@SEVERAL
def test_several_pipelines_need_no_script(opened: Open, team: Site) -> None:
    deal = renewal(team)
    page = opened("team/", java_script_enabled=False)
    page.get_by_role("button", name="Team sales").click()
    page.get_by_role("navigation", name="Pipelines").get_by_role("link", name="Renewals").click()
    page.get_by_role("link", name="What needs me").click()
    page.wait_for_url("**/tasks")
    task = page.locator("li.on", has_text=deal).locator("+ li.task")
    task.get_by_role("button", name="Done").click()
    page.wait_for_url(f"{team.address}tasks")
    expect(page.locator("li.on", has_text=deal)).to_have_count(0)
    page.goto(f"{team.address}renewals/options?deal={deal}")
    page.get_by_role("button", name="Renewed").click()
    assert renewal_stages(team, deal) == ["due", "renewed"]


@SEVERAL
def test_axe_finds_nothing_where_there_are_several(opened: Open, team: Site) -> None:
    from axe_playwright_python.sync_playwright import Axe

    deal = renewal(team)
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    for path in ("renewals/", "tasks", f"renewals/deal?deal={deal}", "nowhere/"):
        page = opened(path, bypass_csp=True)
        page.locator("button.brand").click()
        expect(page.get_by_role("navigation", name="Pipelines")).to_be_visible()
        found = Axe().run(page, options={"runOnly": rules}).response["violations"]
        told = [(each["id"], [node["html"][:120] for node in each["nodes"]][:3]) for each in found]
        assert told == [], path
        phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
        page = opened(path, language="it", **phone)
        page.locator("button.brand").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
