"""The board's totals on PostgreSQL, on whichever connection they are asked for."""

from __future__ import annotations

import random
import threading
from decimal import Decimal
from typing import Any, Final

import psycopg
import pytest

from ladderpipe.board.verify import verify
from ladderpipe.errors import LadderError
from ladderpipe.stores import PostgresStore
from tests.shops import Shop, lead_ladder
from tests.totals import assert_counted

from .conftest import OpenStore

MERGED_AT: Final = 1_024
"""With every so many rows of totals, those before it become one for each total."""


@pytest.fixture
def full(shop: Shop) -> Shop:
    events = [shop.event("lead", f"d{n}", value=n, currency="EUR") for n in range(50)]
    assert not shop.board.handle_many(events).failures
    return shop


def test_a_summary_counts_every_deal_once_however_often_it_is_asked_for(full: Shop):
    for _ in range(12):
        (row,) = full.board.summary()
        assert (row.count, row.value) == (50, Decimal(sum(range(50))))


@pytest.mark.parametrize("autocommit", [True, False])
def test_on_the_callers_own_connection(full: Shop, postgres_url: str, autocommit: bool):
    with psycopg.connect(postgres_url, autocommit=autocommit) as connection:
        (row,) = full.board.using(connection).summary()
        assert row.count == 50
        if autocommit:
            assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_an_empty_board_has_no_totals(store: PostgresStore):
    assert Shop(lead_ladder(), store).board.summary() == []


# -- together with whoever else moves deals -----------------------------------------------------


def rows_of(shop: Shop) -> list[tuple[Any, ...]]:
    with shop.store.transaction(write=False) as transaction:
        asked = transaction.connection.execute("SELECT * FROM ladder_totals ORDER BY id")
        return list(asked.fetchall())


def number_next(shop: Shop, number: int) -> None:
    """Let the next row of totals have this number."""
    with shop.store.transaction() as transaction:
        statement = "SELECT setval('ladder_totals_id_seq', %s, false)"
        transaction.connection.execute(statement, (number,))


def test_whatever_many_do_at_once_every_reading_is_of_whole_transactions(
    shop: Shop, open_store: OpenStore
) -> None:
    """Of two deals that change together one is worth what the other lacks, in every summary."""
    pairs = [(f"a{n}", f"b{n}") for n in range(8)]
    for pair in pairs:
        shop.board.handle_many(shop.event("lead", deal, hours=-10, value=0) for deal in pair)
    troubles: list[BaseException] = []
    at_work = threading.Semaphore(0)

    def move(number: int, mine: Shop) -> None:
        dice = random.Random(number)
        for n in range(50):
            kind, owner = dice.choice(["call", "viewed"]), dice.choice(["Ada", "Bob", None])
            signed = zip(dice.choice(pairs), (1, -1), strict=True)
            worth = dice.randrange(10**6)
            try:
                with mine.store.transaction() as transaction:
                    board = mine.board.using(transaction.connection)
                    for deal, sign in signed:
                        told = {"value": sign * worth, "owner": owner, "id": f"{deal} {number} {n}"}
                        board.handle(mine.event(kind, deal, hours=n / 10 - 5, **told))
                    if n % 5 == 0:
                        raise LadderError("not after all")
            except LadderError as error:
                if str(error) != "not after all":
                    troubles.append(error)
            except BaseException as error:
                troubles.append(error)
        at_work.release()

    number_next(shop, MERGED_AT - 100)
    threads = [
        threading.Thread(target=move, args=(n, Shop(lead_ladder(), open_store()))) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    done = 0
    while done < len(threads):
        done += at_work.acquire(timeout=0.01)
        rows = shop.board.summary()
        assert sum(row.count for row in rows) == 2 * len(pairs)
        assert sum(row.value for row in rows) == 0
    for thread in threads:
        thread.join()
    assert troubles == []
    numbers = [row[0] for row in rows_of(shop)]
    assert numbers[-1] > MERGED_AT
    assert len([number for number in numbers if number <= MERGED_AT]) < 50
    assert_counted(shop.board)


def test_rows_that_somebody_is_merging_are_passed_over_and_nobody_waits(
    shop: Shop, impatient: Shop
) -> None:
    for number in range(20):
        shop.tell("lead", f"d{number}", value=number)
    number_next(shop, MERGED_AT)
    with shop.store.transaction() as transaction:
        shop.board.using(transaction.connection).handle(shop.event("call", "d3"))
        number_next(impatient, 2 * MERGED_AT)
        impatient.tell("call", "d4")
        numbers = [row[0] for row in rows_of(impatient)]
        assert numbers[-2:] == [2 * MERGED_AT, 2 * MERGED_AT + 1], "at the first try"
        assert_counted(impatient.board)
    assert_counted(shop.board)
    number_next(shop, 4 * MERGED_AT)
    shop.tell("lead", "another")
    assert len(rows_of(shop)) == 2
    assert_counted(shop.board)


def test_in_a_snapshot_of_its_own_nothing_is_merged(full: Shop, postgres_url: str) -> None:
    """There a row that somebody has merged meanwhile would fail the caller's transaction."""
    for number in range(5):
        full.tell("call", f"d{number}")
    before = len(rows_of(full))
    with psycopg.connect(postgres_url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        joined = full.board.using(connection)
        assert joined.deal("d9")
        number_next(full, MERGED_AT)
        full.tell("call", "d7")
        assert len(rows_of(full)) < before
        number_next(full, 2 * MERGED_AT)
        joined.handle(full.event("call", "d8"))
    assert_counted(full.board)


def test_a_recount_beside_whoever_moves_deals_is_right(full: Shop, open_store: OpenStore) -> None:
    with full.store.transaction() as transaction:
        transaction.connection.execute("DELETE FROM ladder_totals")
        transaction.connection.execute(
            "INSERT INTO ladder_totals (pipeline, stage, deals, valued, billions, units, fraction) "
            "VALUES (1, 'nowhere', 1, 0, 0, 0, 0)"
        )
    other = Shop(lead_ladder(), open_store())
    with other.store.transaction() as transaction:
        joined = other.board.using(transaction.connection)
        joined.handle(other.event("call", "d1", value=1000))
        assert not verify(full.board, recount=True).agrees
    assert_counted(full.board)
