"""``deals``, ``history``, ``explain``, ``board`` and ``move`` on a store."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Board, Event, ManualClock, Pipeline, Stage, on
from ladderpipe.templates import kanban, sales_management
from tests.commands import SALES, START, filled, run, shop

READING = [
    ["deals"],
    ["deals", "--json"],
    ["history", "cart-1"],
    ["history", "cart-1", "--json"],
    ["explain", "cart-1"],
    ["explain", "cart-1", "--json"],
    ["board"],
    ["board", "--json", "--language", "it"],
]


def on_store(url: str, command: list[str], *more: str) -> Any:
    return run(command[0], url, *command[1:], *more)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return shop(tmp_path / "shop.db")


def contents(url: str) -> list[str]:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


# -- reading ----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", READING)
@pytest.mark.parametrize("more", [[], ["--pipeline", SALES]])
def test_reading_writes_nothing(url: str, command: list[str], more: list[str]) -> None:
    """Not even the titles of another edition of the same ladder (SALES is in Italian first)."""
    before = contents(url)
    told = on_store(url, command, *more)
    assert (told.code, told.err) == (0, "")
    assert contents(url) == before


@pytest.mark.parametrize("command", [*READING, ["move", "x", "lost", "--by", "me", "-p", SALES]])
def test_a_typo_makes_no_database(tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "typo.db"
    assert "typo.db" in on_store(f"sqlite:///{path}", command).refusal()
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "other.db")
    connection.execute("CREATE TABLE customers (name TEXT)")
    connection.close()
    before = (tmp_path / "other.db").read_bytes()
    assert "other.db" in run("deals", f"sqlite:///{tmp_path}/other.db").refusal()
    assert (tmp_path / "other.db").read_bytes() == before
    assert os.listdir(tmp_path) == ["other.db"]


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a database, but long enough to be taken for one" * 20)
    run("deals", f"sqlite:///{tmp_path}/text.db").refusal()


@pytest.mark.parametrize("url", ["shop.db", "mysql://shop", "sqlite:shop.db", "memory:"])
def test_a_url_that_holds_nothing_is_one_line(url: str) -> None:
    run("deals", url).refusal()


def test_deals_are_filtered(url: str) -> None:
    def ids(*options: str) -> list[str]:
        return [deal["id"] for deal in run("deals", url, "--json", *options).json()]

    assert ids() == ["cart-1", "cart-2", "cart-3"]
    assert ids("--owner", "marta") == ["cart-1", "cart-3"]
    assert ids("--status", "won") == ["cart-2"]
    assert ids("--stage", "checkout_abandoned") == ["cart-1"]
    assert ids("--limit", "2") == ["cart-1", "cart-2"]
    assert ids("--owner", "nobody") == []
    assert "quote_requested" in run("deals", url, "--stage", "nothing").refusal()


def test_a_deal_in_json_has_exact_amounts_and_utc_instants(url: str) -> None:
    deal = run("deals", url, "--json").json()[0]
    assert deal["value"] == "1798.00"
    assert deal["currency"] == "EUR"
    assert deal["entered_at"] == "2026-01-07T09:00:00Z"
    assert deal["cart"][0]["unit_price"] == "1798.00"
    assert deal["closed_at"] is None


def test_a_table_that_is_cut_says_so(url: str) -> None:
    assert "--limit 0" in run("deals", url, "--limit", "2").out
    assert "--limit 0" not in run("deals", url, "--limit", "3").out
    assert "cart-3" in run("deals", url, "--limit", "0").out


def test_a_history_tells_the_visits_and_their_reasons(url: str) -> None:
    told = run("history", url, "cart-2", "--json").json()
    assert [visit["stage"] for visit in told["visits"]] == ["quote_requested", "order_confirmed"]
    assert told["visits"][0]["left_at"] == told["visits"][1]["entered_at"]
    assert told["moves"][1]["event"]["type"] == "order.confirmed"
    shown = run("history", url, "cart-1").out
    assert "Checkout abandoned" in shown
    assert "after 48 h" in shown


def test_an_explanation_names_the_rules_that_did_not_move_the_deal(url: str) -> None:
    steps = run("explain", url, "cart-1", "--json").json()["steps"]
    assert [step["kind"] for step in steps] == ["event", "timer"]
    assert "out_of" in {refusal["reason"] for refusal in steps[0]["refusals"]}
    assert "opens no deals" in run("explain", url, "cart-1").out


@pytest.mark.parametrize("command", ["history", "explain"])
def test_an_unknown_deal_is_one_line(url: str, command: str) -> None:
    assert "cart-99" in run(command, url, "cart-99").refusal()


def test_what_comes_from_outside_cannot_steer_the_terminal(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    clock = ManualClock(START)
    with Board.open(sales_management(), url, clock) as board:
        event = filled("cart-1", clock, owner="o", value="1")
        data = {**event.data, "title": "\x1b[2Jgone [bold]\n", "owner": "\x07\u202e"}
        board.handle(Event(event.type, deal="c\x1b]0;x", id="e", at=event.at, data=data))
    for command in (["deals"], ["board"], ["history", "c\x1b]0;x"], ["explain", "c\x1b]0;x"]):
        shown = on_store(url, command).out
        assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert "[bold]" in run("deals", url).out


# -- the board --------------------------------------------------------------------------------


def test_the_board_has_every_stage_with_the_closed_ones_last(url: str) -> None:
    stages = run("board", url, "--json").json()["stages"]
    closed = ["order_confirmed", "lost", "refunded", "cart_merged"]
    assert [stage["stage"] for stage in stages][-len(closed) :] == closed
    assert {stage["stage"]: stage["count"] for stage in stages if stage["count"]} == {
        "quote_requested": 1,
        "checkout_abandoned": 1,
        "order_confirmed": 1,
    }


def test_the_board_never_sums_two_currencies(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    clock = ManualClock(START)
    with Board.open(sales_management(), url, clock) as board:
        for deal, currency in (("a", "EUR"), ("b", "CHF"), ("c", "EUR")):
            board.handle(filled(deal, clock, owner="o", value="10.00", currency=currency))
    totals = run("board", url, "--json").json()["stages"][0]["totals"]
    assert [(t["currency"], t["count"], t["value"]) for t in totals] == [
        ("CHF", 1, "10.00"),
        ("EUR", 2, "20.00"),
    ]


def test_the_board_shows_those_that_wait_longest(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    clock = ManualClock(START)
    with Board.open(sales_management(), url, clock) as board:
        for number in range(7):
            board.handle(filled(f"cart-{number}", clock, owner="o", value="10.00"))
            clock.advance(hours=1)
    stage = run("board", url, "--json", "--oldest", "2").json()["stages"][0]
    assert [deal["id"] for deal in stage["oldest"]] == ["cart-0", "cart-1"]
    shown = run("board", url, "--oldest", "2", "--now", "2026-01-05T16:00Z").out
    assert "7 h" in shown
    assert "5 more" in shown
    assert "cart-2" not in shown


@pytest.mark.parametrize("columns", [30, 80, 120, 200])
def test_the_board_fits_the_terminal(
    url: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = run("board", url, "--now", "2026-01-08T09:00Z").out.splitlines()
    assert max(map(len, lines[1:])) <= columns
    titles = ("Quote requested", "Cart saved", "Checkout abandoned", "Deal lost")
    assert all(any(title in line for line in lines) for title in titles)


@pytest.mark.parametrize("columns", [30, 80, 120, 200])
def test_a_large_amount_is_never_cut(
    tmp_path: Path, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    url = f"sqlite:///{tmp_path}/shop.db"
    clock = ManualClock(START)
    with Board.open(sales_management(), url, clock) as board:
        for deal in ("a", "b"):
            board.handle(filled(deal, clock, owner="o", value="123456789.00"))
    assert "€246,913,578.00" in run("board", url).out


def test_titles_are_told_in_the_language_asked_for(url: str) -> None:
    assert "Trattativa persa" in run("board", url, "--language", "it").out
    assert "Deal lost" in run("board", url, "--language", "en").out


# -- which pipeline ---------------------------------------------------------------------------


def rich(deal: Any, event: Any) -> bool:
    return bool(deal.value > 1000)


def ladder_with(guard: Any) -> Pipeline:
    first, last = Stage("first"), Stage("last", status="won")
    rules = [on("cart.item_added", into=first, opens=True), on("paid", into=last, when=guard)]
    return Pipeline("guarded", stages=[first, last], rules=rules)


def test_a_definition_that_a_store_cannot_keep_has_to_be_passed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    Board.open(ladder_with(lambda deal, event: True), url).close()
    assert "--pipeline" in run("deals", url).refusal()


def test_a_kept_definition_imports_only_what_is_allowed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    Board.open(ladder_with(rich), url).close()
    assert "--allow" in run("deals", url).refusal()
    assert run("deals", url, "--allow", __name__).code == 0


def test_of_several_pipelines_one_is_named(tmp_path: Path) -> None:
    url = shop(tmp_path / "shop.db")
    Board.open(kanban(), url).close()
    assert "--name" in run("deals", url).refusal()
    assert len(run("deals", url, "--name", "sales-management", "--json").json()) == 3
    assert run("deals", url, "--name", "kanban", "--json").json() == []
    assert len(run("deals", url, "--pipeline", SALES, "--json").json()) == 3
    run("deals", url, "--name", "nothing").refusal()
    run("deals", url, "--name", "kanban", "--pipeline", SALES).refusal()


def test_a_pipeline_that_the_store_does_not_hold_is_refused(url: str) -> None:
    before = contents(url)
    told = run("deals", url, "--pipeline", "ladderpipe.templates:kanban").refusal()
    assert "sales-management" in told
    assert contents(url) == before


# -- moving -----------------------------------------------------------------------------------


def test_a_deal_is_moved_by_hand(url: str) -> None:
    options = ["--by", "marta", "--reason", "too dear", "--set", "loss_reason=price"]
    told = run("move", url, "cart-3", "lost", *options, "--set", "tries:=2", "-p", SALES)
    assert told.code == 0
    assert told.err == ""
    history = run("history", url, "cart-3", "--json").json()
    assert history["deal"]["stage"] == "lost"
    assert history["deal"]["properties"] == {"loss_reason": "price", "tries": 2}
    assert history["moves"][-1]["event"]["data"]["by"] == "marta"
    assert "too dear" in run("history", url, "cart-3").out


def test_a_move_that_is_told_again_moves_nothing(url: str) -> None:
    options = ["--by", "m", "--set", "loss_reason=x", "-p", SALES, "--id", "drag", "--quiet"]
    arguments = ["cart-3", "lost", "--expecting", "checkout_abandoned", *options]
    assert "Trattativa persa" in run("move", url, *arguments).out
    assert "told already" in run("move", url, *arguments).out


def test_a_move_may_be_dated_and_says_what_it_expected(url: str) -> None:
    arguments = ["cart-3", "lost", "--by", "m", "--set", "loss_reason=x", "-p", SALES]
    assert "opened at" in run("move", url, *arguments, "--at", "2020-01-01T00:00Z").refusal()
    assert "as expected, in lost" in run("move", url, *arguments, "--expecting", "lost").refusal()


def test_what_was_taken_back_is_told_with_the_history(url: str) -> None:
    with Board.open(sales_management(), url) as board:
        board.override("cart-3", "lost", by="marta", id="drag")
        board.undo("cart-3", by="marta", event="drag", reason="wrong column")
    shown = run("history", url, "cart-3")
    assert "marta took ladder.override of" in shown.out
    assert "back: wrong column" in shown.out
    assert (
        run("history", url, "cart-3", "--json").json()["withdrawn"][0]["by"]["data"]["by"]
        == "marta"
    )


def test_a_move_in_json_tells_the_timers_that_fired_before_it(url: str) -> None:
    arguments = ["cart-3", "lost", "--by", "m", "--set", "loss_reason=x", "-p", SALES, "--json"]
    told = run("move", url, *arguments).json()
    assert [move["into"] for move in told["moves"]] == ["checkout_abandoned", "lost"]
    assert told["deal"]["stage"] == "lost"


def test_a_move_needs_the_hooks_which_the_store_does_not_keep(url: str) -> None:
    assert "--pipeline" in run("move", url, "cart-3", "lost", "--by", "me").refusal()


@pytest.mark.parametrize(
    ("deal", "stage", "told"),
    [
        ("cart-3", "lost", "--set"),
        ("cart-3", "cart_saved", "--override"),
        ("cart-3", "nothing", "quote_requested"),
        ("cart-99", "lost", "cart-99"),
    ],
)
def test_a_move_that_is_not_allowed_says_what_to_do(
    url: str, deal: str, stage: str, told: str
) -> None:
    before = run("history", url, "cart-3", "--json").out
    assert told in run("move", url, deal, stage, "--by", "me", "-p", SALES).refusal()
    assert run("history", url, "cart-3", "--json").out == before


def test_an_override_moves_past_the_rules(url: str) -> None:
    arguments = ["cart-3", "cart_saved", "--by", "me", "--override", "-p", SALES, "--json"]
    assert run("move", url, *arguments).json()["deal"]["stage"] == "cart_saved"
    assert "past the rules" in run("history", url, "cart-3").out


# -- as of an earlier instant -----------------------------------------------------------------

THEN = ["--as-of", "2026-01-05T09:30:00Z"]


def test_deals_and_history_are_told_as_they_were(url: str) -> None:
    found = {deal["id"]: deal["stage"] for deal in run("deals", url, *THEN, "--json").json()}
    assert found == {"cart-1": "quote_requested", "cart-2": "quote_requested"}
    assert run("deals", url, *THEN, "--owner", "paolo", "--json").json()[0]["id"] == "cart-2"
    assert len(run("history", url, "cart-2", "--json").json()["visits"]) == 2
    assert len(run("history", url, "cart-2", *THEN, "--json").json()["visits"]) == 1
    assert "cart-3" in run("history", url, "cart-3", *THEN).refusal()


def test_the_board_is_shown_as_it_was(url: str) -> None:
    then = run("board", url, *THEN, "--json").json()
    counts = {stage["stage"]: stage["count"] for stage in then["stages"] if stage["count"]}
    assert counts == {"quote_requested": 2}
    assert then["now"] == "2026-01-05T09:30:00Z"
    assert "2 deals" in run("board", url, *THEN).out


def test_the_same_numbers_come_of_now_and_as_of_the_last_instant(url: str) -> None:
    last = "2026-01-07T10:00:00Z"
    now = run("board", url, "--now", last, "--json").json()
    assert run("board", url, "--as-of", last, "--json").json() == now


def test_what_was_before_a_migration_is_told_as_it_was_stored(url: str) -> None:
    renamed = sales_management("en")
    clock = ManualClock("2026-01-08T09:00:00Z")
    text = json.dumps(renamed.to_dict()).replace('"quote_requested"', '"asked"')
    with Board.open(Pipeline.from_dict(json.loads(text)), url, clock, adopting=True) as board:
        board.migrate({"quote_requested": "asked"})
    found = run("deals", url, *THEN, "--json").json()
    assert {deal["stage"] for deal in found} == {"asked"}


@pytest.mark.parametrize("command", [["deals"], ["board"], ["history", "cart-1"]])
@pytest.mark.parametrize("when", ["2999-01-01T00:00Z", "yesterday", "2026-01-05T09:00:00"])
def test_an_instant_that_makes_no_sense_is_refused(url: str, command: list[str], when: str) -> None:
    assert "--as-of" in on_store(url, command, "--as-of", when).refusal(2)


# -- options, changes and the board of one owner ----------------------------------------------


def test_where_a_deal_may_be_moved_is_told_with_what_is_missing(url: str) -> None:
    told = {option["into"]: option for option in run("options", url, "cart-3", "--json").json()}
    assert told["lost"]["missing"] == ["loss_reason"]
    shown = run("options", url, "cart-3", "--language", "en").out
    assert "Deal lost" in shown
    assert "loss_reason" in shown
    assert "'nobody'" not in shown


def test_what_was_written_since_is_told_once(url: str) -> None:
    lines = [json.loads(line) for line in run("changes", url, "--json").out.splitlines()]
    assert [line["id"] for line in lines[:-1]] == ["cart-2", "cart-1", "cart-3"]
    cursor = lines[-1]["cursor"]
    assert "cart-" not in run("changes", url, "--after", cursor).out
    run("edit", url, "cart-2", "--by", "me", "--owner", "Bea", "-p", SALES)
    told = run("changes", url, "--after", cursor, "--json").out.splitlines()
    assert [json.loads(line).get("owner") for line in told[:-1]] == ["Bea"]
    assert "cursor" in run("changes", url, "--after", "nonsense").refusal()


def test_changes_are_followed_until_it_is_stopped(url: str) -> None:
    command = [sys.executable, "-m", "ladderpipe.cli", "changes", url, "--json", "--follow"]
    with subprocess.Popen([*command, "--every", "0.05"], stdout=subprocess.PIPE) as following:
        assert following.stdout is not None
        seen: list[str] = []
        edits = itertools.count()
        # It begins with what is written once it has begun, which nobody outside can see.
        reading = threading.Thread(target=lambda: seen.append(following.stdout.readline().decode()))
        reading.start()
        while reading.is_alive():
            owner = f"owner-{next(edits)}"
            run("edit", url, "cart-2", "--by", "me", "--owner", owner, "-p", SALES)
            reading.join(0.2)
        following.send_signal(signal.SIGINT)
        rest = following.stdout.read().decode()
        assert following.wait(30) == 0
    assert json.loads(seen[0])["id"] == "cart-2"
    assert '"cursor"' in rest


def test_the_board_of_one_owner_counts_only_hers(url: str) -> None:
    told = run("board", url, "--owner", "paolo", "--json").json()
    counts = {stage["stage"]: stage["count"] for stage in told["stages"] if stage["count"]}
    assert counts == {"order_confirmed": 1}
    marta = run("board", url, "--owner", "marta").out
    assert "cart-1" in marta
    assert "12.50" not in marta


@pytest.mark.parametrize("more", [["--json"], ["--as-of", START], ["--now", START]])
def test_only_the_board_of_now_is_watched(url: str, more: list[str]) -> None:
    run("board", url, "--watch", *more).refusal(2)


def test_the_board_is_watched_until_it_is_stopped(url: str) -> None:
    command = [sys.executable, "-m", "ladderpipe.cli", "board", url, "--watch", "--every", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        run("event", url, "cart.saved", "--deal", "new-one", "--id", "n", "-p", SALES)
        first = next(line for line in watching.stdout if "cart-1" in line)
        line = {"sku": "x", "title": "Chair", "quantity": 1, "unit_price": "3"}
        told = ["--deal", "cart-4", "--id", "f", "--data", json.dumps({"line": line})]
        assert run("event", url, "cart.item_added", *told, "-p", SALES).code == 0
        assert next(line for line in watching.stdout if "cart-4" in line)
        watching.send_signal(signal.SIGINT)
        watching.stdout.read()
        assert watching.wait(30) == 0
    assert first
