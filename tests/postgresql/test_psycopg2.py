"""psycopg2: every statement of the store on the caller's connection, and no other answers."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import psycopg2
import psycopg2.extras
import pytest
from psycopg2 import extensions

from ladderpipe import Event, Outcome
from ladderpipe.errors import EventConflictError, HookError, StoreError
from ladderpipe.stores import PostgresStore
from ladderpipe.testing import assert_store_contract
from tests.postgres import PostgresServer
from tests.postgresql.conftest import OpenStore
from tests.postgresql.test_joining import contents, orders
from tests.shops import Shop, assert_is_the_fold, lead_ladder, register


class OverPsycopg2(PostgresStore):
    """A store whose every transaction is somebody's on psycopg2, whom it joins."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._here = threading.local()
        self._opened: list[Any] = []

    @contextlib.contextmanager
    def transaction(self, write: bool = True) -> Iterator[Any]:
        if not hasattr(self._here, "own"):
            self._here.own = psycopg2.connect(
                self._dsn, cursor_factory=psycopg2.extras.RealDictCursor
            )
            self._here.own.isolation_level = extensions.ISOLATION_LEVEL_READ_COMMITTED
            self._opened.append(self._here.own)
        with self._here.own as own, self.using(own).transaction(write) as joined:
            yield joined

    def close(self) -> None:
        super().close()
        for own in self._opened:
            own.close()


def test_it_keeps_the_contract(postgres_server: PostgresServer):
    assert_store_contract(lambda: OverPsycopg2(postgres_server.emptied_url()), examples=5)


@pytest.fixture
def shop(store: PostgresStore) -> Shop:
    with store.transaction() as transaction:
        transaction.connection.execute("CREATE TABLE orders (id text PRIMARY KEY)")
    pipeline = register(
        lead_ladder(),
        into_won=lambda ctx: ctx.do("email", template="thanks"),
        into_talking=lambda ctx: ctx.connection.execute("INSERT INTO orders VALUES (%s)", ("h",)),
        out_of_talking=lambda ctx: ctx.deal.owner == "broken" and 1 / 0,
    )
    found = Shop(pipeline, store)
    found.tell("lead", id="known")
    found.wait(1)
    return found


@pytest.fixture
def own(postgres_url: str) -> Iterator[Any]:
    found = psycopg2.connect(postgres_url)
    yield found
    found.close()


def insert(own: Any, order: str) -> None:
    with own.cursor() as cursor:
        cursor.execute("INSERT INTO orders VALUES (%s)", (order,))


def test_the_order_and_the_move_commit_together(shop: Shop, own: Any):
    insert(own, "o-1")
    assert shop.board.using(own).handle(shop.event("order")).outcome is Outcome.MOVED
    assert (orders(shop), shop.stage) == ([], "new"), "nobody sees it before the commit"
    own.commit()
    assert (orders(shop), shop.stage) == (["o-1"], "won")
    assert_is_the_fold(shop.board)
    shop.board.deliver()
    assert shop.mails == ["thanks"]


def test_they_roll_back_together(shop: Shop, own: Any):
    before, event = contents(shop), shop.event("order")
    insert(own, "o-1")
    shop.board.using(own).handle(event)
    own.rollback()
    assert contents(shop) == before
    assert shop.board.handle(event).outcome is Outcome.MOVED, "it was never heard of"


def test_what_fails_is_undone_alone_and_the_caller_goes_on(shop: Shop, own: Any):
    board = shop.board.using(own)
    insert(own, "o-1")
    board.handle(shop.event("call", owner="broken"))
    with pytest.raises(HookError):
        board.handle(shop.event("order", hours=1 / 60))
    with pytest.raises(EventConflictError):
        board.handle(shop.event("lead", "other", id="known"))
    insert(own, "o-2")
    own.commit()
    assert (orders(shop), shop.stages) == (["h", "o-1", "o-2"], ["new", "talking"])
    assert_is_the_fold(shop.board)


def test_the_callers_connection_is_left_as_it_was(postgres_url: str, shop: Shop):
    own = psycopg2.connect(postgres_url, cursor_factory=psycopg2.extras.RealDictCursor)
    with own, own.cursor() as cursor:
        cursor.execute("SET TIME ZONE 'Asia/Kolkata'")
        shop.board.using(own).handle(shop.event("call"))
        cursor.execute("SELECT '{\"a\": 1}'::json AS data, '\\x00'::bytea AS raw, now() AS now")
        row = cursor.fetchone()
    assert row["data"] == {"a": 1}
    assert isinstance(row["raw"], memoryview)
    assert row["now"].utcoffset().total_seconds() == 19_800
    assert shop.board.deal("d").stage == "talking"
    own.close()


def test_a_connection_that_commits_by_itself_is_refused(own: Any, shop: Shop):
    own.autocommit = True
    board = shop.board.using(own)
    with pytest.raises(StoreError, match="autocommit"):
        board.handle(shop.event("order"))
    assert board.deal("d").stage == "new", "reading needs no transaction"
    with own.cursor() as cursor:
        cursor.execute("BEGIN")
        board.handle(shop.event("order"))
        cursor.execute("COMMIT")
    assert shop.stage == "won"


@pytest.mark.parametrize("misdeed", ["COMMIT", "ROLLBACK", "SELECT 1; COMMIT; BEGIN"])
def test_a_hook_that_ends_the_callers_transaction_is_told_and_mended(
    store: PostgresStore, own: Any, misdeed: str
):
    misdeeds = [misdeed]
    careless = Shop(
        register(
            lead_ladder(),
            into_talking=lambda ctx: misdeeds and ctx.connection.execute(misdeeds.pop()),
        ),
        store,
    )
    careless.tell("lead")
    careless.wait(1)
    event = careless.event("call")
    with pytest.raises((HookError, StoreError), match="send the event again"):
        careless.board.using(own).handle(event)
    own.rollback()
    assert careless.stages == ["new"]
    assert careless.board.handle(event).outcome is Outcome.MOVED
    assert_is_the_fold(careless.board)


def test_a_hook_may_undo_what_fails_and_go_on(store: PostgresStore, own: Any):
    """What it is given has the names of the worker's connection, which is psycopg 3's."""

    def careful(ctx: Any) -> None:
        for _ in range(2):
            with contextlib.suppress(psycopg.errors.DuplicateTable), ctx.connection.transaction():
                ctx.connection.execute("CREATE TABLE noted (id text)")
        assert ctx.connection.execute("SELECT 1, 2").fetchone() == (1, 2)
        assert [*ctx.connection.execute("SELECT 1")] == [(1,)]
        with ctx.connection.cursor() as cursor:
            cursor.execute("INSERT INTO noted VALUES (%s)", (ctx.deal.id,))

    shop = Shop(register(lead_ladder(), into_new=careful), store)
    with own:
        shop.board.using(own).handle(shop.event("lead"))
    with own, own.cursor() as cursor:
        cursor.execute("SELECT * FROM noted")
        assert cursor.fetchall() == [("d",)]
    shop.board.handle(shop.event("lead", "other"))


def test_an_error_is_that_of_psycopg_with_its_own_as_the_cause(
    shop: Shop, own: Any, open_store: OpenStore
):
    with open_store().transaction() as other:
        other.load(1, "d", create=False)  # locked from here
        with own.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable) as refused:
            shop.board.using(own).handle(shop.event("order"))
        assert isinstance(refused.value.__cause__, psycopg2.errors.LockNotAvailable)
        assert shop.store.is_transient(refused.value)
    shop.board.using(own).handle(shop.event("order"))  # the savepoint was undone
    own.commit()
    assert shop.stage == "won"


def test_a_lost_connection_is_transient(shop: Shop, own: Any):
    shop.board.using(own).handle(shop.event("call"))
    with shop.store.transaction() as transaction:
        transaction.connection.execute("SELECT pg_terminate_backend(%s)", (own.info.backend_pid,))
    with pytest.raises(psycopg.OperationalError) as lost:
        shop.board.using(own).handle(shop.event("order"))
    assert shop.store.is_transient(lost.value)
    assert shop.stage == "new"
    with pytest.raises(psycopg.OperationalError, match="already closed"):
        shop.board.using(own).handle(shop.event("order"))


def test_another_database_is_refused(shop: Shop, postgres_server: PostgresServer):
    own = psycopg2.connect(postgres_server.url("template1"))
    with pytest.raises(StoreError, match="has no tables"):
        shop.board.using(own).handle(shop.event("order"))
    own.close()


def test_hostile_texts_arrive_as_they_are(shop: Shop, own: Any):
    hostile = "'); DROP TABLE ladder_deals; -- %s %(a)s \\' \\x00 é €"
    with own:
        shop.board.using(own).handle(
            Event("lead", deal=hostile, id=hostile, at=shop.clock.now(), data={"note": hostile})
        )
    (told,) = shop.board.events(hostile)
    assert (told.id, told.data["note"]) == (hostile, hostile)
