"""A deal as a workflow: what a caller is answered, what is refused, what stays alive."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError

from ladderpipe import Board, Outcome, Pipeline, Stage, by_hand, on
from ladderpipe.errors import (
    DealNotFoundError,
    EventConflictError,
    EventFromFutureError,
    GuardError,
    HookError,
    InvalidEventError,
    LadderError,
    MissingPropertyError,
    MoveNotAllowedError,
    PipelineChangedError,
)
from ladderpipe.temporal import TemporalBoard
from ladderpipe.temporal.wire import workflow_id
from tests.temporal.ladders import Running, event, new_name, now, running, shop, until
from tests.temporal_server import TemporalServer

LINE = {"sku": "NB-15", "title": "Notebook", "quantity": 1, "unit_price": "899.00"}


def at_work(
    server: TemporalServer,
    pipeline: Pipeline,
    work: Callable[[Running], Awaitable[None]],
    **settings: Any,
) -> None:
    async def run() -> None:
        async with running(server, pipeline, **settings) as found:
            await work(found)

    asyncio.run(run())


def test_what_is_answered_is_what_a_board_answers(temporal_server: TemporalServer) -> None:
    first = event("cart.item_added", "1", line=LINE)
    late = event("cart.item_added", "0", at=first.at - dt.timedelta(minutes=1), line=LINE)
    told = [first, late, first, event("page.viewed", "2"), event("order.confirmed", "3")]
    ladder = shop(new_name())

    async def work(found: Running) -> None:
        answers = [await found.board.handle(each) for each in told]
        assert [answer.outcome for answer in answers] == [
            Outcome.OPENED,
            Outcome.OPENED,
            Outcome.DUPLICATE,
            Outcome.STAYED,
            Outcome.MOVED,
        ]
        with Board(ladder) as board:
            expected = [board.handle(each) for each in told]
            assert answers == [_as_recorded(*pair) for pair in zip(expected, answers, strict=True)]
            history = await found.board.history("cart-1")
            assert history.deal == board.deal("cart-1") == await found.board.deal("cart-1")
            assert history.visits == board.history("cart-1").visits
            assert str(await found.board.explain("cart-1")) == str(board.explain("cart-1"))
            assert await found.board.options("cart-1") == board.options("cart-1")
            assert await found.board.events("cart-1") == board.events("cart-1")

    def _as_recorded(expected: Any, found: Any) -> Any:
        return type(expected).from_dict(
            {**expected.to_dict(), "moves": found.to_dict()["moves"]}, ladder.stages
        )

    at_work(temporal_server, ladder, work)


def test_people_move_correct_and_take_back(temporal_server: TemporalServer) -> None:
    async def work(found: Running) -> None:
        board = found.board
        await board.handle(event("cart.item_added", "1", line=LINE))
        edited = await board.edit("cart-1", by="ada", owner="bob", value="12.50")
        assert (edited.deal.owner, str(edited.deal.value)) == ("bob", "12.50")
        reason = {"loss_reason": "price"}
        moved = await board.move("cart-1", "lost", by="ada", properties=reason, id="click-1")
        assert (moved.outcome, moved.deal.stage) == (Outcome.MOVED, "lost")
        again = await board.move("cart-1", "lost", by="ada", properties=reason, id="click-1")
        assert again.outcome is Outcome.DUPLICATE
        undone = await board.undo("cart-1", by="ada", event=moved.event)
        assert undone.deal.stage == "new"
        forced = await board.override("cart-1", "won", by="ada", reason="by telephone")
        assert forced.deal.stage == "won"
        assert forced.event is not None
        taken = await board.withdraw("cart-1", forced.event, by="ada")
        assert taken.deal.stage == "new"

    at_work(temporal_server, shop(new_name()), work)


def test_a_refusal_is_the_same_error_here_and_the_deal_goes_on(
    temporal_server: TemporalServer,
) -> None:
    ladder = shop(new_name())

    async def work(found: Running) -> None:
        board = found.board
        await board.handle(event("cart.item_added", "1", line=LINE))

        async def refused(kind: type[LadderError], asked: Awaitable[object]) -> LadderError:
            with pytest.raises(kind) as caught:
                await asked
            assert type(caught.value) is kind
            assert isinstance(caught.value.__cause__, WorkflowUpdateFailedError)
            return caught.value

        other = event("cart.item_added", "1", line={**LINE, "quantity": 2})
        await refused(EventConflictError, board.handle(other))
        soon = event("order.confirmed", "9", at=now() + dt.timedelta(days=1))
        await refused(EventFromFutureError, board.handle(soon))
        error = await refused(InvalidEventError, board.handle(event("cart.item_added", "8")))
        assert isinstance(error, InvalidEventError)
        assert error.event.id == "8"
        lacking = await refused(MissingPropertyError, board.move("cart-1", "lost", by="ada"))
        assert isinstance(lacking, MissingPropertyError)
        assert (lacking.missing, lacking.stage, lacking.into) == (("loss_reason",), "new", "lost")
        assert lacking.options == await board.options("cart-1", by="ada")
        stale = board.move("cart-1", "lost", by="ada", expecting="gone")
        await refused(MoveNotAllowedError, stale)
        assert (await board.handle(event("order.confirmed", "2"))).deal.stage == "won"

    at_work(temporal_server, ladder, work)


def test_a_guard_or_a_hook_that_raises_is_its_callers_and_poisons_nothing(
    temporal_server: TemporalServer,
) -> None:
    def breaks(deal: object, event: object) -> bool:
        raise KeyError("price")

    new, won = Stage("new"), Stage("won", status="won")
    ladder = Pipeline(
        new_name(),
        stages=[new, won],
        rules=[
            on("opened", into=new, opens=True),
            on("asked", into=won, when=breaks),
            on("paid", into=won),
        ],
    )
    ladder.move_out_of(new)(_divide)

    async def work(found: Running) -> None:
        await found.board.handle(event("opened", "1"))
        with pytest.raises(GuardError, match="price"):
            await found.board.handle(event("asked", "2"))
        with pytest.raises(HookError, match="_divide"):
            await found.board.handle(event("paid", "3"))
        held = await found.board.handle(event("asked", "4"), hold=True)
        assert held.outcome is Outcome.HELD
        assert [each.event.id for each in await found.board.held("cart-1")] == ["4"]
        assert (await found.board.deal("cart-1")).stage == "new"

    at_work(temporal_server, ladder, work)


def _divide(context: object) -> None:
    raise ZeroDivisionError("no share")


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        {},
        {"asked": {"event": {}}},
        {"asked": {"event": {"type": "cart.item_added", "deal": "cart-1", "id": "5", "at": "now"}}},
        {"asked": {"event": {"type": "order.confirmed", "deal": "other", "id": "5", "at": 1}}},
        {"asked": {"event": 3}},
        {"asked": {"into": "won"}},
    ],
    ids=repr,
)
def test_what_makes_no_sense_is_refused_before_the_history_knows_it(
    temporal_server: TemporalServer, told: Any
) -> None:
    ladder = shop(new_name())

    async def work(found: Running) -> None:
        await found.board.handle(event("cart.item_added", "1", line=LINE))
        handle = found.client.get_workflow_handle(workflow_id(ladder.name, "cart-1"))
        before = len((await handle.fetch_history()).events)
        given = {"fingerprint": ladder.fingerprint, **told} if isinstance(told, dict) else told
        for name in ("handle", "move"):
            with pytest.raises(WorkflowUpdateFailedError):
                await handle.execute_update(name, given)
        kinds = [each.event_type for each in (await handle.fetch_history()).events[before:]]
        assert set(kinds) <= {5, 6, 7}, "workflow tasks only, and no update"
        assert (await found.board.handle(event("order.confirmed", "2"))).deal.stage == "won"

    at_work(temporal_server, ladder, work)


def test_of_a_deal_that_nobody_has_heard_of_a_board_says_all(
    temporal_server: TemporalServer,
) -> None:
    new = Stage("new")
    ladder = Pipeline(
        new_name(), stages=[new], rules=[by_hand(into=new, opens=True), on("told", into=new)]
    )

    async def work(found: Running) -> None:
        with pytest.raises(DealNotFoundError):
            await found.board.deal("cart-1")
        with pytest.raises(DealNotFoundError):
            await found.board.history("cart-1")
        with pytest.raises(DealNotFoundError):
            await found.board.edit("cart-1", by="ada", owner="bob")
        opened = await found.board.move("cart-1", new, by="ada")
        assert (opened.outcome, opened.deal.stage) == (Outcome.OPENED, "new")
        assert (await found.board.edit("cart-1", by="ada", owner="bob")).deal.owner == "bob"

    at_work(temporal_server, ladder, work)


def test_a_first_event_that_is_refused_leaves_no_workflow(temporal_server: TemporalServer) -> None:
    ladder = shop(new_name())

    async def work(found: Running) -> None:
        with pytest.raises(InvalidEventError):
            await found.board.handle(event("cart.item_added", "1"))
        handle = found.client.get_workflow_handle(workflow_id(ladder.name, "cart-1"))

        async def is_over() -> bool:
            return (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED

        await until(is_over, "the workflow ends")
        waiting = await found.board.handle(event("page.viewed", "2"))
        assert waiting.outcome is Outcome.WAITING
        opened = await found.board.handle(event("cart.item_added", "3", line=LINE))
        assert opened.outcome is Outcome.OPENED

    at_work(temporal_server, ladder, work)


@pytest.mark.parametrize(
    ("pipeline", "deal"),
    [("a/b", "c"), ("a", "b/c"), ("négoce", "cart 1 · €"), ("long", "ü" * 512), ("x%2F", "y")],
)
def test_deals_have_any_names_that_a_board_takes(
    temporal_server: TemporalServer, pipeline: str, deal: str
) -> None:
    ladder = shop(f"{pipeline}-{new_name()}")

    async def work(found: Running) -> None:
        await found.board.handle(event("cart.item_added", "1", deal=deal, line=LINE))
        assert (await found.board.deal(deal)).id == deal

    at_work(temporal_server, ladder, work)


def test_no_two_deals_have_one_workflow() -> None:
    long = "d" * 1_100
    names = [("a/b", "c"), ("a", "b/c"), ("a%2Fb", "c"), ("a", long), ("a", long + "e")]
    assert len({workflow_id(*name) for name in names}) == len(names)
    assert all(len(workflow_id(*name).encode()) <= 1_000 for name in names)


def test_twenty_callers_at_once_open_one_deal(temporal_server: TemporalServer) -> None:
    told = [event("cart.item_added", str(n % 10), line={**LINE, "quantity": 1}) for n in range(10)]

    async def work(found: Running) -> None:
        answers = await asyncio.gather(*(found.board.handle(each) for each in told * 2))
        duplicates = sum(answer.outcome is Outcome.DUPLICATE for answer in answers)
        assert duplicates == 10
        assert len(await found.board.events("cart-1")) == 10

    at_work(temporal_server, shop(new_name()), work)


def test_many_are_told_at_once_and_the_bad_ones_named(temporal_server: TemporalServer) -> None:
    good = [event("cart.item_added", f"{n}", deal=f"cart-{n % 7}", line=LINE) for n in range(21)]
    bad = event("cart.item_added", "bad", deal="cart-3")

    async def work(found: Running) -> None:
        report = await found.board.handle_many([*good, bad], at_once=4)
        assert report.accepted == 21
        assert [(each.position, each.event.id) for each in report.failures] == [(21, "bad")]

    at_work(temporal_server, shop(new_name()), work)


def test_a_timer_moves_the_deal_at_the_instant_it_was_due(temporal_server: TemporalServer) -> None:
    async def work(found: Running) -> None:
        board = found.board
        opened = await board.handle(event("cart.item_added", "1", line=LINE))

        async def is_gone() -> bool:
            return (await board.deal("cart-1")).stage == "gone"

        await until(is_gone, "the timer moves it")
        last = (await board.history("cart-1")).moves[-1]
        assert last.at == opened.deal.due_at
        assert last.recorded_at is not None
        assert last.recorded_at >= last.at

    at_work(temporal_server, shop(new_name(), gone_after=1), work)


def test_who_asks_with_another_definition_is_told_so(temporal_server: TemporalServer) -> None:
    ladder = shop(new_name())
    other = shop(ladder.name, gone_after=7)

    async def work(found: Running) -> None:
        await found.board.handle(event("cart.item_added", "1", line=LINE))
        board = TemporalBoard(found.client, other, task_queue=found.queue)
        with pytest.raises(PipelineChangedError, match="another definition"):
            await board.handle(event("order.confirmed", "2"))
        for read in (board.history, board.deal, board.options):
            with pytest.raises(PipelineChangedError):
                await read("cart-1")
        assert (await found.board.handle(event("order.confirmed", "2"))).deal.stage == "won"

    at_work(temporal_server, ladder, work)


def test_what_reads_many_deals_is_not_here(temporal_server: TemporalServer) -> None:
    async def work(found: Running) -> None:
        with pytest.raises(TypeError, match="name the deal"):
            await found.board.effects()

    at_work(temporal_server, shop(new_name()), work)
