"""A sealed board: its keys, its archives, what it refuses, and what lost keys leave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ladderpipe import AsyncBoard, Board, Event, MemoryStore, Outcome, SqliteStore
from ladderpipe.board import worker
from ladderpipe.board.verify import verify
from ladderpipe.errors import ArchiveError, SealedError, StoreError
from ladderpipe.stores import PostgresStore, seal
from tests.commands import run
from tests.commands import shop as shop_of
from tests.keyrings import MemoryRing
from tests.shops import Shop, lead_ladder

ADA = {"email": "ada@example.com", "name": "Ada Rossi"}
BRUNO = {"email": "bruno@example.com", "name": "Bruno Verdi"}


@pytest.fixture
def ring() -> MemoryRing:
    return MemoryRing()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deals.db"


def opened(path: Path, ring: MemoryRing, start: str = "2026-01-05T09:00:00Z") -> Shop:
    return Shop(lead_ladder(), seal(SqliteStore(path), ring), start)


@pytest.fixture
def shop(path: Path, ring: MemoryRing) -> Iterator[Shop]:
    found = opened(path, ring)
    yield found
    found.store.close()


def sold(shop: Shop, deal: str = "d", contact: dict[str, str] = ADA) -> None:
    shop.tell("lead", deal, contact=contact, properties={"note": f"for {contact['name']}"})
    shop.wait(1)
    shop.tell("order", deal)


# -- opening ------------------------------------------------------------------------------------


def test_without_its_keys_it_does_not_open(shop: Shop, path: Path):
    with pytest.raises(StoreError, match=r"this store is sealed.*keys="):
        Board(lead_ladder(), store=SqliteStore(path))
    with pytest.raises(StoreError, match="this store is sealed"):
        Board(lead_ladder(), store=SqliteStore(path), read_only=True)


def test_with_another_ring_it_does_not_open(shop: Shop, path: Path):
    with pytest.raises(StoreError, match="sealed with another ring"):
        seal(SqliteStore(path), MemoryRing())


def test_keys_stand_in_a_file_for_its_owner_alone(tmp_path: Path):
    keys = tmp_path / "keys.db"
    url = f"sqlite:///{tmp_path}/deals.db"
    board = Board.open(lead_ladder(), url, keys=f"sqlite:///{keys}")
    assert stat.S_IMODE(os.stat(keys).st_mode) == 0o600
    board.close()
    again = Board.open(lead_ladder(), url, keys=f"sqlite:///{keys}")
    again.close()


def test_keys_do_not_stand_beside_what_they_open(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/deals.db"
    with pytest.raises(StoreError, match="give keys= another database"):
        Board.open(lead_ladder(), url, keys=url)
    Board.open(lead_ladder(), url, keys=f"sqlite:///{tmp_path}/keys.db").close()


@pytest.mark.parametrize("keys", ["sqlite://", "memory:", 3])
def test_no_ring_is_refused(tmp_path: Path, keys: Any):
    with pytest.raises(StoreError, match=r"name a file|SQLite, PostgreSQL or MariaDB|no ring"):
        Board.open(lead_ladder(), f"sqlite:///{tmp_path}/deals.db", keys=keys)


def test_a_store_in_memory_has_nothing_at_rest(ring: MemoryRing):
    with pytest.raises(StoreError, match="nothing at rest"):
        seal(MemoryStore(), ring)


# -- forgetting ---------------------------------------------------------------------------------


def test_an_archive_forgets_too(shop: Shop, ring: MemoryRing, tmp_path: Path):
    file = tmp_path / "closed.jsonl"
    sold(shop)
    sold(shop, "e", BRUNO)
    shop.wait(1)
    report = shop.board.archive(before=shop.clock.now(), to=file)
    assert report.removed == 2
    assert b"ada@" not in file.read_bytes()
    assert b"Rossi" not in file.read_bytes()
    assert shop.board.forget(email="ada@example.com").deals == ("d",)
    restored = shop.board.restore(file)
    assert restored.restored == 1
    assert restored.forgotten == ("d",)
    assert shop.board.deal("e").contact == BRUNO
    assert verify(shop.board).agrees


def test_what_was_not_forgotten_comes_back_and_is_forgotten_later(shop: Shop, tmp_path: Path):
    file = tmp_path / "closed.jsonl.gz"
    sold(shop)
    shop.wait(1)
    shop.board.archive(before=shop.clock.now(), to=file)
    assert shop.board.restore(file).restored == 1
    assert shop.board.deal("d").contact == ADA
    assert shop.board.forget(email="ada@example.com").deals == ("d",)
    assert "Rossi" not in repr(shop.board.events("d"))
    assert verify(shop.board).agrees
    assert shop.board.restore(file).forgotten == ("d",)


def test_what_the_ring_could_not_destroy_is_named_and_done_by_a_worker(
    shop: Shop, ring: MemoryRing
):
    sold(shop)
    ring.refuses = "destroy"
    with pytest.raises(OSError, match="does not answer"):
        shop.board.forget(email="ada@example.com")
    assert "Rossi" not in repr(shop.board.events("d"))
    (left,) = verify(shop.board).differences
    assert "1 keys of data that was forgotten" in left.what
    ring.refuses = ""
    stop = threading.Event()
    stop.set()
    worker._round(shop.board._session, stop, None)
    assert len(ring.destroyed) == 1
    assert verify(shop.board).agrees


def test_an_archive_that_was_only_written_keeps_its_key_when_the_deal_goes(
    shop: Shop, tmp_path: Path
):
    file = tmp_path / "closed.jsonl"
    sold(shop)
    shop.wait(1)
    assert shop.board.archive(before=shop.clock.now(), to=file, remove=False).deals == 1
    shop.board.remove("d")
    assert shop.board.restore(file).restored == 1
    assert shop.board.deal("d").contact == ADA


def test_a_deal_that_is_removed_takes_its_key_along(shop: Shop, ring: MemoryRing, path: Path):
    sold(shop)
    shutil.copy(path, path.with_name("backup.db"))
    shop.board.remove("d")
    assert ring.destroyed


def test_an_archive_opens_only_with_its_keys(shop: Shop, tmp_path: Path):
    file = tmp_path / "closed.jsonl"
    sold(shop)
    shop.wait(1)
    shop.board.archive(before=shop.clock.now(), to=file)
    plain = Shop(lead_ladder(), MemoryStore())
    with pytest.raises(ArchiveError, match="opened with keys="):
        plain.board.restore(file)


# -- keys that are lost -------------------------------------------------------------------------


def lose(shop: Shop, ring: MemoryRing, deal: str) -> None:
    """Lose the key of a deal, as if the ring were an older one."""
    path = shop.store.path
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (text,) = connection.execute(
            "SELECT data FROM ladder_documents c JOIN ladder_deals d ON d.id = c.deal "
            "WHERE d.deal = ?",
            (deal,),
        ).fetchone()
    del ring.keys[json.loads(text)["sealed"].split(".")[1]]


@pytest.fixture
def lossy(path: Path, ring: MemoryRing) -> Iterator[Shop]:
    """A shop whose deal ``d`` has lost its key."""
    before = Shop(lead_ladder(sequence=True), seal(SqliteStore(path), ring))
    before.tell("lead", contact=ADA)
    before.tell("lead", "e", contact=BRUNO)
    lose(before, ring, "d")
    before.store.close()
    found = Shop(lead_ladder(sequence=True), seal(SqliteStore(path), ring))
    yield found
    found.store.close()


def test_the_others_are_listed_and_the_deal_is_named(lossy: Shop):
    assert [deal.id for deal in lossy.board.deals()] == ["e"]
    assert [deal.id for deal in lossy.board.page().deals] == ["e"]
    with pytest.raises(SealedError, match=r"deal 'd'.*not in the ring"):
        lossy.board.deal("d")
    with pytest.raises(SealedError, match="not in the ring"):
        lossy.board.events("d")
    found = verify(lossy.board)
    assert [each.deal for each in found.differences] == ["d"]


def test_a_new_fact_is_held_and_not_lost(lossy: Shop, ring: MemoryRing):
    with pytest.raises(SealedError):
        lossy.tell("call")
    event = lossy.event("call", contact=ADA)
    assert lossy.board.handle(event, hold=True).outcome is Outcome.HELD
    (held,) = lossy.board.held("d")
    assert held.event == event
    assert "not in the ring" in held.reason


def test_reports_name_the_deal_and_count_the_others(lossy: Shop):
    pytest.importorskip("polars")
    from ladderpipe import insight

    found = insight.tables(lossy.board)
    assert found.visits["deal"].unique().to_list() == ["e"]
    assert [problem.place for problem in found.problems] == ["deal 'd'"]


def test_the_worker_goes_on(lossy: Shop):
    lossy.work()
    assert [delivery.deal.id for delivery in lossy.sent] == ["e"]
    lossy.wait(100)
    lossy.work()
    assert lossy.board.deal("e").stage.key == "cold"


def test_forgetting_names_what_cannot_be_read(lossy: Shop):
    lossy.tell("lead", "f", contact=ADA)
    report = lossy.board.forget(email="ada@example.com")
    assert report.deals == ("f",)


# -- elsewhere ----------------------------------------------------------------------------------


def test_a_board_that_is_awaited(postgres_url: str, tmp_path: Path):
    async def use() -> None:
        keys = f"sqlite:///{tmp_path}/keys.db"
        board = await AsyncBoard.open(lead_ladder(), postgres_url, keys=keys)
        event = Event("lead", deal="d", id="1", at="2026-01-05T09:00:00Z", data={"contact": ADA})
        await board.handle(event)
        assert (await board.deal("d")).contact == ADA
        assert (await board.forget(email=ADA["email"])).deals == ("d",)
        assert (await board.events("d"))[0].data == {}
        await board.close()

    asyncio.run(use())
    with pytest.raises(StoreError, match="this store is sealed"):
        Board.open(lead_ladder(), postgres_url)


def test_in_a_transaction_of_the_callers_keys_go_after_its_commit(
    postgres_url: str, ring: MemoryRing
):
    shop = Shop(lead_ladder(), seal(PostgresStore(postgres_url, listen=False), ring))
    shop.tell("lead", contact=ADA)
    with psycopg.connect(postgres_url) as connection:
        assert shop.board.using(connection).forget(email=ADA["email"]).deals == ("d",)
        assert not ring.destroyed
        connection.rollback()
    assert shop.board.deal("d").contact == ADA
    with psycopg.connect(postgres_url) as connection:
        shop.board.using(connection).forget(email=ADA["email"])
    assert not ring.destroyed
    assert not verify(shop.board).agrees
    shop.store.destroy_keys()
    assert ring.destroyed
    assert verify(shop.board).agrees
    shop.store.close()


def test_the_command_line_encrypts_a_store_and_reads_it_with_its_keys(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    url = shop_of(path)
    keys = f"sqlite:///{tmp_path}/keys.db"
    monkeypatch.setenv("LADDERPIPE_KEYS", keys)
    assert "everything agrees" in run("verify", url).out
    assert b"cart" in path.read_bytes()
    assert not (tmp_path / "keys.db").exists()
    monkeypatch.delenv("LADDERPIPE_KEYS")
    told = run("encrypt", url, "--keys", keys)
    assert "3 deals and 0 held events encrypted" in told.out, told.err
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT data FROM ladder_events").fetchall()
    assert all(data.startswith('"s1.') for (data,) in rows)
    assert "this store is sealed" in run("verify", url).refusal()
    monkeypatch.setenv("LADDERPIPE_KEYS", keys)
    assert "everything agrees" in run("verify", url).out
    assert run("encrypt", url, "--json").json()["sales-management"]["deals"] == 0
    archived = tmp_path / "closed.jsonl"
    run("archive", "write", url, archived, "--before", "2026-03-01T00:00:00Z")
    assert "everything agrees" in run("archive", "verify", archived, "--store", url).out


# -- tampering ----------------------------------------------------------------------------------


def test_what_was_altered_or_moved_does_not_open(shop: Shop, path: Path):
    shop.tell("lead", contact=ADA, id="one")
    shop.tell("lead", "e", contact=BRUNO, id="two")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE ladder_events SET data = (SELECT data FROM ladder_events WHERE id = 'two') "
            "WHERE id = 'one'"
        )
    with pytest.raises(SealedError, match="altered, or stood in another place"):
        shop.board.events("d")
    assert {each.deal for each in verify(shop.board).differences} == {"d"}
