"""Answers with a row for every deal come page by page, and are of one instant."""

from __future__ import annotations

from decimal import Decimal

import psycopg
import pytest

from ladderpipe.stores import PostgresStore
from ladderpipe.stores.postgres import transaction as postgres_transaction
from tests.postgresql.conftest import OpenStore
from tests.shops import Shop, lead_ladder


@pytest.fixture(autouse=True)
def pages_of_seven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_transaction, "PAGE", 7)


@pytest.fixture
def full(shop: Shop) -> Shop:
    events = [shop.event("lead", f"d{n}", value=n, currency="EUR") for n in range(50)]
    assert not shop.board.handle_many(events).failures
    return shop


def total(shop: Shop) -> tuple[int, Decimal]:
    (row,) = shop.board.summary()
    return row.count, row.value


def test_a_summary_counts_every_deal_once_however_often_it_is_asked_for(full: Shop):
    for _ in range(12):
        assert total(full) == (50, Decimal(sum(range(50))))


def test_no_more_than_a_page_is_held_at_once(full: Shop, monkeypatch: pytest.MonkeyPatch):
    sizes: list[int] = []
    read = postgres_transaction.PostgresTransaction._read

    def measured(self: object, *arguments: object) -> object:
        rows = read(self, *arguments)  # type: ignore[arg-type]
        sizes.append(len(rows))
        return rows

    monkeypatch.setattr(postgres_transaction.PostgresTransaction, "_read", measured)
    full.board.summary()
    assert max(sizes) == 7


def test_a_summary_is_of_one_instant(full: Shop, open_store: OpenStore):
    """Deals that move while it is read are counted where they were when it began."""
    writer = Shop(lead_ladder(), open_store())
    writer.wait(1)
    with full.store.transaction(write=False) as transaction:
        totals = transaction.totals(full.board._session.number)
        seen = [next(totals)]
        assert not writer.board.handle_many(
            [writer.event("order", f"d{n}") for n in range(50)]
        ).failures
        seen += totals
    assert [stage for stage, _, _ in seen] == ["new"] * 50


def test_who_stops_reading_in_the_middle_disturbs_nobody(full: Shop):
    number = full.board._session.number
    with full.store.transaction() as transaction:
        for _ in range(2):
            totals = transaction.totals(number)
            next(totals)
            totals.close()  # type: ignore[attr-defined]
        assert transaction.load(number, "d1", create=False)[0] is not None
        assert len(list(transaction.totals(number))) == 50


@pytest.mark.parametrize("autocommit", [True, False])
def test_on_the_callers_own_connection(full: Shop, postgres_url: str, autocommit: bool):
    with psycopg.connect(postgres_url, autocommit=autocommit) as connection:
        (row,) = full.board.using(connection).summary()
        assert row.count == 50
        if autocommit:
            assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_an_empty_board_has_no_totals(store: PostgresStore):
    assert Shop(lead_ladder(), store).board.summary() == []
