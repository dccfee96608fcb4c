"""Moves: passages from one stage into another."""

from __future__ import annotations

import datetime as dt
import functools
from typing import NamedTuple

from .event import Event
from .stage import Stage

__all__ = ["Move"]


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


new_move = functools.partial(tuple.__new__, Move)
"""Builds a move from a tuple of its fields, faster than the class does."""
