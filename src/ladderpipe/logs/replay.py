"""Replaying a log into a board: quietly, in constant memory, and as often as one likes.

A row is known again by its own id, or else by its content and its count among equals: wherever
the file lies, whatever it is called and however its rows are sorted. A log that has grown only
adds what is new. ``seq`` is the line's number, so that events of one second keep the file's order.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import attrs

from ..board.board import Board
from ..board.handle import BATCH
from ..errors import DefinitionError
from ..ladder.ladder import Ladder
from ..model.event import EDITED, RESERVED, Event
from ..model.receipt import Outcome
from ..model.refusals import RefusalGroup, Refusals
from ..public import publish
from .log_map import CloudEvents, LogMap, OwnXes
from .map_files import shipped_maps
from .readers import LogFile
from .row_identity import BY_CONTENT, Repeats
from .rows import BadLine
from .times import Times

__all__ = [
    "Counted",
    "ReplayReport",
    "known_as",
    "meaning_of",
    "replay",
    "rows_taken",
    "written_at",
]

KEPT: Final = 100
"""How many bad lines a report holds; all are counted, and told to ``on_bad_line``."""


@attrs.frozen(kw_only=True)
class ReplayReport:
    """What became of a log.

    Attributes:
        source: of its events; with their ids it says which they are.
        lines: how many rows there were, bad ones included.
        events: how many events they stand for.
        ignored: how many rows, or items in them, the map says to ignore.
        outcomes: how many events had which outcome; ``DUPLICATE`` means known already.
        failed: how many lines, or items in them, were refused.
        bad_lines: the first hundred of those, with the reason.
        undeclared: by type, how many events there were that the pipeline does not declare.
        refusals: all bad lines, grouped by the reason.
        held: the events that are held, grouped by the reason.
        unfilled: by type and reason, how many events would have moved their deal when they were
            told, had it what the stage requires.
        unruled: by type, how many events there were that the pipeline declares and no rule names.
        timers: by rule, how many moves timers made between the events.
        first_at, last_at: when the first and the last of its events happened; ``None`` if it
            has none.
        warnings: what seems wrong with their times, in words.
    """

    source: str
    lines: int
    events: int
    ignored: int
    outcomes: Mapping[Outcome, int]
    failed: int
    bad_lines: tuple[BadLine, ...]
    undeclared: Mapping[str, int] = attrs.field(factory=dict)
    refusals: tuple[RefusalGroup, ...] = ()
    held: tuple[RefusalGroup, ...] = ()
    unfilled: Mapping[tuple[str, str], int] = attrs.field(factory=dict)
    unruled: Mapping[str, int] = attrs.field(factory=dict)
    timers: Mapping[str, int] = attrs.field(factory=dict)
    first_at: dt.datetime | None = None
    last_at: dt.datetime | None = None
    warnings: tuple[str, ...] = ()

    @property
    def accepted(self) -> int:
        """How many events are stored now that were not before."""
        skipped = (Outcome.DUPLICATE, Outcome.ARCHIVED)
        return sum(count for outcome, count in self.outcomes.items() if outcome not in skipped)

    @property
    def is_mostly_bad(self) -> bool:
        """Whether more lines, or items in them, were refused than were not."""
        return self.failed > sum(self.outcomes.values()) + self.ignored


def replay(
    board: Board,
    log: Path | str,
    log_map: LogMap | CloudEvents | None = None,
    *,
    source: str | None = None,
    on_progress: Callable[[int], None] | None = None,
    on_bad_line: Callable[[BadLine], None] | None = None,
) -> ReplayReport:
    """Take a log's events, a thousand to a transaction; a bad line stops nothing.

    A line that makes an event which cannot be used is no bad line: the event is held, and
    ``board.held()`` says why.

    No effect of the past is sent: what its events ask for is recorded as expired, and so is,
    whoever notices it later, what timers of its deals ask for that were due before the replay.
    Deals that the log does not touch go on as before. Timers fire with the board's next tick.

    Args:
        log: CSV, JSON lines or XES, ``.gz`` or not.
        log_map: what its rows mean; without one it is read as CloudEvents, and XES as a log that
            this library wrote.
        source: who numbers its rows, where the map names an id; by default the map's ``source``.
            Rows without an id are known by their content, in whatever log they stand: of those
            that are equal in two logs each counts once. CloudEvents bring their own.
        on_progress: told after every thousand lines how many bytes of the file were read.
        on_bad_line: told of every bad line.

    Raises:
        DefinitionError: the file's format is unknown, or it has not the columns of the map.
        OSError: the file cannot be opened.
    """
    found = meaning_of(log, log_map)
    name = known_as(log, found, source)
    work = _Replay(board, name, str(log), on_bad_line)
    for _ in rows_taken(log, found, work, Repeats(), on_progress):
        work.store()
    return work.report(written_at(log))


def written_at(log: Path | str) -> dt.datetime:
    """Return when a log was written last."""
    return dt.datetime.fromtimestamp(Path(log).stat().st_mtime, dt.UTC)


def rows_taken(
    log: Path | str,
    log_map: LogMap | CloudEvents | OwnXes,
    work: Counted,
    repeats: Repeats,
    on_progress: Callable[[int], None] | None,
) -> Iterator[None]:
    """Let *work* take a log's rows; yield whenever it holds a batch, and at the end.

    Raises:
        DefinitionError: the file's format is unknown, or it has not the columns of the map.
        OSError: the file cannot be opened.
    """
    with LogFile(log, log_map.layout, log_map.columns) as file:
        for row in file:
            work.lines += 1
            if isinstance(row, BadLine):
                work.note(row)
                continue
            for mapped in log_map.events(row, work.source, repeats):
                work.take(row.number, mapped)
            if len(work.batch) >= BATCH:
                yield
            if on_progress is not None and work.lines % BATCH == 0:
                on_progress(file.bytes_read)
        yield
        if on_progress is not None:
            on_progress(file.size)


def known_as(
    log: Path | str, log_map: LogMap | CloudEvents | OwnXes, source: str | None = None
) -> str:
    """Return the source of a log's events; see :func:`replay`."""
    if isinstance(log_map, LogMap) and log_map.id is None:
        return log_map.source or BY_CONTENT
    return source or log_map.source or Path(log).name.removesuffix(".gz")


def _is_own(event_type: str) -> bool:
    """Return whether events of a type work without a rule."""
    return event_type == EDITED or event_type.startswith(RESERVED)


def meaning_of(
    log: Path | str, log_map: LogMap | CloudEvents | None
) -> LogMap | CloudEvents | OwnXes:
    """Return how to read a log: by its map, or as one that says itself what its rows mean.

    Raises:
        DefinitionError: it needs a map.
    """
    if log_map is not None:
        return log_map
    name = Path(log).name.lower().removesuffix(".gz")
    if name.endswith((".csv", ".tsv")):
        raise DefinitionError(
            f"{log} needs a map that says what its columns mean: write one, or name one of "
            f"{', '.join(shipped_maps())}"
        )
    return OwnXes() if name.endswith(".xes") else CloudEvents()


class Counted:
    """One pass over a log: collects events into batches and counts."""

    def __init__(
        self,
        ladder: Ladder,
        now: dt.datetime,
        source: str,
        log: str,
        on_bad_line: Callable[[BadLine], None] | None,
    ) -> None:
        self._ladder = ladder
        self._log = log
        self._on_bad_line = on_bad_line
        self._outcomes: Counter[Outcome] = Counter()
        self._bad: list[BadLine] = []
        self._undeclared: Counter[str] = Counter()
        self._unfilled: Counter[tuple[str, str]] = Counter()
        self._types: Counter[str] = Counter()
        self._timers: Counter[str] = Counter()
        self._refusals, self._held = Refusals(), Refusals()
        self._times = Times(now)
        self._failed = self._events = self._ignored = 0
        self.source = source
        self.lines = 0
        self.batch: list[tuple[int, Event]] = []

    def take(self, number: int, mapped: Event | BadLine | None) -> None:
        """Note what a line has become."""
        if mapped is None:
            self._ignored += 1
        elif isinstance(mapped, BadLine):
            self.note(mapped)
        else:
            self._events += 1
            self._types[mapped.type] += 1
            self._times.note(mapped.at)
            self.batch.append((number, mapped))

    def note(self, bad: BadLine) -> None:
        """Note a bad line."""
        self._failed += 1
        self._refusals.note(f"{self._log}:{bad.number}", bad.reason)
        if len(self._bad) < KEPT:
            self._bad.append(bad)
        if self._on_bad_line is not None:
            self._on_bad_line(bad)

    def report(self, written_at: dt.datetime) -> ReplayReport:
        """Return what was counted; the log was written last at *written_at*."""
        ladder = self._ladder
        return ReplayReport(
            source=self.source,
            lines=self.lines,
            events=self._events,
            ignored=self._ignored,
            outcomes=dict(self._outcomes),
            failed=self._failed,
            bad_lines=tuple(self._bad),
            undeclared=dict(self._undeclared),
            refusals=self._refusals.groups(),
            held=self._held.groups(),
            unfilled=dict(self._unfilled),
            unruled={
                kind: count
                for kind, count in self._types.items()
                if ladder.declares(kind) and ladder.rung_of(kind) < 0 and not _is_own(kind)
            },
            timers={rule: count for rule, count in self._timers.items() if count > 0},
            first_at=self._times.first,
            last_at=self._times.last,
            warnings=tuple(self._times.warnings(written_at)),
        )


class _Replay(Counted):
    """One pass over a log into a board."""

    def __init__(
        self,
        board: Board,
        source: str,
        log: str,
        on_bad_line: Callable[[BadLine], None] | None,
    ) -> None:
        super().__init__(board.pipeline.ladder, board.clock.now(), source, log, on_bad_line)
        self._board = board

    def store(self) -> None:
        """Give what was collected to the board."""
        events = [event for _, event in self.batch]
        report = self._board.handle_many(events, quiet=True, hold=True)
        self._outcomes.update(report.outcomes)
        self._undeclared.update(report.undeclared)
        self._unfilled.update(report.unfilled)
        self._timers.update(report.timers)
        for group in report.held:
            self._held.add(group)
        for failure in report.failures:
            number = self.batch[failure.position][0]
            self.note(BadLine(number, str(failure.error)))
        self.batch = []


publish("ladderpipe", ReplayReport, replay)
