"""The ordinary fold of events that stand in a frame: one ``Event``, one draft at a time."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final

import attrs
import polars as pl

from ...errors import InvalidEventError
from ...fold.fold import run
from ...model.event import BY_HAND, OVERRIDE, Event
from ...model.history import History, SetAside
from ...model.money import MOST_PLACES
from ...pipeline import Pipeline
from ..frames.schema import VISITS
from .event_frame import data_columns
from .outcome import FINAL, MOVES
from .payload_columns import PROPERTY

__all__ = ["Histories", "events_of", "fold_one_by_one"]

_FINEST: Final = Decimal(1).scaleb(-MOST_PLACES)
_EXACT: Final = Context(prec=100, rounding=ROUND_HALF_EVEN)
_LINE: Final = {
    "sku": "sku",
    "quantity": "quantity",
    "unit_price": "unit_price",
    "line_title": "title",
}
_TOP: Final = {"deal_source": "source"}


@attrs.frozen(eq=False)
class Histories:
    """The rows that histories have in the tables of a replay."""

    moves: pl.DataFrame
    deals: pl.DataFrame
    carried: pl.DataFrame
    aside: list[SetAside]


def fold_one_by_one(
    pipeline: Pipeline, frame: pl.DataFrame, until: dt.datetime | None
) -> Histories:
    """Fold the events of *frame*, deal by deal, in the order of the deals' names."""
    moves: list[tuple[Any, ...]] = []
    deals: list[tuple[Any, ...]] = []
    carried: list[tuple[Any, ...]] = []
    aside: list[SetAside] = []
    ordered = events_of(frame.sort(pl.col("deal").cast(pl.String), maintain_order=True))
    for _, events in itertools.groupby(ordered, key=lambda event: event.deal):
        draft, made, start = run(pipeline.ladder, events, until)
        if draft is not None:
            aside += draft.aside.values()
        if draft is not None and draft.stage is not None:
            history = History(draft, made, start)
            moves += _move_rows(pipeline, history)
            deals.append(_deal_row(history))
            carried += _carried_rows(history)
    return Histories(
        pl.DataFrame(moves, MOVES, orient="row"),
        pl.DataFrame(deals, FINAL, orient="row"),
        pl.DataFrame(carried, VISITS, orient="row"),
        aside,
    )


def events_of(frame: pl.DataFrame) -> Iterator[Event]:
    """Yield the events that stand in *frame*.

    Raises:
        InvalidEventError: one cannot be an event as it stands.
    """
    names = data_columns(frame)
    for row in frame.iter_rows(named=True):
        if "data" in row:
            data = _parsed(row["data"], row["id"])
        else:
            data = _data({name: row[name] for name in names if row[name] is not None})
        yield Event(
            row["type"],
            deal=row["deal"],
            id=row["id"],
            at=row["at"],
            source=row["source"],
            seq=row["seq"],
            data=data,
        )


def _parsed(text: str | None, event: str) -> Any:
    if text is None:
        return {}
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidEventError(
            f"the data of event {event!r} is no JSON ({error}): write it with json.dumps"
        ) from None


def _data(told: dict[str, Any]) -> dict[str, Any]:
    """Return what the columns of one event say, as an event's data says it."""
    data: dict[str, Any] = {}
    for name, value in told.items():
        if name in _LINE:
            data.setdefault("line", {})[_LINE[name]] = value
        elif name.startswith(PROPERTY):
            data.setdefault("properties", {})[name.removeprefix(PROPERTY)] = value
        else:
            data[_TOP.get(name, name)] = value
    return data


def _move_rows(pipeline: Pipeline, history: History) -> Iterator[tuple[Any, ...]]:
    for move in history.moves:
        event = move.event
        told: tuple[Any, ...] = (None, None, None, None)
        if event is not None:
            told = (event.type, event.source, event.id, event.seq)
        out_of = None if move.out_of is None else move.out_of.key
        into, at = move.into.key, move.at
        trigger = _TRIGGERS.get(told[0], "event")
        yield (move.deal, move.n, out_of, into, at, None, move.rule, trigger, *told)


_TRIGGERS: Final = {None: "timer", BY_HAND: "hand", OVERRIDE: "override"}


def _deal_row(history: History) -> tuple[Any, ...]:
    deal = history.deal
    return (
        deal.id,
        deal.stage.key,
        deal.status,
        deal.visit,
        deal.entered_at,
        deal.opened_at,
        deal.closed_at,
        deal.last_event_at,
        deal.due_at,
        None if deal.lost_from is None else deal.lost_from.key,
        None if deal.value is None else deal.value.quantize(_FINEST, context=_EXACT),
        deal.currency,
    )


def _carried_rows(history: History) -> Iterator[tuple[Any, ...]]:
    visits = history.visits
    if len(visits) > len(history.moves):
        first = visits[0]
        began = first.deal, first.n, first.stage.key, first.entered_at
        yield (*began, None, None, None, None, None, None)
