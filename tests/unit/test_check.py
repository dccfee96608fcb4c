"""Checking finds what cannot be meant, is sure of what it calls impossible, and spares the rest."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given

from ladderpipe import ANY, Event, Pipeline, Rule, Stage, after, by_hand, on, templates
from ladderpipe.ladder.check import Finding
from ladderpipe.ladder.guards import (
    Guard,
    cart_has_items,
    cart_is_empty,
    guard,
    property_equals,
    property_is_set,
    value_at_least,
    value_at_most,
)
from ladderpipe.ladder.implication import can_hold, condition_of
from tests.ladders import ladders, ladders_and_events, sales_ladder

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
END = START + dt.timedelta(days=4)

new, work, cold = Stage("new"), Stage("work"), Stage("cold", status="abandoned")
won, lost = Stage("won", status="won"), Stage("lost", status="lost")
OPENING = on("came", into=new, out_of=new, opens=True)
ENDS = (by_hand(into=won), by_hand(into=lost))


def ladder(*rules: Rule, stages: tuple[Stage, ...] = (new, work, won, lost)) -> Pipeline:
    return Pipeline("p", stages=stages, rules=[OPENING, *rules])


def sound(*rules: Rule) -> Pipeline:
    """A ladder of which only *rules* can be found fault with."""
    return ladder(by_hand(into=work), *rules, *ENDS)


def found(pipeline: Pipeline) -> dict[str, Finding]:
    findings = pipeline.check()
    assert len({(f.code, f.stage, f.rule) for f in findings}) == len(findings)
    return {finding.code: finding for finding in findings}


def is_big(deal: Any, event: Any) -> bool:
    return bool(deal.value > 1000)


def is_old(deal: Any, event: Any) -> bool:
    return bool(deal.visit > 3)


# -- ladders that are all right ---------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [sales_ladder, *(getattr(templates, n) for n in templates.names())]
)
def test_the_ladders_we_ship_pass_without_findings(make: Any) -> None:
    found = [str(finding) for finding in make().check()]
    assert all("no deal can ever be lost" in finding for finding in found)


def test_a_small_ladder_passes_without_findings() -> None:
    assert sound().check() == []


@given(ladders())
def test_any_ladder_can_be_checked_and_the_worst_comes_first(pipeline: Pipeline) -> None:
    findings = pipeline.check()
    order = [("error", "warning", "info").index(finding.severity) for finding in findings]
    assert order == sorted(order)
    assert findings == pipeline.check()
    keys = {rule.key for rule in pipeline.rules} | {None}
    stages = {stage.key for stage in pipeline.stages} | {None}
    for finding in findings:
        assert finding.message
        assert finding.rule in keys
        assert finding.stage in stages


# -- what is called impossible does not happen ------------------------------------------------


@given(ladders_and_events())
def test_what_is_found_impossible_never_happens(case: tuple[Pipeline, list[Event]]) -> None:
    pipeline, events = case
    findings = pipeline.check()
    past_the_rules = ("ladder.override", "ladder.told")
    history = pipeline.fold([e for e in events if e.type not in past_the_rules], END)
    moves = history.moves if history else ()
    unreachable = {f.stage for f in findings if f.code == "L001"}
    traps = {f.stage for f in findings if f.code == "L002"}
    never_win = {f.rule for f in findings if f.code == "L003"}
    assert not unreachable & {move.into for move in moves}
    assert not traps & {move.out_of for move in moves if move.into != move.out_of}
    assert not never_win & {move.rule for move in moves}


@given(ladders_and_events())
def test_guards_that_cannot_hold_together_never_do(case: tuple[Pipeline, list[Event]]) -> None:
    pipeline, events = case
    history = pipeline.fold(events, END)
    guards = [rule.when for rule in pipeline.rules if rule.when is not None]
    if history is None:
        return
    for one in guards:
        for other in guards:
            both = one.holds(history.deal, None) and other.holds(history.deal, None)
            assert not both or can_hold([one, other])
            first_only = one.holds(history.deal, None) and not other.holds(history.deal, None)
            assert not first_only or can_hold([one], [other])


# -- the guard algebra ------------------------------------------------------------------------

X1, X2, XTRUE = property_equals("x", 1), property_equals("x", 2), property_equals("x", True)


@pytest.mark.parametrize(
    "impossible",
    [
        cart_is_empty & cart_has_items,
        X1 & ~X1,
        X1 & X2,
        X1 & XTRUE,
        X1 & ~property_is_set("x"),
        property_equals("x", "") & property_is_set("x"),
        value_at_least(100) & ~value_at_least(10),
        value_at_least(100, "EUR") & ~value_at_least(10),
        value_at_least(100, "EUR") & value_at_least(100, "USD"),
        value_at_most(10) & ~value_at_most(100),
        value_at_most(10, "EUR") & ~value_at_most(10),
        value_at_most(10, "EUR") & value_at_most(10, "USD"),
        value_at_least(100) & value_at_most("99.99"),
        value_at_least(100, "EUR") & value_at_most(10),
        value_at_least(10, "EUR") & value_at_most(100, "USD"),
        guard(is_big) & ~guard(is_big),
        (X1 | X2) & ~X1 & ~X2,
        ~(cart_is_empty | cart_has_items),
    ],
    ids=str,
)
def test_contradictions_are_seen(impossible: Guard) -> None:
    assert not can_hold([impossible])


@pytest.mark.parametrize(
    "possible",
    [
        cart_is_empty & ~X1,
        X1 & property_equals("y", 2),
        ~X1 & property_is_set("x"),
        value_at_least(10) & ~value_at_least(100),
        value_at_least(100) & ~value_at_least(10, "EUR"),
        value_at_most(100) & ~value_at_most(10),
        value_at_most(10) & ~value_at_most(100, "EUR"),
        value_at_least(100) & value_at_most(100),
        # Of an unknown value neither is true.
        ~value_at_least(10) & ~value_at_most(10),
        guard(is_big) & ~guard(is_old),
        ~X1 & ~X2,
        property_equals("x", None) & ~property_is_set("x"),
    ],
    ids=str,
)
def test_what_may_hold_is_not_called_a_contradiction(possible: Guard) -> None:
    assert can_hold([possible])


def test_a_requirement_counts_as_a_condition() -> None:
    paid = Stage("paid", requires=["invoice", "value"])
    rule = on("a", into=paid)
    assert not can_hold([property_equals("invoice", "7")], [condition_of(on("a", into=new))])
    assert not can_hold([condition_of(on("a", into=paid))], [condition_of(rule)])
    for known in (value_at_least(1), value_at_most(-1)):
        invoiced = property_is_set("invoice") & known
        assert not can_hold([invoiced], [condition_of(rule)])
    assert can_hold([property_is_set("invoice") & value_at_most(1)], [condition_of(rule)])


def test_too_many_conditions_are_not_looked_into() -> None:
    many = property_is_set("p0")
    for number in range(1, 40):
        many = many & property_is_set(f"p{number}")
    assert can_hold([many & ~many])


# -- L001 and L002 ----------------------------------------------------------------------------


def test_a_stage_that_nothing_leads_into_is_unreachable() -> None:
    finding = found(ladder(*ENDS))["L001"]
    assert (finding.severity, finding.stage) == ("error", "work")


def test_a_stage_that_only_an_unreachable_one_leads_into_is_unreachable() -> None:
    pipeline = ladder(on("a", into=cold, out_of=work), *ENDS, stages=(new, work, cold, won, lost))
    unreachable = [f.stage for f in pipeline.check() if f.code == "L001"]
    assert unreachable == ["work", "cold"]


def test_a_stage_behind_a_rule_that_cannot_win_is_unreachable() -> None:
    impossible = on("a", into=work, when=cart_is_empty & cart_has_items)
    assert found(ladder(impossible, *ENDS))["L001"].stage == "work"


def test_a_stage_that_is_not_closed_and_has_no_way_out_is_a_trap() -> None:
    pipeline = ladder(
        by_hand(into=work), by_hand(into=won, out_of=new), by_hand(into=lost, out_of=new)
    )
    finding = found(pipeline)["L002"]
    assert (finding.severity, finding.stage) == ("error", "work")
    assert "L006" not in found(pipeline)


def test_only_coming_back_to_itself_is_no_way_out() -> None:
    pipeline = ladder(
        by_hand(into=work, out_of=[new, work], reenter=True),
        by_hand(into=won, out_of=new),
        by_hand(into=lost, out_of=new),
    )
    assert found(pipeline)["L002"].stage == "work"


# -- L003 -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rules",
    [
        (on("a", into=lost, key="x"), on("a", into=won, key="dead")),
        (on("a", into=lost, key="x"), on("a", into=won, when=cart_is_empty, key="dead")),
        (
            on("a", into=work, out_of=new, when=cart_is_empty, key="x"),
            on("a", into=lost, when=cart_has_items, key="y"),
            on("a", into=won, out_of=new, key="dead"),
        ),
        (
            on("a", "b", into=lost, when=value_at_least(10), key="x"),
            on("a", into=won, when=value_at_least(100), key="dead"),
        ),
        (on("a", into=won, when=X1 & X2, key="dead"),),
        (on("a", into=won, out_of=won, key="dead"),),
        (
            after(hours=24, into=work, out_of=new, key="x"),
            after(hours=48, into=won, out_of=new, since="activity", key="dead"),
        ),
        (by_hand(into=work, key="free"), by_hand(into=work, when=cart_is_empty, key="dead")),
    ],
)
def test_a_rule_that_cannot_win_anywhere_is_found(rules: tuple[Rule, ...]) -> None:
    pipeline = ladder(*rules, on("in", into=work, out_of=new), *ENDS)
    finding = found(pipeline)["L003"]
    assert (finding.severity, finding.rule) == ("error", "dead")


@pytest.mark.parametrize(
    "rules",
    [
        (on("a", into=work, out_of=new), on("a", into=won)),
        (on("a", into=work), on("a", into=won)),
        (on("a", into=lost, when=value_at_least(100)), on("a", into=won)),
        (
            after(hours=24, into=work, out_of=new, when=cart_is_empty),
            after(hours=48, into=lost, out_of=new),
        ),
        (
            after(hours=24, since="activity", into=work, out_of=new),
            after(hours=48, into=lost, out_of=new),
        ),
        (after(dt.timedelta(0), into=work, out_of=new), after(hours=48, into=lost, out_of=new)),
    ],
)
def test_a_rule_that_wins_somewhere_is_left_alone(rules: tuple[Rule, ...]) -> None:
    assert "L003" not in found(sound(*rules))


# -- L004 -------------------------------------------------------------------------------------


def chase(*rules: Rule) -> Finding | None:
    return found(sound(*rules)).get("L004")


def test_timers_that_chase_each_other_are_an_error() -> None:
    finding = chase(after(hours=24, into=work, out_of=new), after(hours=24, into=new, out_of=work))
    assert finding is not None
    assert (finding.severity, finding.stage) == ("error", "new")


def test_timers_whose_guards_exclude_each_other_do_not_chase() -> None:
    assert not chase(
        after(hours=24, into=work, out_of=new, when=cart_is_empty),
        after(hours=24, into=new, out_of=work, when=cart_has_items),
    )


def test_timers_with_a_function_between_them_may_chase() -> None:
    finding = chase(
        after(hours=24, into=work, out_of=new, when=is_old),
        after(hours=24, into=new, out_of=work),
    )
    assert finding is not None
    assert finding.severity == "warning"


def test_a_timer_that_comes_back_to_its_stage_is_a_warning() -> None:
    finding = chase(after(hours=24, into=new, out_of=new, reenter=True))
    assert finding is not None
    assert finding.severity == "warning"


def test_timers_that_end_somewhere_do_not_chase() -> None:
    assert not chase(
        after(hours=24, into=work, out_of=new), after(hours=24, into=lost, out_of=work)
    )


# -- L005 -------------------------------------------------------------------------------------


def competition(*rules: Rule) -> Finding | None:
    return found(sound(*rules)).get("L005")


def test_two_rules_that_can_both_match_compete() -> None:
    finding = competition(
        on("a", into=won, when=X1, key="one"), on("a", into=lost, when=cart_is_empty, key="two")
    )
    assert finding is not None
    assert (finding.severity, finding.rule) == ("warning", "two")
    assert "one" in finding.message


def test_two_functions_may_compete() -> None:
    finding = competition(on("a", into=won, when=is_big), on("a", into=lost, when=is_old))
    assert finding is not None
    assert finding.severity == "info"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (on("a", into=won, when=X1), on("a", into=lost, when=~X1)),
        (on("a", into=won, when=is_big), on("a", into=lost, when=~guard(is_big))),
        (on("a", into=won, when=X1), on("a", into=lost, when=X2)),
        (on("a", into=won, when=cart_is_empty), on("a", into=lost, when=cart_has_items)),
        (on("a", into=won, when=X1), on("a", into=lost)),
        (on("a", into=won, when=value_at_least(9)), on("a", into=lost, when=value_at_least(1))),
        (on("a", into=won, when=X1), on("a", into=won, when=cart_is_empty)),
        (on("a", into=won, when=X1), on("b", into=lost, when=cart_is_empty)),
        (
            on("a", into=won, out_of=new, when=X1),
            on("a", into=lost, out_of=work, when=cart_is_empty),
        ),
    ],
)
def test_rules_whose_order_says_what_is_meant_do_not_compete(first: Rule, second: Rule) -> None:
    assert competition(first, second) is None


def test_timers_due_together_compete_and_others_do_not() -> None:
    together = (
        after(hours=24, into=won, out_of=new, when=X1),
        after(hours=24, into=lost, out_of=new, when=cart_is_empty),
    )
    apart = (together[0], after(hours=25, into=lost, out_of=new, when=cart_is_empty))
    assert competition(*together) is not None
    assert competition(*apart) is None


# -- L006 and L007 ----------------------------------------------------------------------------


def test_a_ladder_that_cannot_be_won_or_lost_says_so_once() -> None:
    pipeline = ladder(by_hand(into=work), by_hand(into=new), stages=(new, work))
    findings = {f.code: f for f in pipeline.check()}
    assert len(findings) == len(pipeline.check()) == 2
    assert (findings["L006"].severity, findings["L006"].stage) == ("warning", None)
    assert (findings["L007"].severity, findings["L007"].stage) == ("info", None)


def test_a_stage_from_which_nothing_leads_to_won_is_named() -> None:
    pipeline = ladder(by_hand(into=work), by_hand(into=won, out_of=new), by_hand(into=lost))
    assert found(pipeline)["L006"].stage == "work"


# -- L008 -------------------------------------------------------------------------------------


def test_a_rule_that_takes_deals_out_of_closed_stages_unnamed_is_found() -> None:
    finding = found(sound(on("a", into=new, out_of=ANY, key="reset")))["L008"]
    assert (finding.severity, finding.rule) == ("warning", "reset")
    assert "won" in finding.message


@pytest.mark.parametrize(
    "rule",
    [
        on("a", into=won, out_of=ANY),
        on("a", into=new, out_of=[won, lost, work]),
        on("a", into=new, out_of=work),
        by_hand(into=new, out_of=ANY),
    ],
)
def test_leaving_a_closed_stage_on_purpose_is_left_alone(rule: Rule) -> None:
    assert "L008" not in found(sound(rule))
