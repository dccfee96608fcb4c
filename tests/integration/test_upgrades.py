"""A database that a former version of the library has made works on, with the new indexes."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from ladderpipe import Board, Event, ManualClock, Pipeline, SqliteStore, Stage, do, on
from ladderpipe.board.verify import verify
from ladderpipe.model.clock import instant
from ladderpipe.policy import Policy, unsubscribed
from ladderpipe.stores import PostgresStore
from ladderpipe.stores.listing import ORDERS
from ladderpipe.stores.postgres import schema as postgres_schema
from tests.carts import ADA, carts
from tests.postgres import rows_by_table
from tests.shops import lead_ladder
from tests.totals import assert_counted, summed
from tests.wide_rows import widen

HOUR: Final = 3_600_000_000
"""In microseconds, as SQLite keeps instants."""
NOW: Final = "2026-01-07T18:00:00Z"
ENDS: Final = "SELECT deal, n, left_at FROM ladder_visits ORDER BY deal, n"
FORMER: Final = (2, 8, 12, 13)
"""Versions of the schema of whose files there is what ``sqlite3.Connection.iterdump`` wrote."""
WIDE: Final = 10
"""Columns of the moves of version 13."""


def contents(connection: sqlite3.Connection) -> dict[str, list[Any]]:
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {
        name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()
        for (name,) in names
        if name != "ladder_schema"
    }


def indexes(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(
        connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql > ''")
    )


def ends_of(moves: list[Any]) -> list[Any]:
    """Return what the former rows of moves say of when visits ended, which they did to 12."""
    if len(moves[0]) > WIDE:
        return [(deal, n, left_at) for deal, n, *_, left_at, _, _, _, _ in moves]
    later = {(deal, n): at for deal, n, _, _, _, at, *_ in moves}
    return [(deal, n, later.get((deal, n + 1))) for deal, n, *_ in moves]


def without_ends(moves: list[Any]) -> list[Any]:
    return [row[:6] + row[7:] if len(row) > WIDE else row for row in moves]


def known(rows: list[Any], former: list[Any]) -> list[Any]:
    """Return rows without the columns that came later."""
    return [row[: len(former[0])] for row in rows] if former else rows


def with_task_due(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return an effect of a former file, which noted of a task when it was asked for."""
    name, payload, state, due_at = row[5], json.loads(row[7]), row[8], row[9]
    if name != "task" or state not in ("open", "cancelled"):
        return row
    return (*row[:10], due_at + payload.get("due_hours", 0) * HOUR, *row[11:])


@pytest.fixture(params=FORMER)
def version(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


@pytest.fixture
def former_file(tmp_path: Path, version: int) -> Path:
    path = tmp_path / "former.db"
    with closing(sqlite3.connect(path)) as connection:
        script = Path(__file__).with_name(f"version_{version}.sql")
        connection.executescript(script.read_text())
    return path


def test_a_file_that_a_former_version_made_is_brought_up_to_date_and_keeps_every_row(
    former_file: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(former_file)) as connection:
        before = contents(connection)
    SqliteStore(former_file).close()
    SqliteStore(tmp_path / "new.db").close()
    with (
        closing(sqlite3.connect(former_file)) as upgraded,
        closing(sqlite3.connect(tmp_path / "new.db")) as new,
    ):
        assert upgraded.execute(ENDS).fetchall() == ends_of(before["ladder_moves"])
        assert indexes(upgraded) == indexes(new)
        widen(upgraded)
        after = contents(upgraded)
        before["ladder_moves"] = without_ends(before["ladder_moves"])
        kept = {name: known(after[name], rows) for name, rows in before.items()}
        effects = before.pop("ladder_effects")
        assert kept.pop("ladder_effects") == [with_task_due(row) for row in effects]
        assert kept == before


def test_a_board_works_on_with_a_file_that_a_former_version_made(
    former_file: Path, version: int
) -> None:
    store, clock = SqliteStore(former_file), ManualClock(NOW)
    with closing(Board(lead_ladder(sequence=True), store=store, clock=clock)) as board:
        assert board.health().undeclared == told_undeclared(version)
        works_on(board)


def test_a_board_works_on_with_tables_that_a_former_version_made_on_postgresql(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    before = former_tables(postgres_url, version, monkeypatch)
    PostgresStore(postgres_url).close()
    with psycopg.connect(postgres_url) as connection:
        newest_rows = rows_by_table(connection)
        assert connection.execute(ENDS).fetchall() == ends_of(before["ladder_moves"])
        widen(connection)
        after = rows_by_table(connection) | {"ladder_schema": newest_rows["ladder_schema"]}
        before["ladder_moves"] = without_ends(before["ladder_moves"])
        connection.rollback()
    newest = {"ladder_schema": [(len(postgres_schema.MIGRATIONS),)]}
    assert {name: known(after[name], rows) for name, rows in before.items()} == before | newest
    PostgresStore(postgres_url, schema="new").close()
    with psycopg.connect(postgres_url) as connection:
        made = [
            connection.execute(
                "SELECT indexname, replace(indexdef, schemaname || '.', '') FROM pg_indexes "
                "WHERE schemaname = %s ORDER BY 1",
                (schema,),
            ).fetchall()
            for schema in ("public", "new")
        ]
    assert made[0] == made[1]
    store = PostgresStore(postgres_url)
    with closing(Board(lead_ladder(sequence=True), store=store, clock=ManualClock(NOW))) as board:
        assert board.health().undeclared == told_undeclared(version)
        works_on(board)


@pytest.mark.parametrize("made_by", [12, 13])
@pytest.mark.parametrize("database", ["memory", "sqlite", "postgresql"])
def test_an_archive_of_a_former_version_is_restored(
    database: str, made_by: int, tmp_path: Path, postgres_url: str
) -> None:
    """Version 12 noted of a move when the visit ended that it began."""
    url = {"memory": "memory:", "sqlite": f"sqlite:///{tmp_path}/shop.db"}.get(database)
    clock = ManualClock("2026-03-01T09:00:00Z")
    archive = Path(__file__).with_name(f"version_{made_by}.jsonl")
    with closing(Board.open(lead_ladder(), url or postgres_url, clock)) as board:
        assert board.restore(archive).restored == 1
        assert verify(board).agrees
        assert [(str(visit.stage), visit.left_at) for visit in board.history("d").visits] == [
            ("new", instant("2026-01-05T10:00:00Z")),
            ("talking", instant("2026-01-05T11:00:00Z")),
            ("won", None),
        ]
        assert board.restore(archive).present == 1


AS_IN_VERSION_13 = (
    "DROP TABLE ladder_checkpoints",
    "DROP TABLE ladder_totals",
    "DROP INDEX ladder_deals_stage",
    "CREATE INDEX ladder_deals_stage ON ladder_deals (pipeline, stage) WHERE stage IS NOT NULL",
    "CREATE INDEX ladder_deals_worth ON ladder_deals (pipeline, stage) WHERE stage IS NOT NULL",
    "UPDATE ladder_schema SET version = 13",
)
AS_IN_VERSION_12 = (
    *AS_IN_VERSION_13,
    "DROP VIEW ladder_visits",
    "ALTER TABLE ladder_moves ADD COLUMN left_at timestamptz",
    "UPDATE ladder_moves SET left_at = (SELECT later.at FROM ladder_moves later "
    "WHERE later.deal = ladder_moves.deal AND later.n = ladder_moves.n + 1)",
    "CREATE UNIQUE INDEX ladder_moves_one_current ON ladder_moves (deal) WHERE left_at IS NULL",
    "UPDATE ladder_schema SET version = 12",
)
AS_IN_VERSION_11 = (
    *AS_IN_VERSION_12,
    "DROP INDEX ladder_effects_urgent",
    "DROP INDEX ladder_effects_open",
    "CREATE INDEX ladder_effects_open ON ladder_effects (pipeline, owner, due_at) "
    "WHERE state = 'open'",
    "UPDATE ladder_effects SET ready_at = due_at",
    "UPDATE ladder_schema SET version = 11",
)
AS_IN_VERSION_10 = (
    *AS_IN_VERSION_11,
    "DROP TABLE ladder_search",
    *(
        f"DROP INDEX ladder_deals_{index}"
        for index in ("touched", "worth", *(f"by_{order}" for order in ORDERS))
    ),
    *(
        f"ALTER TABLE ladder_deals DROP COLUMN {column}"
        for column in ("units", "fraction", "title", "source", "touched_at")
    ),
)
AS_IN_VERSION_9 = (
    *AS_IN_VERSION_10,
    "CREATE TABLE former AS SELECT address, wanted, at, seq, source, id FROM ladder_subscriptions",
    "DROP TABLE ladder_subscriptions",
    "CREATE TABLE ladder_subscriptions AS SELECT * FROM former",
    "DROP TABLE former",
    "UPDATE ladder_schema SET version = 9",
)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_was_said_of_an_address_stays_said_and_can_be_taken_back(
    database: str, tmp_path: Path, postgres_url: str
) -> None:
    """Version 9 kept only what was said last, and not in which pipeline."""
    is_postgres = database == "postgresql"
    url = postgres_url if is_postgres else f"sqlite:///{tmp_path}/shop.db"
    ladder, clock = carts(Policy(stop_when=[unsubscribed])), ManualClock(NOW)
    no_more = Event("contact.unsubscribed", deal="a", id="no", at=NOW, data=contact(ADA))
    with closing(Board.open(ladder, url, clock)) as board:
        board.handle(no_more)
        board.unsubscribe("bob@example.com")
    with closing(
        psycopg.connect(url) if is_postgres else sqlite3.connect(tmp_path / "shop.db")
    ) as connection:
        widen(connection)
        for statement in AS_IN_VERSION_9:
            connection.execute(statement)
        if is_postgres:
            connection.execute("ALTER TABLE ladder_subscriptions ADD PRIMARY KEY (address, wanted)")
        connection.commit()
    with closing(Board.open(ladder, url, clock)) as board:
        sent: list[str] = []
        board.handles("email")(lambda delivery: sent.append(delivery.payload["to"]))
        for deal, address in (("a", ADA), ("b", "bob@example.com")):
            board.handle(Event("cart", deal=deal, id=deal, at=NOW, data=contact(address)))
        clock.advance(hours=50)
        board.tick()
        board.deliver()
        assert sent == []
        board.withdraw(no_more, by="ada")
        cart = Event("cart", deal="c", id="c", at=clock.now(), data=contact(ADA))
        board.handle(cart)
        clock.advance(hours=50)
        board.tick()
        board.deliver()
        assert sent == [ADA]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_deals_of_a_former_version_are_counted_once_and_for_all(
    database: str, tmp_path: Path, postgres_url: str
) -> None:
    """Version 13 kept no totals, and added up every deal for a summary."""
    is_postgres = database == "postgresql"
    url = postgres_url if is_postgres else f"sqlite:///{tmp_path}/shop.db"
    ladder, clock = lead_ladder(), ManualClock(NOW)
    with closing(Board.open(ladder, url, clock)) as board:
        for number in range(20):
            data = {"value": f"{number}.5", "currency": "EUR", "source": f"s{number % 3}"}
            data |= {"owner": "Ada"} if number % 2 else {}
            board.handle(Event("lead", deal=f"d{number}", id=f"e{number}", at=NOW, data=data))
        before = summed(board)
    with closing(
        psycopg.connect(url) if is_postgres else sqlite3.connect(tmp_path / "shop.db")
    ) as connection:
        widen(connection)
        for statement in AS_IN_VERSION_13:
            connection.execute(statement)
        connection.commit()
    with closing(Board.open(ladder, url, clock)) as board:
        assert summed(board) == before
        assert_counted(board)
        board.handle(Event("order", deal="d3", id="order", at=NOW))
        assert_counted(board)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_tasks_of_a_former_version_are_listed_by_when_they_are_to_be_done(
    database: str, tmp_path: Path, postgres_url: str
) -> None:
    """Version 11 knew only when they were asked for, and read all of them to sort them."""
    is_postgres = database == "postgresql"
    url = postgres_url if is_postgres else f"sqlite:///{tmp_path}/shop.db"
    clock = ManualClock(NOW)
    later, sooner = do("task", title="Later", due_hours=7.5), do("task", title="Sooner")
    new, old = Stage("new", sequence=[later]), Stage("old", sequence=[sooner])
    rules = [on("lead", into=new, opens=True), on("aged", into=old, opens=True)]
    ladder = Pipeline("tasks", stages=[new, old], rules=rules)
    with closing(Board.open(ladder, url, clock)) as board:
        for deal, kind in (("a", "lead"), ("b", "aged"), ("c", "lead")):
            board.handle(Event(kind, deal=deal, id=deal, at=clock.now()))
            clock.advance(hours=1)
        due = [(task.deal, task.due_at) for task in board.tasks()]
    with closing(
        psycopg.connect(url) if is_postgres else sqlite3.connect(tmp_path / "shop.db")
    ) as connection:
        widen(connection)
        for statement in AS_IN_VERSION_11:
            connection.execute(statement)
        connection.commit()
    with closing(Board.open(ladder, url, clock)) as board:
        assert [task.deal for task in board.task_page().tasks] == ["b", "a", "c"]
        assert [(task.deal, task.due_at) for task in board.tasks()] == due
        board.handle(Event("aged", deal="a", id="aged", at=clock.now()))
        board.withdraw("aged", by="ada")
        assert [(task.deal, task.due_at) for task in board.tasks()] == due


def contact(address: str) -> dict[str, Any]:
    return {"contact": {"email": address}}


def former_tables(
    url: str, version: int, monkeypatch: pytest.MonkeyPatch
) -> dict[str, list[tuple[Any, ...]]]:
    """Make tables as a former version did, and return every row in them."""
    with closing(PostgresStore(url, schema="today")) as store:
        told_before(Board(lead_ladder(sequence=True), store=store, clock=ManualClock(NOW)))
    with monkeypatch.context() as patch:
        patch.setattr(postgres_schema, "MIGRATIONS", postgres_schema.MIGRATIONS[:version])
        PostgresStore(url).close()
    with psycopg.connect(url) as connection:
        connection.execute("SET search_path = today")
        widen(connection)
        connection.execute("SET search_path = public")
        bring_back("today", connection)
        connection.execute("DROP SCHEMA today CASCADE")
        return rows_by_table(connection)


def bring_back(schema: str, connection: psycopg.Connection[Any]) -> None:
    """Fill the former tables with what stands in today's, but for the columns that came since."""
    columns = connection.execute(
        "SELECT table_name, string_agg(column_name, ', ') FROM information_schema.columns "
        "WHERE table_schema = 'public' AND table_name NOT IN ('ladder_schema', 'ladder_visits') "
        "GROUP BY 1 "
        "ORDER BY array_position(ARRAY['ladder_pipelines', 'ladder_deals'], table_name::text)"
    ).fetchall()
    for table, names in columns:
        today = f"{schema}.{table}"
        if table == "ladder_moves" and "left_at" in names:
            today += f" JOIN {schema}.ladder_visits USING (deal, n, visit_key)"
        connection.execute(
            f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {today}"
        )
    connection.execute("SELECT setval('ladder_deals_id_seq', max(id)) FROM ladder_deals")
    connection.execute("SELECT setval('ladder_pipelines_id_seq', max(id)) FROM ladder_pipelines")


def told_before(board: Board) -> None:
    """Bring a board to where the file of version 2 stands."""
    for number, (kind, deal, hour) in enumerate(
        [
            ("lead", "ada", 9),
            ("call", "ada", 11),
            ("lead", "bob", 10),
            ("order", "bob", 12),
            ("lead", "cyd", 13),
            ("viewed", "eve", 14),
        ],
        start=1,
    ):
        owner = {"ada": "Bea", "cyd": "Dan"}.get(deal)
        data = {"owner": owner} if owner and kind == "lead" else {}
        at = f"2026-01-05T{hour:02}:00:00Z"
        board.handle(Event(kind, deal=deal, id=f"e{number}", at=at, data=data))
    board.tick()
    board.handles("email")(lambda delivery: None)
    board.deliver(limit=1)


def told_undeclared(version: int) -> dict[str, int]:
    """Return what was counted since version 4 of events that nobody declared."""
    return {"viewed": 1} if version >= 4 else {}


def works_on(board: Board) -> None:
    assert verify(board).agrees
    assert {deal.id for deal in board.page(search="ADA").deals} == {"ada"}
    by_title = [deal.id for deal in board.deals(sort="title", status="open")]
    assert by_title == sorted(by_title, key=lambda id: board.deal(id).title or "z")
    assert sum(row.value for row in board.summary()) == sum(d.value or 0 for d in board.deals())
    changes = board.changes()
    assert {deal.id for deal in changes.deals} == {deal.id for deal in board.deals()}
    assert changes.gone == ("eve",)
    assert [deal.id for deal in board.deals(stage="cold")] == ["ada"]
    assert [deal.id for deal in board.deals(status="open", owner="Dan")] == ["cyd"]
    assert [task.deal for task in board.tasks(owner="Dan")] == ["cyd"]
    assert [task.deal for task in board.tasks(deal="cyd")] == ["cyd"]
    assert board.health().waiting_deals == 1
    assert not board.health().structure.missing_indexes
    delivered: list[str] = []
    board.handles("email")(lambda delivery: delivered.append(delivery.deal))
    board.deliver()
    board.handle(Event("call", deal="cyd", id="late", at="2026-01-05T15:00:00Z"))
    assert str(board.deal("cyd").stage) == "talking"
    assert verify(board).agrees
    board.handle(Event("lead", deal="bob", id="again", at="2026-01-06T09:00:00Z"))
    assert board.health().after_closing == (1, 1, "bob")
