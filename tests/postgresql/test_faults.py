"""Connections that are lost, transactions that fail, hooks that misbehave."""

from __future__ import annotations

import contextlib
import multiprocessing
from typing import Any, Final

import psycopg
import psycopg2
import pytest
from psycopg import sql

from ladderpipe import Board, Outcome
from ladderpipe.errors import HookError, StoreError
from ladderpipe.stores import PostgresStore
from ladderpipe.stores.base import MoveRecord
from tests.postgres import rows_by_table
from tests.shops import Shop, assert_is_the_fold, lead_ladder, register

REFUSED: Final = (999, *[None] * len(MoveRecord._fields))
"""A move that the schema refuses, of a deal that is not there."""


def contents(store: PostgresStore) -> dict[str, Any]:
    with store.transaction(write=False) as transaction:
        return rows_by_table(transaction.connection)


def cut(url: str, connection: psycopg.Connection[Any]) -> None:
    """Cut a connection as a server does that is shut down."""
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", (connection.info.backend_pid,))


def test_a_lost_connection_is_transient_and_the_next_one_works(shop: Shop, postgres_url: str):
    with pytest.raises(psycopg.OperationalError) as raised, shop.store.transaction() as transaction:
        transaction.load(shop.board._session.number, "d", create=True)
        cut(postgres_url, transaction.connection)
        transaction.load(shop.board._session.number, "d", create=True)
    assert shop.store.is_transient(raised.value)
    assert shop.tell("lead").outcome is Outcome.OPENED


def test_idle_connections_that_were_cut_are_replaced(shop: Shop, postgres_url: str):
    with shop.store.transaction() as one, shop.store.transaction() as two:
        connections = [one.connection, two.connection]
    for connection in connections:
        cut(postgres_url, connection)
    assert shop.tell("lead").outcome is Outcome.OPENED, "the board began the transaction again"


def test_a_connection_lost_while_committing_says_that_nobody_knows(
    shop: Shop, postgres_url: str, monkeypatch: pytest.MonkeyPatch
):
    event = shop.event("lead")
    with pytest.raises(psycopg.OperationalError) as raised, shop.store.transaction() as transaction:
        transaction.load(shop.board._session.number, "d", create=True)
        cut(postgres_url, transaction.connection)
    assert "may be stored or not" in raised.value.__notes__[0]
    assert shop.store.is_transient(raised.value)
    shop.board.handle(event)
    assert shop.board.handle(event).outcome is Outcome.DUPLICATE


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (psycopg.errors.SerializationFailure(), True),
        (psycopg.errors.DeadlockDetected(), True),
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.IdleInTransactionSessionTimeout(), True),
        (psycopg.errors.IdleSessionTimeout(), True),
        (psycopg.errors.ConnectionFailure(), True),
        (psycopg.OperationalError("server closed the connection unexpectedly"), True),
        (psycopg.errors.UniqueViolation(), False),
        (psycopg.errors.UndefinedTable(), False),
        (psycopg.errors.DiskFull(), False),
        (psycopg.InterfaceError("the cursor is closed"), False),
        (ValueError(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_which_errors_go_away(store: PostgresStore, error: Exception, transient: bool):
    assert store.is_transient(error) is transient
    wrapped = HookError("a hook raised")
    wrapped.__cause__ = error
    assert store.is_transient(wrapped) is transient


def test_a_transaction_that_raises_leaves_nothing(shop: Shop):
    before = contents(shop.store)
    with pytest.raises(ZeroDivisionError), shop.store.transaction() as transaction:
        number = shop.board._session.number
        transaction.load(number, "d", create=True)
        with transaction.savepoint():
            transaction.load(number, "e", create=True)
        raise ZeroDivisionError
    assert contents(shop.store) == before


def test_a_savepoint_undoes_what_waits_and_what_was_sent(shop: Shop):
    number = shop.board._session.number
    with shop.store.transaction() as transaction:
        kept = transaction.load(number, "kept", create=True)[0]
        for _ in range(2):
            with pytest.raises(ZeroDivisionError), transaction.savepoint():
                transaction.load(number, "gone", create=True)
                with transaction.savepoint():
                    transaction.load(number, "gone too", create=True)
                transaction.note_failure(kept.id, 7, shop.clock.now())
                raise ZeroDivisionError
            with pytest.raises(ZeroDivisionError), transaction.savepoint():
                transaction.note_failure(kept.id, 7, shop.clock.now())
                raise ZeroDivisionError
            with transaction.savepoint():
                transaction.note_failure(kept.id, 3, shop.clock.now())
            with transaction.savepoint():
                pass
    with shop.store.transaction(write=False) as transaction:
        found = transaction.every_deal(number, 0, 10)
    assert [(row.deal, row.failures) for row, _ in found] == [("kept", 3)]


@pytest.mark.parametrize("driver", [None, psycopg, psycopg2], ids=["own", "psycopg", "psycopg2"])
def test_a_connection_on_which_much_has_failed_goes_on(shop: Shop, postgres_url: str, driver: Any):
    """Statements behind one that fails are never reached, and prepared nonetheless some day."""
    number = shop.board._session.number
    with contextlib.closing((driver or psycopg).connect(postgres_url)) as connection:
        store: Any = shop.store.using(connection) if driver else shop.store
        for _ in range(12):
            with pytest.raises(psycopg.IntegrityError), store.transaction() as transaction:
                transaction._each(transaction._sql.ADD_MOVE, [REFUSED])
                transaction.moves(1)
            with store.transaction() as transaction:
                assert transaction.moves(1) == []
                assert transaction.load(number, "nobody", create=False)[0] is None


def test_a_write_that_the_database_refuses_undoes_the_whole_transaction(shop: Shop):
    number = shop.board._session.number
    before = contents(shop.store)
    with pytest.raises(psycopg.IntegrityError), shop.store.transaction() as transaction:
        stored = transaction.load(number, "d", create=True)[0]
        with transaction.savepoint():
            transaction.note_failure(stored.id, 1, shop.clock.now())
            transaction.replace_effect_payload("nobody", "{}", None)
            transaction._each(transaction._sql.ADD_MOVE, [REFUSED])
        with transaction.savepoint():
            transaction.load(number, "e", create=True)
    assert contents(shop.store) == before


def test_a_hook_cannot_end_the_transaction(store: PostgresStore):
    misdeeds: list[Any] = [
        lambda connection: connection.commit(),
        lambda connection: connection.rollback(),
        lambda connection: connection.__enter__(),
        lambda connection: connection.execute("COMMIT"),
        lambda connection: connection.execute(b" -- why\nEND"),
        lambda connection: connection.execute(sql.SQL("ROLLBACK")),
        lambda connection: connection.cursor().execute("PREPARE TRANSACTION 'mine'"),
    ]
    for misdeed in misdeeds:
        pipeline = register(lead_ladder(), into_new=lambda ctx, do=misdeed: do(ctx.connection))
        shop = Shop(pipeline, store)
        before = contents(store)
        with pytest.raises(HookError, match="the board"):
            shop.tell("lead")
        assert contents(store) == before


def test_a_hook_that_commits_behind_the_boards_back_is_told_and_mended(store: PostgresStore):
    misdeeds = ["SELECT 1; COMMIT"]

    def end(ctx: Any) -> None:
        if misdeeds:
            ctx.connection.execute(misdeeds.pop())

    shop = Shop(register(lead_ladder(), into_new=end), store)
    event = shop.event("lead")
    with pytest.raises(HookError, match="send the event again"):
        shop.board.handle(event)
    assert shop.board.handle(event).outcome is Outcome.OPENED
    assert shop.board.handle(event).outcome is Outcome.DUPLICATE
    assert_is_the_fold(shop.board)


def test_a_hook_that_swallows_an_sql_error_cannot_lose_the_move_silently(store: PostgresStore):
    def careless(ctx: Any) -> None:
        with contextlib.suppress(psycopg.Error):
            ctx.connection.execute("SELECT * FROM nowhere")

    shop = Shop(register(lead_ladder(), into_new=careless), store)
    with pytest.raises(HookError, match="savepoint"):
        shop.tell("lead")
    assert list(shop.board.deals()) == []
    with (
        pytest.raises(StoreError, match="went on as if it had not"),
        store.transaction() as transaction,
        contextlib.suppress(psycopg.Error),
    ):
        transaction.connection.execute("SELECT * FROM nowhere")


def test_a_hook_may_contain_what_fails(store: PostgresStore):
    def careful(ctx: Any) -> None:
        with pytest.raises(psycopg.Error), ctx.connection.transaction():
            ctx.connection.execute("SELECT * FROM nowhere")
        ctx.connection.execute("CREATE TABLE notes (note text)")

    shop = Shop(register(lead_ladder(), into_new=careful), store)
    shop.tell("lead")
    assert contents(store)["notes"] == []
    assert shop.stage == "new"


def in_child(store: PostgresStore, board: Board, answers: Any) -> None:
    try:
        answers.put([deal.id for deal in board.deals()])
        store.close()
    except BaseException as error:
        answers.put(repr(error))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_store_survives_a_fork(shop: Shop):
    shop.tell("lead")
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()
    child = fork.Process(target=in_child, args=(shop.store, shop.board, answers))
    child.start()
    assert answers.get(timeout=60) == ["d"]
    child.join()
    assert shop.tell("call").outcome is Outcome.MOVED
    assert_is_the_fold(shop.board)
