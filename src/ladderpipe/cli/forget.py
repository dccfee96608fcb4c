"""``forget``: takes a person out of every deal that names them."""

from __future__ import annotations

from typing import Annotated

import typer

from .loading import writing_board
from .options import Allow, Json, OwnPipeline, Url, Yes, confirmed
from .printing import console, counted, printable, write_json

__all__ = ["forget"]


def forget(
    url: Url,
    contact: Annotated[
        str, typer.Argument(metavar="FIELD=VALUE", help="of the contact: email=ada@example.com")
    ],
    properties: Annotated[
        list[str] | None,
        typer.Option(
            "--property", metavar="NAME", help="a property to remove entirely; repeatable"
        ),
    ] = None,
    yes: Yes = False,
    pipeline: OwnPipeline = None,
    allow: Allow = None,
    json: Json = False,
) -> None:
    """Take a person's data out of every deal that names them; the moves stay. It cannot be undone.

    Exits with 1 if a deal could not be done; mend what it says, and forget again.
    """
    field, equals, value = contact.partition("=")
    if not equals or not field:
        raise typer.BadParameter(f"{contact!r}: write FIELD=VALUE", param_hint="FIELD=VALUE")
    with writing_board(url, pipeline, allow) as board:
        confirmed(f"forget the contact with this {printable(field)}, in every deal, for good", yes)
        report = board.forget(properties=properties or (), **{field: value})
    failures = [{"deal": each.deal, "error": str(each.error)} for each in report.failures]
    if json:
        write_json({"deals": list(report.deals), "failures": failures})
    else:
        out = console()
        out.print(f"forgotten in {counted(len(report.deals), 'deal')}")
        for each in report.failures:
            out.print(printable(f"not in deal {each.deal}: {each.error}"), soft_wrap=True)
    if failures:
        raise typer.Exit(1)
