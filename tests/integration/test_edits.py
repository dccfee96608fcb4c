"""S13: a hand corrects a deal; that is no activity, and tasks follow whoever has the deal."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from ladderpipe import Event, Outcome, Pipeline, Stage, after, by_hand, do, on, wait
from ladderpipe.errors import (
    DealNotFoundError,
    DefinitionError,
    EffectNotFoundError,
    EventConflictError,
    InvalidEventError,
    MoveNotAllowedError,
    PipelineChangedError,
)
from ladderpipe.guards import property_is_set
from tests.shops import Shop, assert_is_the_fold, contents

WORKING = Stage(
    "working",
    sequence=[
        wait(hours=24),
        do("task", title="Call"),
        do("task", title="Check", owner="back office"),
        wait(days=3),
        do("task", title="Call again"),
    ],
)
COLD, WON = Stage("cold", status="abandoned"), Stage("won", status="won")


def ladder(**given: Any) -> Pipeline:
    return Pipeline(
        "edits",
        stages=[WORKING, COLD, WON],
        rules=[
            on("lead", into=WORKING, opens=True),
            after(days=14, since="activity", out_of=WORKING, into=COLD),
            after(days=2, out_of=WORKING, into=WON, when=property_is_set("paid")),
            by_hand(into=WON),
        ],
        **given,
    )


@pytest.fixture
def shop(store: Any) -> Shop:
    found = Shop(ladder(), store)
    found.tell("lead", id="lead", owner="carla", value="1000", currency="EUR")
    return found


# -- what an edit is ----------------------------------------------------------------------------


def test_an_edit_corrects_and_is_in_the_history(shop: Shop):
    shop.wait(1)
    receipt = shop.board.edit(
        "d", by="ann", owner="dan", value=1200, title="Big one", properties={"size": 3}, note="oops"
    )
    assert (receipt.outcome, receipt.moves) == (Outcome.STAYED, ())
    deal = receipt.deal
    assert (deal.owner, str(deal.value), deal.title, deal.properties["size"]) == (
        *("dan", "1200", "Big one", 3),
    )
    event = shop.board.events("d")[-1]
    assert (event.type, event.identity) == ("deal.edited", receipt.event)
    assert event.data == {
        "by": "ann",
        "note": "oops",
        "owner": "dan",
        "value": 1200,
        "title": "Big one",
        "properties": {"size": 3},
    }
    assert "deal.edited" in str(shop.board.explain("d"))
    assert_is_the_fold(shop.board)


def test_the_explanation_says_who_corrected_what(shop: Shop):
    shop.board.edit("d", by="ann", owner="dan", value="3", note="on holiday")
    shop.board.edit("d", by="bea", note="she called")
    told = str(shop.board.explain("d"))
    assert "ann corrected owner, value: on holiday" in told
    assert "bea left a note: she called" in told


def test_what_is_not_said_stays_and_none_empties(shop: Shop):
    shop.board.edit("d", by="ann", owner=None)
    deal = shop.board.deal("d")
    assert (deal.owner, str(deal.value)) == (None, "1000")


def test_an_edit_says_who_and_something(shop: Shop):
    before = contents(shop.store)
    for given in ({"by": " ", "owner": "x"}, {"by": "ann"}, {"by": "ann", "note": 1}):
        with pytest.raises(InvalidEventError):
            shop.board.edit("d", **given)
    for given in ({"value": "much"}, {"currency": "euro"}, {"owner": 3}, {"properties": object()}):
        with pytest.raises(InvalidEventError):
            shop.board.edit("d", by="ann", **given)
    assert contents(shop.store) == before


def test_a_closed_deal_is_corrected(shop: Shop):
    shop.wait(1)
    shop.board.move("d", WON, by="ann")
    closed_at = shop.board.deal("d").closed_at
    shop.wait(1)
    shop.tell("noted", value="1")
    shop.wait(1)
    shop.board.edit("d", by="ann", value="950.50", currency="CHF", owner="dan")
    deal = shop.board.deal("d")
    assert (deal.stage, deal.closed_at, deal.owner) == ("won", closed_at, "dan")
    assert (str(deal.value), deal.currency) == ("950.50", "CHF")
    shop.wait(1)
    shop.tell("noted", value="2")
    assert str(shop.board.deal("d").value) == "950.50"
    assert_is_the_fold(shop.board)


def test_an_edit_corrects_the_contact_field_by_field(shop: Shop):
    shop.tell("told", contact={"name": "Ada", "phone": "1", "email": "a@b.it"})
    shop.wait(1)
    shop.board.edit("d", by="ann", contact={"phone": None, "name": "Ada Rossi"})
    assert shop.board.deal("d").contact == {"name": "Ada Rossi", "email": "a@b.it"}
    assert_is_the_fold(shop.board)


def test_a_deal_that_nobody_knows_cannot_be_edited(shop: Shop):
    before = contents(shop.store)
    with pytest.raises(DealNotFoundError, match="'nobody'"):
        shop.board.edit("nobody", by="ann", owner="x")
    assert contents(shop.store) == before


def test_an_edit_told_twice_is_a_duplicate(shop: Shop):
    first = shop.board.edit("d", by="ann", owner="dan", id="e1")
    shop.board.edit("d", by="bob", owner="eve")
    before = contents(shop.store)
    again = shop.board.edit("d", by="ann", owner="dan", id="e1", expecting="nowhere")
    assert (again.outcome, again.event) == (Outcome.DUPLICATE, first.event)
    assert shop.board.deal("d").owner == "eve"
    for act in (
        lambda: shop.board.edit("d", by="ann", owner="other", id="e1"),
        lambda: shop.board.move("d", WON, by="ann", id="e1"),
    ):
        with pytest.raises(EventConflictError):
            act()
    assert contents(shop.store) == before


def test_an_edit_may_say_where_it_expects_the_deal(shop: Shop):
    with pytest.raises(MoveNotAllowedError, match="as expected, in won"):
        shop.board.edit("d", by="ann", owner="dan", expecting=WON)


def test_an_edit_comes_last_in_its_instant(shop: Shop):
    shop.board.edit("d", by="ann", owner="dan")
    shop.tell("noted", owner="zoe")
    assert shop.board.deal("d").owner == "dan"
    assert_is_the_fold(shop.board)


# -- no activity --------------------------------------------------------------------------------


def test_handing_a_deal_over_is_no_activity(shop: Shop):
    due = shop.clock.now() + dt.timedelta(days=14)
    shop.wait(24 * 13)
    shop.board.edit("d", by="ann", owner="dan")
    shop.wait(24)
    shop.board.tick()
    assert shop.stage == "cold"
    assert shop.board.deal("d").entered_at == due
    assert_is_the_fold(shop.board)


def test_an_edit_frees_a_blocked_timer(shop: Shop):
    shop.wait(24 * 3)
    shop.board.tick()
    assert shop.stage == "working"
    receipt = shop.board.edit("d", by="ann", properties={"paid": True})
    assert [str(move.into) for move in receipt.moves] == ["won"]
    assert_is_the_fold(shop.board)


def test_a_pipeline_says_which_types_are_activity(store: Any):
    shop = Shop(ladder(activity=["call"]), store)
    shop.tell("lead")
    shop.wait(24 * 10)
    shop.tell("owner.changed", owner="dan")
    assert shop.board.deal("d").due_at == shop.clock.now() + dt.timedelta(days=4)
    shop.tell("call")
    assert shop.board.deal("d").due_at == shop.clock.now() + dt.timedelta(days=14)
    assert_is_the_fold(shop.board)


def test_what_counts_as_activity_is_part_of_the_definition(store: Any):
    told = ladder(activity=["call", "visit"])
    assert told.activity == ("call", "visit")
    again = Pipeline.from_dict(told.to_dict())
    assert again.activity == told.activity
    assert again.fingerprint == told.fingerprint != ladder().fingerprint
    assert ladder(activity=[]).to_dict()["activity"] == []
    assert told.extended(events=["more"]).activity == told.activity
    with pytest.raises(DefinitionError, match="must be a list"):
        ladder(activity="call")
    with pytest.raises(DefinitionError, match=r"activity: 'ladder\.x'"):
        ladder(activity=["ladder.x"])
    Shop(ladder(), store)
    with pytest.raises(PipelineChangedError, match="counts as activity was left out and is"):
        Shop(told, store)


# -- whose task it is ---------------------------------------------------------------------------


def owners(shop: Shop) -> dict[str, str | None]:
    return {task.title: task.owner for task in shop.board.tasks()}


def test_tasks_follow_the_deals_owner_unless_they_are_somebodys(shop: Shop):
    assert owners(shop) == {"Call": "carla", "Check": "back office", "Call again": "carla"}
    shop.board.edit("d", by="ann", owner="dan")
    assert owners(shop) == {"Call": "dan", "Check": "back office", "Call again": "dan"}
    assert [task.title for task in shop.board.tasks(owner="dan")] == ["Call", "Call again"]
    shop.wait(1)
    shop.tell("owner.changed", owner="eve")
    assert owners(shop) == {"Call": "eve", "Check": "back office", "Call again": "eve"}
    shop.tell("owner.changed", hours=-0.01, owner="too late")
    assert owners(shop)["Call"] == "eve"


def test_a_task_that_was_given_to_somebody_stays_theirs(shop: Shop):
    call, *_ = shop.board.tasks(owner="carla")
    given = shop.board.assign(call, "fred", by="carla")
    assert (given.owner, given.payload["assigned_by"]) == ("fred", "carla")
    assert [task.title for task in shop.board.tasks(owner="fred")] == ["Call"]
    shop.board.edit("d", by="ann", owner="dan")
    assert owners(shop) == {"Call": "fred", "Check": "back office", "Call again": "dan"}
    assert shop.board.assign(call, None, by="fred").owner == "dan"
    shop.board.edit("d", by="ann", owner="eve")
    assert owners(shop)["Call"] == "eve"


def test_only_an_open_task_is_given_to_somebody(shop: Shop):
    call, *_ = shop.board.tasks(owner="carla")
    shop.board.complete(call)
    for key in (call, "nothing"):
        with pytest.raises(EffectNotFoundError, match="no open task"):
            shop.board.assign(key, "fred", by="carla")
    for to, by in ((" ", "ann"), ("fred", "")):
        with pytest.raises(InvalidEventError):
            shop.board.assign(call, to, by=by)


def test_whoever_has_the_deal_in_the_end_has_its_tasks_in_any_order(store: Any):
    shop = Shop(ladder(), store)
    handed = Event("owner.changed", deal="d", id="o", at="2026-01-05T10:00Z", data={"owner": "dan"})
    lead = Event("lead", deal="d", id="l", at="2026-01-05T09:00Z", data={"owner": "carla"})
    shop.wait(2)
    shop.board.handle(handed)
    shop.board.handle(lead)
    assert owners(shop)["Call"] == "dan"
    other = [Event(e.type, deal="b", id=e.id + "b", at=e.at, data=e.data) for e in (handed, lead)]
    shop.board.handle_many(other)
    assert {task.owner for task in shop.board.tasks(deal="b")} == {"dan", "back office"}


def test_a_deal_that_is_handed_over_is_as_stale_as_before(shop: Shop):
    insight = pytest.importorskip("ladderpipe.insight")
    month = dt.timedelta(days=10)
    shop.wait(24 * 13)
    assert insight.stale_deals(shop.board, after=month).table.height == 1
    shop.board.edit("d", by="ann", owner="dan")
    [stale] = insight.stale_deals(shop.board, after=month).table.to_dicts()
    assert (stale["owner"], stale["idle_days"]) == ("dan", 13)
    assert insight.stale_deals(shop.board, as_of=shop.clock.now(), after=month).table.height == 1
    shop.tell("call")
    assert insight.stale_deals(shop.board, after=month).table.height == 0
