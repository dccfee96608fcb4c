"""S5 and S6: when hooks run, what they see, and that what they raise stores nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Board, ManualClock, MemoryStore, SqliteStore
from ladderpipe.errors import (
    DefinitionError,
    HookError,
    InvalidEventError,
    LadderError,
    ReentrancyError,
)
from tests.shops import START, Shop, contents, lead_ladder, register


class Refused(Exception):
    pass


def refuse(ctx: Any) -> None:
    raise Refused("the warehouse is closed")


# -- order and sight ----------------------------------------------------------------------------


def test_a_move_runs_out_of_then_into_each_seeing_the_deal_in_its_stage(store: Any):
    seen: list[Any] = []
    pipeline = register(
        lead_ladder(),
        out_of_new=lambda ctx: seen.append(("out of", ctx.deal.stage, ctx.deal.visit)),
        into_talking=lambda ctx: seen.append(("into", ctx.deal.stage, ctx.deal.visit)),
    )
    shop = Shop(pipeline, store)
    shop.tell("lead")
    shop.wait(1)
    shop.tell("call")
    assert seen == [("out of", "new", 1), ("into", "talking", 2)]


def test_hooks_of_one_stage_run_in_the_order_they_were_registered(store: Any):
    order: list[int] = []
    pipeline = lead_ladder()
    for number in range(3):
        pipeline.move_into(pipeline.stage("new"))(lambda ctx, number=number: order.append(number))
    Shop(pipeline, store).tell("lead")
    assert order == [0, 1, 2]


def test_a_hook_is_given_move_deal_and_event(store: Any):
    contexts: list[Any] = []
    shop = Shop(register(lead_ladder(), into_new=contexts.append), store)
    event = shop.event("lead", owner="Bea")
    shop.board.handle(event)
    (ctx,) = contexts
    assert ctx.event == event == ctx.move.event
    assert (ctx.move.n, ctx.move.out_of, ctx.move.into, ctx.move.at) == (1, None, "new", event.at)
    assert ctx.deal.owner == "Bea"
    assert ctx.refold is False
    assert (ctx.connection is None) == isinstance(store, MemoryStore)


def test_a_timer_has_no_event_and_its_move_is_at_the_due_time(store: Any):
    moves: list[Any] = []
    shop = Shop(
        register(lead_ladder(), into_cold=lambda ctx: moves.append((ctx.event, ctx.move.at))), store
    )
    shop.tell("lead")
    due = shop.board.deal("d").due_at
    shop.wait(100)
    shop.board.tick()
    assert moves == [(None, due)]


def test_hooks_of_every_move_run_when_one_event_finds_timers_overdue(store: Any):
    order: list[str] = []

    def watch(ctx: Any) -> None:
        order.append(f"{ctx.move.into} in {ctx.deal.stage}")

    pipeline = register(
        lead_ladder(), out_of_new=watch, into_cold=watch, out_of_cold=watch, into_talking=watch
    )
    shop = Shop(pipeline, store)
    shop.tell("lead")
    shop.wait(100)
    shop.tell("call")
    assert order == ["cold in new", "cold in cold", "talking in cold", "talking in talking"]


def test_the_last_hook_sees_the_deal_that_is_stored(store: Any):
    seen: list[Any] = []
    pipeline = register(lead_ladder(), into_new=lambda ctx: seen.append(ctx.deal))
    shop = Shop(pipeline, store)
    shop.tell("lead", contact={"name": "Ada"}, properties={"a": [1]})
    assert seen == [shop.board.deal("d")]


def test_an_event_that_moves_nothing_runs_no_hook(store: Any):
    shop = Shop(register(lead_ladder(), into_new=refuse), store)
    assert shop.tell("call").moves == ()
    shop.wait(1)
    with pytest.raises(HookError):
        shop.tell("lead")


def test_a_duplicate_runs_no_hook(store: Any):
    runs: list[Any] = []
    shop = Shop(register(lead_ladder(), into_new=runs.append), store)
    event = shop.event("lead")
    shop.board.handle(event)
    shop.board.handle(event)
    assert len(runs) == 1


def test_hooks_run_for_hands_and_overrides(store: Any):
    into: list[str] = []
    pipeline = lead_ladder()
    for stage in pipeline.stages:
        pipeline.move_into(stage)(lambda ctx: into.append(ctx.move.into.key))
    shop = Shop(pipeline, store)
    shop.board.move("d", "new", by="Bea")
    shop.board.override("d", "won", by="Bea")
    assert into == ["new", "won"]


# -- a hook cannot change the deal --------------------------------------------------------------


def test_a_hook_that_writes_on_its_copy_of_the_deal_changes_nothing(store: Any):
    def scribble(ctx: Any) -> None:
        ctx.deal.properties["note"] = "written by a hook"
        ctx.deal.properties["tags"].append("hot")
        ctx.deal.contact["phones"]["work"] = "1"
        ctx.deal.company["name"] = "Other"

    shop = Shop(register(lead_ladder(), into_new=scribble, out_of_new=scribble), store)
    told = {
        "properties": {"tags": []},
        "contact": {"phones": {}},
        "company": {"name": "Rossi"},
    }
    receipt = shop.tell("lead", **told)
    shop.wait(1)
    moved = shop.tell("call")
    for deal in (receipt.deal, moved.deal, shop.board.deal("d")):
        assert deal.properties == told["properties"]
        assert deal.contact == told["contact"]
        assert deal.company == told["company"]


def test_a_hook_that_writes_on_the_event_changes_nothing(store: Any):
    def scribble(ctx: Any) -> None:
        ctx.event.data["properties"]["tags"].append("hot")

    shop = Shop(register(lead_ladder(), into_new=scribble), store)
    shop.tell("lead", properties={"tags": []})
    assert shop.board.deal("d").properties == {"tags": []}
    assert shop.board.events("d")[0].data == {"properties": {"tags": []}}


def test_what_a_reader_is_handed_is_no_live_object(store: Any):
    shop = Shop(lead_ladder(), store)
    shop.tell("lead", properties={"tags": []}, contact={"phones": {}})
    for deal in (shop.board.deal("d"), next(iter(shop.board.deals()))):
        deal.properties["tags"].append("hot")
        deal.contact["phones"]["work"] = "1"
    shop.board.events("d")[0].data["properties"]["tags"].append("hot")
    assert shop.board.deal("d").properties == {"tags": []}
    assert shop.board.deal("d").contact == {"phones": {}}
    assert shop.board.events("d")[0].data["properties"] == {"tags": []}


# -- raising ------------------------------------------------------------------------------------


def by_event(shop: Shop) -> None:
    shop.tell("call")


def by_hand(shop: Shop) -> None:
    shop.board.move("d", "lost", by="Bea", properties={"why": "price"})


def by_override(shop: Shop) -> None:
    shop.board.override("d", "won", by="Bea")


@pytest.mark.parametrize("act", [by_event, by_hand, by_override])
def test_a_hook_that_raises_stores_nothing(store: Any, act: Callable[[Shop], None]):
    shop = Shop(register(lead_ladder(), out_of_new=refuse), store)
    shop.tell("lead")
    shop.wait(1)
    before = contents(store)
    with pytest.raises(
        HookError, match=r"refuse \(move out of new\) raised Refused for deal 'd'"
    ) as e:
        act(shop)
    assert isinstance(e.value.__cause__, Refused)
    assert contents(store) == before


def test_a_sweep_whose_hook_raises_leaves_the_deal_where_it_was_and_tries_later(store: Any):
    broken = True

    def hook(ctx: Any) -> None:
        if broken and ctx.deal.id == "d":
            refuse(ctx)

    shop = Shop(register(lead_ladder(), into_cold=hook), store)
    shop.tell("lead", "d")
    shop.tell("lead", "other")
    shop.wait(73)
    report = shop.board.tick()
    assert [(f.deal, type(f.error)) for f in report.failures] == [("d", HookError)]
    assert report.deals == report.moves == 1
    assert shop.stage == "new"
    assert shop.board.deal("other").stage == "cold"
    assert shop.board.tick().deals == 0, "not again at once"
    broken = False
    shop.wait(1)
    assert shop.board.tick().moves == 1
    assert shop.board.history("d").moves[-1].at == shop.board.history("other").moves[-1].at


def test_a_hook_that_raises_during_a_claim_puts_the_delivery_off(store: Any):
    broken = True

    def hook(ctx: Any) -> None:
        if broken:
            refuse(ctx)

    pipeline = register(
        lead_ladder(), into_new=lambda ctx: ctx.do("email", template="hello"), into_cold=hook
    )
    shop = Shop(pipeline, store)
    shop.tell("lead")
    shop.wait(73)
    report = shop.board.deliver()
    assert shop.mails == []
    assert report.failed == 1
    assert shop.board.deliver().counts == {}, "not again at once"
    assert shop.stage == "new"
    broken = False
    shop.wait(1)
    shop.board.deliver()
    assert shop.mails == []
    assert shop.stage == "cold"
    assert shop.states() == {"hello": "cancelled"}


def test_a_hook_that_catches_nothing_of_what_python_stops_with(store: Any):
    def stop(ctx: Any) -> None:
        raise KeyboardInterrupt

    shop = Shop(register(lead_ladder(), into_new=stop), store)
    before = contents(store)
    with pytest.raises(KeyboardInterrupt):
        shop.tell("lead")
    assert contents(store) == before
    assert shop.board.pipeline.hooks("into", "new")
    with pytest.raises(LookupError):
        shop.board.deal("d")


# -- reentrancy ---------------------------------------------------------------------------------

CALLS: dict[str, Callable[[Board, Any], Any]] = {
    "handle": lambda board, event: board.handle(event),
    "handle_many": lambda board, event: board.handle_many([event]),
    "move": lambda board, event: board.move("d", "won", by="me"),
    "override": lambda board, event: board.override("d", "won", by="me"),
    "tick": lambda board, event: board.tick(),
    "deliver": lambda board, event: board.deliver(),
    "run": lambda board, event: board.run(),
    "deal": lambda board, event: board.deal("d"),
    "deals": lambda board, event: board.deals(),
    "history": lambda board, event: board.history("d"),
    "events": lambda board, event: board.events("d"),
    "explain": lambda board, event: board.explain("d"),
    "summary": lambda board, event: board.summary(),
    "effects": lambda board, event: board.effects(),
    "tasks": lambda board, event: board.tasks(),
    "complete": lambda board, event: board.complete("key"),
    "send_again": lambda board, event: board.send_again("key"),
    "drop": lambda board, event: board.drop("key", by="Bea", reason="why"),
    "migrate": lambda board, event: board.migrate({}),
    "migration_plan": lambda board, event: board.migration_plan({}),
    "forget": lambda board, event: board.forget(email="a@b.c"),
    "remove": lambda board, event: board.remove("d"),
    "using": lambda board, event: board.using(sqlite3.connect(":memory:")),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_hook_cannot_call_the_board(store: Any, call: str):
    def hook(ctx: Any) -> None:
        CALLS[call](shop.board, shop.event("call"))

    shop = Shop(register(lead_ladder(), into_new=hook), store)
    before = contents(store)
    with pytest.raises(ReentrancyError, match=r"ask for an effect with ctx\.do"):
        shop.tell("lead")
    assert contents(store) == before


def test_a_hook_cannot_call_another_board_either(store: Any):
    other = Board(lead_ladder(), clock=ManualClock(START))

    def hook(ctx: Any) -> None:
        other.tick()

    shop = Shop(register(lead_ladder(), into_new=hook), store)
    with pytest.raises(ReentrancyError):
        shop.tell("lead")
    other.tick()


def test_after_a_hook_has_raised_the_board_works_again(store: Any):
    shop = Shop(register(lead_ladder(), into_new=refuse), store)
    with pytest.raises(HookError):
        shop.tell("lead")
    assert shop.board.events("d") == []
    assert shop.board.tick().deals == 0


def test_a_handler_may_send_an_event_after_the_commit(store: Any):
    pipeline = register(lead_ladder(), into_new=lambda ctx: ctx.do("call", wait=None))
    shop = Shop(pipeline, store)
    shop.board.handles("call")(lambda delivery: shop.tell("call", delivery.deal.id))
    shop.tell("lead")
    shop.wait(1)
    assert shop.board.deliver().delivered == 1
    assert shop.stages == ["new", "talking"]


# -- ctx.do -------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [{"x": object()}, {"x": float("nan")}, {"x": "\x00"}])
def test_a_payload_that_is_not_json_is_the_hooks_mistake(store: Any, payload: dict[str, Any]):
    shop = Shop(register(lead_ladder(), into_new=lambda ctx: ctx.do("email", **payload)), store)
    with pytest.raises(HookError) as raised:
        shop.tell("lead")
    assert isinstance(raised.value.__cause__, InvalidEventError)


def test_an_effect_needs_a_name(store: Any):
    shop = Shop(register(lead_ladder(), into_new=lambda ctx: ctx.do("")), store)
    with pytest.raises(HookError, match="needs a name"):
        shop.tell("lead")


# -- registering --------------------------------------------------------------------------------


def test_no_hook_can_be_registered_once_a_board_is_bound(store: Any):
    pipeline = lead_ladder()
    Board(pipeline, store=store)
    with pytest.raises(DefinitionError, match=r"before Board\.open"):
        pipeline.move_into(pipeline.stage("new"))(lambda ctx: None)


# -- the caller's own tables --------------------------------------------------------------------


@pytest.fixture
def file_store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "shop.db")


def ledger(ctx: Any) -> None:
    ctx.connection.execute("INSERT INTO ledger VALUES (?)", (ctx.deal.id,))


def with_ledger(store: SqliteStore) -> None:
    with store.transaction() as transaction:
        transaction.connection.execute("CREATE TABLE ledger (deal TEXT)")


def ledger_rows(store: SqliteStore) -> list[Any]:
    return contents(store)["ledger"]


def test_a_hook_writes_to_the_callers_tables_in_the_same_transaction(file_store: SqliteStore):
    with_ledger(file_store)
    shop = Shop(register(lead_ladder(), into_new=ledger, into_cold=ledger), file_store)
    shop.tell("lead")
    assert ledger_rows(file_store) == [("d",)]
    shop.wait(73)
    shop.board.tick()
    assert ledger_rows(file_store) == [("d",), ("d",)]


def test_what_a_hook_wrote_is_undone_when_a_later_hook_raises(file_store: SqliteStore):
    with_ledger(file_store)
    pipeline = register(lead_ladder(), into_new=ledger)
    pipeline.move_into(pipeline.stage("new"))(lambda ctx: ctx.deal.owner or refuse(ctx))
    shop = Shop(pipeline, file_store)
    with pytest.raises(HookError):
        shop.tell("lead")
    assert ledger_rows(file_store) == []
    good, bad = shop.event("lead", "good", owner="Bea"), shop.event("lead", "bad")
    report = shop.board.handle_many([bad, good])
    assert [f.event for f in report.failures] == [bad]
    assert ledger_rows(file_store) == [("good",)]


def test_what_a_hook_wrote_for_a_failing_deal_is_undone_by_the_sweep(file_store: SqliteStore):
    with_ledger(file_store)
    pipeline = register(lead_ladder(), into_cold=ledger)
    pipeline.move_into(pipeline.stage("cold"))(lambda ctx: ctx.deal.owner or refuse(ctx))
    shop = Shop(pipeline, file_store)
    shop.tell("lead", "bad")
    shop.tell("lead", "good", owner="Bea")
    shop.wait(73)
    assert len(shop.board.tick().failures) == 1
    assert ledger_rows(file_store) == [("good",)]


def test_a_database_error_in_a_hook_is_a_hook_error(file_store: SqliteStore):
    shop = Shop(register(lead_ladder(), into_new=ledger), file_store)
    with pytest.raises(HookError) as raised:
        shop.tell("lead")
    assert isinstance(raised.value.__cause__, sqlite3.OperationalError)
    assert isinstance(raised.value, LadderError)


def commit(connection: Any) -> None:
    connection.commit()


def roll_back(connection: Any) -> None:
    connection.rollback()


def enter(connection: Any) -> None:
    with connection:
        connection.execute("SELECT 1")


def run_a_script(connection: Any) -> None:
    connection.executescript("SELECT 1")


def roll_back_in_sql(connection: Any) -> None:
    connection.execute("ROLLBACK")


@pytest.mark.parametrize("end", [commit, roll_back, enter, run_a_script, roll_back_in_sql])
def test_a_hook_that_ends_the_transaction_is_refused_and_nothing_is_stored(
    file_store: SqliteStore, end: Callable[[Any], None]
):
    """Committing after an insert is a habit; here it would store half a move."""
    shop = Shop(register(lead_ladder(), into_talking=lambda ctx: end(ctx.connection)), file_store)
    shop.tell("lead")
    shop.wait(1)
    before = contents(file_store)
    with pytest.raises(HookError):
        shop.tell("call")
    assert contents(file_store) == before
    assert shop.tell("order").deal.stage == "won"


@pytest.mark.parametrize(
    "statement",
    ["COMMIT", " commit ;", "-- why\nEnd", "/* a */ /* b */ ROLLBACK", "rollback transaction"],
)
@pytest.mark.parametrize("through", [lambda c: c, lambda c: c.cursor()], ids=["itself", "cursor"])
def test_a_hook_that_ends_the_transaction_in_sql_stores_nothing(
    file_store: SqliteStore, statement: str, through: Any
):
    pipeline = register(
        lead_ladder(), into_new=lambda ctx: through(ctx.connection).execute(statement)
    )
    shop = Shop(pipeline, file_store)
    before = contents(file_store)
    with pytest.raises(HookError, match="the board commits, after all hooks"):
        shop.tell("lead")
    assert contents(file_store) == before


def test_a_hook_may_use_savepoints_of_its_own(file_store: SqliteStore):
    def careful(ctx: Any) -> None:
        ctx.connection.execute("CREATE TABLE notes (note TEXT)")
        ctx.connection.execute("SAVEPOINT mine")
        ctx.connection.execute("INSERT INTO notes VALUES ('COMMIT')")
        ctx.connection.execute("ROLLBACK TO SAVEPOINT mine")

    shop = Shop(register(lead_ladder(), into_new=careful), file_store)
    shop.tell("lead")
    assert contents(file_store)["notes"] == []
