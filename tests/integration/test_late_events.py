"""S11: a late event is put in its place, and the history is what it would have been."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from ladderpipe import (
    ANY,
    DealData,
    Event,
    Outcome,
    Pipeline,
    Stage,
    after,
    by_hand,
    cart_reducer,
    do,
    on,
    wait,
)
from tests.shops import HOUR, Shop, assert_is_the_fold, contents, lead_ladder, register


def mailing_ladder() -> Pipeline:
    """Return the ladder with a mail on each move into a stage, and a note on leaving ``new``."""

    def mail(ctx: Any) -> None:
        ctx.do("email", template=ctx.move.into.key, refold=ctx.refold)

    pipeline = lead_ladder()
    for stage in pipeline.stages:
        pipeline.move_into(stage)(mail)
    return register(
        pipeline, out_of_new=lambda ctx: ctx.do("email", template="bye", refold=ctx.refold)
    )


@pytest.fixture
def shop(store: Any) -> Shop:
    return Shop(mailing_ladder(), store)


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def watched(store: Any, log: list[str]) -> Shop:
    """A shop whose hooks write down what they see."""
    pipeline = lead_ladder()

    def watch(direction: str) -> Any:
        def hook(ctx: Any) -> None:
            late = " again" if ctx.refold else ""
            log.append(f"{direction} {ctx.deal.stage} by {ctx.move.rule}{late}")

        return hook

    for stage in pipeline.stages:
        pipeline.move_into(stage)(watch("into"))
        pipeline.move_out_of(stage)(watch("out of"))
    return Shop(pipeline, store)


# -- appended or folded again -------------------------------------------------------------------


def test_an_event_after_everything_is_appended(shop: Shop):
    shop.tell("lead")
    shop.wait(1)
    receipt = shop.tell("call")
    assert not receipt.refolded
    assert [(m.out_of, m.into) for m in receipt.moves] == [("new", "talking")]


def test_an_event_before_a_stored_one_is_put_in_its_place(shop: Shop):
    shop.tell("lead")
    shop.wait(3)
    shop.tell("order")
    receipt = shop.tell("call", hours=-1)
    assert receipt.refolded
    assert receipt.outcome is Outcome.MOVED
    assert receipt.moves == (), "the current visit is still the same"
    assert shop.stages == ["new", "talking", "won"]
    assert_is_the_fold(shop.board)


def test_an_event_before_a_timer_that_a_sweep_fired_is_put_in_its_place(shop: Shop):
    shop.tell("lead")
    shop.wait(73)
    shop.board.tick()
    assert shop.stage == "cold"
    receipt = shop.tell("call", hours=-2)
    assert receipt.refolded
    assert [move.into for move in receipt.moves] == ["talking"]
    assert shop.stages == ["new", "talking"]
    assert_is_the_fold(shop.board)


def test_an_event_at_the_instant_of_a_fired_timer_goes_before_it(shop: Shop):
    shop.tell("lead")
    shop.wait(72)
    shop.board.tick()
    assert shop.stage == "cold"
    receipt = shop.tell("call")
    assert receipt.refolded
    assert shop.stages == ["new", "talking"]
    assert_is_the_fold(shop.board)


def test_an_event_after_a_fired_timer_is_appended(shop: Shop):
    shop.tell("lead")
    shop.wait(73)
    shop.board.tick()
    receipt = shop.tell("call", hours=-0.5)
    assert not receipt.refolded
    assert shop.stages == ["new", "cold", "talking"]


def test_within_one_instant_the_lower_rung_goes_first(shop: Shop):
    shop.tell("order")
    shop.tell("call")
    receipt = shop.tell("lead")
    assert receipt.refolded, "at one instant a deal climbs, whatever the order of arrival"
    assert receipt.outcome is Outcome.OPENED
    assert shop.stages == ["new", "talking", "won"]
    assert_is_the_fold(shop.board)


def test_within_one_instant_the_sequence_number_decides(shop: Shop):
    shop.tell("lead")
    shop.wait(1)
    shop.tell("order", seq=1)
    receipt = shop.tell("call", seq=2)
    assert not receipt.refolded
    assert receipt.outcome is Outcome.STAYED
    assert shop.tell("call", seq=0).refolded
    assert shop.stages == ["new", "talking", "won"]
    assert_is_the_fold(shop.board)


def test_an_event_between_a_timer_that_did_not_move_and_the_last_event_runs_every_new_hook(
    store: Any, log: list[str]
):
    new, open_, won = Stage("new"), Stage("open"), Stage("won", status="won")
    pipeline = Pipeline(
        "blocked",
        stages=[new, open_, won],
        rules=[
            on("lead", into=new, opens=True),
            after(hours=2, out_of=new, into=open_, when=lambda deal, event: bool(deal.owner)),
        ],
    )
    pipeline.move_into(open_)(lambda ctx: log.append(f"again={ctx.refold}"))
    shop = Shop(pipeline, store)
    shop.tell("lead")
    shop.wait(3)
    shop.board.tick()
    assert shop.stage == "new", "nobody owns it"
    receipt = shop.tell("assigned", hours=-2, owner="Bea")
    assert not receipt.refolded, "it sorts after every event and every timer move"
    assert [move.into for move in receipt.moves] == ["open"]
    assert receipt.outcome is Outcome.STAYED
    assert log == ["again=False"]
    assert_is_the_fold(shop.board)


# -- un-opening and waiting ---------------------------------------------------------------------


def test_a_late_event_may_show_that_the_deal_was_never_opened(store: Any):
    new, gone = Stage("new"), Stage("gone", status="lost")
    pipeline = Pipeline(
        "guarded",
        stages=[new, gone],
        rules=[
            on("lead", into=new, opens=True, when=lambda deal, event: deal.owner != "spam"),
            on("other", into=gone),
        ],
    )
    left = []
    pipeline.move_into(new)(lambda ctx: ctx.do("email", template="welcome"))
    pipeline.move_out_of(new)(lambda ctx: left.append((ctx.refold, ctx.move.into, ctx.deal.stage)))
    shop = Shop(pipeline, store)
    shop.tell("lead")
    receipt = shop.tell("marked", hours=-1, owner="spam")
    assert receipt.refolded
    assert receipt.outcome is Outcome.WAITING
    assert receipt.deal_or_none is None
    assert receipt.moves == ()
    assert left == [(True, "new", "new")]
    with pytest.raises(LookupError, match="wait until one opens it"):
        shop.board.deal("d")
    assert list(shop.board.deals()) == []
    assert shop.board.summary() == []
    assert shop.states("d") == {"welcome": "cancelled"}
    shop.wait(1)
    assert shop.tell("marked", owner="Bea").outcome is Outcome.WAITING
    assert shop.tell("lead").outcome is Outcome.OPENED
    assert len(shop.board.events("d")) == 4
    assert_is_the_fold(shop.board)


def test_an_earlier_opening_moves_the_opening_back(shop: Shop):
    shop.tell("lead")
    first = shop.board.deal("d").opened_at
    receipt = shop.tell("lead", hours=-2)
    assert receipt.refolded
    assert receipt.outcome is Outcome.OPENED
    assert shop.board.deal("d").opened_at < first
    assert shop.stages == ["new"]
    assert_is_the_fold(shop.board)


def test_events_wait_for_a_deal_and_those_after_its_opening_then_move_it(shop: Shop):
    assert shop.tell("call", owner="Bea").outcome is Outcome.WAITING
    assert shop.tell("order").outcome is Outcome.WAITING
    receipt = shop.tell("lead", hours=-1)
    assert receipt.outcome is Outcome.OPENED
    assert receipt.refolded
    assert shop.stages == ["new", "talking", "won"]
    assert shop.board.deal("d").owner == "Bea"
    assert_is_the_fold(shop.board)


# -- which hooks run ----------------------------------------------------------------------------


def test_only_what_changed_at_the_end_runs_hooks_again(watched: Shop, log: list[str]):
    watched.tell("lead")
    watched.wait(73)
    watched.board.tick()
    log.clear()
    watched.tell("call", hours=-2)
    assert log == [
        "out of cold by on call into talking again",
        "into talking by on call into talking again",
    ]


def test_a_change_in_the_past_alone_runs_no_hook(watched: Shop, log: list[str]):
    watched.tell("lead")
    watched.wait(3)
    watched.tell("order")
    log.clear()
    assert watched.tell("call", hours=-1).refolded
    assert log == []
    assert watched.stages == ["new", "talking", "won"]


def test_hooks_of_a_refold_see_the_deal_where_it_was_and_where_it_is(store: Any):
    seen: list[tuple[str, str, str | None]] = []
    pipeline = lead_ladder()
    register(
        pipeline,
        out_of_cold=lambda ctx: seen.append(("out of", ctx.deal.stage, ctx.deal.owner)),
        into_talking=lambda ctx: seen.append(("into", ctx.deal.stage, ctx.deal.owner)),
    )
    shop = Shop(pipeline, store)
    shop.tell("lead")
    shop.wait(73)
    shop.board.tick()
    shop.tell("call", hours=-2, owner="Bea")
    assert seen == [("out of", "cold", None), ("into", "talking", "Bea")]


def test_back_in_an_earlier_visit_the_hooks_get_the_move_that_began_it(store: Any):
    moves = []
    pipeline = Pipeline(
        "ladder",
        stages=[new := Stage("new"), warm := Stage("warm"), won := Stage("won", status="won")],
        rules=[
            on("lead", into=new, opens=True),
            on("warm", into=warm, when=lambda deal, event: deal.owner is None),
            on("order", into=won),
        ],
    )
    pipeline.move_out_of(warm)(lambda ctx: moves.append(("out", ctx.move.n, ctx.move.into)))
    pipeline.move_into(new)(lambda ctx: moves.append(("in", ctx.move.n, ctx.event.type)))
    shop = Shop(pipeline, store)
    shop.tell("lead")
    shop.wait(2)
    shop.tell("warm")
    moves.clear()
    receipt = shop.tell("assigned", hours=-1, owner="Bea")
    assert receipt.refolded
    assert [(m.n, m.into) for m in receipt.moves] == [(1, "new")]
    assert moves == [("out", 1, "new"), ("in", 1, "lead")]
    assert_is_the_fold(shop.board)


# -- effects ------------------------------------------------------------------------------------


def test_effects_of_a_visit_that_vanished_are_cancelled(shop: Shop):
    shop.tell("lead")
    shop.wait(73)
    shop.board.tick()
    assert shop.states()["cold"] == "pending"
    shop.tell("call", hours=-2)
    assert shop.states() == {
        "new": "cancelled",
        "bye": "pending",
        "cold": "cancelled",
        "talking": "pending",
    }
    shop.work()
    assert sorted(shop.mails) == ["bye", "talking"]


def test_what_was_delivered_before_a_late_event_cannot_be_recalled(shop: Shop):
    shop.tell("lead")
    shop.wait(73)
    shop.work()
    assert "cold" in shop.mails
    shop.tell("call", hours=-2)
    assert shop.states()["cold"] == "delivered"
    shop.work()
    assert shop.mails.count("talking") == 1


def test_effects_of_a_visit_that_is_current_again_are_revived(store: Any):
    """The order turns out to be a call's consequence that never was: back to talking."""
    pipeline = Pipeline(
        "ladder",
        stages=[new := Stage("new"), warm := Stage("warm")],
        rules=[
            on("lead", into=new, opens=True),
            on("warm", into=warm, when=lambda deal, event: deal.owner is None),
        ],
    )
    pipeline.move_into(new)(lambda ctx: ctx.do("email", template="welcome", at=str(ctx.move.at)))
    pipeline.move_into(new)(lambda ctx: ctx.do("task", title="Call"))
    pipeline.move_out_of(new)(lambda ctx: ctx.do("email", template="bye"))
    shop = Shop(pipeline, store)
    shop.tell("lead")
    shop.wait(2)
    shop.tell("warm")
    assert shop.states() == {"welcome": "cancelled", "Call": "cancelled", "bye": "pending"}
    shop.tell("assigned", hours=-1, owner="Bea")
    assert shop.stage == "new"
    assert shop.states() == {"welcome": "pending", "Call": "open", "bye": "cancelled"}
    shop.work()
    assert shop.mails == ["welcome"]


def test_a_delivered_effect_is_not_sent_again_when_its_visit_is_current_again(store: Any):
    pipeline = Pipeline(
        "ladder",
        stages=[new := Stage("new"), warm := Stage("warm")],
        rules=[
            on("lead", into=new, opens=True),
            on("warm", into=warm, when=lambda deal, event: deal.owner is None),
        ],
    )
    pipeline.move_into(new)(lambda ctx: ctx.do("email", template="welcome"))
    shop = Shop(pipeline, store)
    shop.tell("lead")
    shop.work()
    shop.wait(2)
    shop.tell("warm")
    shop.tell("assigned", hours=-1, owner="Bea")
    shop.work()
    assert shop.mails == ["welcome"]


def test_a_visit_that_appears_only_in_the_past_starts_no_effect(shop: Shop):
    shop.tell("lead")
    shop.wait(3)
    shop.tell("order")
    before = shop.states()
    shop.tell("call", hours=-1)
    assert shop.states() == before


def test_a_timer_that_fires_again_after_a_late_event_asks_for_the_same_effect(shop: Shop):
    """Moved back out of cold, in talking, cold again: another visit, so another reminder."""
    shop.tell("lead")
    shop.wait(1)
    shop.tell("call")
    shop.wait(48)
    shop.work()
    assert shop.mails.count("cold") == 1
    shop.tell("chat", hours=-10)
    assert shop.stage == "talking", "there was activity, so the timer was not due yet"
    shop.wait(38)
    shop.work()
    assert shop.stage == "cold"
    assert shop.mails.count("cold") == 1, "the same rule ended the same visit: one reminder"


def test_a_late_event_for_one_deal_leaves_the_others_alone(shop: Shop):
    shop.tell("lead", "d")
    shop.tell("lead", "other")
    shop.wait(73)
    shop.board.tick()
    before = shop.board.history("other")
    effects = shop.board.effects("other")
    shop.tell("call", hours=-2)
    assert shop.board.history("other") == before
    assert shop.board.effects("other") == effects


def test_an_event_that_leads_elsewhere_after_all_begins_another_visit(store: Any):
    """The same event, but the cart it found was empty: nothing of the other stage is sent."""
    pipeline = Pipeline(
        "carts",
        stages=[new := Stage("new"), full := Stage("full"), empty := Stage("empty")],
        rules=[
            on("lead", into=new, opens=True),
            on("look", into=full, when=lambda deal, event: deal.owner is None),
            on("look", into=empty),
        ],
    )
    for stage in (full, empty):
        pipeline.move_into(stage)(lambda ctx: ctx.do("email", template=ctx.deal.stage.key))
    shop = Shop(pipeline, store)
    shop.tell("lead")
    shop.wait(2)
    shop.tell("look")
    before = shop.board.history("d").visits[-1]
    receipt = shop.tell("assigned", hours=-1, owner="Bea")
    assert [(m.out_of, m.into) for m in receipt.moves] == [("new", "empty")]
    assert shop.board.history("d").visits[-1].key != before.key
    assert shop.states() == {"full": "cancelled", "empty": "pending"}
    shop.work()
    assert shop.mails == ["empty"]
    assert_is_the_fold(shop.board)


# -- what was believed --------------------------------------------------------------------------


def test_what_was_believed_on_monday_is_the_fold_of_what_was_recorded_by_monday(shop: Shop):
    shop.tell("lead")
    shop.wait(73)
    shop.board.tick()
    monday = shop.clock.now()
    believed = shop.board.history("d").visits
    shop.wait(1)
    shop.tell("call", hours=-3)
    assert shop.board.history("d").visits != believed
    with shop.store.transaction(write=False) as transaction:
        stored, _, _ = transaction.load(shop.board._session.number, "d", create=False)
        recorded = transaction.events(stored.id)
    known = [event for event, recorded_at in recorded if recorded_at <= monday]
    assert shop.pipeline.fold(known, until=monday).visits == believed


def test_moves_say_when_they_were_recorded(shop: Shop):
    shop.tell("lead")
    opened = shop.clock.now()
    shop.wait(5)
    shop.tell("order", hours=-2)
    shop.wait(5)
    shop.tell("call", hours=-9)
    moves = shop.board.history("d").moves
    assert [move.into for move in moves] == ["new", "talking", "won"]
    assert [move.recorded_at for move in moves] == [opened, shop.clock.now(), shop.clock.now()]


# -- hands --------------------------------------------------------------------------------------


def test_a_hand_move_that_a_late_event_forbids_moves_nothing(store: Any):
    pipeline = Pipeline(
        "ladder",
        stages=[new := Stage("new"), won := Stage("won", status="won"), lost := Stage("lost")],
        rules=[
            on("lead", into=new, opens=True),
            on("order", into=won, out_of=ANY),
            by_hand(into=lost, out_of=new),
        ],
    )
    shop = Shop(pipeline, store)
    shop.tell("lead")
    shop.wait(2)
    shop.board.move("d", lost, by="Bea")
    receipt = shop.tell("order", hours=-1)
    assert receipt.refolded
    assert shop.stages == ["new", "won"]
    assert_is_the_fold(shop.board)


def test_a_duplicate_of_a_late_event_changes_nothing(shop: Shop):
    shop.tell("lead")
    shop.wait(3)
    shop.tell("order")
    late = shop.event("call", hours=-1)
    shop.board.handle(late)
    before = contents(shop.store)
    assert shop.board.handle(late).outcome is Outcome.DUPLICATE
    assert contents(shop.store) == before


def patient_ladder() -> Pipeline:
    """Return a ladder whose cold stage waits a day, then asks for a task and a last mail."""
    steps = [
        do("email", template="cold"),
        wait(hours=24),
        do("task", title="Call"),
        do("email", template="last", expires=dt.timedelta(hours=6)),
        do("letter", run_to_completion=True),
    ]
    new, cold = Stage("new"), Stage("cold", status="abandoned", sequence=steps)
    return Pipeline(
        "patience",
        stages=[cold, new, Stage("won", status="won")],
        rules=[
            on("lead", into=new, out_of=[cold], opens=True),
            after(hours=48, out_of=new, since="activity", into=cold),
        ],
    )


@pytest.mark.parametrize("late", [1, 8, 11])
def test_what_a_visit_waits_for_moves_with_its_beginning(late: int, store: Any):
    shop = Shop(patient_ladder(), store)
    shop.tell("lead")
    shop.wait(60)
    shop.work()
    began = shop.board.deal("d").entered_at
    waiting = {effect.key: effect for effect in shop.board.effects("d")}
    shop.tell("looked", hours=late - 60)
    assert shop.board.deal("d").entered_at == began + late * HOUR
    moved = {effect.key: effect for effect in shop.board.effects("d")}
    assert moved.keys() == waiting.keys()
    for key, before in waiting.items():
        shift = dt.timedelta() if before.state == "delivered" else late * HOUR
        assert moved[key].state == before.state
        assert moved[key].due_at == before.due_at + shift
        if before.expires_at is not None:
            assert moved[key].expires_at == before.expires_at + shift
    shop.wait(11 + late)
    shop.work()
    assert shop.mails == ["cold"], "an hour too early"
    shop.wait(1)
    shop.work()
    assert shop.mails == ["cold", "last"]
    assert_is_the_fold(shop.board)


@pytest.mark.parametrize("at_once", [False, True])
def test_a_late_event_is_taken_although_a_stored_one_cannot_follow_it(store: Any, at_once: bool):
    """Both have happened: the one that cannot be used in its place is set aside there."""

    def keeps_its_plan(deal: DealData, event: Event) -> None:
        cart_reducer(deal, event)
        if deal.properties.setdefault("plan", event.data["plan"]) != event.data["plan"]:
            raise ValueError("a deal has one plan")

    new = Stage("new")
    rules = [on("lead", into=new, opens=True)]
    shop = Shop(Pipeline("plans", stages=[new], rules=rules, reducer=keeps_its_plan), store)
    shop.tell("lead", id="stored", plan="yearly")
    late = shop.event("lead", hours=-1, id="new", plan="monthly")
    if at_once:
        assert not shop.board.handle_many([late]).failures
    else:
        shop.board.handle(late)
    assert shop.board.deal("d").properties == {"plan": "monthly"}
    assert [held.event.id for held in shop.board.held()] == ["stored"]
    assert_is_the_fold(shop.board)
