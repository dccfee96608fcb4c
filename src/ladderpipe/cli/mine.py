"""``mine``: event logs for process mining, out of a store and into one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ..model.refusals import grouped
from .loading import reading_board
from .options import Allow, Json, Name, StoredPipeline, Url
from .printing import console, counted, printable, progress, write_json
from .replay import replay
from .replay_told import show_groups

__all__ = ["mine"]

mine = typer.Typer(
    name="mine",
    help="Write event logs for process mining, and take them in.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@mine.command("export")
def export(
    url: Url,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="LOG",
            dir_okay=False,
            help="ends in .xes, .csv, or .json and .jsonocel for OCEL 2.0; .gz behind it or not",
        ),
    ],
    what: Annotated[
        Literal["moves", "events"],
        typer.Option("--what", help="activities are the stages that deals entered, or events"),
    ] = "moves",
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="TIME", help="up to this instant, in ISO 8601; now if not"),
    ] = None,
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    json: Json = False,
) -> None:
    """Write a store's deals as an event log: a case for every deal.

    With --what events, an XES log holds the events whole, contacts and all, so that it can be
    taken in again.
    """
    from .. import insight

    with reading_board(url, pipeline, allow, name) as board, progress() as bar:
        task = bar.add_task(printable(board.pipeline.name), total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        report = insight.export_log(board, path, what=what, as_of=as_of, progress=show)
    if json:
        write_json(_record(path, report))
    else:
        _show(path, report)


mine.command("import", short_help="Take event logs into a board, as replay does.")(replay)


def _show(path: Path, report: Any) -> None:
    out = console()
    cases, activities = counted(report.cases, "case"), f"{report.activities:,} activities"
    out.print(f"{printable(str(path))}: {cases}, {activities}", soft_wrap=True)
    if report.removed:
        out.print(f"not in it: {counted(report.removed, 'deal')} removed from the store")
    show_groups(
        out,
        "deals stand as they are stored",
        grouped((problem.where, problem.reason) for problem in report.problems),
    )


def _record(path: Path, report: Any) -> dict[str, Any]:
    return {
        "log": str(path),
        "cases": report.cases,
        "activities": report.activities,
        "removed": report.removed,
        "problems": [str(problem) for problem in report.problems],
    }
