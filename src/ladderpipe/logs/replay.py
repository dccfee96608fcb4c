"""Replaying a log into a board: quietly, in constant memory, and as often as one likes.

A line is known again by the log's name and its own number, wherever the file lies and however
often it is replayed; a log that has grown only adds what is new. ``seq`` is the line's number,
so that events of one second keep the file's order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import attrs

from ..board.board import Board
from ..board.handle import BATCH
from ..errors import DefinitionError
from ..model.event import Event
from ..model.receipt import Outcome
from ..public import publish
from .log_map import CloudEvents, LogMap, OwnXes
from .map_files import shipped_maps
from .readers import LogFile
from .rows import BadLine

__all__ = ["ReplayReport", "known_as", "replay"]

KEPT: Final = 100
"""How many bad lines a report holds; all are counted, and told to ``on_bad_line``."""


@attrs.frozen(kw_only=True)
class ReplayReport:
    """What became of a log.

    Attributes:
        source: the name under which its lines are known again.
        lines: how many rows there were, bad ones included.
        events: how many events they stand for.
        ignored: how many rows, or items in them, the map says to ignore.
        outcomes: how many events had which outcome; ``DUPLICATE`` means known already.
        failed: how many lines, or items in them, were refused.
        bad_lines: the first hundred of those, with the reason.
        undeclared: by type, how many events there were that the pipeline does not declare.
    """

    source: str
    lines: int
    events: int
    ignored: int
    outcomes: Mapping[Outcome, int]
    failed: int
    bad_lines: tuple[BadLine, ...]
    undeclared: Mapping[str, int] = attrs.field(factory=dict)

    @property
    def accepted(self) -> int:
        """How many events are stored now that were not before."""
        skipped = (Outcome.DUPLICATE, Outcome.ARCHIVED)
        return sum(count for outcome, count in self.outcomes.items() if outcome not in skipped)


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
        source: the name under which its lines are known again; by default the map's ``source``,
            otherwise the file's name without folder and ``.gz``. Give one for logs that are
            renamed, or when two files share a name. CloudEvents bring their own.
        on_progress: told after every thousand lines how many bytes of the file were read.
        on_bad_line: told of every bad line.

    Raises:
        DefinitionError: the file's format is unknown, or it has not the columns of the map.
        OSError: the file cannot be opened.
    """
    found = _without_map(Path(log)) if log_map is None else log_map
    with LogFile(log, found.layout, found.columns) as file:
        name = known_as(log, found, source)
        work = _Replay(board, name, on_bad_line)
        for row in file:
            work.lines += 1
            if isinstance(row, BadLine):
                work.note(row)
                continue
            for mapped in found.events(row, name):
                work.take(row.number, mapped)
            if len(work.batch) >= BATCH:
                work.store()
            if on_progress is not None and work.lines % BATCH == 0:
                on_progress(file.bytes_read)
        work.store()
        if on_progress is not None:
            on_progress(file.size)
    return work.report()


def known_as(
    log: Path | str, log_map: LogMap | CloudEvents | OwnXes, source: str | None = None
) -> str:
    """Return the name under which a log's lines are known again; see :func:`replay`."""
    return source or log_map.source or Path(log).name.removesuffix(".gz")


def _without_map(log: Path) -> CloudEvents | OwnXes:
    """Return how to read a log that says itself what its rows mean."""
    name = log.name.lower().removesuffix(".gz")
    if name.endswith((".csv", ".tsv")):
        raise DefinitionError(
            f"{log} needs a map that says what its columns mean: write one, or name one of "
            f"{', '.join(shipped_maps())}"
        )
    return OwnXes() if name.endswith(".xes") else CloudEvents()


class _Replay:
    """One pass over a log: collects events into batches and counts."""

    def __init__(
        self, board: Board, source: str, on_bad_line: Callable[[BadLine], None] | None
    ) -> None:
        self._board = board
        self._source = source
        self._on_bad_line = on_bad_line
        self._outcomes: Counter[Outcome] = Counter()
        self._bad: list[BadLine] = []
        self._undeclared: Counter[str] = Counter()
        self._failed = self._events = self._ignored = 0
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
            self.batch.append((number, mapped))

    def note(self, bad: BadLine) -> None:
        """Note a bad line."""
        self._failed += 1
        if len(self._bad) < KEPT:
            self._bad.append(bad)
        if self._on_bad_line is not None:
            self._on_bad_line(bad)

    def store(self) -> None:
        """Give what was collected to the board."""
        events = [event for _, event in self.batch]
        report = self._board.handle_many(events, quiet=True, hold=True)
        self._outcomes.update(report.outcomes)
        self._undeclared.update(report.undeclared)
        for failure in report.failures:
            number = self.batch[failure.position][0]
            self.note(BadLine(number, str(failure.error)))
        self.batch = []

    def report(self) -> ReplayReport:
        """Return what was counted."""
        return ReplayReport(
            source=self._source,
            lines=self.lines,
            events=self._events,
            ignored=self._ignored,
            outcomes=dict(self._outcomes),
            failed=self._failed,
            bad_lines=tuple(self._bad),
            undeclared=dict(self._undeclared),
        )


publish("ladderpipe", ReplayReport, replay)
