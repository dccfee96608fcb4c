"""``verify`` agrees with what a board stores, and finds what anybody else has done to it."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Board, SqliteStore, on
from ladderpipe.board.verify import verify
from ladderpipe.errors import PipelineChangedError
from ladderpipe.model.report import Difference
from ladderpipe.pipeline import Pipeline
from tests.shops import HOUR, Shop, contents, lead_ladder, register

EMAIL = {"email": "ada@example.com", "name": "Ada"}


def lived(store: Any) -> Shop:
    """Return a shop with a deal of every kind, ``d`` among them: new, talking, won."""
    pipeline = register(
        lead_ladder(sequence=True),
        out_of_new=lambda ctx: ctx.do("email", template="left"),
    )
    shop = Shop(pipeline, store)
    shop.tell("lead", id="e1", contact=EMAIL, line={"sku": "A"}, value="10.00", currency="EUR")
    shop.tell("call", "waits", id="w1")
    shop.tell("lead", "cold", id="c1")
    shop.wait(1)
    shop.tell("call", id="e2", owner="Bea")
    shop.tell("lead", "removed", id="r1")
    shop.tell("order", "removed", id="r2")
    shop.board.remove("removed")
    shop.tell("lead", "forgotten", id="f1", contact={"email": "bob@example.com"})
    shop.tell("call", "forgotten", id="f2")
    shop.board.forget(email="bob@example.com")
    shop.tell("call", "forgotten", id="f3")
    shop.board.move("cold", "lost", by="Bea", properties={"why": "price"})
    shop.tell("lead", "open", id="o1")
    shop.wait(73)
    shop.tell("order", id="e3", hours=-48)
    shop.board.tick()
    return shop


@pytest.fixture
def shop(store: Any) -> Shop:
    return lived(store)


def numbered(word: str) -> str:
    """Return where a statement finds the number of a word."""
    return f"(SELECT id FROM ladder_words WHERE word = '{word}')"


class Damaged:
    """A shop's database, to do damage to behind the board's back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shop = lived(SqliteStore(path))
        self._run("INSERT INTO ladder_words (word) VALUES ('x'), ('lost') ON CONFLICT DO NOTHING")

    def deal_id(self, deal: str = "d") -> int:
        return int(self._run("SELECT id FROM ladder_deals WHERE deal = ?", deal)[0][0])

    def run(self, statement: str, *values: Any) -> None:
        """Execute a statement, and see to it that it changed something."""
        before = contents(self.shop.store)
        self._run(statement, *values)
        assert contents(self.shop.store) != before

    def _run(self, statement: str, *values: Any) -> list[Any]:
        connection = sqlite3.connect(self.path)
        try:
            with connection:
                connection.execute("PRAGMA ignore_check_constraints = ON")
                return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    def found(self) -> list[Difference]:
        report = verify(self.shop.board)
        assert not report.agrees
        assert report.differing == len(report.differences)
        return list(report.differences)

    def said(self, deal: str = "d") -> str:
        """Return what is said of a deal, the only one that does not agree."""
        deals = [difference for difference in self.found() if difference.deal is not None]
        assert [difference.deal for difference in deals] == [deal]
        return deals[0].what


@pytest.fixture
def damaged(tmp_path: Path) -> Iterator[Damaged]:
    made = Damaged(tmp_path / "shop.db")
    yield made
    made.shop.store.close()


# -- agreement ----------------------------------------------------------------------------------


def test_what_a_board_stores_agrees_and_is_counted(shop: Shop):
    report = verify(shop.board)
    assert report.agrees, report.differences
    assert (report.deals, report.tombstones) == (5, 1)
    assert report.events == 3 + 1 + 2 + 4 + 1
    assert report.moves == 3 + 2 + 3 + 2
    assert report.effects > 5


def test_verifying_writes_nothing(shop: Shop):
    before = contents(shop.store)
    verify(shop.board)
    assert contents(shop.store) == before


def test_a_board_with_nothing_in_it_agrees(store: Any):
    assert verify(Board(lead_ladder(), store=store)).agrees


def test_many_deals_are_verified_page_by_page(store: Any):
    shop = Shop(lead_ladder(), store)
    shop.board.handle_many(shop.event("lead", f"d{n}") for n in range(450))
    told: list[tuple[int, int]] = []
    report = verify(shop.board, on_progress=lambda *counts: told.append(counts))
    assert (report.deals, report.agrees) == (450, True)
    assert told == [(200, 450), (400, 450), (450, 450)]


def test_another_definition_has_nothing_to_compare_with(shop: Shop):
    stages = lead_ladder().stages
    changed = Pipeline("leads", stages=stages, rules=[on("lead", into=stages[1], opens=True)])
    with pytest.raises(PipelineChangedError, match="nothing to compare"):
        verify(Board(changed, store=shop.store, adopting=True))


# -- damage to the deal's row -------------------------------------------------------------------


def test_a_changed_stage_is_found_with_the_event_that_says_otherwise(damaged: Damaged):
    damaged.run("UPDATE ladder_deals SET stage = 'talking' WHERE deal = 'd'")
    assert damaged.said() == (
        "stored in talking since 2026-01-06T11:00:00Z, the fold says in won since "
        "2026-01-06T11:00:00Z because of event 'e3' (order)"
    )


def test_a_stage_that_a_timer_says_otherwise_is_found_with_the_rule(damaged: Damaged):
    damaged.run("UPDATE ladder_deals SET stage = 'new' WHERE deal = 'open'")
    assert "in cold since 2026-01-08T10:00:00Z because of the timer of rule" in damaged.said("open")


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("entered_at", 1_767_690_000_000_000, "entered_at is stored as 2026-01-06T09:00:00Z"),
        ("opened_at", 0, "opened_at is stored as 1970-01-01T00:00:00Z"),
        ("closed_at", None, "closed_at is stored as nothing, the fold says 2026-01-06T11"),
        ("lost_from", "new", 'lost_from is stored as "new", the fold says nothing'),
        ("last_event_at", 1, "last_event_at is stored as 1970"),
        ("cursor_id", "e9", 'cursor_id is stored as "e9", the fold says "e3"'),
        ("visit", 2, "visit is stored as 2, the fold says 3"),
        ("visit_key", "x", 'visit_key is stored as "x"'),
        ("owner", "Eve", 'owner is stored as "Eve", the fold says "Bea"'),
        ("currency", "CHF", 'currency is stored as "CHF", the fold says "EUR"'),
        ("value", "9", "value is stored as 9, the fold says 10.00"),
        ("timers", '{"blocked": ["x"]}', "timers are noted as"),
        ("definition", "x", "another definition"),
        ("baseline_at", 5, "baseline_at is stored as 1970"),
    ],
)
def test_a_changed_row_is_found(damaged: Damaged, column: str, value: Any, says: str):
    damaged.run(f"UPDATE ladder_deals SET {column} = ? WHERE deal = 'd'", value)
    assert says in damaged.said()


def test_a_timer_that_would_never_fire_is_found(damaged: Damaged):
    damaged.shop.tell("lead", "armed", id="a1")
    damaged.run("UPDATE ladder_deals SET due_at = NULL WHERE deal = 'armed'")
    assert damaged.said("armed").startswith("its due_at is stored as nothing, the fold says 2026")


def test_a_changed_document_is_found(damaged: Damaged):
    document = json.dumps({"owner": "Bea", "currency": "EUR", "value": "10.00"})
    damaged.run("UPDATE ladder_documents SET data = ? WHERE deal = ?", document, damaged.deal_id())
    assert damaged.said() == f"its contact is stored as nothing, the fold says {json.dumps(EMAIL)}"


def test_a_document_that_is_no_json_is_found(damaged: Damaged):
    damaged.run("UPDATE ladder_documents SET data = '{' WHERE deal = ?", damaged.deal_id())
    assert "cannot be read" in damaged.said()


# -- damage to moves and visits -----------------------------------------------------------------


def test_a_deleted_move_is_found(damaged: Damaged):
    damaged.run("DELETE FROM ladder_moves WHERE deal = ? AND n = 2", damaged.deal_id())
    assert damaged.said() == (
        "no visit 2 is stored, and the fold says in talking since 2026-01-05T10:00:00Z because of "
        "event 'e2' (call)"
    )


def test_an_invented_move_is_found(damaged: Damaged):
    damaged.run(
        f"INSERT INTO ladder_moves SELECT deal, 4, 'k', {numbered('won')}, {numbered('lost')}, at, "
        "recorded_at, rule_word, NULL, NULL FROM ladder_moves WHERE deal = ? AND n = 1",
        damaged.deal_id(),
    )
    assert damaged.said() == "visit 4 in lost is stored, and the fold makes no such move"


def test_a_last_visit_that_is_not_the_current_one_is_found(damaged: Damaged):
    damaged.shop.board.forget(email=EMAIL["email"])
    damaged.run("UPDATE ladder_moves SET at = at + 1 WHERE deal = ? AND n = 3", damaged.deal_id())
    assert damaged.said() == (
        "stored in won since 2026-01-06T11:00:00Z, and its last visit is 3 in won since "
        "2026-01-06T11:00:00.000001Z"
    )


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        (
            "into_word",
            numbered("won"),
            "visit 2 is stored in won since 2026-01-05T10:00:00Z, the fold ",
        ),
        (
            "at",
            "at - 1",
            "visit 2 is stored in talking since 2026-01-05T09:59:59.999999Z, the fold",
        ),
        (
            "out_of_word",
            numbered("cold"),
            "visit 2 in talking is stored with out_of 'cold', the fold says 'new'",
        ),
        ("rule_word", numbered("x"), "visit 2 in talking is stored with rule 'x'"),
        ("rule_word", "99", "visit 2 in talking is stored with rule '(word 99)'"),
        ("event_id", "'e9'", "visit 2 in talking is stored with event_id 'e9', the fold says 'e2'"),
        ("visit_key", "'x'", "visit 2 in talking is stored with visit_key 'x'"),
    ],
)
def test_a_changed_move_is_found(damaged: Damaged, column: str, value: str, says: str):
    damaged.run(
        f"UPDATE ladder_moves SET {column} = {value} WHERE deal = ? AND n = 2", damaged.deal_id()
    )
    assert damaged.said().startswith(says)
    assert damaged.said().count("event 'e2' (call)") == 1


def test_before_a_baseline_visits_still_have_to_follow_one_another(damaged: Damaged):
    deal = damaged.deal_id("forgotten")
    damaged.run("UPDATE ladder_moves SET at = at + 1 WHERE deal = ? AND n = 1", deal)
    assert damaged.said("forgotten") == "visit 2 in talking begins before visit 1 in new"


def test_a_move_deleted_before_a_baseline_is_found(damaged: Damaged):
    damaged.run("DELETE FROM ladder_moves WHERE deal = ? AND n = 1", damaged.deal_id("forgotten"))
    assert damaged.said("forgotten").startswith("visit 1 is missing")


def test_a_waiting_deal_with_a_visit_is_found(damaged: Damaged):
    damaged.run(
        "INSERT INTO ladder_moves SELECT ?, n, 'k', out_of_word, into_word, at, recorded_at, "
        "rule_word, NULL, NULL FROM ladder_moves WHERE deal = ? AND n = 1",
        damaged.deal_id("waits"),
        damaged.deal_id(),
    )
    assert damaged.said("waits") == "visit 1 in new is stored, and the fold makes no such move"


# -- damage to events ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value"),
    [("type_word", numbered("order")), ("data", '\'{"owner":"Eve"}\''), ("at", "at + 1")],
)
def test_an_altered_event_is_found(damaged: Damaged, column: str, value: str):
    damaged.run(f"UPDATE ladder_events SET {column} = {value} WHERE id = 'e2'")
    assert "event 'e2'" in damaged.said()
    assert "was altered after it was recorded" in damaged.said()


def test_an_event_altered_without_any_consequence_is_found_too(damaged: Damaged):
    damaged.run("""UPDATE ladder_events SET data = '{"note":"x"}' WHERE id = 'w1'""")
    assert "event 'w1' (call)" in damaged.said("waits")


def test_an_event_that_cannot_be_folded_any_more_is_found(damaged: Damaged):
    damaged.run(
        """UPDATE ladder_events SET data = '{"value":"x"}', digest = NULL WHERE id = 'e2'"""
    )
    assert damaged.said().startswith("event 'e2' (call) cannot be used any more")


def test_a_deleted_event_is_found(damaged: Damaged):
    damaged.run("DELETE FROM ladder_events WHERE id = 'e3'")
    assert damaged.said() == "visit 3 in won is stored, and the fold makes no such move"


def test_an_event_whose_order_was_changed_is_found(damaged: Damaged):
    damaged.run("UPDATE ladder_events SET seq = 5 WHERE id = 'e3'")
    assert damaged.said() == "its cursor_seq is stored as 0, the fold says 5"


def test_an_event_that_is_no_json_is_found(damaged: Damaged):
    damaged.run("UPDATE ladder_events SET data = 'x' WHERE id = 'e2'")
    assert "cannot be read" in damaged.said()


# -- damage to effects --------------------------------------------------------------------------


def test_an_effect_of_a_visit_that_never_was_is_found(damaged: Damaged):
    damaged.shop.tell("lead", "armed", id="a1")
    damaged.run(
        "UPDATE ladder_effects SET visit_key = 'x' WHERE deal = ? AND name = 'task'",
        damaged.deal_id("armed"),
    )
    assert "effect 'task'" in damaged.said("armed")
    assert "for a visit that the deal does not have" in damaged.said("armed")


def test_a_task_of_a_visit_that_has_ended_is_found(damaged: Damaged):
    damaged.run(
        "UPDATE ladder_effects SET state = 'open' WHERE deal = ? AND payload LIKE '%Meet%'",
        damaged.deal_id(),
    )
    assert "is still open, and visit 2 in talking has ended" in damaged.said()


def test_an_effect_that_moving_out_would_not_cancel_is_found(damaged: Damaged):
    damaged.shop.tell("lead", "armed", id="a1")
    damaged.run("UPDATE ladder_deals SET has_effects = 0 WHERE deal = 'armed'")
    assert "the deal's row says that none does" in damaged.said("armed")


# -- tombstones and the database itself ---------------------------------------------------------


def test_a_tombstone_with_something_left_is_found(damaged: Damaged):
    tombstone = damaged.deal_id("removed")
    damaged.run('INSERT INTO ladder_documents VALUES (?, \'{"owner":"Bea"}\')', tombstone)
    assert "it was removed, and 1 of its document" in damaged.said("removed")


def test_a_tombstone_that_still_names_someone_is_found(damaged: Damaged):
    damaged.run("UPDATE ladder_deals SET owner = 'Bea' WHERE deal = 'removed'")
    assert damaged.said("removed") == "it was removed, and its owner is still stored"


def test_rows_of_a_deal_that_is_gone_are_found(damaged: Damaged):
    damaged.run("DELETE FROM ladder_deals WHERE deal = 'd'")
    said = {str(difference) for difference in damaged.found()}
    orphan = (
        "the database: a row of ladder_events belongs to a row of ladder_deals that is not there"
    )
    assert orphan in said


def test_a_row_that_breaks_the_schema_is_found(damaged: Damaged):
    damaged.run("UPDATE ladder_deals SET visit = 0 WHERE deal = 'd'")
    said = [str(difference) for difference in damaged.found()]
    assert said[0].startswith("the database: CHECK constraint failed in ladder_deals")
    assert said[1].startswith("deal 'd': ")


def test_every_deal_is_told_once_and_all_are_counted(damaged: Damaged):
    damaged.run("UPDATE ladder_deals SET owner = 'Eve', value = '1', last_event_at = 5")
    told: list[Difference] = []
    report = verify(damaged.shop.board, on_difference=told.append)
    assert len({difference.deal for difference in told}) == len(told) == report.differing == 7
    assert told[0].deal is None, "the owner is another for the totals, too"


def test_a_clock_has_no_part_in_it(shop: Shop):
    shop.clock.advance(dt.timedelta(days=400) + HOUR)
    assert verify(shop.board).agrees
