"""A baseline carries a deal's whole state: what follows it goes on as if nothing had been."""

from __future__ import annotations

import datetime as dt

from hypothesis import assume, given
from hypothesis import strategies as st

from ladderpipe import Event, Pipeline
from ladderpipe.fold.fold import run
from ladderpipe.model.event import BASELINE, OWN_SOURCE, TOLD, WITHDRAW
from ladderpipe.model.visit import visit_keys
from ladderpipe.testing import assert_single_stage
from tests.ladders import ladders_and_events


@given(ladders_and_events(min_size=2), st.data())
def test_a_baseline_changes_nothing_of_what_follows(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
) -> None:
    pipeline, told = case
    # What a baseline holds cannot be taken back, so without withdrawals.
    events = [event for event in told if event.type != WITHDRAW]
    assume(events)
    cut = data.draw(st.sampled_from(sorted({event.at for event in events})))
    cut += data.draw(st.sampled_from([0, 0, 1, 3])) * dt.timedelta(hours=1)
    # Folded until the cut, every timer due before it has been tried: so the floor is no matter.
    # What was told later of a stage has no timer fire before it, which no baseline can know.
    events = [event for event in events if event.type != TOLD or event.at <= cut]
    assume(events)
    draft, moves, _ = run(pipeline.ladder, events, cut)
    assume(draft is not None)
    assert draft is not None
    if moves:
        draft.visit_key = visit_keys(None, moves)[-1]
    baseline = Event(
        BASELINE,
        deal=draft.deal,
        id="baseline",
        at=cut,
        source=OWN_SOURCE,
        data={"state": draft.to_state()},
    )
    later = [event for event in events if event.at > cut]
    until = data.draw(st.sampled_from([None, cut, cut + dt.timedelta(hours=7)]))
    if until is None:
        assume(later)
    whole = pipeline.fold(events, until)
    for known in ([baseline, *later], [baseline, *events]):
        carried = pipeline.fold(known, until)
        if whole is None:
            assert carried is None
            continue
        assert carried is not None
        assert_single_stage(carried)
        assert carried.deal == whole.deal
        assert carried.moves == whole.moves[len(moves) :]
        assert carried.visits == whole.visits[max(len(moves) - 1, 0) :]
