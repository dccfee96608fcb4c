"""``handle_many`` is one transaction a batch, and keeps the bad events from the good."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from ladderpipe import Event, Outcome, Pipeline, Stage, on
from ladderpipe.errors import (
    EventConflictError,
    EventFromFutureError,
    GuardError,
    HookError,
    InvalidEventError,
)
from tests.shops import (
    Shop,
    assert_is_the_fold,
    believed,
    contents,
    lead_ladder,
    make_store,
    register,
)


@pytest.fixture
def shop(store: Any) -> Shop:
    return Shop(lead_ladder(), store)


def many(shop: Shop, deals: int = 5) -> list[Event]:
    kinds = ["lead", "call", "order"]
    return [
        shop.event(kind, f"deal-{number}", hours=hours - 3)
        for hours, kind in enumerate(kinds)
        for number in range(deals)
    ]


def test_a_batch_makes_of_every_deal_what_single_events_make(store: Any, tmp_path: Any):
    one, all_ = Shop(lead_ladder(), make_store("memory", tmp_path)), Shop(lead_ladder(), store)
    events = many(one)
    outcomes = Counter(one.board.handle(event).outcome for event in events)
    report = all_.board.handle_many(events)
    assert report.outcomes == outcomes == {Outcome.OPENED: 5, Outcome.MOVED: 10}
    assert report.accepted == 15
    for number in range(5):
        deal = f"deal-{number}"
        assert believed(all_.board, deal) == believed(one.board, deal)


@pytest.mark.parametrize("batch", [1, 2, 7, 1000])
def test_the_size_of_the_batches_makes_no_difference(shop: Shop, batch: int):
    report = shop.board.handle_many(iter(many(shop)), batch=batch)
    assert report.accepted == 15
    assert {deal.stage.key for deal in shop.board.deals()} == {"won"}
    assert_is_the_fold(shop.board, [f"deal-{number}" for number in range(5)])


def test_a_batch_holds_at_least_one_event(shop: Shop):
    with pytest.raises(ValueError, match="at least one"):
        shop.board.handle_many([], batch=0)


def test_no_events_are_nothing_to_do(shop: Shop):
    before = contents(shop.store)
    assert shop.board.handle_many([]).outcomes == {}
    assert contents(shop.store) == before


def test_events_out_of_order_in_one_batch_end_in_the_same_history(shop: Shop):
    report = shop.board.handle_many(list(reversed(many(shop))))
    assert not report.failures
    assert {deal.stage.key for deal in shop.board.deals()} == {"won"}
    assert_is_the_fold(shop.board, [f"deal-{number}" for number in range(5)])


def test_a_second_delivery_of_a_batch_changes_nothing(shop: Shop):
    events = many(shop)
    shop.board.handle_many(events)
    before = contents(shop.store)
    report = shop.board.handle_many(events)
    assert report.outcomes == {Outcome.DUPLICATE: 15}
    assert report.accepted == 0
    assert contents(shop.store) == before


def test_an_event_twice_in_one_batch_counts_once(shop: Shop):
    event = shop.event("lead")
    report = shop.board.handle_many([event, event, event])
    assert report.outcomes == {Outcome.OPENED: 1, Outcome.DUPLICATE: 2}


def test_known_and_new_events_of_one_deal_mix(shop: Shop):
    lead, call, order = (
        shop.event(kind, hours=h) for h, kind in enumerate(["lead", "call", "order"], -3)
    )
    shop.board.handle(lead)
    report = shop.board.handle_many([lead, call, order])
    assert report.outcomes == {Outcome.DUPLICATE: 1, Outcome.MOVED: 2}
    assert shop.stages == ["new", "talking", "won"]


def test_waiting_events_are_told_apart(shop: Shop):
    events = [shop.event("call", "a"), shop.event("lead", "b")]
    assert shop.board.handle_many(events).outcomes == {Outcome.WAITING: 1, Outcome.OPENED: 1}


# -- the bad ones -------------------------------------------------------------------------------


def failing(report: Any) -> list[tuple[int, type[Exception]]]:
    return sorted((failure.position, type(failure.error)) for failure in report.failures)


def test_each_bad_event_is_reported_with_its_place_and_the_others_are_taken(shop: Shop):
    shop.tell("lead", "other", id="taken")
    events: list[Any] = [
        shop.event("lead", "a"),
        shop.event("lead", "b", hours=1),
        shop.event("cart.updated", "a", cart="nonsense"),
        shop.event("lead", "c", id="taken"),
        shop.event("ladder.baseline", "a"),
        "no event at all",
        shop.event("call", "a"),
    ]
    report = shop.board.handle_many(events)
    assert failing(report) == [
        (1, EventFromFutureError),
        (2, InvalidEventError),
        (3, EventConflictError),
        (4, InvalidEventError),
        (5, InvalidEventError),
    ]
    assert report.outcomes == {Outcome.OPENED: 1, Outcome.MOVED: 1}
    assert [deal.id for deal in shop.board.deals()] == ["other", "a"]
    assert_is_the_fold(shop.board, ["a"])


def test_a_refused_event_leaves_no_trace(shop: Shop):
    shop.tell("lead", "other", id="taken")
    before = contents(shop.store)
    report = shop.board.handle_many(
        [
            shop.event("cart.updated", "fresh-1", cart="nonsense"),
            shop.event("lead", "fresh-2", id="taken"),
            shop.event("lead", "fresh-3", hours=1),
        ]
    )
    assert len(report.failures) == 3
    assert contents(shop.store) == before


def test_a_bad_event_among_good_ones_of_its_deal_is_left_out_alone(shop: Shop):
    events = [
        shop.event("lead", hours=-3),
        shop.event("priced", hours=-2, value="10"),
        shop.event("priced", hours=-1, value="ten"),
        shop.event("call"),
    ]
    report = shop.board.handle_many(events)
    assert failing(report) == [(2, InvalidEventError)]
    assert shop.stages == ["new", "talking"]
    assert len(shop.board.events("d")) == 3
    assert_is_the_fold(shop.board)


def test_a_guard_that_raises_for_one_deal_stops_no_other(store: Any):
    new = Stage("new")

    def strict(deal: Any, event: Any) -> bool:
        return bool(deal.properties["known"])

    pipeline = Pipeline(
        "strict", stages=[new], rules=[on("lead", into=new, opens=True, when=strict)]
    )
    shop = Shop(pipeline, store)
    events = [shop.event("lead", "bad"), shop.event("lead", "good", properties={"known": True})]
    report = shop.board.handle_many(events)
    assert failing(report) == [(0, GuardError)]
    assert [deal.id for deal in shop.board.deals()] == ["good"]


def test_a_hook_that_raises_for_one_deal_stops_no_other(store: Any):
    def hook(ctx: Any) -> None:
        ctx.do("email", template="t")
        if ctx.deal.id == "bad":
            raise OSError

    shop = Shop(register(lead_ladder(), into_talking=hook), store)
    events = [
        shop.event(kind, deal, hours=hours)
        for deal in ("bad", "good")
        for hours, kind in ((-3, "lead"), (-2, "call"), (-1, "order"))
    ]
    report = shop.board.handle_many(events)
    assert failing(report) == [(1, HookError)]
    assert shop.board.history("bad").visits[-1].stage == "won", "the order, without the call"
    assert {effect.deal for effect in shop.board.effects()} == {"good"}
    assert_is_the_fold(shop.board, ["bad", "good"])


def test_a_second_delivery_of_a_refused_event_in_one_batch_is_refused_too(shop: Shop):
    bad = shop.event("cart.updated", cart="nonsense")
    report = shop.board.handle_many([bad, bad])
    assert failing(report) == [(0, InvalidEventError), (1, InvalidEventError)]


def test_a_refused_event_does_not_take_its_name_with_it(shop: Shop):
    """What was refused is not known, so another event of that identity is no conflict."""
    bad = shop.event("cart.updated", cart="nonsense", id="e")
    good = shop.event("lead", id="e")
    report = shop.board.handle_many([bad, good])
    assert failing(report) == [(0, InvalidEventError)]
    assert report.outcomes == {Outcome.OPENED: 1}
    assert shop.stage == "new"


def test_one_identity_with_two_contents_in_one_batch_is_a_conflict(shop: Shop):
    report = shop.board.handle_many([shop.event("lead", id="e"), shop.event("call", id="e")])
    assert failing(report) == [(1, EventConflictError)]
    assert report.outcomes == {Outcome.OPENED: 1}


def test_an_event_for_a_removed_deal_is_archived(shop: Shop):
    shop.tell("lead")
    shop.tell("order")
    shop.board.remove("d")
    report = shop.board.handle_many([shop.event("call"), shop.event("lead", "other")])
    assert report.outcomes == {Outcome.ARCHIVED: 1, Outcome.OPENED: 1}
    assert report.accepted == 1


def test_what_fails_outside_an_event_undoes_the_batch_and_keeps_the_ones_before(shop: Shop):
    def events() -> Any:
        yield shop.event("lead", "a")
        yield shop.event("lead", "b")
        yield shop.event("lead", "c")
        raise OSError("the log ended in the middle of a line")

    with pytest.raises(OSError, match="the log ended"):
        shop.board.handle_many(events(), batch=2)
    assert [deal.id for deal in shop.board.deals()] == ["a", "b"]


def test_pipelines_in_one_store_do_not_see_each_other(store: Any):
    first = Shop(lead_ladder(), store)
    other = lead_ladder()
    second = Shop(Pipeline("others", stages=other.stages, rules=other.rules), store)
    event = first.event("lead", id="same")
    assert first.board.handle(event).outcome is Outcome.OPENED
    assert second.board.handle_many([event]).outcomes == {Outcome.OPENED: 1}
    second.tell("call")
    assert (first.stage, second.stage) == ("new", "talking")
    first.wait(73)
    assert first.board.tick().deals == 1
    assert second.stage == "talking"
