"""When a log's events happened, and what speaks against it: a wrong unit, a wrong zone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

__all__ = ["Times"]

_NOT_BEFORE: Final = dt.datetime(1971, 1, 1, tzinfo=dt.UTC)
_SKEW: Final = dt.timedelta(minutes=5)
_CLOSE: Final = dt.timedelta(minutes=2)
_HOUR: Final = dt.timedelta(hours=1)
_ZONES: Final = 14 * _HOUR
"""No zone is further from UTC."""


class Times:
    """The first and the last instant of a log, and how many lie in 1970 or still ahead."""

    def __init__(self, now: dt.datetime) -> None:
        self._now = now
        self._count = self._in_1970 = self._ahead = 0
        self.first: dt.datetime | None = None
        self.last: dt.datetime | None = None

    def note(self, at: dt.datetime) -> None:
        """Note when an event happened."""
        self._count += 1
        if self.first is None or at < self.first:
            self.first = at
        if self.last is None or at > self.last:
            self.last = at
        if at > self._now + _SKEW:
            self._ahead += 1
        elif at < _NOT_BEFORE:
            self._in_1970 += 1

    def warnings(self, written_at: dt.datetime) -> Iterator[str]:
        """Yield in words what is wrong with the times, or seems to be.

        Args:
            written_at: when the file was written last, which no event of it can come after.
        """
        if self.first is None or self.last is None:
            return
        if self._in_1970:
            yield (
                f"{self._count_of(self._in_1970)} lie in 1970 or before: if the log counts in "
                'seconds, say format = "epoch-s" under [time] in the map; epoch-ms divides by 1000'
            )
        if self._ahead:
            by = self.last - self._now
            yield (
                f"{self._count_of(self._ahead)} lie ahead of the clock, the last by {_told(by)}, "
                "and wait until then: check zone under [time] in the map"
            )
            return
        late = written_at - self.last
        if late < -_SKEW:
            yield (
                f"the last event lies {_told(-late)} after the file was written: check zone under "
                "[time] in the map"
            )
        elif _HOUR - _CLOSE < late < _ZONES + _CLOSE and _from_whole_hour(late) < _CLOSE:
            yield (
                f"the last event lies {_told(late)} before the file was written, to the minute: if "
                "the log is a live one, check zone under [time] in the map"
            )

    def _count_of(self, count: int) -> str:
        if count == self._count:
            return f"all {count:,} events" if count > 1 else "the only event"
        return f"{count:,} of {self._count:,} events"


def _from_whole_hour(length: dt.timedelta) -> dt.timedelta:
    rest = length % _HOUR
    return min(rest, _HOUR - rest)


def _told(length: dt.timedelta) -> str:
    minutes = round(length / dt.timedelta(minutes=1))
    if minutes >= 2 * 24 * 60:
        return f"{minutes // (24 * 60)} days"
    hours, minutes = divmod(minutes, 60)
    return " ".join(([f"{hours} h"] if hours else []) + ([f"{minutes} min"] if minutes else []))
