"""``migrate``: shows what adopting a changed ladder would do, and does it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

import typer

from ..board.migrate import MigrationPlan
from ..board.migration_text import differences_told, rows_told, stages_named, trouble_told
from ..errors import DefinitionError
from ..model.stage import Stage
from ..pipeline import Pipeline
from .loading import writing_board
from .options import Allow, Json, OwnPipeline, Url, Yes, confirmed
from .printing import console, counted, printable, table, write_json

__all__ = ["migrate"]

_STYLES: Final = {"plain": "", "good": "green", "look": "yellow", "bad": "red"}


def migrate(
    url: Url,
    pipeline: OwnPipeline = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(
            "--rename", metavar="OLD=NEW", help="where a stage that is gone goes; repeatable"
        ),
    ] = None,
    yes: Yes = False,
    plan: Annotated[bool, typer.Option("--plan", help="only show it; change nothing")] = False,
    allow: Allow = None,
    json: Json = False,
) -> None:
    """Adopt a changed ladder for every deal: first what would change, then, if you agree, do it.

    Exits with 1 when something stands in the way, with --plan too. With --json it asks nothing:
    pass --plan or --yes.
    """
    if json and not plan and not yes:
        raise typer.BadParameter("with --json nothing can be asked: pass --plan or --yes")
    with writing_board(url, pipeline, allow, adopting=True) as board:
        mapping = _mapping(board.pipeline, rename or ())
        told = board.migration_plan(mapping)
        if not json:
            _show(told)
        if not told.is_possible or plan:
            if json:
                write_json({"plan": told.to_dict(), "migrated": None})
            raise typer.Exit(0 if told.is_possible else 1)
        if told.differences or told.is_under_way:
            confirmed("go on", yes)
        report = board.migrate(mapping)
    if json:
        write_json({"plan": told.to_dict(), "migrated": report.deals})
    elif told.differences or told.is_under_way:
        console().print(f"done: {counted(report.deals, 'deal')} carried over")


def _mapping(pipeline: Pipeline, written: Iterable[str]) -> dict[str, Stage]:
    try:
        return stages_named(pipeline, written)
    except DefinitionError as error:
        raise typer.BadParameter(str(error), param_hint="--rename") from None


def _show(plan: MigrationPlan) -> None:
    _print(differences_told(plan))
    if plan.gone or plan.is_under_way or not plan.differences:
        return
    out = console()
    out.print(f"\n{counted(plan.deals, 'deal')}, each keeps its past:")
    rows = table("deals", "from", "into", right=("deals",))
    for row in rows_told(plan):
        rows.add_row(*map(printable, row))
    out.print(rows)
    _print(trouble_told(plan))


def _print(lines: Iterable[tuple[str, str]]) -> None:
    out = console()
    for tone, line in lines:
        is_whole = tone != "plain" or not out.is_terminal
        out.print(printable(line), style=_STYLES[tone], soft_wrap=is_whole)
