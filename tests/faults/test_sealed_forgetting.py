"""Forgetting in a sealed store fails at every statement and every call to the ring, and is resumed.

Whatever fails, and whenever the process dies, what is stored opens with the keys that are there;
and who asks again finds that nothing of the person is left that does.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import SqliteStore
from ladderpipe.board.verify import verify
from ladderpipe.stores import seal
from ladderpipe.stores.sqlite.transaction import SqliteTransaction
from tests.keyrings import MemoryRing
from tests.properties.test_sealing import (
    DEALS,
    Life,
    Step,
    assert_says_nothing_of,
    copy_of,
    keys_in,
    raw_files,
    readable,
    rows_of,
)

MARKS = ["qzxqzxqzx", "wkwkwkwkw"]
TOLD = [
    Step("lead", "d", 0),
    Step("work", "d", 0),
    Step("conflict", "d", 0),
    Step("waiting", "f", 0),
    Step("lead", "f", 1),
]


class Crash(BaseException):
    """The process dies here."""


class Statements:
    """Counts what a connection is asked to do, and lets one of it fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.fails_at = 0
        self.error: Callable[[], BaseException] = Crash
        begin = SqliteTransaction.__init__

        def counted(run: Callable[..., Any]) -> Callable[..., Any]:
            def next_one(text: str, *values: Any) -> Any:
                self._next(text)
                return run(text, *values)

            return next_one

        def init(transaction: Any, *given: Any) -> None:
            begin(transaction, *given)
            transaction._execute = counted(transaction._execute)
            transaction._executemany = counted(transaction._executemany)

        monkeypatch.setattr(SqliteTransaction, "__init__", init)

    def _next(self, text: str) -> None:
        if text == "ROLLBACK":
            return
        self.count += 1
        if self.count == self.fails_at:
            raise self.error()


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    return Statements(monkeypatch)


def no_disk() -> BaseException:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    return error


def lives(folder: Path) -> Iterator[tuple[Path, MemoryRing, Life]]:
    """Yield the same shop again and again, each time in a copy of its file."""
    first, ring = folder / "first.db", MemoryRing()
    life = Life(seal(SqliteStore(first), ring), MARKS)
    life.go(TOLD)
    now = life.shop.clock.now()
    life.shop.store.close()
    for number in itertools.count():
        (folder / str(number)).mkdir()
        path, keys = folder / str(number) / "deals.db", ring.copy()
        shutil.copy(first, path)
        life = Life(seal(SqliteStore(path), keys), MARKS)
        life.shop.clock.set(now)
        yield path, keys, life


def assert_all_is_there(path: Path, ring: MemoryRing, life: Life) -> None:
    """Everything stored opens for a process that has no key in its memory."""
    store = seal(SqliteStore(path), ring)
    assert not keys_in(rows_of(store)) - set(ring)
    found = Life(store, MARKS)
    found.shop.clock.set(life.shop.clock.now())
    report = verify(found.board)
    assert report.agrees, report.differences
    for deal in DEALS:
        found.board.events(deal)
        found.board.effects(deal)
    found.board.held()
    store.close()


def assert_forgotten_in_the_end(path: Path, ring: MemoryRing, life: Life, backup: Path) -> None:
    store = seal(SqliteStore(path), ring)
    again = Life(store, MARKS)
    again.shop.clock.set(life.shop.clock.now())
    again.board.forget(email=f"{MARKS[0]}@example.com")
    assert not store.keys_to_destroy()  # type: ignore[attr-defined]
    now = life.shop.clock.now()
    assert MARKS[0] not in readable(store, MARKS, now)
    of_backup = readable(seal(SqliteStore(backup), ring.copy()), MARKS, now)
    assert MARKS[0] not in of_backup
    assert MARKS[1] in of_backup
    store.close()


@pytest.mark.parametrize(("error", "step"), [(Crash, 1), (no_disk, 4)])
def test_at_every_statement(tmp_path: Path, statements: Statements, error: Any, step: int):
    statements.error = error
    fails_at = 0
    for path, ring, life in lives(tmp_path):
        fails_at += step
        backup = copy_of(path)
        statements.count, statements.fails_at = 0, fails_at
        with contextlib.suppress(Crash, Exception):
            life.board.forget(email=f"{MARKS[0]}@example.com")
        reached = statements.count >= fails_at
        statements.fails_at = 0
        assert_all_is_there(path, ring, life)
        assert_forgotten_in_the_end(path, ring, life, backup)
        life.shop.store.close()
        assert_says_nothing_of(raw_files(path), MARKS)
        if not reached:
            break
    assert fails_at > 40


@pytest.mark.parametrize("what", ["get", "add", "destroy"])
def test_at_every_call_to_the_ring(tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch):
    # A key at a time, so that the ring is asked for each.
    monkeypatch.setattr("ladderpipe.stores.sealed.sealer.AT_ONCE", 1)
    fails_at = 0
    for path, ring, life in lives(tmp_path):
        fails_at += 1
        backup = copy_of(path)
        ring.calls, ring.fails_at = [], fails_at
        with contextlib.suppress(OSError):
            life.board.forget(email=f"{MARKS[0]}@example.com")
        reached = len(ring.calls) >= fails_at
        called = ring.calls[fails_at - 1 :][:1]
        ring.fails_at = 0
        if not reached:
            break
        if called == [what]:
            assert_all_is_there(path, ring, life)
            assert_forgotten_in_the_end(path, ring, life, backup)
    assert fails_at > 4
