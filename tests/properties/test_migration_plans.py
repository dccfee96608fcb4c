"""A plan says what adopting a ladder then does, and changes nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import ANY, Board, Event, ManualClock, MemoryStore, Pipeline, Stage, after, on
from ladderpipe.board.verify import verify
from ladderpipe.errors import PipelineChangedError
from tests.shops import contents

KEYS = "abcd"
START = "2026-01-05T09:00:00Z"
LADDERS = st.tuples(
    st.lists(st.sampled_from(KEYS), min_size=2, max_size=4, unique=True),
    st.integers(1, 96),
    st.sets(st.sampled_from(KEYS)),
)
TOLD = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from([*KEYS, "note"]), st.integers(0, 60)), max_size=12
)


def ladder(keys: list[str], hours: int, opening: set[str]) -> Pipeline:
    """Return a ladder whose events move into the stage they are called after."""
    stages = [Stage(key) for key in keys]
    return Pipeline(
        "planned",
        stages=stages,
        rules=[
            *(
                on(f"to.{s}", into=s, out_of=ANY, opens=s.key in opening or s is stages[0])
                for s in stages
            ),
            after(hours=hours, out_of=stages[0], into=stages[1]),
        ],
    )


def rows(store: MemoryStore) -> dict[str, tuple[str | None, Any]]:
    with store.transaction(write=False) as transaction:
        return {d.deal: (d.stage, d.due_at) for d, _ in transaction.every_deal(1, 0, 100)}


@given(LADDERS, LADDERS, TOLD, st.data())
def test_a_plan_says_what_migrating_then_does(
    old: Any, new: Any, told: list[tuple[int, str, int]], data: st.DataObject
) -> None:
    store, clock = MemoryStore(), ManualClock(START)
    board = Board(ladder(*old), store=store, clock=clock)
    for number, (deal, key, hours) in enumerate(told):
        board.handle(Event(f"to.{key}", deal=f"d{deal}", id=f"e{number}", at=clock.now()))
        clock.advance(hours=hours)
    changed = ladder(*new)
    missing = [key for key in old[0] if key not in new[0]]
    named = data.draw(st.lists(st.sampled_from(missing), unique=True)) if missing else []
    mapping = {key: data.draw(st.sampled_from(changed.stages)) for key in named}
    adopting = Board(changed, store=store, clock=clock, adopting=True)
    before, was = contents(store), rows(store)
    plan = adopting.migration_plan(mapping, batch=data.draw(st.integers(1, 4)))
    assert contents(store) == before
    try:
        report = adopting.migrate(mapping)
    except PipelineChangedError:
        assert plan.gone
        assert set(plan.gone) == set(missing) - set(named)
        counts = Counter(stage for stage, _ in was.values())
        assert plan.gone == {key: counts[key] for key in plan.gone}
        return
    assert plan.is_possible
    assert plan.deals == report.deals
    assert bool(plan.differences) == (board.pipeline.fingerprint != changed.fingerprint)
    if plan.differences:
        now = rows(store)
        assert plan.stages == Counter((was[deal][0], now[deal][0]) for deal in was)
        assert plan.due == sum(due is not None and due <= clock.now() for _, due in now.values())
        assert plan.renamed == {old: str(new) for old, new in mapping.items()}
    assert verify(Board(changed, store=store, clock=clock)).differences == ()
