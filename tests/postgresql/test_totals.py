"""The board's totals on PostgreSQL, on whichever connection they are asked for."""

from __future__ import annotations

from decimal import Decimal

import psycopg
import pytest

from ladderpipe.stores import PostgresStore
from tests.shops import Shop, lead_ladder


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
