"""Pages, changes and totals, awaited."""

from __future__ import annotations

import asyncio
from typing import Any

from ladderpipe import AsyncBoard, Event, ManualClock, Scope
from tests.shops import START, lead_ladder


def test_lists_are_awaited_as_they_are_asked_for(store: Any):
    async def main() -> None:
        async with AsyncBoard(lead_ladder(), store=store, clock=ManualClock(START)) as board:
            for number in range(5):
                data = {"value": number, "currency": "EUR", "owner": "Ada" if number else "Bo"}
                lead = Event("lead", deal=f"d{number}", id=f"e{number}", at=START, data=data)
                await board.handle(lead)
            first = await board.page("new", sort="value", limit=3)
            rest = await board.page("new", sort="value", limit=3, after=first.next)
            found = [deal.id for deal in (*first.deals, *rest.deals)]
            assert found == ["d4", "d3", "d2", "d1", "d0"]
            assert (first.count, rest.next) == (5, None)
            scope = Scope(owners=["Ada"])
            assert [deal.id async for deal in board.deals(scope=scope, sort="title")] == [
                "d1",
                "d2",
                "d3",
                "d4",
            ]
            assert [row.count for row in await board.summary(scope)] == [4]
            changes = await board.changes()
            assert {deal.id for deal in changes.deals} == set(found)
            assert (await board.changes(changes.cursor)).deals == ()

    asyncio.run(main())
