"""The pages without any script: what they show, what their forms do, and the same as JSON."""

from __future__ import annotations

import datetime as dt
import html
import re
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest

from ladderpipe import Board, Event, ManualClock
from tests.board_app.clients import Clients
from tests.board_app.shop import tell

JSON = {"Accept": "application/json"}
PAGES = ["/", "/?view=list", "/column?stage=contact", "/deal?deal=d-1", "/options?deal=d-1"]
PAGES += ["/customer?key=d-1@example.com", "/tasks", "/tasks?of=all", "/changes"]


class Forms(HTMLParser):
    """Gathers the forms of a page, as a browser would send them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        told = dict(attributes)
        if tag == "form" and told.get("method") == "post":
            self.found.append((told.get("action") or "", {}))
        elif tag in ("input", "textarea") and self.found and "name" in told:
            self.found[-1][1][told["name"] or ""] = told.get("value") or ""


def form(html: str, action: str, **having: str) -> dict[str, str]:
    """Return the fields of the form that leads to an act."""
    return next(
        fields
        for name, fields in Forms(html).found
        if name == action and having.items() <= fields.items()
    )


def stages(board: Board, deal: str) -> list[str]:
    return [visit.stage.key for visit in board.history(deal).visits]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_there_for_people_and_for_programs(client: Clients, page: str) -> None:
    shown = client().get(page)
    assert shown.status_code == 200
    assert shown.headers["content-type"].startswith("text/html")
    told = client().get(page, headers=JSON)
    assert told.status_code == 200
    assert isinstance(told.json(), dict)


@pytest.mark.parametrize("page", PAGES)
def test_nothing_stands_inline_and_nothing_comes_from_elsewhere(client: Clients, page: str) -> None:
    response = client().get(page)
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not re.search(
        r"<style|\sstyle=|\son[a-z]+=|javascript:|(?:src|href)=\"(?:https?:)?//", response.text
    )
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", response.text))


def test_the_kanban_has_a_column_a_stage_with_count_value_and_weighted_value(
    client: Clients,
) -> None:
    page = client().get("/").text
    assert re.findall(r'<h2 id="h-[^"]+">([^<]+)', page) == [
        "First contact",
        "Offer sent",
        "Gone cold",
        "Won",
        "Lost",
    ]
    assert "€4,800" in page
    assert "€480" in page
    column = client().get("/", headers=JSON).json()["columns"][0]
    assert (column["stage"], column["count"]) == ("contact", 4)
    (total,) = column["totals"]
    worth = Decimal(total["value"]), Decimal(total["weighted_value"])
    assert (total["currency"], *worth) == ("EUR", 4800, 480)


def test_filters_stand_in_the_address_and_count_in_the_totals(client: Clients) -> None:
    found = client().get("/?owner=anna", headers=JSON).json()["columns"][0]
    assert [deal["id"] for deal in found["deals"]] == ["d-1", "d-2"]
    assert Decimal(found["totals"][0]["value"]) == 2400
    found = client().get("/?view=list&search=d-3", headers=JSON).json()
    assert [deal["id"] for deal in found["deals"]] == ["d-3"]


def test_a_list_goes_on_page_by_page(client: Clients) -> None:
    seen: list[str] = []
    page = client().get("/?view=list&sort=title&limit=3", headers=JSON).json()
    seen += [deal["id"] for deal in page["deals"]]
    after = page["next"]
    page = client().get(f"/?view=list&sort=title&limit=3&after={after}", headers=JSON).json()
    seen += [deal["id"] for deal in page["deals"]]
    assert (seen, page["next"]) == (["d-1", "d-2", "d-3", "d-4"], None)


def test_tasks_go_on_page_by_page(client: Clients, board: Board, clock: ManualClock) -> None:
    for number in range(60):
        tell(board, f"more-{number:02}", clock.now(), owner="bea" if number % 2 else "anna")
        board.move(f"more-{number:02}", "offer", by="anna")
        clock.advance(minutes=1)
    anna, seen = client(), []
    page = anna.get("/tasks?of=all", headers=JSON).json()
    while True:
        seen += [task["deal"] for task in page["tasks"]]
        assert page["count"] == 60
        if page["next"] is None:
            break
        page = anna.get(f"/tasks?of=all&after={page['next']}", headers=JSON).json()
    assert seen == [f"more-{number:02}" for number in range(60)]
    mine = anna.get("/tasks", headers=JSON).json()
    assert (len(mine["tasks"]), mine["count"], mine["next"]) == (30, 30, None)
    shown = anna.get("/tasks?of=all").text
    assert "60 tasks within a day" in shown
    following = re.search(r'href="(tasks[^"]+)" rel="next"', shown)
    assert following is not None
    last = anna.get("/" + html.unescape(following[1])).text
    assert "more-59" in last
    assert "more-10" not in last
    assert anna.get("/tasks?after=nonsense").status_code == 400
    # What a colleague may not see is in no page and in no count.
    cleo = client("cleo").get("/tasks?of=all", headers=JSON).json()
    assert (cleo["tasks"], cleo["count"]) == ([], 0)


def test_what_is_held_of_ones_own_is_found_behind_that_of_others(
    client: Clients, board: Board, clock: ManualClock
) -> None:
    for number in range(55):
        far = Event("lead", deal="d-1", id=f"f{number}", at=clock.now() + dt.timedelta(days=900))
        board.handle(far, hold=True)
    clock.advance(minutes=1)
    far = Event("lead", deal="d-3", id="far", at=clock.now() + dt.timedelta(days=900))
    board.handle(far, hold=True)
    told = client("bea").get("/tasks", headers=JSON).json()
    assert [each["event"]["deal"] for each in told["held"]] == ["d-3"]
    assert len(client().get("/tasks", headers=JSON).json()["held"]) == 50


def test_a_form_moves_a_deal_and_leads_back_to_it(client: Clients, board: Board) -> None:
    anna = client()
    fields = form(anna.get("/options?deal=d-1").text, "move", into="offer")
    answer = anna.post("/move", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "deal?deal=d-1")
    assert stages(board, "d-1") == ["contact", "offer"]
    assert board.history("d-1").moves[-1].event.data["by"] == "anna"
    # Sent twice, it is done once.
    assert anna.post("/move", data=fields).status_code == 303
    assert stages(board, "d-1") == ["contact", "offer"]


def test_a_move_brings_what_the_stage_requires(client: Clients, board: Board) -> None:
    anna = client()
    refused = anna.post("/move", json={"deal": "d-1", "into": "lost"}, headers=JSON)
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["missing"] == ["loss_reason"]
    fields = form(anna.get("/options?deal=d-1").text, "move", into="lost")
    assert fields["property.loss_reason"] == ""
    anna.post("/move", data={**fields, "property.loss_reason": "price"})
    assert board.deal("d-1").stage == "lost"
    assert board.deal("d-1").properties["loss_reason"] == "price"


def test_what_the_rules_do_not_allow_is_refused_with_where_it_may_go(
    client: Clients, board: Board
) -> None:
    answer = client().post("/move", json={"deal": "d-1", "into": "won"}, headers=JSON)
    problem = answer.json()
    assert (answer.status_code, problem["allowed"]) == (409, ["offer", "lost"])
    assert "by_hand" not in problem["detail"]
    assert "board." not in problem["detail"]
    assert stages(board, "d-1") == ["contact"]


def test_a_card_that_is_no_longer_where_it_was_seen_is_not_moved(
    client: Clients, board: Board, clock: ManualClock
) -> None:
    anna = client()
    anna.post("/move", data={"deal": "d-1", "into": "offer"})
    clock.advance(hours=49)
    seen = {"deal": "d-1", "into": "lost", "expecting": "offer", "property.loss_reason": "late"}
    answer = anna.post("/move", data=seen, headers=JSON)
    problem = answer.json()
    assert (answer.status_code, problem["stale"], problem["expecting"]) == (409, True, "cold")
    assert "Its timer moved it into “Gone cold” (4 Mar 2026, 09:00)." in problem["detail"]
    assert "Still move it into “Lost”?" in problem["detail"]
    # In a browser without a script, the page that says so has the button for it.
    page = anna.post("/move", data=seen).text
    assert form(page, "move")["expecting"] == "cold"
    anna.post("/move", data={**seen, "expecting": "cold"})
    assert stages(board, "d-1") == ["contact", "offer", "cold", "lost"]


def test_a_card_that_left_and_came_back_is_not_the_one_that_was_seen(
    client: Clients, board: Board, clock: ManualClock
) -> None:
    anna = client()
    fields = form(anna.get("/options?deal=d-1").text, "move", into="lost")
    card = re.search(
        r'data-deal="d-1" data-stage="contact" data-entered="([^"]+)"', anna.get("/").text
    )
    assert card is not None
    assert card[1] == fields["entered"]
    clock.advance(minutes=5)
    board.move("d-1", "offer", by="bea")
    clock.advance(minutes=5)
    board.override("d-1", "contact", by="bea")
    sent = {**fields, "property.loss_reason": "late"}
    answer = anna.post("/move", data=sent, headers=JSON)
    problem = answer.json()
    assert (answer.status_code, problem["stale"]) == (409, True)
    assert "bea moved it into “First contact” (2 Mar 2026, 09:10)." in problem["detail"]
    assert "Still move it into “Lost”?" in problem["detail"]
    again = form(anna.post("/move", data=sent).text, "move")
    assert again["entered"] != fields["entered"]
    assert anna.post("/move", data={**sent, **again}).status_code == 303
    assert stages(board, "d-1") == ["contact", "offer", "contact", "lost"]


def test_what_is_refused_where_it_was_seen_is_not_said_to_be_stale(
    client: Clients, board: Board
) -> None:
    anna = client()
    fields = form(anna.get("/options?deal=d-1").text, "move", into="lost")
    refused = anna.post("/move", json={**fields, "into": "won"}, headers=JSON).json()
    assert "stale" not in refused
    assert refused["allowed"] == ["offer", "lost"]


def test_a_card_whose_time_was_corrected_is_asked_about(
    client: Clients, board: Board, clock: ManualClock
) -> None:
    seen = {
        "deal": "d-1",
        "into": "offer",
        "expecting": "contact",
        "entered": "2026-03-01T00:00:00Z",
    }
    problem = client().post("/move", data=seen, headers=JSON).json()
    assert (problem["status"], problem["stale"], problem["settled"]) == (409, True, False)
    odd = client().post("/move", data={**seen, "entered": "yesterday"}, headers=JSON)
    assert odd.status_code == 400


def test_what_was_done_by_hand_is_taken_back_for_ten_minutes(
    client: Clients, board: Board, clock: ManualClock
) -> None:
    anna = client()
    anna.post("/move", data={"deal": "d-1", "into": "offer"})
    clock.advance(minutes=9)
    anna.post("/undo", data=form(anna.get("/deal?deal=d-1").text, "undo"))
    assert stages(board, "d-1") == ["contact"]
    done = anna.post("/move", json={"deal": "d-1", "into": "offer"}, headers=JSON).json()
    clock.advance(minutes=11)
    assert 'action="undo"' not in anna.get("/deal?deal=d-1").text
    late = anna.post("/undo", data={"deal": "d-1", "event": done["undo"]})
    assert late.status_code == 409
    assert board.deal("d-1").stage == "offer"


def test_a_deal_is_edited_and_noted_upon(client: Clients, board: Board) -> None:
    anna = client()
    fields = form(anna.get("/deal?deal=d-1").text, "edit", title="Deal d-1")
    changed = {"value": "990.50", "owner": "bea", "next_step": "call", "contact.phone": "123"}
    assert anna.post("/edit", data={**fields, **changed}).status_code == 303
    deal = board.deal("d-1")
    assert (str(deal.value), deal.owner) == ("990.50", "bea")
    assert (deal.properties["next_step"], deal.contact["phone"]) == ("call", "123")
    assert deal.title == "Deal d-1"
    anna.post("/edit", data={"deal": "d-1", "note": "They want\nblue ones"})
    page = anna.get("/deal?deal=d-1").text
    assert "They want\nblue ones" in page
    assert "anna noted" in page
    assert "anna changed: Contact, Owner, Properties, Value" in page


def test_saving_what_was_not_changed_tells_nothing(client: Clients, board: Board) -> None:
    anna = client()
    fields = form(anna.get("/deal?deal=d-1").text, "edit", title="Deal d-1")
    before = len(board.events("d-1"))
    anna.post("/edit", data=fields)
    assert len(board.events("d-1")) == before


def test_the_page_of_a_deal_says_why_it_is_where_it_is(
    client: Clients, clock: ManualClock, board: Board
) -> None:
    anna = client()
    anna.post("/move", data={"deal": "d-1", "into": "offer", "reason": "they asked"})
    clock.advance(hours=49)
    board.tick()
    page = anna.get("/deal?deal=d-1").text
    assert "Moved by its timer from “Offer sent” to “Gone cold”" in page
    assert "anna moved it from “First contact” to “Offer sent”" in page
    assert "they asked" in page
    assert "Call back – cancelled, the deal moved on" in page


def test_tasks_are_done_where_they_are_shown(client: Clients, board: Board) -> None:
    anna = client()
    anna.post("/move", data={"deal": "d-1", "into": "offer"})
    page = anna.get("/tasks").text
    assert "Call back" in page
    answer = anna.post("/done", data=form(page, "done"))
    assert (answer.status_code, answer.headers["location"]) == (303, "tasks")
    assert board.tasks() == []
    assert anna.post("/done", data=form(page, "done")).status_code == 404


def test_a_task_is_given_to_somebody(client: Clients, board: Board) -> None:
    anna = client()
    anna.post("/move", data={"deal": "d-1", "into": "offer"})
    (task,) = board.tasks()
    anna.post("/assign", data={"deal": "d-1", "key": task.key, "to": "bea"})
    assert board.tasks()[0].owner == "bea"


def test_several_deals_are_moved_at_once_and_the_refused_ones_are_named(
    client: Clients, board: Board
) -> None:
    anna = client()
    anna.post("/move", data={"deal": "d-2", "into": "offer"})
    chosen = {"deal": ["d-1", "d-2", "nobody"], "into": "offer"}
    answer = anna.post("/moves", json=chosen, headers=JSON).json()
    assert answer["done"] == 1
    assert [(f["deal"], f["status"]) for f in answer["failures"]] == [("d-2", 409), ("nobody", 404)]
    assert board.deal("d-1").stage == "offer"
    page = anna.post("/moves", data={"deal": ["d-3", "d-4"], "into": "offer"})
    assert page.headers["location"] == "./?view=list&done=2"
    assert "2 deals were changed." in anna.get(page.headers["location"]).text
    anna.post("/edits", data={"deal": ["d-3", "d-4"], "owner": "carla"})
    assert {board.deal(deal).owner for deal in ("d-3", "d-4")} == {"carla"}


def test_changes_are_told_once_and_then_cost_nothing(
    client: Clients, board: Board, clock: ManualClock
) -> None:
    anna = client()
    clock.advance(minutes=2)
    since = re.search(r'data-since="([^"]+)"', anna.get("/").text)
    assert since is not None
    quiet = anna.get("/changes", params={"after": since[1]}, headers=JSON)
    assert quiet.json()["is_news"] is False
    known = {**JSON, "If-None-Match": quiet.headers["etag"]}
    again = anna.get("/changes", params={"after": quiet.json()["cursor"]}, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    board.move("d-1", "offer", by="bea")
    news = anna.get("/changes", params={"after": quiet.json()["cursor"]}, headers=known).json()
    assert news["is_news"] is True
    assert [deal["id"] for deal in news["deals"]] == ["d-1"]


def test_titles_are_text_whatever_they_hold(client: Clients, board: Board, clock: Any) -> None:
    hostile = "<img src=x onerror=alert(1)>‮\"'&"
    deal = "gid://shop/Cart/1?x=<b>&y=\"'#é 🛒"
    tell(board, deal, clock.now(), title=hostile, owner="anna", company=hostile)
    anna = client()
    for page in ("/", "/?view=list"):
        assert "<img" not in anna.get(page).text
    link = re.search(r'href="(deal\?deal=gid[^"]+)"', anna.get("/").text)
    assert link is not None
    shown = anna.get(link[1])
    assert shown.status_code == 200
    assert "<img" not in shown.text
    fields = form(anna.get(link[1].replace("deal?", "options?", 1)).text, "move", into="offer")
    assert anna.post("/move", data={**fields, "deal": deal}).status_code == 303
    assert board.deal(deal).stage == "offer"


def test_the_page_speaks_the_readers_language(client: Clients) -> None:
    page = client(language="it").get("/").text
    assert '<html lang="it">' in page
    assert "Primo contatto" in page
    assert "Vendite del team" in page
    assert "4.800 €" in page.replace("\N{NO-BREAK SPACE}", " ")
    listed = client(language="it").get("/?view=list&search=d-1").text
    assert "1 trattativa<" in listed
    assert "4 trattative<" in client(language="it").get("/?view=list").text


def test_held_events_are_shown_and_put_aside_by_whoever_may(
    client: Clients, board: Board, clock: ManualClock
) -> None:
    from ladderpipe import Event

    later = Event("lead", deal="d-1", id="odd", at=clock.now(), data={"value": "much"})
    board.handle(later, hold=True)
    (held,) = board.held("d-1")
    page = client().get("/deal?deal=d-1").text
    assert "– held" in page or "Held" in page
    assert client("bea").post("/discard", data={"deal": "d-1", "key": held.key}).status_code == 403
    answer = client().post("/discard", data=form(page, "discard") | {"reason": "a typo"})
    assert answer.status_code == 303
    assert board.held("d-1") == []
    assert "lead – put aside for good" in client().get("/deal?deal=d-1").text


def test_what_needs_somebody_is_on_one_page(
    client: Clients, board: Board, clock: ManualClock
) -> None:
    board.edit("d-2", by="anna", properties={"next_step": "send the catalogue"})
    board.move("d-1", "offer", by="anna")
    clock.advance(hours=30)
    told = client().get("/tasks", headers=JSON).json()
    assert [task["title"] for task in told["tasks"]] == ["Call back"]
    assert [deal["id"] for deal in told["due"]] == ["d-1"]
    assert told["no_next_step"] == []
    others = client().get("/tasks?of=all", headers=JSON).json()
    assert [deal["id"] for deal in others["no_next_step"]] == ["d-3", "d-4"]
    assert "send the catalogue" in client().get("/").text


def test_whoever_may_notes_that_a_customer_wants_no_more_mails(
    client: Clients, board: Board
) -> None:
    page = client().get("/customer?key=d-1@example.com").text
    answer = client().post("/unsubscribe", data=form(page, "unsubscribe"))
    assert answer.status_code == 303
    assert 'action="unsubscribe"' not in client("bea").get("/customer?key=d-1@example.com").text


def test_reports_are_made_once_in_ten_minutes_and_only_for_whoever_may(
    client: Clients, board: Board, clock: ManualClock
) -> None:
    pytest.importorskip("polars")
    anna = client()
    assert 'href="reports"' in anna.get("/").text
    assert 'href="reports"' not in client("bea").get("/").text
    assert client("bea").get("/reports").status_code == 403
    first = anna.get("/reports")
    assert first.text.startswith("<!doctype html>")
    assert "script-src 'sha256-" in first.headers["content-security-policy"]
    tell(board, "d-5", clock.now())
    assert anna.get("/reports").text == first.text
    clock.advance(minutes=11)
    assert anna.get("/reports").text != first.text


def test_a_deal_that_is_too_long_in_its_stage_is_seen_to_rot(
    client: Clients, board: Board, clock: ManualClock
) -> None:
    clock.advance(days=7)
    assert "rotting" not in client().get("/").text
    clock.advance(seconds=1)
    assert client().get("/").text.count('class="card rotting"') == 4
    told = client().get("/tasks", headers=JSON).json()
    assert [deal["id"] for deal in told["rotting"]] == ["d-1", "d-2"]


def test_a_company_has_a_page_of_its_deals(client: Clients, board: Board) -> None:
    for deal in ("d-1", "d-3"):
        board.edit(deal, by="anna", company="Rossi & Figli")
    page = client().get("/deal?deal=d-1").text
    link = re.search(r'href="(customer\?key=company[^"]+)"', page)
    assert link is not None
    told = client().get(link[1], headers=JSON).json()
    assert [deal["id"] for deal in told["deals"]] == ["d-3", "d-1"]
    # The page of a deal names the newest of them, but those of the same person once.
    assert 'href="deal?deal=d-3"' in page
    board.edit("d-3", by="anna", contact={"email": "d-1@example.com"})
    told = client().get("/deal?deal=d-1", headers=JSON).json()
    assert [[each["id"] for each in told[name]] for name in ("others", "of_company")] == [
        ["d-3"],
        [],
    ]
    hers = client("bea").get("/deal?deal=d-4", headers=JSON).json()
    assert (hers["others"], hers["of_company"]) == ([], [])
    seen = client("bea").get(link[1], headers=JSON).json()
    assert [deal["id"] for deal in seen["deals"]] == ["d-3"]


def test_several_deals_with_long_names_are_moved_with_one_id(
    client: Clients, board: Board, clock: ManualClock
) -> None:
    names = ["x" * 300 + end for end in ("a", "b")]
    for name in names:
        tell(board, name, clock.now(), owner="anna")
    for _ in range(2):
        told = client().post("/moves", json={"deal": names, "into": "offer", "id": "one"})
        assert told.headers["location"] == "./?view=list&done=2"
    assert [stages(board, name) for name in names] == [["contact", "offer"]] * 2


def test_handing_over_what_somebody_has_already_tells_nothing(
    client: Clients, board: Board
) -> None:
    before = len(board.events("d-1"))
    client().post("/edits", data={"deal": ["d-1", "d-3"], "owner": "anna"})
    assert (len(board.events("d-1")), board.deal("d-3").owner) == (before, "anna")
