"""``replay``: takes logs into a board, quietly, with a bar and a report."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from ..board.board import Board
from ..errors import InstantError
from ..logs.log_map import CloudEvents, LogMap
from ..logs.map_files import load_map, shipped_maps
from ..logs.replay import ReplayReport
from ..logs.replay import replay as replay_log
from ..logs.rows import BadLine
from ..model.clock import instant
from ..model.report import DealFailure, TickReport
from .loading import keys_told, loaded_pipeline
from .options import Allow, Errors, Json, Language, NeededPipeline
from .printing import printable, progress, write_json
from .replay_buckets import replay_into_folder
from .replay_told import replay_record, show_replay

__all__ = ["replay"]

SWEEP = 2_000
"""Deals between two steps of the bar."""


Logs = Annotated[
    list[Path],
    typer.Argument(
        metavar="LOG...",
        exists=True,
        dir_okay=False,
        help="CSV, JSON lines, XES or CloudEvents (a JSON object a line), .gz or not; or one "
        "Parquet file of events as columns, into a folder",
    ),
]
Map = Annotated[
    str | None,
    typer.Option(
        "--map",
        metavar="MAP",
        help=f"what the rows mean: a TOML file, or one of {', '.join(shipped_maps())}; "
        "without one the logs are CloudEvents, or XES that mine export wrote",
    ),
]
Numberer = Annotated[
    str | None,
    typer.Option(
        "--source",
        metavar="NAME",
        help="who numbers the rows, where the map names an id; else their content is their id",
    ),
]
TickTo = Annotated[
    str,
    typer.Option(
        "--tick-to", metavar="TIME", help="fire timers up to then: now, none, or ISO 8601"
    ),
]
IntoFolder = Annotated[
    str,
    typer.Option(
        "--into",
        metavar="URL",
        help="store, for example sqlite:///shop.db; with --buckets, a folder",
    ),
]
Buckets = Annotated[
    int | None,
    typer.Option(
        "--buckets",
        metavar="N",
        min=1,
        help="fold into a folder of tables, cut into so many parts: one for every five million "
        "events; of Parquet they can be counted",
    ),
]
Processes = Annotated[
    int,
    typer.Option("--processes", metavar="N", min=1, help="with --buckets: how many fold at once"),
]
Strict = Annotated[bool, typer.Option("--strict", help="fail when a line is bad")]


def replay(
    logs: Logs,
    pipeline: NeededPipeline,
    into: IntoFolder,
    log_map: Map = None,
    source: Numberer = None,
    tick_to: TickTo = "now",
    errors: Errors = None,
    strict: Strict = False,
    allow: Allow = None,
    language: Language = None,
    buckets: Buckets = None,
    processes: Processes = 1,
    json: Json = False,
) -> None:
    """Take logs into a board. Nothing that belongs to the past is sent.

    A row is known again by its id, or by its content, so replaying a log twice, or one that has
    grown or was exported anew, doubles nothing. Bad lines are left out, reported by their reason;
    when most are bad, the command fails.

    With --buckets, logs that are larger than memory go into a folder of tables instead of a board:
    the same command goes on where a killed one ended, and ladderpipe report FOLDER reports on it.
    """
    until = _until(tick_to)
    found = None if log_map is None else load_map(log_map)
    ladder = loaded_pipeline(pipeline, allow)
    if buckets is not None or logs[0].suffix == ".parquet":
        with _errors_file(errors) as told:
            lines = replay_into_folder(
                logs,
                ladder,
                into,
                log_map=found,
                source=source,
                until=until,
                is_now=tick_to == "now",
                buckets=buckets,
                processes=processes,
                errors=told,
                json=json,
            )
        if any(bad > (0 if strict else good) for bad, good in lines):
            raise typer.Exit(1)
        return
    with Board.open(ladder, into, keys=keys_told()) as board, _errors_file(errors) as told:
        reports = _replay_all(board, logs, found, source, told)
        swept = TickReport(0, 0) if until is None else _sweep(board, until)
        if json:
            write_json(replay_record(board, logs, reports, swept))
        else:
            show_replay(board, logs, reports, swept, language)
    is_bad = any(report.failed if strict else report.is_mostly_bad for report in reports)
    if is_bad:
        raise typer.Exit(1)


def _until(tick_to: str) -> dt.datetime | None:
    now = dt.datetime.now(dt.UTC)
    if tick_to in ("now", "none"):
        return now if tick_to == "now" else None
    try:
        until = instant(tick_to)
    except InstantError as error:
        raise typer.BadParameter(f"--tick-to: {error}; or write now, or none") from None
    if until > now:
        raise typer.BadParameter(f"--tick-to {tick_to} lies in the future: write now")
    return until


@contextlib.contextmanager
def _errors_file(path: Path | None) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        yield file


def _replay_all(
    board: Board,
    logs: Sequence[Path],
    log_map: LogMap | CloudEvents | None,
    source: str | None,
    told: TextIO | None,
) -> list[ReplayReport]:
    reports = []
    with _bytes_bar() as bar:
        for log in logs:
            task = bar.add_task(log.name, total=log.stat().st_size)

            def on_progress(done: int, task: Any = task) -> None:
                bar.update(task, completed=done)

            reports.append(
                replay_log(
                    board,
                    log,
                    log_map,
                    source=source,
                    on_progress=on_progress,
                    on_bad_line=_teller(log, told),
                )
            )
    return reports


def _teller(log: Path, told: TextIO | None) -> Callable[[BadLine], None] | None:
    if told is None:
        return None
    return lambda bad: print(printable(f"{log}:{bad.number}: {bad.reason}"), file=told)


def _sweep(board: Board, until: dt.datetime) -> TickReport:
    """Fire what is due, so that the board stands where its deals would be by then."""
    failures: list[DealFailure] = []
    timers: Counter[str] = Counter()
    deals = 0
    with progress() as bar:
        task = bar.add_task("timers", total=None)
        while True:
            report = board.tick(limit=SWEEP, until=until)
            failures += report.failures
            timers.update(report.timers)
            deals += report.deals
            bar.advance(task, report.deals)
            if report.deals + len(report.failures) < SWEEP:
                return TickReport(deals, timers.total(), tuple(failures), timers=dict(timers))


def _bytes_bar() -> Progress:
    err = Console(stderr=True, highlight=False)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
