"""``migrate``: shows what adopting a changed ladder would do, and does it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

import typer

from ..board.migrate import MigrationPlan
from ..model.stage import Stage
from ..pipeline import Pipeline
from .loading import writing_board
from .options import Allow, Json, OwnPipeline, Url, Yes, confirmed
from .printing import console, counted, printable, table, write_json

__all__ = ["migrate"]

FAILURES = 20


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
    stages = {stage.key: stage for stage in pipeline.stages}
    mapping = {}
    for each in written:
        old, equals, new = each.partition("=")
        if not equals or new not in stages:
            raise typer.BadParameter(
                f"{each!r}: write OLD=NEW, where NEW is one of {', '.join(stages)}",
                param_hint="--rename",
            )
        mapping[old] = stages[new]
    return mapping


def _show(plan: MigrationPlan) -> None:
    out = console()
    if plan.is_under_way:
        out.print("a migration to this definition has begun and is to be finished")
        return
    if not plan.differences:
        out.print("the store holds this definition already", style="green")
        return
    for difference in plan.differences:
        out.print(printable(f"- {difference}"), soft_wrap=not out.is_terminal)
    for stage, count in plan.gone.items():
        line = f"stage {stage} is gone, and {counted(count, 'deal')} in it: --rename {stage}=NEW"
        out.print(printable(line), style="red", soft_wrap=True)
    if plan.gone:
        return
    out.print(f"\n{counted(plan.deals, 'deal')}, each keeps its past:")
    out.print(_stages(plan.stages))
    if plan.due:
        line = f"{counted(plan.due, 'deal')} with a timer due at once: the next sweep moves them"
        out.print(line, style="yellow", soft_wrap=True)
    for failure in plan.failures[:FAILURES]:
        line = f"deal {failure.deal} cannot be carried over: {failure.error}"
        out.print(printable(line), style="red", soft_wrap=True)
    if len(plan.failures) > FAILURES:
        out.print(f"… and {len(plan.failures) - FAILURES:,} more", style="red")


def _stages(counts: Mapping[tuple[str | None, str | None], int]) -> object:
    rows = table("deals", "from", "into", right=("deals",))
    for (old, new), count in counts.items():
        stays = "stay there" if old == new else new or "not open"
        rows.add_row(f"{count:,}", printable(old or "not open"), printable(stays))
    return rows
