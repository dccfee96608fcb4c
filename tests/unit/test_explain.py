"""An explanation names what made every move, and why each rule that did not move did not."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given

from ladderpipe import Event, Outcome, Pipeline, Stage, after, by_hand, on
from ladderpipe.fold.explain import Explanation, Reason, Step
from ladderpipe.fold.fold import run
from ladderpipe.ladder.guards import property_equals, property_is_set
from tests.ladders import ladders_and_events, sales_ladder

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
END = START + dt.timedelta(days=4)
LINE = {"sku": "NB-15", "quantity": 1, "unit_price": "899.00"}


def event(kind: str, hours: float, **data: Any) -> Event:
    at = START + dt.timedelta(hours=hours)
    return Event(kind, deal="cart-42", id=f"{kind}@{hours}", at=at, data=data)


def hand(into: str, hours: float, kind: str = "ladder.by_hand", **data: Any) -> Event:
    return event(kind, hours, into=into, by="Ada", **data)


def reasons(step: Step) -> dict[str, Reason]:
    return {refusal.rule: refusal.reason for refusal in step.refusals}


def detail(step: Step, rule: str) -> str:
    [found] = [refusal.detail for refusal in step.refusals if refusal.rule == rule]
    return found


def ladder() -> Pipeline:
    new = Stage("new")
    warm = Stage("warm", requires=["owner"])
    won = Stage("won", status="won")
    lost = Stage("lost", status="lost", requires=["loss_reason"])
    return Pipeline(
        "small",
        stages=[new, warm, won, lost],
        rules=[
            on("came", into=new, opens=True, key="opening"),
            on("called", into=won, when=property_equals("vip", True), key="vip"),
            on("called", into=warm, key="called"),
            on("called", into=won, out_of=warm, key="called again"),
            after(hours=24, into=lost, out_of=new, key="timeout"),
            by_hand(into=lost, key="give up"),
            by_hand(into=won, out_of=warm, when=property_is_set("contract"), key="sign"),
        ],
    )


# -- every history ----------------------------------------------------------------------------


@given(ladders_and_events())
def test_the_moves_explained_are_the_moves_folded(case: tuple[Pipeline, list[Event]]) -> None:
    pipeline, events = case
    explained = [
        (step.out_of, step.into, step.at, step.rule, step.event if step.kind != "timer" else None)
        for step in pipeline.explain(events, END).steps
        if step.into is not None
    ]
    history = pipeline.fold(events, END)
    moves = history.moves if history else ()
    assert explained == [(m.out_of, m.into, m.at, m.rule, m.event) for m in moves]


@given(ladders_and_events())
def test_every_event_is_explained_once(case: tuple[Pipeline, list[Event]]) -> None:
    pipeline, events = case
    explained = [step.event.id for step in pipeline.explain(events).steps if step.event]
    assert sorted(explained) == sorted({event.id for event in events})


@given(ladders_and_events())
def test_every_rule_of_the_same_kind_won_or_was_refused(case: tuple[Pipeline, list[Event]]) -> None:
    """What another system tells of a stage goes past them all."""
    pipeline, events = case
    for step in pipeline.explain(events, END).steps:
        is_told = step.event is not None and step.event.type == "ladder.told"
        if step.kind in ("event", "hand") and not is_told:
            listening = [
                rule.key
                for rule in pipeline.rules
                if (rule.trigger_text == "by hand" and step.kind == "hand")
                or (rule.trigger_text.startswith("on ") and step.kind == "event")
            ]
            told = [refusal.rule for refusal in step.refusals]
            assert sorted([*told, *([step.rule] if step.rule else [])]) == sorted(
                key or "" for key in listening
            )


@given(ladders_and_events())
def test_an_explanation_is_json_and_can_be_read(case: tuple[Pipeline, list[Event]]) -> None:
    pipeline, events = case
    explanation = pipeline.explain(events, END)
    told = json.loads(json.dumps(explanation.to_dict()))
    assert len(told["steps"]) == len(explanation.steps)
    assert "None" not in str(explanation).replace("is None", "")


@given(ladders_and_events())
def test_the_explanation_ends_where_the_history_does(case: tuple[Pipeline, list[Event]]) -> None:
    pipeline, events = case
    explanation = pipeline.explain(events, END)
    history = pipeline.fold(events, END)
    assert explanation.stage == (history.deal.stage if history else None)
    assert explanation.due_at == (history.deal.due_at if history else None)


# -- why a rule did not -----------------------------------------------------------------------


def steps(*events: Event, until: dt.datetime | None = None) -> tuple[Step, ...]:
    return ladder().explain(events, until).steps


def test_before_the_opening_a_rule_that_opens_nothing_is_refused_by_out_of() -> None:
    [waiting, opened] = steps(event("called", 0), event("came", 1))
    assert (waiting.outcome, opened.outcome) == (Outcome.WAITING, Outcome.OPENED)
    assert reasons(waiting)["called"] is Reason.OUT_OF
    assert reasons(waiting)["opening"] is Reason.TRIGGER


def test_a_guard_that_does_not_hold_is_named() -> None:
    step = steps(event("came", 0), event("called", 1, owner="Bob"))[-1]
    assert reasons(step)["vip"] is Reason.GUARD
    assert "vip is True" in detail(step, "vip")
    assert step.rule == "called"


def test_what_the_target_requires_is_named() -> None:
    step = steps(event("came", 0), event("called", 1))[-1]
    assert step.outcome is Outcome.STAYED
    assert reasons(step)["called"] is Reason.REQUIRES
    assert "owner" in detail(step, "called")


def test_a_rule_after_the_winner_is_told_so() -> None:
    step = steps(event("came", 0), event("called", 1, owner="Bob", properties={"vip": True}))[-1]
    assert step.rule == "vip"
    assert reasons(step)["called"] is Reason.EARLIER_RULE
    assert reasons(step)["called again"] is Reason.OUT_OF


def test_a_deal_does_not_move_into_the_stage_it_is_in() -> None:
    step = steps(event("came", 0), event("came", 1))[-1]
    assert reasons(step)["opening"] is Reason.OUT_OF
    assert "already" in detail(step, "opening")


def test_a_closed_stage_is_not_left_by_a_rule_that_does_not_name_it() -> None:
    step = steps(
        event("came", 0), event("called", 1, properties={"vip": True}), event("called", 2)
    )[-1]
    assert "closed" in detail(step, "called")


def test_an_event_nobody_listens_to_says_so() -> None:
    step = steps(event("came", 0), event("page.viewed", 1))[-1]
    assert set(reasons(step).values()) == {Reason.TRIGGER}
    assert step.note is not None
    assert "page.viewed" in step.note


# -- timers -----------------------------------------------------------------------------------


def test_a_timer_that_moved_the_deal_is_a_step_at_its_due_time() -> None:
    events = [event("came", 0), event("note", 30, properties={"loss_reason": "silence"})]
    *_, blocked, note, retried = ladder().explain(events).steps
    assert (blocked.kind, blocked.outcome) == ("timer", Outcome.STAYED)
    assert blocked.at == START + dt.timedelta(hours=24)
    assert reasons(blocked) == {"timeout": Reason.REQUIRES}
    assert note.outcome is Outcome.STAYED
    assert (retried.kind, retried.outcome, retried.rule) == ("timer", Outcome.MOVED, "timeout")
    assert retried.at == events[-1].at


def test_a_timer_that_has_fired_at_this_instant_is_held_back() -> None:
    one, two = Stage("one"), Stage("two")
    pipeline = Pipeline(
        "chase",
        stages=[one, two],
        rules=[
            on("a", into=one, opens=True),
            after(dt.timedelta(0), into=two, out_of=one, key="up"),
            after(dt.timedelta(0), into=one, out_of=two, key="down"),
        ],
    )
    *_, last = pipeline.explain([event("a", 0)], START).steps
    assert list(reasons(last).values()) == [Reason.HELD_BACK]


def test_the_next_timer_is_told() -> None:
    explanation = ladder().explain([event("came", 0)])
    assert explanation.due_at == START + dt.timedelta(hours=24)
    assert explanation.due_rule == "timeout"


# -- hands ------------------------------------------------------------------------------------


def test_a_hand_says_who_moved_the_deal_and_why() -> None:
    explanation = ladder().explain(
        [event("came", 0), hand("lost", 1, reason="too dear", properties={"loss_reason": "price"})]
    )
    assert (explanation.steps[-1].kind, explanation.steps[-1].rule) == ("hand", "give up")
    assert "Ada" in str(explanation)
    assert "too dear" in str(explanation)


def test_a_hand_that_is_no_longer_allowed_says_so() -> None:
    step = steps(event("came", 0), hand("won", 1))[-1]
    assert step.outcome is Outcome.STAYED
    assert step.note is not None
    assert "not allowed" in step.note
    assert reasons(step) == {"give up": Reason.TRIGGER, "sign": Reason.OUT_OF}


def test_a_hand_into_a_stage_that_is_gone_says_so() -> None:
    step = steps(event("came", 0), hand("attic", 1))[-1]
    assert step.note is not None
    assert "attic" in step.note


def test_an_override_says_so() -> None:
    step = steps(event("came", 0), hand("won", 1, "ladder.override"))[-1]
    assert (step.kind, step.outcome, step.into) == ("override", Outcome.MOVED, "won")
    assert "override" in str(step)


# -- baselines and limits ---------------------------------------------------------------------


def _baseline(pipeline: Pipeline, events: list[Event], hours: float) -> Event:
    draft, _, _ = run(pipeline.ladder, events)
    assert draft is not None
    return event("ladder.baseline", hours, state=draft.to_state())


def test_what_is_older_than_the_baseline_is_late() -> None:
    pipeline = ladder()
    before = [event("came", 0), event("called", 1, owner="Bob")]
    baseline = _baseline(pipeline, before, 2)
    first, second, start, last = pipeline.explain([*before, baseline, event("called", 3)]).steps
    assert (first.outcome, second.outcome) == (Outcome.LATE, Outcome.LATE)
    assert (start.kind, start.out_of) == ("baseline", "warm")
    assert (last.out_of, last.into) == ("warm", "won")


def test_events_after_the_limit_are_left_out() -> None:
    explanation = ladder().explain([event("came", 0), event("called", 5)], START)
    assert len(explanation.steps) == 1


def test_no_events_are_explained_too() -> None:
    explanation = ladder().explain([])
    assert explanation.steps == ()
    assert explanation.deal is None
    assert str(explanation)


@pytest.fixture
def abandoned_cart() -> Explanation:
    events = [event("cart.item_added", 0, line=LINE), event("page.viewed", 1)]
    return sales_ladder().explain(events, START + dt.timedelta(hours=49))


def test_the_story_of_an_abandoned_cart_can_be_read(abandoned_cart: Explanation) -> None:
    text = str(abandoned_cart)
    for word in ("cart-42", "quote_requested", "checkout_abandoned", "2026-01-07T09:00:00Z"):
        assert word in text
    assert len(text.splitlines()) < 12


def test_an_explanation_for_machines_names_events_and_rules(abandoned_cart: Explanation) -> None:
    told = abandoned_cart.to_dict()
    assert told["stage"] == "checkout_abandoned"
    assert told["steps"][0]["event"]["type"] == "cart.item_added"
    assert told["steps"][-1]["rule"] == "after 48 h into checkout_abandoned"
