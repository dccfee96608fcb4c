"""Some tell of people while others forget them: nothing is ever written that nobody can read.

Every writer has its own store, as each process has, with keys in its memory that the others
destroy meanwhile.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ladderpipe import Board, Later, ManualClock, SqliteStore
from ladderpipe.board.verify import verify
from ladderpipe.errors import LadderError
from ladderpipe.stores import MariadbStore, PostgresStore, Store, seal
from ladderpipe.stores.sealed.renewal import renew, sealed_of
from tests.keyrings import MemoryRing
from tests.postgresql.conftest import IMPATIENT
from tests.properties.test_sealing import keys_in, rows_of
from tests.shops import Shop, lead_ladder, register

EMAIL = "ada@example.com"
DEALS = ("d", "e", "f")
ROUNDS, WRITERS = 25, 3


def ladder() -> Any:
    def ask(ctx: Any) -> None:
        ctx.do("task", title=f"Call {EMAIL}")
        ctx.do("letter", text=f"Dear {EMAIL}")

    return register(lead_ladder(), into_new=ask, into_talking=ask, into_cold=ask)


def write(shop: Shop, seed: int) -> None:
    """Tell, move, hold, assign and send, so that every column is written."""
    dice, count = random.Random(seed), 0

    def answer(delivery: Any) -> Any:
        if dice.random() < 0.5:
            raise RuntimeError(f"no letter for {EMAIL}")
        return Later(shop.clock.now(), f"{EMAIL} is out")

    shop.board.handles("letter")(answer)
    for _ in range(ROUNDS):
        deal, count = dice.choice(DEALS), count + 1
        with contextlib.suppress(LadderError):
            data = {"contact": {"email": EMAIL}, "properties": {"n": count}}
            kind = dice.choice(("lead", "call", "chat"))
            told = shop.event(kind, deal, id=f"{seed}-{count}", **data)
            shop.board.handle(told, hold=True)
            shop.board.handle(
                shop.event("chat", deal, id=f"one-{deal}", n=dice.random()), hold=True
            )
            shop.board.deliver(limit=3)
            for task in shop.board.tasks()[:1]:
                shop.board.assign(task.key, to=dice.choice(("Bea", "Bo")), by="Ada")
            waits = shop.event("lead", f"{deal}-waits", hours=9, id=f"w{seed}-{count}", **data)
            shop.board.handle(waits, hold=True)
            for held in shop.board.held()[:1]:
                shop.board.discard(held, by="Ada", reason=f"{EMAIL} erred")


def assert_nothing_is_lost(make: Callable[[], Store]) -> None:
    ring = MemoryRing()
    troubles: list[BaseException] = []
    shops = [Shop(ladder(), seal(make(), ring)) for _ in range(WRITERS + 1)]
    done = threading.Event()

    def work(target: Callable[..., None], *given: Any) -> None:
        try:
            target(*given)
        except BaseException as error:
            troubles.append(error)

    def forget() -> None:
        while not done.is_set():
            report = shops[-1].board.forget(email=EMAIL)
            assert not report.failures, report.failures

    writers = [
        threading.Thread(target=work, args=(write, shop, number))
        for number, shop in enumerate(shops[:-1])
    ]
    forgetter = threading.Thread(target=work, args=(forget,))
    for thread in (*writers, forgetter):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    forgetter.join()
    assert troubles == []
    shops[-1].board.forget(email=EMAIL)
    assert len(ring.destroyed) > len(DEALS)

    store = seal(make(), ring)
    board = Board(ladder(), store=store, clock=ManualClock(shops[0].clock.now()))
    found = verify(board)
    assert found.agrees, found.differences
    for deal in DEALS:
        board.events(deal)
        told = repr((board.history(deal).to_dict(), board.effects(deal)))
        assert EMAIL not in told
        assert "not in the ring" not in told
    assert EMAIL not in repr(board.held())
    rows = {name: some for name, some in rows_of(store).items() if name != "ladder_held"}
    assert not keys_in(rows) - set(ring)
    for shop in (*shops, Shop(ladder(), store)):
        shop.store.close()


def assert_writers_wait(make: Callable[[], Store], impatient: Callable[[], Store]) -> None:
    """While a deal is given another key, nobody writes of it with the one that goes."""
    ring = MemoryRing()
    shop = Shop(ladder(), seal(make(), ring))
    shop.tell("lead", contact={"email": EMAIL})
    (effect,) = [each for each in shop.board.effects() if each.name == "letter"]
    event = shop.event("lead", "waits", hours=9, contact={"email": EMAIL})
    shop.board.handle(event, hold=True)
    (held,) = shop.board.held()
    other = seal(impatient(), ring)
    number, now = shop.board._session.number, shop.clock.now()
    with shop.store.transaction(write=False) as transaction:
        row = transaction.held_by_key(number, held.key)
        stored, _, _ = transaction.load(number, "d", create=False)

    def settle(store: Store) -> None:
        with store.transaction() as transaction:
            transaction.settle_effect(effect.key, "pending", now, f"{EMAIL} is out")

    def hold(store: Store) -> None:
        with store.transaction() as transaction:
            transaction.hold(number, row._replace(key=f"{0:024x}", reason=EMAIL))

    for write in (settle, hold):
        with shop.store.transaction() as transaction:
            sealed = sealed_of(transaction)
            assert sealed is not None
            renew(sealed, number, stored.id, "d", now)
            renew(sealed, number, None, "waits", now)
            with pytest.raises(Exception, match=r"(?i)lock"):
                write(other)
        shop.store.erase_traces()
        write(other)
    assert not keys_in(rows_of(shop.store)) - set(ring)
    for store in (shop.store, other):
        store.close()


def test_writers_wait_on_postgresql(postgres_url: str):
    assert_writers_wait(
        lambda: PostgresStore(postgres_url),
        lambda: PostgresStore.from_url(f"{postgres_url}{IMPATIENT}"),
    )


def test_who_has_waited_writes_with_the_new_key(postgres_url: str):
    ring = MemoryRing()
    shop = Shop(ladder(), seal(PostgresStore(postgres_url, listen=False), ring))
    shop.tell("lead", contact={"email": EMAIL})
    (effect,) = [each for each in shop.board.effects() if each.name == "letter"]
    now = shop.clock.now()
    other = seal(PostgresStore(postgres_url, listen=False), ring)

    def settle() -> None:
        with other.transaction() as transaction:
            transaction.settle_effect(effect.key, "pending", now, f"{EMAIL} is out")

    with shop.store.transaction(write=False) as transaction:
        stored, _, _ = transaction.load(shop.board._session.number, "d", create=False)
    waiter = threading.Thread(target=settle)
    with psycopg.connect(postgres_url, autocommit=True) as watching:
        with shop.store.transaction() as transaction:
            sealed = sealed_of(transaction)
            assert sealed is not None
            renew(sealed, shop.board._session.number, stored.id, "d", now)
            sealed.connection.execute("SELECT 1")  # what was only sent is done by now
            waiter.start()
            is_waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            while not watching.execute(is_waiting).fetchall():
                assert waiter.is_alive()
        waiter.join()
    shop.store.erase_traces()
    fresh = Shop(ladder(), seal(PostgresStore(postgres_url, listen=False), ring))
    (found,) = [each for each in fresh.board.effects() if each.name == "letter"]
    assert found.error == f"{EMAIL} is out"
    for store in (shop.store, other, fresh.store):
        store.close()


def test_a_key_that_was_read_in_a_part_that_is_undone_is_read_again(postgres_url: str):
    """With the savepoint goes the deal's lock, and others may forget the person meanwhile."""
    ring = MemoryRing()
    shop = Shop(ladder(), seal(PostgresStore(postgres_url), ring))
    shop.tell("lead", contact={"email": EMAIL})
    (effect,) = [each for each in shop.board.effects() if each.name == "letter"]
    number = shop.board._session.number
    with shop.store.transaction() as transaction:
        with contextlib.suppress(ZeroDivisionError), transaction.savepoint():
            transaction.load(number, "d", create=False)
            raise ZeroDivisionError
        forgetter = Board(shop.pipeline, store=seal(PostgresStore(postgres_url), ring))
        assert forgetter.forget(email=EMAIL).deals == ("d",)
        forgetter.close()
        transaction.settle_effect(effect.key, "pending", shop.clock.now(), "there is no answer")
    shop.board.close()
    # Another process has no key in its memory that is destroyed.
    with (
        contextlib.closing(seal(PostgresStore(postgres_url), ring)) as store,
        store.transaction(write=False) as transaction,
    ):
        told = transaction.effect(number, effect.key)
    assert told is not None
    assert told.error == "there is no answer"


def test_writers_wait_on_mariadb(mariadb_url: str):
    assert_writers_wait(
        lambda: MariadbStore.from_url(mariadb_url),
        lambda: MariadbStore.from_url(f"{mariadb_url}&lock_timeout=1"),
    )


def test_threads_on_one_file(tmp_path: Path):
    assert_nothing_is_lost(lambda: SqliteStore(tmp_path / "deals.db"))


@pytest.mark.parametrize("round_", range(2))
def test_threads_on_postgresql(postgres_url: str, round_: int):
    assert_nothing_is_lost(lambda: PostgresStore(postgres_url, listen=False))


@pytest.mark.parametrize("round_", range(2))
def test_threads_on_mariadb(mariadb_url: str, round_: int):
    assert_nothing_is_lost(lambda: MariadbStore.from_url(mariadb_url))
