"""Customers on a real Temporal server: what one deal is told keeps another from writing to them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.worker import Worker

from ladderpipe import Backoff, Delivery, EffectState, Pipeline, Stage, after, by_hand, do, on, wait
from ladderpipe.errors import DefinitionError, InvalidEventError
from ladderpipe.model.customer import hashed
from ladderpipe.policy import Policy, at_most, bought, in_conversation, unsubscribed
from ladderpipe.temporal import LadderPlugin, TemporalBoard, customer
from ladderpipe.temporal.customer import tell_customer
from tests.temporal.ladders import event, new_name, until
from tests.temporal_server import TemporalServer

SECRET = b"32 random bytes, the same always"
STOPS: list[Any] = [bought, unsubscribed, in_conversation]


def ladder(name: str, policy: Policy | None, *, waits: float = 0.0) -> Pipeline:
    """Return a ladder that reminds of a cart *waits* seconds after it was told."""
    remind = do("email", to="customer", template="reminder")
    new = Stage("new", sequence=[wait(dt.timedelta(seconds=waits)), remind] if waits else [remind])
    talks, won = Stage("talks"), Stage("won", status="won")
    return Pipeline(
        name,
        stages=[new, talks, won],
        rules=[
            on("cart.seen", into=new, opens=True),
            on("order.confirmed", into=won, opens=True),
            by_hand(into=talks),
            after(days=30, out_of=talks, into=new),
        ],
        send=policy,
    )


class Shop:
    """A pipeline's deals, and what went to whom."""

    def __init__(self, client: Client, pipeline: Pipeline, queue: str) -> None:
        self.client = client
        self.board = TemporalBoard(client, pipeline, task_queue=queue, secret=SECRET)
        self.sent: list[Delivery] = []

    async def told(self, type: str, deal: str, **contact: str) -> None:
        data: dict[str, Any] = {"contact": contact or {"email": address_of(self)}}
        if type == "order.confirmed":
            data["value"] = "10"
        await self.board.handle(event(type, f"{deal}-{type}", deal, **data))

    async def decided(self, deal: str, outcome: str) -> Any:
        """Return the last decision about a deal's reminder, once it is this one."""

        async def is_so() -> bool:
            effects = await self.board.effects(deal)
            return bool(effects and effects[0].decisions[-1:]) and (
                effects[0].decisions[-1].outcome == outcome
            )

        await until(is_so, f"{outcome} of {deal}")
        return (await self.board.effects(deal))[0].decisions[-1]


def address_of(shop: Shop) -> str:
    """Return an address that no other test writes to."""
    return f"ada@{shop.board.pipeline.name}.example"


async def is_sent(shop: Shop, count: int) -> bool:
    """Return whether so many went out."""
    return len(shop.sent) == count


@contextlib.asynccontextmanager
async def open_shop(server: TemporalServer, *pipelines: Pipeline) -> AsyncIterator[list[Shop]]:
    shops: list[Shop] = []

    def email(delivery: Delivery) -> None:
        next(s for s in shops if s.board.pipeline.name == delivery.pipeline).sent.append(delivery)

    plugins = [
        LadderPlugin(each, {"email": email}, secret=SECRET, backoff=Backoff(first=0.1))
        for each in pipelines
    ]
    client = await server.connect(plugins=plugins)
    queue = pipelines[0].name
    shops += [Shop(client, each, queue) for each in pipelines]
    async with Worker(client, task_queue=queue):
        yield shops


def test_whoever_bought_with_one_cart_is_not_reminded_of_another(
    temporal_server: TemporalServer,
) -> None:
    async def live() -> None:
        pipeline = ladder(new_name(), Policy(stop_when=STOPS), waits=2)
        async with open_shop(temporal_server, pipeline) as (shop,):
            await shop.told("cart.seen", "left")
            await shop.told("order.confirmed", "bought")
            decision = await shop.decided("left", "dropped")
            assert decision.because == "bought with 'bought'"
            assert shop.sent == []
            assert (
                "bought with 'bought'"
                in (await shop.board.effects("left"))[0].decisions[-1].because
            )

    asyncio.run(live())


def test_whoever_unsubscribed_in_one_deal_is_not_written_to_by_another(
    temporal_server: TemporalServer,
) -> None:
    async def live() -> None:
        pipeline = ladder(new_name(), Policy(stop_when=STOPS))
        async with open_shop(temporal_server, pipeline) as (shop,):
            await shop.told("contact.unsubscribed", "old")
            await shop.told("cart.seen", "new")
            assert (await shop.decided("new", "dropped")).because == "unsubscribed"
            assert shop.sent == []

    asyncio.run(live())


def test_an_address_is_unsubscribed_whatever_the_deal_and_subscribed_again(
    temporal_server: TemporalServer,
) -> None:
    async def live() -> None:
        pipeline = ladder(new_name(), Policy(stop_when=STOPS))
        async with open_shop(temporal_server, pipeline) as (shop,):
            await shop.board.unsubscribe(address_of(shop).upper())
            await shop.told("cart.seen", "first")
            assert (await shop.decided("first", "dropped")).because == "unsubscribed"
            await shop.board.subscribe(f"email:{address_of(shop)}")
            await shop.told("cart.seen", "second")
            await until(lambda: is_sent(shop, 1), "the second")
            recipient = shop.sent[0].recipient
            assert recipient is not None
            await shop.board.unsubscribe(recipient)
            await shop.told("cart.seen", "third")
            assert (await shop.decided("third", "dropped")).because == "unsubscribed"
            for key in ("id:shop:7", " ", "hashed:12"):
                with pytest.raises(InvalidEventError, match="no address"):
                    await shop.board.unsubscribe(key)

    asyncio.run(live())


def test_of_many_carts_left_at_once_one_reminder_goes_out(temporal_server: TemporalServer) -> None:
    async def live() -> None:
        policy = Policy(caps=at_most(1, hours=16), beyond="drop")
        async with open_shop(temporal_server, ladder(new_name(), policy)) as (shop,):
            carts = [f"cart-{number}" for number in range(6)]
            async with asyncio.TaskGroup() as group:
                for cart in carts:
                    group.create_task(shop.told("cart.seen", cart))

            async def are_decided() -> bool:
                effects = [(await shop.board.effects(cart))[0] for cart in carts]
                done = (EffectState.DELIVERED, EffectState.DROPPED)
                return all(effect.state in done for effect in effects)

            await until(are_decided, "six decisions")
            assert len(shop.sent) == 1
            states = [(await shop.board.effects(cart))[0].state for cart in carts]
            assert sorted(states) == [EffectState.DELIVERED] + [EffectState.DROPPED] * 5

    asyncio.run(live())


def test_what_is_delayed_for_one_customer_waits_in_the_workflow(
    temporal_server: TemporalServer,
) -> None:
    async def live() -> None:
        policy = Policy(caps=at_most(1, hours=5 / 3600))
        async with open_shop(temporal_server, ladder(new_name(), policy)) as (shop,):
            await shop.told("cart.seen", "first")
            await shop.decided("first", "sent")
            await shop.told("cart.seen", "second")
            delayed = await shop.decided("second", "delayed")
            assert delayed.because.endswith("go to one address")
            await until(lambda: is_sent(shop, 2), "the second")
            assert [delivery.deal.id for delivery in shop.sent] == ["first", "second"]

    asyncio.run(live())


def test_a_talk_and_a_purchase_in_one_pipeline_count_in_another(
    temporal_server: TemporalServer,
) -> None:
    async def live() -> None:
        other = new_name("repairs")
        policy = Policy(stop_when=[bought("shop", other), in_conversation])
        one = ladder(new_name(), policy, waits=1)
        two = ladder(other, Policy(stop_when=[in_conversation]), waits=1)
        async with open_shop(temporal_server, one, two) as (shop, repairs):
            for deal in ("talked", "left"):
                await shop.told("cart.seen", deal, id=deal, email=f"{deal}@example.com")
            await repairs.told("cart.seen", "repair", id="talked", email="else@example.com")
            await repairs.board.move("repair", "talks", by="ada")
            await repairs.told("order.confirmed", "sold", email="left@example.com")
            because = (await shop.decided("left", "dropped")).because
            assert because == "bought with 'sold'"

    asyncio.run(live())


def test_a_policy_may_change_while_deals_run_and_what_it_decided_stays_decided(
    temporal_server: TemporalServer,
) -> None:
    async def live() -> None:
        name = new_name()
        strict = ladder(name, Policy(caps=at_most(1, hours=1), beyond="drop"))
        async with open_shop(temporal_server, strict) as (shop,):
            await shop.told("cart.seen", "first")
            await until(lambda: is_sent(shop, 1), "the first")
            await shop.told("cart.seen", "second")
            dropped = await shop.decided("second", "dropped")
        # Another worker has to replay the decision, which it would not take itself.
        async with open_shop(temporal_server, ladder(name, Policy())) as (shop,):
            await shop.told("cart.looked_at", "second")
            assert (await shop.decided("second", "dropped")).because == dropped.because
            assert shop.sent == []
            await shop.told("cart.seen", "third")
            await until(lambda: is_sent(shop, 1), "the third")

    asyncio.run(live())


def test_a_policy_that_comes_later_is_asked_by_deals_that_run_already(
    temporal_server: TemporalServer,
) -> None:
    async def live() -> None:
        name = new_name()
        async with open_shop(temporal_server, ladder(name, None, waits=3)) as (shop,):
            await shop.told("cart.seen", "left")
        async with open_shop(temporal_server, ladder(name, Policy(stop_when=STOPS), waits=3)) as (
            shop,
        ):
            await shop.told("order.confirmed", "bought")
            assert (await shop.decided("left", "dropped")).because == "bought with 'bought'"
            assert shop.sent == []

    asyncio.run(live())


def test_a_deal_that_dies_while_it_decides_keeps_nobody_else_for_ever(
    temporal_server: TemporalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer, "LEASE", dt.timedelta(seconds=1))

    async def live() -> None:
        pipeline = ladder(new_name(), Policy(caps=at_most(2, hours=1)))
        async with open_shop(temporal_server, pipeline) as (shop,):
            address = hashed(SECRET, f"email:{address_of(shop)}")
            hold = {"by": "a deal that died", "effect": None}
            await tell_customer(shop.client, pipeline.name, address, "hold", hold)
            await shop.told("cart.seen", "left")
            await until(lambda: is_sent(shop, 1), "the reminder")

    asyncio.run(live())


@pytest.mark.parametrize(
    ("update", "told"),
    [("report", {"deal": "d"}), ("hold", {}), ("release", {"by": "x"}), ("say", {"wanted": True})],
)
def test_what_makes_no_sense_is_refused_and_the_customer_answers_on(
    temporal_server: TemporalServer, update: str, told: dict[str, Any]
) -> None:
    async def live() -> None:
        pipeline = ladder(new_name(), Policy(stop_when=STOPS))
        async with open_shop(temporal_server, pipeline) as (shop,):
            with pytest.raises(WorkflowUpdateFailedError):
                await tell_customer(shop.client, pipeline.name, pipeline.name, update, told)
            await shop.told("cart.seen", "cart")
            await shop.decided("cart", "sent")

    asyncio.run(live())


def test_a_policy_that_cannot_be_kept_is_refused_before_anything_runs() -> None:
    with pytest.raises(DefinitionError, match="secret"):
        LadderPlugin(ladder("shop", Policy(stop_when=[bought])))
    too_long = Policy(caps=at_most(1, days=800))
    with pytest.raises(DefinitionError, match="looks further back"):
        LadderPlugin(ladder("shop", too_long), secret=SECRET)
