"""S14a: after another ``customer=`` deals are found under the keys that it gives, and no others."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
from collections.abc import Sequence
from contextlib import closing
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladderpipe import (
    Board,
    Deal,
    Event,
    ManualClock,
    MemoryStore,
    Pipeline,
    SqliteStore,
    Stage,
    on,
    verify,
)
from ladderpipe.board import customer_index
from ladderpipe.policy import Policy, bought, contact_keys
from ladderpipe.stores import PostgresStore
from tests.carts import ADA, Shopper, carts
from tests.shops import HOUR

START: Final = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
BOB: Final = "bob@example.com"
_numbers = itertools.count()


def by_company(deal: Deal, source: str) -> list[str]:
    return [f"firm:{deal.company}"] if deal.company else []


def by_half(deal: Deal, source: str, half: str) -> list[str]:
    return [f"{half}:{ADA}"] if len(deal.id) % 2 else contact_keys(deal, source)


WAYS: Final[Sequence[Any]] = (
    contact_keys,
    by_company,
    None,
    functools.partial(by_half, half="left"),
    functools.partial(by_half, half="right"),
)
KEYS: Final = [f"{what}:{who}" for what in ("email", "left", "right") for who in (ADA, BOB)]
KEYS_OF_ALL: Final = [*KEYS, "firm:Rossi", "firm:Verdi", "id:shop:7", "id::7"]


def ladder(customer: Any, grown: bool = False) -> Pipeline:
    new, won = Stage("new"), Stage("won", status="won")
    rules = [on("lead", into=new, opens=True), on("order", into=won)]
    if grown:
        rules.append(on("paid", into=won, opens=True))
    return Pipeline("people", stages=[new, won], rules=rules, customer=customer)


def expected(board: Board) -> dict[str, list[str]]:
    """Return the holders of each key by the function of now, from what the deals hold."""
    found: dict[str, list[str]] = {key: [] for key in KEYS_OF_ALL}
    way = board.pipeline.customer
    for deal in board.deals():
        told = [e.source for e in board.events(deal.id) if e.data.get("contact", {}).get("id")]
        for key in () if way is None else way(deal, told[-1] if told else ""):
            found[key].append(deal.id)
    return found


@st.composite
def lives(draw: st.DrawFn) -> list[Event]:
    """Draw what is told of a few people and companies, in order."""
    found = []
    for number in range(draw(st.integers(1, 12))):
        contact = st.fixed_dictionaries(
            {}, optional={"email": st.sampled_from([ADA, BOB]), "id": st.just(7)}
        )
        data = draw(
            st.fixed_dictionaries(
                {"contact": contact}, optional={"company": st.sampled_from(["Rossi", "Verdi"])}
            )
        )
        kind = draw(st.sampled_from(["lead", "lead", "told", "order", "paid"]))
        deal = draw(st.sampled_from(["a", "bb", "c", "dd", "e"]))
        source = draw(st.sampled_from(["", "shop"]))
        at = START + number * HOUR
        found.append(Event(kind, deal=deal, id=str(number), at=at, source=source, data=data))
    return found


@given(
    events=lives(),
    ways=st.lists(st.sampled_from(WAYS), min_size=2, max_size=4),
    cuts=st.lists(st.integers(0, 12), min_size=4, max_size=4).map(sorted),
    ticks=st.lists(st.integers(0, 2), min_size=4, max_size=4),
    migrates=st.booleans(),
)
@settings(
    max_examples=max(20, settings().max_examples // 4),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_after_another_customer_every_deal_is_found_under_its_new_keys_and_no_old_one(
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    events: list[Event],
    ways: list[Any],
    cuts: list[int],
    ticks: list[int],
    migrates: bool,
):
    monkeypatch.setattr(customer_index, "BATCH", 2)
    prefix = f"w{next(_numbers)}_"
    for store in (
        MemoryStore(),
        SqliteStore(":memory:"),
        PostgresStore(postgres_url, prefix=prefix, pool_size=2),
    ):
        clock = ManualClock(START + 20 * HOUR)
        with closing(store):
            for number, way in enumerate(ways):
                is_last = number == len(ways) - 1
                grown = migrates and is_last
                board = Board(ladder(way, grown), store=store, clock=clock, adopting=grown)
                if grown:
                    board.migrate()
                begin = cuts[number - 1] if number else 0
                for event in events[begin : None if is_last else cuts[number]]:
                    board.handle(event)
                # A process that ends half-way leaves the rest to the next one.
                for _ in range(6 if is_last else ticks[number]):
                    board.tick()
            found = {key: [deal.id for deal in board.customer(key)] for key in KEYS_OF_ALL}
            assert found == expected(board)
            assert not verify(board).differences


def test_who_bought_is_known_by_the_new_keys_at_the_next_claim(store: Any):
    policy = Policy(stop_when=[bought])
    shop = Shopper(carts(policy, customer=contact_keys), store)
    shop.cart("a", company="Rossi")
    shop.tell("order", "b", contact={"email": BOB}, company="Rossi")
    again = Shopper(carts(policy, customer=by_company), store)
    again.later(50)
    assert again.reminded == []
    assert again.why("a") == ["dropped: bought with 'b'"]


def test_the_same_customer_is_not_worked_out_at_every_opening(store: Any):
    for _ in range(2):
        board = Board(ladder(by_company), store=store, clock=ManualClock(START))
        assert board._session.renewed_to is None
