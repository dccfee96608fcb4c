"""What stands in each table: names and types of the columns, and what a row is."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from ...model.money import MOST_PLACES

__all__ = ["CHANGES", "DEALS", "INSTANT", "MONEY", "MOVES", "VISITS"]

INSTANT: Final = pl.Datetime("us", "UTC")
MONEY: Final = pl.Decimal(38, MOST_PLACES)
"""Amounts are exact: ten decimal places, as many as an event's amount may have, and 28 digits
before them."""

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
    "active_at": INSTANT,
}
"""A row for every deal that was open, closed or abandoned at ``as_of``: opened at or before it;
``active_at`` is its last event that was a sign of life."""

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
    "counts": pl.Boolean,
}
"""A row for every stay in a stage, ``n`` from 1; ``left_at``, ``into_stage`` and ``left_by`` (the
rule) are null for the stay that goes on at ``as_of``, ``from_stage`` for the first; ``counts`` says
whether reports know the stay: see :func:`~.derive.counting`."""

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
    "event_seq": pl.Int64,
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
    "active_at": INSTANT,
}
"""What a deal was worth, and whose it was, from each instant at which it had an event, the
opening's first, and when there was the last sign of life; null where nobody knows any more."""
