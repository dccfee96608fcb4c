"""Logs of other systems as frames of events, in constant memory.

A row without an id of its own is known by its content and its count among equal rows of its log.
Equal rows are of one deal, so each bucket counts its own: nobody has to know all rows of a log.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import polars as pl

from ...ladder.ladder import Ladder
from ...logs.log_map import CloudEvents, LogMap
from ...logs.replay import Counted, ReplayReport, known_as, meaning_of, rows_taken, written_at
from ...logs.row_identity import Repeats
from ...logs.rows import BadLine
from ...model.clock import instant
from ...model.event import Event
from ...model.refusals import RefusalGroup
from ..bulk.event_frame import read_events

__all__ = ["EventLog", "as_json", "from_json", "named_by_count"]

_UNNAMED: Final = "ladder: log of a row without a name"
"""A column: the number of the log, from 1, whose equal rows are counted; 0 of a row with an id."""


def _paths(named: str | Path | Iterable[str | Path]) -> tuple[Path, ...]:
    return tuple(map(Path, [named] if isinstance(named, str | Path) else named))


@attrs.frozen(eq=False)
class EventLog:
    """Logs of other systems, as ``insight.replay(…, into=…)`` takes them.

    Attributes:
        paths: CSV, JSON lines, XES or CloudEvents, ``.gz`` or not.
        log_map: what their rows mean; without one they are read as CloudEvents, and XES as a log
            that this library wrote.
        source: who numbers the rows, where the map names an id; see :func:`ladderpipe.replay`.
        on_progress: told after every thousand lines of a file how many of its bytes were read.
    """

    paths: tuple[Path, ...] = attrs.field(converter=_paths)
    log_map: LogMap | CloudEvents | None = None
    source: str | None = None
    on_progress: Callable[[Path, int], None] | None = None

    def known_by(self) -> str:
        """Return what stands for the map and the source, as a short hash."""
        told = json.dumps(_plain((self.log_map, self.source)), sort_keys=True)
        return hashlib.blake2b(told.encode(), digest_size=12).hexdigest()

    def frames(
        self,
        ladder: Ladder,
        reports: list[ReplayReport],
        on_bad_line: Callable[[Path, BadLine], None],
    ) -> Iterator[pl.DataFrame]:
        """Yield the events, a thousand at a time; what became of each log is put into *reports*.

        Raises:
            DefinitionError: a file's format is unknown, or it has not the columns of the map.
            OSError: a file cannot be opened.
        """
        now = dt.datetime.now(dt.UTC)
        yield _frame([], [])
        for number, path in enumerate(self.paths, start=1):
            found = meaning_of(path, self.log_map)
            marks = _Marks()
            name = known_as(path, found, self.source)
            tell = functools.partial(on_bad_line, path)
            work = _Cut(marks, ladder, now, name, str(path), tell)
            show = None if self.on_progress is None else functools.partial(self.on_progress, path)
            for _ in rows_taken(path, found, work, marks, show):
                yield _frame([event for _, event in work.batch], work.unnamed(number))
            reports.append(work.report(written_at(path)))


def _plain(value: Any) -> Any:
    """Return *value* as JSON values that are the same in every process."""
    if attrs.has(type(value)):
        fields = {one.name: _plain(getattr(value, one.name)) for one in attrs.fields(type(value))}
        return {"is": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(json.dumps(_plain(one), sort_keys=True) for one in value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, str | int | float):
        return value
    return value.pattern if isinstance(value, re.Pattern) else str(value)


class _Marks(Repeats):
    """Counts nothing, and notes that somebody wanted a count."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted = False

    def count(self, digest: bytes) -> int:
        self.wanted = True
        return 1


class _Cut(Counted):
    """One pass over a log into frames."""

    def __init__(self, marks: _Marks, *told: Any) -> None:
        super().__init__(*told)
        self._marks = marks
        self._wanted: list[bool] = []

    def take(self, number: int, mapped: Event | BadLine | None) -> None:
        if isinstance(mapped, Event):
            self._wanted.append(self._marks.wanted)
            if not self._ladder.declares(mapped.type):
                self._undeclared[mapped.type] += 1
        self._marks.wanted = False
        super().take(number, mapped)

    def unnamed(self, number: int) -> list[int]:
        """Return for each event of the batch the number of its log, and 0 where it has an id."""
        found = [number if wanted else 0 for wanted in self._wanted]
        self._wanted, self.batch = [], []
        return found


def _frame(events: list[Event], unnamed: list[int]) -> pl.DataFrame:
    return read_events(events, None).with_columns(pl.Series(_UNNAMED, unnamed, pl.UInt32))


def named_by_count(events: pl.DataFrame) -> pl.DataFrame:
    """Return a bucket's events, in the order of their logs, each equal row with a name of its own.

    The names are those that :class:`~ladderpipe.logs.Repeats` gives.
    """
    if _UNNAMED not in events.columns:
        return events
    nth = pl.int_range(1, pl.len() + 1).over(_UNNAMED, "id")
    counted = pl.format("{}-{}", "id", nth)
    is_again = (pl.col(_UNNAMED) > 0) & (nth > 1)
    named = pl.when(is_again).then(counted).otherwise("id")
    return events.with_columns(id=named).drop(_UNNAMED)


def as_json(report: ReplayReport) -> dict[str, Any]:
    """Return what became of a log as JSON values; how a board took it is not among them."""
    told = attrs.asdict(report, filter=lambda one, _: one.name not in ("outcomes", "unfilled"))
    for name in ("first_at", "last_at"):
        at = getattr(report, name)
        told[name] = None if at is None else at.isoformat()
    return told


def from_json(told: Mapping[str, Any]) -> ReplayReport:
    """Return what :func:`as_json` wrote."""
    ends = {
        name: None if told[name] is None else instant(told[name])
        for name in ("first_at", "last_at")
    }
    bad = tuple(BadLine(**one) for one in told["bad_lines"])
    groups = {
        name: tuple(RefusalGroup(**{**one, "values": tuple(one["values"])}) for one in told[name])
        for name in ("refusals", "held")
    }
    warnings = tuple(told["warnings"])
    again = {**told, **ends, **groups, "bad_lines": bad, "warnings": warnings}
    return ReplayReport(outcomes={}, **again)
