"""S12, S15: whatever a shop does to its ladder and its people, no order in flight is lost."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Sequence
from pathlib import Path

import attrs
from hypothesis import assume, given
from hypothesis import event as label
from hypothesis import strategies as st

from ladderpipe import Board, Event, ManualClock, MemoryStore, Outcome, Pipeline, SqliteStore, Stage
from ladderpipe.board.verify import verify
from ladderpipe.fold.explain import Reason, Step
from ladderpipe.ladder.rules import OnEvents
from ladderpipe.stores.base import Store
from ladderpipe.testing.copies import copies
from ladderpipe.testing.strategies import START
from tests.ladders import ladders_and_events
from tests.shops import believed

HOUR = dt.timedelta(hours=1)
STORES = (MemoryStore, lambda: SqliteStore(":memory:"))
EMAIL = "ada@example.com"


def with_annex(pipeline: Pipeline) -> Pipeline:
    """Return another definition in which nothing is different for any deal."""
    annex = Stage("annex")
    return Pipeline(pipeline.name, stages=[*pipeline.stages, annex], rules=pipeline.rules)


def with_merged_stages(pipeline: Pipeline, gone: Stage, into: Stage) -> Pipeline:
    """Return the ladder in which one stage is another one."""
    stages = [stage for stage in pipeline.stages if stage is not gone]

    def renamed(stage: Stage) -> Stage:
        return into if stage is gone else stage

    def merged(out_of: object) -> object:
        return tuple(dict.fromkeys(map(renamed, out_of))) if isinstance(out_of, tuple) else out_of

    rules = [
        attrs.evolve(rule, into=renamed(rule.into), out_of=merged(rule.out_of))
        for rule in pipeline.rules
    ]
    return Pipeline(pipeline.name, stages=stages, rules=rules)


@attrs.define
class Shop:
    """A board over a store, whose ladder may be changed and whose people may be forgotten."""

    pipeline: Pipeline
    store: Store
    clock: ManualClock
    board: Board

    @classmethod
    def of(cls, pipeline: Pipeline, store: Store) -> Shop:
        clock = ManualClock(START)
        return cls(pipeline, store, clock, Board(pipeline, store=store, clock=clock))

    def wait_until(self, instant: dt.datetime) -> None:
        if instant > self.clock.now():
            self.clock.set(instant)

    def adopt(self, pipeline: Pipeline, **mapping: Stage) -> None:
        if "annex" in {stage.key for stage in self.board.pipeline.stages}:
            mapping["annex"] = pipeline.stages[0]
        self.board = Board(pipeline, store=self.store, clock=self.clock, adopting=True)
        self.board.migrate(mapping)

    def cut(self, how: str) -> None:
        """Have baselines written."""
        if how == "forget":
            self.board.forget(email=EMAIL)
        elif how == "retention":
            self.lay_aside()
        elif how == "merge":
            gone, into = self.pipeline.stages[-1], self.pipeline.stages[0]
            self.adopt(with_merged_stages(self.pipeline, gone, into), **{gone.key: into})
        else:
            is_plain = self.board.pipeline.fingerprint == self.pipeline.fingerprint
            self.adopt(with_annex(self.pipeline) if is_plain else self.pipeline)

    def lay_aside(self) -> None:
        """Archive the closed deals and put them back, as they were."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "closed.jsonl"
            if self.board.archive(before=self.clock.now(), to=file).deals:
                self.board.restore(file)

    def step_of(self, event: Event) -> Step:
        """Return what is said of an event."""
        steps = self.board.explain(event.deal).steps
        return next(step for step in steps if step.event == event and step.kind != "baseline")


def closing_types(pipeline: Pipeline) -> set[str]:
    closing = [rule.trigger for rule in pipeline.rules if rule.into.is_closed]
    return {kind for trigger in closing if isinstance(trigger, OnEvents) for kind in trigger.types}


@st.composite
def told_in_two_parts(
    draw: st.DrawFn,
) -> tuple[Pipeline, list[Event], list[Event]]:
    """Return a ladder, what is told before the cuts, and what is told after them."""
    pipeline, events = draw(ladders_and_events(hands=False, min_size=2, max_size=14))
    early = draw(st.permutations(events))[: draw(st.integers(1, len(events) - 1))]
    before = [event for event in events if event in early]
    return pipeline, before, [event for event in events if event not in early]


cuts = st.lists(
    st.sampled_from(["migrate", "merge", "forget", "retention"]), min_size=1, max_size=3
).map(
    # Merged stages are not told apart again.
    lambda found: [how for n, how in enumerate(found) if how != "merge" or n == len(found) - 1]
)


def told(shop: Shop, before: Sequence[Event], cuts: Sequence[str], swept: bool) -> None:
    for event in before:
        shop.wait_until(event.at)
        shop.board.handle(event)
    for how in cuts:
        shop.clock.advance(hours=1)
        if swept:
            shop.board.tick()
        shop.cut(how)


@given(told_in_two_parts(), st.lists(cuts, min_size=1, max_size=2), st.data())
def test_whatever_arrives_after_a_cut_gives_one_history_in_any_order_doubled_or_not(
    case: tuple[Pipeline, list[Event], list[Event]], cut: list[list[str]], data: st.DataObject
) -> None:
    pipeline, before, after = case
    hows = [how for part in cut for how in part if how]
    if "merge" in hows:
        hows = [how for how in hows if how != "merge"] + ["merge"]
    swept = data.draw(st.booleans(), label="swept")
    end = max(event.at for event in (*before, *after)) + 60 * HOUR
    ends = []
    for n, make_store in enumerate(data.draw(st.permutations(STORES))):
        shop = Shop.of(pipeline, make_store())
        told(shop, before, hows, swept)
        shop.wait_until(end)
        order = data.draw(st.permutations(after), label=f"order {n}")
        for event in order:
            shop.board.handle(event)
            if data.draw(st.booleans()):
                again = shop.board.handle(data.draw(copies(event)))
                assert again.outcome is Outcome.DUPLICATE
            if n and data.draw(st.booleans()):
                shop.board.tick()
        shop.board.tick()
        report = verify(shop.board)
        assert report.agrees, report.differences
        deal = before[0].deal
        ends.append((believed(shop.board, deal), shop.board.explain(deal)))
        shop.board.close()
    assert ends[0] == ends[1]


@given(told_in_two_parts(), cuts, st.data())
def test_an_event_that_may_close_a_deal_does_or_is_answered_by_name(
    case: tuple[Pipeline, list[Event], list[Event]], hows: list[str], data: st.DataObject
) -> None:
    pipeline, before, after = case
    shop = Shop.of(pipeline, MemoryStore())
    told(shop, before, hows, data.draw(st.booleans(), label="swept"))
    shop.wait_until(max(event.at for event in after) + 60 * HOUR)
    receipts = {event: shop.board.handle(event) for event in data.draw(st.permutations(after))}
    closing = closing_types(shop.board.pipeline)
    deal = before[0].deal
    try:
        moved = {move.event for move in shop.board.history(deal).moves}
    except LookupError:
        return
    moved_by = {(event.source, event.id) for event in moved if event is not None}
    for event in (*before, *after):
        if event.type not in closing or (event.source, event.id) in moved_by:
            continue
        step = shop.step_of(next(e for e in shop.board.events(deal) if e.id == event.id))
        if step.in_baseline:
            base = next(s for s in shop.board.explain(deal).steps if s.kind == "baseline")
            assert base.out_of is None or "began by" in str(base)
            continue
        if step.into is not None:
            continue
        is_late = event in receipts and receipts[event].late
        label("late" if is_late else "not late")
        said = [refusal for refusal in step.refusals if refusal.reason is not Reason.TRIGGER]
        assert said, f"{step} names nothing"
        late = [refusal for refusal in said if refusal.reason is Reason.LATE]
        assert all("event '" in r.detail or "rule '" in r.detail for r in late)


@given(told_in_two_parts(), st.lists(st.just("migrate"), min_size=1, max_size=2), st.data())
def test_where_a_cut_changes_nothing_later_events_do_what_they_would_have_done(
    case: tuple[Pipeline, list[Event], list[Event]], hows: list[str], data: st.DataObject
) -> None:
    pipeline, before, after = case
    cut_shop, plain = (Shop.of(pipeline, MemoryStore()) for _ in range(2))
    told(cut_shop, before, (), swept=True)
    told(plain, before, (), swept=True)
    for shop in (cut_shop, plain):
        shop.clock.advance(hours=1)
        shop.board.tick()
    deal = before[0].deal
    with plain.store.transaction(write=False) as transaction:
        stored, _, _ = transaction.load(plain.board._session.number, deal, create=False)
    assume("blocked" not in (stored.timers or ""))
    for how in hows:
        cut_shop.cut(how)
    stood = max(at for at in (stored.cursor_at, stored.horizon, START) if at is not None)
    wait = max(dt.timedelta(), stood - min(event.at for event in after)) + HOUR
    later = [attrs.evolve(event, at=event.at + wait) for event in after]
    end = max(event.at for event in later) + 60 * HOUR
    for shop in (cut_shop, plain):
        shop.wait_until(end)
        for event in data.draw(st.permutations(later)):
            receipt = shop.board.handle(event)
            assert not receipt.late
        shop.board.tick()
    assert believed(cut_shop.board, deal) == believed(plain.board, deal)
    label("open" if stored.stage else "waiting")
