"""``tasks``, ``done`` and ``assign``: what salespeople have to do, and who does it."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from ..board.board import Board
from ..board.listing import MOST
from .loading import existing_store, reading_board, stored_pipeline, writing_board
from .options import Allow, By, Json, Name, OwnPipeline, StoredPipeline, Url
from .printing import console, moment, printable, write_json, write_json_lines

__all__ = ["assign", "done", "tasks"]

LIMIT: Final = 50

_Key = Annotated[str, typer.Argument(metavar="TASK", help="key of the task, as 'tasks' shows it")]


def tasks(
    url: Url,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="NAME", help="only those of this person")
    ] = None,
    deal: Annotated[
        str | None, typer.Option("--deal", metavar="DEAL", help="only those of this deal")
    ] = None,
    due_by: Annotated[
        str | None,
        typer.Option("--due-by", metavar="TIME", help="only those due by then, in ISO 8601"),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=0,
            max=MOST,
            metavar="N",
            help=f"at most so many; 0 for all; {LIMIT} if not, and all as JSON",
        ),
    ] = None,
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    json: Json = False,
) -> None:
    """List the open tasks, the most urgent first."""
    with reading_board(url, pipeline, allow, name) as board:
        most = limit if limit is not None else 0 if json else LIMIT
        if most:
            page = board.task_page(owner=owner, deal=deal, due_by=due_by, limit=most)
            found, more = list(page.tasks), page.count - len(page.tasks)
        else:
            found, more = board.tasks(owner=owner, deal=deal, due_by=due_by), 0
    if json:
        write_json_lines(task.to_dict() for task in found)
        return
    out = console()
    for task in found:
        # Not a table: a key is there to be copied whole.
        out.print(task.key, style="bold", soft_wrap=True)
        whose = f", {task.owner}" if task.owner else ""
        out.print(
            printable(f"  {task.title} (deal {task.deal}{whose}), due {moment(task.due_at)} UTC"),
            soft_wrap=True,
        )
    if not found:
        out.print("no such tasks")
    if more:
        out.print(f"… and {more:,} more: the first {len(found):,} are shown, --limit 0 shows all")


def done(
    url: Url,
    task: _Key,
    pipeline: OwnPipeline = None,
    allow: Allow = None,
    json: Json = False,
) -> None:
    """Note that a person has done a task."""
    with writing_board(url, pipeline, allow) as board:
        completed = board.complete(task)
    if json:
        write_json(completed.to_dict())
        return
    console().print(printable(f"{completed.title} (deal {completed.deal}): done"), soft_wrap=True)


def assign(
    url: Url,
    task: _Key,
    by: By,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="NAME", help="who does it; whoever owns the deal if not"),
    ] = None,
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    json: Json = False,
) -> None:
    """Give an open task to somebody, or back to whoever owns its deal."""
    with existing_store(url) as store:
        board = Board(stored_pipeline(store, pipeline, allow, name), store=store)
        given = board.assign(task, to, by=by)
    if json:
        write_json(given.to_dict())
        return
    line = f"{given.title} (deal {given.deal}): {given.owner or 'nobody'}"
    console().print(printable(line), soft_wrap=True)
