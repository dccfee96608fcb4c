"""Who is listening for changes, and the one reader that asks the board for all of them."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import anyio
import attrs

from ..board.listing import Changes
from ..observability.log_records import record

__all__ = ["Feed", "Listening"]

SERVED: Final = logging.getLogger("ladderpipe.web")
EVERY: Final = 0.8
"""Seconds between two looks at the board; with what the page then takes, others see it in two."""
AWAY: Final = 5.0
"""Seconds until the next look when a database did not answer."""


@attrs.frozen
class Listening:
    """Somebody who is about to listen.

    Attributes:
        feed: by whom they are to be told.
        cursor: up to where they know what changed.
        has_news: whether something did since the place that they named.
        news: what the feed had counted before that was looked up.
        at: when that was, in seconds of the monotonic clock.
    """

    feed: Feed
    cursor: str
    has_news: bool
    news: int
    at: float


class Feed:
    """Who listens on one event loop, and the one reader that they share.

    Whoever is first reads for all. So nothing runs while nobody listens, and nothing has to be
    ended: where the reader leaves, another one reads on.
    """

    def __init__(self, read: Callable[[str], Awaitable[Changes]], most: int) -> None:
        self.news = 0
        self.cursor = ""
        self._read = read
        self._most = most
        self._listeners = 0
        self._began = 0.0
        self._looks = 0
        self._next = 0.0
        self._looking: anyio.Event | None = None
        self._is_away = False

    @property
    def is_full(self) -> bool:
        """Whether as many listen as may."""
        return self._listeners >= self._most

    @contextlib.contextmanager
    def joined(self, listening: Listening) -> Iterator[bool]:
        """Count somebody in until the block ends; yield whether there are news for them."""
        if self._listeners == 0:
            self.cursor, self._began = listening.cursor, listening.at
        self._listeners += 1
        try:
            # What was written between their own look and the feed's first is in neither.
            yield (listening.has_news or self.news != listening.news or self._began > listening.at)
        finally:
            self._listeners -= 1

    async def turn(self) -> None:
        """Return once the board has been looked at again, by whomever."""
        looks = self._looks
        while self._looks == looks:
            if self._looking is not None:
                await self._looking.wait()
                continue
            self._looking = done = anyio.Event()
            try:
                await anyio.sleep(max(0, self._next - time.monotonic()))
                await self._look()
            finally:
                self._looking = None
                done.set()

    async def _look(self) -> None:
        pause = EVERY
        try:
            told = await self._read(self.cursor)
        except Exception as error:
            pause = AWAY
            if not self._is_away:
                record(SERVED, logging.WARNING, "changes cannot be read", error=error)
            self._is_away = True
        else:
            self._is_away = False
            self.cursor = told.cursor
            self.news += bool(told.deals or told.gone)
        self._looks += 1
        self._next = time.monotonic() + pause
