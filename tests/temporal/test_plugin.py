"""What a client and a worker get from the plugin beside the deals themselves."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest
from temporalio import workflow
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from ladderpipe import Event, Pipeline, Receipt, Stage, on
from ladderpipe.errors import DefinitionError
from ladderpipe.temporal import LadderPlugin, TemporalBoard
from tests.temporal.ladders import new_name, now, shop
from tests.temporal_server import TemporalServer


@workflow.defn
class TellTwice:
    """Somebody's own workflow, in the sandbox, that takes and returns our records."""

    @workflow.run
    async def run(self, told: Event) -> list[Event]:
        return [told, Event(told.type, deal=told.deal, id=f"{told.id}-again", at=workflow.now())]


def test_ones_own_workflows_take_our_records_and_several_ladders_share_a_worker(
    temporal_server: TemporalServer,
) -> None:
    async def work() -> None:
        one, other = shop(new_name("one")), shop(new_name("other"), gone_after=7200)
        plugins = [LadderPlugin(one), LadderPlugin(other)]
        client = await temporal_server.connect(plugins=plugins)
        queue = new_name("queue")
        async with Worker(client, task_queue=queue, workflows=[TellTwice]):
            told = Event("order.confirmed", deal="cart-1", id="1", at=now(), data={"value": "7"})
            first, second = await client.execute_workflow(
                TellTwice.run, told, id=new_name("own"), task_queue=queue
            )
            assert (first, second.id) == (told, "1-again")
            answers: list[Receipt] = []
            for ladder in (one, other):
                board = TemporalBoard(client, ladder, task_queue=queue)
                answers.append(await board.handle(told))
            assert [answer.deal.pipeline for answer in answers] == [one.name, other.name]

    asyncio.run(work())


def test_what_cannot_run_is_refused_when_the_plugin_is_made() -> None:
    new = Stage("new")
    ladder = Pipeline("shop", stages=[new], rules=[on("told", into=new, opens=True)])

    @ladder.move_into(new)
    async def hook(context: object) -> None: ...

    with pytest.raises(DefinitionError, match="hook"):
        LadderPlugin(ladder)
    with pytest.raises(DefinitionError, match="people"):
        LadderPlugin(shop("other"), {"task": print})


def test_a_worker_is_a_version_of_a_deployment_only_where_it_is_asked_for() -> None:
    ladder = shop("shop")
    runner = SandboxedWorkflowRunner()
    config = {"workflow_runner": runner}
    plain = LadderPlugin(ladder).configure_worker(dict(config))  # type: ignore[arg-type]
    assert plain.get("deployment_config") is None
    versioned = LadderPlugin(ladder, deployment="shop", lease=dt.timedelta(seconds=9))
    told = versioned.configure_worker(dict(config))["deployment_config"]  # type: ignore[arg-type]
    assert told is not None
    assert (told.version.deployment_name, told.version.build_id) == ("shop", ladder.fingerprint)
