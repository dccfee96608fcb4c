"""Rules and pipelines: what is refused while defining, and that each refusal says what to do."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from ladderpipe import ANY, Deal, Event, Pipeline, Rule, Stage, VisitTimes, after, by_hand, on
from ladderpipe.errors import DefinitionError
from ladderpipe.ladder.guards import cart_has_items, cart_is_empty
from ladderpipe.ladder.rules import After

quote = Stage("quote")
saved = Stage("saved")
won = Stage("won", status="won")
lost = Stage("lost", status="lost")
foreign = Stage("foreign")
opening = on("cart.added", into=quote, opens=True)
NINE = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)


def ladder(*rules: Rule, stages: Any = (quote, saved, won, lost)) -> Pipeline:
    return Pipeline("shop", stages=stages, rules=rules or [opening])


async def asynchronous(deal: Deal, event: Event | None) -> bool:
    return True


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: on(into=quote), "names no event type"),
        (lambda: on("", into=quote), "event type is text"),
        (lambda: on("a", "a", into=quote), "twice"),
        (lambda: on("ladder.by_hand", into=quote), "by_hand"),
        (lambda: on("a", into=quote, out_of=[]), "leave it out"),
        (lambda: on("a", into="saved"), "write into=<the Stage whose key is 'saved'>"),
        (lambda: on("a", into=3), "into is 3, and a Stage is wanted"),
        (lambda: by_hand(into="saved"), "write into=<the Stage whose key is 'saved'>"),
        (lambda: on("a", into=quote, out_of=["saved"]), "out_of=<the Stage whose key is 'saved'>"),
        (lambda: after(48, into=quote), r"write after\(hours=48\)"),
        (lambda: after(1.5, into=quote), r"write after\(hours=1.5\)"),
        (lambda: on("a", into=quote, key=""), "not usable"),
        (lambda: on("a", into=quote, key="ladder.override"), "not usable"),
        (lambda: on("a", into=quote, when=3), "no guard"),
        (lambda: on("a", into=quote, when=lambda deal: True), "two arguments"),
        (lambda: on("a", into=quote, when=asynchronous), "asynchronous"),
        (lambda: after(into=quote), "no delay"),
        (lambda: after(hours=-1, into=quote), "negative"),
        (lambda: after(hours=1, since="birth", into=quote), "choose from"),
        (lambda: after(object(), into=quote), "due_at"),
        (lambda: after(After, into=quote), "due_at"),
        (lambda: after(After(dt.timedelta(1)), hours=1, into=quote), "drop the units"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(build: Any, says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        build()


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: Pipeline("", stages=[quote], rules=[opening]), "needs a name"),
        (lambda: ladder(stages=[]), "no stages"),
        (lambda: ladder(stages=["quote"]), "with Stage"),
        (lambda: ladder(stages=[quote, Stage("quote")]), "rename one"),
        (lambda: ladder(stages=[Stage("not_yet_opened")]), "taken"),
        (lambda: ladder(on("a", into=saved)), "opens=True"),
        (lambda: ladder(opening, "rule"), "build it with"),
        (lambda: ladder(opening, on("a", into=foreign)), "add it to stages"),
        (lambda: ladder(opening, on("a", into=saved, out_of=foreign)), "add it to stages"),
        (lambda: ladder(opening, on("a", into=Stage("saved"))), "use the object"),
        (lambda: ladder(opening, by_hand(into=lost), by_hand(into=lost)), "own key"),
        (lambda: ladder(opening, on("trigger", into=saved)), "shop.trigger"),
        (lambda: ladder(opening, on("is_saved", into=saved)), "shop.is_saved"),
        (lambda: ladder(opening, on("may_save", into=saved)), "shop.may_save"),
    ],
)
def test_a_ladder_that_cannot_work_is_refused(build: Any, says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        build()


def test_keys_are_derived_and_grow_only_where_they_must() -> None:
    pipeline = ladder(
        opening,
        on("saved", into=saved, when=cart_has_items),
        after(hours=1, out_of=quote, into=lost),
        after(hours=1, out_of=saved, into=lost),
        by_hand(into=lost, key="give up"),
    )
    assert [rule.key for rule in pipeline.rules] == [
        "on cart.added into quote",
        "on saved into saved",
        "after 1 h out of quote into lost",
        "after 1 h out of saved into lost",
        "give up",
    ]


def test_guards_tell_rules_apart_when_nothing_else_does() -> None:
    pipeline = ladder(
        opening,
        on("saved", into=saved, when=cart_has_items),
        on("saved", into=saved, when=cart_is_empty),
    )
    assert len({rule.key for rule in pipeline.rules}) == 3


@pytest.mark.parametrize(
    ("rule", "leaves"),
    [
        (on("a", into=saved), {"quote"}),
        (on("a", into=saved, out_of=ANY), {"quote", "won", "lost"}),
        (on("a", into=saved, out_of=[saved, won]), {"won"}),
        (on("a", into=saved, reenter=True), {"quote", "saved"}),
        (on("a", into=saved, out_of=quote, reenter=True), {"quote"}),
        (on("a", into=lost, reenter=True), {"quote", "saved"}),
    ],
)
def test_out_of_names_the_stages_a_rule_leaves(rule: Rule, leaves: set[str]) -> None:
    assert {stage for stage in (quote, saved, won, lost) if rule.leaves(stage)} == leaves


@pytest.mark.parametrize(
    ("since", "due"),
    [("entered", 48), ("activity", 50), ("opened", 47)],
)
def test_a_delay_counts_from_what_it_says(since: Any, due: int) -> None:
    hour = dt.timedelta(hours=1)
    times = VisitTimes(NINE, NINE + 2 * hour, NINE - hour)
    trigger = after(hours=48, since=since, into=lost).trigger
    assert isinstance(trigger, After)
    assert trigger.due_at(times) == NINE + due * hour


@pytest.mark.parametrize(
    ("build", "reads"),
    [
        (lambda: after(hours=48, into=lost), "after 48 h into lost"),
        (lambda: after(minutes=90, since="activity", into=lost), "after 90 min without activity"),
        (lambda: after(dt.timedelta(), into=lost), "after 0 s into lost"),
        (lambda: after(days=2, since="opened", into=lost), "after 48 h since the opening"),
        (lambda: on("a", "b", into=won, when=cart_has_items), "on a or b into won when the cart"),
        (lambda: by_hand(into=lost), "by hand into lost"),
    ],
)
def test_a_rule_reads_as_a_sentence(build: Any, reads: str) -> None:
    assert str(build()).startswith(reads)


def test_hooks_are_refused_for_foreign_stages_and_once_a_board_is_bound() -> None:
    pipeline = ladder()
    with pytest.raises(DefinitionError, match="add it to stages"):
        pipeline.move_into(foreign)

    pipeline.bind()
    with pytest.raises(DefinitionError, match="before Board"):
        pipeline.move_out_of(quote)
