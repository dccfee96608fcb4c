"""The hash chain: what comes into it and when, what is on record in it, and what it shows."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import logging
import re
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from ladderpipe import AsyncBoard, Board, Event, SqliteStore, verify
from ladderpipe.board import chain as chain_room
from ladderpipe.board.links import Header, leaf_of
from ladderpipe.errors import CursorError
from ladderpipe.stores import MariadbStore, PostgresStore, seal
from ladderpipe.stores.memory_chain import MemoryChains
from ladderpipe.stores.sealed.renewal import seal_deal
from ladderpipe.stores.sql_chain import SqlChains
from tests.keyrings import MemoryRing
from tests.shops import HOUR, START, Shop, contents, lead_ladder

EMAIL = "ada@example.com"
LATER = dt.timedelta(days=1)


@pytest.fixture
def shop(store: Any) -> Shop:
    return Shop(lead_ladder(), store)


def extended(board: Board) -> str:
    """Extend a chain to its end and return its head."""
    while (found := board.extend_chain()).more:
        pass
    assert found.head is not None
    return found.head


def assert_agrees(board: Board, *heads: str) -> Any:
    """Return what verify says of the chain, with which everything agrees."""
    for head in (None, *heads):
        report = verify(board, head=head)
        assert report.differences == ()
    assert report.chain is not None
    return report.chain


def assert_each_event_is_in_one_link(board: Board) -> None:
    report = verify(board)
    assert report.differences == ()
    assert report.chain is not None
    assert (report.chain.events, report.chain.not_chained) == (report.events, 0)
    assert (report.chain.missed, report.chain.not_noted) == ((), 0)


# -- what comes into it -------------------------------------------------------------------------


def test_a_chain_is_begun_by_whoever_wants_one_and_goes_on(shop: Shop) -> None:
    shop.tell("lead")
    assert shop.board.chain() is None
    assert verify(shop.board).chain is None
    first = extended(shop.board)
    assert first.startswith("1-")
    shop.wait(1)
    shop.tell("call")
    report = assert_agrees(shop.board, first)
    assert (report.events, report.not_chained, report.missed) == (1, 1, ())
    second = extended(shop.board)
    assert_agrees(shop.board, first, second)
    found = shop.board.chain()
    assert found is not None
    assert (found.head, found.links, found.events) == (second, 2, 2)
    assert found.linked_at == shop.clock.now()
    assert found.complete_to == shop.clock.now() - dt.timedelta(seconds=90)


def test_a_link_is_not_made_for_nothing_new(shop: Shop) -> None:
    shop.tell("lead")
    head = extended(shop.board)
    before = contents(shop.store)
    assert shop.board.extend_chain().links == 0
    assert contents(shop.store) == before
    shop.wait(1)
    assert extended(shop.board) == head


def test_a_board_with_nothing_in_it_has_a_chain_without_links(shop: Shop) -> None:
    found = shop.board.extend_chain()
    assert (found.links, found.head, found.more) == (0, None, False)
    begun = shop.board.chain()
    assert begun is not None
    assert (begun.head, begun.links, begun.linked_at) == (None, 0, None)
    assert assert_agrees(shop.board).head is None


def test_many_deals_and_a_long_one_come_into_it_page_by_page(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_room, "PAGE", 7)
    monkeypatch.setattr(chain_room, "MOST", 10)
    shop.board.handle_many(shop.event("lead", f"d{n}") for n in range(30))
    shop.board.handle_many(shop.event("call", "d3", hours=-n / 100) for n in range(25))
    step = shop.board.extend_chain(limit=2)
    assert (step.links, step.more) == (2, True)
    assert verify(shop.board).chain.not_chained > 0  # type: ignore[union-attr]
    extended(shop.board)
    assert_each_event_is_in_one_link(shop.board)
    shop.wait(1)
    shop.board.handle_many(shop.event("call", f"d{n}") for n in range(30))
    extended(shop.board)
    assert_each_event_is_in_one_link(shop.board)


def test_a_limit_that_allows_no_link_is_refused(shop: Shop) -> None:
    for limit in (0, -1, True, "2"):
        with pytest.raises(ValueError, match="at least one link"):
            shop.board.extend_chain(limit=limit)  # type: ignore[arg-type]


@contextlib.contextmanager
def begun(store: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Yield a connection on the store's server, in whose transaction a board may write."""
    if isinstance(store, PostgresStore):
        with psycopg.connect(request.getfixturevalue("postgres_url")) as connection:
            yield connection
    elif isinstance(store, MariadbStore):
        connection = pymysql.connect(**store._pool._settings)
        with contextlib.closing(connection):
            connection.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            connection.begin()
            yield connection
            connection.commit()
    else:
        pytest.skip("one writer at a time")


def test_who_writes_is_not_waited_for_and_comes_with_the_next_link(
    shop: Shop, request: pytest.FixtureRequest
) -> None:
    shop.tell("lead", "busy")
    shop.tell("lead", "free")
    extended(shop.board)
    shop.wait(1)
    shop.tell("call", "free")
    shop.tell("call", "busy")
    with begun(shop.store, request) as connection:
        shop.board.using(connection).handle(shop.event("call", "busy"))
        assert shop.board.extend_chain().events == 1
        found = shop.board.chain()
        assert found is not None
        assert found.complete_to is not None
        assert found.complete_to < shop.clock.now() - HOUR, "not all of that hour is in it"
    assert shop.board.extend_chain().events == 2
    assert_each_event_is_in_one_link(shop.board)


def test_what_somebody_was_at_is_looked_at_again_though_nothing_came_of_it(
    shop: Shop, request: pytest.FixtureRequest
) -> None:
    shop.tell("lead", "busy")
    extended(shop.board)
    shop.wait(1)
    shop.tell("call", "busy")
    with begun(shop.store, request) as connection:
        shop.board.using(connection).handle(shop.event("call", "busy"))
        for _ in range(3):
            assert shop.board.extend_chain().events == 0
            shop.wait(1)
        connection.rollback()
        shop.board.extend_chain()
    assert_each_event_is_in_one_link(shop.board)
    assert assert_agrees(shop.board).late == 0


def test_what_commits_when_all_have_gone_on_is_missed_at_first_and_late_then(
    shop: Shop, request: pytest.FixtureRequest
) -> None:
    shop.tell("lead")
    extended(shop.board)
    with begun(shop.store, request) as connection:
        shop.board.using(connection).handle(shop.event("lead", "late", id="late"))
        shop.wait(1)
        shop.tell("lead", "another")
        extended(shop.board)
        shop.wait(1)
        extended(shop.board)
    report = assert_agrees(shop.board)
    assert [re.sub(", recorded.*", "", each) for each in report.missed] == [
        "event 'late' of deal 'late'"
    ]
    assert shop.board.extend_chain().events == 0
    shop.clock.advance(days=1)
    assert shop.board.extend_chain().events == 1
    report = assert_agrees(shop.board)
    assert (report.late, report.missed, report.not_chained) == (1, (), 0)


def test_linkers_and_writers_at_once_chain_each_event_once(store: Any) -> None:
    ladder = lead_ladder()
    shop = Shop(ladder, store)
    shares = [
        [shop.event("lead" if n % 3 else "call", f"d{n % 9}", hours=-n / 10) for n in range(40)]
        for _ in range(4)
    ]
    errors: list[BaseException] = []

    def write(share: list[Event]) -> None:
        try:
            for event in share:
                shop.board.handle(event, hold=True)
        except BaseException as error:
            errors.append(error)

    def link() -> None:
        board = Board(ladder, store=store, clock=shop.clock)
        try:
            while any(writer.is_alive() for writer in writers):
                board.extend_chain()
        except BaseException as error:
            errors.append(error)

    writers = [threading.Thread(target=write, args=(share,)) for share in shares]
    linkers = [threading.Thread(target=link) for _ in range(2)]
    for thread in (*writers, *linkers):
        thread.start()
    for thread in (*writers, *linkers):
        thread.join()
    assert errors == []
    extended(shop.board)
    assert_each_event_is_in_one_link(shop.board)
    found = shop.board.chain()
    assert found is not None
    assert found.events == 160


class Stop(Exception):
    """Raised in the middle of linking."""


def test_a_failure_at_any_statement_leaves_the_chain_as_it_was(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.tell("lead", contact={"email": EMAIL})
    shop.tell("lead", "sold")
    first = extended(shop.board)
    shop.tell("order", "sold")
    shop.board.forget(email=EMAIL)
    shop.board.remove("sold")
    before, left = contents(shop.store), [0]

    def failing(method: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            found = method(*given, **named)
            left[0] -= 1
            if not left[0]:
                raise Stop
            return found

        return call

    room: Any = MemoryChains if hasattr(shop.store, "_tables") else SqlChains
    with monkeypatch.context() as patch:
        for name in vars(room):
            if not name.startswith("_") and name != "events":
                patch.setattr(room, name, failing(getattr(room, name)))
        for n in range(1, 100):
            left[0] = n
            try:
                shop.board.extend_chain()
            except Stop:
                assert contents(shop.store) == before, n
            else:
                break
    assert 10 < n < 99
    second = extended(shop.board)
    assert_each_event_is_in_one_link(shop.board)
    assert_agrees(shop.board, first, second)


# -- what is on record --------------------------------------------------------------------------


def salts(shop: Shop) -> dict[int, bytes]:
    with shop.store.transaction(write=False) as transaction:
        page = transaction.every_deal(shop.board._session.number, 0, 100)
        found: dict[int, bytes] = transaction.salts([stored.id for stored, _ in page])
        return found


def test_what_was_forgotten_cannot_be_found_out_by_trying(shop: Shop) -> None:
    shop.tell("lead", contact={"email": EMAIL})
    extended(shop.board)
    number = shop.board._session.number
    with shop.store.transaction(write=False) as transaction:
        ((event, recorded_at),) = transaction.events(1)
        ((_, leaf),) = transaction.leaves_between(number, 0, 1)
    known = leaf_of(salts(shop)[1], "leads", event, recorded_at)
    assert known == leaf, "who has the salt can try what the event was"
    shop.board.forget(email=EMAIL)
    assert salts(shop) == {1: b""}
    extended(shop.board)
    with shop.store.transaction(write=False) as transaction:
        leaves = dict(reversed(transaction.leaves_between(number, 0, 1)))
    assert leaves in ({1: leaf}, {}), "what is left of it is its hash, if that"
    assert leaf_of(salts(shop)[1], "leads", event, recorded_at) != leaf
    assert EMAIL not in str(contents(shop.store))


def test_what_is_forgotten_removed_and_restored_is_told(shop: Shop, tmp_path: Path) -> None:
    for n in range(3):
        shop.tell("lead", f"d{n}", contact={"email": f"{n}@example.com"})
        shop.tell("order", f"d{n}")
    heads = [extended(shop.board)]
    shop.wait(1)
    shop.board.forget(email="0@example.com")
    shop.board.remove("d1")
    archived = shop.board.archive(before=shop.clock.now() + LATER, to=tmp_path / "a.jsonl")
    assert archived.removed == 2
    report = assert_agrees(shop.board, *heads)
    assert (report.events, report.not_noted) == (0, 6)
    heads.append(extended(shop.board))
    report = assert_agrees(shop.board, *heads)
    assert (report.forgotten, report.removed, report.not_noted) == (2, 4, 0)
    shop.board.restore(tmp_path / "a.jsonl")
    report = assert_agrees(shop.board, *heads)
    assert (report.events, report.not_chained, report.missed) == (0, 5, ())
    heads.append(extended(shop.board))
    report = assert_agrees(shop.board, *heads)
    assert (report.events, report.forgotten, report.removed, report.late) == (5, 2, 4, 0)


def test_a_link_of_which_all_is_gone_keeps_only_its_header(shop: Shop) -> None:
    shop.tell("lead", "gone")
    shop.tell("order", "gone")
    first = extended(shop.board)
    shop.tell("lead", "stays")
    extended(shop.board)
    shop.board.remove("gone")
    head = extended(shop.board)
    with shop.store.transaction(write=False) as transaction:
        number = shop.board._session.number
        assert transaction.leaves_between(number, 0, 1) == []
        assert len(transaction.leaves_between(number, 0, 9)) == 1
        headers = [Header.of(link.header) for link in transaction.links(number, 0, 9)]
    assert [(header.added, header.events) for header in headers] == [(2, 2), (1, 3), (0, 1)]
    assert_agrees(shop.board, first, head)


# -- in a sealed store --------------------------------------------------------------------------


@pytest.fixture
def ring() -> MemoryRing:
    return MemoryRing()


def sealed(path: Path, ring: MemoryRing, start: str = START) -> Shop:
    return Shop(lead_ladder(), seal(SqliteStore(path), ring), start)


def raw_salts(path: Path) -> list[bytes]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [salt for (salt,) in connection.execute("SELECT salt FROM ladder_salts")]


def test_a_sealed_store_seals_its_salts_and_chains_what_events_say(
    tmp_path: Path, ring: MemoryRing
) -> None:
    path, backup = tmp_path / "deals.db", tmp_path / "backup.db"
    shop = sealed(path, ring)
    shop.tell("lead", contact={"email": EMAIL})
    shop.tell("lead", "other")
    heads = [extended(shop.board)]
    assert all(len(salt) > 100 for salt in raw_salts(path)), "they are worth nothing without keys"
    number = shop.board._session.number
    with shop.store.transaction(write=False) as transaction:
        ((event, recorded_at),) = transaction.events(1)
        (leaf,) = transaction.leaves_of([1])[1]
    assert event.data["contact"] == {"email": EMAIL}
    assert leaf_of(salts(shop)[1], "leads", event, recorded_at) == leaf.leaf
    with (
        contextlib.closing(sqlite3.connect(path)) as one,
        contextlib.closing(sqlite3.connect(backup)) as other,
    ):
        one.backup(other)
    shop.wait(1)
    shop.board.forget(email=EMAIL)
    assert_agrees(shop.board, *heads)
    heads.append(extended(shop.board))
    assert assert_agrees(shop.board, *heads).forgotten == 1
    shop.tell("call", "other")
    shop.tell("call")
    heads.append(extended(shop.board))
    assert_agrees(shop.board, *heads)
    shop.store.close()

    older = sealed(backup, ring, "2026-01-07T09:00:00Z")
    with older.store.transaction(write=False) as transaction:
        assert list(transaction.salts([1, 2])) == [2], "nobody can try what the leaf was"
        assert len(transaction.leaves_of([1])[1]) == 1
    older.tell("call", "other")
    assert older.board.extend_chain().events == 1
    (found,) = verify(older.board).differences
    assert found.deal == "d"
    assert "is not in the ring of keys" in found.what
    assert older.board._session.number == number
    older.store.close()


@pytest.mark.parametrize("has_document", [True, False])
def test_events_that_do_not_open_any_more_keep_no_others_from_the_chain(
    tmp_path: Path, ring: MemoryRing, monkeypatch: pytest.MonkeyPatch, has_document: bool
) -> None:
    monkeypatch.setattr(chain_room, "MOST", 2)
    shop = sealed(tmp_path / "deals.db", ring)
    shop.tell("call", "waits", contact={"email": EMAIL})
    gone = [name for name in ring.keys if not name.startswith("secret")]
    for n in range(4):
        shop.tell("call", "waits", hours=-n - 1)
    ring.destroy(gone)
    shop.store.close()
    if not has_document:
        with contextlib.closing(sqlite3.connect(tmp_path / "deals.db")) as raw, raw:
            raw.execute("DELETE FROM ladder_documents")
    again = sealed(tmp_path / "deals.db", ring)
    for n in range(5):
        again.tell("lead", f"d{n}")
    extended(again.board)
    report = verify(again.board)
    assert report.chain is not None
    assert (report.chain.events, [found.deal for found in report.differences]) == (5, ["waits"])
    again.store.close()


def test_a_deal_that_gets_another_key_keeps_its_salt(tmp_path: Path, ring: MemoryRing) -> None:
    path = tmp_path / "deals.db"
    plain = Shop(lead_ladder(), SqliteStore(path))
    plain.tell("lead", contact={"email": EMAIL})
    plain.tell("order")
    heads = [extended(plain.board)]
    assert [len(salt) for salt in raw_salts(path)] == [16]
    plain.store.close()

    shop = sealed(path, ring)
    seal_all(shop)
    assert [len(salt) for salt in raw_salts(path)] == [108]
    assert_agrees(shop.board, *heads)
    shop.board.archive(before=shop.clock.now() + LATER, to=tmp_path / "a.jsonl")
    shop.board.restore(tmp_path / "a.jsonl")
    heads.append(extended(shop.board))
    assert_agrees(shop.board, *heads)
    shop.board.forget(email=EMAIL)
    heads.append(extended(shop.board))
    assert_agrees(shop.board, *heads)
    shop.store.close()


def seal_all(shop: Shop) -> None:
    with shop.store.transaction() as transaction:
        for stored, _ in transaction.every_deal(shop.board._session.number, 0, 10):
            transaction.load_by_id(stored.id)
            assert seal_deal(transaction, shop.board._session.number, stored.id, shop.clock.now())


# -- heads --------------------------------------------------------------------------------------


def test_a_head_is_known_however_it_was_typed(shop: Shop) -> None:
    shop.tell("lead")
    head = extended(shop.board)
    typed = f" {head[:20].upper()} {head[20:]}\n"
    assert_agrees(shop.board, typed)


@pytest.mark.parametrize(
    "change",
    [
        lambda head: head[:-1],
        lambda head: head[:-1] + ("a" if head[-1] != "a" else "b"),
        lambda head: head[:5] + ("a" if head[5] != "a" else "b") + head[6:],
        lambda head: head.replace("1-", "2-", 1),
        lambda head: head.partition("-")[2],
        lambda head: "",
        lambda head: f"{head}{head}",
        lambda head: "1-" + "9" * 58,
        lambda head: None,
        lambda head: "x" * 1_000,
    ],
)
def test_a_head_that_was_mistyped_is_refused(shop: Shop, change: Any) -> None:
    shop.tell("lead")
    head = extended(shop.board)
    with pytest.raises(CursorError, match=r"no head of a chain: type it as it was noted"):
        verify(shop.board, head=change(head) or "?")


def test_the_head_of_another_history_is_not_in_the_chain(shop: Shop) -> None:
    other = Shop(lead_ladder(), SqliteStore(":memory:"))
    for each in (shop, other):
        each.tell("lead")
    head = extended(other.board)
    (found,) = verify(shop.board, head=head).differences
    assert found.what == "link 1 was noted as the head of a chain, and there is no chain"
    extended(shop.board)
    (found,) = verify(shop.board, head=head).differences
    assert found.what == "link 1 of the chain is not the one that was noted as its head"
    other.tell("call")
    (found,) = verify(shop.board, head=extended(other.board)).differences
    assert found.what == (
        "link 2 was noted as the head of the chain, and it has 1 links: its end was cut off"
    )


# -- damage, one way after another --------------------------------------------------------------


class Damaged(Shop):
    """A shop with three links, whose database somebody writes in."""

    def __init__(self, path: Path) -> None:
        super().__init__(lead_ladder(), SqliteStore(path))
        self.path = path
        self.tell("lead", id="e1", contact={"email": "ada@example.com"})
        self.tell("lead", "other", id="o1")
        self.tell("lead", "sold", id="s1")
        extended(self.board)
        self.tell("call", id="e2")
        self.tell("order", "sold", id="s2")
        extended(self.board)
        self.board.remove("sold")
        self.wait(1)
        self.tell("call", "other", id="o2")
        self.head = extended(self.board)

    def run(self, statement: str) -> None:
        """Execute a statement, foreign keys or not, as the shell of SQLite does."""
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            assert connection.execute(statement).rowcount

    def said(self) -> list[str]:
        return [
            str(found)
            for found in verify(self.board, head=self.head).differences
            if "chain" in found.what
        ]


@pytest.fixture
def damaged(tmp_path: Path) -> Iterator[Damaged]:
    made = Damaged(tmp_path / "shop.db")
    assert_agrees(made.board, made.head)
    yield made
    made.store.close()


SALT_GONE = "deal 'd': 2 of its events are in the chain, and their salt is gone"
ROOT = (
    "the database: link {0} of the chain was made of {1} events, and what the store has of them "
    "({2}) does not give its root"
)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (
            "UPDATE ladder_events SET seq = 7 WHERE id = 'e2'",
            "deal 'd': event 'e2' is not what it was when link 2 of the chain was made",
        ),
        *(
            (
                f"UPDATE ladder_events SET {change} WHERE id = 'e2'",
                "deal 'd': event 'e2' is not what it was when link 2 of the chain was made",
            )
            for change in (
                "at = at + 1",
                "recorded_at = recorded_at - 1",
                "data = json_set(data, '$.title', 'x')",
                "type_word = (SELECT id FROM ladder_words WHERE word = 'order')",
            )
        ),
        (
            "UPDATE ladder_deals SET deal = 'renamed' WHERE deal = 'd'",
            "deal 'renamed': event 'e1' is not what it was when link 1 of the chain was made",
        ),
        (
            "DELETE FROM ladder_events WHERE id = 'e2'",
            "deal 'd': event 'e2' is not there any more, which was this deal's when link 2 of the",
        ),
        (
            "UPDATE ladder_events SET deal = (SELECT id FROM ladder_deals WHERE deal = 'other') "
            "WHERE id = 'e2'",
            "deal 'd': event 'e2' is another deal's now, which was this deal's when link 2 of the",
        ),
        ("DELETE FROM ladder_salts WHERE deal = 1", SALT_GONE),
        ("UPDATE ladder_salts SET salt = x'' WHERE deal = 1", SALT_GONE),
        ("UPDATE ladder_links SET header = header || ' ' WHERE n = 3", "altered"),
        ("UPDATE ladder_links SET header = 'x' WHERE n = 2", "link 2 of the chain cannot be read"),
        (
            "UPDATE ladder_links SET header = (SELECT header FROM ladder_links WHERE n = 1), "
            "hash = (SELECT hash FROM ladder_links WHERE n = 1) WHERE n = 3",
            "link 3 of the chain says that it is link 1 of 'leads'",
        ),
        (
            "DELETE FROM ladder_links WHERE n = 2",
            "link 3 of the chain follows link 1: what was between them is gone",
        ),
        (
            "UPDATE ladder_links SET header = replace(header, '\"late\": 0', '\"late\": 1'), "
            "hash = x'00' WHERE n = 1",
            "link 2 of the chain does not follow the link that stands before it",
        ),
        ("DELETE FROM ladder_leaves WHERE id = 'e1'", ROOT.format(1, 3, 2)),
        ("UPDATE ladder_leaves SET leaf = zeroblob(32) WHERE id = 'e1'", ROOT.format(1, 3, 3)),
        (
            "UPDATE ladder_retired SET kind = 'forgotten' WHERE link = 1",
            "link 3 of the chain says that 0 events of link 1 were forgotten and 1 removed, and "
            "the store has others",
        ),
        (
            "UPDATE ladder_retired SET retired = 0 WHERE link = 1",
            "the leaves of link 1 of the chain are gone: it has 3, and links say of 1 that they "
            "were forgotten or removed",
        ),
        (
            "UPDATE ladder_retired SET retired = 2 WHERE link = 2",
            "link 2 of the chain does not say that any event of link 2 is gone, and the store does",
        ),
        (
            "DELETE FROM ladder_leaves WHERE link = 3",
            "the leaves of link 3 of the chain are gone: it has 1, and links say of 0 that they",
        ),
        (
            "UPDATE ladder_leaves SET link = 8 WHERE id = 'e1'",
            "a leaf of event 'e1' belongs to link 8 of the chain, or to a deal, that is not there",
        ),
        (
            "UPDATE ladder_leaves SET deal = 99 WHERE id = 'e1'",
            "a leaf of event 'e1' belongs to link 1 of the chain, or to a deal, that is not there",
        ),
        (
            "UPDATE ladder_retired SET retired = 9 WHERE link = 1",
            "a leaf belongs to link 1 of the chain, or to a deal, that is not there",
        ),
        ("DELETE FROM ladder_links", "it has 0 links: its end was cut off"),
    ],
)
def test_damage_is_named_for_what_it_is(damaged: Damaged, statement: str, says: str) -> None:
    damaged.run(statement)
    assert any(says in each for each in damaged.said()), damaged.said()


def test_an_event_that_was_put_there_is_missed(damaged: Damaged) -> None:
    damaged.run(
        "INSERT INTO ladder_events (deal, at, seq, source, id, pipeline, type_word, data, digest, "
        "recorded_at) SELECT deal, at, seq, source, 'forged', pipeline, type_word, data, digest, "
        "recorded_at FROM ladder_events WHERE id = 'o1'",
    )
    report = verify(damaged.board, head=damaged.head).chain
    assert report is not None
    assert report.missed == ("event 'forged' of deal 'other', recorded at 2026-01-05T09:00:00Z",)
    extended(damaged.board)
    found = damaged.board.chain()
    assert found is not None
    assert found.late == 1, "which every later head says, too"


def test_a_chain_that_was_taken_away_without_its_leaves_is_found(damaged: Damaged) -> None:
    for table in ("links", "chains"):
        damaged.run(f"DELETE FROM ladder_{table}")
    said = [found.what for found in verify(damaged.board).differences]
    assert "a leaf of event 'e1' belongs to link 1 of the chain" in said[0]


# -- who extends it, and who tells --------------------------------------------------------------


def test_a_worker_extends_a_chain_that_is_begun(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.tell("lead")
    work(shop)
    assert shop.board.chain() is None, "nobody has begun one"
    extended(shop.board)
    shop.tell("lead", "new")
    with caplog.at_level(logging.INFO, "ladderpipe.chain"):
        work(shop, chain_every=None)
        assert caplog.records == []
        work(shop)
    found = shop.board.chain()
    assert found is not None
    assert (found.links, found.events) == (2, 2)
    (record,) = caplog.records
    told: Any = record
    assert (told.link, told.head, told.events, told.retired) == (2, found.head, 1, 0)
    assert found.head in record.message
    with pytest.raises(ValueError, match="chain_every=0:00:00 must be longer than nothing"):
        work(shop, chain_every=dt.timedelta())


def work(shop: Shop, **settings: Any) -> None:
    """Let a worker do one round."""
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    shop.board.run(stop=stop, poll=dt.timedelta(seconds=0.1), **settings)


def test_an_asynchronous_board_has_the_chain(shop: Shop) -> None:
    shop.tell("lead")

    async def link() -> tuple[int, int]:
        board = AsyncBoard(shop.pipeline, store=shop.store, clock=shop.clock)
        assert (await board.extend_chain()).events == 1
        found = await board.chain()
        assert found is not None
        await board.close()
        return found.links, found.events

    assert asyncio.run(link()) == (1, 1)


def test_a_chain_that_stands_still_is_a_finding(shop: Shop) -> None:
    def codes() -> list[str]:
        return [found.code for found in shop.board.health().findings if found.code == "H024"]

    shop.tell("lead")
    shop.board.tick()
    assert codes() == []
    extended(shop.board)
    assert codes() == []
    shop.clock.advance(hours=25)
    assert codes() == ["H024"]
    extended(shop.board)
    assert codes() == []


def test_a_header_reads_as_json(shop: Shop) -> None:
    shop.tell("lead")
    extended(shop.board)
    with shop.store.transaction(write=False) as transaction:
        link = transaction.last_link(shop.board._session.number)
    assert link is not None
    told = json.loads(link.header)
    assert (told["n"], told["pipeline"], told["added"], told["previous"]) == (1, "leads", 1, "")
    assert told["at"] == "2026-01-05T09:00:00Z"
