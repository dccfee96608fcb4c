"""Moves: passages from one stage into another."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..public import publish
from .clock import instant, instant_text
from .event import Event
from .record import json_record, within
from .stage import Stage, stage_called

__all__ = ["Move"]


@json_record()
class Move(NamedTuple):
    """The passage from one stage into another. A named tuple, since histories hold millions.

    Attributes:
        n: number of the visit it begins, from 1.
        out_of: the stage left; ``None`` for the opening.
        at: when it happened; for a timer, when it was due.
        recorded_at: when a store wrote it; ``None`` in a bare fold.
        rule: key of the rule that made it, or ``ladder.override``.
        event: what caused it; ``None`` for a timer.
    """

    deal: str
    n: int
    out_of: Stage | None
    into: Stage
    at: dt.datetime
    recorded_at: dt.datetime | None
    rule: str
    event: Event | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, stages by their keys, the event whole; the keys stay."""
        return {
            "deal": self.deal,
            "n": self.n,
            "out_of": None if self.out_of is None else self.out_of.key,
            "into": self.into.key,
            "at": instant_text(self.at),
            "recorded_at": None if self.recorded_at is None else instant_text(self.recorded_at),
            "rule": self.rule,
            "event": None if self.event is None else self.event.to_dict(),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any], stages: Iterable[Stage] = ()) -> Move:
        """Return the move that :meth:`to_dict` wrote.

        Args:
            stages: those of its ladder; a stage that is not among them is no more than its key.

        Raises:
            KeyError: a key is missing.
            InstantError: an instant is none.
        """
        stages = tuple(stages)
        left, recorded_at, event = record["out_of"], record["recorded_at"], record["event"]
        return cls(
            record["deal"],
            record["n"],
            None if left is None else stage_called(left, stages),
            stage_called(record["into"], stages),
            instant(record["at"]),
            None if recorded_at is None else instant(recorded_at),
            record["rule"],
            None if event is None else within(Event, event),
        )


new_move = functools.partial(tuple.__new__, Move)
"""Builds a move from a tuple of its fields, faster than the class does."""


publish("ladderpipe", Move)
