"""Which links in mails were followed, and when: read with the deals' events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from ...fold.order import in_order
from ...fold.withdrawals import standing
from ...ladder.ladder import Ladder
from ...model.event import LINK_CLICKED
from .as_believed import Moment, Told
from .schema import INSTANT

__all__ = ["CLICKS", "clicks_of"]

CLICKS: Final[dict[str, Any]] = {
    "deal": pl.String,
    "at": INSTANT,
    "template": pl.String,
    "effect": pl.String,
}
"""A row for every time that somebody followed the link back to their cart: in which mail it stood,
by its template and by the key of its effect."""


def clicks_of(ladder: Ladder, told: Told, moment: Moment) -> Iterator[tuple[Any, ...]]:
    """Yield the clicks of a deal, those that were taken back left out."""
    known = [event for event, recorded_at in told if moment.knows(recorded_at)]
    if not any(event.type == LINK_CLICKED for event in known):
        return
    for event in standing(in_order(ladder, known)).events:
        if event.type == LINK_CLICKED and event.at <= moment.as_of:
            named = (str(event.data.get(name) or "") for name in ("template", "effect"))
            yield (event.deal, event.at, *named)
