"""S14, S14a: who an effect is for, when its address is read, and what its handler may answer."""

from __future__ import annotations

import datetime as dt
import itertools
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladderpipe import (
    Board,
    EffectState,
    Event,
    ManualClock,
    MemoryStore,
    Pipeline,
    SqliteStore,
    Stage,
    do,
    drop,
    later,
    on,
    verify,
)
from ladderpipe.errors import DefinitionError, HookError, InvalidEventError
from ladderpipe.policy import contact_keys
from ladderpipe.stores import PostgresStore
from ladderpipe.testing.copies import copies
from tests.shops import HOUR, START, Shop, lead_ladder, register

ADA = "ada@example.com"
_numbers = itertools.count()


def mail(template: str = "hello", **options: Any) -> Any:
    return lambda ctx: ctx.do("email", template=template, **options)


def shop_with(store: Any, **hooks: Any) -> Shop:
    return Shop(register(lead_ladder(), **hooks), store)


def answering(shop: Shop, *answers: Any) -> list[Any]:
    """Let the shop's handler of mails answer so, one after the other, then deliver."""
    asked: list[Any] = []

    def handler(delivery: Any) -> Any:
        asked.append(delivery)
        return answers[len(asked) - 1] if len(asked) <= len(answers) else None

    shop.board._session.handlers["email"] = handler
    return asked


def decisions(shop: Shop, deal: str = "d") -> list[str]:
    (effect,) = shop.board.effects(deal)
    return [str(decision) for decision in effect.decisions]


# -- what a handler may answer ------------------------------------------------------------------


def test_a_handler_that_answers_later_is_asked_again_at_that_time_and_not_before(store: Any):
    shop = shop_with(store, into_new=mail())
    shop.tell("lead")
    asked = answering(shop, later("2026-01-05T12:00:00Z", "the provider has a pause"))
    report = shop.board.deliver()
    assert (report.delayed, report.failed, report.delivered) == (1, 0, 0)
    shop.wait(2.9)
    shop.work()
    assert len(asked) == 1
    shop.wait(0.1)
    shop.work()
    assert [delivery.attempt for delivery in asked] == [1, 1], "being asked later is no try"
    assert shop.states() == {"hello": "delivered"}
    assert decisions(shop) == [
        "delayed until 2026-01-05T12:00:00Z because the provider has a pause"
    ]


def test_a_handler_that_keeps_answering_later_makes_no_dead_letter(store: Any):
    shop = shop_with(store, into_new=mail())
    shop.tell("lead")
    answering(shop, *[later(START, "busy")] * 50)
    for _ in range(50):
        shop.wait(1)
        shop.work()
    assert shop.states() == {"hello": "pending"}
    assert shop.board.dead_letters() == []


def test_later_is_never_earlier_than_the_backoff(store: Any):
    shop = shop_with(store, into_new=mail())
    shop.tell("lead")
    asked = answering(shop, later(START, "try at once"))
    for _ in range(3):
        shop.board.deliver()
    assert len(asked) == 1
    shop.clock.advance(seconds=10)
    shop.board.deliver()
    assert len(asked) == 2


def test_what_is_delayed_beyond_its_expiry_is_dropped_on_record(store: Any):
    shop = shop_with(store, into_new=mail(expires=HOUR))
    shop.tell("lead")
    answering(shop, later("2026-01-05T11:00:00Z", "the provider has a pause"))
    shop.board.deliver()
    assert shop.states() == {"hello": "expired"}
    assert decisions(shop) == [
        "dropped: the provider has a pause; it would be delayed until after it expires"
    ]


def test_a_handler_that_answers_drop_sends_nothing_ever(store: Any):
    shop = shop_with(store, into_new=mail())
    shop.tell("lead")
    asked = answering(shop, drop("the address is on our list of bounces"))
    report = shop.board.deliver()
    assert (report.counts, report.failed) == ({EffectState.DROPPED: 1}, 0)
    shop.wait(1)
    shop.tell("call", id="call")
    shop.tell(
        "order", hours=-2
    )  # before the lead: what was the first visit is over, then comes back
    shop.work()
    assert len(asked) == 1
    assert decisions(shop) == ["dropped: the address is on our list of bounces"]


def test_decisions_stand_in_the_explanation_and_the_history(store: Any):
    shop = shop_with(store, into_new=mail())
    shop.tell("lead")
    answering(shop, drop("no mails in August"))
    shop.board.deliver()
    assert "dropped: no mails in August" in str(shop.board.explain("d"))
    (effect,) = shop.board.history("d").effects
    assert [each.because for each in effect.decisions] == ["no mails in August"]
    assert shop.board.explain("d").effects == (effect,)


@pytest.mark.parametrize("answer", [lambda: later(START, " "), lambda: drop("")])
def test_an_answer_says_why(answer: Any):
    with pytest.raises(InvalidEventError, match="say why"):
        answer()


# -- whose address ------------------------------------------------------------------------------


def test_the_address_of_the_customer_is_read_when_the_effect_is_claimed(store: Any):
    shop = shop_with(store, into_new=mail(to="customer", wait=HOUR))
    shop.tell("lead", contact={"email": "old@example.com"})
    shop.tell("told", hours=0.01, contact={"email": "New@Example.com"})
    shop.wait(1)
    shop.work()
    assert [delivery.payload["to"] for delivery in shop.sent] == ["New@Example.com"]
    assert decisions(shop) == ["sent"]


def test_an_effect_to_the_address_that_the_contact_had_follows_the_contact(store: Any):
    hook = lambda ctx: ctx.do("email", template="x", to=ctx.deal.contact["email"], wait=HOUR)  # noqa: E731
    shop = shop_with(store, into_new=hook)
    shop.tell("lead", contact={"email": "old@example.com"})
    shop.tell("told", hours=0.01, contact={"email": ADA})
    shop.wait(1)
    shop.work()
    assert [delivery.payload["to"] for delivery in shop.sent] == [ADA]


def test_an_effect_to_the_shops_own_staff_is_left_alone(store: Any):
    shop = shop_with(store, into_new=mail(to="sales@shop.example"))
    shop.tell("lead", contact={"email": ADA})
    shop.work()
    assert [delivery.payload["to"] for delivery in shop.sent] == ["sales@shop.example"]
    (effect,) = shop.board.effects("d")
    assert (effect.purpose, effect.decisions) == (None, ())


def test_an_address_that_is_learnt_late_still_gets_its_mail(store: Any):
    shop = shop_with(store, into_new=mail(to="customer"))
    shop.tell("lead")
    shop.work()
    assert (shop.mails, shop.states()) == ([], {"hello": "waiting"})
    shop.wait(1)
    shop.tell("told", hours=0.01, contact={"email": ADA})
    assert shop.states() == {"hello": "pending"}
    shop.work()
    assert [delivery.payload["to"] for delivery in shop.sent] == [ADA]
    assert [each.outcome for each in shop.board.effects("d")[0].decisions] == ["waiting", "sent"]


def test_an_effect_that_waits_for_an_address_is_not_polled_and_health_lists_it(store: Any):
    shop = shop_with(store, into_new=mail(to="customer"))
    shop.tell("lead")
    shop.work()
    with shop.board._session.reading() as transaction:
        names = ["email"]
        number, now = shop.board._session.number, shop.clock.now()
        assert transaction.ready_effects(number, now + 999 * HOUR, names, 9) == []
        timer = shop.board.deal("d").due_at
        assert transaction.next_wake(number, names) == timer
    assert [f.code for f in shop.board.health().findings] == ["H015"]


def test_moving_out_cancels_what_waits_for_an_address(store: Any):
    shop = shop_with(store, into_new=mail(to="customer"))
    shop.tell("lead")
    shop.work()
    shop.tell("call", contact={"email": ADA})
    shop.work()
    assert (shop.mails, shop.states()) == ([], {"hello": "cancelled"})


def test_a_sequence_speaks_to_the_customer_too_and_by_telephone(store: Any):
    new = Stage("new", sequence=[do("sms", to="customer", purpose="transactional")])
    shop = Shop(Pipeline("p", stages=[new], rules=[on("lead", into=new, opens=True)]), store)
    sent: list[Any] = []
    shop.board.handle_effect("sms", sent.append)
    shop.tell("lead", contact={"email": ADA})
    shop.work()
    assert sent == []
    shop.tell("told", hours=0.01, contact={"email": ADA, "phone": "+39 06 1234"})
    shop.work()
    assert [delivery.payload["to"] for delivery in sent] == ["+39 06 1234"]
    assert shop.board.effects("d")[0].purpose == "transactional"


def test_a_purpose_that_is_none_is_refused(store: Any):
    with pytest.raises(DefinitionError, match="marketing or transactional"):
        do("email", purpose="spam")  # type: ignore[arg-type]


# -- who the customer is ------------------------------------------------------------------------


def test_a_customer_is_known_by_address_and_by_the_ids_of_each_shop(store: Any):
    shop = shop_with(store)
    shop.tell("lead", "a", contact={"email": "Ada@Example.com"})
    shop.board.handle(
        Event("lead", deal="b", id="b", at=START, source="shop", data={"contact": {"id": 7}})
    )
    shop.board.handle(
        Event("lead", deal="c", id="c", at=START, source="till", data={"contact": {"id": "7"}})
    )
    shop.tell("told", "b", hours=0.01, contact={"id": 7, "email": ADA})
    assert [deal.id for deal in shop.board.customer(ADA)] == ["a", "b"]
    assert [deal.id for deal in shop.board.customer("id::7")] == ["b"], "told last by no source"
    assert [deal.id for deal in shop.board.customer("id:till:7")] == ["c"]
    assert shop.board.customer("nobody@example.com") == []


def test_a_pipeline_may_say_who_a_customer_is_or_that_there_is_none(store: Any):
    def by_company(deal: Any, source: str) -> list[str]:
        kept = [key for key in contact_keys(deal, source) if key != "email:till@shop.example"]
        return [*kept, f"company:{deal.company}"] if deal.company else kept

    plain = lead_ladder()
    pipeline = Pipeline(plain.name, stages=plain.stages, rules=plain.rules, customer=by_company)
    shop = Shop(pipeline, store)
    shop.tell("lead", "a", company="Rossi", contact={"email": "till@shop.example"})
    shop.tell("lead", "b", company="Rossi")
    assert [deal.id for deal in shop.board.customer("company:Rossi")] == ["a", "b"]
    assert shop.board.customer("till@shop.example") == []
    assert not verify(shop.board).differences


def test_a_function_for_customers_that_raises_stores_nothing_and_says_so(store: Any):
    plain = lead_ladder()
    broken = Pipeline("p", stages=plain.stages, rules=plain.rules, customer=lambda deal, source: 5)  # type: ignore[arg-type, return-value]
    shop = Shop(broken, store)
    with pytest.raises(HookError, match="customer="):
        shop.tell("lead", contact={"email": ADA})
    assert shop.board.events("d") == []


def test_a_key_that_too_many_deals_hold_is_a_finding_until_they_do_not(store: Any):
    shop = shop_with(store)
    till = {"email": "till@shop.example"}
    shop.board.handle_many([shop.event("lead", f"d{n}", contact=till) for n in range(200)])
    assert "H016" not in [finding.code for finding in shop.board.health().findings]
    shop.tell("lead", "one more", contact=till)
    assert "H016" in [finding.code for finding in shop.board.health().findings]
    shop.tell("told", "d7", hours=0.01, contact={"email": ADA})
    assert "H016" not in [finding.code for finding in shop.board.health().findings]


def test_forgetting_a_person_empties_the_index(store: Any):
    shop = shop_with(store)
    shop.tell("lead", "a", contact={"email": ADA, "id": 7})
    shop.tell("told", "waiting", hours=0.01, contact={"email": ADA})
    shop.board.forget(email=ADA)
    assert shop.board.customer(ADA) == shop.board.customer("id::7") == []
    with store.transaction(write=False) as transaction:
        assert transaction.deals_of_customer([f"email:{ADA}", "id::7"], 9) == []
    assert not verify(shop.board).differences


def test_removing_and_restoring_take_a_customer_out_and_back_in(store: Any, tmp_path: Any):
    shop = shop_with(store, into_won=mail(to="customer"))
    shop.tell("lead", contact={"email": ADA})
    shop.tell("order")
    shop.work()
    shop.wait(24 * 365)
    shop.board.archive(before=shop.clock.now(), to=tmp_path / "old.jsonl")
    assert shop.board.customer(ADA) == []
    shop.board.restore(tmp_path / "old.jsonl")
    assert [deal.id for deal in shop.board.customer(ADA)] == ["d"]
    assert decisions(shop) == ["sent"]
    assert shop.board.restore(tmp_path / "old.jsonl").present == 1
    assert not verify(shop.board).differences


def test_deals_from_before_customers_were_known_are_found_after_a_sweep(store: Any):
    shop = shop_with(store)
    shop.tell("lead", contact={"email": ADA})
    with store.transaction() as transaction:
        stored, _, _ = transaction.load(shop.board._session.number, "d", False)
        from ladderpipe.stores.base import DealChange

        change = DealChange(stored._replace(customer=None), customer=())
        transaction.save(shop.board._session.number, [change], shop.clock.now())
    assert shop.board.customer(ADA) == []
    assert not verify(shop.board).differences, "it was not worked out yet, which is no difference"
    again = Board(shop.pipeline, store=store, clock=shop.clock)
    again.tick()
    assert [deal.id for deal in again.customer(ADA)] == ["d"]


# -- in any order -------------------------------------------------------------------------------

contacts = st.fixed_dictionaries(
    {},
    optional={
        "email": st.sampled_from([ADA, "ADA@example.com ", "bob@example.com", "", None, 5]),
        "id": st.sampled_from([1, "1", 2, "", None, True]),
        "customer_id": st.sampled_from(["c1", None]),
        "phone": st.sampled_from(["+39 1", None]),
    },
)
IDS = ("id", "customer_id")
KEYS = [f"email:{ADA}", "email:bob@example.com"]
KEYS += [f"id:{source}:{id}" for source in ("", "shop", "crm") for id in ("1", "2", "c1")]


@st.composite
def told(draw: st.DrawFn) -> list[Event]:
    start = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
    found = []
    for number in range(draw(st.integers(1, 10))):
        data = draw(st.sampled_from([{}, {"contact": draw(contacts)}, {"title": "t"}]))
        kind = draw(st.sampled_from(["lead", "told", "call", "order"]))
        at = start + draw(st.integers(0, 5)) * HOUR
        source = draw(st.sampled_from(["", "shop", "crm"]))
        deal = draw(st.sampled_from(["a", "b"]))
        event = Event(kind, deal=deal, id=str(number), at=at, source=source, data=data)
        found += [event, *([draw(copies(event))] if draw(st.booleans()) else [])]
    return draw(st.permutations(found))


@given(events=told(), together=st.booleans(), swept=st.booleans())
@settings(
    max_examples=settings().max_examples // 2,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_the_keys_of_a_deal_are_those_that_its_data_holds_now_in_any_order(
    postgres_url: str, events: list[Event], together: bool, swept: bool
):
    found: list[Any] = []
    prefix = f"c{next(_numbers)}_"
    for store in (
        MemoryStore(),
        SqliteStore(":memory:"),
        PostgresStore(postgres_url, prefix=prefix, pool_size=2),
    ):
        clock = ManualClock("2026-01-06T09:00:00Z")
        with closing(Board(lead_ladder(), store=store, clock=clock)) as board:
            if together:
                board.handle_many(events)
            for event in events:
                board.handle(event)
                if swept:
                    board.tick()
            indexed = {key: [deal.id for deal in board.customer(key)] for key in KEYS}
            assert indexed == {key: holders(board, key) for key in KEYS}
            assert not verify(board).differences
            found.append({key: set(deals) for key, deals in indexed.items()})
    assert found[0] == found[1] == found[2]


def holders(board: Board, key: str) -> list[str]:
    """Return the deals whose data holds a key, as the fold of their events says."""
    deals = []
    for deal in board.deals():
        events = sorted(
            board.events(deal.id),
            key=lambda e: (e.at, e.seq, board.pipeline.ladder.rung_of(e.type), e.source, e.id),
        )
        tellers = [
            e.source for e in events if any(is_id(e, name) for name in ("id", "customer_id"))
        ]
        if key in contact_keys(deal, tellers[-1] if tellers else ""):
            deals.append(deal.id)
    return deals


def is_id(event: Event, name: str) -> bool:
    value = event.data.get("contact", {}).get(name)
    return value is not True and value not in (None, "")


def test_a_mail_that_waited_for_its_address_for_months_is_no_stale_one(store: Any):
    shop = shop_with(store, into_won=mail(to="customer"))
    names = [f"d{n}" for n in range(20)]
    for name in names:
        shop.tell("lead", name)
        shop.tell("order", name, hours=0.01)
    shop.wait(1)
    shop.work()
    shop.wait(24 * 90)
    for name in names:
        shop.tell("told", name, contact={"email": f"{name}@example.com"})
    shop.work()
    assert len(shop.mails) == 20
