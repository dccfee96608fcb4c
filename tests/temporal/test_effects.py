"""Effects as activities: sent once by a stable key, called back, tried again, given up."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from temporalio import workflow

from ladderpipe import Backoff, EffectState, Pipeline, Stage, do, drop, later, on
from ladderpipe.errors import EffectNotFoundError, UndeliverableError
from ladderpipe.model.effect import Delivery
from tests.temporal.ladders import Running, event, new_name, now, running, shop, until
from tests.temporal_server import TemporalServer

LINE = {"sku": "NB-15", "title": "Notebook", "quantity": 1, "unit_price": "899.00"}
AT_ONCE = Backoff(first=0.01, longest=0.05, tries=3)


def at_work(
    server: TemporalServer,
    pipeline: Pipeline,
    handler: Callable[[Delivery], object] | None,
    work: Callable[[Running], Awaitable[None]],
    **settings: Any,
) -> None:
    async def run() -> None:
        handlers = {} if handler is None else {"email": handler}
        async with running(server, pipeline, handlers, **settings) as found:
            await work(found)

    asyncio.run(run())


async def told(found: Running, state: EffectState, deal: str = "cart-1") -> None:
    """Wait until the only effect of a deal stands so."""

    async def is_so() -> bool:
        effects = await found.board.effects(deal)
        return [each.state for each in effects] == [state]

    await until(is_so, f"the effect is {state}")


async def open_and_leave(found: Running, deal: str = "cart-1") -> None:
    """Let a deal's timer move it into the stage whose sequence sends a mail."""
    then = now() - dt.timedelta(hours=2)
    await found.board.handle(event("cart.item_added", f"1-{deal}", deal, then, line=LINE))

    async def is_gone() -> bool:
        return (await found.board.deal(deal)).stage == "gone"

    await until(is_gone, "its timer is long due")


@pytest.mark.parametrize("kind", ["plain", "awaited"])
def test_a_mail_goes_out_once_with_the_deal_as_it_stands(
    temporal_server: TemporalServer, kind: str
) -> None:
    sent: list[Delivery] = []

    async def awaited(delivery: Delivery) -> None:
        sent.append(delivery)

    async def work(found: Running) -> None:
        await open_and_leave(found)
        await told(found, EffectState.DELIVERED)
        (effect,) = await found.board.effects("cart-1")
        (delivery,) = sent
        assert (delivery.key, delivery.name, delivery.attempt) == (effect.key, "email", 1)
        assert (delivery.deal.stage, delivery.deal.cart.lines[0].title) == ("gone", "Notebook")
        assert delivery.payload == {"template": "reminder", "to": "ada@example.com"}

    handler = sent.append if kind == "plain" else awaited
    at_work(temporal_server, shop(new_name()), handler, work)


def test_a_mail_that_nobody_has_begun_is_called_back_when_the_deal_leaves(
    temporal_server: TemporalServer,
) -> None:
    begun, release = asyncio.Event(), asyncio.Event()
    sent: list[str] = []

    async def slow(delivery: Delivery) -> None:
        begun.set()
        sent.append(delivery.deal.id)
        await release.wait()

    async def work(found: Running) -> None:
        await open_and_leave(found, "first")
        await begun.wait()
        await open_and_leave(found, "second")
        await told(found, EffectState.CLAIMED, "second")
        for deal in ("first", "second"):
            await found.board.handle(event("order.confirmed", f"2-{deal}", deal))
        await told(found, EffectState.CANCELLED, "second")
        # What somebody is at goes out, and the deal says so.
        await told(found, EffectState.CLAIMED, "first")
        release.set()
        await told(found, EffectState.DELIVERED, "first")
        assert sent == ["first"]

    ladder = shop(new_name())
    at_work(temporal_server, ladder, slow, work, worker={"max_concurrent_activities": 1})


def test_a_mail_that_is_not_due_yet_is_never_sent_after_the_purchase(
    temporal_server: TemporalServer,
) -> None:
    sent: list[Delivery] = []
    then = now() - dt.timedelta(seconds=3599)

    async def work(found: Running) -> None:
        await found.board.handle(event("cart.item_added", "1", at=then, line=LINE))

        async def is_gone() -> bool:
            return (await found.board.deal("cart-1")).stage == "gone"

        await until(is_gone, "its timer is due in a second")
        await found.board.handle(event("order.confirmed", "2"))
        (effect,) = await found.board.effects("cart-1")
        assert effect.state is EffectState.CANCELLED
        async with asyncio.timeout(30):
            while now() < effect.due_at + dt.timedelta(seconds=0.5):
                await asyncio.sleep(0.1)
        assert not sent

    at_work(temporal_server, shop(new_name(), remind_after=2), sent.append, work)


def test_what_runs_to_completion_outlives_its_visit(temporal_server: TemporalServer) -> None:
    sent: list[Delivery] = []

    async def work(found: Running) -> None:
        await open_and_leave(found)
        await found.board.handle(event("order.confirmed", "2"))
        await told(found, EffectState.DELIVERED)
        assert len(sent) == 1

    ladder = shop(new_name(), remind_after=3_601, run_to_completion=True)
    at_work(temporal_server, ladder, sent.append, work)


def test_a_failure_is_tried_again_under_the_same_key_then_a_dead_letter_and_sent_again(
    temporal_server: TemporalServer,
) -> None:
    tries: list[tuple[str, int]] = []
    is_down = True

    def flaky(delivery: Delivery) -> None:
        tries.append((delivery.key, delivery.attempt))
        if is_down:
            raise OSError("the mail server is down")

    async def work(found: Running) -> None:
        nonlocal is_down
        await open_and_leave(found)
        await told(found, EffectState.DEAD)
        (effect,) = await found.board.effects("cart-1")
        assert tries == [(effect.key, 1), (effect.key, 2), (effect.key, 3)]
        assert effect.error == "OSError: the mail server is down"
        is_down = False
        await found.board.send_again(effect)
        await told(found, EffectState.DELIVERED)
        assert tries[-1][0] == effect.key

    at_work(temporal_server, shop(new_name()), flaky, work, backoff=AT_ONCE)


def test_a_dead_letter_can_be_put_aside(temporal_server: TemporalServer) -> None:
    def hopeless(delivery: Delivery) -> None:
        raise UndeliverableError("no such mailbox")

    async def work(found: Running) -> None:
        await open_and_leave(found)
        await told(found, EffectState.DEAD)
        (effect,) = await found.board.effects("cart-1")
        assert (effect.attempts, effect.error) == (1, "UndeliverableError: no such mailbox")
        await found.board.drop(effect, by="ada", reason="moved away")
        await told(found, EffectState.DROPPED)

    at_work(temporal_server, shop(new_name()), hopeless, work)


def test_a_handler_may_want_to_be_asked_later_or_not_at_all(
    temporal_server: TemporalServer,
) -> None:
    asked: list[int] = []

    def reluctant(delivery: Delivery) -> object:
        asked.append(delivery.attempt)
        if len(asked) == 1:
            return later(now(), "lunch")
        return drop("changed my mind")

    async def work(found: Running) -> None:
        await open_and_leave(found)
        await told(found, EffectState.DROPPED)
        (effect,) = await found.board.effects("cart-1")
        assert [each.because for each in effect.decisions] == ["lunch", "changed my mind"]

    at_work(temporal_server, shop(new_name()), reluctant, work, backoff=AT_ONCE)


def test_what_is_too_late_to_be_useful_is_never_sent(temporal_server: TemporalServer) -> None:
    sent: list[Delivery] = []

    async def work(found: Running) -> None:
        await open_and_leave(found)
        await told(found, EffectState.EXPIRED)
        assert not sent

    # It was due an hour ago, when the timer was.
    ladder = shop(new_name(), expires=dt.timedelta(minutes=10))
    at_work(temporal_server, ladder, sent.append, work)


def test_an_effect_that_nobody_delivers_says_so(temporal_server: TemporalServer) -> None:
    async def work(found: Running) -> None:
        await open_and_leave(found)
        await told(found, EffectState.DEAD)
        (effect,) = await found.board.effects("cart-1")
        assert "no handler for effect 'email' on this worker" in str(effect.error)

    at_work(temporal_server, shop(new_name()), None, work, backoff=AT_ONCE)


class Companion:
    """One that is asked about each mail, as a customer is, and takes its time."""

    is_behind = False

    def __init__(self, answer: Any, until_left: bool) -> None:
        self._answer = answer
        self._until_left = until_left
        self._has_left = False

    def changed(self) -> None:
        pass

    async def known(self) -> None:
        self._has_left = True

    def carried(self) -> None:
        pass

    async def may_send(self, taken: Any) -> Any:
        if self._until_left:
            self._has_left = False
            await workflow.wait_condition(lambda: self._has_left)
        return self._answer


@pytest.mark.parametrize("stops", [True, False], ids=["says no", "the deal leaves meanwhile"])
def test_who_is_asked_before_a_mail_may_stop_it(
    temporal_server: TemporalServer, stops: bool
) -> None:
    sent: list[Delivery] = []
    answer = drop("bought elsewhere") if stops else None

    def begin(session: Any, deal: str, carried: Any) -> Companion:
        return Companion(answer, until_left=not stops)

    async def work(found: Running) -> None:
        await open_and_leave(found)
        if not stops:
            await told(found, EffectState.CLAIMED)
            await found.board.handle(event("order.confirmed", "2"))
        await told(found, EffectState.DROPPED if stops else EffectState.CANCELLED)
        (effect,) = await found.board.effects("cart-1")
        assert (effect.because, sent) == ("bought elsewhere" if stops else "", [])

    ladder = shop(new_name())
    at_work(temporal_server, ladder, sent.append, work, companions={"customer": begin})


def test_people_get_tasks_and_do_them(temporal_server: TemporalServer) -> None:
    call = do("task", title="Call the customer", due_hours=4)
    new = Stage("new", sequence=[call])
    ladder = Pipeline(new_name(), stages=[new], rules=[on("told", into=new, opens=True)])

    async def work(found: Running) -> None:
        await found.board.handle(event("told", "1"))
        (task,) = await found.board.tasks("cart-1")
        assert (task.title, task.owner) == ("Call the customer", None)
        given = await found.board.assign(task, "bob", by="ada")
        assert (given.key, given.owner) == (task.key, "bob")
        assert await found.board.tasks("cart-1") == [given]
        assert (await found.board.complete(given)).key == task.key
        assert await found.board.tasks("cart-1") == []
        with pytest.raises(EffectNotFoundError):
            await found.board.complete(given)

    at_work(temporal_server, ladder, None, work)
