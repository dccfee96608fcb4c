"""The one order of a deal's events (S9)."""

from __future__ import annotations

import datetime as dt
from typing import Any, TypeAlias

import attrs

from ..ladder.ladder import Ladder
from ..model.clock import instant, instant_text
from ..model.event import PHASE_TIMER, TOLD, Event, phase_of

__all__ = ["Cause", "OrderKey", "order_key"]

OrderKey: TypeAlias = "tuple[dt.datetime, int, int, int, str, str]"


def order_key(ladder: Ladder, event: Event) -> OrderKey:
    """Return the place of *event* in its deal's one order: at, phase, seq, rung, source, id."""
    rung = ladder.rung_of_event(event)
    return (event.at, event.phase, event.seq, rung, event.source, event.id)


@attrs.frozen
class Cause:
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
