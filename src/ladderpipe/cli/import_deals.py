"""``import``: brings deals over from another system, or says what would come of it."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import attrs
import typer
from rich.console import Console

from ..board.board import Board
from ..errors import StoreError
from ..logs.crm_map import crm_map, shipped_crm_maps
from ..logs.deal_export import DealExport, told_deals
from ..model.deal_import import ImportReport, OverdueDeal
from ..pipeline import Pipeline
from .loading import keys_told, loaded_pipeline, opened_store
from .options import Allow, Errors, Into, Json, Language, NeededPipeline
from .printing import (
    console,
    counted,
    instant_text,
    moment,
    printable,
    status_text,
    table,
    title_of,
    write_json,
)
from .replay_told import show_groups

__all__ = ["import_deals"]

SHOWN = 10
"""How many owners, and overdue deals, the terminal is told."""
_OVERDUE = tuple(field.name for field in attrs.fields(OverdueDeal))


Exports = Annotated[
    list[Path],
    typer.Argument(
        metavar="EXPORT...",
        exists=True,
        dir_okay=False,
        help="CSV or JSON lines with a row a deal, or a row a change of stage; .gz or not",
    ),
]
ExportMap = Annotated[
    str,
    typer.Option(
        "--map",
        metavar="MAP",
        help=f"what the columns mean: a TOML file, or one of {', '.join(shipped_crm_maps())}",
    ),
]
Histories = Annotated[
    list[Path] | None,
    typer.Option(
        "--history",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="a stage history, a row a change; known by its columns among the exports, too",
    ),
]
Zone = Annotated[
    str | None,
    typer.Option("--zone", metavar="ZONE", help="of times that name none, such as Europe/Rome"),
]
Teller = Annotated[
    str | None,
    typer.Option(
        "--source",
        metavar="NAME",
        help="who tells, by which deals are known again; the map's pipeline when left out",
    ),
]
Grace = Annotated[
    float | None,
    typer.Option(
        "--grace",
        metavar="DAYS",
        min=0,
        help="let what is overdue move that much later, instead of with the first sweep",
    ),
]
StartSequences = Annotated[
    bool,
    typer.Option("--start-sequences", help="count the sequences of open deals' stages from now"),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="write nothing; say what would come of it")]
Overdue = Annotated[
    Path | None,
    typer.Option("--overdue", metavar="FILE", help="write every overdue deal here, as CSV"),
]
Strict = Annotated[bool, typer.Option("--strict", help="fail when a deal is refused")]


def import_deals(
    exports: Exports,
    export_map: ExportMap,
    pipeline: NeededPipeline,
    into: Into,
    history: Histories = None,
    zone: Zone = None,
    source: Teller = None,
    grace: Grace = None,
    start_sequences: StartSequences = False,
    dry_run: DryRun = False,
    overdue: Overdue = None,
    errors: Errors = None,
    strict: Strict = False,
    allow: Allow = None,
    language: Language = None,
    json: Json = False,
) -> None:
    """Bring deals over from another system: their past as it was, your rules from now on.

    Nothing of the past is sent. Done again it changes nothing; a newer export adds what is new.
    When most deals are refused, the command fails.
    """
    found = crm_map(export_map)
    ladder = loaded_pipeline(pipeline, allow)
    try:
        deals = told_deals(exports, found, ladder, history=history or (), zone=zone)
    except ValueError as error:
        raise typer.BadParameter(f"--zone: {error}") from None
    with (
        _board(ladder, into, dry_run) as board,
        _told_of_overdue(overdue) as on_overdue,
        _told_of_refused(errors) as on_refused,
    ):
        report = board.import_deals(
            deals,
            source=source or found.pipeline,
            grace=None if grace is None else dt.timedelta(days=grace),
            start_sequences=start_sequences,
            dry_run=dry_run,
            on_overdue=on_overdue,
            on_refused=on_refused,
        )
        if json:
            write_json(_record(report, deals))
        else:
            _show(board, report, deals, language)
    if report.is_mostly_refused or (strict and report.refused):
        raise typer.Exit(1)


@contextlib.contextmanager
def _board(ladder: Pipeline, into: str, dry_run: bool) -> Iterator[Board]:
    """Open the board; for a dry run one that writes nothing, where there is none yet in memory."""
    if not dry_run:
        with Board.open(ladder, into, keys=keys_told()) as board:
            yield board
        return
    with _found(ladder, into) as board:
        yield board


def _found(ladder: Pipeline, into: str) -> Board:
    """Return a board that only reads; one of this process's memory where there is none yet."""
    try:
        store = opened_store(into)
    except StoreError:
        return Board(ladder)
    try:
        return Board(ladder, store=store, read_only=True)
    except StoreError:
        store.close()
        return Board(ladder)


@contextlib.contextmanager
def _told_of_overdue(path: Path | None) -> Iterator[Callable[[OverdueDeal], None] | None]:
    if path is None:
        yield None
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(_OVERDUE)
        yield lambda each: rows.writerow(_overdue_record(each).values())


@contextlib.contextmanager
def _told_of_refused(path: Path | None) -> Iterator[Callable[[str, str], None] | None]:
    if path is None:
        yield None
        return
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        yield lambda where, why: print(printable(f"{where}: {why}"), file=file)


def _show(board: Board, report: ImportReport, deals: DealExport, language: str | None) -> None:
    out = console()
    refused = sum(group.count for group in report.refused)
    would = "would be " if report.dry_run else ""
    told = f"{counted(report.deals, 'deal')} {would}brought over at {moment(report.at)} UTC"
    out.print(
        f"{told}: {report.new:,} new, {report.changed:,} changed, {report.unchanged:,} known as "
        f"they are; {refused:,} refused, {deals.left_out:,} left out by the map",
        soft_wrap=True,
    )
    if report.first_at is not None and report.last_at is not None:
        out.print(f"from {moment(report.first_at)} to {moment(report.last_at)} UTC")
    if report.undated:
        out.print(
            f"{counted(report.undated, 'deal')} with no date of entry into the present stage: "
            "it counts from now",
            soft_wrap=True,
        )
    rows = table("stage", "deals", right=("deals",))
    for stage in board.pipeline.stages:
        count = report.stages.get(stage.key, 0)
        rows.add_row(status_text(title_of(stage, language), stage.status), f"{count:,}")
    out.print(rows)
    out.print(printable(f"owners: {_counted(report.owners)}"), soft_wrap=True)
    out.print(printable(f"currencies: {_counted(report.currencies)}"), soft_wrap=True)
    _show_overdue(out, board, report, language)
    show_groups(out, "refused; --errors FILE takes all of them", report.refused)
    show_groups(out, "parts left out of deals", report.doubts)


def _counted(counts: Mapping[str | None, int]) -> str:
    told = [f"{name or 'not known'} {count:,}" for name, count in counts.items()]
    more = f", … and {len(told) - SHOWN:,} more" if len(told) > SHOWN else ""
    return ", ".join(told[:SHOWN]) + more


def _show_overdue(out: Console, board: Board, report: ImportReport, language: str | None) -> None:
    """Tell what will move, when, and some of it; nothing where nothing was told anew."""
    total = sum(report.overdue.values())
    if not total:
        if report.events:
            out.print("no timer of these is overdue: they stay where they are at the first sweep")
        return
    at = report.overdue_deals[0].moves_at
    when = "at the first sweep" if at <= report.at else f"on {moment(at)} UTC"
    out.print(
        f"\n{counted(total, 'deal')} overdue, to move {when} unless something happens before:"
    )
    for (stage, into), count in report.overdue.items():
        ways = [title_of(board.pipeline.stage(key), language) for key in (stage, into)]
        out.print(printable(f"  {count:,} from {ways[0]} into {ways[1]}"), soft_wrap=True)
    for each in report.overdue_deals[:SHOWN]:
        out.print(printable(f"  {each.deal}: due since {moment(each.due_at)}"), soft_wrap=True)
    if total > SHOWN:
        out.print(f"  … and {total - SHOWN:,} more: --overdue FILE takes all of them")


def _record(report: ImportReport, deals: DealExport) -> dict[str, Any]:
    return {
        "at": instant_text(report.at),
        "dry_run": report.dry_run,
        "deals": report.deals,
        "new": report.new,
        "changed": report.changed,
        "unchanged": report.unchanged,
        "events": report.events,
        "left_out": deals.left_out,
        "undated": report.undated,
        "first_at": instant_text(report.first_at),
        "last_at": instant_text(report.last_at),
        "stages": dict(report.stages),
        "owners": _named(report.owners, "owner"),
        "currencies": _named(report.currencies, "currency"),
        "overdue": [
            {"stage": stage, "into": into, "count": count}
            for (stage, into), count in report.overdue.items()
        ],
        "overdue_deals": [_overdue_record(each) for each in report.overdue_deals],
        "refused": [attrs.asdict(group) for group in report.refused],
        "doubts": [attrs.asdict(group) for group in report.doubts],
    }


def _named(counts: Mapping[str | None, int], what: str) -> list[dict[str, Any]]:
    return [{what: name, "count": count} for name, count in counts.items()]


def _overdue_record(each: OverdueDeal) -> dict[str, Any]:
    told = attrs.asdict(each)
    return told | {name: instant_text(told[name]) for name in ("due_at", "moves_at")}
