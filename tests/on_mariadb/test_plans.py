"""How MariaDB finds the rows: along an index where only some are wanted, or more would be locked.

A locking statement that sorts locks all that it sorts, and not what it returns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ladderpipe.stores import MariadbStore
from ladderpipe.stores.filters import TaskFilter
from ladderpipe.stores.mariadb.transaction import MariadbTransaction
from tests.mariadb import MariadbServer, alter_tables
from tests.shops import Shop, lead_ladder

DEALS = 1_500


@pytest.fixture
def planned(store: MariadbStore, mariadb_server: MariadbServer) -> Iterator[MariadbTransaction]:
    shop = Shop(lead_ladder(sequence=True), store)
    events = [shop.event("lead", f"d{number}", value=number) for number in range(DEALS)]
    assert not shop.board.handle_many(events, batch=500).failures
    alter_tables(store, "ANALYZE TABLE ladder_deals, ladder_effects, ladder_events")
    with store.transaction() as transaction:
        yield transaction


def plan(transaction: MariadbTransaction, statement: Any, values: tuple[Any, ...]) -> Any:
    """Return the table that is read first, its index and what the server does besides."""
    text = statement.filled(values, transaction.connection.escape)
    first, *_ = transaction.run(f"EXPLAIN {text}").fetchall()
    _, _, table, _, _, key, *_, extra = first
    return table, key, extra


@pytest.mark.parametrize(
    ("name", "values", "index"),
    [
        ("LOCK_DUE_DEALS", (1, 2**60, 2**60, 2**61, 10), "ladder_deals_due"),
        ("LOCK_SWEPT_AHEAD", (1, 0, 0, 2**60, 2**61, 10), "ladder_deals_swept"),
        ("LOCK_UNINDEXED", (1, 10), "ladder_deals_unindexed"),
        ("LOCK_UNADOPTED", (1, "f", 0, 10), "PRIMARY"),
    ],
)
def test_no_more_is_locked_than_is_wanted(
    planned: MariadbTransaction, name: str, values: tuple[Any, ...], index: str
):
    table, key, extra = plan(planned, getattr(planned._sql, name), values)
    assert (table, key) == ("d", index)
    assert "filesort" not in extra


def test_a_page_of_tasks_is_read_along_their_order(planned: MariadbTransaction):
    shown = planned._read(planned._sql.PIPELINES)
    now = planned.database_now()
    text, values = planned._tasks(shown[0][0], TaskFilter(now=now), None, 50)
    table, key, extra = plan(planned, text, values)
    assert (table, key) == ("e", "ladder_effects_urgent")
    assert "filesort" not in extra


def test_known_events_are_looked_up_one_by_one(planned: MariadbTransaction):
    found = planned.run("SELECT source, id FROM ladder_events LIMIT 3").fetchall()
    known = [(source.decode(), id.decode()) for source, id in found]
    text = planned._sql.KNOWN_EVENTS.filled((known, 1), planned.connection.escape)
    keys = [row[5] for row in planned.run(f"EXPLAIN {text}").fetchall()]
    assert "identity" in keys
