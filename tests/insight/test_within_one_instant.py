"""A visit begun and ended within one instant: in the history, and in which reports."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import attrs
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ladderpipe import Board, Event, ManualClock, Pipeline, Stage, insight, on
from ladderpipe.insight import Report, moves, tables, visits
from ladderpipe.insight.bulk import replay
from tests.insight.lives import LADDER, Life, life, lives, lives_of, tables_of

KEYS = [stage.key for stage in LADDER]
NEVER_CLOSED = ("new", "working", "offer", "gone")
MAILS = {"mail": dt.timedelta(hours=24)}

OF_DURATIONS: dict[str, Callable[..., Report]] = {
    "latest": lambda t: insight.time_in_stage(t, stage=KEYS),
    "cumulative": lambda t: insight.time_in_stage(t, stage=KEYS, measure="cumulative"),
    "current": lambda t: insight.time_in_stage(t, stage=KEYS, measure="current"),
    "survival": lambda t: insight.survival(t, "working"),
    "time per deal": insight.time_per_deal,
    "bottlenecks": insight.bottlenecks,
    "stale deals": lambda t: insight.stale_deals(t, anchor="opening"),
    "velocity": insight.velocity,
}
OF_ENTRIES: dict[str, Callable[..., Report]] = {
    "funnel": insight.funnel,
    "funnel, climbs": lambda t: insight.funnel(t, order="strict", entry="every"),
    "funnel, entries": lambda t: insight.funnel(t, definition="entries", entry="every"),
    "turning back": insight.turning_back,
    "recovery": lambda t: insight.recovery(t, reminders=MAILS),
}


@attrs.frozen
class Passing:
    """Deals, and the same with one that passed through a stage on its way to the next."""

    without: list[Life]
    with_it: list[Life]


@st.composite
def passing(draw: st.DrawFn, *, numbered: bool) -> Passing:
    # Visits without length that are drawn anyway would be others than the one that is looked at.
    name = draw(st.sampled_from(["deal", "deal-9"]))
    drawn = [*draw(lives(most=3, apart=True)), draw(lives_of(name, moves=True, apart=True))]
    plain = [attrs.evolve(one, timers=frozenset()) for one in drawn]
    chosen = plain[-1]
    place = draw(st.integers(1, len(chosen.stays) - 1))
    before, after = chosen.stays[place - 1], chosen.stays[place]
    # Whoever closed and reopened at one instant keeps no closing: that is the deal's own story.
    through = draw(
        st.sampled_from([key for key in NEVER_CLOSED if key not in (before[1], after[1])])
    )
    stays = (*chosen.stays[:place], (after[0], through), *chosen.stays[place:])
    seqs = tuple(range(len(stays))) if numbered else (0,) * len(stays)
    other = attrs.evolve(chosen, stays=stays, seqs=seqs)
    return Passing(plain, [other if one is chosen else one for one in plain])


def same(one: pl.DataFrame, other: pl.DataFrame) -> None:
    assert_frame_equal(one, other, check_exact=False, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize("name", OF_DURATIONS)
@settings(max_examples=25)
@given(st.booleans().flatmap(lambda numbered: passing(numbered=numbered)))
def test_passing_through_a_stage_within_an_instant_changes_no_report_of_durations(
    name: str, drawn: Passing
) -> None:
    report = OF_DURATIONS[name]
    same(report(tables_of(drawn.with_it)).table, report(tables_of(drawn.without)).table)


@pytest.mark.parametrize("name", OF_ENTRIES)
@settings(max_examples=25)
@given(passing(numbered=False))
def test_where_no_number_orders_the_events_it_is_no_entry_either(name: str, drawn: Passing) -> None:
    report = OF_ENTRIES[name]
    then, now = report(tables_of(drawn.without)), report(tables_of(drawn.with_it))
    same(now.table, then.table)
    assert now.notes == then.notes


def entered(deals: list[Life], stage: str) -> tuple[int, int]:
    table = insight.funnel(tables_of(deals), definition="entries").table
    row: Any = table.row(by_predicate=pl.col("stage") == stage, named=True)
    return row["entered"], row["came_back"]


THROUGH = life("a", (0, "new"), (10, "working"), (10, "offer"), (30, "won"))


@pytest.mark.parametrize(
    ("seqs", "timers", "counted"),
    [
        ((1, 2, 3, 4), (), 1),
        ((1, 2, 2, 4), (), 0),
        ((0, 0, 0, 0), (), 0),
        ((1, 2, 3, 4), (2,), 0),
        ((1, 2, 3, 4), (1,), 0),
    ],
)
def test_it_is_an_entry_when_events_with_different_seq_made_it(
    seqs: tuple[int, ...], timers: tuple[int, ...], counted: int
) -> None:
    one = attrs.evolve(THROUGH, seqs=seqs, timers=frozenset(timers))
    made = tables_of([one])
    assert entered([one], "working") == (counted, 0)
    assert entered([one], "offer") == (1, 0)
    assert made.visits["counts"].to_list() == [True, bool(counted), True, True]
    assert made.visits.height == made.moves.height == 4
    times = insight.time_in_stage(made, measure="cumulative").table
    assert dict(times.select("stage", "deals").rows())["working"] == 0


def test_a_stage_that_was_left_for_no_time_was_not_come_back_to() -> None:
    there_and_back = life("a", (0, "working"), (10, "new"), (10, "working"), (30, "won"))
    once = attrs.evolve(there_and_back, seqs=(0, 0, 0, 0))
    assert entered([there_and_back], "working") == (1, 1)
    assert entered([once], "working") == (1, 0)
    assert insight.turning_back(tables_of([once])).table.is_empty()
    assert insight.turning_back(tables_of([there_and_back])).table.height == 1
    longest = insight.time_in_stage(tables_of([once])).table.filter(stage="working")
    assert longest["longest_days"].item() == pytest.approx(30 / 24)


def test_an_abandonment_of_no_time_counts_and_has_no_median() -> None:
    gone = life("a", (0, "new"), (10, "gone"), (10, "new"))
    found = insight.recovery(tables_of([gone]), reminders=MAILS)
    (row,) = found.table.to_dicts()
    assert (row["outcome"], row["visits"], row["median_days"]) == ("came_back", 1, None)
    unnumbered = attrs.evolve(gone, seqs=(0, 0, 0))
    assert insight.recovery(tables_of([unnumbered]), reminders=MAILS).table.is_empty()


def test_tables_that_were_kept_from_before_are_reported_on_all_the_same() -> None:
    made = tables_of([THROUGH])
    old = attrs.evolve(made, visits=made.visits.drop("counts"), moves=made.moves.drop("event_seq"))
    assert insight.funnel(old).table.height == 4
    assert insight.time_in_stage(old).table.filter(stage="working")["deals"].item() == 0
    assert insight.funnel(old, as_of="2026-01-06T00:00Z").table.height == 4


NEW, WORKING, OFFER = Stage("new"), Stage("working"), Stage("offer")
STEPS = Pipeline(
    "steps",
    stages=[NEW, WORKING, OFFER],
    rules=[on("a", into=NEW, opens=True), on("b", into=WORKING), on("c", into=OFFER)],
)
AT = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)


@pytest.mark.parametrize(("seqs", "counts"), [((1, 2), True), ((7, 7), False), ((0, 0), False)])
def test_a_board_and_a_replay_say_alike_whether_it_counts(
    seqs: tuple[int, int], counts: bool
) -> None:
    events = [
        Event("a", deal="d", id="1", at=AT),
        Event("b", deal="d", id="2", at=AT + dt.timedelta(hours=1), seq=seqs[0]),
        Event("c", deal="d", id="3", at=AT + dt.timedelta(hours=1), seq=seqs[1]),
    ]
    clock = ManualClock(AT + dt.timedelta(days=1))
    board = Board(STEPS, clock=clock)
    for event in events:
        board.handle(event)
    expected = [True, counts, True]
    assert visits(board)["counts"].to_list() == expected
    assert tables(board).visits["counts"].to_list() == expected
    assert tables(board, believed_at=clock.now()).visits["counts"].to_list() == expected
    replayed = replay(STEPS, events)
    assert replayed.columnar
    assert replayed.visits["counts"].to_list() == expected
    assert replayed.moves["event_seq"].to_list() == [0, *seqs]
    assert moves(board)["event_seq"].to_list() == [0, *seqs]
