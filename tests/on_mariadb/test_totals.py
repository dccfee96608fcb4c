"""The board's totals on MariaDB, where they are rows that are merged now and then."""

from __future__ import annotations

import random
import threading
from decimal import Decimal
from typing import Any

import pytest

from ladderpipe.board.verify import verify
from ladderpipe.stores import MariadbStore
from ladderpipe.stores.mariadb.totals import EVERY, due_for_merging, merged
from tests.mariadb import alter_tables
from tests.shops import Shop
from tests.totals import assert_counted

from .conftest import OpenStore


def rows_of(store: MariadbStore) -> list[tuple[Any, ...]]:
    with store.transaction(write=False) as transaction:
        return list(transaction.connection.execute("SELECT * FROM ladder_totals").fetchall())


def test_rows_are_merged_as_their_numbers_pass_a_multiple(shop: Shop, store: MariadbStore):
    for number in range(40):
        shop.tell("lead", f"d{number}", value=number, currency="EUR")
    assert len(rows_of(store)) == 40
    alter_tables(store, f"ALTER TABLE ladder_totals AUTO_INCREMENT = {EVERY}")
    shop.tell("lead", "last", value=100, currency="EUR")
    (row,) = rows_of(store)
    assert row[0] == EVERY
    (total,) = shop.board.summary()
    assert (total.count, total.value) == (41, Decimal(sum(range(40)) + 100))
    assert_counted(shop.board)


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_on_a_cluster_which_leaves_numbers_out_the_same_share_merges(step: int):
    numbers = range(7, 100 * EVERY, step)
    merging = [number for number in numbers if due_for_merging(number, 1, step) is not None]
    assert len(merging) == 99


def test_what_is_merged_comes_to_the_same():
    dice = random.Random(3)
    rows = [(n, 1, dice.choice("ab"), None, "x", None, *dice.choices((-1, 0, 2), k=5))
            for n in range(200)]  # fmt: skip
    found = merged(rows)
    assert len(found) == 2
    for total in "ab":
        of_it = [row[6:] for row in rows if row[2] == total]
        (left,) = [row[6:] for row in found if row[2] == total]
        assert left == tuple(map(sum, zip(*of_it, strict=True)))
    assert merged([(1, 1, "a", None, None, None, 1), (2, 1, "a", None, None, None, -1)]) == []


def test_whoever_moves_deals_into_one_stage_waits_for_nobody_and_all_are_counted(
    shop: Shop, open_store: OpenStore, store: MariadbStore
):
    alter_tables(store, f"ALTER TABLE ladder_totals AUTO_INCREMENT = {EVERY - 100}")
    shops = [Shop(shop.pipeline, open_store("&lock_timeout=1")) for _ in range(4)]
    failures: list[BaseException] = []

    def work(number: int, mine: Shop) -> None:
        try:
            for n in range(40):
                mine.tell("lead", f"{number}-{n}", value=n, currency="EUR")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(shops)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    (total,) = shop.board.summary()
    assert (total.count, total.value) == (160, Decimal(4 * sum(range(40))))
    assert len(rows_of(store)) < 160
    assert verify(shop.board).differences == ()
    assert_counted(shop.board)
    store.erase_traces()
    assert len(rows_of(store)) == 1
