"""``board.using(connection)``: a move and the caller's own rows commit together or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.orm import Session

from ladderpipe import Board, Event, MemoryStore, Outcome, SqliteStore
from ladderpipe.errors import EventConflictError, HookError, MoveNotAllowedError, StoreError
from tests.shops import Shop, assert_is_the_fold, contents, lead_ladder, register


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    store = SqliteStore(tmp_path / "shop.db")
    with store.transaction() as transaction:
        transaction.connection.execute("CREATE TABLE orders (id TEXT PRIMARY KEY)")
    pipeline = register(
        lead_ladder(),
        into_won=lambda ctx: ctx.do("email", template="thanks"),
        out_of_talking=lambda ctx: ctx.deal.owner == "broken" and 1 / 0,
    )
    found = Shop(pipeline, store)
    yield found
    store.close()


@pytest.fixture
def connection(shop: Shop) -> Iterator[sqlite3.Connection]:
    """A connection as sqlite3 makes it: it begins by itself before a statement that writes."""
    found = sqlite3.connect(shop.store.path)
    yield found
    found.close()


def orders(shop: Shop) -> list[str]:
    return [row[0] for row in contents(shop.store)["orders"]]


def stages(shop: Shop) -> list[str]:
    return [deal.stage.key for deal in shop.board.deals()]


def test_the_order_and_the_move_commit_together(shop: Shop, connection: sqlite3.Connection):
    shop.tell("lead")
    shop.wait(1)
    connection.execute("INSERT INTO orders VALUES ('o-1')")
    receipt = shop.board.using(connection).handle(shop.event("order"))
    assert receipt.outcome is Outcome.MOVED
    assert (orders(shop), stages(shop)) == ([], ["new"]), "nobody sees it before the commit"
    connection.commit()
    assert (orders(shop), stages(shop)) == (["o-1"], ["won"])
    assert_is_the_fold(shop.board)
    shop.board.deliver()
    assert shop.mails == ["thanks"]


def test_they_roll_back_together(shop: Shop, connection: sqlite3.Connection):
    shop.tell("lead")
    before = contents(shop.store)
    connection.execute("INSERT INTO orders VALUES ('o-1')")
    event = shop.event("order")
    shop.board.using(connection).handle(event)
    connection.rollback()
    assert contents(shop.store) == before
    assert shop.board.handle(event).outcome is Outcome.MOVED, "it was never heard of"


def test_what_fails_is_undone_alone_and_the_caller_may_go_on(
    shop: Shop, connection: sqlite3.Connection
):
    shop.tell("lead", id="known")
    board = shop.board.using(connection)
    connection.execute("INSERT INTO orders VALUES ('o-1')")
    with pytest.raises(EventConflictError):
        board.handle(shop.event("lead", "fresh", id="known"))
    with pytest.raises(MoveNotAllowedError):
        board.move("d", "won", by="Bea")
    board.handle(shop.event("call"))
    connection.commit()
    assert orders(shop) == ["o-1"]
    assert stages(shop) == ["talking"]
    assert [deal.id for deal in shop.board.deals()] == ["d"]


def test_a_hook_that_raises_undoes_the_board_and_not_the_caller(
    shop: Shop, connection: sqlite3.Connection
):
    shop.tell("lead", owner="broken")
    shop.wait(1)
    shop.tell("call")
    connection.execute("INSERT INTO orders VALUES ('o-1')")
    with pytest.raises(HookError):
        shop.board.using(connection).handle(shop.event("order"))
    connection.commit()
    assert (orders(shop), stages(shop)) == (["o-1"], ["talking"])


def test_the_board_begins_the_transaction_when_the_caller_has_not(
    shop: Shop, connection: sqlite3.Connection
):
    shop.board.using(connection).handle(shop.event("lead"))
    assert connection.in_transaction
    connection.rollback()
    assert stages(shop) == []


def test_hooks_get_the_callers_connection(tmp_path: Path):
    seen: list[Any] = []
    store = SqliteStore(tmp_path / "shop.db")
    shop = Shop(register(lead_ladder(), into_new=lambda ctx: seen.append(ctx.connection)), store)
    connection = sqlite3.connect(store.path)
    shop.board.using(connection).handle(shop.event("lead"))
    connection.close()
    store.close()
    assert seen == [connection]


def test_a_batch_in_the_callers_transaction_isolates_its_bad_events(
    shop: Shop, connection: sqlite3.Connection
):
    events = [shop.event("lead", f"d{n}") for n in range(5)]
    bad = shop.event("cart.updated", "d1", cart=1)
    report = shop.board.using(connection).handle_many([*events, bad], batch=2)
    assert [failure.event for failure in report.failures] == [bad]
    assert stages(shop) == []
    connection.commit()
    assert stages(shop) == ["new"] * 5


def test_sweeping_reading_and_delivering_work_inside_it_too(
    shop: Shop, connection: sqlite3.Connection
):
    board = shop.board.using(connection)
    board.handle(shop.event("lead"))
    shop.wait(73)
    assert board.tick().moves == 1
    board.handle(shop.event("order"))
    assert board.deal("d").stage == "won"
    assert board.deliver().delivered == 1, "the handlers are shared"
    assert shop.mails == ["thanks"]
    connection.rollback()
    assert stages(shop) == []


# -- connections as callers have them ------------------------------------------------------------


def test_a_connection_in_autocommit_mode_is_refused_while_no_transaction_is_open(shop: Shop):
    connection = sqlite3.connect(shop.store.path, isolation_level=None)
    board = shop.board.using(connection)
    with pytest.raises(StoreError, match="BEGIN IMMEDIATE"):
        board.handle(shop.event("lead"))
    connection.execute("BEGIN IMMEDIATE")
    board.handle(shop.event("lead"))
    connection.execute("COMMIT")
    connection.close()
    assert stages(shop) == ["new"]


def test_rows_made_into_dictionaries_do_not_confuse_the_board(
    shop: Shop, connection: sqlite3.Connection
):
    def as_dictionary(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
        return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}

    for factory in (as_dictionary, sqlite3.Row):
        connection.row_factory = factory
        board = shop.board.using(connection)
        deal = factory.__name__
        board.handle(shop.event("lead", deal))
        board.handle_many([shop.event("order", deal)])
        board.tick()
        assert board.deal(deal).stage == "won"
        assert len(board.history(deal).moves) == 2
        assert board.effects(deal)
        assert connection.row_factory is factory
    connection.commit()
    assert stages(shop) == ["won", "won"]


@pytest.mark.parametrize("is_still_writing", [False, True])
@pytest.mark.parametrize("call", ["handle", "handle_many", "move", "tick"])
def test_a_transaction_that_has_read_before_it_writes_is_told_to_begin_immediate(
    shop: Shop, is_still_writing: bool, call: str
):
    shop.tell("lead")
    shop.wait(100)
    calls = {
        "handle": lambda board: board.handle(shop.event("order")),
        "handle_many": lambda board: board.handle_many([shop.event("order")]),
        "move": lambda board: board.override("d", "talking", by="Bea"),
        "tick": lambda board: board.tick(),
    }
    reader = sqlite3.connect(shop.store.path, isolation_level=None, timeout=0)
    writer = sqlite3.connect(shop.store.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM orders").fetchone()
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO orders VALUES ('o-2')")
    if not is_still_writing:
        writer.execute("COMMIT")
    before = contents(shop.store)
    with pytest.raises(StoreError, match=r"BEGIN IMMEDIATE.*before it reads") as refused:
        calls[call](shop.board.using(reader))
    assert isinstance(refused.value.__cause__, sqlite3.OperationalError)
    assert shop.store.is_transient(refused.value), "all of it may be done again"
    reader.execute("ROLLBACK")
    assert contents(shop.store) == before
    if is_still_writing:
        writer.execute("COMMIT")
    reader.execute("BEGIN IMMEDIATE")
    calls[call](shop.board.using(reader))
    reader.execute("COMMIT")
    for connection in (reader, writer):
        connection.close()


def test_the_callers_own_savepoints_stay_his(shop: Shop, connection: sqlite3.Connection):
    board = shop.board.using(connection)
    connection.execute("BEGIN")
    connection.execute("SAVEPOINT ladderpipe_1")
    connection.execute("INSERT INTO orders VALUES ('o-1')")
    board.handle(shop.event("lead"))
    connection.execute("ROLLBACK TO ladderpipe_1")
    connection.execute("COMMIT")
    assert (orders(shop), stages(shop)) == ([], [])


def test_a_connection_to_another_database_is_refused(shop: Shop, tmp_path: Path):
    SqliteStore(tmp_path / "other.db").close()
    for path in (str(tmp_path / "other.db"), ":memory:"):
        other = sqlite3.connect(path)
        with pytest.raises(StoreError, match="connect to the board's file"):
            shop.board.using(other)
        other.close()


def test_the_file_may_be_named_in_another_way(shop: Shop, tmp_path: Path):
    (tmp_path / "link.db").symlink_to(shop.store.path)
    connection = sqlite3.connect(tmp_path / "link.db")
    shop.board.using(connection).handle(shop.event("lead"))
    connection.commit()
    connection.close()
    assert stages(shop) == ["new"]


def test_what_is_no_sqlite_connection_is_refused(shop: Shop):
    with pytest.raises(StoreError, match=r"not builtins\.str"):
        shop.board.using("shop.db")


class TestAHookThatEndsTheTransaction:
    """What it has committed cannot be taken back; the caller is told, and sending again mends."""

    @pytest.fixture(
        params=[
            lambda connection: connection.commit(),
            lambda connection: connection.execute("COMMIT"),
            lambda connection: connection.rollback(),
            lambda connection: (connection.commit(), connection.execute("BEGIN")),
            lambda connection: (
                connection.commit(),
                connection.execute("INSERT INTO orders VALUES ('from the hook')"),
            ),
        ],
        ids=["commit", "COMMIT", "rollback", "commit and begin", "commit and insert"],
    )
    def careless(self, request: pytest.FixtureRequest, shop: Shop) -> Shop:
        errors = [request.param]

        def end(ctx: Any) -> None:
            if errors:
                errors.pop()(ctx.connection)

        return Shop(register(lead_ladder(), into_talking=end), shop.store)

    def test_it_is_told_and_sending_the_event_again_mends_it(
        self, careless: Shop, connection: sqlite3.Connection
    ):
        careless.tell("lead")
        careless.wait(1)
        event = careless.event("call")
        connection.execute("INSERT INTO orders VALUES ('o-1')")
        board = careless.board.using(connection)
        with pytest.raises((HookError, StoreError), match="send the event again"):
            board.handle(event)
        connection.rollback()
        assert careless.stages == ["new"]
        assert careless.board.handle(event).outcome is Outcome.MOVED
        assert careless.board.handle(event).outcome is Outcome.DUPLICATE
        assert careless.stages == ["new", "talking"]
        assert_is_the_fold(careless.board)


ADD_ORDER = "INSERT INTO orders VALUES ('o-1')"


class TestSqlAlchemy:
    @pytest.fixture
    def engine(self, shop: Shop) -> Iterator[sqlalchemy.Engine]:
        found = sqlalchemy.create_engine(f"sqlite:///{shop.store.path}")
        yield found
        found.dispose()

    def test_its_connection(self, shop: Shop, engine: sqlalchemy.Engine):
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text(ADD_ORDER))
            shop.board.using(connection).handle(shop.event("lead"))
            assert (orders(shop), stages(shop)) == ([], [])
        assert (orders(shop), stages(shop)) == (["o-1"], ["new"])

    def test_its_session(self, shop: Shop, engine: sqlalchemy.Engine):
        with Session(engine) as session:
            session.execute(sqlalchemy.text(ADD_ORDER))
            shop.board.using(session).handle(shop.event("lead"))
            session.rollback()
            assert (orders(shop), stages(shop)) == ([], [])
            shop.board.using(session).handle(shop.event("lead"))
            session.commit()
        assert (orders(shop), stages(shop)) == ([], ["new"])

    def test_a_commit_with_nothing_but_a_move_in_it(self, shop: Shop, engine: sqlalchemy.Engine):
        with engine.connect() as connection:
            shop.board.using(connection).handle(shop.event("lead"))
            connection.commit()
        assert stages(shop) == ["new"]

    def test_an_engine_is_no_connection(self, shop: Shop, engine: sqlalchemy.Engine):
        with pytest.raises(StoreError, match=r"engine\.begin"):
            shop.board.using(engine)


class TestDjango:
    @pytest.fixture
    def connection(self, shop: Shop) -> Iterator[Any]:
        import django
        from django.conf import settings
        from django.db import connections

        if not settings.configured:
            settings.configure()
            django.setup()
        wanted = {"ENGINE": "django.db.backends.sqlite3", "NAME": shop.store.path}
        databases = connections.configure_settings({"default": {}, "shop": wanted})
        connections.databases["shop"] = databases["shop"]
        yield connections["shop"]
        connections["shop"].close()
        del connections["shop"]

    def test_its_connection(self, shop: Shop, connection: Any):
        from django.db import transaction

        with transaction.atomic(using="shop"):
            with connection.cursor() as cursor:
                cursor.execute(ADD_ORDER)
            shop.board.using(connection).handle(shop.event("lead"))
            assert (orders(shop), stages(shop)) == ([], [])
        assert (orders(shop), stages(shop)) == (["o-1"], ["new"])

    def test_an_atomic_block_that_fails(self, shop: Shop, connection: Any):
        from django.db import transaction

        @transaction.atomic(using="shop")
        def move_and_fail() -> None:
            shop.board.using(connection).handle(shop.event("lead"))
            raise ZeroDivisionError

        with transaction.atomic(using="shop"):
            with connection.cursor() as cursor:
                cursor.execute(ADD_ORDER)
            with pytest.raises(ZeroDivisionError):
                move_and_fail()
        assert (orders(shop), stages(shop)) == (["o-1"], [])

    def test_outside_of_a_transaction_it_is_refused(self, shop: Shop, connection: Any):
        with pytest.raises(StoreError, match="atomic"):
            shop.board.using(connection).handle(shop.event("lead"))


def test_memory_has_no_connection_to_share():
    board = Board(lead_ladder(), store=MemoryStore())
    with pytest.raises(StoreError, match="open it on a database"):
        board.using(sqlite3.connect(":memory:"))


def test_closing_the_joined_board_leaves_the_connection_alone(
    shop: Shop, connection: sqlite3.Connection
):
    with shop.board.using(connection) as board:
        board.handle(shop.event("lead"))
    connection.commit()
    assert stages(shop) == ["new"]


def test_events_of_a_rolled_back_transaction_can_come_again_in_another(
    shop: Shop, connection: sqlite3.Connection
):
    event: Event = shop.event("lead")
    board = shop.board.using(connection)
    for _ in range(2):
        assert board.handle(event).outcome is Outcome.OPENED
        connection.rollback()
    assert board.handle(event).outcome is Outcome.OPENED
    connection.commit()
    assert board.handle(event).outcome is Outcome.DUPLICATE
