"""``archive``: what it writes, checks and puts back, and how it says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ladderpipe import Board, Event, ManualClock
from ladderpipe.templates import sales_management
from tests.commands import filled, run

BEFORE = ("--before", "2026-02-01T00:00:00Z")


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store with two orders of January and one of February."""
    url = f"sqlite:///{tmp_path}/shop.db"
    clock = ManualClock("2026-01-05T09:00:00Z")
    with Board.open(sales_management("en"), url, clock) as board:
        board.handles("email")(lambda delivery: None)
        for deal in ("cart-1", "cart-2", "cart-3"):
            board.handle(filled(deal, clock, owner="marta", value="12.50"))
            clock.advance(days=13)
            board.handle(Event("order.confirmed", deal=deal, id=f"o {deal}", at=clock.now()))
            board.deliver()
    return url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "january.jsonl.gz"


def stored(url: str) -> list[str]:
    return [deal["id"] for deal in run("deals", url, "--json").json()]


def test_it_writes_a_file_and_removes_what_is_in_it(url: str, file: Path) -> None:
    told = run("archive", "write", url, file, *BEFORE)
    assert told.out == f"{file}: 2 deals, 2 removed from the store\n"
    assert stored(url) == ["cart-3"]


def test_with_keep_it_only_writes(url: str, file: Path) -> None:
    told = run("archive", "write", url, file, *BEFORE, "--keep", "--json").json()
    assert told == {"file": str(file), "deals": 2, "removed": 0, "kept": []}
    assert stored(url) == ["cart-1", "cart-2", "cart-3"]
    assert run("archive", "write", url, file, *BEFORE, "--json").json()["removed"] == 2


def test_a_file_is_verified_without_any_store(url: str, file: Path) -> None:
    run("archive", "write", url, file, *BEFORE)
    told = run("archive", "verify", file)
    assert told.out == "sales-management: 2 deals, 4 events, 6 moves: everything agrees\n"
    told = run("archive", "verify", file, "--json").json()
    assert (told["agrees"], told["deals"], told["differences"]) == (True, 2, [])


def test_deals_are_restored_all_or_those_named(url: str, file: Path) -> None:
    before = [run("history", url, deal, "--json").json() for deal in ("cart-1", "cart-2")]
    run("archive", "write", url, file, *BEFORE)
    assert run("archive", "restore", url, file, "--deal", "cart-2").out == "1 deal restored\n"
    told = run("archive", "restore", url, file)
    assert told.out == "1 deal restored, 1 there already\n"
    after = [run("history", url, deal, "--json").json() for deal in ("cart-1", "cart-2")]
    assert after == before
    assert run("verify", url).code == 0
    told = run("archive", "restore", url, file, "--json").json()
    assert told == {"restored": 0, "present": 2, "forgotten": []}


def test_a_damaged_file_ends_with_one_line_that_says_so(url: str, file: Path) -> None:
    run("archive", "write", url, file, *BEFORE)
    file.write_bytes(file.read_bytes()[:-20])
    for command in (("verify", file), ("restore", url, file), ("write", url, file, *BEFORE)):
        assert "is damaged" in run("archive", *command).refusal()


def test_what_is_no_archive_is_refused(url: str, tmp_path: Path) -> None:
    other = tmp_path / "events.jsonl"
    other.write_text(json.dumps({"type": "lead"}) + "\n")
    assert (
        "is no archive that this ladderpipe can read" in run("archive", "verify", other).refusal()
    )


def test_a_deal_that_does_not_agree_with_the_fold_is_told(url: str, tmp_path: Path) -> None:
    file = tmp_path / "january.jsonl"
    run("archive", "write", url, file, *BEFORE)
    head, *deals, _ = file.read_bytes().splitlines(keepends=True)
    altered = head + b"".join(deals).replace(b'"owner":"marta"', b'"owner":"eve"', 1)
    file.write_bytes(altered + _end(altered))
    told = run("archive", "verify", file)
    assert told.code == 1
    assert "2 deals, 4 events, 6 moves: 1 do not agree" in told.out
    assert "deal 'cart-1': its owner is stored as" in told.out


def _end(lines: bytes) -> bytes:
    """Return the last line that somebody writes who knows how."""
    import hashlib

    told = {"deals": lines.count(b"\n") - 1, "sha256": hashlib.sha256(lines).hexdigest()}
    return json.dumps(told).encode() + b"\n"


def test_an_instant_without_a_time_zone_makes_no_sense(url: str, file: Path) -> None:
    told = run("archive", "write", url, file, "--before", "2026-02-01").refusal(2)
    assert "--before" in told


def test_where_nothing_is_old_it_says_that_there_is_no_file(url: str, file: Path) -> None:
    told = run("archive", "write", url, file, "--before", "2020-01-01T00:00:00Z")
    assert told.out.endswith("that could go: no file was written\n")
    assert not file.exists()
