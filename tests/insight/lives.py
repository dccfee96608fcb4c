"""Deals made up by hand or at random, and the tables that they make: no board, no files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import attrs
import polars as pl
from hypothesis import strategies as st

from ladderpipe import Stage
from ladderpipe.insight.frames.derive import deals_of, visits_of
from ladderpipe.insight.frames.schema import CHANGES, MOVES
from ladderpipe.insight.frames.tables import Tables

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)

LADDER = (
    Stage("new", title={"en": "New", "it": "Nuova"}, probability=0.1),
    Stage("working", title={"en": "Working", "it": "In lavorazione"}, probability=0.4),
    Stage("offer", title={"en": "Offer made", "it": "Offerta fatta"}, probability=0.7),
    Stage("won", title={"en": "Won", "it": "Vinta"}, status="won"),
    Stage("gone", title={"en": "Abandoned", "it": "Abbandonata"}, status="abandoned"),
    Stage("lost", title={"en": "Lost", "it": "Persa"}, status="lost"),
)
DETAILS = ("title", "value", "currency", "owner", "source", "loss_reason")


@attrs.frozen
class Life:
    """A deal: the stages it entered and what it was worth, each so many hours after START.

    Events that move nothing stand only among the changes.
    """

    deal: str
    stays: tuple[tuple[float, str], ...]
    changes: tuple[tuple[float, dict[str, Any]], ...] = ()
    timers: frozenset[int] = frozenset()
    """Which of the stays (from 0) a timer began."""
    seqs: tuple[int, ...] | None = None
    """What the events that began the stays were numbered by; their places when left out."""


def life(deal: str, *stays: tuple[float, str], **details: Any) -> Life:
    """Return a deal whose value, currency, owner and so on never change."""
    return Life(deal, stays, ((stays[0][0], details),))


def after(hours: float) -> dt.datetime:
    return START + dt.timedelta(hours=hours)


def tables_of(
    lives: Sequence[Life], *, hours: float = 24 * 60, ladder: tuple[Stage, ...] = LADDER
) -> Tables:
    """Return the tables as they stand so many hours after START."""
    seen = [cut for cut in (_until(one, hours) for one in lives) if cut.stays]
    seen.sort(key=lambda one: one.deal)
    moves = _frame([row for one in seen for row in _moves(one)], MOVES)
    changes = _frame([row for one in seen for row in _changes(one)], CHANGES)
    visits = visits_of(moves)
    return Tables(
        pipeline="made-up",
        stages=ladder,
        as_of=after(hours),
        deals=deals_of(visits, changes, ladder),
        visits=visits,
        moves=moves,
        changes=changes,
    )


def _until(one: Life, hours: float) -> Life:
    return attrs.evolve(
        one,
        stays=tuple(stay for stay in one.stays if stay[0] <= hours),
        changes=tuple(change for change in one.changes if change[0] <= hours),
    )


def _frame(rows: list[dict[str, Any]], schema: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schema, orient="row")


def _details(one: Life) -> list[tuple[float, dict[str, Any]]]:
    known: dict[str, Any] = dict.fromkeys(DETAILS)
    rows = []
    for at, changed in one.changes:
        known = known | changed
        rows.append((at, known))
    return rows


def _changes(one: Life) -> list[dict[str, Any]]:
    return [{"deal": one.deal, "at": after(at), **known} for at, known in _details(one)]


def _rule(one: Life, index: int) -> str:
    return f"{'timer' if index in one.timers else 'event'}-{one.stays[index][1]}"


def _moves(one: Life) -> list[dict[str, Any]]:
    befores = [None, *one.stays[:-1]]
    return [
        {
            "deal": one.deal,
            "n": n,
            "out_of": before[1] if before else None,
            "into": stage,
            "at": after(at),
            "recorded_at": after(at),
            "rule": _rule(one, n - 1),
            "trigger": "timer" if n - 1 in one.timers else "event",
            "event_type": None if n - 1 in one.timers else "made.up",
            "event_source": None if n - 1 in one.timers else "test",
            "event_id": None if n - 1 in one.timers else f"{one.deal}-{n}",
            "event_seq": None if n - 1 in one.timers else (one.seqs[n - 1] if one.seqs else n),
        }
        for n, ((at, stage), before) in enumerate(zip(one.stays, befores, strict=True), start=1)
    ]


_HOURS = st.integers(0, 24 * 40)
_MONEY = st.one_of(
    st.none(), st.decimals(0, 10_000, places=2), st.sampled_from([Decimal(100), Decimal("0.01")])
)


@st.composite
def lives(draw: st.DrawFn, *, most: int = 8, apart: bool = False) -> list[Life]:
    """Draw deals that climb, fall back, are abandoned, closed and taken up again.

    With *apart*, no two stays of a deal begin at one instant.
    """
    number = draw(st.integers(0, most))
    return [draw(lives_of(f"deal-{n}", apart=apart)) for n in range(number)]


@st.composite
def lives_of(draw: st.DrawFn, deal: str, *, moves: bool = False, apart: bool = False) -> Life:
    """Draw one deal; with *moves*, one that was in two stages at the least."""
    hours = st.lists(_HOURS, min_size=2 if moves else 1, max_size=7, unique=apart)
    instants = sorted(draw(hours))
    stages = [draw(st.sampled_from(LADDER)).key for _ in instants]
    if moves and stages[1] == stages[0]:
        stages[1] = draw(st.sampled_from([one.key for one in LADDER if one.key != stages[0]]))
    stays = [(instants[0], stages[0])]
    stays += [
        (at, stage)
        for at, (before, stage) in zip(instants[1:], pairwise(stages), strict=True)
        if before != stage
    ]
    # S4: without `reenter` a move leads into another stage than the one before.
    stays = [stays[0], *(now for before, now in pairwise(stays) if before[1] != now[1])]
    currency = draw(st.sampled_from(["EUR", "USD", None]))
    edits = sorted(draw(st.lists(_HOURS, max_size=3)))
    details = [
        (
            at,
            {
                "value": draw(_MONEY) if currency else None,
                "currency": currency,
                "owner": draw(st.sampled_from(["Ada", "Bruno", None])),
                "source": draw(st.sampled_from(["newsletter", None])),
            },
        )
        for at in dict.fromkeys([instants[0], *(at for at in edits if at > instants[0])])
    ]
    timers = draw(st.frozensets(st.integers(1, 7), max_size=2))
    return Life(deal, tuple(stays), tuple(details), timers)
