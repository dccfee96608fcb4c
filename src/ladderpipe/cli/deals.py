"""``deals``, ``history``, ``explain`` and ``options``: what there is to know of single deals."""

from __future__ import annotations

import datetime as dt
import itertools
import textwrap
from collections.abc import Iterable, Iterator
from typing import Annotated

import typer
from rich.text import Text

from ..board.as_of import deals_at, history_at
from ..board.board import Board
from ..fold.options import Option
from ..model.clock import Clock, ManualClock
from ..model.deal import Deal
from ..model.event import BASELINE, BY_HAND, OVERRIDE, TOLD
from ..model.history import History
from ..model.move import Move
from ..model.stage import Status
from ..model.visit import Visit
from .loading import reading_board
from .options import (
    Allow,
    AsOf,
    DealId,
    Json,
    Language,
    Name,
    StoredPipeline,
    Url,
    past_instant,
)
from .printing import (
    age,
    console,
    duration,
    moment,
    money,
    printable,
    status_text,
    table,
    title_of,
    tracked,
    write_json,
    write_json_lines,
)

__all__ = ["deals", "explain", "history", "options"]

LIMIT = 100


def deals(
    url: Url,
    stage: Annotated[
        str | None, typer.Option("--stage", metavar="STAGE", help="only in the stage of this key")
    ] = None,
    status: Annotated[Status | None, typer.Option("--status", help="only of this status")] = None,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="NAME", help="only of this owner")
    ] = None,
    as_of: AsOf = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", min=0, metavar="N", help=f"at most so many; 0 for all; {LIMIT} in a table"
        ),
    ] = None,
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    language: Language = None,
    json: Json = False,
) -> None:
    """List deals, in the order in which they were first heard of."""
    most = limit if limit is not None else None if json else LIMIT
    at = None if as_of is None else past_instant(as_of)
    with reading_board(url, pipeline, allow, name, _clock_at(at)) as found:
        if at is None:
            listed = found.deals(stage=stage, status=status, owner=owner)
        else:
            listed = deals_at(found._session, at, stage, status, owner)
        wanted = tracked(itertools.islice(listed, most or None), "reading deals")
        if json:
            write_json_lines(deal.to_dict() for deal in wanted)
            return
        shown = list(wanted)
        _show_deals(found, shown, language)
        if next(listed, None) is not None:
            console().print(f"… and more: the first {len(shown)} are shown, --limit 0 shows all")


def _show_deals(found: Board, shown: Iterable[Deal], language: str | None) -> None:
    rows = table(
        "deal", "title", "stage", "value", "owner", "for", right=("value", "for"), cut=("title",)
    )
    now = found.clock.now()
    for deal in shown:
        rows.add_row(
            printable(deal.id),
            printable(deal.title),
            status_text(title_of(deal.stage, language), deal.status),
            money(deal.value, deal.currency),
            printable(deal.owner or ""),
            age(deal.entered_at, now),
        )
    console().print(rows if rows.row_count else "no such deals")


def _clock_at(at: dt.datetime | None) -> Clock | None:
    return None if at is None else ManualClock(at)


def history(
    url: Url,
    deal: DealId,
    as_of: AsOf = None,
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    language: Language = None,
    json: Json = False,
) -> None:
    """Show every stage that a deal has been in, since when, how long and why."""
    at = None if as_of is None else past_instant(as_of)
    with reading_board(url, pipeline, allow, name, _clock_at(at)) as found:
        told = found.history(deal) if at is None else history_at(found._session, deal, at)
        if json:
            write_json(told.to_dict())
            return
        _show_history(found, told, language)


def _show_history(found: Board, told: History, language: str | None) -> None:
    deal = told.deal
    out = console()
    title = "" if deal.title == deal.id else f"  {deal.title}"
    out.print(Text(printable(f"{deal.id}{title}"), style="bold"))
    facts = [f"{title_of(deal.stage, language)} ({deal.status})", money(deal.value, deal.currency)]
    facts += [f"owner {deal.owner}"] if deal.owner else []
    facts += [f"next timer {moment(deal.due_at)} UTC"] if deal.due_at else []
    out.print(printable(" · ".join(facts)), "\n")
    rows = table("", "since (UTC)", "for", "stage", "because", right=("", "for"), cut=("because",))
    moves = {move.n: move for move in told.moves}
    for visit in told.visits:
        rows.add_row(*_visit_row(found, visit, moves.get(visit.n), language))
    out.print(rows)
    for event, by in told.withdrawn:
        who, reason = by.data.get("by") or by.source or "somebody", by.data.get("reason")
        because = f": {reason}" if reason else ""
        line = f"{who} took {event.type} of {moment(event.at)} UTC back{because}"
        out.print(printable(line), soft_wrap=True)


def _visit_row(
    found: Board, visit: Visit, move: Move | None, language: str | None
) -> tuple[str | Text, ...]:
    stayed = duration(visit.duration) or age(visit.entered_at, found.clock.now())
    return (
        str(visit.n),
        moment(visit.entered_at),
        stayed,
        status_text(title_of(visit.stage, language), visit.stage.status),
        printable(_because(found, move)),
    )


def _because(found: Board, move: Move | None) -> str:
    if move is None:
        return "it stood here when the baseline was written"
    event = move.event
    if event is None:
        triggers = {rule.key: rule.trigger_text for rule in found.pipeline.rules}
        return triggers.get(move.rule, move.rule)
    if event.type in (BY_HAND, OVERRIDE):
        how = "by hand" if event.type == BY_HAND else "past the rules"
        reason = event.data.get("reason")
        return f"{how}: {event.data.get('by')}" + (f", {reason}" if reason else "")
    if event.type == TOLD:
        return f"told by {event.source}"
    return "migrated" if event.type == BASELINE else event.type


def explain(
    url: Url,
    deal: DealId,
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    json: Json = False,
) -> None:
    """Say of every event, hand and timer of a deal what it did, and why other rules did not."""
    with reading_board(url, pipeline, allow, name) as found:
        told = found.explain(deal)
    if json:
        write_json(told.to_dict())
        return
    out = console()
    for line in str(told).splitlines():
        style = "bold" if not line.startswith(" ") else ""
        out.print(Text("\n".join(_wrapped(printable(line), out.width)), style=style))


def _wrapped(line: str, width: int) -> Iterator[str]:
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    yield from textwrap.wrap(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def options(
    url: Url,
    deal: DealId,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="NAME", help="who would; left out, no rule's may is asked"),
    ] = None,
    pipeline: StoredPipeline = None,
    allow: Allow = None,
    name: Name = None,
    language: Language = None,
    json: Json = False,
) -> None:
    """Say where a deal may be moved by hand now, what is missing, and what would follow."""
    with reading_board(url, pipeline, allow, name) as found:
        told = found.options(deal, by)
    if json:
        write_json([option.to_dict() for option in told])
        return
    rows = table("into", "", "because", cut=("because",))
    for option in told:
        style, mark = ("green", "may") if option.allowed else ("dim", "may not")
        if option.is_possible and not option.allowed:
            style, mark = "yellow", "not yet"
        why = option.why or _follows(option)
        into = Text(printable(title_of(option.into, language)))
        rows.add_row(into, Text(mark, style=style), printable(why))
    console().print(rows)


def _follows(option: Option) -> str:
    told = [
        f"{what} {', '.join(each.name for each in found)}"
        for what, found in (("stops", option.stops), ("starts", option.starts))
        if found
    ]
    return "; ".join(told)
