"""One bad deal stops nothing (S18): whatever it raises, the others come out as without it."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import psycopg
import pymysql
import pytest
from psycopg.rows import dict_row

from ladderpipe import (
    ANY,
    Board,
    Event,
    ManualClock,
    MemoryStore,
    Pipeline,
    Stage,
    after,
    insight,
    on,
    verify,
)
from ladderpipe.board import session
from ladderpipe.errors import (
    HookError,
    LadderError,
    MigrationError,
    PipelineChangedError,
    ReentrancyError,
    StoreError,
)
from ladderpipe.fold.deal_data import DealData
from ladderpipe.fold.reducer import cart_reducer
from ladderpipe.stores import MariadbStore, PostgresStore
from tests.mariadb import alter_tables
from tests.shops import contents, make_store

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
DEALS = [f"deal-{number}" for number in range(5)]
FIRST, BAD, LAST = DEALS[0], DEALS[2], DEALS[-1]


class OwnError(LadderError):
    """A refusal of this library's own family."""


class Unspeakable(Exception):
    """An error that cannot even be told."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class OtherDatabaseLocked(sqlite3.OperationalError):
    """What a hook that uses a database of its own is told there."""

    sqlite_errorcode = sqlite3.SQLITE_BUSY


ERRORS = [
    ValueError,
    OwnError,
    sqlite3.IntegrityError,
    RecursionError,
    MemoryError,
    LookupError,
    Unspeakable,
    StoreError,
    ReentrancyError,
    PipelineChangedError,
]
OF_ANOTHER_DATABASE = [
    OtherDatabaseLocked,
    psycopg.OperationalError,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.DiskFull,
]
"""What would be the store's own trouble, if it were the store that said it and not a hook."""


@attrs.define
class Fault:
    """Raises, or hands over nonsense, for one deal at one point, once it is armed."""

    point: str
    error: type[Exception] = ValueError
    bad: str = BAD
    armed: bool = False

    def at(self, point: str, deal: str) -> bool:
        return self.armed and self.point == point and deal == self.bad

    def raised(self, point: str, deal: str) -> None:
        if self.at(point, deal):
            raise self.error("by the fault injector")


def ladder(fault: Fault, openings: tuple[str, ...] = ("lead",)) -> Pipeline:
    new, cold, won = Stage("new"), Stage("cold", status="abandoned"), Stage("won", status="won")

    def choosy(deal: Any, event: Event | None) -> bool:
        if event is None:
            fault.raised("timer's guard", deal.as_deal().id)
        else:
            fault.raised("guard", event.deal)
        return True

    def reduce(deal: DealData, event: Event) -> None:
        cart_reducer(deal, event)
        fault.raised("reducer", event.deal)
        if fault.at("what the reducer leaves", event.deal):
            deal.properties["since"] = {1, 2}

    pipeline = Pipeline(
        "shop",
        stages=[new, cold, won],
        rules=[
            on(*openings, into=new, opens=True, when=choosy),
            on("paid", into=won, out_of=ANY, when=choosy),
            after(days=2, out_of=new, into=cold, when=choosy),
        ],
        reducer=reduce,
    )

    def hook(ctx: Any) -> None:
        deal = ctx.deal.id
        fault.raised("hook", deal)
        if fault.at("payload", deal):
            ctx.do("mail", to={1, 2})
        if fault.at("task's owner", deal):
            ctx.do("task", title="Call", owner={"name": "Ada"})
        if fault.at("task's hours", deal):
            ctx.do("task", title="Call", due_hours=1e12)
        if fault.at("wait", deal):
            ctx.do("mail", wait=dt.timedelta(days=3_000_000))
        for point, harm in HARMS.items():
            if fault.at(point, deal) and ctx.connection is not None:
                harm(ctx.connection)
        ctx.do("mail")
        ctx.do("task", title="Call", owner="Ada")

    for stage in (new, cold, won):
        pipeline.move_into(stage)(hook)
    return pipeline


def _straight(connection: Any, statement: str) -> None:
    """Run a statement past everything that keeps a hook from running it."""
    if isinstance(connection, sqlite3.Connection):
        cursor = sqlite3.Cursor(connection)
        cursor.execute(statement)
    elif isinstance(connection, pymysql.Connection):
        pymysql.Connection.query(connection, statement)
    else:
        connection.pgconn.exec_(statement.encode())


def _swallow(connection: Any) -> None:
    with contextlib.suppress(Exception):
        connection.execute("SELECT * FROM there_is_no_such_table")


def _commit_and_begin(connection: Any) -> None:
    _straight(connection, "COMMIT")
    _straight(connection, "BEGIN")


def _cut(connection: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        sqlite3.Connection.close(connection)
    elif isinstance(connection, pymysql.Connection):
        connection._force_close()
    else:
        connection.pgconn.finish()


def _kill(connection: Any) -> None:
    if isinstance(connection, pymysql.Connection):
        connection.execute("KILL CONNECTION connection_id()")
    elif not isinstance(connection, sqlite3.Connection):
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def _owe(connection: Any) -> None:
    """Write what the database finds wrong only when it is committed."""
    connection.execute("INSERT INTO shop_lines (cart) VALUES (1)")


def _other_rows(connection: Any) -> None:
    if isinstance(connection, pymysql.Connection):
        connection.cursorclass = pymysql.cursors.DictCursor
        return
    connection.row_factory = sqlite3.Row if isinstance(connection, sqlite3.Connection) else dict_row
    if isinstance(connection, sqlite3.Connection):
        connection.row_factory = lambda cursor, row: {"row": row}


HARMS: dict[str, Callable[[Any], None]] = {
    "swallowed": _swallow,
    "committed": lambda connection: _straight(connection, "COMMIT"),
    "committed and begun": _commit_and_begin,
    "rolled back": lambda connection: _straight(connection, "ROLLBACK"),
    "savepoint released": lambda connection: _straight(
        connection, "RELEASE SAVEPOINT ladderpipe_1"
    ),
    "closed": lambda connection: connection.close(),
    "cut": _cut,
    "killed": _kill,
    "owed": _owe,
    "other rows": _other_rows,
}
"""What a hook can do to the connection that it is given."""
UNDOABLE = [point for point in HARMS if not point.startswith("committed")]

TABLES = [
    "CREATE TABLE shop_carts (id integer PRIMARY KEY)",
    """CREATE TABLE shop_lines (
        cart integer REFERENCES shop_carts (id) DEFERRABLE INITIALLY DEFERRED)""",
    "CREATE TABLE shop_refused (deal text)",
]
REFUSED = "SELECT deal FROM ladder_deals WHERE id = NEW.deal"
SQLITE_TRIGGER = f"""
CREATE TRIGGER shop_refuses BEFORE INSERT ON ladder_moves
WHEN ({REFUSED}) IN (SELECT deal FROM shop_refused)
BEGIN SELECT RAISE(ABORT, 'refused by the shop'); END
"""
POSTGRES_TRIGGERS = [
    f"""
    CREATE FUNCTION shop_refuses() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF ({REFUSED}) IN (SELECT deal FROM shop_refused) THEN RAISE 'refused by the shop'; END IF;
    RETURN NEW; END $$
    """,
    """
    CREATE TRIGGER shop_refuses BEFORE INSERT ON ladder_moves
    FOR EACH ROW EXECUTE FUNCTION shop_refuses()
    """,
]

MARIADB_TRIGGER = f"""
CREATE TRIGGER shop_refuses BEFORE INSERT ON ladder_moves FOR EACH ROW
IF ({REFUSED}) IN (SELECT deal FROM shop_refused)
THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused by the shop'; END IF
"""
MARIADB_TABLES = [text.replace("DEFERRABLE INITIALLY DEFERRED", "") for text in TABLES]

OWN_CODE = ["guard", "reducer", "timer's guard", "hook"]
RAISING = [*OWN_CODE, "rows"]
"""Points at which the injector raises; at the others it hands over nonsense, or does harm."""


def faults(points: list[str], bad: str = BAD, *, some: bool = False) -> list[Any]:
    """Return a fault for every point; for those that raise, one for every kind of error.

    Args:
        some: only for some kinds of errors, where all go the same way.
    """
    found = []
    for point in points:
        errors = ERRORS if point in RAISING else [ValueError]
        errors = [*errors, *OF_ANOTHER_DATABASE] if point in OWN_CODE else errors
        for error in errors[:: 5 if some else 1]:
            fault = Fault(point, error, bad)
            found.append(pytest.param(fault, id=f"{point}-{error.__name__}-{bad}"))
    return found


AT_EVENTS = [
    *HARMS,
    "refused by a trigger",
    "guard",
    "reducer",
    "what the reducer leaves",
    "hook",
    "payload",
    "task's owner",
    "task's hours",
    "wait",
    "rows",
]
AT_TIMERS = [
    "timer's guard",
    "hook",
    "payload",
    "task's owner",
    "rows",
    "refused by a trigger",
    *HARMS,
]


class Shop:
    def __init__(self, store: Any, fault: Fault) -> None:
        self.fault = fault
        self.clock = ManualClock(START)
        self.store = store
        self.board = Board(ladder(fault), store=store, clock=self.clock)
        self.sent: list[str] = []
        self.board.handles("mail")(lambda delivery: self.sent.append(delivery.deal.id))

    def arm(self, armed: bool = True) -> None:
        self.fault.armed = armed
        if self.fault.point == "refused by a trigger":
            change = f"INSERT INTO shop_refused VALUES ('{self.fault.bad}')"
            self.run(change if armed else "DELETE FROM shop_refused")

    def run(self, *statements: str) -> None:
        with self.store.transaction() as transaction:
            for statement in statements:
                if transaction.connection is not None:
                    transaction.connection.execute(statement)

    def tell(self, kind: str, hours: int = 0, **options: Any) -> Any:
        at = self.clock.now() + dt.timedelta(hours=hours)
        data = {"contact": {"email": "ada@example.com"}}
        events = [Event(kind, deal=d, id=f"{kind} {d}", at=at, data=data) for d in DEALS]
        return self.board.handle_many(events, **options)

    def changed(self, **ways: Any) -> Board:
        return Board(ladder(self.fault, **ways), store=self.store, clock=self.clock, adopting=True)

    def others(self) -> list[Any]:
        """Everything about the deals that have nothing to do with the fault."""
        found = []
        for deal in self.board.deals():
            if deal.id != self.fault.bad:
                effects = [(e.name, e.state, e.due_at) for e in self.board.effects(deal.id)]
                visits = [(v.stage, v.entered_at) for v in self.board.history(deal.id).visits]
                found.append((deal.id, deal.stage, deal.contact, visits, sorted(effects)))
        tasks = [task for task in self.board.tasks() if task.deal != self.fault.bad]
        sent = [deal for deal in self.sent if deal != self.fault.bad]
        return [sorted(found), sorted(task.deal for task in tasks), sorted(sent)]


@pytest.fixture(params=["memory", "sqlite", "postgres", "mariadb"])
def make(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Fault], Shop]:
    monkeypatch.setattr(session, "FIRST_PAUSE", 0)

    def made(fault: Fault) -> Shop:
        if request.param == "postgres":
            store: Any = PostgresStore(request.config.stash[SERVER].emptied_url())
        elif request.param == "mariadb":
            store = MariadbStore.from_url(request.config.stash[SERVER].emptied_url())
        else:
            folder = tmp_path / str(len(list(tmp_path.iterdir())))
            folder.mkdir()
            store = make_store(request.param, folder)
        request.addfinalizer(store.close)
        if fault.point == "rows":
            _break_rows(monkeypatch, store, fault)
        shop = Shop(store, fault)
        if request.param == "mariadb":
            alter_tables(store, *MARIADB_TABLES, MARIADB_TRIGGER)
            return shop
        shop.run(*TABLES)
        shop.run(*([SQLITE_TRIGGER] if request.param == "sqlite" else POSTGRES_TRIGGERS))
        return shop

    if request.param in ("postgres", "mariadb"):
        request.config.stash[SERVER] = request.getfixturevalue(f"{request.param}_server")
    return made


SERVER = pytest.StashKey[Any]()


def _break_rows(patch: pytest.MonkeyPatch, store: Any, fault: Fault) -> None:
    """Have the writing of the bad deal's rows fail, as a constraint of the database would."""
    with store.transaction(write=False) as transaction:
        kind = type(transaction)
    save = kind.save

    def failing(self: Any, pipeline: int, changes: Any, now: Any) -> None:
        for change in changes:
            fault.raised("rows", change.deal.deal)
        save(self, pipeline, changes, now)

    patch.setattr(kind, "save", failing)


def is_as_without(
    make: Callable[[Fault], Shop], fault: Fault, story: Callable[[Shop], None]
) -> Shop:
    """Play a story with the fault and without it: the other deals come out the same."""
    sound = Shop(MemoryStore(), Fault("nowhere", bad=fault.bad))
    story(sound)
    expected = sound.others()
    shop = make(attrs.evolve(fault))
    story(shop)
    assert shop.others() == expected
    assert {difference.deal for difference in verify(shop.board).differences} <= {fault.bad}
    shop.arm(False)
    return shop


@pytest.mark.parametrize(
    "fault",
    [
        *faults(AT_EVENTS, some=True),
        *faults([*HARMS, "hook", "rows", "refused by a trigger"], LAST, some=True),
    ],
)
def test_a_batch(make: Callable[[Fault], Shop], fault: Fault) -> None:
    def story(shop: Shop) -> None:
        shop.arm()
        report = shop.tell("lead")
        assert {failure.event.deal for failure in report.failures} <= {fault.bad}
        shop.clock.advance(hours=1)
        shop.board.deliver()

    shop = is_as_without(make, fault, story)
    shop.tell("lead", hours=-1)
    assert shop.board.deal(fault.bad).stage == "new", "told again, it is taken"


@pytest.mark.parametrize("fault", [*faults(AT_TIMERS), *faults([*HARMS, "rows"], FIRST, some=True)])
def test_a_sweep_and_the_deliveries_after_it(make: Callable[[Fault], Shop], fault: Fault) -> None:
    def story(shop: Shop) -> None:
        shop.tell("lead")
        shop.clock.advance(days=3)
        shop.arm()
        for number in range(3):
            report = shop.board.tick()
            assert number or report.deals >= len(DEALS) - 1, "all others at once"
            assert {failure.deal for failure in report.failures} <= {fault.bad}
            shop.board.deliver()
            shop.clock.advance(hours=7)

    shop = is_as_without(make, fault, story)
    shop.clock.advance(days=1)
    shop.board.tick()
    assert shop.board.deal(fault.bad).stage == "cold", "it is tried again, and goes on when it can"


@pytest.mark.parametrize("fault", faults(["timer's guard", "hook", "rows", *HARMS], some=True))
def test_deliveries_although_a_deal_cannot_be_brought_up_to_date(
    make: Callable[[Fault], Shop], fault: Fault
) -> None:
    def story(shop: Shop) -> None:
        shop.tell("lead")
        shop.clock.advance(days=3)
        shop.arm()
        for _ in range(2):
            shop.board.deliver()
            shop.clock.advance(hours=1)

    is_as_without(make, fault, story)


@pytest.mark.parametrize("error", [*ERRORS, *OF_ANOTHER_DATABASE])
def test_deliveries_although_a_handler_raises_what_no_database_can_hold(
    make: Callable[[Fault], Shop], error: type[Exception]
) -> None:
    shop = make(Fault("handler", error))

    def send(delivery: Any) -> None:
        if delivery.deal.id == BAD:
            raise error("\ud800 \x00")
        shop.sent.append(delivery.deal.id)

    shop.board._session.handlers["mail"] = send
    shop.tell("lead")
    for _ in range(3):
        shop.board.deliver()
        shop.clock.advance(hours=1)
    assert sorted(shop.sent) == [deal for deal in DEALS if deal != BAD]


def test_deliveries_although_what_became_of_one_cannot_be_written(
    make: Callable[[Fault], Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make(Fault("settling"))
    shop.tell("lead")
    (key,) = (effect.key for effect in shop.board.effects(BAD) if effect.name == "mail")
    with shop.store.transaction(write=False) as transaction:
        kind = type(transaction)
    settle = kind.settle_effect

    def failing(self: Any, of: str, *arguments: Any, **options: Any) -> bool:
        if of == key:
            raise sqlite3.IntegrityError("by the fault injector")
        done: bool = settle(self, of, *arguments, **options)
        return done

    monkeypatch.setattr(kind, "settle_effect", failing)
    shop.board.deliver()
    assert sorted(shop.sent) == DEALS
    states = {e.deal: str(e.state) for e in shop.board.effects() if e.name == "mail"}
    assert states == dict.fromkeys(DEALS, "delivered") | {BAD: "claimed"}


@pytest.mark.parametrize("fault", faults(["guard", "reducer", "hook", "rows", *HARMS], some=True))
def test_held_events_whose_time_has_come(make: Callable[[Fault], Shop], fault: Fault) -> None:
    def story(shop: Shop) -> None:
        shop.tell("lead", hours=2, hold=True)
        shop.clock.advance(hours=3)
        shop.arm()
        for _ in range(2):
            shop.board.tick()
            shop.clock.advance(hours=3)
        assert {held.event.deal for held in shop.board.held()} <= {fault.bad}

    shop = is_as_without(make, fault, story)
    shop.clock.advance(hours=12)
    shop.board.tick()
    for held in shop.board.held():  # what was set aside in its place is not tried by itself
        shop.board.release(held.key)
    shop.tell("paid")
    assert shop.board.deal(fault.bad).stage == "won", "it is tried again"


@pytest.mark.parametrize("fault", faults(["timer's guard", "rows", *HARMS], some=True))
def test_forgetting(make: Callable[[Fault], Shop], fault: Fault) -> None:
    def story(shop: Shop) -> None:
        shop.tell("lead")
        shop.clock.advance(days=3)
        shop.arm()
        report = shop.board.forget(email="ada@example.com")
        assert {failure.deal for failure in report.failures} <= {fault.bad}

    is_as_without(make, fault, story)


@pytest.mark.parametrize(
    "fault", faults(["hook", "rows", "refused by a trigger", *UNDOABLE], LAST, some=True)
)
def test_a_migration_that_one_deal_stands_in_the_way_of_changes_nothing(
    make: Callable[[Fault], Shop], fault: Fault
) -> None:
    shop, done = make(attrs.evolve(fault)), False
    shop.tell("asked")
    shop.arm()
    changed = shop.changed(openings=("lead", "asked"))
    before = contents(shop.store)
    planned = [failure.deal for failure in changed.migration_plan().failures]
    assert contents(shop.store) == before
    try:
        changed.migrate()
    except MigrationError as error:
        found = [failure.deal for failure in error.failures]
    else:
        found, done = [], True
    assert planned == found
    shop.arm(False)
    if not done:
        shop.tell("lead")
        assert len(list(shop.board.deals())) == len(DEALS), "the old one goes on"
        changed.migrate()
    with pytest.raises(PipelineChangedError):
        shop.tell("paid")
    assert {deal for deal in DEALS if deal != LAST} <= {deal.id for deal in changed.deals()}
    assert verify(changed).agrees


@pytest.mark.parametrize("fault", faults(["guard", "reducer", "timer's guard"]))
def test_tables(make: Callable[[Fault], Shop], fault: Fault) -> None:
    shop = make(attrs.evolve(fault))
    shop.tell("lead")
    shop.clock.advance(days=3)
    shop.board.tick()
    shop.arm()
    then = shop.clock.now() - dt.timedelta(hours=1)
    for tables in (insight.tables(shop.board), insight.tables(shop.board, as_of=then)):
        assert {deal for deal in DEALS if deal != BAD} <= set(tables.deals["deal"])


# -- what another worker did meanwhile ---------------------------------------------------------


def meanwhile(
    shop: Shop, patch: pytest.MonkeyPatch, work: Callable[[], object], after: int = 1
) -> None:
    """Have another worker do this as soon as that many transactions have been undone."""
    begin, undone = shop.store.transaction, 0

    @contextlib.contextmanager
    def transaction(write: bool = True) -> Iterator[Any]:
        nonlocal undone
        try:
            with begin(write) as found:
                yield found
        except (HookError, sqlite3.IntegrityError):
            undone += 1
            if undone == after:
                shop.fault.armed = False
                work()
                shop.fault.armed = True
            raise

    patch.setattr(shop.store, "transaction", transaction)


def test_who_is_forgotten_while_a_held_event_fails_does_not_come_back(
    make: Callable[[Fault], Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make(Fault("hook"))
    shop.tell("lead", hours=2, hold=True)
    shop.clock.advance(hours=3)
    shop.arm()
    other = Board(ladder(shop.fault), store=shop.store, clock=shop.clock)
    meanwhile(shop, monkeypatch, lambda: other.forget(email="ada@example.com"))
    shop.board.tick()
    (held,) = (held for held in shop.board.held() if held.event.deal == BAD)
    assert held.failures == 1
    assert "ada" not in str(held)


def test_what_is_released_while_it_fails_is_not_held_again(
    make: Callable[[Fault], Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make(Fault("hook"))
    shop.tell("lead", hours=2, hold=True)
    (held,) = (held for held in shop.board.held() if held.event.deal == BAD)
    shop.clock.advance(hours=3)
    shop.arm()
    meanwhile(shop, monkeypatch, lambda: shop.board.release(held.key))
    shop.board.tick()
    assert not list(shop.board.held())
    assert shop.board.deal(BAD).stage == "new"


def test_a_deal_that_goes_on_while_its_sweep_fails_is_not_put_off(
    make: Callable[[Fault], Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make(Fault("rows", sqlite3.IntegrityError))
    shop.tell("lead")
    shop.clock.advance(days=3)
    shop.arm()
    at = shop.clock.now() - dt.timedelta(days=2)
    paid = Event("paid", deal=BAD, id="paid", at=at)
    meanwhile(shop, monkeypatch, lambda: shop.board.handle(paid), after=2)
    shop.board.tick()
    assert shop.board.deal(BAD).stage == "won"
    assert shop.board.health().failing_deals == 0
