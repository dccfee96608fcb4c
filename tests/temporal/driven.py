"""A board on Temporal that synchronous tests can drive: its deals' clock is the test's."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from ladderpipe import EffectState, ManualClock, Pipeline
from ladderpipe.temporal import LadderPlugin, TemporalBoard
from ladderpipe.temporal.settings import DealSettings
from ladderpipe.temporal.wire import workflow_id
from tests.temporal.ladders import new_name
from tests.temporal_server import TemporalServer

__all__ = ["DrivenTemporalBoard", "Loop"]


class Loop:
    """An event loop in a thread of its own, for as long as the block runs."""

    def __enter__(self) -> Loop:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do something there, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=20)


class DrivenTemporalBoard:
    """Answers as a board does; sends when it is told to, and not before.

    The workflows' clock is *clock*, so nothing here could be replayed, and nothing is: a worker
    keeps its deals in memory.
    """

    def __init__(
        self, server: TemporalServer, loop: Loop, pipeline: Pipeline, clock: ManualClock
    ) -> None:
        self._loop = loop
        self._handlers: dict[str, Callable[[Any], object]] = {}
        self._deals: set[str] = set()
        self._board = loop.run(self._opened(server, pipeline, clock))

    async def _opened(
        self, server: TemporalServer, pipeline: Pipeline, clock: ManualClock
    ) -> TemporalBoard:
        settings = DealSettings(pipeline=pipeline, clock=clock)
        plugin = LadderPlugin.of(settings, self._handlers)
        self._client: Client = await server.connect(plugins=[plugin])
        queue = new_name("queue")
        self._worker = Worker(self._client, task_queue=queue)
        self._running = asyncio.create_task(self._worker.run())
        return TemporalBoard(self._client, pipeline, task_queue=queue)

    def close(self) -> None:
        """End its deals, and its worker."""
        self._loop.run(self._close())

    async def _close(self) -> None:
        for deal in self._deals:
            name = workflow_id(self._board.pipeline.name, deal)
            with contextlib.suppress(RPCError):  # what was refused at once leaves nothing
                await self._client.get_workflow_handle(name).terminate()
        await self._worker.shutdown()
        await self._running

    def handle_effect(self, name: str, handler: Callable[[Any], object]) -> None:
        """Let *handler* deliver effects of this name."""
        self._handlers[name] = handler

    def tick(self) -> None:
        """Let every deal look at the clock."""
        for deal in self._deals:
            self._loop.run(self._board._ask("tick", deal, {}))

    def deliver(self) -> None:
        """Send what is due, and wait until it is sent."""
        for deal in self._deals:
            self._loop.run(self._all_sent(deal))

    async def _all_sent(self, deal: str) -> None:
        while True:
            await self._board._ask("deliver", deal, {})
            copy = await self._board._copy(deal)
            waiting = copy.effects(states=[EffectState.PENDING, EffectState.CLAIMED])
            if not any(each.due_at <= copy.clock.now() for each in waiting):
                return

    def withdraw(self, event: Any, **named: Any) -> Any:
        """Take back an event, of the only deal that there is."""
        (deal,) = self._deals
        return self._loop.run(self._board.withdraw(deal, event, **named))

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._board, name)

        def call(*arguments: Any, **named: Any) -> Any:
            answer = self._loop.run(method(*arguments, **named))
            first = arguments[0]
            told = first if isinstance(first, list) else [first]
            if name in ("handle", "handle_many"):
                self._deals.update(event.deal for event in told)
            return answer

        return call
