"""S15 and S16: adopting a changed ladder, forgetting people, removing deals."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest

from ladderpipe import (
    ANY,
    Board,
    Event,
    MigrationPlan,
    Outcome,
    Pipeline,
    SqliteStore,
    Stage,
    after,
    do,
    on,
    wait,
)
from ladderpipe.board.verify import verify
from ladderpipe.errors import (
    DealNotFoundError,
    DefinitionError,
    LadderError,
    MoveNotAllowedError,
    PipelineChangedError,
)
from ladderpipe.model.clock import instant
from ladderpipe.stores.base import DealChange
from tests.shops import HOUR, Shop, assert_is_the_fold, believed, contents, lead_ladder, register

# -- a changed ladder ---------------------------------------------------------------------------


def ladder(*names: str, hours: float = 72, **status: Any) -> Pipeline:
    """Return a ladder of these stages; events move into the stage they are called after."""
    stages = [Stage(name, status=status.get(name, "open")) for name in names]
    rules = [on(f"to.{s}", into=s, out_of=ANY, opens=True) for s in stages]
    return Pipeline(
        "changing",
        stages=stages,
        rules=[*rules, after(hours=hours, out_of=stages[0], into=stages[1])],
    )


def adopt(shop: Shop, pipeline: Pipeline, mapping: Mapping[str, str] | None = None) -> Shop:
    """Return the shop under another definition, adopted."""
    found = Shop(pipeline, shop.store, start=shop.clock.now().isoformat(), adopting=True)
    wanted = {old: pipeline.stage(new) for old, new in (mapping or {}).items()}
    found.board.migrate(wanted)
    return found


@pytest.fixture
def shop(store: Any) -> Shop:
    found = Shop(ladder("a", "b", "c"), store)
    for stage in "abc":
        found.tell(f"to.{stage}", f"deal-{stage}")
    found.wait(1)
    for stage in "ab":
        found.tell(f"to.{stage}", "deal-c")
        found.wait(1)
    return found


def stages(shop: Shop) -> dict[str, str]:
    return {deal.id: deal.stage.key for deal in shop.board.deals()}


def visited(shop: Shop, deal: str) -> list[str]:
    return [visit.stage.key for visit in shop.board.history(deal).visits]


def test_a_board_with_another_definition_is_refused_at_opening(shop: Shop):
    before = contents(shop.store)
    with pytest.raises(PipelineChangedError) as refused:
        Board(ladder("a", "x"), store=shop.store)
    message = str(refused.value)
    assert "stage 'b' was removed" in message
    assert "stage 'x' is new" in message
    assert "2 in 'b'" in message
    assert contents(shop.store) == before


def test_titles_and_probabilities_may_change_freely(store: Any):
    Shop(lead_ladder(), store).tell("lead")
    plain = lead_ladder()
    retitled = {
        stage: Stage(stage.key, title="Other", status=stage.status, requires=stage.requires)
        for stage in plain.stages
    }

    def renewed(rule: Any) -> Any:
        out_of = rule.out_of
        if isinstance(out_of, tuple):
            out_of = tuple(retitled[stage] for stage in out_of)
        return attrs.evolve(rule, into=retitled[rule.into], out_of=out_of)

    Board(Pipeline("leads", stages=retitled.values(), rules=map(renewed, plain.rules)), store=store)


def retitled(*names: str, title: str, hours: float = 72) -> Pipeline:
    """Return the same ladder under another title."""
    plain = ladder(*names, hours=hours)
    return Pipeline("changing", title=title, stages=plain.stages, rules=plain.rules)


def test_new_titles_do_not_undo_what_was_adopted_meanwhile(shop: Shop):
    """A board of the old ladder opens, and another one is adopted after it has looked."""
    begin = shop.store.transaction
    looked = []

    def transaction(write: bool = True) -> Any:
        if write and not looked:
            looked.append(True)
            adopt(shop, ladder("a", "b", "c", hours=10))
        return begin(write)

    shop.store.transaction = transaction
    late = Board(retitled("a", "b", "c", title="New"), store=shop.store, clock=shop.clock)
    with pytest.raises(PipelineChangedError, match="another definition"):
        late.handle(shop.event("to.a"))
    assert Board(ladder("a", "b", "c", hours=10), store=shop.store).deal("deal-a").stage == "a"


def test_a_renamed_stage_is_renamed_in_the_whole_history(shop: Shop):
    now = adopt(shop, ladder("a", "middle", "c"), {"b": "middle"})
    assert stages(now) == {"deal-a": "a", "deal-b": "middle", "deal-c": "middle"}
    assert visited(now, "deal-c") == ["c", "a", "middle"]
    assert_is_migrated(now)


def test_merged_stages_are_one_afterwards(shop: Shop):
    now = adopt(shop, ladder("a", "c"), {"b": "c"})
    assert stages(now) == {"deal-a": "a", "deal-b": "c", "deal-c": "c"}
    assert visited(now, "deal-c") == ["c", "a", "c"]
    assert_is_migrated(now)


def test_stages_may_swap_their_names(shop: Shop):
    now = adopt(shop, ladder("a", "b", "c", hours=1), {"a": "b", "b": "a"})
    assert stages(now) == {"deal-a": "b", "deal-b": "a", "deal-c": "a"}
    assert visited(now, "deal-c") == ["c", "b", "a"]
    assert_is_migrated(now)


def assert_is_migrated(now: Shop) -> None:
    """The fold goes on from the baselines, and the deals kept their times and numbers."""
    for deal in ("deal-a", "deal-b", "deal-c"):
        history = now.board.history(deal)
        folded = now.pipeline.fold(now.board.events(deal))
        assert folded is not None
        assert folded.deal == history.deal
        assert folded.visits[-1] == history.visits[-1]
        assert [v.n for v in history.visits] == list(range(1, len(history.visits) + 1))
    now.wait(1)
    assert now.board.handle(now.event("to.c", "deal-a")).outcome is Outcome.MOVED
    assert now.board.deal("deal-a").stage == "c"


def test_due_times_are_worked_out_anew(shop: Shop):
    entered = shop.board.deal("deal-a").entered_at
    assert shop.board.deal("deal-a").due_at == entered + dt.timedelta(hours=72)
    now = adopt(shop, ladder("a", "b", "c", hours=10))
    assert now.board.deal("deal-a").due_at == entered + dt.timedelta(hours=10)
    now.wait(10)
    assert now.board.tick().moves == 1
    assert now.board.history("deal-a").moves[-1].at == entered + dt.timedelta(hours=10)


def test_a_timer_that_would_have_been_due_long_ago_is_due_now_and_not_before(shop: Shop):
    adopted_at = shop.clock.now()
    now = adopt(shop, ladder("a", "b", "c", hours=1))
    assert now.board.deal("deal-a").due_at == adopted_at
    now.board.tick()
    assert now.board.history("deal-a").moves[-1].at == adopted_at
    assert [v.stage for v in now.board.history("deal-a").visits] == ["a", "b"]


def test_a_stage_that_becomes_closed_closes_its_deals(shop: Shop):
    now = adopt(shop, ladder("a", "b", "c", b="won", c="lost"))
    deal = now.board.deal("deal-b")
    assert deal.closed_at == deal.entered_at
    assert now.board.deal("deal-a").closed_at is None
    reopened = adopt(now, ladder("a", "b", "c"))
    assert reopened.board.deal("deal-b").closed_at is None


def test_effects_of_a_visit_stay_with_it(store: Any):
    old = register(ladder("a", "b"), into_a=lambda ctx: ctx.do("email", template="hello"))
    shop = Shop(old, store)
    shop.tell("to.a")
    new = register(ladder("z", "b"), into_z=lambda ctx: ctx.do("email", template="again"))
    now = adopt(shop, new, {"a": "z"})
    now.work()
    assert now.mails == ["hello"], "it entered once, so it is greeted once"


def test_an_event_from_before_the_adoption_that_comes_after_it_is_not_late(shop: Shop):
    """A baseline stands at the last that its deal has seen, not at the moment it was written."""
    now = adopt(shop, ladder("a", "b", "c", hours=10))
    receipt = now.tell("to.c", "deal-a", hours=-1)
    assert (receipt.outcome, receipt.late) == (Outcome.MOVED, False)
    assert now.board.deal("deal-a").entered_at == now.clock.now() - HOUR
    assert verify(now.board).differences == ()


def test_an_event_that_sorts_before_the_baseline_is_folded_where_that_stands(shop: Shop):
    shop.tell("note", "deal-a", owner="Bea")
    stood = shop.clock.now()
    now = adopt(shop, ladder("a", "b", "c", hours=10))
    receipt = now.tell("to.c", "deal-a", hours=-1, owner="Ada", value="5")
    assert (receipt.outcome, receipt.late) == (Outcome.MOVED, True)
    deal = now.board.deal("deal-a")
    assert (deal.stage.key, deal.entered_at) == ("c", stood)
    assert (deal.owner, deal.value) == ("Bea", 5), "Bea owns it since; nobody spoke of its value"
    assert visited(now, "deal-a") == ["a", "c"]
    assert "sorts before that" in str(now.board.explain("deal-a"))
    assert verify(now.board).differences == ()


def test_what_changes_nothing_behind_a_baseline_is_late_and_explained(shop: Shop):
    now = adopt(shop, ladder("a", "b", "c", hours=10))
    before = believed(now.board, "deal-c")
    receipt = now.tell("to.a", "deal-c", hours=-2.5, id="stale")
    assert (receipt.outcome, receipt.late) == (Outcome.LATE, True)
    assert believed(now.board, "deal-c") == before
    assert len(now.board.events("deal-c")) == 5
    [step] = [s for s in now.board.explain("deal-c").steps if s.event and s.event.id == "stale"]
    assert step.outcome is Outcome.LATE
    assert "happened before the deal's visit began (by to.b, event 'to.b-" in str(step)
    assert verify(now.board).differences == ()


def paying(hours: float, **hooks: Any) -> Pipeline:
    """Return a ladder on which carts are reminded after so many hours, and orders are refunded."""
    quote, kept = Stage("quote"), Stage("kept")
    abandoned = Stage("abandoned", status="abandoned")
    won, back = Stage("won", status="won"), Stage("back", status="lost")
    pipeline = Pipeline(
        "changing",
        stages=[quote, kept, abandoned, won, back],
        rules=[
            on("order", into=won, out_of=ANY, opens=True),
            on("refund", into=back, out_of=won),
            on("saved", into=kept),
            on("cart.updated", into=quote, opens=True, out_of=[abandoned]),
            after(hours=hours, out_of=quote, into=abandoned),
        ],
    )
    return register(pipeline, into_abandoned=lambda ctx: ctx.do("email", template="reminder"))


def carted(shop: Shop, *prices: str, **given: Any) -> None:
    """Tell the whole cart: a line for each price."""
    lines = [{"sku": f"S{n}", "quantity": 1, "unit_price": p} for n, p in enumerate(prices)]
    shop.tell("cart.updated", cart={"lines": lines}, **given)


def test_an_order_in_flight_wins_its_deal_and_nobody_is_reminded(store: Any):
    """The ladder is changed while the order is under way; see the how-to on changing one."""
    shop = Shop(paying(48), store)
    carted(shop, "899")
    shop.wait(3)
    now = adopt(shop, paying(72))
    now.wait(0.01)
    receipt = now.tell("order", hours=-0.02)
    assert (receipt.outcome, receipt.late) == (Outcome.MOVED, False)
    now.wait(100)
    now.work()
    assert (now.stage, now.mails) == ("won", [])


def test_an_order_that_sorts_before_the_baseline_wins_with_its_own_amount(store: Any):
    shop = Shop(paying(48), store)
    carted(shop, "10")
    shop.wait(3)
    carted(shop)  # emptied, as shops do, and told before the order
    now = adopt(shop, paying(72))
    lines = [{"sku": "S0", "quantity": 1, "unit_price": "899"}]
    receipt = now.tell("order", hours=-1, cart={"lines": lines}, value="899")
    assert (receipt.outcome, receipt.late) == (Outcome.MOVED, True)
    assert now.board.deal("d").value == 899
    now.wait(100)
    now.work()
    assert (now.stage, now.mails) == ("won", [])


def test_an_order_from_before_the_reminder_wins_an_abandoned_deal(store: Any):
    shop = Shop(paying(48), store)
    carted(shop, "899")
    shop.wait(50)
    shop.work()
    assert shop.stage == "abandoned"
    now = adopt(shop, paying(72))
    receipt = now.tell("order", hours=-40)
    assert (receipt.outcome, receipt.late) == (Outcome.MOVED, True)
    assert now.stage == "won"
    assert now.tell("saved", hours=-45).outcome is Outcome.LATE
    assert now.stage == "won"


def test_an_order_from_before_a_refund_wins_nothing_and_the_refund_answers_it(store: Any):
    shop = Shop(paying(48), store)
    for kind in ("cart.updated", "order", "refund"):
        shop.tell(kind, id=kind, cart={"lines": []})
        shop.wait(1)
    now = adopt(shop, paying(72))
    receipt = now.tell("order", hours=-2.5, id="once more")
    assert (receipt.outcome, now.stage) == (Outcome.LATE, "back")
    assert "left a closed stage since, by refund, event 'refund'" in str(now.board.explain("d"))


def test_an_order_is_not_lost_when_its_buyer_was_forgotten(store: Any):
    shop = Shop(paying(48), store)
    carted(shop, "899", contact={"email": EMAIL})
    shop.wait(50)
    shop.board.forget(email=EMAIL)
    assert shop.stage == "abandoned"
    receipt = shop.tell("order", hours=-40, contact={"name": "A. Rossi"})
    assert (receipt.outcome, receipt.late) == (Outcome.MOVED, True)
    assert verify(shop.board).differences == ()


def test_parts_count_by_when_they_were_told(store: Any):
    shop = Shop(paying(48), store)
    carted(shop, "10", contact={"name": "Ada"}, owner="Bea", properties={"size": 1, "tone": 1})
    shop.wait(2)
    shop.tell("note", contact={"name": "Ada", "email": EMAIL}, properties={"size": 2})
    now = adopt(shop, paying(72))
    told = {"contact": {"name": "Ada", "email": "old@example.com"}, "owner": "Cleo"}
    line = {"sku": "S1", "quantity": 2, "unit_price": "5"}
    receipt = now.tell(
        "cart.item_added", hours=-1, line=line, properties={"size": 3, "tone": 3}, **told
    )
    assert (receipt.outcome, receipt.late) == (Outcome.STAYED, True)
    deal = now.board.deal("d")
    assert (deal.contact["email"], deal.owner) == (EMAIL, "Cleo")
    assert deal.properties == {"size": 2, "tone": 3}
    assert deal.value == 20, "no whole cart was told since"
    assert now.tell("cart.item_added", hours=-2.5, line=line).outcome is Outcome.LATE
    assert verify(now.board).differences == ()


def test_a_reducer_of_ones_own_has_one_key_for_everything(store: Any):
    def reduce(data: Any, event: Event) -> None:
        data.properties = {**data.properties, **event.data}

    def own(hours: float) -> Pipeline:
        base = paying(hours)
        return Pipeline("changing", stages=base.stages, rules=base.rules, reducer=reduce)

    shop = Shop(own(48), store)
    shop.tell("cart.updated", tone=1)
    shop.wait(2)
    shop.tell("note", size=2)
    now = adopt(shop, own(72))
    assert now.tell("note", hours=-1, tone=3).outcome is Outcome.LATE
    assert now.board.deal("d").properties == {"tone": 1, "size": 2}


def test_the_visit_that_a_baseline_holds_waits_at_least_until_it_was_written(store: Any):
    """And a visit that is begun later has its own timers, though it began before."""
    shop = Shop(ladder("a", "b", "c"), store)
    shop.tell("to.a")
    shop.tell("to.a", "e")
    shop.wait(20)
    adopted_at = shop.clock.now()
    stages = [Stage(name) for name in "abc"]
    rules = [on(f"to.{s}", into=s, out_of=ANY, opens=True) for s in stages]
    timers = [after(hours=5, out_of=stages[0], into=stages[2])]
    timers.append(after(hours=5, out_of=stages[1], into=stages[2], key="soon"))
    now = adopt(shop, Pipeline("changing", stages=stages, rules=[*rules, *timers]))
    assert now.board.deal("d").due_at == adopted_at
    now.tell("to.b", "e", hours=-10)
    now.board.tick()
    assert now.board.history("d").moves[-1].at == adopted_at
    assert now.board.history("e").moves[-1].at == adopted_at - 5 * HOUR


def test_an_old_name_of_a_stage_is_understood_when_it_is_told_late(store: Any):
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    shop.wait(1)
    leads = lead_ladder()
    lost = Stage("gone", status="lost", requires=["why"])
    stages = [lost if stage == "lost" else stage for stage in leads.stages]
    rules = [attrs.evolve(r, into=lost) if r.into == "lost" else r for r in leads.rules]
    now = adopt(shop, Pipeline("leads", stages=stages, rules=rules), {"lost": "gone"})
    hand = Event(
        "ladder.by_hand",
        deal="d",
        id="in flight",
        at=now.clock.now(),
        source="ladderpipe",
        data={"into": "lost", "by": "Bea", "properties": {"why": "price"}},
    )
    folded = now.pipeline.fold([*now.board.events("d"), hand])
    assert folded.deal.stage == "gone"


def opened_by(kind: str, **hooks: Any) -> Pipeline:
    """Return a ladder on which only this kind of event opens a deal, and greets it."""
    steps = [do("email", template="hello"), wait(hours=24), do("email", template="again")]
    new, old = Stage("new", sequence=steps), Stage("old", status="abandoned")
    pipeline = Pipeline(
        "changing",
        stages=[old, new],
        rules=[on(kind, into=new, opens=True), after(hours=48, out_of=new, into=old)],
    )
    return register(pipeline, **hooks)


def test_an_opening_from_before_the_adoption_still_opens_a_deal_that_waits(store: Any):
    shop = Shop(opened_by("lead"), store)
    shop.wait(10)
    assert shop.tell("chat", owner="Bea").outcome is Outcome.WAITING
    now = adopt(shop, opened_by("request"))
    now.wait(1)
    assert now.tell("request", hours=-8).outcome is Outcome.OPENED
    assert now.board.deal("d").owner == "Bea"
    assert [event.type for event in now.board.events("d")] == ["request", "chat"]
    assert verify(now.board).differences == ()


def test_a_deal_that_waits_opens_when_the_adopted_ladder_says_so_and_nothing_is_sent(store: Any):
    shop = Shop(opened_by("lead"), store)
    shop.tell("request", owner="Bea")
    shop.wait(30)
    now = adopt(shop, opened_by("request"))
    assert now.stages == ["new"]
    assert now.board.deal("d").entered_at == instant("2026-01-05T09:00:00Z")
    now.work()
    assert now.mails == []
    assert set(now.states().values()) == {"expired"}
    now.wait(100)
    now.work()
    assert now.stages == ["new", "old"]
    assert_is_the_fold(now.board)
    assert verify(now.board).differences == ()


def test_a_deal_that_cannot_be_opened_by_adopting_goes_on_waiting(store: Any):
    """Its hook raises, and the other deals are none the worse for it."""

    def refuse(ctx: Any) -> None:
        if ctx.deal.id == "bad":
            raise OSError

    shop = Shop(opened_by("lead"), store)
    for deal in ("bad", "good"):
        shop.tell("request", deal)
    now = adopt(shop, opened_by("request", into_new=refuse))
    assert stages(now) == {"good": "new"}
    assert now.tell("request", "good").outcome is Outcome.STAYED
    assert verify(now.board).differences == ()


def test_events_after_the_adoption_may_come_late(shop: Shop):
    now = adopt(shop, ladder("a", "b", "c", hours=10))
    now.wait(3)
    now.tell("to.c", "deal-a")
    receipt = now.tell("to.b", "deal-a", hours=-1)
    assert receipt.refolded
    assert visited(now, "deal-a") == ["a", "b", "c"]
    assert now.pipeline.fold(now.board.events("deal-a")).deal == now.board.deal("deal-a")


def test_a_late_event_brings_the_deal_back_to_the_visit_the_baseline_carried(store: Any):
    """And with it the effects that leaving it had cancelled."""

    def wary(key: str) -> Pipeline:
        stage, other = Stage("a"), Stage("b")
        pipeline = Pipeline(
            "changing",
            stages=[stage, other],
            rules=[
                on("to.a", into=stage, opens=True, key=key),
                on("to.b", into=other, when=lambda deal, event: deal.owner is None),
            ],
        )
        pipeline.move_into(stage)(
            lambda ctx: ctx.do("email", template="hello", wait=dt.timedelta(hours=9))
        )
        return pipeline

    shop = Shop(wary("old"), store)
    shop.tell("to.a")
    now = adopt(shop, wary("new"))
    now.wait(3)
    now.tell("to.b")
    assert now.states() == {"hello": "cancelled"}
    assert now.tell("assigned", hours=-1, owner="Bea").refolded
    assert now.stage == "a"
    assert now.states() == {"hello": "pending"}


def test_a_stage_that_is_gone_must_go_somewhere_and_the_counts_say_what_is_at_stake(shop: Shop):
    board = Board(ladder("x", "y"), store=shop.store, adopting=True)
    before = contents(shop.store)
    with pytest.raises(PipelineChangedError) as refused:
        board.migrate({"a": board.pipeline.stages[0]})
    assert "'b' (2 deals), 'c' (0 deals)" in str(refused.value)
    with pytest.raises(DefinitionError, match="no stage 'moon'"):
        board.migrate({"moon": board.pipeline.stages[0]})
    with pytest.raises(DefinitionError, match="no stage of this pipeline"):
        board.migrate({"a": "moon", "b": "x", "c": "x"})  # type: ignore[dict-item]
    assert contents(shop.store) == before


def test_a_plan_counts_what_would_change_and_changes_nothing(shop: Shop):
    new = ladder("a", "middle", "c", hours=1)
    board = Board(new, store=shop.store, clock=shop.clock, adopting=True)
    before = contents(shop.store)
    plan = board.migration_plan()
    assert (plan.is_possible, plan.gone, plan.deals) == (False, {"b": 2}, 0)
    plan = board.migration_plan({"b": new.stage("middle")}, batch=2)
    assert plan.is_possible
    assert plan.stages == {("a", "a"): 1, ("b", "middle"): 2}
    assert (plan.deals, plan.due) == (3, 1)
    assert any("'middle' is new" in each for each in plan.differences)
    assert contents(shop.store) == before
    assert plan.to_dict()["stages"][0] == {"from": "a", "into": "a", "deals": 1}


def test_what_is_under_way_is_planned_no_more(shop: Shop):
    new = ladder("a", "middle", "c")
    board = Board(new, store=shop.store, clock=shop.clock, adopting=True)
    mapping = {"b": new.stage("middle")}
    crashing(shop.store, TRIED + 2)
    with pytest.raises(Crash):
        board.migrate(mapping, batch=1)
    assert board.migration_plan().is_under_way
    assert board.migration_plan(mapping).renamed == {"b": "middle"}
    with pytest.raises(PipelineChangedError, match="another migration"):
        board.migration_plan({"b": new.stage("c")})
    board.migrate(mapping)
    assert board.migration_plan() == MigrationPlan()


def test_in_development_a_changed_ladder_is_adopted_at_opening(shop: Shop):
    before = contents(shop.store)
    with pytest.raises(PipelineChangedError, match=r"'b' .*2 deals"):
        Board(ladder("a", "c"), store=shop.store, clock=shop.clock, on_change="migrate")
    with pytest.raises(ValueError, match="'adopt'"):
        Board(ladder("a", "b"), store=shop.store, on_change="adopt")  # type: ignore[arg-type]
    assert contents(shop.store) == before
    changed = ladder("a", "b", "c", "d", hours=1)
    settings: dict[str, Any] = {"store": shop.store, "clock": shop.clock, "on_change": "migrate"}
    Board(changed, **settings)
    adopted = contents(shop.store)
    assert Board(changed, **settings).deal("deal-a").stage.key == "a"
    assert contents(shop.store) == adopted
    with pytest.raises(PipelineChangedError):
        shop.tell("to.a")


def test_migrating_to_the_same_definition_is_nothing_to_do(shop: Shop):
    before = contents(shop.store)
    assert shop.board.migrate().deals == 0
    assert contents(shop.store) == before


def test_a_board_of_the_old_definition_cannot_write_afterwards(shop: Shop):
    adopt(shop, ladder("a", "b", "c", hours=10))
    before = contents(shop.store)
    for act in (
        lambda: shop.tell("to.a"),
        lambda: shop.board.handle_many([shop.event("to.a")]),
        lambda: shop.board.move("deal-a", "b", by="Bea"),
        lambda: shop.board.override("deal-a", "b", by="Bea"),
        lambda: shop.board.remove("deal-a"),
    ):
        with pytest.raises(PipelineChangedError, match="another definition"):
            act()
    assert contents(shop.store) == before


class Crash(BaseException):
    pass


def crashing(store: Any, at: int) -> Any:
    """Return the store, made to crash at the n-th writing transaction from now."""
    begin = store.transaction
    left = at

    def transaction(write: bool = True) -> Any:
        nonlocal left
        if write:
            left -= 1
            if left == 0:
                store.transaction = begin
                raise Crash
        return begin(write)

    store.transaction = transaction
    return store


TRIED = 4
"""How many transactions are only tried before a migration of three deals, one by one, is noted."""


@pytest.mark.parametrize("crash_at", [1, TRIED, TRIED + 1, TRIED + 2, TRIED + 3, TRIED + 4])
def test_a_migration_that_crashed_is_resumed(shop: Shop, crash_at: int):
    is_noted = crash_at > TRIED + 1
    new = ladder("a", "middle", "c")
    board = Board(new, store=shop.store, clock=shop.clock, adopting=True)
    mapping = {"b": new.stage("middle")}
    crashing(shop.store, crash_at)
    with pytest.raises(Crash):
        board.migrate(mapping, batch=1)
    if is_noted:
        for pipeline in (new, ladder("a", "b", "c")):
            with pytest.raises(PipelineChangedError, match=r"a migration .* is not finished"):
                Board(pipeline, store=shop.store)
        with pytest.raises(PipelineChangedError, match="not finished"):
            shop.tell("to.a")
        with pytest.raises(PipelineChangedError, match="another migration"):
            board.migrate({"b": new.stage("c")})
    again = Board(new, store=shop.store, clock=shop.clock, adopting=True)
    again.migrate(None if is_noted else mapping, batch=1)
    now = Shop(new, shop.store, start=shop.clock.now().isoformat())
    assert stages(now) == {"deal-a": "a", "deal-b": "middle", "deal-c": "middle"}
    baselines = [e for e in now.board.events("deal-c") if e.type == "ladder.baseline"]
    assert len(baselines) == 1
    assert_is_migrated(now)


def test_a_migration_reports_how_many_deals_it_carried(shop: Shop):
    board = Board(ladder("a", "b", "c", hours=1), store=shop.store, clock=shop.clock, adopting=True)
    assert board.migrate(batch=2).deals == 3


def test_a_removed_deal_stays_removed_when_the_ladder_changes(store: Any):
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    shop.tell("order")
    shop.board.remove("d")
    changed = lead_ladder()
    changed = Pipeline("leads", stages=changed.stages, rules=changed.rules[:3])
    now = adopt(shop, changed)
    assert now.tell("lead").outcome is Outcome.ARCHIVED


def test_a_process_whose_clock_is_behind_does_not_reach_back_before_the_baseline(shop: Shop):
    changed = ladder("a", "b", "c", hours=10)
    now = adopt(shop, changed)
    behind = Shop(changed, shop.store, start="2026-01-05T11:00:00Z")
    assert behind.clock.now() < now.clock.now()
    with pytest.raises(MoveNotAllowedError):
        behind.board.move("deal-a", "b", by="Bea")
    behind.board.override("deal-a", "b", by="Bea")
    assert verify(behind.board).differences == ()


# -- forgetting ---------------------------------------------------------------------------------

NAME, EMAIL, PHONE = "Ada Rossi", "ada@example.com", "+39 06 55550199"
BRUNO = {"name": "Bruno Verdi", "email": "bruno@example.com", "phone": "123"}
PERSONAL = (NAME, EMAIL, PHONE, "Rossi", "55550199")


def shop_of_ada(store: Any) -> Shop:
    """A shop in which Ada's name is everywhere."""

    def remind(ctx: Any) -> None:
        contact = ctx.deal.contact
        ctx.do("email", template="reminder", to=contact["email"], text=f"Dear {contact['name']}")
        ctx.do("task", title=f"Call {contact['name']}", phone=contact["phone"])
        ctx.do("sms", to=contact["phone"], contact={"name": contact["name"]})
        ctx.do("broken", to=contact["email"])

    shop = Shop(register(lead_ladder(), into_new=remind, into_talking=remind), store)

    def fail(delivery: Any) -> None:
        raise OSError(f"mailbox of {delivery.payload['to']} is full")

    shop.board.handles("broken")(fail)
    shop.tell(
        "lead",
        id="first",
        contact={"name": NAME, "email": EMAIL, "phones": [PHONE], "phone": PHONE},
        title=f"Laptops for {NAME}",
        company={"name": f"{NAME} & Co.", "address": ["Via Roma 1"]},
        properties={"note": f"ask {EMAIL}", "size": "large", "secret": "her birthday"},
        source=f"campaign?mail={EMAIL}",
        line={"sku": "A", "title": f"Engraved: {NAME.upper()}"},
    )
    shop.work()
    shop.wait(1)
    shop.tell(
        "cart.item_added",
        id="second",
        line={"sku": "A", "title": f"Engraved for {NAME}", "quantity": 2},
    )
    shop.board.override("d", "talking", by="Bea", reason=f"{NAME} called from {PHONE}")
    shop.work()
    shop.tell("lead", "other", contact=BRUNO)
    return shop


def every_text(store: Any) -> Iterator[str]:
    """Yield everything in every column of every table."""
    for name, rows in contents(store).items():
        for row in rows.items() if isinstance(rows, dict) else rows:
            yield f"{name}: {row!r}"


def test_forgetting_leaves_nothing_personal_anywhere(store: Any):
    shop = shop_of_ada(store)
    assert any(EMAIL in text for text in every_text(store))
    report = shop.board.forget(email=EMAIL, properties=["secret"])
    assert report.deals == ("d",)
    for text in every_text(store):
        for personal in (*PERSONAL, "birthday"):
            assert personal.lower() not in text.lower()


def bytes_on_disk(folder: Path) -> bytes:
    """Return every file of a database, free pages and write-ahead log included."""
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir())).lower()


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[Shop]:
    """A shop of Ada's in a file, where her deal was written over and over."""
    with closing(SqliteStore(tmp_path / "shop.db")) as store:
        shop = shop_of_ada(store)
        for size in (10, 3_000, 1, 9_000, 50):
            shop.tell("chat", properties={"note": f"{EMAIL} " * size})
        shop.board.deal("other")
        yield shop


def test_forgetting_leaves_nothing_personal_in_the_files(on_disk: Shop, tmp_path: Path):
    assert EMAIL.encode() in bytes_on_disk(tmp_path)
    on_disk.board.forget(email=EMAIL, properties=["secret"])
    for personal in (*PERSONAL, "birthday"):
        assert personal.lower().encode() not in bytes_on_disk(tmp_path)
    assert b"bruno" in bytes_on_disk(tmp_path)


def test_removing_leaves_nothing_personal_in_the_files(on_disk: Shop, tmp_path: Path):
    on_disk.board.override("d", "won", by="Bea")
    on_disk.board.remove("d")
    assert EMAIL.encode() not in bytes_on_disk(tmp_path)


def test_a_reader_that_keeps_the_log_from_being_emptied_is_told_of(
    on_disk: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with on_disk.store.transaction(write=False) as reader:
        reader.pipelines()
        on_disk.board.forget(email=EMAIL)
    assert "kept the write-ahead log" in caplog.text
    on_disk.store.erase_traces()
    assert EMAIL.encode() not in bytes_on_disk(tmp_path)


def test_what_is_not_hers_stays(store: Any):
    shop = shop_of_ada(store)
    shop.board.forget(email=EMAIL)
    deal = shop.board.deal("d")
    assert deal.properties["size"] == "large"
    assert deal.company["address"] == ["Via Roma 1"]
    assert deal.cart.lines[0].quantity == 2
    assert deal.contact == {}
    assert shop.board.deal("other").contact["name"] == "Bruno Verdi"
    assert {e.payload["to"] for e in shop.board.effects("other") if e.name == "sms"} == {"123"}


def test_the_moves_stay_as_they_were(store: Any):
    shop = shop_of_ada(store)
    before = shop.board.history("d")
    shop.board.forget(email=EMAIL)
    after_ = shop.board.history("d")
    assert after_.visits == before.visits
    strip = [move._replace(event=None) for move in before.moves]
    assert [move._replace(event=None) for move in after_.moves] == strip
    assert after_.deal.value == before.deal.value


def test_nothing_more_is_sent_to_somebody_forgotten(store: Any):
    shop = shop_of_ada(store)
    shop.wait(1)
    shop.board.override("d", "new", by="Bea")
    sent = len(shop.sent)
    shop.board.forget(email=EMAIL)
    shop.wait(100)
    shop.work()
    assert [d.deal.id for d in shop.sent[sent:]] == ["other"] * (len(shop.sent) - sent)
    assert all("forgotten" not in json.dumps(d.payload) for d in shop.sent)


def test_a_mail_on_its_way_leaves_no_trace_of_her_either(store: Any):
    """Its handler fails after she was forgotten, with her address in the error."""
    shop = Shop(
        register(lead_ladder(), into_new=lambda ctx: ctx.do("sms", to=ctx.deal.contact["email"])),
        store,
    )

    def fail(delivery: Any) -> None:
        shop.board.forget(email=EMAIL)
        raise OSError(f"cannot reach {delivery.payload['to']}")

    shop.board.handles("sms")(fail)
    shop.tell("lead", contact={"email": EMAIL})
    shop.board.deliver()
    assert not any(EMAIL in text for text in every_text(store))


def test_a_redelivery_of_a_forgotten_event_is_a_duplicate(store: Any):
    shop = shop_of_ada(store)
    first = Event(
        "lead",
        deal="d",
        id="first",
        at="2026-01-05T09:00:00Z",
        data={"contact": {"name": NAME, "email": EMAIL}},
    )
    shop.board.forget(email=EMAIL)
    before = contents(store)
    assert shop.board.handle(first).outcome is Outcome.DUPLICATE
    assert shop.board.handle_many([first]).outcomes == {Outcome.DUPLICATE: 1}
    assert contents(store) == before
    elsewhere = Event("lead", deal="elsewhere", id="first", at=first.at)
    assert shop.board.handle(elsewhere).outcome is Outcome.DUPLICATE
    assert contents(store) == before


def test_later_events_still_fold(store: Any):
    shop = shop_of_ada(store)
    shop.board.forget(email=EMAIL)
    shop.wait(1)
    assert shop.tell("order", "d").outcome is Outcome.MOVED
    history = shop.board.history("d")
    folded = shop.pipeline.fold(shop.board.events("d"))
    assert folded.deal == history.deal
    assert folded.visits == history.visits[-len(folded.visits) :]
    assert_titled_without_her(shop)


def assert_titled_without_her(shop: Shop) -> None:
    assert "rossi" not in shop.board.deal("d").title.lower()


def test_timers_go_on_after_forgetting(store: Any):
    shop = Shop(lead_ladder(), store)
    shop.tell("lead", contact={"email": EMAIL})
    due = shop.board.deal("d").due_at
    shop.wait(10)
    shop.board.forget(email=EMAIL)
    assert shop.board.deal("d").due_at == due
    shop.wait(80)
    assert shop.board.tick().moves == 1
    assert shop.board.history("d").moves[-1].at == due


def test_a_person_may_be_forgotten_twice_and_come_back(store: Any):
    shop = shop_of_ada(store)
    assert shop.board.forget(email=EMAIL).deals == ("d",)
    assert shop.board.forget(email=EMAIL).deals == ()
    shop.wait(1)
    shop.tell("chat", "d", contact={"name": NAME, "email": EMAIL}, title="Ada again")
    assert shop.board.forget(email=EMAIL).deals == ("d",)
    assert not any(EMAIL in text for text in every_text(store))
    assert not any("Ada again" in text for text in every_text(store))


def test_an_older_baseline_forgets_too(store: Any):
    """A baseline carries the whole deal, title included."""
    shop = Shop(ladder("a", "b"), store)
    shop.tell("to.a", contact={"email": EMAIL}, title="For signora Ada")
    now = adopt(shop, ladder("a", "b", hours=1))
    now.wait(1)
    now.board.forget(email=EMAIL)
    assert not any("signora Ada" in text for text in every_text(store))
    assert_is_carried(now)


def assert_is_carried(shop: Shop) -> None:
    folded = shop.pipeline.fold(shop.board.events("d"))
    assert folded.deal == shop.board.deal("d")


def test_personal_names_of_properties_go_too(store: Any):
    shop = Shop(lead_ladder(), store)
    shop.tell("lead", contact={"email": EMAIL}, properties={EMAIL: True})
    shop.board.forget(email=EMAIL)
    assert not any(EMAIL in text for text in every_text(store))


def test_a_deal_that_waits_forgets_too(store: Any):
    shop = Shop(lead_ladder(), store)
    shop.tell("call", contact={"email": EMAIL, "name": NAME})
    assert shop.board.forget(email=EMAIL).deals == ("d",)
    assert not any(EMAIL in text or NAME in text for text in every_text(store))
    shop.wait(1)
    assert shop.tell("lead").outcome is Outcome.OPENED


def test_an_opening_from_before_the_forgetting_still_opens_a_deal_that_waits(store: Any):
    shop = Shop(lead_ladder(), store)
    shop.tell("call", contact={"email": EMAIL}, properties={"note": f"ask {EMAIL}"})
    shop.wait(2)
    shop.board.forget(email=EMAIL)
    shop.wait(1)
    assert shop.tell("lead", hours=-4).outcome is Outcome.OPENED
    assert shop.stages == ["new", "talking"]
    assert shop.board.deal("d").properties == {"note": "ask [forgotten]"}
    assert verify(shop.board).differences == ()


def test_a_deal_that_waits_and_that_forgetting_would_open_goes_on_waiting(store: Any):
    """What a person's data kept closed is not opened by taking it away."""
    new = Stage("new")
    nameless = on("lead", into=new, opens=True, when=lambda deal, event: not deal.contact)
    pipeline = Pipeline("leads", stages=[new], rules=[nameless])
    shop = Shop(pipeline, store)
    assert shop.tell("lead", contact={"email": EMAIL}).outcome is Outcome.WAITING
    shop.board.forget(email=EMAIL)
    assert list(shop.board.deals()) == []
    assert not any(EMAIL in text for text in every_text(store))


def test_any_key_of_the_contact_names_a_person(store: Any):
    shop = shop_of_ada(store)
    assert shop.board.forget(phone=PHONE).deals == ("d",)
    assert not any(EMAIL in text for text in every_text(store))


@pytest.mark.parametrize("asked", [391234567890, "391234567890"])
def test_a_phone_that_is_a_number_is_found_and_goes(store: Any, asked: Any):
    shop = Shop(
        register(lead_ladder(), into_new=lambda ctx: ctx.do("sms", to=ctx.deal.contact["phone"])),
        store,
    )
    shop.tell("lead", contact={"phone": 391234567890}, note={"call": 391234567890}, value=1000)
    assert shop.board.forget(phone=asked).deals == ("d",)
    assert not any("391234567890" in text for text in every_text(store))
    assert shop.board.deal("d").value == 1000


def test_a_number_beyond_64_bits_names_a_person_too(store: Any):
    shop = Shop(lead_ladder(), store)
    shop.tell("lead", contact={"id": 2**80})
    assert shop.board.forget(id=2**80 + 1).deals == ()
    assert shop.board.forget(id=str(2**80)).deals == ("d",)


def test_an_answer_of_yes_or_no_names_nobody(store: Any):
    shop = Shop(lead_ladder(), store)
    shop.tell("lead", contact={"newsletter": True})
    assert shop.board.forget(newsletter=1).deals == ()
    assert shop.board.forget(newsletter="true").deals == ()


def test_a_deal_that_cannot_be_read_stops_no_other_from_being_forgotten(store: Any):
    shop = Shop(lead_ladder(), store)
    for deal in ("a", "broken", "c"):
        shop.tell("lead", deal, contact={"email": EMAIL}, value="5")
    damage(shop, "broken")
    report = shop.board.forget(email=EMAIL)
    assert report.deals == ("a", "c")
    assert [failure.deal for failure in report.failures] == ["broken"]
    assert "verify" in str(report.failures[0].error)


HERS = {"contact": {"email": EMAIL, "name": NAME}, "note": f"for {NAME}"}


def held_of_ada(store: Any) -> tuple[Shop, list[Event]]:
    """A shop in which only what is held names Ada: one of each kind, of a deal or of none."""
    shop = Shop(lead_ladder(), store)
    shop.tell("lead", id="known")
    events = [
        shop.event("lead", id="known", **HERS),  # another content
        shop.event("call", id="known", **HERS),  # another event under the same name
        shop.event("call", id="soon", hours=3, **HERS),  # still to come
        shop.event("lead", "nobodys", id="later", hours=3, **HERS),
        shop.event("call", id="aside", value=EMAIL),  # cannot be used at its place
    ]
    for event in events:
        assert shop.board.handle(event, hold=True).outcome is Outcome.HELD
    return shop, events


def test_what_is_held_of_a_person_goes_too(store: Any):
    shop, _ = held_of_ada(store)
    assert shop.board.forget(email=EMAIL).deals == ("d", "nobodys")
    for text in every_text(store):
        assert EMAIL not in text
        assert NAME not in text
    assert len(shop.board.held()) == 5
    assert shop.board.forget(email=EMAIL).deals == ()


def test_what_was_held_is_taken_without_her_and_does_not_bring_her_back(store: Any):
    shop, events = held_of_ada(store)
    shop.board.forget(email=EMAIL)
    shop.wait(4)
    shop.board.tick()
    assert shop.board.deal("nobodys").contact == {}
    assert shop.board.deal("nobodys").stage.key == "new"
    assert shop.stage == "talking"
    for event in events:
        shop.board.handle(event, hold=True)
    assert not any(EMAIL in text for text in every_text(store))
    assert verify(shop.board).differences == ()


def test_what_was_discarded_holds_nothing_of_a_person(store: Any):
    shop, _ = held_of_ada(store)
    for held in shop.board.held():
        shop.board.discard(held.key, by="Bea", reason=f"asked {NAME}")
    shop.board.forget(email=EMAIL)
    assert not any(EMAIL in text for text in every_text(store))


def damage(shop: Shop, deal: str) -> None:
    """Put what is no amount where a deal's value stands."""
    with shop.store.transaction() as transaction:
        stored, _, _ = transaction.load(shop.board._session.number, deal, create=False)
        document = json.dumps({"value": "five", "contact": {"email": EMAIL}})
        change = DealChange(stored._replace(value="five"), document=document)
        transaction.save(shop.board._session.number, [change], shop.clock.now())


def test_an_old_contact_of_a_deal_is_found_too(store: Any):
    shop = Shop(lead_ladder(), store)
    shop.tell("lead", contact={"email": EMAIL})
    shop.wait(1)
    shop.tell("chat", contact={"email": "bruno@example.com"})
    assert shop.board.forget(email=EMAIL).deals == ("d",)
    assert not any(EMAIL in text for text in every_text(store))


# -- removing -----------------------------------------------------------------------------------


def test_a_removed_deal_leaves_a_tombstone_and_nothing_else(store: Any):
    shop = shop_of_ada(store)
    shop.board.override("d", "won", by="Bea")
    shop.board.remove("d")
    assert not any(EMAIL in text or NAME in text for text in every_text(store))
    with pytest.raises(DealNotFoundError, match="it was removed at"):
        shop.board.deal("d")
    assert [deal.id for deal in shop.board.deals()] == ["other"]
    assert shop.board.effects("d") == []
    assert shop.board.events("d") == []


def test_events_for_a_removed_deal_are_archived_and_recorded_nowhere(store: Any):
    shop = Shop(lead_ladder(), store)
    lead = shop.event("lead")
    shop.board.handle(lead)
    shop.tell("order")
    shop.board.remove("d")
    before = contents(store)
    receipt = shop.board.handle(shop.event("call", contact={"email": EMAIL}))
    assert (receipt.outcome, receipt.deal_or_none, receipt.moves) == (Outcome.ARCHIVED, None, ())
    assert contents(store) == before
    assert shop.board.tick().deals == 0


def test_what_would_open_a_removed_deal_is_a_finding_without_what_it_says(store: Any):
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    shop.tell("order")
    shop.board.remove("d")
    assert shop.board.health().ok
    again = shop.event("lead", contact={"email": EMAIL}, id="again")
    assert shop.board.handle(again).outcome is Outcome.ARCHIVED
    assert shop.board.handle_many([again]).outcomes == {Outcome.ARCHIVED: 1}
    [held] = shop.board.held()
    assert (held.event.id, held.told, dict(held.event.data)) == ("again", 2, {})
    assert "would open deal 'd', which was removed" in held.reason
    [finding] = [f for f in shop.board.health().findings if f.code == "H013"]
    assert "would open a removed deal" in str(finding)
    assert not any(EMAIL in text for text in every_text(store))
    shop.board.discard(held, by="Bea", reason="an old queue")
    assert shop.board.handle(again).outcome is Outcome.ARCHIVED
    assert shop.board.held() == []


@pytest.mark.parametrize("act", ["move", "override"])
def test_a_hand_cannot_raise_the_dead(store: Any, act: str):
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    shop.tell("order")
    shop.board.remove("d")
    with pytest.raises(DealNotFoundError, match="removed"):
        getattr(shop.board, act)("d", "new", by="Bea")


def test_only_a_closed_deal_is_removed(store: Any):
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    with pytest.raises(MoveNotAllowedError, match="not closed"):
        shop.board.remove("d")
    with pytest.raises(LadderError):
        shop.board.remove("nobody")


def test_a_mail_of_a_deal_that_is_removed_meanwhile_ends_quietly(store: Any):
    shop = Shop(register(lead_ladder(), into_won=lambda ctx: ctx.do("sms")), store)
    shop.board.handles("sms")(lambda delivery: shop.board.remove("d"))
    shop.tell("lead")
    shop.tell("order")
    assert shop.board.deliver().counts == {}
    assert shop.board.effects() == []
