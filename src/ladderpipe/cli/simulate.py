"""``simulate``: play a ladder with one deal, and see what would be sent and when."""

from __future__ import annotations

import datetime as dt
import json as json_text
import re
import sys
from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from ..errors import LadderError
from ..model.clock import instant
from .loading import loaded_pipeline
from .options import Allow, Definition, Language, named_values
from .printing import console, money, printable
from .simulation import DEAL, Simulation, written

__all__ = ["simulate"]

START: Final = "2026-01-05T09:00:00Z"

_HELP: Final = """\
  3                       the third of what may happen here
  TYPE [JSON]             any event, with what it tells:  order.confirmed {"value": "80"}
  move STAGE [NAME=VALUE] by hand, with the properties that the stage requires
  wait 2d                 let time pass: 30m, 12h, 2d, 1w
  next                    let time pass until something is due
  undo                    take back the last move by hand
  explain                 what every event and timer did, and why other rules did not
  quit                    or Ctrl-D"""

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def simulate(
    pipeline: Definition,
    start: Annotated[
        str, typer.Option("--start", metavar="TIME", help="when it begins, in ISO 8601")
    ] = START,
    allow: Allow = None,
    language: Language = None,
) -> None:
    """Play a ladder with one deal: choose what happens, let time pass, see what would be sent.

    Nothing is stored or sent. It reads from standard input, a line a step, so that a story can be
    kept in a file. Exits with 1 if a step of such a story is refused.
    """
    played = Simulation(loaded_pipeline(pipeline, allow), instant(start), language)
    out = console()
    ladder = played.board.pipeline
    title = ladder.titles.get(language or "", ladder.title)
    out.print(printable(f"{title}: one deal, nothing is sent. ? for help."))
    _scene(played, out)
    refused = False
    for line in _lines(out):
        if line in ("quit", "exit"):
            break
        try:
            for told in _step(played, line):
                out.print(printable(f"  {told}"), soft_wrap=not out.is_terminal)
        except (LadderError, typer.BadParameter) as error:
            message = error.message if isinstance(error, typer.BadParameter) else str(error)
            out.print(printable(f"  refused: {message}"), style="red", soft_wrap=True)
            refused = True
        if line not in ("?", "help", "explain"):
            _scene(played, out)
    if refused and not sys.stdin.isatty():
        raise typer.Exit(1)


def _lines(out: Console) -> Iterator[str]:
    """Yield what is typed; from a file, show it as if it were."""
    is_typed = sys.stdin.isatty()
    while True:
        if is_typed:
            try:
                line = input("> ")
            except EOFError:
                return
        else:
            line = sys.stdin.readline()
            if not line:
                return
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if not is_typed:
            out.print(f"> {line}", style="bold", soft_wrap=True)
        yield line


def _scene(played: Simulation, out: Console) -> None:
    """Show where the deal stands, and what may happen there."""
    deal = played.deal
    where = "not open"
    if deal is not None:
        where = f"{played.title(deal.stage)} ({deal.status}) · {money(deal.value, deal.currency)}"
    out.print(f"\n{written(played.now)} UTC · {where}", style="bold")
    if (at := played.next()) is not None:
        out.print(f"  next: {written(at)}", style="dim")
    for number, (kind, into) in enumerate(played.happening(), start=1):
        out.print(printable(f"  {number:2} {kind}  → {into}"))
    for option in played.hands():
        needs = f"  needs {', '.join(option.missing)}" if option.missing else ""
        out.print(printable(f"     move {option.into.key}  → {played.title(option.into)}{needs}"))


def _step(played: Simulation, line: str) -> Iterator[str]:
    word, _, rest = line.partition(" ")
    if word in ("?", "help"):
        yield from (each[2:] for each in _HELP.splitlines())
    elif word == "explain":
        yield from str(played.board.explain(DEAL)).splitlines()
    elif word == "wait":
        yield from played.until(played.now + _length(rest))
    elif word == "next":
        at = played.next()
        yield from ["nothing is due"] if at is None else played.until(at)
    else:
        yield from _act(played, word, rest.strip())


def _act(played: Simulation, word: str, rest: str) -> Iterator[str]:
    """Do what happens at once, and let the worker look."""
    if word == "undo":
        receipt = played.undo()
    elif word == "move":
        into, *told = rest.split() or [""]
        receipt = played.move(into, named_values("move", told))
    else:
        receipt = played.tell(_kind(played, word), _data(rest))
    for said in (receipt.undeclared, receipt.reason):
        if said:
            yield said
    yield from list(played.until(played.now)) or [f"{receipt.outcome.value}: nothing follows"]


def _kind(played: Simulation, word: str) -> str:
    if not word.isdecimal():
        return word
    here = played.happening()
    if not 1 <= int(word) <= len(here):
        raise typer.BadParameter(f"{word}: {len(here)} things may happen here; ? for help")
    return here[int(word) - 1][0]


def _data(written: str) -> dict[str, Any] | None:
    if not written:
        return None
    try:
        found = json_text.loads(written)
    except ValueError as error:
        raise typer.BadParameter(f"{written!r} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{written!r}: write a JSON object, {{…}}")
    return found


def _length(written: str) -> dt.timedelta:
    found = re.fullmatch(r"(\d+(?:\.\d+)?) *([mhdw])", written.strip())
    if found is None:
        raise typer.BadParameter(f"wait {written}: write 30m, 12h, 2d or 1w")
    return dt.timedelta(**{_UNITS[found[2]]: float(found[1])})
