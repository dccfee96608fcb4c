"""A deal's side of a projection: telling the store what the deal was told, until it has it."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
from typing import Final

import attrs
from temporalio import workflow
from temporalio.common import RetryPolicy

from ..board.claim import Claim
from ..board.session import Session
from ..errors import DefinitionError
from ..model.clock import instant_text
from ..model.effect import Drop, Later
from ..model.event import BASELINE, DISCARDED, Event
from .projection import Projection
from .settings import DealSettings

__all__ = ["Following", "following"]

BATCH: Final = 200
TIMEOUT: Final = dt.timedelta(minutes=1)
RETRY: Final = RetryPolicy(maximum_interval=dt.timedelta(minutes=1))
"""For ever: a store that is down for a day is told of the day afterwards."""
NOT_TOLD: Final = (BASELINE, DISCARDED)
"""What this deal's memory wrote for itself; the store writes its own."""

Name = tuple[str, str]


def following(settings: DealSettings, projection: Projection) -> DealSettings:
    """Return the settings of deals that a projection follows.

    Raises:
        DefinitionError: it is of another ladder.
    """
    pipeline, follows = settings.pipeline, projection.pipeline
    if (pipeline.name, pipeline.fingerprint) != (follows.name, follows.fingerprint):
        raise DefinitionError(
            f"the projection is of pipeline {follows.name!r} ({follows.fingerprint}), and the "
            f"deals are of {pipeline.name!r} ({pipeline.fingerprint}): give both the same"
        )
    begin = functools.partial(Following, projection.activity_name)
    return attrs.evolve(settings, companions={**settings.companions, "projection": begin})


class Following:
    """One run's telling, one activity at a time.

    Args:
        behind: what the run before had not told, as pairs of source and id; ``None`` where none was
            before.
    """

    def __init__(
        self, activity_name: str, session: Session, deal: str, behind: list[list[str]] | None
    ) -> None:
        self._activity = activity_name
        self._session = session
        self._deal = deal
        self._told: set[Name] = set()
        self._stood: object = None
        self._telling: asyncio.Task[None] | None = None
        if behind is not None:
            left = {(source, id) for source, id in behind}
            self._told = {_name(event) for event in self._events() if _name(event) not in left}

    def changed(self) -> None:
        """Tell what is new, and that timers have fired."""
        if (self._telling is None or self._telling.done()) and self._has_news():
            self._telling = asyncio.create_task(self._tell())

    async def known(self) -> None:
        """Wait for nothing: a store follows when it can."""

    @property
    def is_behind(self) -> bool:
        """Whether events have still to be told."""
        return bool(self._new())

    def carried(self) -> list[list[str]]:
        """Return the names of these events."""
        return [list(_name(event)) for event in self._new()]

    async def may_send(self, taken: Claim) -> Later | Drop | None:
        """Let it go: a store that follows has no say."""
        return None

    async def _tell(self) -> None:
        while self._has_news():
            stands = self._standing()
            events = self._new()[:BATCH]
            told = {
                "deal": self._deal,
                "events": [event.to_dict() for event in events],
                "to": instant_text(workflow.now()),
            }
            await workflow.execute_activity(
                self._activity, told, start_to_close_timeout=TIMEOUT, retry_policy=RETRY
            )
            self._told.update(map(_name, events))
            self._stood = stands

    def _has_news(self) -> bool:
        return self._standing() != self._stood or bool(self._new())

    def _new(self) -> list[Event]:
        return [event for event in self._events() if _name(event) not in self._told]

    def _events(self) -> list[Event]:
        with self._session.reading() as transaction:
            stored, _, _ = transaction.load(self._session.number, self._deal, create=False)
            found = [] if stored is None else transaction.events(stored.id)
        return [event for event, _ in found if event.type not in NOT_TOLD]

    def _standing(self) -> object:
        """Return what a timer changes that has fired."""
        with self._session.reading() as transaction:
            stored, _, _ = transaction.load(self._session.number, self._deal, create=False)
        return None if stored is None else (stored.visit_key, stored.due_at)


def _name(event: Event) -> Name:
    return event.source, event.id
