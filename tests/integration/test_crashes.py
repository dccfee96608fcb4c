"""A process is killed at random moments: nothing that was accepted is lost, nothing sent twice.

``LADDERPIPE_KILLS=500`` kills that often.
"""

from __future__ import annotations

import os
import sqlite3
from collections import defaultdict
from typing import Any

import attrs
import pytest

from ladderpipe import Board, Effect, EffectState, Event, ManualClock
from ladderpipe.board.verify import VerifyReport, verify
from tests.children import Files, Lines, open_board, run

KILLS = int(os.environ.get("LADDERPIPE_KILLS", "60"))
SETTLED = {EffectState.DELIVERED, EffectState.CANCELLED, EffectState.EXPIRED}


@attrs.frozen
class Aftermath:
    """What is left of many processes that were killed.

    Attributes:
        at_once: what ``verify`` said before anybody had tidied up.
        afterwards: what it said when every deal was won and every effect settled.
        delivered: key and subject of every delivery, in order.
    """

    files: Files
    board: Board
    at_once: VerifyReport
    afterwards: VerifyReport
    accepted: list[str]
    delivered: list[tuple[str, Any]]
    effects: list[Effect]


def win_everything(board: Board, clock: ManualClock) -> None:
    """Bring every deal to its end, and let the worker go on until nothing is left to do."""
    for deal in {effect.deal for effect in board.effects()}:
        board.handle(Event("order", deal=deal, id=f"the end of {deal}", at=clock.now()))
    for _ in range(100):
        board.deliver()
        if not board.effects(states=[EffectState.PENDING, EffectState.CLAIMED]):
            return
        clock.advance(hours=10)


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Any:
    files = Files(tmp_path_factory.mktemp("crashes"))
    run("crash", files, KILLS)
    clock = ManualClock(Lines.read(files.ended)[0])
    board = open_board(files, clock)
    at_once = verify(board)
    win_everything(board, clock)
    yield Aftermath(
        files,
        board,
        at_once,
        verify(board),
        Lines.read(files.accepted),
        [(key, tuple(about) if about else None) for key, about in Lines.read(files.delivered)],
        board.effects(),
    )
    board.close()


def test_the_processes_had_no_trouble_but_being_killed(aftermath: Aftermath):
    assert Lines.read(aftermath.files.troubles) == []


def test_they_were_killed_in_the_middle_of_work(aftermath: Aftermath):
    assert len(aftermath.accepted) > KILLS
    assert len(aftermath.delivered) > KILLS
    again = len(aftermath.delivered) - len({key for key, _ in aftermath.delivered})
    assert again > 0, "some between a delivery and writing down that it was made"


def test_what_is_stored_is_the_fold(aftermath: Aftermath):
    assert aftermath.at_once.differences == ()
    assert aftermath.afterwards.differences == ()
    assert aftermath.at_once.deals > KILLS


def test_the_file_is_sound(aftermath: Aftermath):
    connection = sqlite3.connect(aftermath.board.store.path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


def test_no_accepted_event_is_lost(aftermath: Aftermath):
    connection = sqlite3.connect(aftermath.board.store.path)
    stored = {row[0] for row in connection.execute("SELECT id FROM ladder_events")}
    connection.close()
    assert set(aftermath.accepted) <= stored
    assert len(aftermath.accepted) == len(set(aftermath.accepted))


def test_every_effect_comes_to_an_end(aftermath: Aftermath):
    assert {effect.state for effect in aftermath.effects} <= SETTLED


def test_every_visit_that_asked_for_an_effect_has_it(aftermath: Aftermath):
    """Of deals whose events came in order; a visit that appears only in the past asks for none.

    Of the last deal that a process brought, nobody knows.
    """
    asked = defaultdict(set)
    for effect in aftermath.effects:
        asked[effect.visit_key].add((effect.name, effect.payload.get("about", [None, None])[1]))
    calm = {effect.deal for effect in aftermath.effects if effect.deal.startswith("calm")}
    goes_on = {deal for deal in calm if _next_deal(deal) in calm}
    in_order = goes_on - set(Lines.read(aftermath.files.refolded))
    assert in_order
    for deal in in_order:
        history = aftermath.board.history(deal)
        for visit, move in zip(history.visits, [*history.moves[1:], None], strict=True):
            wanted = {("mail", "into"), ("mail", "into, later")}
            wanted |= {("note", None)} if visit.stage == "new" else set()
            wanted |= {("mail", "out of")} if move is not None and move.event is not None else set()
            assert asked[visit.key] == wanted


def _next_deal(deal: str) -> str:
    prefix, _, number = deal.rpartition("-")
    return f"{prefix}-{int(number) + 1}"


def test_what_counts_as_delivered_was_delivered(aftermath: Aftermath):
    delivered = {key for key, _ in aftermath.delivered}
    assert {e.key for e in aftermath.effects if e.state == "delivered"} <= delivered
    assert delivered <= {effect.key for effect in aftermath.effects}


def test_an_effect_that_runs_to_completion_was_delivered(aftermath: Aftermath):
    always = [effect for effect in aftermath.effects if effect.run_to_completion]
    assert always
    wild = [effect for effect in always if effect.state != "delivered"]
    assert {effect.deal[:4] for effect in wild} <= {"wild"}, "only where a visit never was"


def test_nothing_is_delivered_under_two_keys(aftermath: Aftermath):
    keys = defaultdict(set)
    for key, about in aftermath.delivered:
        if about is not None:
            keys[about].add(key)
    assert keys
    assert {about: found for about, found in keys.items() if len(found) > 1} == {}
