"""The kanban in the terminal: what each stage holds, and how it is laid out in a width."""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Iterator, Sequence
from decimal import Decimal

import attrs
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..board.as_of import deals_at
from ..board.board import Board
from ..board.read import StageTotal, totals
from ..model.deal import Deal
from ..model.stage import Stage
from ..stores.filters import Scope
from .printing import STATUS_STYLES, age, counted, money, printable, title_of, tracked

__all__ = ["Column", "columns_of", "layout"]

NARROWEST = 24
WIDEST = 40


@attrs.frozen
class Column:
    """One stage of the board.

    Attributes:
        totals: what it holds in each currency.
        oldest: the deals that have been in it longest; none for a closed stage.
    """

    stage: Stage
    totals: tuple[StageTotal, ...]
    oldest: tuple[Deal, ...]

    @property
    def count(self) -> int:
        """How many deals are in it."""
        return sum(total.count for total in self.totals)


def columns_of(
    board: Board, oldest: int, as_of: dt.datetime | None = None, owner: str | None = None
) -> list[Column]:
    """Return a column for every stage, in ladder order but the closed ones last.

    Args:
        oldest: how many deals of a stage are shown, those that have been in it longest.
        owner: only the deals of this owner.
    """
    stages = sorted(board.pipeline.stages, key=lambda stage: stage.is_closed)
    if as_of is not None:
        return _columns_at(board, oldest, as_of, stages, owner)
    summary = board.summary(None if owner is None else Scope(owners=(owner,)))
    columns = []
    for stage in stages:
        totals = tuple(total for total in summary if total.stage == stage)
        found: tuple[Deal, ...] = ()
        if totals and oldest and not stage.is_closed:
            found = board.page(stage, sort="age", limit=oldest, owner=owner).deals
        columns.append(Column(stage, totals, found))
    return columns


def _columns_at(
    board: Board, oldest: int, as_of: dt.datetime, stages: Sequence[Stage], owner: str | None
) -> list[Column]:
    longest: dict[str, list[Deal]] = {stage.key: [] for stage in stages}

    def noted() -> Iterator[tuple[str, str | None, Decimal | None]]:
        for deal in deals_at(board._session, as_of, owner=owner):
            key = deal.stage.key
            if not deal.stage.is_closed:
                kept = heapq.nsmallest(oldest, [*longest[key], deal], key=_by_age)
                longest[key] = kept
            yield key, deal.currency, deal.value

    summary = totals(board._session, tracked(noted(), "reading deals"))
    return [
        Column(
            stage,
            tuple(total for total in summary if total.stage == stage),
            tuple(longest[stage.key]),
        )
        for stage in stages
    ]


def _by_age(deal: Deal) -> tuple[dt.datetime, str]:
    return deal.entered_at, deal.id


def layout(
    columns: Sequence[Column], width: int, now: dt.datetime, language: str | None
) -> RenderableType:
    """Return the board: side by side what fits, the rest below, the closed stages at the end."""
    abreast = max(1, width // NARROWEST)
    if len(columns) <= abreast:
        bands = [list(columns)]
    else:
        open_ones = [column for column in columns if not column.stage.is_closed]
        closed = [column for column in columns if column.stage.is_closed]
        bands = [*_in_bands(open_ones, abreast), *_in_bands(closed, abreast)]
    most = max((len(band) for band in bands), default=1)
    each = min(WIDEST, (width - most - 1) // most)
    return Group(*(_band(band, each, now, language) for band in bands))


def _in_bands(columns: list[Column], most: int) -> Iterator[list[Column]]:
    for start in range(0, len(columns), most):
        yield columns[start : start + most]


def _band(
    band: Sequence[Column], width: int, now: dt.datetime, language: str | None
) -> RenderableType:
    cards = any(column.oldest for column in band)
    heads = [Text("\n").join(_head(column, width - 1, language)) for column in band]
    table = Table(box=box.ROUNDED, border_style="dim", padding=(0, 0, 0, 1), show_header=cards)
    for head in heads:
        table.add_column(head, width=width - 1, no_wrap=True, overflow="ellipsis")
    table.add_row(*([Text("\n").join(_cards(column, now)) for column in band] if cards else heads))
    return table


def _head(column: Column, width: int, language: str | None) -> list[Text]:
    style = STATUS_STYLES[column.stage.status]
    lines = [Text(printable(title_of(column.stage, language)), style=f"bold {style}")]
    if not column.totals:
        return [*lines, Text("no deals", style="dim")]
    told = (line for total in column.totals for line in _total(total, width))
    return [*lines, *(Text(line, style="not bold") for line in told)]


def _cards(column: Column, now: dt.datetime) -> list[Text]:
    lines: list[Text] = []
    for deal in column.oldest:
        title = "" if deal.title == deal.id else f" {deal.title}"
        lines.append(Text.assemble((printable(deal.id), "bold"), printable(title)))
        value = money(deal.value, deal.currency)
        lines.append(Text(f"  {value} · {age(deal.entered_at, now)}"))
    more = column.count - len(column.oldest)
    if column.oldest and more:
        lines.append(Text(f"and {more:,} more", style="dim"))
    return lines


def _total(total: StageTotal, width: int) -> Iterator[str]:
    """Yield count and value, on two lines where one is too short."""
    count = counted(total.count, "deal")
    if total.currency is None and not total.value:
        yield count
        return
    value = money(total.value, total.currency)
    together = f"{count} · {value}"
    yield from [together] if len(together) <= width else [count, f"  {value}"]
