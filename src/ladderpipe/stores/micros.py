"""A unit of work on a database where instants are microseconds since 1970, UTC, in whole numbers.

No database has a type of its own for them that goes from the year 1 to 9999 and keeps every one of
them whatever the session's time zone is.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
from typing import Any, Final

from ..model.event import Event, stored_event
from .base import EffectRow, HeldRow, NewEffect, StoredDeal
from .sql import SqlTransaction
from .sql_rows import Row

__all__ = ["from_micros", "to_micros"]

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_INSTANTS: Final = frozenset(
    index for index, name in enumerate(StoredDeal._fields) if name.endswith("_at")
) | {StoredDeal._fields.index(name) for name in ("horizon", "swept_to", "quiet_to")}

_HELD_INSTANTS: Final = tuple(
    map(HeldRow._fields.index, ("at", "since", "retry_at", "discarded_at"))
)


# Most instants of a deal are the same few, so that remembering them pays.
_remembering = functools.lru_cache(maxsize=4096)


@_remembering
def to_micros(at: dt.datetime | None) -> int | None:
    """Return microseconds since 1970."""
    if at is None:
        return None
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_micros(micros: int | None) -> dt.datetime | None:
    """Return the instant that :func:`to_micros` wrote."""
    return None if micros is None else _at(micros)


@_remembering
def _at(micros: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(0, 0, micros)


class MicrosTransaction(SqlTransaction):
    """What turns rows with such instants into records, and records into rows."""

    def _instant(self, at: dt.datetime | None) -> int | None:
        return to_micros(at)

    def _event(self, row: Row) -> tuple[Event, dt.datetime]:
        word, deal, id, at, source, seq, data, recorded_at = row
        event = stored_event(self._word(word), deal, id, _at(at), source, seq, json.loads(data))
        return event, _at(recorded_at)

    def _deal(self, row: Row) -> StoredDeal:
        values = list(row)
        for index in _INSTANTS:
            micros = values[index]
            if micros is not None:
                values[index] = _at(micros)
        return StoredDeal._make(values)

    def _deal_values(self, deal: StoredDeal) -> Row:
        values: list[Any] = list(deal)
        for index in _INSTANTS:
            at = values[index]
            if at is not None:
                values[index] = to_micros(at)
        return tuple(values[2:])

    def _effect(self, row: Row) -> EffectRow:
        effect = super()._effect(row)
        return effect._replace(
            due_at=_at(row[8]),
            ready_at=_at(row[9]),
            expires_at=from_micros(row[10]),
            run_to_completion=bool(effect.run_to_completion),
            sent_at=from_micros(effect.sent_at),  # type: ignore[arg-type]
            delayed_until=from_micros(effect.delayed_until),  # type: ignore[arg-type]
        )

    def _effect_values(self, effect: NewEffect) -> Row:
        due_at, expires_at = to_micros(effect.due_at), to_micros(effect.expires_at)
        return (*effect[:7], due_at, expires_at, *effect[9:], to_micros(effect.ready_at))

    def _from_instant(self, at: int) -> dt.datetime:
        return _at(at)

    def _held(self, row: Row) -> HeldRow:
        values: list[Any] = list(row)
        for index in _HELD_INSTANTS:
            values[index] = from_micros(values[index])
        return HeldRow._make(values)

    def _held_values(self, row: HeldRow) -> Row:
        values: list[Any] = list(row)
        for index in _HELD_INSTANTS:
            values[index] = to_micros(values[index])
        return tuple(values)
