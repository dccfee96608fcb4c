"""The one order of a deal's events (S9)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from itertools import islice
from operator import lt
from typing import Any, NamedTuple, TypeAlias

from ..errors import EventConflictError
from ..ladder.ladder import Ladder
from ..model.clock import instant, instant_text
from ..model.event import PHASE_TIMER, TOLD, Event, phase_of

__all__ = ["Cause", "OrderKey", "in_order", "order_key"]

OrderKey: TypeAlias = "tuple[dt.datetime, int, int, int, str, str]"


def order_key(ladder: Ladder, event: Event) -> OrderKey:
    """Return the place of *event* in its deal's one order: at, phase, seq, rung, source, id."""
    rung = ladder.rung_of_event(event)
    return (event.at, phase_of(event.type), event.seq, rung, event.source, event.id)


def in_order(ladder: Ladder, events: Iterable[Event]) -> list[Event]:
    """Return one deal's events in their one order, each once; of copies the lowest ``seq``.

    Raises:
        EventConflictError: two events share an identity and differ in content.
        ValueError: the events belong to several deals.
    """
    found = list(events)
    deals = {event.deal for event in found}
    if len(deals) > 1:
        raise ValueError(
            f"these events belong to {len(deals)} deals, and fold takes one deal's: "
            "use replay(events) for many"
        )
    if len({event.id for event in found}) < len(found):
        found = _without_duplicates(found)
    instants = [event.at for event in found]
    if all(map(lt, instants, islice(instants, 1, None))):
        return found  # as a deal's events mostly come
    found.sort(key=lambda event: event.at)
    start = 0
    for end in range(1, len(found) + 1):
        if end == len(found) or found[end].at != found[start].at:
            if end - start > 1:
                found[start:end] = sorted(
                    found[start:end], key=lambda event: order_key(ladder, event)
                )
            start = end
    return found


def _without_duplicates(events: list[Event]) -> list[Event]:
    """Return one event of each identity: of copies the lowest ``seq``, however they came."""
    known: dict[tuple[str, str], Event] = {}
    for event in events:
        identity = (event.source, event.id)
        first = known.setdefault(identity, event)
        if first is event:
            continue
        if not first.says_the_same(event):
            raise EventConflictError(
                f"two events are called {event.id!r} (source {event.source!r}) and differ: "
                "an identity names one event; give the second its own id"
            )
        if (event.seq, event.data_text()) < (first.seq, first.data_text()):
            known[identity] = event
    return list(known.values())


class Cause(NamedTuple):
    """An event, or a timer with its rule, and when it was: what moved a deal or told it something.

    Attributes:
        type: of the event; empty for a timer.
        stage: that another system told, with ``ladder.told``.
    """

    at: dt.datetime
    type: str = ""
    seq: int = 0
    source: str = ""
    id: str = ""
    rule: str = ""
    stage: str = ""

    @classmethod
    def of(cls, event: Event) -> Cause:
        """Return an event as a cause."""
        stage = str(event.data.get("stage") or "") if event.type == TOLD else ""
        return cls(event.at, event.type, event.seq, event.source, event.id, stage=stage)

    def key(self, ladder: Ladder) -> OrderKey:
        """Return its own place in S9, wherever it was folded."""
        if not self.type:
            return (self.at, PHASE_TIMER, 0, 0, "", "")
        rung = ladder.rung_of(self.type) if self.type != TOLD else ladder.place_of(self.stage)
        return (self.at, phase_of(self.type), self.seq, rung, self.source, self.id)

    def to_json(self) -> list[Any]:
        """Return it as JSON values."""
        told = instant_text(self.at)
        if not self.type:
            return [told, self.rule]
        stage = [self.stage] if self.stage else []
        return [told, self.type, self.seq, self.source, self.id, *stage]

    @classmethod
    def from_json(cls, told: list[Any]) -> Cause:
        """Return what :meth:`to_json` wrote."""
        if len(told) == 2:
            return cls(instant(told[0]), rule=told[1])
        kind, seq, source, id, *stage = told[1:]
        return cls(instant(told[0]), kind, seq, source, id, stage="".join(stage))

    def __str__(self) -> str:
        if not self.type:
            return f"the timer of rule '{self.rule}' at {instant_text(self.at)}"
        source = f" from {self.source}" if self.source else ""
        return f"{self.type}, event '{self.id}'{source}, at {instant_text(self.at)}"
