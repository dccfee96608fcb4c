"""Words are numbers in the rows; whatever is undone, waits or fails, each row says its own word."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
import pytest

from ladderpipe import Board, Event, ManualClock, Outcome, Pipeline, Stage, on
from ladderpipe.board.verify import verify
from ladderpipe.errors import HookError
from ladderpipe.stores import PostgresStore
from tests.shops import lead_ladder

NOW = "2026-01-05T09:00:00Z"
Connect: TypeAlias = Callable[[], Any]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/shop.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
def connect(url: str) -> Connect:
    """Opens a connection of the caller's own."""
    if url.startswith("sqlite"):
        return lambda: sqlite3.connect(url.removeprefix("sqlite:///"))
    return lambda: psycopg.connect(url)


@pytest.fixture
def board(url: str) -> Iterator[Board]:
    with Board.open(lead_ladder(), url, clock=ManualClock(NOW)) as board:
        board.handle(event("lead", 0))
        yield board


def event(kind: str, number: int, deal: str = "d") -> Event:
    return Event(kind, deal=deal, id=f"{kind} {number}", at=NOW, seq=number)


def types(board: Board, deal: str = "d") -> list[str]:
    """Return the types of a deal's events, each of which its identity says, too."""
    found = [told.type for told in board.events(deal)]
    assert found == [told.id.split()[0] for told in board.events(deal)]
    return found


def until_it_is_told(telling: threading.Thread, url: str) -> None:
    """See to it that nobody waits for another's word; on SQLite there is one writer anyway."""
    if not url.startswith("sqlite"):
        telling.join(timeout=30)
        assert not telling.is_alive()


def test_what_the_caller_undoes_is_forgotten(board: Board, connect: Connect) -> None:
    with closing(connect()) as connection:
        board.using(connection).handle(event("undone", 1))
        connection.rollback()
        board.using(connection).handle(event("kept", 2))
        connection.commit()
    board.handle(event("undone", 3))
    board.handle(event("other", 4))
    assert types(board) == ["lead", "kept", "undone", "other"]
    assert verify(board).agrees


def test_what_the_caller_undoes_in_part_is_forgotten(board: Board, connect: Connect) -> None:
    with closing(connect()) as connection:
        joined = board.using(connection)
        joined.handle(event("first", 1))
        connection.execute("SAVEPOINT part")
        joined.handle(event("undone", 2))
        connection.execute("ROLLBACK TO part")
        joined.handle(event("second", 3))
        joined.handle(event("undone", 4))
        assert types(joined) == ["lead", "first", "second", "undone"]
        connection.commit()
    assert types(board) == ["lead", "first", "second", "undone"]


def test_what_a_hook_that_raises_undoes_is_forgotten(url: str) -> None:
    new, sold = Stage("new"), Stage("sold", status="won")
    ladder = Pipeline(
        "words",
        stages=[new, sold],
        rules=[on("lead", into=new, opens=True), on("order", into=sold)],
    )

    @ladder.move_into(sold)
    def refuse(ctx: Any) -> None:
        if ctx.deal.id == "refused":
            raise ValueError("no")

    with Board.open(ladder, url, clock=ManualClock(NOW)) as board:
        board.handle(event("lead", 0, "refused"))
        board.handle(event("lead", 1))
        with pytest.raises(HookError):
            board.handle(event("order", 2, "refused"))
        assert board.handle(event("order", 2, "refused"), hold=True).outcome is Outcome.HELD
        board.handle(event("seen", 3, "refused"))
        board.handle(event("order", 4))
        assert types(board) == ["lead", "order"]
        assert types(board, "refused") == ["lead", "seen"]
        assert str(board.history("d").moves[-1].into) == "sold"
        assert verify(board).agrees


def test_two_that_tell_the_same_new_word_do_not_wait_for_one_another(
    board: Board, connect: Connect, url: str
) -> None:
    with Board.open(lead_ladder(), url, clock=ManualClock(NOW)) as other:
        with closing(connect()) as connection:
            board.using(connection).handle(event("fresh", 1))
            telling = threading.Thread(target=other.handle, args=[event("fresh", 2, "e")])
            telling.start()
            until_it_is_told(telling, url)
            connection.commit()
            telling.join()
        assert types(other, "e") == types(board, "e") == ["fresh"]
        assert types(other) == types(board) == ["lead", "fresh"]


def test_a_word_that_its_first_teller_takes_back_is_the_seconds(
    board: Board, connect: Connect, url: str
) -> None:
    with Board.open(lead_ladder(), url, clock=ManualClock(NOW)) as other:
        with closing(connect()) as connection:
            board.using(connection).handle(event("fresh", 1))
            telling = threading.Thread(target=other.handle, args=[event("fresh", 2, "e")])
            telling.start()
            until_it_is_told(telling, url)
            connection.rollback()
            telling.join()
        board.handle(event("newer", 3))
        assert types(other, "e") == types(board, "e") == ["fresh"]
        assert types(other) == types(board) == ["lead", "newer"]


def test_who_sees_no_more_than_its_beginning_brings_the_word_again(postgres_url: str) -> None:
    with (
        closing(PostgresStore(postgres_url)) as store,
        psycopg.connect(postgres_url) as connection,
    ):
        board = Board(lead_ladder(), store=store, clock=ManualClock(NOW))
        board.handle(event("lead", 0))
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT 1 FROM ladder_words")
        board.handle(event("fresh", 1, "e"))
        board.using(connection).handle(event("fresh", 2))
        connection.commit()
        assert types(board) == ["lead", "fresh"]
        assert types(board, "e") == ["fresh"]
        assert board.health().undeclared == {"fresh": 2}


def test_more_words_than_are_remembered_are_looked_up(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ladderpipe.stores.words.MOST", 3)
    kinds = [f"kind{n}" for n in range(8)]
    for number, kind in enumerate(kinds, 1):
        board.handle(event(kind, number))
    assert types(board) == ["lead", *kinds]
    assert board.health().undeclared == dict.fromkeys(kinds, 1)


def test_people_read_words_instants_and_keys(board: Board, url: str, connect: Connect) -> None:
    board.handle(Event("call", deal="d", id="call", at="2026-01-05T09:00:00.000007Z", source="web"))
    board.handle(Event("seen", deal="d", id="old", at="1969-12-31T23:59:59.999999Z"))
    with closing(connect()) as connection:
        moves = connection.execute(
            "SELECT pipeline, deal, n, out_of, into_stage, at, rule, event_source, event_id, "
            "visit_key FROM ladder_moves_read ORDER BY n"
        ).fetchall()
        events = connection.execute(
            "SELECT pipeline, deal, source, id, type, at FROM ladder_events_read ORDER BY at"
        ).fetchall()
    visits = board.history("d").visits
    assert [(move[-1], move[2]) for move in moves] == [(visit.key, visit.n) for visit in visits]
    second = ("leads", "d", 2, "new", "talking", moves[1][5], "on call into talking", "web", "call")
    assert moves[1][:-1] == second
    assert [row[:5] for row in events] == [
        ("leads", "d", "", "old", "seen"),
        ("leads", "d", "", "lead 0", "lead"),
        ("leads", "d", "web", "call", "call"),
    ]
    if url.startswith("sqlite"):
        assert [row[5] for row in events] == [
            "1969-12-31T23:59:59.999999Z",
            "2026-01-05T09:00:00.000000Z",
            "2026-01-05T09:00:00.000007Z",
        ]


def test_what_a_pipeline_declares_has_its_numbers_before_anybody_needs_them(
    url: str, connect: Connect
) -> None:
    def numbered() -> set[str]:
        with closing(connect()) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT word FROM ladder_words")
            return {word for (word,) in cursor.fetchall()}

    ladder = lead_ladder()
    with Board.open(ladder, url, clock=ManualClock(NOW)) as board:
        before = numbered()
        for number, kind in enumerate(("lead", "call", "cart.saved")):
            board.handle(event(kind, number))
        board.edit("d", by="Bea", owner="Bea")
        board.move("d", "lost", by="Bea", properties={"why": "price"})
        board.undo("d", by="Bea", expecting="lost")
        board.override("d", "won", by="Bea")
        assert numbered() == before
        assert {stage.key for stage in ladder.stages} <= before
        board.handle(event("unheard of", 9))
        assert numbered() - before == {"unheard of"}
