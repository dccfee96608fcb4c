"""From a board to an event log, in the format that the file's name asks for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TextIO, TypeAlias, get_args

import attrs

from ...board.board import Board
from ...errors import DefinitionError
from ..frames.from_board import Progress
from ..frames.scan import walking
from ..frames.tables import Problem
from .cases import Case, What, cases_of
from .csv import write_table
from .files import writing
from .ocel import write_ocel
from .xes import write_xes

__all__ = ["ExportReport", "export_log"]

Writer: TypeAlias = "Callable[[TextIO, str, Iterable[Case]], None]"

_WRITERS: Final[dict[str, Writer]] = {
    ".xes": write_xes,
    ".csv": lambda file, name, cases: write_table(file, cases),
    ".json": lambda file, name, cases: write_ocel(file, cases),
    ".jsonocel": lambda file, name, cases: write_ocel(file, cases),
}


@attrs.frozen
class ExportReport:
    """What went into an event log.

    Attributes:
        cases: how many deals.
        activities: how many stages they entered, or events they had.
        removed: how many deals were removed from the store, and are not in the log.
        problems: deals that could not be folded, which stand in the log as they are stored.
    """

    cases: int
    activities: int
    removed: int
    problems: tuple[Problem, ...]


def export_log(
    board: Board,
    path: str | Path,
    *,
    what: What = "moves",
    as_of: dt.datetime | str | None = None,
    progress: Progress | None = None,
) -> ExportReport:
    """Write the deals of a board as an event log for process mining, a page of them at a time.

    The file's name says the format: ``.xes``, ``.csv``, or ``.json`` and ``.jsonocel`` for OCEL
    2.0; with ``.gz`` behind it, it is compressed. A file of that name is replaced once the new
    one is whole.

    Args:
        what: activities are the stages that deals entered (``"moves"``), or their events
            (``"events"``), with which an XES log holds the events whole, so that
            :func:`read_xes` gives them back. Whole means with contacts and all other data.
        as_of: the instant up to which; the board's present when left out.
        progress: told how many deals of how many are done.

    Raises:
        ClockError: *as_of* lies after the board's clock.
        DefinitionError: the file's name says no format, or *what* is neither.
        OSError: the file cannot be written.
        PipelineChangedError: the store holds another definition than the board.
    """
    path = Path(path)
    write = _writer(path)
    if what not in get_args(What):
        raise DefinitionError(
            f"what={what!r} says not what activities are: choose among "
            f"{', '.join(map(repr, get_args(What)))}"
        )
    problems: list[Problem] = []
    with walking(board, "insight.export_log", as_of, progress) as walk, writing(path) as file:
        counted = _Counted(cases_of(board.pipeline, walk, what, problems))
        write(file, board.pipeline.name, counted)
        problems += walk.problems
        return ExportReport(counted.cases, counted.activities, walk.removed, tuple(problems))


def _writer(path: Path) -> Writer:
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    try:
        return _WRITERS[suffix]
    except KeyError:
        raise DefinitionError(
            f"{path}: the suffix {suffix!r} says no format of an event log: choose among "
            f"{', '.join(_WRITERS)}, each with .gz behind it or not"
        ) from None


class _Counted:
    """Cases that are counted while they pass."""

    def __init__(self, cases: Iterator[Case]) -> None:
        self._passing = cases
        self.cases = self.activities = 0

    def __iter__(self) -> Iterator[Case]:
        for case in self._passing:
            self.cases += 1
            self.activities += len(case.activities)
            yield case
