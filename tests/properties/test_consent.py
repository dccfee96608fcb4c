"""S13 and S14a: what was said of an address and taken back was never said, on every store."""

from __future__ import annotations

import itertools
from contextlib import ExitStack, closing
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ladderpipe import Event, MemoryStore, SqliteStore
from ladderpipe.model.clock import instant
from ladderpipe.policy import Policy, unsubscribed
from ladderpipe.stores import PostgresStore
from tests.carts import ADA, Shopper, carts
from tests.properties.reference import taken_back
from tests.shops import HOUR, START

BOB = "bob@example.com"
DEALS = ("one", "two")
SAID: tuple[tuple[str, dict[str, Any]], ...] = (
    ("contact.unsubscribed", {"contact": {"email": ADA}}),
    ("contact.unsubscribed", {}),
    ("contact.subscribed", {"contact": {"email": ADA}}),
    ("contact.unsubscribed", {"contact": {"email": BOB, "phone": "1"}, "channel": "email"}),
    ("cart", {"contact": {"email": ADA}}),
    ("cart", {"contact": {"email": BOB, "unsubscribed": True}}),
)
"""What may be said, and what tells an address of which it is said."""

_numbers = itertools.count()


def said(number: int, deal: str, hour: int, which: int) -> Event:
    kind, data = SAID[which]
    return Event(kind, deal=deal, id=f"e{number}", at=instant(START) + hour * HOUR, data=data)


def withdrawal(number: int, target: Event, hour: int) -> Event:
    data = target.identity._asdict()
    at = instant(START) + hour * HOUR
    return Event("ladder.withdraw", deal=target.deal, id=f"w{number}", at=at, data=data)


@st.composite
def said_and_taken_back(draw: st.DrawFn) -> list[Event]:
    """Return what is said of two deals, and partly taken back, in any order."""
    hours = st.integers(0, 3)
    which = st.integers(0, len(SAID) - 1)
    told = [
        said(number, draw(st.sampled_from(DEALS)), draw(hours), draw(which))
        for number in range(draw(st.integers(1, 6)))
    ]
    for number in range(draw(st.integers(1, 3))):
        told.append(withdrawal(number, draw(st.sampled_from(told)), draw(hours)))
    return draw(st.permutations(told))


def never_told(told: list[Event]) -> list[Event]:
    """Return what is left without what was taken back, and without what took it back."""
    left: list[Event] = []
    for deal in DEALS:
        of_deal = [event for event in told if event.deal == deal]
        gone = taken_back(
            sorted(of_deal, key=lambda event: (event.at, event.seq, event.source, event.id))
        )
        left += [
            event
            for event in of_deal
            if event.type != "ladder.withdraw" and (event.source, event.id) not in gone
        ]
    return left


def reminded(shop: Shopper, batches: list[list[Event]]) -> list[str]:
    """Return who is reminded of a cart after these events: each address has one."""
    shop.wait(4)
    for batch in batches:
        if len(batch) == 1:
            shop.board.handle(batch[0])
        else:
            shop.board.handle_many(batch)
    shop.cart("of ada", ADA)
    shop.cart("of bob", BOB)
    shop.wait(50)
    shop.work()
    return sorted({deal for deal in shop.reminded if deal.startswith("of ")})


@given(told=said_and_taken_back(), size=st.integers(1, 3))
@example(
    told=[said(1, "one", 1, 0), said(2, "one", 3, 0), withdrawal(1, said(2, "one", 3, 0), 3)],
    size=1,
)
@settings(
    max_examples=settings().max_examples // 2,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_who_said_it_and_took_it_back_has_never_said_it(
    postgres_url: str, told: list[Event], size: int
):
    batches = [told[start : start + size] for start in range(0, len(told), size)]
    ladder = carts(Policy(stop_when=[unsubscribed]))
    with ExitStack() as stack:
        stores: list[Any] = [
            MemoryStore(),
            MemoryStore(),
            SqliteStore(":memory:"),
            PostgresStore(postgres_url, prefix=f"c{next(_numbers)}_", pool_size=2),
        ]
        shops = [Shopper(ladder, store) for store in stores]
        for shop in shops:
            stack.enter_context(closing(shop.board))
        without, *others = shops
        expected = reminded(without, [[event] for event in never_told(told)])
        assert [reminded(shop, batches) for shop in others] == [expected] * 3
