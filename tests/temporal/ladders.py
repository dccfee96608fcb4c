"""Ladders short enough to be waited for, and how their deals are run."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import attrs
from temporalio.client import Client
from temporalio.worker import Worker

from ladderpipe import (
    ANY,
    Event,
    Pipeline,
    Stage,
    after,
    by_hand,
    do,
    on,
    wait,
)
from ladderpipe.temporal import LadderPlugin, TemporalBoard
from ladderpipe.temporal.settings import DealSettings
from tests.temporal_server import TemporalServer

__all__ = ["Running", "event", "new_name", "now", "running", "shop", "until"]

HOUR = 3600.0


def new_name(what: str = "shop") -> str:
    """Return a name that no other test has: of a pipeline, and so of its deals and its queue."""
    return f"{what}-{uuid.uuid4().hex[:12]}"


def shop(
    name: str, *, gone_after: float = HOUR, remind_after: float = 0.0, **remind: Any
) -> Pipeline:
    """Return a shop's ladder; times are in seconds."""
    new = Stage("new")
    reminder = do("email", template="reminder", to="ada@example.com", **remind)
    first = [wait(dt.timedelta(seconds=remind_after))] if remind_after else []
    gone = Stage("gone", status="abandoned", sequence=[*first, reminder])
    won = Stage("won", status="won")
    lost = Stage("lost", status="lost", requires=["loss_reason"])
    return Pipeline(
        name,
        stages=[new, gone, won, lost],
        rules=[
            on("order.confirmed", into=won, out_of=ANY, opens=True),
            on("cart.item_added", into=new, out_of=[gone], opens=True),
            after(dt.timedelta(seconds=gone_after), out_of=new, into=gone),
            by_hand(into=lost),
        ],
    )


def now() -> dt.datetime:
    """Return the time."""
    return dt.datetime.now(dt.UTC)


def event(
    type: str, id: str, deal: str = "cart-1", at: dt.datetime | None = None, **data: Any
) -> Event:
    """Return an event of now."""
    return Event(type, deal=deal, id=id, at=at or now(), data=data)


@attrs.frozen
class Running:
    """A board whose workers run."""

    client: Client
    board: TemporalBoard
    queue: str


@contextlib.asynccontextmanager
async def running(
    server: TemporalServer,
    pipeline: Pipeline,
    handlers: Mapping[str, Any] | None = None,
    *,
    queue: str | None = None,
    deployment: str | None = None,
    worker: Mapping[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[Running]:
    """Run a worker for a pipeline's deals while the block runs."""
    made = DealSettings(pipeline=pipeline, **settings)
    plugin = LadderPlugin.of(made, handlers or {}, deployment)
    client = await server.connect(plugins=[plugin])
    queue = queue or pipeline.name
    async with Worker(client, task_queue=queue, **(worker or {})):
        yield Running(client, TemporalBoard(client, pipeline, task_queue=queue), queue)


async def until(holds: Callable[[], Awaitable[object]], what: str, longest: float = 30.0) -> None:
    """Wait until something holds, which others bring about."""
    async with asyncio.timeout(longest):
        while not await holds():
            await asyncio.sleep(0.05)
