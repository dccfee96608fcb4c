"""The tables every report is worked out from: deals, visits, moves and what changed when.

Where they come from (a board, a CRM's export) and what is made of them is elsewhere.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import attrs
import polars as pl

from ...model.clock import instant
from ...model.stage import Stage

if TYPE_CHECKING:
    from ..report import Words

__all__ = ["CHANGES", "DEALS", "INSTANT", "MONEY", "MOVES", "VISITS", "Problem", "Tables"]

INSTANT: Final = pl.Datetime("us", "UTC")
MONEY: Final = pl.Decimal(38, 6)
"""Amounts are exact; an amount with more than six decimals is rounded half to even on reading."""

DEALS: Final[dict[str, Any]] = {
    "deal": pl.String,
    "title": pl.String,
    "stage": pl.String,
    "status": pl.String,
    "visit": pl.Int64,
    "entered_at": INSTANT,
    "opened_at": INSTANT,
    "closed_at": INSTANT,
    "last_event_at": INSTANT,
    "lost_from": pl.String,
    "value": MONEY,
    "currency": pl.String,
    "owner": pl.String,
    "source": pl.String,
    "loss_reason": pl.String,
}
"""A row for every deal that was open, closed or abandoned at ``as_of``: opened at or before it."""

VISITS: Final[dict[str, Any]] = {
    "deal": pl.String,
    "n": pl.Int64,
    "stage": pl.String,
    "entered_at": INSTANT,
    "left_at": INSTANT,
    "rule": pl.String,
    "from_stage": pl.String,
    "into_stage": pl.String,
    "left_by": pl.String,
}
"""A row for every stay in a stage, ``n`` from 1; ``left_at``, ``into_stage`` and ``left_by`` (the
rule) are null for the stay that goes on at ``as_of``, ``from_stage`` for the first."""

MOVES: Final[dict[str, Any]] = {
    "deal": pl.String,
    "n": pl.Int64,
    "out_of": pl.String,
    "into": pl.String,
    "at": INSTANT,
    "recorded_at": INSTANT,
    "rule": pl.String,
    "trigger": pl.String,
    "event_type": pl.String,
    "event_source": pl.String,
    "event_id": pl.String,
}
"""A row for every passage, the opening with ``out_of`` null; ``trigger`` is ``event``, ``timer``,
``hand`` or ``override``, and the event's columns are null for a timer."""

CHANGES: Final[dict[str, Any]] = {
    "deal": pl.String,
    "at": INSTANT,
    "title": pl.String,
    "value": MONEY,
    "currency": pl.String,
    "owner": pl.String,
    "source": pl.String,
    "loss_reason": pl.String,
}
"""What a deal was worth, and whose it was, from each instant at which it had an event, the
opening's first; null where nobody knows any more."""


@attrs.frozen
class Problem:
    """Something that could not be read, and why; the rest was not affected.

    Attributes:
        place: the file, or the deal.
        line: of the file, from 1; ``None`` for a deal.
    """

    place: str
    line: int | None
    reason: str

    def __str__(self) -> str:
        line = "" if self.line is None else f", line {self.line}"
        return f"{self.place}{line}: {self.reason}"


@attrs.frozen(eq=False)
class Tables:
    """Deals and their histories as they stood at an instant, in four tables.

    Attributes:
        pipeline: the pipeline's name.
        stages: the ladder, first rung first: keys, titles, statuses, probabilities.
        as_of: the instant; nothing in the tables is later.
        deals: one row a deal, with the columns of :data:`DEALS`, sorted by deal; what a CRM's
            export knows besides stands in further columns.
        visits: one row a stay in a stage: :data:`VISITS`, sorted by deal and ``n``.
        moves: one row a passage: :data:`MOVES`, sorted by deal and ``n``.
        changes: one row a deal and instant of an event: :data:`CHANGES`, sorted by both.
        removed: how many deals were removed from the store; nothing in the tables is theirs.
        undated: how many deals have no date at all, in an export from a CRM. They stand in
            ``deals``, with ``opened_at`` and ``entered_at`` null, at the end only: of an
            earlier instant nobody knows whether they were there.
        problems: what could not be read.
    """

    pipeline: str
    stages: tuple[Stage, ...]
    as_of: dt.datetime
    deals: pl.DataFrame
    visits: pl.DataFrame
    moves: pl.DataFrame
    changes: pl.DataFrame
    removed: int = 0
    undated: int = 0
    problems: tuple[Problem, ...] = ()

    def at(self, earlier: dt.datetime | str) -> Tables:
        """Return the tables as they stood at an earlier instant.

        Raises:
            ClockError: it is later than these tables reach.
        """
        from .as_of import cut

        return cut(self, instant(earlier))

    @property
    def notes(self) -> tuple[Words, ...]:
        """What is missing from the tables, in words, for reports to say so."""
        told = (
            (self.removed, _REMOVED),
            (self.undated, _UNDATED),
            (len(self.problems), _PROBLEMS),
        )
        return tuple(
            {language: text.format(count=count) for language, text in words.items()}
            for count, words in told
            if count
        )


_REMOVED: Final[Words] = {
    "en": "Deals removed from the store, with their history, and not counted: {count}.",
    "it": "Trattative eliminate dall'archivio con la loro storia, non contate: {count}.",
}
_UNDATED: Final[Words] = {
    "en": "Deals without any date, counted only as they stand at the end: {count}.",
    "it": "Trattative senza alcuna data, contate solo nello stato finale: {count}.",
}
_PROBLEMS: Final[Words] = {
    "en": "Rows or deals that could not be read: {count}.",
    "it": "Righe o trattative che non è stato possibile leggere: {count}.",
}
