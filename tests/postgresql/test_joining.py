"""``board.using``: a move and the caller's rows commit together, whoever wraps the connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy
from psycopg.rows import dict_row
from sqlalchemy.orm import Session

from ladderpipe import Outcome, Pipeline, Stage, by_hand, on
from ladderpipe.errors import EventConflictError, HookError, PipelineChangedError, StoreError
from ladderpipe.stores import PostgresStore
from tests.postgres import rows_by_table
from tests.postgresql.conftest import OpenStore
from tests.shops import Shop, assert_is_the_fold, lead_ladder, register


@pytest.fixture
def shop(store: PostgresStore) -> Shop:
    with store.transaction() as transaction:
        transaction.connection.execute("CREATE TABLE orders (id text PRIMARY KEY)")
    pipeline = register(
        lead_ladder(),
        into_won=lambda ctx: ctx.do("email", template="thanks"),
        into_talking=lambda ctx: ctx.connection.execute("INSERT INTO orders VALUES ('hook')"),
        out_of_talking=lambda ctx: ctx.deal.owner == "broken" and 1 / 0,
    )
    found = Shop(pipeline, store)
    found.tell("lead", id="known")
    found.wait(1)
    return found


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    found = psycopg.connect(postgres_url)
    yield found
    found.close()


def orders(shop: Shop) -> list[str]:
    with shop.store.transaction(write=False) as transaction:
        found = transaction.connection.execute("SELECT id FROM orders ORDER BY id").fetchall()
    return [id for (id,) in found]


def contents(shop: Shop) -> dict[str, Any]:
    with shop.store.transaction(write=False) as transaction:
        return rows_by_table(transaction.connection)


def test_the_order_and_the_move_commit_together(shop: Shop, connection: psycopg.Connection[Any]):
    connection.execute("INSERT INTO orders VALUES ('o-1')")
    assert shop.board.using(connection).handle(shop.event("order")).outcome is Outcome.MOVED
    assert (orders(shop), shop.stage) == ([], "new"), "nobody sees it before the commit"
    connection.commit()
    assert (orders(shop), shop.stage) == (["o-1"], "won")
    assert_is_the_fold(shop.board)
    shop.board.deliver()
    assert shop.mails == ["thanks"]


def test_they_roll_back_together(shop: Shop, connection: psycopg.Connection[Any]):
    before = contents(shop)
    event = shop.event("order")
    with connection.transaction(force_rollback=True):
        connection.execute("INSERT INTO orders VALUES ('o-1')")
        shop.board.using(connection).handle(event)
    assert contents(shop) == before
    assert shop.board.handle(event).outcome is Outcome.MOVED, "it was never heard of"


def test_what_fails_is_undone_alone_and_the_caller_goes_on(
    shop: Shop, connection: psycopg.Connection[Any]
):
    board = shop.board.using(connection)
    connection.execute("INSERT INTO orders VALUES ('o-1')")
    board.handle(shop.event("call", owner="broken"))
    with pytest.raises(HookError):
        board.handle(shop.event("order", hours=1 / 60))
    with pytest.raises(EventConflictError):
        board.handle(shop.event("lead", "other", id="known"))
    with pytest.raises(psycopg.errors.CheckViolation), connection.transaction():
        connection.execute("UPDATE ladder_deals SET stage = NULL")
    connection.commit()
    assert (orders(shop), shop.stages) == (["hook", "o-1"], ["new", "talking"])
    assert_is_the_fold(shop.board)


def test_a_savepoint_of_the_callers_undoes_the_move(
    shop: Shop, connection: psycopg.Connection[Any]
):
    connection.execute("INSERT INTO orders VALUES ('o-1')")
    with connection.transaction(force_rollback=True):
        shop.board.using(connection).handle(shop.event("order"))
    connection.commit()
    assert (orders(shop), shop.stage) == (["o-1"], "new")


def test_batches_sweeps_hands_and_deliveries_join_too(
    shop: Shop, connection: psycopg.Connection[Any]
):
    board = shop.board.using(connection)
    assert board.handle_many([shop.event("lead", f"d{n}") for n in range(9)]).accepted == 9
    board.move("d0", "lost", by="Ada", properties={"why": "price"})
    shop.wait(100)
    assert board.tick().moves == 9
    assert board.deliver().counts == {}
    connection.rollback()
    assert [deal.stage for deal in shop.board.deals()] == ["new"]


def test_the_callers_connection_is_left_as_it_was(postgres_url: str, shop: Shop):
    connection = psycopg.connect(postgres_url, row_factory=dict_row)
    before = connection.adapters.get_loader(114, psycopg.pq.Format.TEXT)
    shop.board.using(connection).handle(shop.event("call"))
    row = connection.execute("SELECT '{\"a\": 1}'::json AS data, 1 AS one").fetchone()
    assert row == {"data": {"a": 1}, "one": 1}
    assert connection.adapters.get_loader(114, psycopg.pq.Format.TEXT) is before
    connection.close()


def test_a_connection_that_commits_by_itself_is_refused(postgres_url: str, shop: Shop):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        board = shop.board.using(connection)
        with pytest.raises(StoreError, match="autocommit"):
            board.handle(shop.event("order"))
        assert board.deal("d").stage == "new", "reading needs no transaction"
        with connection.transaction():
            board.handle(shop.event("order"))
    assert shop.stage == "won"


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize(
    "misdeed",
    [
        lambda connection: connection.execute("COMMIT"),
        lambda connection: connection.execute("ROLLBACK"),
        lambda connection: connection.execute("SELECT 1; COMMIT; BEGIN"),
    ],
    ids=["commit", "rollback", "commit and begin"],
)
def test_a_hook_that_ends_the_callers_transaction_is_told_and_mended(
    store: PostgresStore, postgres_url: str, autocommit: bool, misdeed: Any
):
    misdeeds = [misdeed]
    careless = Shop(
        register(
            lead_ladder(), into_talking=lambda ctx: misdeeds and misdeeds.pop()(ctx.connection)
        ),
        store,
    )
    careless.tell("lead")
    careless.wait(1)
    event = careless.event("call")
    with psycopg.connect(postgres_url, autocommit=autocommit) as own:
        own.execute("BEGIN" if autocommit else "SELECT 1")
        with pytest.raises((HookError, StoreError), match="send the event again"):
            careless.board.using(own).handle(event)
        own.rollback()
    assert careless.stages == ["new"]
    assert careless.board.handle(event).outcome is Outcome.MOVED
    assert careless.stages == ["new", "talking"]
    assert_is_the_fold(careless.board)


def test_another_kind_of_connection_is_refused(shop: Shop, tmp_path: Path):
    with sqlite3.connect(":memory:") as other, pytest.raises(StoreError, match="psycopg"):
        shop.board.using(other)
    other.close()
    with pytest.raises(StoreError, match="psycopg"):
        shop.board.using(None)


def test_another_database_is_refused(shop: Shop, postgres_server: Any):
    with (
        psycopg.connect(postgres_server.url("template1")) as connection,
        pytest.raises(StoreError, match="has no tables"),
    ):
        shop.board.using(connection).handle(shop.event("order"))


@pytest.mark.parametrize(
    "level", [psycopg.IsolationLevel.REPEATABLE_READ, psycopg.IsolationLevel.SERIALIZABLE]
)
class TestAboveReadCommitted:
    """Where a transaction sees the past, it fails rather than write by what it sees."""

    @pytest.fixture
    def outdated(
        self, connection: psycopg.Connection[Any], level: psycopg.IsolationLevel
    ) -> psycopg.Connection[Any]:
        connection.isolation_level = level
        connection.execute("SELECT * FROM orders")
        return connection

    def test_it_works_while_nobody_interferes(self, shop: Shop, outdated: Any):
        shop.board.using(outdated).handle(shop.event("order"))
        outdated.commit()
        assert shop.stage == "won"

    def test_a_deal_that_was_written_meanwhile(self, shop: Shop, outdated: Any):
        shop.tell("call")
        with pytest.raises(psycopg.errors.SerializationFailure) as raised:
            shop.board.using(outdated).handle(shop.event("order"))
        assert shop.store.is_transient(raised.value)

    def test_a_deal_that_was_opened_meanwhile(self, shop: Shop, outdated: Any):
        shop.tell("lead", "other")
        with pytest.raises(psycopg.errors.SerializationFailure):
            shop.board.using(outdated).handle(shop.event("order", "other"))

    def test_a_ladder_that_was_changed_meanwhile(
        self, shop: Shop, outdated: Any, open_store: OpenStore
    ):
        board = shop.board.using(outdated)
        new, lost = Stage("new"), Stage("lost", status="lost")
        rules = [on("lead", into=new, opens=True), by_hand(into=lost)]
        other = Shop(
            Pipeline("leads", stages=[new, lost], rules=rules), open_store(), adopting=True
        )
        other.board.migrate({"cold": new, "talking": new, "won": new})
        for deal in ("d", "never heard of"):
            with pytest.raises((psycopg.errors.SerializationFailure, PipelineChangedError)):
                board.handle(shop.event("lead", deal))


def engine_for(url: str) -> sqlalchemy.Engine:
    """Return an engine on libpq's address: SQLAlchemy writes its URLs in another way."""
    return sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=sqlalchemy.NullPool
    )


ADD_ORDER = sqlalchemy.text("INSERT INTO orders VALUES ('o-1')")


class TestSqlAlchemy:
    @pytest.fixture
    def engine(self, postgres_url: str) -> sqlalchemy.Engine:
        return engine_for(postgres_url)

    def test_its_connection(self, shop: Shop, engine: sqlalchemy.Engine):
        with engine.begin() as connection:
            connection.execute(ADD_ORDER)
            shop.board.using(connection).handle(shop.event("order"))
            assert shop.stage == "new"
        assert (orders(shop), shop.stage) == (["o-1"], "won")

    def test_its_session(self, shop: Shop, engine: sqlalchemy.Engine):
        with Session(engine) as session:
            session.execute(ADD_ORDER)
            shop.board.using(session).handle(shop.event("order"))
            session.rollback()
            assert (orders(shop), shop.stage) == ([], "new")
            shop.board.using(session).handle(shop.event("order"))
            session.commit()
        assert (orders(shop), shop.stage) == ([], "won")

    def test_a_commit_with_nothing_but_a_move_in_it(self, shop: Shop, engine: sqlalchemy.Engine):
        with engine.connect() as connection:
            shop.board.using(connection).handle(shop.event("order"))
            connection.commit()
        assert shop.stage == "won"

    def test_nested_in_a_savepoint(self, shop: Shop, engine: sqlalchemy.Engine):
        with Session(engine) as session, session.begin():
            session.execute(ADD_ORDER)
            with pytest.raises(ZeroDivisionError), session.begin_nested():
                shop.board.using(session).handle(shop.event("order"))
                raise ZeroDivisionError
        assert (orders(shop), shop.stage) == (["o-1"], "new")

    def test_an_engine_is_no_connection(self, shop: Shop, engine: sqlalchemy.Engine):
        with pytest.raises(StoreError, match=r"engine\.begin"):
            shop.board.using(engine)


class TestDjango:
    @pytest.fixture
    def connection(self, postgres_url: str) -> Iterator[Any]:
        import django
        from django.conf import settings
        from django.db import connections

        if not settings.configured:
            settings.configure()
            django.setup()
        connections.databases["shop"] = connections.configure_settings(
            {
                "default": {},
                "shop": {
                    "ENGINE": "django.db.backends.postgresql",
                    "NAME": "postgres",
                    "USER": "postgres",
                    "HOST": postgres_url.partition("host=")[2],
                },
            }
        )["shop"]
        yield connections["shop"]
        connections["shop"].close()
        del connections["shop"]

    def test_its_connection(self, shop: Shop, connection: Any):
        from django.db import transaction

        with transaction.atomic(using="shop"):
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO orders VALUES ('o-1')")
            shop.board.using(connection).handle(shop.event("order"))
            assert shop.stage == "new"
        assert (orders(shop), shop.stage) == (["o-1"], "won")

    def test_an_atomic_block_that_fails(self, shop: Shop, connection: Any):
        from django.db import transaction

        with transaction.atomic(using="shop"):
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO orders VALUES ('o-1')")
            with pytest.raises(ZeroDivisionError), transaction.atomic(using="shop"):
                shop.board.using(connection).handle(shop.event("order"))
                raise ZeroDivisionError
        assert (orders(shop), shop.stage) == (["o-1"], "new")

    def test_outside_of_a_transaction_it_is_refused(self, shop: Shop, connection: Any):
        with pytest.raises(StoreError, match="atomic"):
            shop.board.using(connection).handle(shop.event("order"))
