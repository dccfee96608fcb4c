"""Archives come from elsewhere: nothing in one is sent, and reading one takes little memory."""

from __future__ import annotations

import gzip
import hashlib
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import EffectState
from ladderpipe.board.retention.file import LONGEST_LINE
from ladderpipe.errors import ArchiveError
from ladderpipe.stores import PostgresStore
from tests.shops import Shop, lead_ladder, make_store, register

YEAR = 24 * 365


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """A shop with a deal that was won a year ago, and mails and tasks of it."""
    if request.param == "postgres":
        store: Any = PostgresStore(request.getfixturevalue("postgres_url"))
    else:
        store = make_store(request.param, tmp_path)

    def thank(ctx: Any) -> None:
        ctx.do("email", template="thanks", to="ada@example.com", run_to_completion=True)
        ctx.do("task", title="Call", run_to_completion=True)

    found = Shop(register(lead_ladder(), into_won=thank), store)
    found.tell("lead")
    found.tell("order")
    found.work()
    found.sent.clear()
    found.wait(YEAR)
    yield found
    store.close()


def archive(shop: Shop, file: Path) -> None:
    shop.board.archive(before=shop.clock.now(), to=file)


def crafted(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the deal in an archive, and its sum with it."""
    header, line, _ = file.read_text().splitlines()
    deal = json.loads(line)
    change(deal)
    body = f"{header}\n{json.dumps(deal)}\n".encode()
    end = {"deals": 1, "sha256": hashlib.sha256(body).hexdigest()}
    file.write_bytes(body + json.dumps(end).encode() + b"\n")


def effects_as(state: str) -> Callable[[dict[str, Any]], None]:
    def change(deal: dict[str, Any]) -> None:
        for effect in deal["effects"]:
            effect |= {"state": state, "run_to_completion": True, "attempts": 0}
            effect |= {"payload": {"to": "eve@example.com", "title": "Pay", "template": "evil"}}
            effect |= {"ready_at": effect["due_at"]}
            effect.pop("error", None)

    return change


@pytest.mark.parametrize("state", [*(state.value for state in EffectState), "sleeping", "PENDING"])
def test_nothing_that_an_archive_says_still_waits_is_sent(
    shop: Shop, tmp_path: Path, state: str
) -> None:
    archive(shop, file := tmp_path / "closed.jsonl")
    crafted(file, effects_as(state))
    try:
        shop.board.restore(file)
    except ArchiveError:
        assert state not in set(EffectState)
    else:
        assert state in set(EffectState)
    for _ in range(3):
        shop.work()
        shop.wait(24)
    assert shop.sent == []
    assert shop.board.tasks() == []


def reopened(deal: dict[str, Any]) -> None:
    """Say that the deal was never won, so that its timers are due."""
    deal["events"] = [event for event in deal["events"] if event["type"] != "order"]
    deal["moves"] = deal["moves"][:1]
    deal["effects"] = []
    row, (move,) = deal["row"], deal["moves"]
    row |= {"stage": move["into"], "visit": 1, "visit_key": move["visit_key"]}
    row.pop("closed_at")
    row |= {"due_at": "2026-01-08T09:00:00+00:00"}
    (lead,) = deal["events"]
    row |= {"entered_at": move["at"], "activity_at": move["at"], "cursor_id": lead["id"]}
    row |= {"cursor_rung": 1}


def test_a_deal_that_is_not_closed_is_no_deal_of_an_archive(shop: Shop, tmp_path: Path) -> None:
    archive(shop, file := tmp_path / "closed.jsonl")
    crafted(file, reopened)
    with pytest.raises(ArchiveError, match="not closed"):
        shop.board.restore(file)


BOMBS = {
    "a line without end": b"x" * (4 * LONGEST_LINE),
    "a first line and one without end": b'{"format":"ladderpipe archive"}\n'
    + b"[" * (4 * LONGEST_LINE),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_line_without_end_is_not_unpacked_into_memory(tmp_path: Path, bomb: bytes) -> None:
    shop = Shop(lead_ladder(), make_store("memory", tmp_path))
    archive_of_nothing = tmp_path / "bomb.jsonl.gz"
    archive_of_nothing.write_bytes(gzip.compress(bomb, 1))
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError):
            shop.board.restore(archive_of_nothing)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 3 * LONGEST_LINE


def test_a_bomb_behind_a_sound_beginning_is_refused(shop: Shop, tmp_path: Path) -> None:
    archive(shop, whole := tmp_path / "closed.jsonl")
    bomb = tmp_path / "bomb.jsonl.gz"
    bomb.write_bytes(gzip.compress(whole.read_bytes() + b" " * (2 * LONGEST_LINE), 1))
    with pytest.raises(ArchiveError, match="longer than"):
        shop.board.restore(bomb)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_is_nested_without_end_is_refused(shop: Shop, tmp_path: Path, place: int) -> None:
    archive(shop, file := tmp_path / "closed.jsonl")
    lines = file.read_text().splitlines()
    lines[place] = "[" * 1_000_000
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(ArchiveError):
        shop.board.restore(file)


def test_a_deal_too_long_for_a_line_stays_in_the_store(tmp_path: Path) -> None:
    """What could not be read again is not written."""
    shop = Shop(lead_ladder(), make_store("memory", tmp_path))
    for deal in ("long", "short"):
        shop.tell("lead", deal)
    for _ in range(LONGEST_LINE // 2**20 + 1):
        shop.tell("chat", "long", properties={"note": "x" * 2**20})
    for deal in ("long", "short"):
        shop.tell("order", deal)
    shop.wait(YEAR)
    report = shop.board.archive(before=shop.clock.now(), to=tmp_path / "closed.jsonl.gz")
    assert (report.deals, report.removed, report.kept) == (1, 1, ("long",))
    assert shop.board.restore(tmp_path / "closed.jsonl.gz").restored == 1
