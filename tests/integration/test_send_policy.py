"""S14a: a send policy decides at the claim whether a person gets a mail now, later or never."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import (
    EffectState,
    Pipeline,
    Stage,
    do,
    on,
)
from ladderpipe.errors import DefinitionError, InvalidEventError
from ladderpipe.ladder.policy import next_time, quiet_until
from ladderpipe.model.wall_clock import checked_zone
from ladderpipe.policy import Policy, at_most, bought, in_conversation, unsubscribed
from tests.carts import ADA, Shopper, carts
from tests.shops import Shop

_numbers = itertools.count()


# -- stopping -----------------------------------------------------------------------------------


def test_without_a_policy_every_cart_is_reminded(store: Any):
    shop = Shopper(carts(None), store)
    shop.cart("a")
    shop.cart("b")
    shop.later(50)
    assert sorted(shop.reminded) == ["a", "b"]


def test_who_has_bought_with_another_cart_is_not_reminded_of_the_first(store: Any):
    shop = Shopper(carts(Policy(stop_when=[bought])), store)
    shop.cart("a")
    shop.later(10)
    shop.cart("b")
    shop.tell("order", "b", hours=0.01)
    shop.later(50)
    assert shop.reminded == []
    assert shop.why("a") == ["dropped: bought with 'b'"]
    assert "dropped: bought with 'b'" in str(shop.board.explain("a"))
    assert shop.states("a") == {"remind": "dropped"}


def test_handing_over_the_first_cart_does_not_bring_its_reminder_back(store: Any):
    shop = Shopper(carts(Policy(stop_when=[bought])), store)
    shop.cart("a")
    shop.later(10)
    shop.cart("b")
    shop.tell("order", "b", hours=0.01)
    shop.later(1)
    shop.board.edit("a", by="ann", owner="dan")
    shop.later(50)
    assert shop.reminded == []
    assert shop.why("a") == ["dropped: bought with 'b'"]


def test_a_guest_who_logs_in_and_orders_under_another_cart_is_not_reminded(store: Any):
    shop = Shopper(carts(Policy(stop_when=[bought])), store)
    shop.cart("guest")
    shop.later(1)
    shop.tell("cart", "login", contact={"email": "Ada@Example.com", "id": 7})
    shop.tell("order", "login", hours=0.01)
    shop.later(60)
    assert shop.reminded == []


def test_a_purchase_before_the_cart_was_last_touched_is_no_reason(store: Any):
    shop = Shopper(carts(Policy(stop_when=[bought])), store)
    shop.cart("b")
    shop.tell("order", "b", hours=0.01)
    shop.later(1)
    shop.cart("a")
    shop.later(50)
    assert shop.reminded == ["a"]


def test_an_order_that_was_taken_back_is_no_purchase(store: Any):
    shop = Shopper(carts(Policy(stop_when=[bought])), store)
    shop.cart("a")
    shop.later(1)
    shop.tell("order", "b", contact={"email": ADA})
    shop.later(1)
    shop.tell("cancelled", "b")
    shop.later(48)
    assert "a" in shop.reminded


def test_a_purchase_does_not_stop_what_it_asked_for_itself(store: Any):
    steps = [do("email", to="customer", template="survey")]
    paid = Stage("paid", status="won", sequence=steps)
    ladder = Pipeline(
        "p",
        stages=[paid],
        rules=[on("order", into=paid, opens=True)],
        send=Policy(stop_when=[bought]),
    )
    shop = Shopper(ladder, store)
    shop.tell("order", contact={"email": ADA})
    shop.work()
    assert shop.mails == ["survey"]


def test_purchases_of_another_pipeline_count_where_it_is_named(store: Any):
    for policy, expected in (
        (Policy(stop_when=[bought]), ["a"]),
        (Policy(stop_when=[bought("named", "repairs")]), []),
    ):
        name = "named" if not expected else "unnamed"
        shop = Shopper(carts(policy, name), store)
        other = Shop(carts(None, "repairs"), store)
        shop.cart("a")
        shop.later(1)
        other.clock.advance(hours=1)
        other.tell("order", f"o-{name}", contact={"email": ADA})
        shop.later(48)
        assert shop.reminded == expected


def test_a_transactional_mail_is_never_dropped_or_delayed(store: Any):
    everything = Policy(
        stop_when=[bought, unsubscribed, in_conversation],
        caps=[at_most(1, days=30)],
        quiet=("00:00", "23:59"),
        holdout=0.99,
        beyond="drop",
    )
    shop = Shopper(carts(everything), store)
    shop.board.unsubscribe(ADA)
    for deal in "abc":
        shop.tell("order", deal, contact={"email": ADA})
    shop.work()
    assert shop.mails == ["thanks"] * 3


def test_who_unsubscribed_gets_no_reminder_though_the_next_cart_repeats_the_contact(store: Any):
    shop = Shopper(carts(Policy(stop_when=[unsubscribed])), store)
    shop.cart("a")
    shop.later(49)
    assert shop.reminded == ["a"]
    shop.tell("contact.unsubscribed", "a", contact={"email": ADA, "unsubscribed": True})
    shop.wait(1)
    shop.tell("cart", "a", contact={"email": ADA, "unsubscribed": False})
    shop.cart("b", "ADA@example.com")
    shop.later(60)
    assert shop.reminded == ["a"]
    assert shop.why("b") == ["dropped: unsubscribed"]


@pytest.mark.parametrize("lost", ["forgotten", "archived"])
def test_unsubscribing_outlives_the_deal_it_was_said_of(store: Any, lost: str, tmp_path: Any):
    shop = Shopper(carts(Policy(stop_when=[unsubscribed])), store)
    shop.cart("a")
    shop.tell("contact.unsubscribed", "a", hours=0.01)
    shop.board.override("a", "gone", by="Bea")
    if lost == "forgotten":
        shop.board.forget(email=ADA)
    else:
        shop.wait(24)
        shop.board.archive(before=shop.clock.now(), to=tmp_path / "old.jsonl")
    with store.transaction(write=False) as transaction:
        assert transaction.deals_of_customer([f"email:{ADA}"], 9) == []
    shop.cart("b")
    shop.later(60)
    assert shop.reminded == []


def test_only_subscribing_takes_unsubscribing_back_and_the_later_wins(store: Any):
    shop = Shopper(carts(Policy(stop_when=[unsubscribed])), store)
    shop.tell("contact.subscribed", "x", hours=-2, contact={"email": ADA})
    shop.tell("contact.unsubscribed", "x", hours=-3, contact={"email": ADA})
    shop.cart("a")
    shop.later(50)
    assert shop.reminded == ["a"]
    shop.board.unsubscribe(ADA)
    shop.cart("b")
    shop.later(50)
    assert shop.reminded == ["a"]
    shop.board.subscribe("email:ADA@example.com")
    shop.cart("c")
    shop.later(50)
    assert shop.reminded == ["a", "c"]


def test_a_customers_key_unsubscribes_the_addresses_of_the_customers_deals(store: Any):
    shop = Shopper(carts(Policy(stop_when=[unsubscribed])), store)
    shop.tell("cart", "a", contact={"email": ADA, "id": 7})
    shop.board.unsubscribe("id::7")
    shop.later(50)
    assert shop.reminded == []
    with pytest.raises(ValueError, match="no deal of a customer"):
        shop.board.unsubscribe("id::8")


def test_what_a_delivery_names_unsubscribes_the_address_that_it_went_to(store: Any):
    """And tells nobody the address, whatever the contact has by now."""
    shop = Shopper(carts(Policy(stop_when=[unsubscribed])), store)
    shop.cart("a")
    shop.later(50)
    assert shop.reminded == ["a"]
    (delivery,) = shop.sent
    assert ADA not in str(delivery.recipient)
    shop.tell("cart", "a", contact={"email": "bob@example.com"})
    shop.board.unsubscribe(str(delivery.recipient))
    shop.later(50)
    shop.cart("b")
    shop.cart("c", email="bob@example.com")
    shop.later(50)
    assert shop.why("b") == ["dropped: unsubscribed"]
    assert "c" in shop.reminded
    shop.board.subscribe(str(delivery.recipient))
    shop.cart("d")
    shop.later(50)
    assert "d" in shop.reminded
    for odd in ("hashed:", "hashed:7", "hashed:" + "x" * 32):
        with pytest.raises(InvalidEventError):
            shop.board.unsubscribe(odd)


def test_an_archived_or_held_event_unsubscribes_too(store: Any):
    shop = Shopper(carts(Policy(stop_when=[unsubscribed])), store)
    shop.tell("order", "old", id="o", contact={"email": ADA})
    shop.work()
    shop.board.remove("old")
    gone = shop.event("contact.unsubscribed", "old", contact={"email": ADA})
    (shop.board.handle if next(_numbers) % 2 else lambda e: shop.board.handle_many([e]))(gone)
    shop.cart("a")
    bob = "bob@example.com"
    shop.tell("cart", "taken", id="name", contact={"email": "cy@example.com"})
    conflict = shop.event("contact.unsubscribed", "taken", id="name", contact={"email": bob})
    shop.board.handle(conflict, hold=True)
    shop.cart("b", bob)
    shop.later(50)
    assert shop.reminded == ["taken"]


def test_a_held_event_that_is_withdrawn_has_unsubscribed_nobody(store: Any):
    shop = Shopper(carts(Policy(stop_when=[unsubscribed])), store)
    early = shop.event("contact.unsubscribed", "a", hours=20, contact={"email": ADA})
    shop.board.handle(early, hold=True)
    (held,) = shop.board.held()
    shop.board.withdraw(held, by="ann", reason="a test")
    shop.cart("a")
    shop.later(50)
    assert shop.reminded == ["a"]


@pytest.mark.parametrize("is_said_by_both", [False, True])
def test_what_is_withdrawn_under_a_taken_name_was_not_said_by_it(store: Any, is_said_by_both: bool):
    """What the event says that has the name stays."""
    shop = Shopper(carts(Policy(stop_when=[unsubscribed])), store)
    kind = "contact.unsubscribed"
    first = kind if is_said_by_both else "cart"
    shop.tell(first, "taken", id="name", contact={"email": ADA})
    conflict = shop.event(kind, "taken", id="name", contact={"email": ADA}, channel="email")
    shop.board.handle(conflict, hold=True)
    (held,) = shop.board.held()
    shop.board.withdraw(held, by="ann", reason="a test")
    shop.cart("a")
    shop.later(50)
    assert ("a" in shop.reminded) is not is_said_by_both


def test_somebody_talks_to_the_customer_so_the_program_is_silent(store: Any):
    shop = Shopper(carts(Policy(stop_when=[in_conversation], quiet=("00:00", "23:00"))), store)
    shop.cart("a")
    shop.cart("b")
    shop.wait(48)
    shop.board.tick()
    shop.board.deliver()
    shop.wait(1)
    shop.board.move("b", "gone", by="Bea")
    shop.later(24)
    assert shop.why("a")[-1] == "dropped: in conversation: by hand on 'b'"


def test_the_hand_that_began_the_visit_and_a_quiet_one_are_no_conversation(store: Any):
    shop = Shopper(carts(Policy(stop_when=[in_conversation])), store)
    shop.cart("a")
    shop.cart("b")
    shop.board.move("a", "left", by="Bea")
    shop.clock.advance(seconds=1)
    shop.board.move("b", "gone", by="Bea", quiet=True)
    shop.work()
    assert shop.reminded == ["a"]


# -- caps and quiet hours -----------------------------------------------------------------------


def test_three_carts_of_one_person_bring_one_reminder_and_the_newest_of_the_rest(store: Any):
    shop = Shopper(carts(Policy(caps=[at_most(1, hours=16)])), store)
    for deal in ("a", "b", "c"):
        shop.cart(deal)
        shop.clock.advance(seconds=10)
    shop.wait(48)
    shop.work()
    assert shop.reminded == ["a"]
    assert shop.why("c") == [
        "delayed until 2026-01-08T01:00:30Z because at most 1 in 16 h go to one address"
    ]
    shop.later(17)
    assert shop.reminded == ["a", "c"]
    assert shop.why("b")[-1] == "dropped: a newer one goes to the same address"


def test_beyond_a_cap_may_mean_dropped(store: Any):
    shop = Shopper(carts(Policy(caps=at_most(1, hours=16), beyond="drop")), store)
    shop.cart("a")
    shop.cart("b")
    shop.later(80)
    assert len(shop.reminded) == 1
    assert shop.board.effects(states=[EffectState.DROPPED])


def test_caps_count_over_all_pipelines_of_the_store_and_only_marketing(store: Any):
    shop = Shopper(carts(Policy(caps=[at_most(1, days=30)])), store)
    other = Shopper(carts(Policy(caps=[at_most(1, days=30)]), "other"), store)
    other.clock = shop.clock
    object.__setattr__(other.board._session, "clock", shop.clock)
    shop.tell("order", "thanked", contact={"email": ADA})
    shop.work()
    shop.cart("a")
    other.cart("b")
    shop.wait(50)
    shop.work()
    other.work()
    assert (shop.reminded, other.reminded) == (["a"], [])


def test_with_over_deal_each_deal_is_asked_about_by_itself(store: Any):
    policy = Policy(stop_when=[bought], caps=[at_most(1, days=30)], over="deal")
    shop = Shopper(carts(policy), store)
    shop.cart("a")
    shop.cart("b")
    shop.tell("order", "c", hours=0.02, contact={"email": ADA})
    shop.later(50)
    assert sorted(shop.reminded) == ["a", "b"]


def test_quiet_hours_are_those_of_the_customer_where_the_zone_is_known(store: Any):
    shop = Shopper(
        carts(Policy(quiet=("21:00", "08:00")), zone="Europe/Rome"), store, "2026-01-05T20:30:00Z"
    )
    shop.cart("rome")
    shop.tell("cart", "york", contact={"email": "bo@example.com", "zone": "America/New_York"})
    shop.tell("cart", "nowhere", contact={"email": "cy@example.com", "zone": "Mars/Olympus"})
    shop.wait(48)
    shop.work()
    assert shop.reminded == ["york"]
    assert shop.why("rome") == [
        "delayed until 2026-01-08T07:00:00Z because it is quiet from 21:00 to 08:00 in Europe/Rome"
    ]
    shop.later(11)
    assert sorted(shop.reminded) == ["nowhere", "rome", "york"]


def test_what_is_delayed_beyond_its_expiry_is_dropped_on_record(store: Any):
    steps = [do("email", to="customer", template="remind", expires=dt.timedelta(hours=1))]
    left = Stage("left", sequence=steps)
    ladder = Pipeline(
        "p",
        stages=[left],
        rules=[on("cart", into=left, opens=True)],
        send=Policy(quiet=("08:00", "20:00")),
    )
    shop = Shopper(ladder, store)
    shop.cart("a")
    shop.work()
    assert shop.states("a") == {"remind": "expired"}
    assert "it would be delayed until after it expires" in shop.why("a")[0]


def test_a_delay_is_no_failure_and_no_backoff(store: Any):
    shop = Shopper(carts(Policy(quiet=("08:00", "20:00"))), store)
    shop.cart("a")
    shop.wait(48)
    shop.board.tick()
    report = shop.board.deliver()
    assert (report.delayed, report.failed) == (1, 0)
    with store.transaction(write=False) as transaction:
        (row,) = transaction.effects(shop.board._session.number, None, ("pending",))
        assert row.delayed_until == row.ready_at
        assert (row.attempts, row.error) == (0, None)


def test_a_key_that_stands_for_nobody_stops_nothing(store: Any):
    shop = Shopper(carts(Policy(stop_when=[bought])), store)
    till = {"email": "till@shop.example"}
    shop.board.handle_many([shop.event("order", f"o{n}", contact=till) for n in range(201)])
    shop.tell("cart", "a", hours=-1, contact=till)
    shop.later(50)
    assert shop.reminded == ["a"]


# -- holding out --------------------------------------------------------------------------------


def test_who_is_held_out_gets_nothing_and_stays_held_out(store: Any):
    shop = Shopper(carts(Policy(holdout=0.5, caps=[at_most(1, hours=2)])), store)
    people = [f"p{n}@example.com" for n in range(60)]
    for n, person in enumerate(people):
        shop.cart(f"d{n}", person)
    shop.later(50)
    once = set(shop.reminded)
    assert 10 < len(once) < 50, "about half of sixty"
    for n, person in enumerate(people):
        shop.cart(f"again{n}", person)
    shop.later(50)
    assert {f"again{deal[1:]}" for deal in once} == {d for d in shop.reminded if d.startswith("ag")}
    (held,) = {shop.why(f"d{n}")[-1] for n in range(60) if f"d{n}" not in once}
    assert held == "dropped: held out, to measure what the others are worth"


def test_who_is_held_out_counts_for_caps_as_if_sent_and_is_asked_last(store: Any):
    shop = Shopper(
        carts(Policy(stop_when=[bought], holdout=0.999, caps=[at_most(1, days=9)])), store
    )
    shop.cart("bought")
    shop.tell("order", "o", hours=0.02, contact={"email": ADA})
    shop.cart("a", "bo@example.com")
    shop.cart("b", "bo@example.com")
    shop.later(50)
    assert shop.why("bought") == ["dropped: bought with 'o'"], "asked first, it would be held out"
    outcomes = sorted(shop.why(deal)[0].split()[0] for deal in "ab")
    assert outcomes == ["delayed", "dropped:"]


# -- definitions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"stop_when": ["bought"]},
        {"caps": [5]},
        {"beyond": "wait"},
        {"quiet": ("21:00",)},
        {"quiet": ("21:00", "21:00")},
        {"quiet": ("9 pm", "8 am")},
        {"zone": "Europe/Roma"},
        {"holdout": 1},
        {"holdout": float("nan")},
        {"over": "shop"},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(given: Any):
    with pytest.raises(DefinitionError):
        Policy(**given)


@pytest.mark.parametrize(
    "make", [lambda: at_most(0, hours=1), lambda: at_most(1), lambda: bought()]
)
def test_a_cap_or_a_condition_that_makes_no_sense_is_refused(make: Any):
    with pytest.raises(DefinitionError):
        make()


policies = st.builds(
    Policy,
    stop_when=st.lists(
        st.sampled_from([bought, bought("a", "b"), unsubscribed, in_conversation]), max_size=3
    ),
    caps=st.lists(
        st.builds(at_most, st.integers(1, 5), hours=st.integers(0, 90), days=st.integers(1, 40)),
        max_size=3,
    ),
    beyond=st.sampled_from(["delay", "drop"]),
    quiet=st.sampled_from([None, ("21:00", "08:00"), ("12:30:15", "13:00")]),
    zone=st.sampled_from(["customer", "Europe/Rome", "UTC"]),
    holdout=st.sampled_from([0, 0.1, 0.5]),
    over=st.sampled_from(["customer", "deal"]),
)


@given(policy=policies)
def test_a_policy_comes_back_from_a_definition_and_does_not_change_the_fingerprint(policy: Policy):
    pipeline = carts(policy, zone="Europe/Rome")
    again = Pipeline.from_dict(pipeline.to_dict())
    assert (again.send, again.zone) == (policy, "Europe/Rome")
    assert again.fingerprint == carts(None).fingerprint
    assert pipeline.extended().send == policy


# -- time ---------------------------------------------------------------------------------------

instants = st.datetimes(
    min_value=dt.datetime(2025, 1, 1), max_value=dt.datetime(2027, 1, 1), timezones=st.just(dt.UTC)
)
ZONES = ("Europe/Rome", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
times = st.times().map(lambda time: time.replace(microsecond=0))


@given(
    at=instants,
    quiet=st.tuples(times, times),
    zone=st.sampled_from(
        ["Europe/Rome", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
    ),
)
def test_quiet_hours_end_within_a_day_and_not_into_themselves(at: Any, quiet: Any, zone: str):
    if quiet[0] == quiet[1]:
        return
    found = checked_zone(zone)
    ends = quiet_until(quiet, at, found)
    local = at.astimezone(found).time()
    begins, end = quiet
    inside = begins <= local < end if begins < end else local >= begins or local < end
    assert (ends is not None) == inside
    if ends is not None:
        assert at < ends <= at + dt.timedelta(hours=26)


@given(
    now=instants,
    ago=st.lists(st.integers(0, 60 * 24 * 40), max_size=8),
    policy=policies,
)
def test_the_next_time_keeps_every_cap_and_is_not_quiet(now: Any, ago: list[int], policy: Policy):
    sent = [now - dt.timedelta(minutes=minutes) for minutes in ago]
    zone = checked_zone("Europe/Rome")
    at, because = next_time(policy, sent, now, zone)
    assert at >= now
    assert bool(because) == (at > now)
    for cap in policy.caps:
        assert sum(when > at - cap.span for when in sent) < cap.n
    assert policy.quiet is None or quiet_until(policy.quiet, at, zone) is None


# -- held events --------------------------------------------------------------------------------


@pytest.mark.parametrize("send", [None, Policy(stop_when=[bought])])
def test_a_reminder_waits_while_an_order_of_its_deal_cannot_be_used(store: Any, send: Any):
    shop = Shopper(carts(send), store)
    shop.cart("a")
    shop.cart("b", "bob@example.com")
    shop.tell("told", "a", hours=0.01, id="taken")
    order = shop.event("order", "a", id="taken")
    assert shop.board.handle(order, hold=True).outcome == "held"
    shop.later(49)
    assert shop.reminded == ["b"]
    assert shop.why("a")[-1].endswith("event 'taken' (order) is held and may speak against it")
    assert "is held and may speak against it" in str(shop.board.explain("a"))
    assert len(shop.why("a")) == 1, "said again, it takes the former's place"
    (held,) = shop.board.held()
    shop.board.release(held, id="the order")
    shop.later(2)
    assert shop.reminded == ["b"]


def test_a_reminder_waits_while_an_order_of_its_customer_cannot_be_used(store: Any):
    shop = Shopper(carts(Policy(stop_when=[bought])), store)
    shop.cart("a")
    shop.cart("b", "bob@example.com")
    shop.tell("told", "x", id="taken")
    order = shop.event("order", "elsewhere", id="taken", contact={"email": "ADA@example.com"})
    shop.board.handle(order, hold=True)
    shop.later(49)
    assert shop.reminded == ["b"]
    (held,) = shop.board.held()
    shop.board.discard(held, by="Bea", reason="a test of the till")
    shop.later(1)
    assert shop.reminded == ["b", "a"]


def test_what_can_move_nothing_keeps_nobody_waiting_nor_a_transactional_mail(store: Any):
    shop = Shopper(carts(Policy(stop_when=[bought])), store)
    shop.cart("a")
    shop.tell("told", "x", id="taken")
    for kind in ("viewed", "order"):
        shop.board.handle(
            shop.event(kind, "thanked", id="taken", contact={"email": ADA}), hold=True
        )
    for held in shop.board.held():
        if held.event.type == "order":
            shop.tell("order", "thanked", contact={"email": ADA})
            shop.work()
            assert shop.mails == ["thanks"]
            shop.board.discard(held, by="Bea", reason="told twice")
    shop.tell("cart", "c", contact={"email": "cy@example.com"})
    shop.board.handle(shop.event("viewed", "c", id="taken", contact={}), hold=True)
    shop.later(49)
    assert shop.reminded == ["c"]


def test_forgetting_takes_a_person_out_of_what_is_held_too(store: Any):
    shop = Shopper(carts(Policy(stop_when=[bought])), store)
    shop.tell("told", "x", id="taken")
    shop.board.handle(shop.event("order", "y", id="taken", contact={"email": ADA}), hold=True)
    shop.board.forget(email=ADA)
    with store.transaction(write=False) as transaction:
        assert transaction.held_of_customer(shop.board._session.number, [f"email:{ADA}"]) == []
