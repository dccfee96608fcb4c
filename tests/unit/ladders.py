"""A ladder that uses every part of a definition, and what it refers to by import path."""

from __future__ import annotations

import datetime as dt
from typing import Any

import attrs

from ladderpipe import ANY, Event, Pipeline, Stage, after, by_hand, do, on, wait
from ladderpipe.ladder.guards import (
    cart_is_empty,
    property_equals,
    property_is_set,
    value_at_least,
    value_at_most,
)
from ladderpipe.ladder.rules import VisitTimes


def is_from_rome(deal: Any, event: Event | None) -> bool:
    return bool(deal.properties.get("city") == "Roma")


def count_visits(deal: Any, event: Event) -> None:
    deal.properties = {**deal.properties, "seen": deal.properties.get("seen", 0) + 1}


def greet(ctx: Any) -> None:
    """A hook."""


def say_goodbye(ctx: Any) -> None:
    """A hook."""


@attrs.frozen
class Greet:
    """A hook that is told how to greet."""

    words: str
    after: dt.timedelta = attrs.field(
        default=dt.timedelta(),
        converter=lambda given: given if isinstance(given, dt.timedelta) else dt.timedelta(**given),
    )

    def __call__(self, ctx: Any) -> None:
        ctx.do("letter", words=self.words, wait=self.after)


def _days(written: Any) -> frozenset[dt.date]:
    return frozenset(dt.date.fromisoformat(str(day)) for day in written)


@attrs.frozen
class WorkingDays:
    """Due some working days after the visit began."""

    days: int
    holidays: frozenset[dt.date] = attrs.field(default=frozenset(), converter=_days)

    def due_at(self, visit: VisitTimes) -> dt.datetime:
        due, left = visit.entered_at, self.days
        while left:
            due += dt.timedelta(days=1)
            left -= due.weekday() < 5 and due.date() not in self.holidays
        return due


def everything() -> Pipeline:
    """A ladder that uses every part of a definition."""
    new = Stage(
        "new",
        title={"en": "New", "it": "Nuova"},
        sequence=[
            do("email", template="first", expires=dt.timedelta(days=7)),
            wait(hours=24),
            do("task", title="Call", run_to_completion=True, name="Ada", notes=["a", {"b": 1}]),
        ],
    )
    talking = Stage("talking", probability=0.5, requires=["owner"])
    won = Stage("won", status="won", probability=0.9)
    lost = Stage("lost", status="lost")
    cold = Stage("cold", status="abandoned")
    holidays = frozenset({dt.date(2026, 1, 6), dt.date(2026, 12, 25)})
    pipeline = Pipeline(
        "everything",
        title={"en": "All of it", "it": "Tutto"},
        reducer=count_visits,
        stages=[new, talking, won, lost, cold],
        rules=[
            on("order.paid", into=won, out_of=ANY, when=~property_equals("test", True)),
            on("lead.came", "lead.again", into=new, out_of=[cold, new], opens=True, reenter=True),
            on(
                "call",
                into=talking,
                when=is_from_rome
                | (value_at_least("9.50", "EUR") & ~cart_is_empty)
                | value_at_most("-1"),
            ),
            after(WorkingDays(3, holidays), into=cold, out_of=[new]),
            after(
                dt.timedelta(days=30, microseconds=1), since="activity", into=cold, out_of=talking
            ),
            after(dt.timedelta(0), into=talking, out_of=cold, when=property_is_set("hot")),
            by_hand(into=lost, key="give up"),
            by_hand(into=new, opens=True, out_of=ANY),
        ],
    )
    pipeline.move_into(won)(greet)
    pipeline.move_into(won)(say_goodbye)
    pipeline.move_into(won)(Greet("Welcome", dt.timedelta(days=3)))
    pipeline.move_out_of(new)(say_goodbye)
    return pipeline
