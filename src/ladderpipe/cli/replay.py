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
from ..logs.replay import ReplayReport, known_as
from ..logs.replay import replay as replay_log
from ..logs.rows import BadLine
from ..model.clock import instant
from ..model.receipt import Outcome
from ..model.report import DealFailure
from .loading import loaded_pipeline
from .options import Allow, Json, Language
from .printing import (
    console,
    instant_text,
    printable,
    progress,
    status_text,
    table,
    title_of,
    write_json,
)

__all__ = ["replay"]

SHOWN = 20
"""How many bad lines the terminal is told; --errors takes all of them."""
SWEEP = 2_000
"""Deals between two steps of the bar."""


def replay(
    logs: Annotated[
        list[Path],
        typer.Argument(
            metavar="LOG...",
            exists=True,
            dir_okay=False,
            help="CSV, JSON lines, XES or CloudEvents (a JSON object a line); .gz or not",
        ),
    ],
    pipeline: Annotated[
        str,
        typer.Option(
            "--pipeline",
            "-p",
            metavar="PIPELINE",
            help="module:name of a pipeline or of a function that returns one, or a file",
        ),
    ],
    into: Annotated[
        str, typer.Option("--into", metavar="URL", help="store, for example sqlite:///shop.db")
    ],
    log_map: Annotated[
        str | None,
        typer.Option(
            "--map",
            metavar="MAP",
            help=f"what the rows mean: a TOML file, or one of {', '.join(shipped_maps())}; "
            "without one the logs are CloudEvents, or XES that mine export wrote",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="NAME",
            help="name that the log's lines are known by; the file's name when left out",
        ),
    ] = None,
    tick_to: Annotated[
        str,
        typer.Option(
            "--tick-to", metavar="TIME", help="fire timers up to then: now, none, or ISO 8601"
        ),
    ] = "now",
    errors: Annotated[
        Path | None, typer.Option("--errors", metavar="FILE", help="write every bad line here")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="fail when a line is bad")] = False,
    allow: Allow = None,
    language: Language = None,
    json: Json = False,
) -> None:
    """Take logs into a board. Nothing that belongs to the past is sent.

    A line is known again by its file's name and its number, so replaying a log twice, or one that
    has grown, doubles nothing. Bad lines are reported and left out.
    """
    until = _until(tick_to)
    found = None if log_map is None else load_map(log_map)
    _refuse_same_names(logs, found, source)
    ladder = loaded_pipeline(pipeline, allow)
    with Board.open(ladder, into) as board, _errors_file(errors) as told:
        reports = _replay_all(board, logs, found, source, told)
        failures = [] if until is None else _sweep(board, until)
        if json:
            write_json(_record(board, logs, reports, failures))
        else:
            _show(board, logs, reports, failures, language)
    if strict and any(report.failed for report in reports):
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


def _refuse_same_names(
    logs: Sequence[Path], log_map: LogMap | CloudEvents | None, source: str | None
) -> None:
    """Refuse logs whose lines could not be told apart."""
    if not isinstance(log_map, LogMap) or log_map.id is not None:
        return
    names = Counter(known_as(log, log_map, source) for log in logs)
    name, count = names.most_common(1)[0]
    if count > 1:
        raise typer.BadParameter(
            f"{count} of these logs would be known as {name!r}, and their lines could not be told "
            "apart: replay them one by one, each with a --source of its own"
        )


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
    return lambda bad: print(_bad_line(log, bad), file=told)


def _bad_line(log: Path, bad: BadLine) -> str:
    return printable(f"{log}:{bad.number}: {bad.reason}")


def _sweep(board: Board, until: dt.datetime) -> list[DealFailure]:
    """Fire what is due, so that the board stands where its deals would be by then."""
    failures: list[DealFailure] = []
    with progress() as bar:
        task = bar.add_task("timers", total=None)
        while True:
            report = board.tick(limit=SWEEP, until=until)
            failures += report.failures
            bar.advance(task, report.deals)
            if report.deals + len(report.failures) < SWEEP:
                return failures


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


def _show(
    board: Board,
    logs: Sequence[Path],
    reports: Sequence[ReplayReport],
    failures: Sequence[DealFailure],
    language: str | None,
) -> None:
    out = console()
    numbers = ("lines", "ignored", "events", "new", "known already", "bad lines")
    rows = table("log", *numbers, right=numbers, cut=("log",))
    for log, report in zip(logs, reports, strict=True):
        known = report.outcomes.get(Outcome.DUPLICATE, 0)
        counts = (report.lines, report.ignored, report.events, report.accepted, known)
        rows.add_row(printable(log.name), *(f"{n:,}" for n in (*counts, report.failed)))
    out.print(rows)
    _show_outcomes(out, reports)
    _show_undeclared(out, board, reports)
    _show_stages(out, board, language)
    _show_bad_lines(out, logs, reports)
    for failure in failures:
        out.print(printable(f"deal {failure.deal}: {failure.error}"), soft_wrap=True)


def _show_outcomes(out: Console, reports: Sequence[ReplayReport]) -> None:
    outcomes: Counter[Outcome] = Counter()
    for report in reports:
        outcomes.update(report.outcomes)
    told = [f"{outcomes[outcome]:,} {outcome}" for outcome in Outcome if outcomes[outcome]]
    out.print(f"\nevents: {', '.join(told) or 'none'}")


def _show_undeclared(out: Console, board: Board, reports: Sequence[ReplayReport]) -> None:
    counts: Counter[str] = Counter()
    for report in reports:
        counts.update(report.undeclared)
    for kind, count in counts.most_common():
        said = board.pipeline.ladder.undeclared(kind)
        out.print(printable(f"recorded all the same, {count:,} ×: {said}"), soft_wrap=True)


def _show_stages(out: Console, board: Board, language: str | None) -> None:
    counts = _stage_counts(board)
    rows = table("stage", "deals", right=("deals",))
    for stage in board.pipeline.stages:
        title = status_text(title_of(stage, language), stage.status)
        rows.add_row(title, f"{counts[stage.key]:,}")
    out.print()
    out.print(rows)


def _show_bad_lines(out: Console, logs: Sequence[Path], reports: Sequence[ReplayReport]) -> None:
    total = sum(report.failed for report in reports)
    if not total:
        return
    bad = [(log, b) for log, r in zip(logs, reports, strict=True) for b in r.bad_lines]
    out.print(f"\n{total:,} bad line{'s' if total > 1 else ''}, left out:")
    for log, line in bad[:SHOWN]:
        out.print(_bad_line(log, line), soft_wrap=True)
    if total > SHOWN:
        out.print(f"… and {total - SHOWN:,} more: --errors FILE takes all of them")


def _stage_counts(board: Board) -> Counter[str]:
    counts: Counter[str] = Counter()
    for row in board.summary():
        counts[row.stage.key] += row.count
    return counts


def _record(
    board: Board,
    logs: Sequence[Path],
    reports: Sequence[ReplayReport],
    failures: Sequence[DealFailure],
) -> dict[str, Any]:
    counts = _stage_counts(board)
    return {
        "at": instant_text(board.clock.now()),
        "logs": [_log_record(log, report) for log, report in zip(logs, reports, strict=True)],
        "stages": {stage.key: counts[stage.key] for stage in board.pipeline.stages},
        "not_swept": [{"deal": f.deal, "reason": str(f.error)} for f in failures],
    }


def _log_record(log: Path, report: ReplayReport) -> dict[str, Any]:
    return {
        "log": str(log),
        "source": report.source,
        "lines": report.lines,
        "ignored": report.ignored,
        "events": report.events,
        "accepted": report.accepted,
        "outcomes": {outcome.value: report.outcomes.get(outcome, 0) for outcome in Outcome},
        "failed": report.failed,
        "undeclared": dict(report.undeclared),
        "bad_lines": [{"line": bad.number, "reason": bad.reason} for bad in report.bad_lines],
    }
