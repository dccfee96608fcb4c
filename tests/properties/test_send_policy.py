"""S14a over shuffled, doubled and late deliveries: nothing is claimed for who must not get it."""

from __future__ import annotations

import datetime as dt
import itertools
from contextlib import closing
from typing import Any, Final

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
    on,
    verify,
)
from ladderpipe.policy import Policy, at_most, bought, unsubscribed
from ladderpipe.stores import PostgresStore
from ladderpipe.testing.copies import copies
from tests.carts import ADA, carts
from tests.shops import START

_numbers = itertools.count()

PEOPLE: Final = (ADA, "bob@example.com")


@st.composite
def lives(draw: st.DrawFn) -> list[Event | int]:
    """Draw what happens in a shop of two people: events in any order, and hours that pass."""
    start = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
    events: list[Event] = []
    for number in range(draw(st.integers(3, 14))):
        person = draw(st.sampled_from(PEOPLE))
        kinds = ["cart", "cart", "cart", "order", "contact.unsubscribed", "contact.subscribed"]
        kinds += ["cart.merged", "cart.merged"]
        kind = draw(st.sampled_from(kinds))
        contact: dict[str, Any] = {"email": draw(st.sampled_from([person, person.upper()]))}
        if draw(st.booleans()) and kind == "cart":
            contact["unsubscribed"] = draw(st.booleans())
        data = {"contact": contact} if draw(st.integers(0, 4)) else {}
        at = start + dt.timedelta(minutes=draw(st.integers(0, 60 * 24 * 5)))
        deal = f"{person[:3]}-{draw(st.integers(1, 3))}"
        if kind == "cart.merged":
            # Into another of the person's, into itself, or into one of the other person's.
            into = draw(st.sampled_from([person, person, *PEOPLE]))
            data = {**data, "into": f"{into[:3]}-{draw(st.integers(1, 4))}"}
        event = Event(kind, deal=deal, id=str(number), at=at, data=data)
        events += [event, *([draw(copies(event))] if draw(st.integers(0, 3)) == 0 else [])]
    steps: list[Event | int] = list(draw(st.permutations(events)))
    for _ in range(draw(st.integers(1, 12))):
        steps.insert(draw(st.integers(0, len(steps))), draw(st.integers(1, 60)))
    return [120, *steps, 1, 70, 24, 24, 24]


class Reference:
    """What a shop knew of its people when it sent something, worked out without a store."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.told: dict[str, Event] = {}
        self.sent: list[tuple[str, dt.datetime]] = []

    def tell(self, event: Event) -> None:
        known = self.told.get(event.id)
        if known is None or event.seq < known.seq:
            self.told[event.id] = event

    def why_not(self, deal: str, to: str, now: dt.datetime, policy: Policy) -> str | None:
        """Return why nothing should have gone to this address, if something speaks against it."""
        address = to.lower()
        histories = {h.deal.id: h for h in self.pipeline.replay(self.told.values(), until=now)}
        last = histories[deal].deal.last_event_at
        for other in histories.values():
            email = str(other.deal.contact.get("email", "")).lower()
            closed_at = other.deal.closed_at
            if email == address and other.deal.status == "won" and closed_at and closed_at >= last:
                return f"bought with {other.deal.id}"
        if self.is_unsubscribed(address):
            return "unsubscribed"
        for cap in policy.caps:
            when = [at for to, at in self.sent if to == address and at > now - cap.span]
            if len(when) >= cap.n:
                return f"{cap} were sent"
        return None

    def is_unsubscribed(self, address: str) -> bool:
        said: list[tuple[Any, bool]] = []
        for event in self.told.values():
            contact = event.data.get("contact", {})
            own = str(contact.get("email", "")).lower()
            wanted = None
            if event.type == "contact.unsubscribed" or contact.get("unsubscribed") is True:
                wanted = False
            elif event.type == "contact.subscribed":
                wanted = True
            if wanted is None:
                continue
            if not own and not wanted:
                of_deal = [e for e in self.told.values() if e.deal == event.deal]
                emails = {str(e.data.get("contact", {}).get("email", "")).lower() for e in of_deal}
                own = address if address in emails else ""
            if own == address:
                said.append(((event.at, event.seq, event.source, event.id), wanted))
        return bool(said) and not max(said)[1]


@given(steps=lives())
@settings(
    max_examples=settings().max_examples,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_nothing_goes_to_who_bought_unsubscribed_or_had_enough_in_any_order(
    postgres_url: str, steps: list[Event | int]
):
    policy = Policy(
        stop_when=[bought, unsubscribed], caps=[at_most(1, hours=16), at_most(3, days=30)]
    )
    merged = Stage("merged", status="merged")
    pipeline = carts(policy).extended(stages=[merged], rules=[on("cart.merged", into=merged)])
    sent_by: list[list[Any]] = []
    wrong: list[str | None] = []
    for store in (
        MemoryStore(),
        SqliteStore(":memory:"),
        PostgresStore(postgres_url, prefix=f"s{next(_numbers)}_", pool_size=2),
    ):
        clock = ManualClock(START)
        reference = Reference(pipeline)
        sent: list[Any] = []
        with closing(Board(pipeline, store=store, clock=clock)) as board:

            @board.handles("email")
            def send(
                delivery: Any,
                board: Any = board,
                clock: Any = clock,
                sent: Any = sent,
                known: Any = reference,
            ) -> None:
                to, template = delivery.payload["to"], delivery.payload["template"]
                if template == "remind":
                    wrong.append(known.why_not(delivery.deal.id, to, clock.now(), policy))
                    stage = board.deal(delivery.deal.id).stage.key
                    wrong.append(None if stage == "left" else f"reminded in {stage}")
                    known.sent.append((to.lower(), clock.now()))
                sent.append((delivery.deal.id, template, to, clock.now()))

            for step in steps:
                if isinstance(step, int):
                    clock.advance(hours=step)
                    board.tick()
                else:
                    board.handle(step, hold=True)
                    reference.tell(step)
                board.deliver()
            thanked = {deal for deal, template, _, _ in sent if template == "thanks"}
            assert thanked == {
                e.deal
                for e in board.effects()
                if e.payload["template"] == "thanks" and e.state == EffectState.DELIVERED
            }
            assert not any(wrong)
            assert not board.dead_letters()
            assert not verify(board).differences
        sent_by.append(sorted(sent))
    assert sent_by[0] == sent_by[1] == sent_by[2]
