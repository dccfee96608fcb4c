"""``edit``, ``undo``, ``withdraw``, ``tasks``, ``done``, ``assign`` and ``unsubscribe``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Board, ManualClock
from ladderpipe.templates import sales_management
from tests.commands import SALES, filled, run, shop

BY = ("--by", "marta", "-p", SALES)
LOST = ("--set", "loss_reason=price")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return shop(tmp_path / "shop.db")


def deal(url: str, name: str = "cart-3") -> Any:
    return run("history", url, name, "--json").json()["deal"]


# -- edit -------------------------------------------------------------------------------------


def test_a_deal_is_corrected(url: str) -> None:
    said = ["--owner", "dan", "--value", "12.50", "--title", "Two chairs", "--company", "Rossi"]
    said += ["--contact", "phone=+39 02 1", "--set", "tries:=2", "--note", "she called"]
    told = run("edit", url, "cart-3", *BY, *said)
    assert (told.code, told.err) == (0, "")
    assert "edited; in" in told.out
    found = deal(url)
    assert (found["owner"], found["value"], found["title"]) == ("dan", "12.50", "Two chairs")
    assert (found["company"], found["contact"]["phone"]) == ("Rossi", "+39 02 1")
    assert found["properties"] == {"tries": 2}
    with Board.open(sales_management(), url, read_only=True) as board:
        edited = board.events("cart-3")[-1]
    assert (edited.data["by"], edited.data["note"]) == ("marta", "she called")


def test_what_is_emptied_is_empty_and_the_rest_stays(url: str) -> None:
    run("edit", url, "cart-3", *BY, "--empty", "owner", "--contact", "email:=null")
    found = deal(url)
    assert (found["owner"], found["value"]) == (None, "50.00")
    assert found["contact"] == {"name": "Ada Rossi"}


def test_an_edit_that_is_told_again_changes_nothing(url: str) -> None:
    arguments = ["edit", url, "cart-3", *BY, "--owner", "dan", "--id", "once", "--json"]
    first, again = run(*arguments).json(), run(*arguments).json()
    assert (first["event"]["id"], again["outcome"]) == ("once", "duplicate")
    assert "told already" in run(*arguments[:-1]).out


@pytest.mark.parametrize(
    "said",
    [
        [],
        ["--empty", "currency"],
        ["--empty", "owner", "--owner", "dan"],
        ["--set", "tries"],
        ["--contact", "phone:={"],
    ],
)
def test_an_edit_that_makes_no_sense_is_one_line(url: str, said: list[str]) -> None:
    before = run("history", url, "cart-3", "--json").out
    run("edit", url, "cart-3", *BY, *said).refusal(2)
    assert run("history", url, "cart-3", "--json").out == before


# -- taking back ------------------------------------------------------------------------------


def test_a_move_is_undone_by_where_the_deal_is_seen(url: str) -> None:
    run("move", url, "cart-3", "lost", *BY, *LOST)
    told = run("undo", url, "cart-3", *BY, "--expecting", "lost", "--reason", "wrong column")
    assert (told.code, told.err) == (0, "")
    assert deal(url)["stage"] == "checkout_abandoned"
    assert "wrong column" in run("history", url, "cart-3").out
    again = run("undo", url, "cart-3", *BY, "--expecting", "lost").refusal()
    assert "as expected, in lost" in again


def test_a_move_is_undone_by_its_id(url: str) -> None:
    run("move", url, "cart-3", "lost", *BY, *LOST, "--id", "drag")
    told = run("undo", url, "cart-3", *BY, "--event", "drag", "--id", "back", "--json").json()
    assert (told["event"]["id"], told["deal"]["stage"]) == ("back", "checkout_abandoned")
    assert "told already" in run("undo", url, "cart-3", *BY, "--event", "drag").out


def test_an_undo_names_what_or_where(url: str) -> None:
    told = run("undo", url, "cart-3", *BY).refusal(2)
    assert "--event" in told
    assert "--expecting" in told


def test_what_no_hand_did_is_withdrawn_not_undone(url: str) -> None:
    told = run("undo", url, "cart-2", *BY, "--event", "paid").refusal()
    assert "ladderpipe withdraw URL EVENT --by NAME" in told


def test_any_event_is_withdrawn_from_whomever(url: str) -> None:
    told = run("withdraw", url, "paid", *BY, "--reason", "a test order")
    assert (told.code, told.err) == (0, "")
    assert "cart-2: taken back; in" in told.out
    assert deal(url, "cart-2")["status"] != "won"
    assert "told already" in run("withdraw", url, "paid", *BY).out


def test_what_opened_a_deal_may_be_withdrawn_too(url: str) -> None:
    assert (
        "event filled-cart-1: taken back; not open"
        in run("withdraw", url, "filled-cart-1", *BY).out
    )


def test_what_nobody_told_cannot_be_withdrawn(url: str) -> None:
    assert "--source" in run("withdraw", url, "paid", *BY, "--source", "crm").refusal()


@pytest.mark.parametrize(
    "command",
    [
        ["edit", "cart-3", "--owner", "dan"],
        ["undo", "cart-3", "--expecting", "lost"],
        ["withdraw", "paid"],
    ],
)
def test_what_runs_hooks_needs_the_pipeline_and_who_does_it(url: str, command: list[str]) -> None:
    name, *arguments = command
    assert "--pipeline" in run(name, url, *arguments, "--by", "marta").refusal()
    assert "--by" in run(name, url, *arguments, "-p", SALES).refusal(2)


@pytest.mark.parametrize("name", ["edit", "undo", "withdraw", "assign", "unsubscribe"])
def test_a_typo_makes_no_database(tmp_path: Path, name: str) -> None:
    more = {"edit": ["--owner", "x"], "undo": ["--event", "x"]}.get(name, [])
    by = [] if name == "unsubscribe" else ["--by", "me"]
    told = run(name, f"sqlite:///{tmp_path}/typo.db", "x", *by, *more, "-p", SALES)
    assert "typo.db" in told.refusal()
    assert list(tmp_path.iterdir()) == []


# -- tasks ------------------------------------------------------------------------------------


def test_tasks_are_listed_and_given_to_somebody(url: str) -> None:
    task, *_ = run("tasks", url, "--deal", "cart-3", "--json").json()
    assert task["owner"] == "marta"
    told = run("assign", url, task["key"], "--to", "dan", "--by", "marta")
    assert (told.code, told.err) == (0, "")
    assert "(deal cart-3): dan" in told.out
    assert run("tasks", url, "--owner", "dan", "--json").json()[0]["key"] == task["key"]
    assert task["key"] in run("tasks", url, "--owner", "dan").out
    back = run("assign", url, task["key"], "--by", "dan", "--json").json()
    assert (back["owner"], back["payload"]["assigned_by"]) == ("marta", "dan")
    assert "no such tasks" in run("tasks", url, "--owner", "dan").out


def test_a_task_that_is_done_is_open_no_more(url: str) -> None:
    # That of the deal whose timer is not due again: it has been abandoned already.
    task, *_ = run("tasks", url, "--deal", "cart-1", "--json").json()
    told = run("done", url, task["key"], "-p", SALES)
    assert (told.code, told.err) == (0, "")
    assert task["key"] not in run("tasks", url).out
    assert "delivered" in run("done", url, task["key"], "-p", SALES).refusal()
    assert "ladderpipe tasks URL" in run("done", url, "nothing", "-p", SALES).refusal()


def test_many_tasks_are_shown_in_part_and_the_rest_is_counted(url: str) -> None:
    every = run("tasks", url, "--json").json()
    assert len(every) == 2
    told = run("tasks", url, "--limit", "1").out
    assert [task["key"] in told for task in every] == [True, False]
    assert "and 1 more: the first 1 are shown, --limit 0 shows all" in told
    assert "more" not in run("tasks", url, "--limit", "0").out
    assert run("tasks", url, "--limit", "1", "--json").json() == every[:1]


def test_a_task_that_is_not_open_cannot_be_given(url: str) -> None:
    assert "ladderpipe tasks URL" in run("assign", url, "nothing", "--by", "me").refusal()


# -- who wants mail ---------------------------------------------------------------------------


def test_whoever_is_unsubscribed_gets_no_reminder_until_subscribed_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    clock = ManualClock("2026-01-05T09:00:00Z")
    sent: list[str] = []
    with Board.open(sales_management("en"), url, clock) as board:
        board.handles("email")(lambda delivery: sent.append(delivery.payload["to"]))
        for commands in (["unsubscribe"], ["unsubscribe", "subscribe"]):
            name = f"cart-{len(commands)}"
            board.handle(filled(name, clock, owner="o", value="1"))
            for command in commands:
                told = run(command, url, f"{name}@example.com", "--json")
                assert told.json() == {"outcome": f"{command}d"}
        for _ in range(12):
            clock.advance(hours=6)
            board.tick()
            board.deliver()
    assert sent == ["cart-2@example.com"]


def test_a_key_that_stands_for_no_address_is_refused(url: str) -> None:
    assert "id:shop:9" in run("unsubscribe", url, "id:shop:9").refusal()
