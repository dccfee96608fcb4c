"""What earlier releases have written into Temporal is replayed by this one, event by event."""

from __future__ import annotations

import asyncio
import gc
import json
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from ladderpipe import Backoff
from ladderpipe.temporal import LadderPlugin
from ladderpipe.temporal.settings import DealSettings
from ladderpipe.temporal.wire import workflow_id
from tests.temporal.recording import HISTORIES, ladder, record
from tests.temporal_server import TemporalServer

RECORDED = sorted(HISTORIES.glob("*.json"))


async def replayed(told: dict[str, Any], gone_after: float = 1.0) -> Exception | None:
    """Return what a replay of one run fails with."""
    settings = DealSettings(
        pipeline=ladder(gone_after), backoff=Backoff(first=0.1, tries=3), most_updates=4
    )
    replayer = Replayer(workflows=[], plugins=[LadderPlugin.of(settings)])
    history = WorkflowHistory.from_json(workflow_id("recorded", "cart-1"), told)
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    return result.replay_failure


def test_there_is_a_recording() -> None:
    assert RECORDED


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_a_recorded_deal_is_replayed(file: Path) -> None:
    runs = json.loads(file.read_text("utf-8"))
    assert len(runs) > 1, "it has continued as new"
    for told in runs:
        assert asyncio.run(replayed(told)) is None


# Temporal makes a coroutine of a workflow before it is made, and awaits none where it refuses.
@pytest.mark.filterwarnings("ignore:coroutine .*run_workflow.*:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_a_changed_definition_is_refused_in_every_run(file: Path) -> None:
    for told in json.loads(file.read_text("utf-8")):
        # Two seconds for one: Temporal itself would not see the difference.
        failure = asyncio.run(replayed(told, gone_after=2.0))
        assert failure is not None
        assert "another definition" in str(failure)
        del failure
    gc.collect()


def test_what_this_release_writes_it_replays(temporal_server: TemporalServer) -> None:
    async def work() -> None:
        runs = await record(temporal_server)
        assert len(runs) > 1
        for told in runs:
            assert await replayed(told) is None

    asyncio.run(work())
