"""An asynchronous shop: a board with a manual clock and what was sent on record."""

from __future__ import annotations

import asyncio
from typing import Any

from ladderpipe import Delivery, Event, ManualClock, Pipeline
from ladderpipe.asynchronous import AsyncBoard
from ladderpipe.board.verify import verify
from tests.shops import HOUR, START, believed, folded

__all__ = ["AsyncShop"]


class AsyncShop:
    """A board on a store, whose ``email`` handler awaits something and keeps what it was given."""

    def __init__(self, pipeline: Pipeline, store: Any, **settings: Any) -> None:
        self.clock = ManualClock(START)
        self.board = AsyncBoard(pipeline, store=store, clock=self.clock, **settings)
        self.sent: list[Delivery] = []
        self.board.handles("email")(self._send)

    async def _send(self, delivery: Delivery) -> None:
        await asyncio.sleep(0)
        self.sent.append(delivery)

    def event(self, kind: str, deal: str = "d", *, hours: float = 0, **data: Any) -> Event:
        at = self.clock.now() + hours * HOUR
        return Event(kind, deal=deal, id=f"{kind}-{deal}-{hours}", at=at, data=data)

    async def tell(self, kind: str, deal: str = "d", **given: Any) -> Any:
        return await self.board.handle(self.event(kind, deal, **given))

    async def state(self, deal: str) -> Any:
        """Return what can be seen of a deal, without what is made up anew on every try."""
        try:
            visits = [visit.stage.key for visit in (await self.board.history(deal)).visits]
        except LookupError:
            visits = []
        events = [event.type for event in await self.board.events(deal)]
        effects = sorted((e.name, e.state.value) for e in await self.board.effects(deal))
        return visits, events, effects

    def assert_sound(self) -> None:
        """Assert that every deal in the store is the fold of its events."""
        report = verify(self.board._board)
        assert report.agrees, report.differences

    def assert_folds(self, deals: Any) -> None:
        for deal in deals:
            assert believed(self.board._board, deal) == folded(self.board._board, deal), deal
