"""Spans of tasks that run at once on one event loop do not get into each other."""

from __future__ import annotations

import asyncio
from typing import Any

from opentelemetry import trace

from ladderpipe import ManualClock
from ladderpipe.asynchronous import AsyncBoard
from tests.observing.conftest import Told
from tests.shops import START, Shop, lead_ladder


def test_every_task_s_span_lies_below_its_own(told: Told, postgres_url: str) -> None:
    tracer = told.tracer()
    shop = Shop(lead_ladder(), None)

    async def visit(board: AsyncBoard, number: int) -> Any:
        with tracer.start_as_current_span(f"request {number}") as outer:
            await board.handle(shop.event("lead", f"deal-{number}"))
            assert trace.get_current_span() is outer
            return outer.get_span_context().span_id

    async def visits() -> list[Any]:
        board = await AsyncBoard.open(lead_ladder(), postgres_url, ManualClock(START))
        try:
            return await asyncio.gather(*(visit(board, number) for number in range(8)))
        finally:
            await board.close()

    requests = asyncio.run(visits())
    handled = [span for span in told.spans if span.name == "ladderpipe.handle"]
    assert sorted(span.parent.span_id for span in handled) == sorted(requests)
