"""Connections that are lost at any statement, deadlocks, hooks that misbehave."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import pymysql
import pytest

from ladderpipe import Outcome
from ladderpipe.board.verify import verify
from ladderpipe.errors import HookError, StoreError
from ladderpipe.stores import MariadbStore
from ladderpipe.stores.base import MoveRecord
from ladderpipe.stores.mariadb.connection import OwnConnection
from tests.mariadb import MariadbServer
from tests.on_mariadb.conftest import OpenStore
from tests.shops import Shop, assert_is_the_fold, contents, lead_ladder, register

REFUSED: Final = (999, *[None] * len(MoveRecord._fields))
"""A move that the schema refuses, of a deal that is not there."""


def mailing_ladder() -> Any:
    return register(lead_ladder(), into_new=lambda ctx: ctx.do("email", template="hello"))


def cut(server: MariadbServer, connection: Any) -> None:
    """Cut a connection as an operator does, and wait until it is gone."""
    number = connection.thread_id()
    with contextlib.closing(server.connect("")) as other, other.cursor() as cursor:
        cursor.execute(f"KILL {number}")
        while cursor.execute(
            "SELECT 1 FROM information_schema.processlist WHERE id = %s", [number]
        ):
            pass


class Saboteur:
    """Cuts the connection of one statement, before the server has it or before it answers.

    Attributes:
        told: the statements so far.
        at: which of them is cut; ``None`` for none.
    """

    def __init__(self, server: MariadbServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[str] = []
        self.at: int | None = None
        self.is_answer_lost = False
        query = OwnConnection.query
        saboteur = self

        def sabotaged(connection: OwnConnection, text: Any, unbuffered: bool = False) -> Any:
            saboteur.told.append(str(text))
            is_it = saboteur.at == len(saboteur.told) - 1
            if is_it and not saboteur.is_answer_lost:
                cut(server, connection)
            found = query(connection, text, unbuffered)
            if is_it and saboteur.is_answer_lost:
                connection._force_close()
                raise pymysql.OperationalError(2013, "Lost connection to server during query")
            return found

        monkeypatch.setattr(OwnConnection, "query", sabotaged)

    def count(self) -> int:
        """Begin to count anew; return how many statements there were."""
        count = len(self.told)
        self.told.clear()
        return count


@pytest.fixture
def saboteur(mariadb_server: MariadbServer, monkeypatch: pytest.MonkeyPatch) -> Saboteur:
    return Saboteur(mariadb_server, monkeypatch)


class Stubborn:
    """A caller who does the same again until he is answered."""

    def __init__(self, store: MariadbStore) -> None:
        self.errors: list[BaseException] = []
        self._store = store

    def __call__(self, work: Callable[[], Any]) -> Any:
        while True:
            try:
                return work()
            except pymysql.MySQLError as error:
                if not self._store.is_transient(error):
                    raise
                self.errors.append(error)


def do_everything(shop: Shop, stubborn: Stubborn, prefix: str) -> None:
    """Do to new deals all that a shop does, saying the same again where no answer comes."""
    deals = [f"{prefix}-{number}" for number in range(3)]
    events = [shop.event("lead", deal) for deal in deals]
    stubborn(lambda: shop.board.handle(events[0]))
    stubborn(lambda: shop.board.handle_many(events[1:]))
    stubborn(shop.board.deliver)
    stubborn(lambda: shop.board.override(deals[0], "won", by="Ada"))
    shop.wait(80)
    stubborn(shop.board.tick)


@pytest.mark.parametrize("is_answer_lost", [False, True], ids=["killed", "unanswered"])
def test_at_whichever_statement_the_connection_is_lost_the_same_comes_out(
    store: MariadbStore, saboteur: Saboteur, is_answer_lost: bool
):
    shop, stubborn = Shop(mailing_ladder(), store), Stubborn(store)
    saboteur.is_answer_lost = is_answer_lost
    do_everything(shop, stubborn, "first")
    saboteur.count()
    do_everything(shop, stubborn, "second")
    statements = saboteur.count()
    assert statements > 40
    for number in range(statements):
        saboteur.count()
        saboteur.at = number
        do_everything(shop, stubborn, f"d{number}")
        assert saboteur.count() > number
        saboteur.at = None
        found = [
            [visit.stage.key for visit in shop.board.history(f"d{number}-{n}").visits]
            for n in range(3)
        ]
        assert found == [["new", "won"], ["new", "cold"], ["new", "cold"]], number
    shop.board.deliver()
    assert verify(shop.board).differences == ()
    sent = [delivery.key for delivery in shop.sent]
    assert len(sent) == len(set(sent))
    states = {effect.key: effect.state.value for effect in shop.board.effects()}
    assert {key for key, state in states.items() if state == "delivered"} == set(sent)
    assert set(states.values()) <= {"delivered", "cancelled"}


def test_a_connection_lost_while_committing_says_that_nobody_knows(
    shop: Shop, mariadb_server: MariadbServer
):
    event = shop.event("lead")
    with pytest.raises(pymysql.OperationalError) as raised, shop.store.transaction() as transaction:
        transaction.load(shop.board._session.number, "d", create=True)
        cut(mariadb_server, transaction.connection)
    assert "may be stored or not" in raised.value.__notes__[0]
    assert shop.store.is_transient(raised.value)
    shop.board.handle(event)
    assert shop.board.handle(event).outcome is Outcome.DUPLICATE


def test_idle_connections_that_were_cut_are_replaced(shop: Shop, mariadb_server: MariadbServer):
    with shop.store.transaction() as one, shop.store.transaction() as two:
        connections = [one.connection, two.connection]
    for connection in connections:
        cut(mariadb_server, connection)
    assert shop.tell("lead").outcome is Outcome.OPENED, "the board began the transaction again"


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (pymysql.OperationalError(1213, "Deadlock found"), True),
        (pymysql.OperationalError(1205, "Lock wait timeout exceeded"), True),
        (pymysql.OperationalError(1020, "Record has changed since last read"), True),
        (pymysql.OperationalError(2006, "MySQL server has gone away"), True),
        (pymysql.OperationalError(2013, "Lost connection"), True),
        (pymysql.OperationalError(1927, "Connection was killed"), True),
        (pymysql.InterfaceError(0, ""), True),
        (pymysql.IntegrityError(1062, "Duplicate entry"), False),
        (pymysql.ProgrammingError(1146, "no such table"), False),
        (pymysql.OperationalError(1021, "Disk full"), False),
        (pymysql.OperationalError(1317, "Query execution was interrupted"), False),
        (ValueError(), False),
    ],
    ids=str,
)
def test_which_errors_go_away(store: MariadbStore, error: Exception, transient: bool):
    assert store.is_transient(error) is transient
    wrapped = HookError("a hook raised")
    wrapped.__cause__ = error
    assert store.is_transient(wrapped) is transient


def test_a_savepoint_undoes_what_was_sent(shop: Shop):
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
            with transaction.savepoint():
                transaction.note_failure(kept.id, 3, shop.clock.now())
    with shop.store.transaction(write=False) as transaction:
        found = transaction.every_deal(number, 0, 10)
    assert [(row.deal, row.failures) for row, _ in found] == [("kept", 3)]


def test_a_write_that_the_database_refuses_undoes_the_whole_transaction(shop: Shop):
    number = shop.board._session.number
    before = contents(shop.store)
    with pytest.raises(pymysql.MySQLError), shop.store.transaction() as transaction:
        stored = transaction.load(number, "d", create=True)[0]
        with transaction.savepoint():
            transaction.note_failure(stored.id, 1, shop.clock.now())
            transaction._each(transaction._sql.ADD_MOVE, [REFUSED])
    assert contents(shop.store) == before


def test_what_does_not_fit_is_refused_and_not_cut_off(shop: Shop):
    """``INSERT IGNORE``, which counts what is new, would store it shortened and warn."""
    shop.tell("lead")
    before = contents(shop.store)
    with shop.store.transaction(write=False) as transaction:
        stored = transaction.load(shop.board._session.number, "d", create=False)[0]
    event = shop.event("call")
    with pytest.raises(pymysql.DataError), shop.store.transaction() as transaction:
        row = transaction._event_values(
            shop.board._session.number,
            new_event(stored.id, "s" * 2000, event),
        )
        transaction._event_values = lambda pipeline, event: row
        transaction.add_events(shop.board._session.number, [new_event(stored.id, "s", event)])
    assert contents(shop.store) == before


def new_event(deal: int, source: str, event: Any) -> Any:
    from ladderpipe.stores.base import NewEvent

    return NewEvent(deal, source, event.id, event.type, event.at, 0, "{}", None, event.at)


# -- deadlocks ------------------------------------------------------------------------------------


class Embrace:
    """Two transactions that take two rows of a table of the shop's in opposite orders."""

    def __init__(self, server: MariadbServer) -> None:
        self.server = server
        server.run(
            "CREATE TABLE stock (id INT PRIMARY KEY, n INT) ENGINE=InnoDB",
            "INSERT INTO stock VALUES (1, 0), (2, 0)",
            database="shop",
        )
        self.rounds = 0

    def take(self, connection: Any) -> None:
        """Take the first row, have somebody take the second and want the first; want the second.

        The other has written more, so that it is this transaction that the server undoes.
        """
        self.rounds += 1
        cursor = connection.cursor()
        cursor.execute("UPDATE stock SET n = n + 1 WHERE id = 1")
        if self.rounds > 1:
            return
        other = self.server.connect("shop")
        with other.cursor() as heavy:
            heavy.execute("CREATE TEMPORARY TABLE t (n INT) ENGINE=InnoDB")
            heavy.execute("INSERT INTO stock SELECT seq, 0 FROM seq_100_to_2000")
            heavy.execute("UPDATE stock SET n = n + 1 WHERE id = 2")
        thread = threading.Thread(target=self._want_the_first, args=(other,))
        thread.start()
        try:
            cursor.execute("UPDATE stock SET n = n + 1 WHERE id = 2")
        finally:
            thread.join()
            other.close()

    def _want_the_first(self, other: Any) -> None:
        with other.cursor() as cursor:
            cursor.execute("UPDATE stock SET n = n + 1 WHERE id = 1")
        other.rollback()


@pytest.fixture
def embrace(store: MariadbStore, mariadb_server: MariadbServer) -> Iterator[Embrace]:
    return Embrace(mariadb_server)


def test_a_transaction_that_a_deadlock_ended_is_begun_again(store: MariadbStore, embrace: Embrace):
    shop = Shop(register(lead_ladder(), into_won=lambda ctx: embrace.take(ctx.connection)), store)
    shop.tell("lead")
    assert shop.board.override("d", "won", by="Ada").outcome is Outcome.MOVED
    assert embrace.rounds == 2
    assert shop.stages == ["new", "won"]
    assert_is_the_fold(shop.board)


def test_a_hook_that_swallows_a_deadlock_cannot_lose_the_move_silently(
    store: MariadbStore, embrace: Embrace
):
    """The server has undone all of it, and what came after would be stored by itself."""

    def careless(ctx: Any) -> None:
        with contextlib.suppress(pymysql.Error):
            embrace.take(ctx.connection)
        ctx.connection.cursor().execute("UPDATE stock SET n = 99 WHERE id = 2")

    shop = Shop(register(lead_ladder(), into_won=careless), store)
    shop.tell("lead")
    with pytest.raises((HookError, StoreError)):
        shop.board.override("d", "won", by="Ada")
    assert embrace.rounds == 1
    assert shop.stages == ["new"]
    assert_is_the_fold(shop.board)


# -- hooks ----------------------------------------------------------------------------------------

MISDEEDS: Final[dict[str, Callable[[Any], Any]]] = {
    "commit()": lambda connection: connection.commit(),
    "rollback()": lambda connection: connection.rollback(),
    "begin()": lambda connection: connection.begin(),
    "with": lambda connection: connection.__enter__(),
    "close()": lambda connection: connection.close(),
    **{
        text: lambda connection, text=text: connection.cursor().execute(text)
        for text in (
            "COMMIT",
            " -- why\nROLLBACK",
            "# why\nSTART TRANSACTION",
            "begin",
            "CREATE TABLE notes (note TEXT)",
            "/* why */ ALTER TABLE stock ADD n INT",
            "TRUNCATE stock",
            "LOCK TABLES stock WRITE",
            "SET autocommit = 0",
        )
    },
}


@pytest.mark.parametrize("misdeed", MISDEEDS.values(), ids=list(MISDEEDS))
def test_a_hook_cannot_end_the_transaction(store: MariadbStore, misdeed: Callable[[Any], Any]):
    shop = Shop(register(lead_ladder(), into_new=lambda ctx: misdeed(ctx.connection)), store)
    before = contents(store)
    with pytest.raises(HookError, match="board"):
        shop.tell("lead")
    assert contents(store) == before


def test_a_hook_may_make_a_temporary_table(store: MariadbStore):
    def careful(ctx: Any) -> None:
        cursor = ctx.connection.cursor()
        cursor.execute("CREATE TEMPORARY TABLE notes (note TEXT)")
        cursor.execute("DROP TEMPORARY TABLE notes")

    shop = Shop(register(lead_ladder(), into_new=careful), store)
    assert shop.tell("lead").outcome is Outcome.OPENED


def test_a_statement_that_is_too_large_for_the_server_is_refused_before_it_is_sent(
    store: MariadbStore, mariadb_server: MariadbServer, open_store: OpenStore
):
    mariadb_server.run("SET GLOBAL max_allowed_packet = 1048576")
    try:
        shop = Shop(lead_ladder(), open_store())
        with pytest.raises(StoreError, match="max_allowed_packet"):
            shop.tell("lead", properties={"text": "x" * 1_100_000})
        assert shop.tell("lead").outcome is Outcome.OPENED
    finally:
        mariadb_server.run("SET GLOBAL max_allowed_packet = 16777216")


def in_child(store: MariadbStore, board: Any, answers: Any) -> None:
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
