"""S17: a closed deal's currency is frozen with its cart and its value, in whatever order."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import ANY, Event, MemoryStore, Pipeline, Receipt, Stage, insight, on
from ladderpipe.board.verify import verify
from ladderpipe.ladder.guards import value_at_least
from tests.integration.conftest import store
from tests.shops import Shop, assert_is_the_fold

__all__ = ["store"]


def ladder() -> Pipeline:
    new, won, again = Stage("new"), Stage("won", status="won"), Stage("again")
    large = value_at_least("1", currency="USD")
    rules = [
        on("lead", into=new, opens=True),
        on("order", into=won, out_of=ANY),
        on("reopen", into=again, out_of=[won]),
        on("reopen.large", into=again, out_of=[won], when=large),
    ]
    return Pipeline("shop", stages=[new, again, won], rules=rules)


def line(price: str = "5") -> dict[str, Any]:
    return {"lines": [{"sku": "A", "unit_price": price}]}


def later(shop: Shop, kind: str, **told: Any) -> Receipt:
    """Tell an event that happens an hour after the one before."""
    shop.wait(1)
    return shop.tell(kind, **told)


@pytest.mark.parametrize("begun_in", [None, "EUR"])
def test_what_is_told_of_a_closed_deal_changes_no_currency(store: Any, begun_in: str | None):
    shop = Shop(ladder(), store)
    shop.tell("lead", value="100", currency=begun_in)
    later(shop, "order")
    later(shop, "cart.updated", cart={**line(), "currency": "USD"})
    later(shop, "note", currency="CHF")
    deal = shop.board.deal("d")
    assert (deal.value, deal.currency) == (100, begun_in)
    assert [row.currency for row in shop.board.summary() if row.count] == [begun_in]
    assert_is_the_fold(shop.board)


def test_what_is_told_with_the_reopening_counts(store: Any):
    shop = Shop(ladder(), store)
    shop.tell("lead", value="100")
    later(shop, "order")
    later(shop, "note", currency="CHF")
    later(shop, "reopen", currency="USD")
    assert shop.board.deal("d").currency == "USD"
    later(shop, "note", currency="USD")
    assert_is_the_fold(shop.board)


def test_a_deal_may_be_reopened_in_another_currency(store: Any):
    """What is told with the reopening counts, and an amount in another currency is kept aside."""
    shop = Shop(ladder(), store)
    shop.tell("lead", value="100", currency="EUR")
    later(shop, "order")
    assert later(shop, "reopen", value="90", currency="USD").moves
    deal = shop.board.deal("d")
    assert (deal.value, deal.currency) == (100, "EUR")
    assert [part.told for part in deal.unread] == ["90"]
    later(shop, "cart.updated", cart={**line(), "currency": "USD"})
    deal = shop.board.deal("d")
    assert (deal.value, deal.currency, deal.unread) == (5, "USD", ())
    assert_is_the_fold(shop.board)


def test_guards_see_what_is_told(store: Any):
    shop = Shop(ladder(), store)
    shop.tell("lead", value="100")
    later(shop, "order")
    assert not later(shop, "reopen.large", currency="CHF").moves
    assert later(shop, "reopen.large", currency="USD").moves


def test_a_currency_that_comes_late_but_was_told_before_the_order_counts(store: Any):
    shop = Shop(ladder(), store)
    shop.tell("lead", value="100")
    shop.wait(2)
    later(shop, "order")
    later(shop, "note", currency="USD")
    shop.tell("note", currency="EUR", hours=-3)
    assert shop.board.deal("d").currency == "EUR"
    assert_is_the_fold(shop.board)


KINDS = ["lead", "order", "reopen", "reopen.large", "note", "cart.updated", "cart.emptied"]


@st.composite
def streams(draw: st.DrawFn) -> list[Event]:
    """Return events of one deal, in the order in which they happened."""
    found = []
    for hour, kind in enumerate(draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=7))):
        data: dict[str, Any] = {}
        currency = draw(st.sampled_from([None, "EUR", "USD"]))
        if kind == "cart.updated":
            data["cart"] = line() if currency is None else {**line(), "currency": currency}
        elif currency is not None:
            data["currency"] = currency
        if draw(st.booleans()):
            data["value"] = "100"
        at = f"2026-01-05T{hour:02}:00:00Z"
        found.append(Event(kind, deal="d", id=f"e{hour}", at=at, data=data))
    return found


@given(streams(), st.randoms(use_true_random=False))
def test_every_order_of_arrival_and_the_columns_say_the_same(events: list[Event], random: Any):
    history = ladder().fold(events)
    if history is not None:
        parts = [ladder().fold(events[:length]) for length in range(1, len(events) + 1)]
        for first, then in itertools.pairwise(parts):
            if first and then and first.deal.stage.is_closed and then.deal.stage.is_closed:
                assert then.deal.currency == first.deal.currency
    shop = Shop(ladder(), MemoryStore(), start="2026-01-06T00:00:00Z")
    arriving = list(events)
    random.shuffle(arriving)
    report = shop.board.handle_many(arriving)
    deals = {} if history is None else {"d": (history.deal.currency, history.deal.value)}
    assert not report.failures
    assert {d.id: (d.currency, d.value) for d in shop.board.deals()} == deals
    assert verify(shop.board).differences == ()
    rows = insight.replay(ladder(), events).deals.select("deal", "currency", "value").rows()
    assert {deal: (currency, value) for deal, currency, value in rows} == deals
