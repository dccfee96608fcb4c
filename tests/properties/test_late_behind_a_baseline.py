"""S12: what sorts before a baseline is folded where that stands; nothing that happened is lost."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import attrs
from hypothesis import assume, given
from hypothesis import event as label
from hypothesis import strategies as st

from ladderpipe import Event, Pipeline
from ladderpipe.board.baseline import Past, baseline_event
from ladderpipe.fold.fold import run
from ladderpipe.model.move import Move
from ladderpipe.model.visit import visit_keys
from ladderpipe.stores.base import MoveRecord
from ladderpipe.testing import assert_single_stage
from ladderpipe.testing.copies import copies
from tests.ladders import guarded_ladder, ladders_and_events
from tests.properties import reference

HOUR = dt.timedelta(hours=1)


@attrs.frozen
class Cut:
    """A baseline, as the fold has it and as the text does, and what had been told by then."""

    event: Event
    expected: reference.Baseline
    told: list[Event]
    records: list[MoveRecord]


def cut_after(
    pipeline: Pipeline, told: list[Event], until: dt.datetime | None, hours: int, former: Cut | None
) -> Cut:
    """Write a baseline some hours after all that is *told*, swept *until* an instant or not."""
    known = [*told] if former is None else [former.event, *told]
    draft, moves, _ = run(pipeline.ladder, known, until)
    assert draft is not None
    records = [] if former is None else former.records
    keys = visit_keys(draft.visit_key, moves)
    if keys:
        draft.visit_key = keys[-1]
    records = [*records, *map(record, moves, keys)]
    written_at = max([event.at for event in told] + ([until] if until else [])) + hours * HOUR
    state = reference.state_after(pipeline, told, until, former and former.expected)
    return Cut(
        baseline_event(draft, Past(known, records), written_at),
        reference.carry(pipeline, state, told, written_at, former and former.expected),
        told,
        records,
    )


def record(move: Move, key: str) -> MoveRecord:
    source, id = (None, None) if move.event is None else (move.event.source, move.event.id)
    out_of = None if move.out_of is None else move.out_of.key
    return MoveRecord(move.n, key, out_of, move.into.key, move.at, move.at, move.rule, source, id)


@st.composite
def instants(draw: st.DrawFn, events: Sequence[Event]) -> dt.datetime | None:
    """Return no instant, or one some hours after the last of *events*."""
    hours = draw(st.sampled_from([None, 0, 1, 2, 5, 48]))
    return None if hours is None else max(event.at for event in events) + hours * HOUR


@given(ladders_and_events(min_size=2), st.data())
def test_what_comes_late_is_folded_as_the_text_says(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
) -> None:
    pipeline, events = case
    era_of = data.draw(
        st.lists(st.integers(0, 2), min_size=len(events), max_size=len(events)), label="eras"
    )
    eras = [[e for e, n in zip(events, era_of, strict=True) if n == era] for era in range(3)]
    cut: Cut | None = None
    told: list[Event] = []
    for era in eras[: data.draw(st.integers(1, 2), label="cuts")]:
        told = [*told, *era]
        if reference.in_order(pipeline, told, None):
            until = data.draw(instants([*told, cut.event] if cut else told))
            cut = cut_after(pipeline, told, until, data.draw(st.sampled_from([0, 1, 9])), cut)
    assume(cut is not None)
    assert cut is not None
    again = data.draw(st.lists(st.sampled_from(events).flatmap(copies), max_size=2))
    events = [*events, *again]
    arrived = data.draw(st.permutations([cut.event, *events]))
    until = data.draw(instants([cut.event, *events]))
    expected = reference.state_after(pipeline, events, until, cut.expected)
    draft, _, _ = run(pipeline.ladder, arrived, until)
    assert draft is not None
    assert draft.late.keys() == expected.late.keys()
    label(f"{len(draft.late)} late, {sum(draft.late.values())} changed something")
    history = pipeline.fold(arrived, until)
    if expected.stage is None:
        assert history is None
        return
    assert history is not None
    assert_single_stage(history)
    assert history.moves == expected.moves[len(cut.expected.state.moves) :]
    # Whether nothing at all has changed depends on what each fold notes of a cart.
    deal = attrs.evolve(history.deal, unread=())
    told = reference.as_deal(pipeline, expected)
    if draft.late == expected.late:
        assert deal == told
    else:
        assert attrs.evolve(deal, last_event_at=told.last_event_at) == told


def test_that_an_unknown_value_is_nothing_after_all_is_a_change() -> None:
    pipeline, start = guarded_ladder(), dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
    opened = Event("opened", deal="deal-1", id="0", at=start)
    noted = Event("noted", deal="deal-1", id="2", at=start + 2 * HOUR)
    emptied = Event("cart.emptied", deal="deal-1", id="1", at=start + HOUR)
    cut = cut_after(pipeline, [opened, noted], None, 1, None)
    draft, _, _ = run(pipeline.ladder, [cut.event, opened, noted, emptied])
    assert draft is not None
    assert (cut.expected.state.data.value, draft.as_deal().value) == (None, 0)
    assert draft.late == {("", "1"): True}
