"""Arguments and options that several commands share, each declared once."""

from __future__ import annotations

import datetime as dt
import json as json_text
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ..errors import InstantError
from ..model.clock import instant

__all__ = [
    "Allow",
    "AsOf",
    "By",
    "Candid",
    "DealId",
    "Definition",
    "Definitions",
    "Expecting",
    "HandId",
    "Into",
    "Json",
    "Language",
    "Name",
    "NeededPipeline",
    "Out",
    "OwnPipeline",
    "Properties",
    "Reason",
    "StoredPipeline",
    "Url",
    "Yes",
    "confirmed",
    "named_values",
    "past_instant",
]

_PIPELINE = "module:name of a pipeline or of a function that returns one, or a definition file"

Url = Annotated[
    str, typer.Argument(metavar="URL", help="where the deals are, for example sqlite:///shop.db")
]
Definition = Annotated[str, typer.Argument(metavar="PIPELINE", help=_PIPELINE)]
Definitions = Annotated[
    list[str], typer.Argument(metavar="PIPELINE", help=f"{_PIPELINE}; several are shown together")
]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", metavar="TIME", help="as it was at this instant, in ISO 8601; now if not"
    ),
]
DealId = Annotated[str, typer.Argument(metavar="DEAL", help="id of the deal")]
StoredPipeline = Annotated[
    str | None,
    typer.Option(
        "--pipeline", "-p", metavar="PIPELINE", help=f"{_PIPELINE}; what the store keeps if not"
    ),
]
OwnPipeline = Annotated[
    str | None, typer.Option("--pipeline", "-p", metavar="PIPELINE", help=_PIPELINE)
]
NeededPipeline = Annotated[
    str, typer.Option("--pipeline", "-p", metavar="PIPELINE", help=_PIPELINE)
]
Into = Annotated[
    str, typer.Option("--into", metavar="URL", help="store, for example sqlite:///shop.db")
]
Errors = Annotated[
    Path | None,
    typer.Option("--errors", metavar="FILE", help="write what is left out here, and why"),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        "--allow", metavar="MODULE", help="a module a definition may import; may be repeated"
    ),
]
Name = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="which pipeline, if the store holds several"),
]
Language = Annotated[
    Literal["it", "en"] | None,
    typer.Option("--language", "-l", help="of the titles; the definition's first when left out"),
]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="write it there instead")
]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="who does it; kept in the history")]
Reason = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="why; kept in the history")
]
Properties = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="a property; NAME:=JSON for what is not text; repeatable",
    ),
]
Expecting = Annotated[
    str | None, typer.Option("--expecting", metavar="STAGE", help="refuse if the deal is not there")
]
HandId = Annotated[
    str | None,
    typer.Option("--id", metavar="ID", help="makes the same command, given again, harmless"),
]
Json = Annotated[bool, typer.Option("--json", help="print JSON instead")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask")]
Candid = Annotated[
    bool,
    typer.Option("--candid", help="name deals and quote errors, which may be personal data"),
]


def past_instant(written: str) -> dt.datetime:
    """Return the instant that ``--as-of`` names.

    Raises:
        typer.BadParameter: it is none, or lies ahead.
    """
    try:
        at = instant(written)
    except InstantError as error:
        raise typer.BadParameter(str(error), param_hint="--as-of") from None
    if at > dt.datetime.now(dt.UTC):
        raise typer.BadParameter(
            f"{written} lies ahead: leave it out for now", param_hint="--as-of"
        )
    return at


def named_values(option: str, written: Iterable[str] | None) -> dict[str, Any]:
    """Return what ``NAME=VALUE`` says, or ``NAME:=JSON`` where it is not text.

    Raises:
        typer.BadParameter: it says neither.
    """
    return dict(_named(option, each) for each in written or ())


def _named(option: str, written: str) -> tuple[str, Any]:
    name, equals, value = written.partition("=")
    if not equals or not name.rstrip(":"):
        raise typer.BadParameter(f"{written!r}: write NAME=VALUE", param_hint=option)
    if not name.endswith(":"):
        return name, value
    try:
        return name[:-1], json_text.loads(value)
    except ValueError:
        raise typer.BadParameter(f"{value!r} is not JSON", param_hint=option) from None


def confirmed(what: str, yes: bool) -> None:
    """Ask whether to do what cannot be undone, unless that was said.

    Raises:
        typer.BadParameter: there is nobody to ask.
        typer.Exit: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter("there is nobody to ask here: pass --yes", param_hint="--yes")
    if not typer.confirm(f"{what[0].upper()}{what[1:]}?", err=True):
        typer.echo("nothing was changed")
        raise typer.Exit(1)
