"""A large file of version 14 is brought up to date in many transactions, and may be left between.

What a process that was killed has done is not done again; who has opened the file before still
reads it as it was, and cannot write what would not be copied.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from ladderpipe import Board, Event, ManualClock, SqliteStore
from ladderpipe.board.verify import verify
from ladderpipe.errors import StoreError
from tests.children import ROOT
from tests.integration.test_upgrades import contents, indexes
from tests.shops import lead_ladder
from tests.wide_rows import widen

DEALS: Final = 40
KILLS: Final = 4
NOW: Final = "2026-01-09T09:00:00Z"
UPGRADE: Final = """
import os, signal, sys
from ladderpipe.stores.sqlite import store, upgrade

path, at_once, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
done = 0

def step():
    global done
    done += 1
    if done == last:
        os.kill(os.getpid(), signal.SIGKILL)

class Counting(store.SqliteStore):
    def _connect(self):
        connection = super()._connect()
        connection.set_progress_handler(step, 10)
        return connection

upgrade.COPIED_AT_ONCE = at_once
Counting(path).close()
print(done)
"""


def upgrade(path: Path, at_once: int = 1, kill_at: int = 0) -> subprocess.Popen[str]:
    """Upgrade a file in another process, which is killed at a step of SQLite's machine."""
    command = [sys.executable, "-c", UPGRADE, str(path), str(at_once), str(kill_at)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def histories(path: Path) -> dict[str, Any]:
    with Board.open(lead_ladder(), f"sqlite:///{path}", clock=ManualClock(NOW)) as board:
        report = verify(board)
        assert report.agrees, report.differences
        return {deal.id: board.history(deal.id).to_dict() for deal in board.deals()}


def rows_of(path: Path) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """Return all that is in a file, its events and moves in words."""
    with closing(copied(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        made = indexes(connection)
        widen(connection)
        return contents(connection), made


def copied(path: Path, to: str | Path = ":memory:") -> sqlite3.Connection:
    """Return a connection to a copy."""
    copy = sqlite3.connect(to)
    with closing(sqlite3.connect(path)) as connection:
        connection.backup(copy)
    return copy


def steps_of(path: Path) -> int:
    """Return how many steps an upgrade of a copy takes."""
    to = path.with_name("steps.db")
    copied(path, to).close()
    with upgrade(to) as child:
        return int(child.communicate()[0])


def wide_rows(connection: sqlite3.Connection) -> list[Any]:
    return [
        connection.execute(f"SELECT * FROM ladder_{table} ORDER BY 1, 2, 3").fetchall()
        for table in ("events", "moves", "visits")
    ]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A file as it is today, of deals that were moved by events, timers and hands."""
    path = tmp_path / "shop.db"
    clock = ManualClock("2026-01-05T09:00:00Z")
    with Board.open(lead_ladder(), f"sqlite:///{path}", clock=clock) as board:
        for number in range(DEALS):
            name = f"deal-{number}"
            board.handle(Event("lead", deal=name, id=f"{name} lead", at=clock.now()))
            board.handle(Event("seen", deal=name, id=f"{name} seen", source="web", at=clock.now()))
            clock.advance(minutes=7)
        board.handle(Event("call", deal="deal-1", id="call", at=clock.now()))
        board.move("deal-2", "lost", by="ada", properties={"why": "price"})
        contact = {"contact": {"email": "ada@example.com"}}
        board.edit("deal-3", by="ada", **contact)
        board.forget(email="ada@example.com")
        board.handle(Event("order", deal="never", id="waits", at=clock.now(), data={"value": "7"}))
        clock.set(NOW)
        board.tick()
    return path


@pytest.fixture
def former(shop: Path, tmp_path: Path) -> Path:
    """The same file as version 14 had it."""
    path = tmp_path / "former.db"
    with closing(copied(shop, path)) as connection:
        widen(connection)
        connection.commit()
    return path


@pytest.fixture
def old_process(former: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(former)) as connection:
        yield connection


@pytest.mark.parametrize("at_once", [1, 5, 5_000])
def test_rows_and_histories_are_those_of_a_file_that_was_always_narrow(
    shop: Path, former: Path, at_once: int
) -> None:
    with upgrade(former, at_once) as child:
        assert child.wait() == 0
    assert rows_of(former) == rows_of(shop)
    assert histories(former) == histories(shop)


def test_who_is_killed_leaves_what_the_next_one_goes_on_with(shop: Path, former: Path) -> None:
    with closing(sqlite3.connect(former)) as connection:
        before = wide_rows(connection)
    steps = steps_of(former)
    reached = [0]
    for _ in range(KILLS):
        with upgrade(former, kill_at=steps // (KILLS + 2)) as child:
            assert child.wait() == -signal.SIGKILL
        with closing(sqlite3.connect(former)) as connection:
            assert connection.execute("SELECT version FROM ladder_schema").fetchone() == (14,)
            assert wide_rows(connection) == before
            reached += connection.execute("SELECT deal FROM ladder_narrowed").fetchone()
    assert reached == sorted(set(reached)), "what was done is done again"
    assert reached[-1] > DEALS // 2
    with upgrade(former) as child:
        assert int(child.communicate()[0]) < steps
    assert rows_of(former) == rows_of(shop)
    assert histories(former) == histories(shop)


def test_between_two_batches_the_former_version_reads_and_is_told_why_it_cannot_write(
    former: Path, old_process: sqlite3.Connection
) -> None:
    before = wide_rows(old_process)
    with upgrade(former, kill_at=steps_of(former) // 2) as child:
        assert child.wait() == -signal.SIGKILL
    assert wide_rows(old_process) == before
    for statement in (
        "INSERT INTO ladder_events (deal, at, seq, source, id, pipeline, type, data, recorded_at) "
        "VALUES (1, 0, 0, '', 'new', 1, 'call', '{}', 0)",
        "UPDATE ladder_events SET data = '{}'",
        "DELETE FROM ladder_moves",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="end this process"):
            old_process.execute(statement)
        old_process.rollback()
    with upgrade(former) as child:
        assert child.wait() == 0
    with pytest.raises(sqlite3.OperationalError, match="no column named type"):
        old_process.execute(
            "INSERT INTO ladder_events (deal, at, seq, source, id, pipeline, type, data, "
            "recorded_at) VALUES (1, 0, 0, '', 'new', 1, 'call', '{}', 0)"
        )


def test_processes_that_start_together_take_turns(shop: Path, former: Path) -> None:
    children = [upgrade(former) for _ in range(3)]
    for child in children:
        with child:
            assert child.wait() == 0
    assert rows_of(former) == rows_of(shop)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE INDEX shop_types ON ladder_events (type)", "index shop_types"),
        (
            "CREATE TRIGGER shop_counts AFTER INSERT ON ladder_moves BEGIN SELECT 1; END",
            "trigger shop_counts",
        ),
        ("CREATE VIEW shop_rules AS SELECT rule FROM ladder_moves", "view shop_rules"),
    ],
)
def test_what_somebody_made_on_these_tables_is_not_lost_in_silence(
    former: Path, old_process: sqlite3.Connection, statement: str, named: str
) -> None:
    old_process.execute(statement)
    before = wide_rows(old_process)
    with pytest.raises(StoreError, match=f"the {named} would be lost"):
        SqliteStore(former)
    assert wide_rows(old_process) == before
    assert old_process.execute("SELECT version FROM ladder_schema").fetchone() == (14,)


def test_a_row_that_was_altered_before_is_still_found(
    former: Path, old_process: sqlite3.Connection
) -> None:
    data = json.dumps({"owner": "Eve"})
    old_process.execute("UPDATE ladder_events SET data = ? WHERE id = 'call'", (data,))
    old_process.execute("UPDATE ladder_moves SET visit_key = 'no key' WHERE deal = 3 AND n = 2")
    old_process.commit()
    SqliteStore(former).close()
    with Board.open(lead_ladder(), f"sqlite:///{former}", clock=ManualClock(NOW)) as board:
        found = {difference.deal: difference.what for difference in verify(board).differences}
    assert "was altered after it was recorded" in found["deal-1"]
    assert "visit_key 'no key'" in found["deal-2"]
