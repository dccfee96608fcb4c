"""``held``: lists the events that are held, tries one again, or puts it aside for good."""

from __future__ import annotations

from typing import Annotated

import typer

from .loading import reading_board, writing_board
from .options import Allow, Json, Name, OwnPipeline, StoredPipeline, Url
from .printing import console, counted, moment, printable, write_json

__all__ = ["held"]

held = typer.Typer(
    name="held",
    help="Events that arrived and cannot be used: list, release, discard.",
    no_args_is_help=True,
)

_Key = Annotated[
    str, typer.Argument(metavar="KEY", help="of the held event, as 'held list' shows it")
]


@held.command("list")
def list_(
    url: Url,
    deal: Annotated[
        str | None, typer.Option("--deal", metavar="DEAL", help="only those of this deal")
    ] = None,
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    json: Json = False,
) -> None:
    """List what is held, the longest held first, with the reason."""
    with reading_board(url, pipeline, allow, name) as board:
        found = board.held(deal)
    if json:
        write_json([each.to_dict() for each in found])
        return
    out = console()
    out.print(f"{counted(len(found), 'event')} held")
    for each in found:
        event = f"deal {each.deal}, {each.event.type} {each.event.id}"
        told = "" if each.told == 1 else f", told {each.told:,} times"
        # Not a table: a key is there to be copied whole, and a reason to be read to its end.
        out.print(f"\n{each.key}", style="bold", soft_wrap=True)
        out.print(
            printable(f"  {event}: {each.kind.value} since {moment(each.since)}{told}"),
            soft_wrap=True,
        )
        out.print(printable(f"  {each.reason}"), soft_wrap=not out.is_terminal)


@held.command()
def release(
    url: Url,
    key: _Key,
    id: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="tell it under this id, for one that conflicts"),
    ] = None,
    pipeline: OwnPipeline = None,
    allow: Allow = None,
    json: Json = False,
) -> None:
    """Try a held event again, now that what kept it back is mended."""
    with writing_board(url, pipeline, allow) as board:
        receipt = board.release(key, id=id)
    if json:
        write_json(receipt.to_dict())
        return
    console().print(
        printable(receipt.outcome.value + (f": {receipt.reason}" if receipt.reason else "")),
        soft_wrap=True,
    )


@held.command()
def discard(
    url: Url,
    key: _Key,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="who puts it aside")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="why; kept on record")],
    pipeline: OwnPipeline = None,
    allow: Allow = None,
    json: Json = False,
) -> None:
    """Put a held event aside for good; told again, it is a duplicate."""
    with writing_board(url, pipeline, allow) as board:
        board.discard(key, by=by, reason=reason)
    if json:
        write_json([key])
    else:
        console().print("discarded")
