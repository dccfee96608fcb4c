"""S13: where a hand may go, what it expects, under which id, for which time and how loudly."""

from __future__ import annotations

import datetime as dt
import pickle
from typing import Any

import pytest

from ladderpipe import (
    ANY,
    Event,
    Identity,
    Outcome,
    Pipeline,
    Reason,
    Stage,
    after,
    by_hand,
    do,
    on,
)
from ladderpipe.errors import (
    DealNotFoundError,
    DefinitionError,
    EventConflictError,
    EventFromFutureError,
    GuardError,
    InvalidEventError,
    MissingPropertyError,
    MoveNotAllowedError,
)
from tests.shops import Shop, assert_is_the_fold, contents, lead_ladder


@pytest.fixture
def shop(store: Any) -> Shop:
    found = Shop(lead_ladder(), store)
    found.tell("lead", id="lead")
    found.wait(1)
    return found


def pipeline_with(*rules: Any, name: str = "hands") -> Pipeline:
    new, talking, won, lost = STAGES
    return Pipeline(
        name, stages=[new, talking, won, lost], rules=[on("lead", into=new, opens=True), *rules]
    )


STAGES = (
    Stage("new"),
    Stage("talking"),
    Stage("won", status="won"),
    Stage("lost", status="lost", requires=["why"]),
)
NEW, TALKING, WON, LOST = STAGES


# -- a refusal has fields -----------------------------------------------------------------------


def test_a_refusal_says_in_fields_what_it_says_in_words(shop: Shop):
    with pytest.raises(MoveNotAllowedError) as caught:
        shop.board.move("d", "won", by="Bea")
    refusal = caught.value
    assert (refusal.deal, refusal.stage, refusal.into) == ("d", "new", "won")
    assert refusal.allowed == ("lost",)
    assert (refusal.missing, refusal.expecting) == ((), None)
    assert "by hand it may go into lost (with why)" in str(refusal)
    assert refusal.options == shop.board.options("d", by="Bea")
    again = pickle.loads(pickle.dumps(refusal))
    assert (str(again), again.deal, again.allowed) == (str(refusal), "d", ("lost",))


def test_a_refusal_for_want_of_a_property_names_it(shop: Shop):
    with pytest.raises(MissingPropertyError) as caught:
        shop.board.move("d", "lost", by="Bea")
    assert caught.value.missing == ("why",)
    assert caught.value.into == "lost"


@pytest.mark.parametrize("blank", [" ", "\t\n", "\u00a0", ""])
def test_white_space_fills_nothing(shop: Shop, blank: str):
    with pytest.raises(MissingPropertyError):
        shop.board.move("d", "lost", by="Bea", properties={"why": blank})
    assert shop.stage == "new"


# -- what a hand may do -------------------------------------------------------------------------


def test_options_list_every_stage_with_the_reason(store: Any):
    def is_hot(deal: Any, event: Any) -> bool:
        return bool(deal.properties.get("hot"))

    pipeline = pipeline_with(
        by_hand(into=TALKING, when=is_hot),
        by_hand(into=LOST),
        after(hours=48, out_of=NEW, into=WON),
        after(hours=5, out_of=LOST, into=NEW),
    )
    shop = Shop(pipeline, store)
    shop.tell("lead")
    before = contents(store)
    found = {str(option.into): option for option in shop.board.options("d")}
    assert contents(store) == before, "asking writes nothing"
    assert list(found) == ["new", "talking", "won", "lost"]
    assert [option.allowed for option in found.values()] == [False] * 4
    assert found["new"].why == found["won"].why == "no by_hand rule leads there"
    assert [r.reason for r in found["talking"].refusals] == [Reason.GUARD]
    assert "is_hot" in (found["talking"].why or "")
    assert (found["lost"].requires, found["lost"].missing) == (("why",), ("why",))
    assert found["lost"].is_possible
    assert [(c.kind, c.name) for c in found["lost"].starts] == [
        ("timer", "after 5 h into new"),
    ]
    assert [(c.kind, c.due_at) for c in found["lost"].stops] == [
        ("timer", shop.clock.now() + dt.timedelta(hours=48)),
    ]
    assert found["lost"].to_dict()["missing"] == ["why"]


def test_options_say_which_effects_and_tasks_begin_and_end(store: Any):
    shop = Shop(lead_ladder(sequence=True), store)
    shop.tell("lead")
    lost = shop.board.options("d")[-1]
    assert [(c.kind, c.name) for c in lost.stops] == [
        ("effect", "email"),
        ("task", "Call"),
        ("effect", "email"),
        ("timer", "after 3 days into cold"),
    ]
    opening = next(o for o in shop.board.options("unheard of") if o.into == "new")
    assert opening.allowed
    assert [c.name for c in opening.starts] == ["email", "Call", "email", "after 3 days into cold"]
    assert shop.board.events("unheard of") == []


def test_options_count_timers_that_are_due_as_fired(shop: Shop):
    shop.wait(80)
    assert [o.into for o in shop.board.options("d") if o.is_possible] == ["new", "lost"]
    assert shop.board.deal("d").stage == "new", "nobody has swept"
    shop.board.move("d", "new", by="Bea")


def test_options_of_a_removed_deal_are_none(shop: Shop):
    shop.tell("order")
    shop.board.remove("d")
    with pytest.raises(DealNotFoundError, match="tombstone"):
        shop.board.options("d")


def test_a_guard_that_raises_is_an_option_that_is_not_allowed(store: Any):
    def broken(deal: Any, event: Any) -> bool:
        raise KeyError("hot")

    shop = Shop(pipeline_with(by_hand(into=TALKING, when=broken)), store)
    shop.tell("lead")
    talking = shop.board.options("d")[1]
    assert not talking.allowed
    assert "raised" in (talking.why or "")


# -- who may ------------------------------------------------------------------------------------


def test_the_host_application_says_who_may(store: Any):
    asked: list[tuple[str, str, str]] = []

    def only_the_boss(by: str, deal: Any) -> bool:
        asked.append((by, deal.id, deal.stage.key))
        return by == "boss"

    shop = Shop(pipeline_with(by_hand(into=WON, may=only_the_boss), by_hand(into=TALKING)), store)
    shop.tell("lead")
    before = contents(store)
    with pytest.raises(MoveNotAllowedError, match=r"'ann' may not \(.*only_the_boss\)") as refused:
        shop.board.move("d", WON, by="ann")
    assert contents(store) == before
    assert refused.value.allowed == ("talking",)
    assert set(asked) == {("ann", "d", "new")}
    by_ann = {str(o.into): o for o in shop.board.options("d", by="ann")}
    assert [r.reason for r in by_ann["won"].refusals] == [Reason.ACTOR]
    assert shop.board.options("d", by="boss")[2].allowed
    assert shop.board.options("d")[2].allowed, "without an actor nobody is asked"
    assert shop.board.move("d", WON, by="boss").outcome is Outcome.MOVED
    asked.clear()
    shop.tell("noted", hours=-1)
    assert shop.stage == "won"
    assert asked == [], "what somebody might do then is not asked again"
    assert_is_the_fold(shop.board)


def test_one_rule_that_lets_an_actor_is_enough(store: Any):
    shop = Shop(
        pipeline_with(
            by_hand(into=WON, may=lambda by, deal: by == "boss", key="boss"),
            by_hand(into=WON, may=lambda by, deal: by == "ann", key="ann"),
        ),
        store,
    )
    shop.tell("lead")
    with pytest.raises(MoveNotAllowedError):
        shop.board.move("d", WON, by="bob")
    assert shop.board.move("d", WON, by="ann").outcome is Outcome.MOVED


def test_may_that_raises_is_an_error_and_stores_nothing(store: Any):
    shop = Shop(pipeline_with(by_hand(into=WON, may=lambda by, deal: 1 / 0 > 0)), store)
    shop.tell("lead")
    before = contents(store)
    with pytest.raises(GuardError, match="ZeroDivisionError"):
        shop.board.move("d", WON, by="ann")
    assert contents(store) == before
    assert not shop.board.options("d", by="ann")[2].allowed


def test_may_is_a_plain_function():
    async def later(by: str, deal: Any) -> bool:
        return True

    for may in (later, "boss"):
        with pytest.raises(DefinitionError, match="plain function of"):
            by_hand(into=WON, may=may)  # type: ignore[arg-type]


# -- what it expects ----------------------------------------------------------------------------


def test_a_stale_drag_is_told_who_moved_the_deal_where(store: Any):
    shop = Shop(pipeline_with(*(by_hand(into=s, out_of=ANY) for s in (NEW, TALKING, WON))), store)
    shop.tell("lead")
    seen = shop.board.history("d").visits[-1].key
    shop.wait(1)
    shop.board.move("d", TALKING, by="Bea")
    before = contents(store)
    for expecting in (NEW, "new", seen):
        with pytest.raises(MoveNotAllowedError) as refused:
            shop.board.move("d", WON, by="Ann", expecting=expecting)
        assert "is in talking and not, as expected, in" in str(refused.value)
        assert "Bea by hand moved it into talking at 2026-01-05T10:00:00" in str(refused.value)
        assert (refused.value.stage, refused.value.expecting) == ("talking", str(expecting))
    assert contents(store) == before
    shop.board.move("d", WON, by="Ann", expecting=TALKING)


def test_a_visit_that_was_left_and_entered_again_is_another(store: Any):
    shop = Shop(pipeline_with(*(by_hand(into=s, out_of=ANY) for s in (NEW, TALKING, WON))), store)
    shop.tell("lead")
    seen = shop.board.history("d").visits[-1].key
    shop.board.move("d", TALKING, by="Bea")
    shop.board.move("d", NEW, by="Bea")
    with pytest.raises(MoveNotAllowedError, match="then Bea by hand moved it into new"):
        shop.board.move("d", WON, by="Ann", expecting=seen)
    shop.board.move("d", WON, by="Ann", expecting=NEW)


def test_a_timer_may_have_been_first(shop: Shop):
    shop.wait(80)
    with pytest.raises(MoveNotAllowedError, match="timer 'after 3 days into cold' moved it"):
        shop.board.move("d", "lost", by="Ann", properties={"why": "x"}, expecting="new")


# -- the same request twice ---------------------------------------------------------------------


def test_a_retried_drag_moves_nothing_twice(store: Any):
    shop = Shop(pipeline_with(*(by_hand(into=s, out_of=ANY) for s in (NEW, TALKING, WON))), store)
    shop.tell("lead")
    first = shop.board.move("d", TALKING, by="Ann", id="drag-1", expecting=NEW)
    assert first.event == Identity("ladderpipe", "drag-1")
    shop.wait(1)
    shop.board.move("d", WON, by="Bea")
    before = contents(store)
    again = shop.board.move("d", TALKING, by="Ann", id="drag-1", expecting=NEW, at="2026-01-01T00Z")
    assert again.outcome is Outcome.DUPLICATE
    assert (again.moves, again.deal.stage, again.event) == ((), "won", first.event)
    assert contents(store) == before


def test_an_id_names_one_hand(store: Any):
    shop = Shop(pipeline_with(*(by_hand(into=s, out_of=ANY) for s in (NEW, TALKING, WON))), store)
    shop.tell("lead")
    shop.tell("lead", "other")
    shop.board.move("d", TALKING, by="Ann", id="drag-1")
    before = contents(store)
    for act, deal, into in (
        (shop.board.move, "other", TALKING),
        (shop.board.move, "d", WON),
        (shop.board.override, "d", TALKING),
    ):
        with pytest.raises(EventConflictError, match="'drag-1' was given to a hand already"):
            act(deal, into, by="Ann", id="drag-1")
    assert contents(store) == before


def test_the_id_of_a_refused_hand_is_tried_anew(shop: Shop):
    with pytest.raises(MissingPropertyError):
        shop.board.move("d", "lost", by="Ann", id="drag-1")
    answer = shop.board.move("d", "lost", by="Ann", id="drag-1", properties={"why": "price"})
    assert answer.outcome is Outcome.MOVED
    assert shop.board.move("d", "lost", by="Ann", id="drag-1").outcome is Outcome.DUPLICATE


def test_after_a_person_was_forgotten_an_id_is_still_known(shop: Shop):
    shop.tell("contact", contact={"email": "a@b.it"})
    shop.board.override("d", "talking", by="Ann", id="drag-1", reason="a@b.it asked")
    shop.board.forget(email="a@b.it")
    assert shop.board.override("d", "talking", by="Ann", id="drag-1").outcome is Outcome.DUPLICATE


def test_an_override_takes_what_a_move_takes(shop: Shop):
    with pytest.raises(MoveNotAllowedError, match="as expected, in cold"):
        shop.board.override("d", "won", by="Ann", expecting="cold")
    shop.board.override("d", "won", by="Ann", expecting="new", id="o", at="2026-01-05T09:30:00Z")
    assert shop.board.override("d", "won", by="Ann", id="o").outcome is Outcome.DUPLICATE
    assert shop.board.deal("d").closed_at == dt.datetime(2026, 1, 5, 9, 30, tzinfo=dt.UTC)
    assert_is_the_fold(shop.board)


# -- signed on Friday, entered on Monday --------------------------------------------------------


def test_a_hand_may_be_dated_in_the_past(shop: Shop):
    shop.wait(60)
    answer = shop.board.move("d", "lost", by="Ann", properties={"why": "x"}, at="2026-01-06T09:00Z")
    assert answer.outcome is Outcome.MOVED
    assert answer.reason is None
    assert shop.board.deal("d").closed_at == dt.datetime(2026, 1, 6, 9, tzinfo=dt.UTC)
    assert_is_the_fold(shop.board)


def test_a_past_hand_is_judged_at_its_place(shop: Shop):
    shop.wait(10)
    shop.tell("call")
    shop.wait(60)
    shop.board.tick()
    assert shop.stage == "cold"
    with pytest.raises(MoveNotAllowedError) as refused:
        shop.board.move("d", "new", by="Ann", at="2026-01-05T10:00Z")
    assert refused.value.stage == "new"
    assert "deal 'd' was, at 2026-01-05T10:00:00Z, in new" in str(refused.value)
    assert shop.board.move("d", "new", by="Ann").outcome is Outcome.MOVED


def test_what_moved_on_after_a_past_hand_is_in_the_receipt(shop: Shop):
    shop.wait(10)
    shop.tell("order")
    answer = shop.board.move("d", "lost", by="Ann", properties={"why": "x"}, at="2026-01-05T11:00Z")
    assert answer.outcome is Outcome.MOVED
    assert answer.reason == (
        "it did not stay there: order moved it into won at 2026-01-05T20:00:00Z"
    )
    assert shop.stages == ["new", "lost", "won"]
    assert_is_the_fold(shop.board)


def test_what_a_stage_requires_must_have_been_there_at_that_time(shop: Shop):
    shop.wait(10)
    shop.tell("noted", properties={"why": "price"})
    with pytest.raises(MissingPropertyError, match=r"was, at 2026-01-05T11:00:00Z, in new"):
        shop.board.move("d", "lost", by="Ann", at="2026-01-05T11:00Z")
    shop.board.move("d", "lost", by="Ann")


def test_a_hand_before_the_opening_is_refused(shop: Shop):
    before = contents(shop.store)
    for act in (shop.board.move, shop.board.override):
        with pytest.raises(MoveNotAllowedError, match="was opened at 2026-01-05T09:00:00"):
            act("d", "new", by="Ann", at="2026-01-05T08:00Z")
    assert contents(shop.store) == before


def test_a_hand_that_is_still_to_come_is_refused(shop: Shop):
    with pytest.raises(EventFromFutureError, match="still to come"):
        shop.board.move("d", "lost", by="Ann", properties={"why": "x"}, at="2026-02-01T08:00Z")


def test_two_hands_told_of_one_past_instant_keep_their_order(shop: Shop):
    for into in ("talking", "new", "won"):
        shop.board.override("d", into, by="Ann", at="2026-01-05T09:30Z")
    assert shop.stages == ["new", "talking", "new", "won"]
    assert_is_the_fold(shop.board)


# -- quietly ------------------------------------------------------------------------------------


def test_a_quiet_hand_sends_nothing_now_and_keeps_what_is_to_come(store: Any):
    shop = Shop(lead_ladder(sequence=True), store)
    shop.board.move("d", "new", by="Ann", quiet=True)
    states = [(e.payload.get("template"), e.state.value) for e in shop.board.effects("d")]
    assert states == [("first", "expired"), (None, "open"), ("last", "pending")]
    shop.work()
    assert shop.mails == []
    shop.wait(48)
    shop.work()
    assert shop.mails == ["last"]


def test_a_quiet_hand_silences_no_timer_that_was_due_before(store: Any):
    cold = Stage("cold", sequence=[do("email", template="we miss you")])
    late = Stage("late", sequence=[do("email", template="hello")])
    new = Stage("new")
    pipeline = Pipeline(
        "quiet",
        stages=[new, cold, late],
        rules=[
            on("lead", into=new, opens=True),
            after(hours=1, out_of=new, into=cold),
            by_hand(into=late),
        ],
    )
    shop = Shop(pipeline, store)
    shop.tell("lead")
    shop.wait(2)
    shop.board.move("d", late, by="Ann", quiet=True)
    assert shop.states() == {"we miss you": "cancelled", "hello": "expired"}
    shop.tell("lead", "other")
    shop.board.tick()
    assert shop.board.events("d")[-1].data["quiet"] is True


# -- many at once -------------------------------------------------------------------------------


def test_many_deals_are_moved_and_the_refused_ones_reported(store: Any):
    shop = Shop(lead_ladder(sequence=True), store)
    deals = [f"d{n}" for n in range(5)]
    for deal in deals:
        shop.tell("lead", deal)
    shop.tell("order", "d2")
    report = shop.board.move_many(
        [*deals, "nobody"], "lost", by="boss", properties={"why": "sold off"}, quiet=True, id="bulk"
    )
    assert report.outcomes == {Outcome.MOVED: 4}
    assert [(f.position, f.event.deal) for f in report.failures] == [(2, "d2"), (5, "nobody")]
    assert isinstance(report.failures[0].error, MoveNotAllowedError)
    assert [deal.id for deal in shop.board.deals(stage="lost")] == ["d0", "d1", "d3", "d4"]
    before = contents(store)
    again = shop.board.move_many(deals, "lost", by="boss", id="bulk")
    assert again.outcomes == {Outcome.DUPLICATE: 4}
    assert contents(store) == before
    assert_is_the_fold(shop.board, deals)


def test_nobody_is_no_actor_of_many(shop: Shop):
    with pytest.raises(InvalidEventError, match="say who"):
        shop.board.move_many(["d"], "lost", by=" ")


def test_a_receipt_names_what_was_told(shop: Shop):
    told = Event("noted", deal="d", id="n1", at=shop.clock.now(), source="crm")
    receipt = shop.board.handle(told)
    assert receipt.event == told.identity == ("crm", "n1")
    assert shop.board.handle(told).event == ("crm", "n1")
    assert receipt.to_dict()["event"] == {"source": "crm", "id": "n1"}
