"""Histories of the ordinary fold as a bulk replay tells them, and events as columns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import polars as pl
import pytest

from ladderpipe import Event, History, Pipeline
from ladderpipe.insight.bulk import EVENTS, Replayed, replay


def told_by_the_fold(
    pipeline: Pipeline, events: Iterable[Event], until: dt.datetime | None = None
) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows that the ordinary fold's histories have in the tables of a replay."""
    histories = sorted(pipeline.replay(events, until), key=lambda history: history.deal.id)
    return {
        "moves": [row for history in histories for row in move_rows(history)],
        "visits": [row for history in histories for row in visit_rows(history)],
        "deals": [deal_row(history) for history in histories],
    }


def told_in_bulk(replayed: Replayed) -> dict[str, list[tuple[Any, ...]]]:
    return {
        "moves": replayed.moves.drop("recorded_at", "trigger").rows(),
        "visits": replayed.visits.rows(),
        "deals": replayed.deals.rows(),
    }


def move_rows(history: History) -> list[tuple[Any, ...]]:
    return [
        (
            *(move.deal, move.n, move.out_of, move.into, move.at, move.rule),
            *((None,) * 4 if move.event is None else identity(move.event)),
        )
        for move in history.moves
    ]


def identity(event: Event) -> tuple[str, str, str, int]:
    return event.type, event.source, event.id, event.seq


def visit_rows(history: History) -> list[tuple[Any, ...]]:
    carried = len(history.visits) - len(history.moves)
    begun_by = [*(None,) * carried, *history.moves]
    ended_by = [*begun_by[1:], None]
    return [
        (
            *(visit.deal, visit.n, visit.stage, visit.entered_at, visit.left_at),
            *((None, None) if begun is None else (begun.rule, begun.out_of)),
            *((None, None) if ended is None else (ended.into, ended.rule)),
            counts,
        )
        for visit, begun, ended, counts in zip(
            history.visits, begun_by, ended_by, counting(history, begun_by), strict=True
        )
    ]


def counting(history: History, begun_by: list[Any]) -> list[bool]:
    """Return which visits reports know, as one would tell it of one deal by hand."""
    found: list[bool] = []
    stands: str | None = None
    is_passed = False
    for visit, begun, ended in zip(history.visits, begun_by, [*begun_by[1:], None], strict=True):
        seqs = [None if by is None or by.event is None else by.event.seq for by in (begun, ended)]
        is_real = visit.left_at != visit.entered_at or (None not in seqs and seqs[0] != seqs[1])
        found.append(is_real and not (is_passed and visit.stage.key == stands))
        stands = visit.stage.key if is_real else stands
        is_passed = not is_real
    return found


def deal_row(history: History) -> tuple[Any, ...]:
    deal = history.deal
    return (
        *(deal.id, deal.stage, deal.status, deal.visit, deal.entered_at, deal.opened_at),
        *(deal.closed_at, deal.last_event_at, deal.due_at, deal.lost_from),
        *(deal.value, deal.currency),
    )


TEXTS = (
    *("sku", "quantity", "unit_price", "line_title", "value", "currency", "owner"),
    *("company", "title", "deal_source", "into", "by", "reason"),
)


def as_columns(events: Iterable[Event]) -> pl.DataFrame:
    """Return events with their data in columns, as far as columns can say it."""
    rows = [_row(event) for event in events if event.type != "cart.updated"]
    names = {name for row in rows for name in row if name.startswith("properties.")}
    kinds = {name: _kind(row.get(name) for row in rows) for name in sorted(names)}
    return pl.DataFrame(rows, {**EVENTS, **dict.fromkeys(TEXTS, pl.String), **kinds})


def _row(event: Event) -> dict[str, Any]:
    row = {name: getattr(event, name) for name in EVENTS}
    for name, value in event.data.items():
        if name == "line":
            row |= {"line_title" if n == "title" else n: _text(v) for n, v in value.items()}
        elif name == "properties":
            row |= {f"properties.{n}": v for n, v in value.items()}
        elif not isinstance(value, dict):
            row["deal_source" if name == "source" else name] = _text(value)
    return row


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _kind(values: Iterable[Any]) -> Any:
    is_truth = {isinstance(value, bool) for value in values if value is not None}
    return pl.Boolean if is_truth == {True} else pl.String


def with_plain_properties(events: Iterable[Event]) -> list[Event]:
    """Leave out the properties that are now text, now something else: a column has one type."""
    found = []
    for event in events:
        told = event.data.get("properties") or {}
        kept = {n: v for n, v in told.items() if isinstance(v, bool) == (n == "hot")}
        data = {**event.data, "properties": kept} if told else event.data
        found.append(attrs.evolve(event, data=data))
    return found


WAYS = ("steps", "kernel")
"""How deals are folded in columns: in NumPy's steps, or by the kernel that Numba compiles."""


@contextmanager
def folded_in(way: str) -> Iterator[None]:
    """Fold in this way, however few events there are."""
    if way == "kernel":
        pytest.importorskip("numba", exc_type=ImportError)
    with pytest.MonkeyPatch.context() as patch:
        least = 0 if way == "kernel" else 1 << 60
        patch.setattr("ladderpipe.insight.bulk.loading.WORTH_LOADING", least)
        yield


def in_each_way(
    pipeline: Pipeline, events: Any, until: dt.datetime | None = None
) -> Iterator[Replayed]:
    """Replay the same events in each way."""
    for way in WAYS:
        with folded_in(way):
            replayed = replay(pipeline, events, until, workers=1)
        assert replayed.columnar
        assert replayed.compiled == (way == "kernel")
        yield replayed


__all__ = [
    "WAYS",
    "as_columns",
    "folded_in",
    "in_each_way",
    "told_by_the_fold",
    "told_in_bulk",
    "with_plain_properties",
]
