"""``board``: the kanban in the terminal."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from ..board.board import Board
from ..board.listing import MOST
from ..errors import InstantError
from ..model.clock import Clock, ManualClock, SystemClock
from .kanban import Column, columns_of, layout
from .loading import reading_board
from .options import Allow, AsOf, Json, Language, Name, StoredPipeline, Url, past_instant
from .printing import console, counted, instant_text, moment, printable, title_of, write_json

__all__ = ["board", "show_board"]

PIPED_WIDTH = 120


def board(
    url: Url,
    oldest: Annotated[
        int, typer.Option("--oldest", min=0, max=MOST, metavar="N", help="how many deals a stage")
    ] = 3,
    now: Annotated[
        str | None,
        typer.Option(
            "--now", metavar="TIME", help="count ages up to this instant, in ISO 8601; now if not"
        ),
    ] = None,
    as_of: AsOf = None,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="NAME", help="only the deals of this owner")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="keep it up to date on the screen, until Ctrl-C")
    ] = False,
    every: Annotated[
        float, typer.Option("--every", min=0.1, metavar="SECONDS", help="how often, with --watch")
    ] = 2.0,
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    language: Language = None,
    json: Json = False,
) -> None:
    """Show the board: a column a stage, with count, value and the deals that wait longest.

    It shows what is stored: timers that are due move deals when a worker notices them. As of an
    earlier instant it shows what was then, with the timers that were due by then.
    """
    if now is not None and as_of is not None:
        raise typer.BadParameter("--as-of says what --now would: leave one out")
    if watch and (json or now is not None or as_of is not None):
        raise typer.BadParameter("it shows the board as it is now: leave --watch or the others out")
    at = None if as_of is None else past_instant(as_of)
    clock = _clock(now) if at is None else ManualClock(at)
    with reading_board(url, pipeline, allow, name, clock) as found:
        if json:
            write_json(_record(found, columns_of(found, oldest, at, owner), language))
        elif watch:
            _watch(found, oldest, language, owner, every)
        else:
            show_board(found, oldest, language, at, owner)


def show_board(
    found: Board,
    oldest: int,
    language: str | None,
    as_of: dt.datetime | None = None,
    owner: str | None = None,
) -> None:
    """Print the board on standard output, as wide as the terminal is."""
    out = console(PIPED_WIDTH)
    out.print(_drawn(found, columns_of(found, oldest, as_of, owner), out.width, language))


def _watch(
    found: Board, oldest: int, language: str | None, owner: str | None, every: float
) -> None:
    """Show the board until Ctrl-C: in place on a terminal, else one after the other."""
    out = console(PIPED_WIDTH)
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        live = None
        if out.is_terminal:
            live = stack.enter_context(Live(console=out, screen=True, auto_refresh=False))
        while True:
            drawn = _drawn(found, columns_of(found, oldest, owner=owner), out.width, language)
            if live is None:
                out.print(drawn)
            else:
                live.update(drawn, refresh=True)
            time.sleep(every)


def _drawn(
    found: Board, columns: Sequence[Column], width: int, language: str | None
) -> RenderableType:
    now = found.clock.now()
    count = sum(column.count for column in columns)
    titles = found.pipeline.titles
    heading = titles.get(language or "", found.pipeline.title)
    told = f" · {counted(count, 'deal')} · {moment(now)} UTC"
    title = Text.assemble((printable(heading), "bold"), told)
    return Group(title, layout(columns, width, now, language))


def _clock(now: str | None) -> Clock:
    if now is None:
        return SystemClock()
    try:
        return ManualClock(now)
    except InstantError as error:
        raise typer.BadParameter(str(error), param_hint="--now") from None


def _record(found: Board, columns: Sequence[Column], language: str | None) -> dict[str, Any]:
    now: dt.datetime = found.clock.now()
    return {
        "pipeline": found.pipeline.name,
        "now": instant_text(now),
        "stages": [
            {
                "stage": column.stage.key,
                "title": title_of(column.stage, language),
                "status": column.stage.status,
                "probability": column.stage.probability,
                "count": column.count,
                "totals": [total.to_dict() for total in column.totals],
                "oldest": [deal.to_dict() for deal in column.oldest],
            }
            for column in columns
        ],
    }
