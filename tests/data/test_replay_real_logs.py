"""Two real shops' logs, replayed as they are. The data is no part of the project."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Board, EffectState, MemoryStore, Outcome, SqliteStore
from ladderpipe.board.verify import verify
from ladderpipe.logs.map_files import load_map
from ladderpipe.logs.replay import ReplayReport, replay
from ladderpipe.templates import sales_management

BESIDE = Path(__file__).parents[3] / "shared" / "data"
DATA = Path(os.environ.get("LADDERPIPE_DATA", BESIDE))
CARTS = sorted(DATA.glob("cart-events/data_*.csv"))
OTTO = DATA / "otto" / "train.jsonl"

pytestmark = pytest.mark.skipif(
    len(CARTS) != 5 or not OTTO.exists(),
    reason=f"the logs are not in {DATA}: set LADDERPIPE_DATA to the folder that has them",
)


@pytest.fixture(params=["memory", "sqlite"])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    memory = request.param == "memory"
    store = MemoryStore() if memory else SqliteStore(tmp_path / "shop.db", synchronous="OFF")
    with Board(sales_management(), store=store) as board:
        yield board


def replay_carts(board: Board) -> list[ReplayReport]:
    return [replay(board, log, load_map("cart-events")) for log in CARTS]


def stages(board: Board) -> Counter[str]:
    return Counter(deal.stage.key for deal in board.deals())


def rows() -> list[dict[str, str]]:
    found = []
    for log in CARTS:
        with log.open(newline="", encoding="utf-8") as file:
            found += csv.DictReader(file)
    return found


def test_every_row_is_read_and_every_row_that_counts_is_stored(board: Board):
    reports = replay_carts(board)
    kinds = Counter(row["event_type"] for row in rows())
    assert sum(report.lines for report in reports) == sum(kinds.values()) == 4_995
    # The damaged row is a view: one less is ignored.
    assert sum(report.ignored for report in reports) == kinds["view"] - 1
    counted = kinds["cart"] + kinds["remove_from_cart"] + kinds["purchase"]
    assert sum(report.accepted for report in reports) == counted == 2_674


def test_only_the_damaged_row_is_bad(board: Board):
    (bad,) = [group for report in replay_carts(board) for group in report.refusals]
    assert bad.count == 1
    assert bad.where.endswith("data_2023_jan.csv:1000")
    assert "091e110c-f7bd-47b5-bed8-3a3aba4232ddgg" in bad.reason


def test_rows_that_are_the_same_to_the_letter_are_second_clicks(board: Board):
    replay_carts(board)
    same = Counter(tuple(row.values()) for row in rows())
    assert sum(count - 1 for count in same.values()) == 291
    told = Counter(row["user_session"] for row in rows() if row["event_type"] != "view")
    doubled = {row[-1] for row, count in same.items() if count > 1} & told.keys()
    assert len(doubled) > 10
    for session in doubled:
        assert len(board.events(session)) == told[session]


def test_every_session_with_a_cart_is_a_deal_and_no_other_but_those_that_bought(board: Board):
    replay_carts(board)
    carts = {row["user_session"] for row in rows() if row["event_type"] == "cart"}
    bought = {row["user_session"] for row in rows() if row["event_type"] == "purchase"}
    assert len(carts) == 250
    assert {deal.id for deal in board.deals()} == carts | bought
    assert stages(board) == {"quote_requested": 220, "order_confirmed": 26, "cart_parked": 9}
    assert stages(board)["order_confirmed"] == len(bought)


def test_once_the_clock_goes_on_what_was_not_bought_is_abandoned(board: Board):
    replay_carts(board)
    board.tick()
    assert stages(board) == {"checkout_abandoned": 220, "order_confirmed": 26, "cart_parked": 9}


def test_nothing_of_the_past_is_sent(board: Board):
    sent: list[Any] = []
    board.handles("email")(sent.append)
    replay_carts(board)
    board.tick()
    board.deliver()
    assert sent == []
    assert board.tasks() == []
    assert {effect.state for effect in board.effects()} == {EffectState.EXPIRED}


def test_a_second_replay_doubles_nothing(board: Board):
    replay_carts(board)
    board.tick()
    before = list(board.deals())
    again = replay_carts(board)
    assert sum(report.accepted for report in again) == 0
    assert sum(report.outcomes[Outcome.DUPLICATE] for report in again) == 2_674
    assert list(board.deals()) == before


@pytest.mark.parametrize("swept", [False, True])
def test_what_is_stored_is_the_fold(board: Board, swept: bool):
    replay_carts(board)
    if swept:
        board.tick()
    report = verify(board)
    assert report.agrees, report.differences
    assert (report.events, report.moves) == (2_674, 509 if swept else 289)


def test_the_order_of_the_files_and_sweeps_between_them_make_no_difference(board: Board):
    replay_carts(board)
    board.tick()
    other = Board(sales_management())
    for log in reversed(CARTS):
        replay(other, log, load_map("cart-events"))
        other.tick()
    assert {deal.id: deal for deal in other.deals()} == {deal.id: deal for deal in board.deals()}


def test_otto_goes_in_without_prices(board: Board):
    report = replay(board, OTTO, load_map("otto"))
    sessions = [json.loads(line) for line in OTTO.read_text("utf-8").splitlines()]
    kinds = Counter(event["type"] for session in sessions for event in session["events"])
    assert (report.lines, report.failed, report.ignored) == (20, 0, kinds["clicks"])
    assert report.accepted == kinds["carts"] + kinds["orders"] == 62
    board.tick()
    assert stages(board) == {"checkout_abandoned": 4, "order_confirmed": 3}
    assert {deal.value for deal in board.deals()} == {None}
    assert verify(board).agrees
    assert replay(board, OTTO, load_map("otto")).outcomes == {Outcome.DUPLICATE: 62}
