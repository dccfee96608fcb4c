"""``move``, ``edit``, ``undo`` and ``withdraw``: what people do to deals by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from ..errors import EventNotFoundError, MissingPropertyError, MoveNotAllowedError
from .loading import writing_board
from .options import (
    Allow,
    By,
    DealId,
    Expecting,
    HandId,
    Json,
    Language,
    OwnPipeline,
    Properties,
    Reason,
    Url,
    named_values,
)
from .receipts import show_receipt

__all__ = ["edit", "move", "undo", "withdraw"]

_EMPTIED = ("owner", "value", "title", "company")
"""Fields of a deal that may be emptied; a contact and properties are, part by part."""


Into = Annotated[str, typer.Argument(metavar="STAGE", help="key of the stage to move into")]
Past = Annotated[bool, typer.Option("--override", help="move past the rules; the history says so")]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="when it was, if in the past: 2026-01-09T16:00Z"),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="send nothing of what the move asks for now")]


def move(
    url: Url,
    deal: DealId,
    stage: Into,
    by: By,
    reason: Reason = None,
    properties: Properties = None,
    override: Past = False,
    at: At = None,
    expecting: Expecting = None,
    id: HandId = None,
    quiet: Quiet = False,
    pipeline: OwnPipeline = None,
    allow: Allow = None,
    language: Language = None,
    json: Json = False,
) -> None:
    """Move a deal by hand, as the pipeline's by_hand rules allow."""
    given = named_values("--set", properties)
    with writing_board(url, pipeline, allow) as board:
        act = board.override if override else board.move
        try:
            receipt = act(
                deal,
                stage,
                by=by,
                reason=reason,
                properties=given or None,
                at=at,
                expecting=expecting,
                id=id,
                quiet=quiet,
            )
        except MissingPropertyError as error:
            raise MissingPropertyError(f"{error} (here: --set NAME=VALUE)") from error
        except MoveNotAllowedError as error:
            raise MoveNotAllowedError(f"{error} (here: --override)") from error
    show_receipt(receipt, deal, None, language, json)


NewOwner = Annotated[
    str | None, typer.Option("--owner", metavar="NAME", help="who has it from now on")
]
Value = Annotated[str | None, typer.Option("--value", metavar="AMOUNT", help="what it is worth")]
Currency = Annotated[
    str | None,
    typer.Option("--currency", metavar="CODE", help="of the amounts; nothing is converted"),
]
Title = Annotated[str | None, typer.Option("--title", metavar="TEXT", help="its title")]
Company = Annotated[str | None, typer.Option("--company", metavar="NAME", help="whom it is with")]
Contact = Annotated[
    list[str] | None,
    typer.Option(
        "--contact",
        metavar="FIELD=VALUE",
        help="a field of the contact; FIELD:=null erases it; repeatable",
    ),
]
Empty = Annotated[
    list[str] | None,
    typer.Option("--empty", metavar="FIELD", help=f"empty {', '.join(_EMPTIED[:-1])} or company"),
]
Note = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="kept in the history")]


def edit(
    url: Url,
    deal: DealId,
    by: By,
    owner: NewOwner = None,
    value: Value = None,
    currency: Currency = None,
    title: Title = None,
    company: Company = None,
    contact: Contact = None,
    properties: Properties = None,
    empty: Empty = None,
    note: Note = None,
    expecting: Expecting = None,
    id: HandId = None,
    pipeline: OwnPipeline = None,
    allow: Allow = None,
    language: Language = None,
    json: Json = False,
) -> None:
    """Correct what is known of a deal, closed ones too; the history tells who."""
    said = {"owner": owner, "value": value, "currency": currency, "title": title}
    said["company"] = company
    parts = {"contact": named_values("--contact", contact)}
    parts["properties"] = named_values("--set", properties)
    fields = _fields(said, **parts)
    fields |= _emptied(empty or (), fields)
    if not fields and not note:
        raise typer.BadParameter(
            "it changes nothing and notes nothing: say what, with --owner, --value, --set or --note"
        )
    with writing_board(url, pipeline, allow) as board:
        receipt = board.edit(deal, by=by, note=note, expecting=expecting, id=id, **fields)
    show_receipt(receipt, deal, "edited", language, json)


def undo(
    url: Url,
    deal: DealId,
    by: By,
    event: Annotated[
        str | None,
        typer.Option("--event", metavar="ID", help="of the move, override or edit to take back"),
    ] = None,
    expecting: Annotated[
        str | None,
        typer.Option(
            "--expecting", metavar="STAGE", help="take the last one back, if the deal is there"
        ),
    ] = None,
    reason: Reason = None,
    id: HandId = None,
    pipeline: OwnPipeline = None,
    allow: Allow = None,
    language: Language = None,
    json: Json = False,
) -> None:
    """Take back what was done to a deal by hand: a move, an override or an edit."""
    if event is None and expecting is None:
        raise typer.BadParameter(
            "name what is taken back with --event, or the stage in which you see the deal with "
            "--expecting, so that the same command twice does not undo two"
        )
    with writing_board(url, pipeline, allow) as board:
        receipt = board.undo(deal, by=by, event=event, expecting=expecting, reason=reason, id=id)
    show_receipt(receipt, deal, "taken back", language, json)


def withdraw(
    url: Url,
    event: Annotated[str, typer.Argument(metavar="EVENT", help="id of the event")],
    by: By,
    source: Annotated[
        str, typer.Option("--source", metavar="SOURCE", help="of the event, if it has one")
    ] = "",
    reason: Reason = None,
    id: HandId = None,
    pipeline: OwnPipeline = None,
    allow: Allow = None,
    language: Language = None,
    json: Json = False,
) -> None:
    """Take any event back: its deal becomes as if it had never been told."""
    with writing_board(url, pipeline, allow) as board:
        try:
            receipt = board.withdraw(event, by=by, reason=reason, source=source, id=id)
        except EventNotFoundError as error:
            raise EventNotFoundError(
                f"{error} (here: --source; ladderpipe history URL DEAL --json tells both)"
            ) from error
    deal = receipt.deal_or_none
    named = f"event {event}" if deal is None else deal.id
    show_receipt(receipt, named, "taken back", language, json)


def _fields(said: dict[str, str | None], **parts: dict[str, Any]) -> dict[str, Any]:
    """Return what an edit says, without what it does not."""
    told = {name: value for name, value in said.items() if value is not None}
    return {**told, **{name: part for name, part in parts.items() if part}}


def _emptied(names: Iterable[str], fields: dict[str, Any]) -> dict[str, Any]:
    for name in names:
        if name not in _EMPTIED or name in fields:
            raise typer.BadParameter(
                f"{name!r}: one of {', '.join(_EMPTIED)}, and not set as well", param_hint="--empty"
            )
    return dict.fromkeys(names)
