"""``changes``: deals that were written since a cursor, and those that are written from now on."""

from __future__ import annotations

import contextlib
import json as json_text
import sys
import time
from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from ..board.board import Board
from ..board.listing import Changes
from ..model.deal import Deal
from .loading import reading_board
from .options import Allow, Json, Language, Name, StoredPipeline, Url
from .printing import console, moment, money, printable, title_of

__all__ = ["changes"]

PAGE: Final = 500


def changes(
    url: Url,
    after: Annotated[
        str | None,
        typer.Option("--after", metavar="CURSOR", help="where the last call ended"),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="go on with what is written, until Ctrl-C")
    ] = False,
    every: Annotated[
        float, typer.Option("--every", min=0.05, metavar="SECONDS", help="how often to look")
    ] = 1.0,
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    language: Language = None,
    json: Json = False,
) -> None:
    """Print the deals that were written since a cursor, as they are now; then the next cursor.

    Of a deal that is not open any more, removed or archived, only the id is told. With --follow and
    without --after it begins with what is written from now on. With --json every deal is a line,
    and so is the cursor behind them, {"cursor": …}, to go on from.
    """
    with reading_board(url, pipeline, allow, name) as board:
        if follow and after is None:
            after = board.changes(limit=0).cursor
        with contextlib.suppress(KeyboardInterrupt) if follow else contextlib.nullcontext():
            for page in _pages(board, after, every if follow else None):
                _print(page, language, json)


def _pages(board: Board, after: str | None, pause: float | None) -> Iterator[Changes]:
    """Yield page after page, and go on looking every *pause* seconds, if at all.

    What was written lately is told again with what comes after it, since a transaction may commit
    late; it is left out where it says the same.
    """
    told: dict[str, Deal | None] = {}
    while True:
        page = board.changes(after, limit=PAGE)
        now: dict[str, Deal | None] = {deal.id: deal for deal in page.deals}
        now |= dict.fromkeys(page.gone)
        news = Changes(
            tuple(deal for deal in page.deals if told.get(deal.id) != deal),
            tuple(deal for deal in page.gone if told.get(deal, deal) is not None),
            page.cursor,
        )
        is_last = len(now) < PAGE
        if news.deals or news.gone or (is_last and pause is None):
            yield news
        if is_last and pause is None:
            return
        told, after = now or told, page.cursor
        if is_last and pause is not None:
            time.sleep(pause)


def _print(page: Changes, language: str | None, json: bool) -> None:
    if json:
        lines: list[dict[str, Any]] = [deal.to_dict() for deal in page.deals]
        lines += [{"id": deal, "gone": True} for deal in page.gone]
        lines.append({"cursor": page.cursor})
        # At once: who is stopped in between would have told deals without the cursor behind them.
        sys.stdout.write("".join(f"{json_text.dumps(x, ensure_ascii=False)}\n" for x in lines))
        sys.stdout.flush()
        return
    out = console()
    for deal in page.deals:
        title = "" if deal.title == deal.id else f" {deal.title}"
        out.print(
            printable(
                f"{deal.id}{title}: {title_of(deal.stage, language)} since "
                f"{moment(deal.entered_at)} UTC · {money(deal.value, deal.currency)}"
            ),
            soft_wrap=True,
        )
    for name in page.gone:
        out.print(printable(f"{name}: not open any more"), soft_wrap=True)
    out.print(f"cursor {page.cursor}", style="dim", soft_wrap=True)
