"""S14: effects are written with the move, delivered at least once, and never for a past visit."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from typing import Any

import pytest

from ladderpipe import (
    Backoff,
    Board,
    Delivery,
    EffectState,
    ManualClock,
    MemoryStore,
    UndeliverableError,
    verify,
)
from ladderpipe.errors import (
    DefinitionError,
    EffectNotFoundError,
    InvalidEventError,
    PipelineChangedError,
)
from tests.shops import HOUR, START, Shop, assert_is_the_fold, contents, lead_ladder, register


def mail(template: str, **options: Any) -> Any:
    return lambda ctx: ctx.do("email", template=template, **options)


def shop_with(store: Any, **hooks: Any) -> Shop:
    return Shop(register(lead_ladder(), **hooks), store)


class Flaky:
    """A handler that fails as often as it is told to."""

    def __init__(self, shop: Shop, failures: int, error: Exception | None = None) -> None:
        self.left = failures
        self.error = error or OSError("the mail server is away")
        self.tried: list[Delivery] = []
        shop.board._session.handlers["email"] = self

    def __call__(self, delivery: Delivery) -> None:
        self.tried.append(delivery)
        if self.left:
            self.left -= 1
            raise self.error


# -- from asking to delivering ------------------------------------------------------------------


def test_an_effect_is_delivered_after_the_commit_not_in_it(store: Any):
    shop = shop_with(store, into_new=mail("hello"))
    shop.tell("lead")
    assert shop.mails == []
    assert shop.states() == {"hello": "pending"}
    assert shop.board.deliver().delivered == 1
    assert shop.mails == ["hello"]
    assert shop.states() == {"hello": "delivered"}


def test_an_effect_is_delivered_once(store: Any):
    shop = shop_with(store, into_new=mail("hello"))
    shop.tell("lead")
    for _ in range(3):
        shop.work()
        shop.wait(10)
    assert shop.mails == ["hello"]


def test_a_delivery_carries_key_payload_deal_and_times(store: Any):
    shop = shop_with(store, into_new=mail("hello", to="ada@example.com"))
    shop.tell("lead", owner="Bea")
    (effect,) = shop.board.effects("d")
    shop.board.deliver()
    (delivery,) = shop.sent
    assert delivery.key == effect.key
    assert delivery.payload == {"template": "hello", "to": "ada@example.com"}
    assert delivery.deal == shop.board.deal("d")
    assert (delivery.name, delivery.pipeline) == ("email", "leads")
    assert delivery.due_at == effect.due_at == shop.clock.now()
    assert delivery.attempt == 1


def test_a_handler_sees_the_deal_as_it_stands_at_the_claim(store: Any):
    shop = shop_with(store, into_new=mail("hello"))
    shop.tell("lead")
    shop.wait(1)
    shop.tell("assigned", owner="Bea")
    shop.board.deliver()
    assert shop.sent[0].deal.owner == "Bea"


def test_an_effect_with_a_wait_is_due_later(store: Any):
    shop = shop_with(store, into_new=mail("hello", wait=2 * HOUR))
    shop.tell("lead")
    shop.work()
    assert shop.mails == []
    shop.wait(2)
    shop.work()
    assert shop.mails == ["hello"]


def test_an_effect_without_a_handler_waits_for_one(store: Any):
    shop = shop_with(store, into_new=lambda ctx: ctx.do("sms", to="1"))
    shop.tell("lead")
    shop.work()
    assert shop.states() == {"sms": "pending"}
    sent = []
    shop.board.handle_effect("sms", sent.append)
    shop.work()
    assert len(sent) == 1


def test_no_more_effects_are_delivered_than_asked_for(store: Any):
    shop = shop_with(store, into_new=mail("hello"))
    for deal in "abcde":
        shop.tell("lead", deal)
    assert shop.board.deliver(limit=2).delivered == 2
    assert shop.board.deliver(limit=0).counts == {}
    assert shop.board.deliver().delivered == 3


def test_one_name_has_one_handler(store: Any):
    shop = shop_with(store)
    with pytest.raises(DefinitionError, match="one name, one handler"):
        shop.board.handles("email")(print)
    with pytest.raises(DefinitionError, match="one name, one handler"):
        shop.board.handle_effect("email", print)
    with pytest.raises(DefinitionError, match="delivered by people"):
        shop.board.handles("task")


def test_the_key_of_an_effect_is_the_same_on_every_board(tmp_path: Any):
    keys = set()
    for _ in range(2):
        shop = shop_with(MemoryStore(), into_new=mail("hello"))
        shop.tell("lead", id="the same")
        keys |= {effect.key for effect in shop.board.effects()}
    assert len(keys) == 1


def test_two_effects_of_one_visit_and_name_have_two_keys(store: Any):
    def both(ctx: Any) -> None:
        ctx.do("email", template="a")
        ctx.do("email", template="b")

    shop = shop_with(store, into_new=both, out_of_new=both)
    shop.tell("lead")
    shop.wait(1)
    shop.tell("call")
    effects = shop.board.effects("d")
    assert len({effect.key for effect in effects}) == len(effects) == 4


# -- moving on ----------------------------------------------------------------------------------


def test_a_reminder_is_never_sent_after_the_purchase(store: Any):
    shop = shop_with(store, into_cold=mail("reminder"))
    shop.tell("lead")
    shop.wait(73)
    shop.board.tick()
    assert shop.states() == {"reminder": "pending"}
    shop.tell("order")
    assert shop.states() == {"reminder": "cancelled"}
    shop.work()
    assert shop.mails == []


def test_a_reminder_noticed_after_the_purchase_is_on_record_and_never_sent(store: Any):
    shop = shop_with(store, into_cold=mail("reminder"))
    shop.tell("lead")
    shop.wait(73)
    shop.tell("order")
    assert shop.stages == ["new", "cold", "won"]
    assert shop.states() == {"reminder": "cancelled"}
    shop.work()
    assert shop.mails == []


def test_a_claim_fires_the_timers_that_are_due_first(store: Any):
    shop = shop_with(store, into_new=mail("hello"), into_cold=mail("reminder"))
    shop.tell("lead")
    shop.wait(73)
    assert shop.board.deliver().delivered == 0
    assert shop.stage == "cold"
    assert shop.board.deliver().delivered == 1
    assert shop.mails == ["reminder"]
    assert_is_the_fold(shop.board)


def test_a_run_to_completion_effect_survives_the_move(store: Any):
    shop = shop_with(store, into_new=mail("hello", run_to_completion=True, wait=HOUR))
    shop.tell("lead")
    shop.wait(1)
    shop.tell("call")
    shop.work()
    assert shop.mails == ["hello"]


def test_a_run_to_completion_effect_of_a_stage_passed_through_is_sent(store: Any):
    shop = shop_with(store, into_cold=mail("survey", run_to_completion=True))
    shop.tell("lead")
    shop.wait(73)
    shop.tell("order")
    shop.work()
    assert shop.mails == ["survey"]


def test_what_a_move_out_of_hook_asks_for_is_sent(store: Any):
    shop = shop_with(store, out_of_new=mail("bye"))
    shop.tell("lead")
    shop.wait(1)
    shop.tell("call")
    shop.wait(1)
    shop.tell("order")
    shop.work()
    assert shop.mails == ["bye"]


def test_an_effect_of_a_failed_try_is_cancelled_when_the_deal_moves_on(store: Any):
    shop = shop_with(store, into_new=mail("hello"))
    flaky = Flaky(shop, failures=1)
    shop.tell("lead")
    shop.work()
    shop.wait(1)
    shop.tell("call")
    shop.work()
    assert len(flaky.tried) == 1
    assert shop.states() == {"hello": "cancelled"}


def test_a_deal_that_moves_on_while_its_mail_is_on_the_way_keeps_it_as_delivered(store: Any):
    shop = shop_with(store, into_new=mail("hello"))

    def deliver(delivery: Delivery) -> None:
        shop.clock.advance(hours=1)
        shop.tell("order")

    shop.board._session.handlers["email"] = deliver
    shop.tell("lead")
    shop.board.deliver()
    assert shop.states() == {"hello": "delivered"}


def test_a_failed_mail_whose_deal_has_moved_on_meanwhile_is_not_tried_again(store: Any):
    shop = shop_with(store, into_new=mail("hello"))

    def deliver(delivery: Delivery) -> None:
        shop.clock.advance(hours=1)
        shop.tell("order")
        raise OSError

    shop.board._session.handlers["email"] = deliver
    shop.tell("lead")
    shop.board.deliver()
    shop.wait(100)
    shop.board.deliver()
    assert shop.states() == {"hello": "cancelled"}
    assert shop.board.effects()[0].attempts == 1


# -- expiry -------------------------------------------------------------------------------------


def test_an_effect_that_is_too_late_to_be_useful_is_dropped_on_record(store: Any):
    shop = shop_with(store, into_new=mail("today only", expires=2 * HOUR))
    shop.tell("lead")
    shop.wait(3)
    assert shop.board.deliver().counts == {EffectState.EXPIRED: 1}
    assert shop.mails == []
    assert shop.states() == {"today only": "expired"}


def test_an_effect_on_its_last_moment_is_sent(store: Any):
    shop = shop_with(store, into_new=mail("today only", expires=2 * HOUR))
    shop.tell("lead")
    shop.wait(2)
    shop.work()
    assert shop.mails == ["today only"]


def test_a_quiet_batch_sends_nothing(store: Any):
    shop = shop_with(store, into_new=mail("hello"), out_of_new=mail("bye"), into_cold=mail("cold"))
    shop.wait(1000)
    events = [shop.event("lead", hours=-900), shop.event("call", hours=-899)]
    shop.board.handle_many(events, quiet=True)
    shop.work()
    assert shop.mails == []
    assert set(shop.states().values()) == {"expired"}


def test_what_happens_after_a_quiet_batch_is_sent(store: Any):
    shop = shop_with(store, into_new=mail("hello"), into_talking=mail("meet"))
    shop.board.handle_many([shop.event("lead", hours=-1)], quiet=True)
    shop.wait(1)
    shop.tell("call")
    shop.work()
    assert shop.mails == ["meet"]


# -- failing ------------------------------------------------------------------------------------


def test_a_failed_delivery_is_tried_again_later_and_later(store: Any):
    shop = shop_with(store, into_new=mail("hello"))
    flaky = Flaky(shop, failures=3)
    shop.tell("lead")
    waits = []
    while flaky.left:
        assert shop.board.deliver().failed == 1
        assert shop.board.deliver().counts == {}, "not before its next try is due"
        with shop.store.transaction(write=False) as transaction:
            (row,) = transaction.effects(shop.board._session.number, None, None)
        waits.append(row.ready_at - shop.clock.now())
        shop.clock.set(row.ready_at)
    assert waits == sorted(waits)
    assert dt.timedelta(seconds=5) <= waits[0] <= dt.timedelta(seconds=10)
    assert shop.board.effects()[0].error == "OSError: the mail server is away"
    assert shop.board.deliver().delivered == 1
    assert [delivery.attempt for delivery in flaky.tried] == [1, 2, 3, 4]
    assert len({delivery.key for delivery in flaky.tried}) == 1
    assert shop.board.effects()[0].error is None


def test_after_the_last_try_it_is_a_dead_letter_that_can_be_sent_again(store: Any):
    pipeline = register(lead_ladder(), into_new=mail("hello"))
    shop = Shop(pipeline, store, backoff=Backoff(first=1, tries=3))
    flaky = Flaky(shop, failures=4)
    shop.tell("lead")
    for _ in range(3):
        shop.board.deliver()
        shop.wait(1)
    (dead,) = shop.board.dead_letters()
    assert (dead.state, dead.attempts) == ("dead", 3)
    assert shop.board.deliver().counts == {}
    shop.board.send_again(dead)
    assert shop.board.dead_letters() == []
    assert shop.board.deliver().failed == 1
    shop.wait(1)
    assert shop.board.deliver().delivered == 1
    assert [d.attempt for d in flaky.tried] == [1, 2, 3, 1, 2]


def test_a_dead_letter_that_is_dropped_is_over_and_says_who_and_why(store: Any):
    shop = shop_with(store, into_new=mail("hello"))
    Flaky(shop, failures=1, error=UndeliverableError("no such address"))
    shop.tell("lead")
    shop.board.deliver()
    (dead,) = shop.board.dead_letters()
    before = contents(shop.store)
    for who, why in (("", "known"), ("Bea", " "), ("Bea", None)):
        with pytest.raises(InvalidEventError, match="say it"):
            shop.board.drop(dead, by=who, reason=why)  # type: ignore[arg-type]
    assert contents(shop.store) == before
    shop.board.drop(dead, by="Bea", reason="she has no address")
    assert shop.board.dead_letters() == []
    (dropped,) = shop.board.effects("d")
    assert dropped.state == "dropped"
    assert "Bea" in dropped.because
    assert "she has no address" in dropped.because
    shop.wait(100)
    assert shop.board.deliver().counts == {}
    for act in (
        lambda: shop.board.drop(dead, by="Bea", reason="again"),
        lambda: shop.board.send_again(dead),
    ):
        with pytest.raises(EffectNotFoundError, match="it is dropped"):
            act()


def test_an_undeliverable_effect_is_a_dead_letter_at_once(store: Any):
    shop = shop_with(store, into_new=mail("hello"))
    Flaky(shop, failures=1, error=UndeliverableError("no such address"))
    shop.tell("lead")
    shop.board.deliver()
    (dead,) = shop.board.dead_letters()
    assert dead.error == "UndeliverableError: no such address"


def test_only_a_dead_letter_can_be_sent_again(store: Any):
    shop = shop_with(store, into_new=mail("hello"))
    shop.tell("lead")
    (effect,) = shop.board.effects()
    with pytest.raises(EffectNotFoundError, match="it is pending"):
        shop.board.send_again(effect)
    with pytest.raises(LookupError, match="there is none"):
        shop.board.send_again("nothing")


def test_a_dead_letter_of_a_deal_that_moved_on_is_not_sent_again(store: Any):
    shop = shop_with(store, into_new=mail("hello"))
    Flaky(shop, failures=1, error=UndeliverableError("no such address"))
    shop.tell("lead")
    shop.board.deliver()
    shop.wait(1)
    shop.tell("call")
    shop.board.send_again(shop.board.dead_letters()[0])
    assert shop.board.deliver().counts == {EffectState.CANCELLED: 1}


def test_a_dead_letter_of_a_visit_that_a_late_event_did_away_with_is_cancelled(store: Any):
    shop = shop_with(store, into_new=mail("hello"))
    Flaky(shop, failures=1, error=UndeliverableError("no such address"))
    shop.tell("lead")
    shop.board.deliver()
    shop.tell("lead", hours=-1)
    (dead,) = shop.board.dead_letters()
    with pytest.raises(EffectNotFoundError, match="did away with the visit"):
        shop.board.send_again(dead)
    assert shop.board.dead_letters() == []
    assert verify(shop.board).agrees
    assert shop.board.deliver().counts == {EffectState.DELIVERED: 1}


def test_one_failing_handler_stops_no_other_delivery(store: Any):
    shop = shop_with(store, into_new=mail("hello"))
    sent = []

    def deliver(delivery: Delivery) -> None:
        if delivery.deal.id == "b":
            raise OSError
        sent.append(delivery.deal.id)

    shop.board._session.handlers["email"] = deliver
    for deal in "abc":
        shop.tell("lead", deal)
    report = shop.board.deliver()
    assert sorted(sent) == ["a", "c"]
    assert (report.delivered, report.failed) == (2, 1)


# -- leases -------------------------------------------------------------------------------------


def test_a_worker_that_died_is_taken_over_when_its_lease_ends(store: Any):
    shop = shop_with(store, into_new=mail("hello"))
    died = True

    def deliver(delivery: Delivery) -> None:
        if died:
            raise SystemExit
        shop.sent.append(delivery)

    shop.board._session.handlers["email"] = deliver
    shop.tell("lead")
    with pytest.raises(SystemExit):
        shop.board.deliver()
    assert shop.states() == {"hello": "claimed"}
    died = False
    assert shop.board.deliver().counts == {}, "the lease is still held"
    shop.clock.advance(minutes=5)
    assert shop.board.deliver().delivered == 1
    assert [delivery.attempt for delivery in shop.sent] == [2]


def test_an_effect_that_kills_every_worker_is_a_dead_letter_in_the_end(store: Any):
    shop = Shop(register(lead_ladder(), into_new=mail("hello")), store, backoff=Backoff(tries=3))

    def deliver(delivery: Delivery) -> None:
        raise SystemExit

    shop.board._session.handlers["email"] = deliver
    shop.tell("lead")
    for _ in range(3):
        with pytest.raises(SystemExit):
            shop.board.deliver()
        shop.clock.advance(minutes=5)
    assert shop.board.deliver().counts == {EffectState.DEAD: 1}
    (letter,) = shop.board.dead_letters()
    assert (letter.attempts, letter.error is not None) == (3, True)
    shop.board.send_again(letter)
    with pytest.raises(SystemExit):
        shop.board.deliver()


def test_a_worker_that_lost_its_lease_does_not_settle_what_another_has(store: Any):
    shop = shop_with(store, into_new=mail("hello"))
    attempts = []

    def deliver(delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        if delivery.attempt == 1:
            shop.clock.advance(minutes=6)
            assert shop.board.deliver().delivered == 1
            raise OSError("too slow")

    shop.board._session.handlers["email"] = deliver
    shop.tell("lead")
    assert shop.board.deliver().counts == {}
    assert attempts == [1, 2]
    assert shop.states() == {"hello": "delivered"}


def test_a_claimed_effect_whose_worker_died_is_cancelled_if_the_deal_moved_on(store: Any):
    shop = shop_with(store, into_new=mail("hello"))

    def die(delivery: Delivery) -> None:
        raise SystemExit

    shop.board._session.handlers["email"] = die
    shop.tell("lead")
    with pytest.raises(SystemExit):
        shop.board.deliver()
    shop.wait(1)
    shop.tell("call")
    assert shop.board.deliver().counts == {EffectState.CANCELLED: 1}


def test_a_claimed_effect_that_cannot_be_taken_over_is_put_off(store: Any):
    """Its lease has ended and the deal's next hook raises: later, not at once for ever."""

    def refuse(ctx: Any) -> None:
        raise OSError

    shop = shop_with(store, into_new=mail("hello"), into_cold=refuse)

    def die(delivery: Delivery) -> None:
        raise SystemExit

    shop.board._session.handlers["email"] = die
    shop.tell("lead")
    with pytest.raises(SystemExit):
        shop.board.deliver()
    shop.wait(73)
    assert shop.board.deliver().failed == 1
    assert shop.board.deliver().counts == {}
    with shop.store.transaction(write=False) as transaction:
        wake = transaction.next_wake(shop.board._session.number, ["email"])
    assert wake > shop.clock.now() or shop.stage == "new"


def test_a_deal_that_keeps_failing_is_put_off_longer_and_longer(store: Any):
    def refuse(ctx: Any) -> None:
        raise OSError

    shop = shop_with(store, into_new=mail("hello", run_to_completion=True), into_cold=refuse)
    shop.tell("lead")
    shop.wait(73)
    delays = []
    for _ in range(4):
        assert shop.board.deliver().failed == 1
        with shop.store.transaction(write=False) as transaction:
            (row,) = transaction.effects(shop.board._session.number, None, None)
        delays.append((row.ready_at - shop.clock.now()).total_seconds())
        shop.clock.set(row.ready_at)
    assert delays[3] > 10 * delays[0]


class Waiting(MemoryStore):
    """A store whose write lock takes an hour to get."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock
        self.slow = False

    def transaction(self, write: bool = True) -> Any:
        if write and self.slow:
            self.clock.advance(hours=1)
        return super().transaction(write)


def test_a_claim_reads_the_clock_when_it_has_the_lock():
    """A worker that waited for the lock past the due time of a timer must see that timer."""
    clock = ManualClock(START)
    store = Waiting(clock)
    pipeline = register(lead_ladder(), into_new=mail("hello"))
    shop = Shop(pipeline, store)
    store.clock = shop.clock
    shop.tell("lead")
    shop.wait(71.5)
    store.slow = True
    shop.board.deliver()
    assert shop.mails == []
    assert shop.stage == "cold"


def test_what_is_recorded_is_recorded_when_the_lock_was_got():
    """Otherwise something could be recorded before what was already there to be read."""
    store = Waiting(ManualClock(START))
    shop = Shop(lead_ladder(), store)
    store.clock = shop.clock
    store.slow = True
    shop.tell("lead")
    assert shop.board.history("d").moves[0].recorded_at == shop.clock.now()
    shop.board.handle_many([shop.event("call")])
    assert shop.board.history("d").moves[1].recorded_at == shop.clock.now()


# -- several workers ----------------------------------------------------------------------------


def test_what_was_delivered_and_the_next_one_share_a_commit(
    store: Any, monkeypatch: pytest.MonkeyPatch
):
    shop = shop_with(store, into_new=mail("hello"))
    for number in range(5):
        shop.tell("lead", f"deal-{number}")
    written: list[bool] = []
    begin = type(store).transaction

    def counted(self: Any, write: bool = True) -> Any:
        written.append(write)
        return begin(self, write)

    monkeypatch.setattr(type(store), "transaction", counted)
    assert shop.board.deliver().delivered == 5
    assert written.count(True) == 1 + 5, "the first claim, and each settling with the next claim"


def test_what_was_delivered_is_settled_though_the_next_one_cannot_be_claimed(store: Any):
    shop = shop_with(store, into_new=mail("hello"))
    for deal in "ab":
        shop.tell("lead", deal)
    ladder = lead_ladder()
    changed = type(ladder)("leads", stages=ladder.stages, rules=ladder.rules[:-1])

    def adopt(delivery: Delivery) -> None:
        Board(changed, store=store, clock=shop.clock, adopting=True).migrate()

    shop.board._session.handlers["email"] = adopt
    with pytest.raises(PipelineChangedError, match="another definition"):
        shop.board.deliver()
    assert sorted(str(effect.state) for effect in shop.board.effects()) == ["delivered", "pending"]


def test_what_was_delivered_is_settled_before_timers_of_the_next_one_s_deal_are_fired(store: Any):
    """They may wait for who holds that deal and waits for what was settled."""
    raised: list[str] = []

    def refuse(ctx: Any) -> None:
        raised.append(ctx.deal.id)
        raise OSError

    shop = shop_with(store, into_new=mail("hello"), into_cold=refuse)
    for deal in "ab":
        shop.tell("lead", deal)
    shop.board._session.handlers["email"] = lambda delivery: shop.wait(73)
    report = shop.board.deliver()
    assert (report.delivered, report.failed, len(raised)) == (1, 1, 1)


def test_a_worker_with_an_old_definition_delivers_nothing_and_says_so(store: Any):
    shop = shop_with(store, into_new=mail("hello"))
    shop.tell("lead")
    changed = register(lead_ladder(), into_new=mail("hello"))
    changed = type(changed)(
        "leads", stages=changed.stages, rules=[r for r in changed.rules if str(r.into) != "lost"]
    )
    newer = Board(changed, store=store, clock=shop.clock, adopting=True)
    newer.migrate()
    before = contents(store)
    refused = pytest.raises(PipelineChangedError, match="another definition")
    with refused:
        shop.board.deliver()
    with refused:
        shop.tell("call")
    shop.wait(73)
    with refused:
        shop.board.tick()
    assert contents(store) == before
    assert shop.mails == []


def test_threads_that_deliver_at_once_send_each_effect_once(store: Any):
    shop = shop_with(store, into_new=mail("hello"))
    for number in range(30):
        shop.tell("lead", f"deal-{number}")
    workers = [threading.Thread(target=shop.board.deliver) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(shop.sent) == len({delivery.key for delivery in shop.sent}) == 30


def test_a_failure_is_logged_with_the_effect_s_name(store: Any, caplog: pytest.LogCaptureFixture):
    shop = shop_with(store, into_new=mail("hello"))
    Flaky(shop, failures=1)
    shop.tell("lead")
    with caplog.at_level(logging.WARNING, "ladderpipe"):
        shop.board.deliver()
    assert "effect email failed" in caplog.text


# -- reading ------------------------------------------------------------------------------------


def test_effects_are_listed_by_deal_and_state_by_due_time(store: Any):
    shop = shop_with(store, into_new=mail("later", wait=HOUR), into_talking=mail("now"))
    shop.tell("lead", "a")
    shop.tell("lead", "b")
    shop.wait(0.5)
    shop.tell("call", "a")
    listed = [effect.payload["template"] for effect in shop.board.effects()]
    assert listed == ["now", "later", "later"]
    assert [e.deal for e in shop.board.effects("b")] == ["b"]
    assert shop.board.effects("nobody") == []
    (cancelled,) = shop.board.effects(states=[EffectState.CANCELLED])
    assert (cancelled.deal, cancelled.payload["template"]) == ("a", "later")
