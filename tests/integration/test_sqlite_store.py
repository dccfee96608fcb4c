"""The SQLite store itself: files and URLs, threads, forks, busy files, versions and invariants."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Board, ManualClock, SqliteStore
from ladderpipe.errors import StoreError
from ladderpipe.stores import open_store
from ladderpipe.stores.sqlite import schema, upgrade
from ladderpipe.stores.sqlite import store as sqlite
from ladderpipe.stores.sqlite.migrations import MIGRATIONS
from tests.shops import START, Shop, assert_is_the_fold, contents, lead_ladder, register


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture
def shop(path: Path) -> Iterator[Shop]:
    store = SqliteStore(path)
    yield Shop(register(lead_ladder(), into_new=lambda ctx: ctx.do("email", template="hi")), store)
    store.close()


# -- files and URLs -----------------------------------------------------------------------------


def test_what_was_stored_is_there_when_the_file_is_opened_again(shop: Shop, path: Path):
    shop.tell("lead", contact={"name": "Ada"})
    before = shop.board.history("d")
    shop.board.close()
    with Board.open(shop.pipeline, f"sqlite:///{path}", clock=shop.clock) as again:
        assert again.history("d") == before
        assert again.events("d") == [before.moves[0].event]


def test_a_url_names_an_absolute_file(tmp_path: Path):
    store = open_store(f"sqlite:///{tmp_path}/a%20b.db")
    assert (tmp_path / "a b.db").exists()
    store.close()


def test_a_url_names_a_file_below_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    open_store("sqlite:///shop.db?synchronous=FULL").close()
    assert (tmp_path / "shop.db").exists()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_lives_as_long_as_the_board(url: str):
    with Board.open(lead_ladder(), url, clock=ManualClock(START)) as board:
        board.move("d", "new", by="Bea")
        assert board.deal("d").stage == "new"
    with Board.open(lead_ladder(), url) as board:
        assert list(board.deals()) == []


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("sqlite:shop.db", "with three slashes"),
        ("sqlite://shop.db", "sqlite:///shop.db is the file"),
        ("sqlite:///shop.db?mode=ro", "unknown option 'mode'"),
        ("sqlite:///shop.db?synchronous=MAYBE", "choose NORMAL"),
        ("sqlite:////no/such/folder/shop.db", "cannot open SQLite database"),
        ("oracle://shop", "names no store"),
        ("shop.db", "names no store"),
    ],
)
def test_a_url_that_names_nothing_is_refused_with_advice(url: str, advice: str):
    with pytest.raises(StoreError, match=advice):
        open_store(url)


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path):
    path.write_text("minutes of the meeting\n" * 100)
    with pytest.raises(StoreError, match="cannot open SQLite database"):
        SqliteStore(path)
    assert path.read_text().startswith("minutes")


def test_a_file_of_a_later_version_is_refused_and_left_alone(path: Path):
    SqliteStore(path).close()
    later = len(MIGRATIONS) + 1
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE ladder_schema SET version = ?", (later,))
        before = list(connection.iterdump())
    with pytest.raises(StoreError, match=f"version {later} .*install a later ladderpipe"):
        SqliteStore(path)
    assert list(connection.iterdump()) == before
    connection.close()


def test_a_database_with_other_tables_is_shared_with_them(path: Path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id TEXT)")
    connection.close()
    store = SqliteStore(path)
    assert contents(store)["orders"] == []
    store.close()


def test_an_upgrade_that_fails_leaves_the_file_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    SqliteStore(path).close()
    broken = (*MIGRATIONS, "CREATE TABLE ladder_more (id INTEGER);\nCREATE TABLE ladder_deals (x)")
    monkeypatch.setattr(sqlite, "VERSION", len(broken))
    monkeypatch.setattr(upgrade, "MIGRATIONS", broken)
    with pytest.raises(StoreError, match="already exists"):
        SqliteStore(path)
    monkeypatch.undo()
    store = SqliteStore(path)
    assert "ladder_more" not in contents(store)
    store.close()


def test_an_upgrade_runs_the_missing_steps_alone(path: Path, monkeypatch: pytest.MonkeyPatch):
    SqliteStore(path).close()
    longer = (*MIGRATIONS, "CREATE TABLE ladder_more (id INTEGER)")
    monkeypatch.setattr(sqlite, "VERSION", len(longer))
    monkeypatch.setattr(upgrade, "MIGRATIONS", longer)
    for _ in range(2):
        store = SqliteStore(path)
        tables = contents(store)
        store.close()
        assert tables["ladder_more"] == []
        assert tables["ladder_schema"] == [(len(MIGRATIONS) + 1,)]


def test_a_new_file_has_the_very_tables_that_all_upgrades_together_make(path: Path):
    with sqlite3.connect(":memory:", isolation_level=None) as stepped:
        upgrade.upgrade(stepped)
    SqliteStore(path).close()
    with sqlite3.connect(path) as new:
        assert made_in(new) == made_in(stepped)
        assert version_in(new) == version_in(stepped) == schema.VERSION
    new.close()
    stepped.close()


def made_in(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    """Return all that was made, in its order, with its words, columns and what indexes hold."""
    made = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql > '' ORDER BY rowid"
    )
    return [
        (kind, name, table, re.sub(r"[\s\"]", "", sql), repr(columns_of(connection, kind, name)))
        for kind, name, table, sql in made.fetchall()
    ]


def columns_of(connection: sqlite3.Connection, kind: str, name: str) -> list[tuple[Any, ...]]:
    facts = "index_xinfo" if kind == "index" else "table_xinfo"
    return connection.execute(f"PRAGMA {facts}({name})").fetchall()


def version_in(connection: sqlite3.Connection) -> int:
    ((version,),) = connection.execute("SELECT version FROM ladder_schema").fetchall()
    return int(version)


def test_write_ahead_logging_is_on(shop: Shop):
    with shop.store.transaction() as transaction:
        assert transaction.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert transaction.connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


# -- invariants in the schema -------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO ladder_moves SELECT * FROM ladder_moves",
        "UPDATE ladder_deals SET stage = NULL",
        "UPDATE ladder_deals SET visit_key = NULL",
        "UPDATE ladder_moves SET out_of_word = NULL",
        "UPDATE ladder_deals SET due_at = entered_at - 1",
        "UPDATE ladder_effects SET state = 'lost'",
        "UPDATE ladder_effects SET state = 'claimed'",
        "INSERT INTO ladder_deals (pipeline, deal) VALUES (1, 'd')",
        "INSERT INTO ladder_deals (pipeline, deal) VALUES (99, 'x')",
        "DELETE FROM ladder_deals",
    ],
)
def test_the_schema_refuses_what_must_not_be(shop: Shop, statement: str):
    shop.tell("lead")
    shop.wait(1)
    shop.tell("call")
    before = contents(shop.store)
    with pytest.raises(sqlite3.IntegrityError), shop.store.transaction() as transaction:
        transaction.connection.execute(statement)
    assert contents(shop.store) == before


# -- transactions and pool ----------------------------------------------------------------------


def test_a_block_that_raises_is_undone_and_the_connection_goes_on(shop: Shop):
    before = contents(shop.store)
    for _ in range(3):
        with contextlib.suppress(ZeroDivisionError), shop.store.transaction() as transaction:
            transaction.connection.execute("DELETE FROM ladder_pipelines")
            raise ZeroDivisionError
    assert contents(shop.store) == before


def test_a_savepoint_undoes_its_own_part(shop: Shop):
    with shop.store.transaction() as transaction:
        connection = transaction.connection
        connection.execute("CREATE TABLE notes (text)")
        with contextlib.suppress(ZeroDivisionError), transaction.savepoint():
            with transaction.savepoint():
                connection.execute("INSERT INTO notes VALUES ('inner')")
            raise ZeroDivisionError
        with transaction.savepoint():
            connection.execute("INSERT INTO notes VALUES ('kept')")
    assert contents(shop.store)["notes"] == [("kept",)]


def test_rows_left_unread_by_a_hook_do_not_block_the_commit(path: Path):
    def hook(ctx: Any) -> None:
        hook.cursor = ctx.connection.execute("SELECT * FROM ladder_deals")  # type: ignore[attr-defined]
        hook.cursor.fetchone()  # type: ignore[attr-defined]

    shop = Shop(register(lead_ladder(), into_new=hook), SqliteStore(path))
    shop.tell("lead")
    shop.tell("lead", "other")
    assert shop.stage == "new"


def test_a_reader_sees_one_moment_while_others_write(shop: Shop):
    shop.tell("lead")
    with shop.store.transaction(write=False) as transaction:
        assert transaction.stage_counts(1) == {"new": 1}
        shop.tell("lead", "other")
        assert transaction.stage_counts(1) == {"new": 1}
    assert shop.board.summary()[0].count == 2


def test_a_closed_store_is_closed(shop: Shop):
    shop.board.close()
    with pytest.raises(StoreError, match="is closed"):
        shop.tell("lead")
    shop.board.close()


def test_a_connection_in_use_while_the_store_closes_finishes_its_work(shop: Shop, path: Path):
    with shop.store.transaction() as transaction:
        shop.store.close()
        transaction.connection.execute("CREATE TABLE notes (text)")
    store = SqliteStore(path)
    assert contents(store)["notes"] == []
    store.close()


# -- threads and processes ----------------------------------------------------------------------


def in_threads(count: int, work: Any) -> None:
    """Run *work(number)* in threads, all at once; raise what one of them raised."""
    errors: list[BaseException] = []
    start = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            start.wait()
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_threads_share_a_board(shop: Shop):
    in_threads(8, lambda n: [shop.tell("lead", f"{n}-{i}") for i in range(10)])
    assert shop.board.summary()[0].count == 80


def test_threads_share_a_database_in_memory():
    shop = Shop(lead_ladder(), SqliteStore(":memory:"))
    in_threads(8, lambda n: [shop.tell("lead", f"{n}-{i}") for i in range(10)])
    assert shop.board.summary()[0].count == 80
    shop.board.close()


def test_threads_open_one_new_file_at_once(path: Path):
    boards: list[Board] = []
    in_threads(8, lambda n: boards.append(Board.open(lead_ladder(), f"sqlite:///{path}")))
    assert len({board._session.number for board in boards}) == 1
    for board in boards:
        board.close()


OPEN_AND_CLOSE = """
import sys
from ladderpipe import Board
from tests.shops import lead_ladder
for number in range(20):
    with Board.open(lead_ladder(), sys.argv[1]) as board:
        board.move(f"{sys.argv[2]}-{number}", "new", by="Bea")
"""


def test_processes_open_write_and_close_one_file_at_once(path: Path):
    """The last one to close a file in this mode tidies up, just when others open it."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_AND_CLOSE, f"sqlite:///{path}", str(number)],
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            text=True,
        )
        for number in range(4)
    ]
    errors = [process.communicate()[1] for process in processes]
    assert errors == [""] * 4
    with Board.open(lead_ladder(), f"sqlite:///{path}") as board:
        assert board.summary()[0].count == 80


def test_a_busy_file_is_waited_for(shop: Shop):
    blocker = sqlite3.connect(shop.store.path, isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, lambda: blocker.execute("ROLLBACK"))
    timer.start()
    shop.tell("lead")
    timer.join()
    blocker.close()
    assert shop.stage == "new"


def test_a_reader_does_not_wait_for_a_writer(shop: Shop):
    shop.tell("lead")
    blocker = sqlite3.connect(shop.store.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    assert shop.stage == "new"
    assert shop.board.summary()
    blocker.execute("ROLLBACK")
    blocker.close()


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_child_goes_on_with_connections_of_its_own(shop: Shop):
    """Even when the parent closes the file, and so tidies it up, while the child works."""
    shop.tell("lead", "before")
    read, write = os.pipe()
    context = multiprocessing.get_context("fork")

    def work() -> None:
        os.read(read, 1)
        for number in range(20):
            shop.tell("lead", f"child-{number}", id=f"child-{number}")

    child = context.Process(target=work)
    child.start()
    shop.tell("lead", "parent")
    shop.store.close()
    os.write(write, b"x")
    child.join()
    os.close(read)
    os.close(write)
    assert child.exitcode == 0
    store = SqliteStore(shop.store.path)
    again = Board(shop.pipeline, store=store, clock=shop.clock)
    deals = [deal.id for deal in again.deals()]
    assert len(deals) == 22
    assert_is_the_fold(again, deals)
    with store.transaction(write=False) as transaction:
        assert transaction.faults() == []
    store.close()


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_fork_while_a_thread_works_on_the_store_does_not_hang_the_child(shop: Shop):
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        with shop.store._lock:
            holding.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait()
    child = multiprocessing.get_context("fork").Process(target=lambda: shop.tell("lead"))
    child.start()
    child.join(20)
    hangs = child.is_alive()
    child.kill()
    done.set()
    thread.join()
    assert not hangs
    assert shop.stage == "new"
