"""The workflow of a customer, or rather of one key of theirs: an address, or an id at a shop.

It is named by a hash of the key, so that Temporal's lists show nobody's address. A deal that is
about to write to somebody holds the keys for as long as it decides, in their order, as a store
locks them; other deals wait for it, and so what is decided is decided one after the other. A deal
that dies while it holds a key holds it no longer than :data:`LEASE`; what it was about to send
counts as sent all the same.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from temporalio import activity, workflow
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from ..errors import InvalidEventError
from ..model.clock import SystemClock, instant_text
from ..model.customer import CHANNELS, HASHED, Channel, address_key, channel_of, hashed
from ..model.event import OWN_SOURCE
from ..pipeline import Pipeline
from .ledger import Ledger, place_of

__all__ = [
    "CustomerWorkflow",
    "ask_name",
    "customer_id",
    "customers_activity",
    "say",
    "tell_customer",
]

LEASE: Final = dt.timedelta(seconds=30)
MOST_UPDATES: Final = 1_000


def customer_id(hashed: str) -> str:
    """Return the id of the workflow of a key, of which only the hash is known."""
    return f"ladderpipe-customer/{hashed}"


@workflow.defn(name="ladderpipe:customer")
class CustomerWorkflow:
    """What deals of all pipelines know of whoever has a key."""

    @workflow.init
    def __init__(self, carried: dict[str, Any]) -> None:
        self._ledger = Ledger(carried)
        self._holder: str | None = carried.get("holder")
        self._letting_go: asyncio.Task[None] | None = None
        self._updates = 0

    @workflow.run
    async def run(self, carried: dict[str, Any]) -> None:
        """Run until the workflow continues as new."""
        await workflow.wait_condition(self._is_long_enough)
        workflow.continue_as_new({**self._ledger.to_json(), "holder": self._holder})

    def _is_long_enough(self) -> bool:
        long = self._updates >= MOST_UPDATES or workflow.info().is_continue_as_new_suggested()
        return long and self._holder is None and workflow.all_handlers_finished()

    @workflow.update
    async def hold(self, told: dict[str, Any]) -> dict[str, Any]:
        """Let a deal decide about an effect, once nobody else does, and tell what is known."""
        self._updates += 1
        await workflow.wait_condition(lambda: self._holder in (None, told["by"]))
        self._holder = told["by"]
        self._letting_go = asyncio.create_task(self._let_go_of(told["by"]))
        facts = self._ledger.facts()
        if told["effect"] is not None:
            self._ledger.claim(told["effect"])
        return facts

    async def _let_go_of(self, holder: str) -> None:
        await workflow.sleep(LEASE.total_seconds())
        if self._holder == holder:
            self._holder = None

    @workflow.update
    def release(self, told: dict[str, Any]) -> None:
        """Take what came of it."""
        self._updates += 1
        if self._holder == told["by"]:
            self._holder = None
        self._ledger.settle(told)

    @workflow.update
    def report(self, told: dict[str, Any]) -> None:
        """Take how a deal stands."""
        self._updates += 1
        self._ledger.report(told)

    @workflow.update
    def say(self, told: dict[str, Any]) -> None:
        """Take whether somebody wants to be written to."""
        self._updates += 1
        self._ledger.say(told)

    # What makes no sense is refused before it is in the history, or it would fail every replay.

    @hold.validator
    def _check_hold(self, told: dict[str, Any]) -> None:
        assert isinstance(told["by"], str)
        if told["effect"] is not None:
            Ledger({}).claim(told["effect"])

    @release.validator
    def _check_release(self, told: dict[str, Any]) -> None:
        assert isinstance(told["by"], str)
        Ledger({}).settle(told)

    @report.validator
    def _check_report(self, told: dict[str, Any]) -> None:
        tried = Ledger({})
        tried.report(told)
        tried.facts()

    @say.validator
    def _check_say(self, told: dict[str, Any]) -> None:
        Ledger({}).say({**told, "wanted": told["wanted"]})
        place_of(told)

    @workflow.query
    def facts(self) -> dict[str, Any]:
        """Return what is known."""
        return self._ledger.facts()


async def tell_customer(
    client: Client, queue: str, hashed: str, update: str, told: Mapping[str, Any]
) -> Any:
    """Ask something of a customer's workflow, which begins when it is asked first."""
    begin: Any = WithStartWorkflowOperation(
        CustomerWorkflow.run,
        {},
        id=customer_id(hashed),
        task_queue=queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    return await client.execute_update_with_start_workflow(
        update, told, start_workflow_operation=begin
    )


async def say(
    client: Client, queue: str, secret: bytes | None, key: str, channel: str, *, wanted: bool
) -> None:
    """Tell a customer's workflow whether the holder of an address wants to be written to there.

    Raises:
        InvalidEventError: the key is no address and no name of one, or there is no secret.
    """
    if not secret:
        raise InvalidEventError(
            "who is unsubscribed is known by a hash: give TemporalBoard(secret=...), the secret "
            "that LadderPlugin has"
        )
    address = _hashed_address(secret, key, channel_of(channel))
    said = {"wanted": wanted, "at": instant_text(SystemClock().now()), "seq": 0}
    said |= {"source": OWN_SOURCE, "id": os.urandom(8).hex()}
    await tell_customer(client, queue, address, "say", said)


def _hashed_address(secret: bytes, key: str, channel: Channel) -> str:
    if isinstance(key, str) and re.fullmatch(f"{HASHED}[0-9a-f]{{32}}", key, re.ASCII):
        return key.removeprefix(HASHED)
    kind, colon, rest = key.partition(":") if isinstance(key, str) else ("", "", "")
    address = address_key(channel, rest if colon and kind in CHANNELS else key)
    if address is None or (colon and kind not in CHANNELS):
        raise InvalidEventError(f"{key!r} is no address: it is an address that is unsubscribed")
    return hashed(secret, address)


def ask_name(pipeline: str) -> str:
    """Return the name of the activity by which a pipeline's deals ask their customers."""
    return f"{pipeline}:customers"


def customers_activity(pipeline: Pipeline) -> Callable[..., Any]:
    """Return the activity by which deals ask something of customers' workflows."""
    assert pipeline.send is not None
    by = {"send": pipeline.send.to_dict(), "zone": pipeline.zone}

    @activity.defn(name=ask_name(pipeline.name))
    async def ask_customers(update: str, told: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
        client, queue = activity.client(), activity.info().task_queue
        found = [await tell_customer(client, queue, hashed, update, each) for hashed, each in told]
        return {"told": found, "policy": by}

    return ask_customers
