"""A card says what was not sent, and why, in the words of the deal's page."""

from __future__ import annotations

import html
from collections.abc import Iterator

import pytest

from ladderpipe import (
    Board,
    Delivery,
    Event,
    ManualClock,
    Pipeline,
    Stage,
    UndeliverableError,
    by_hand,
    do,
    drop,
    later,
    on,
)
from tests.board_app.clients import Client
from tests.board_app.shop import application

JSON = {"Accept": "application/json"}
START = "2026-03-02T09:00:00Z"


@pytest.fixture
def board() -> Board:
    """Return a board that writes to four new customers, and to each of them in vain."""
    new = Stage("new", sequence=[do("email", template="hello", to="customer")])
    talking = Stage("talking")
    pipeline = Pipeline(
        "letters",
        stages=[new, talking],
        rules=[on("lead", into=new, opens=True), by_hand(into=talking)],
    )
    board = Board(pipeline, clock=ManualClock(START))

    @board.handles("email")
    def write(delivery: Delivery) -> object:
        if delivery.deal.id == "dropped":
            return drop("they <asked> not to be written to")
        if delivery.deal.id == "delayed":
            return later("2026-03-03T09:00:00Z", "it is a holiday")
        if delivery.deal.id == "dead":
            raise UndeliverableError("no such mailbox")
        return None

    for deal in ("dropped", "delayed", "dead", "unknown", "sent"):
        contact = {} if deal == "unknown" else {"contact": {"email": f"{deal}@example.com"}}
        at = board.clock.now()
        board.handle(Event("lead", deal=deal, id=f"lead-{deal}", at=at, data=contact))
    board.deliver()
    return board


@pytest.fixture
def page(board: Board) -> Iterator[Client]:
    with Client(application(board), user="anna") as client:
        yield client


WHY = {
    "dropped": "E-mail “hello” – not sent: they <asked> not to be written to",
    "delayed": "E-mail “hello” – not sent yet: it is a holiday",
    "dead": "E-mail “hello” – could not be delivered: UndeliverableError: no such mailbox",
    "unknown": "E-mail “hello” – waits for an address",
}


@pytest.mark.parametrize("address", ["./", "./?view=list"])
def test_a_card_says_what_was_not_sent_and_why(page: Client, address: str) -> None:
    shown = page.get(address).text
    assert "<asked>" not in shown
    told = html.unescape(shown)
    for line in WHY.values():
        assert line in told


def test_a_program_is_told_the_same(page: Client) -> None:
    (new, _) = page.get("./", headers=JSON).json()["columns"]
    listed = page.get("./?view=list", headers=JSON).json()
    column = page.get("./column?stage=new", headers=JSON).json()
    for deals in (new["deals"], listed["deals"], column["deals"]):
        found = {
            deal["id"]: [(each["name"], each["state"], each["because"]) for each in deal["unsent"]]
            for deal in deals
        }
        assert found == {
            "dropped": [("email", "dropped", "they <asked> not to be written to")],
            "delayed": [("email", "pending", "it is a holiday")],
            "dead": [("email", "dead", "UndeliverableError: no such mailbox")],
            "unknown": [("email", "waiting", "the customer's address is not known yet")],
            "sent": [],
        }


def test_it_is_told_in_the_readers_language(board: Board) -> None:
    with Client(application(board), user="anna", language="it") as page:
        told = html.unescape(page.get("./").text)
    assert "E-mail “hello” – non inviato: they <asked> not to be written to" in told
    assert "E-mail “hello” – non ancora inviato: it is a holiday" in told


def test_what_was_not_sent_in_an_earlier_stage_is_past(board: Board, page: Client) -> None:
    for deal in WHY:
        board.move(deal, "talking", by="anna")
    told = page.get("./", headers=JSON).json()["columns"]
    assert [deal["unsent"] for column in told for deal in column["deals"]] == [[]] * 5
    assert "not sent: they" not in html.unescape(page.get("./").text)
    assert "they <asked>" in html.unescape(page.get("./deal?deal=dropped").text)
