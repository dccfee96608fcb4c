"""``event``: tells a board one event, as a shop would."""

from __future__ import annotations

import json as json_text
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ..model.event import Event
from ..model.receipt import Outcome
from .loading import writing_board
from .options import Allow, Json, Language, OwnPipeline, Url, named_values
from .printing import console, printable
from .receipts import show_receipt

__all__ = ["event"]


def event(
    url: Url,
    type: Annotated[str, typer.Argument(metavar="TYPE", help="for example order.confirmed")],
    deal: Annotated[str, typer.Option("--deal", metavar="DEAL", help="id of the deal")],
    id: Annotated[
        str,
        typer.Option("--id", metavar="ID", help="what names it: told again, it changes nothing"),
    ],
    source: Annotated[
        str, typer.Option("--source", metavar="SOURCE", help="who tells it, if ids are theirs")
    ] = "",
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="when it was; now if not"),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="JSON", help="what it tells, as a JSON object")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="one thing that it tells; NAME:=JSON for what is not text; repeatable",
        ),
    ] = None,
    hold: Annotated[
        bool, typer.Option("--hold", help="keep it with the reason where it cannot be used")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="send nothing of what it asks for now")
    ] = False,
    pipeline: OwnPipeline = None,
    allow: Allow = None,
    language: Language = None,
    json: Json = False,
) -> None:
    """Tell the board one event, as a shop would, and say what came of it.

    Exits with 1 if it is held.
    """
    said = {**_object(data), **named_values("--set", values)}
    with writing_board(url, pipeline, allow) as board:
        when = at or board.clock.now()
        told = Event(type, deal=deal, id=id, source=source, at=when, data=said)
        receipt = board.handle(told, hold, quiet=quiet)
    if not json and receipt.outcome not in (Outcome.OPENED, Outcome.MOVED, Outcome.DUPLICATE):
        console().print(printable(f"{deal}: {receipt.outcome.value}"), soft_wrap=True)
    show_receipt(receipt, deal, None, language, json)
    if receipt.outcome is Outcome.HELD:
        raise typer.Exit(1)


def _object(written: str | None) -> dict[str, Any]:
    try:
        found = json_text.loads(written or "{}")
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint="--data") from None
    if not isinstance(found, Mapping):
        raise typer.BadParameter("write a JSON object, {…}", param_hint="--data")
    return dict(found)
