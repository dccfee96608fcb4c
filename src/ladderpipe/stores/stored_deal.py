"""The narrow row of a deal: what locking, sweeping and deciding read and write."""

from __future__ import annotations

import datetime as dt
from typing import Final, NamedTuple

__all__ = ["StoredDeal"]


class StoredDeal(NamedTuple):
    """The narrow row of a deal. ``stage`` is ``None`` while no rule has opened it.

    ``cursor_*`` is the place in the deal's one order up to which events were folded,
    ``horizon`` when its last timer was tried, ``timers`` the fold's notes as JSON: on timers, and
    on events that were taken back.
    Timers due up to ``quiet_to`` are the past of a replay: whoever notices them sends nothing.
    ``merged_into`` is the deal that a merged one went on in. ``customer`` is JSON of the customer's
    keys, see :mod:`ladderpipe.board.customers`; ``None`` where nobody has worked them out yet.
    """

    id: int
    deal: str
    stage: str | None = None
    visit: int = 0
    visit_key: str | None = None
    entered_at: dt.datetime | None = None
    activity_at: dt.datetime | None = None
    opened_at: dt.datetime | None = None
    closed_at: dt.datetime | None = None
    lost_from: str | None = None
    due_at: dt.datetime | None = None
    horizon: dt.datetime | None = None
    swept_to: dt.datetime | None = None
    quiet_to: dt.datetime | None = None
    last_event_at: dt.datetime | None = None
    cursor_at: dt.datetime | None = None
    cursor_phase: int = 0
    cursor_seq: int = 0
    cursor_rung: int = 0
    cursor_source: str = ""
    cursor_id: str = ""
    timers: str | None = None
    owner: str | None = None
    currency: str | None = None
    value: str | None = None
    has_effects: bool = False
    baseline_at: dt.datetime | None = None
    definition: str | None = None
    failures: int = 0
    retry_at: dt.datetime | None = None
    removed_at: dt.datetime | None = None
    customer: str | None = None
    merged_into: str | None = None


SWEPT_FIELDS: Final = tuple(
    name
    for name in StoredDeal._fields[2:]
    if not name.startswith("cursor_")
    and name not in ("last_event_at", "owner", "currency", "value", "customer")
)
"""What timers can change of a deal's row: nothing that only events say."""

VALUE: Final = ("units", "fraction")
"""Columns that the value is sorted and summed up by."""
FOUND_BY: Final = ("title", "source")
"""Columns that the document tells."""
