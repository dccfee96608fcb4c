"""A real shop's log folds into deals, each in one stage. The data is no part of the project."""

from __future__ import annotations

import csv
import datetime as dt
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ladderpipe import Event, History, Pipeline
from ladderpipe.testing import assert_single_stage

BESIDE = Path(__file__).parents[3] / "shared" / "data"
DATA = Path(os.environ.get("LADDERPIPE_DATA", BESIDE))
LOGS = sorted(DATA.glob("cart-events/data_*.csv"))
TYPES = {
    "view": "product.viewed",
    "cart": "cart.item_added",
    "remove_from_cart": "cart.item_removed",
    "purchase": "order.confirmed",
}

pytestmark = pytest.mark.skipif(
    not LOGS, reason=f"no cart logs in {DATA}: set LADDERPIPE_DATA to the folder that has them"
)


def read(log: Path) -> Iterator[Event]:
    """Yield an event a row, named by its line: exact duplicates are real second clicks."""
    with log.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            kind = TYPES[row["event_type"]]
            line = {"sku": row["product_id"], "quantity": 1, "unit_price": row["price"]}
            yield Event(
                kind,
                deal=row["user_session"],
                id=str(number),
                at=row["event_time"].replace(" UTC", "+00:00"),
                source=log.name,
                seq=number,
                data={"line": line} if kind.startswith("cart.") else {},
            )


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return [event for log in LOGS for event in read(log)]


@pytest.fixture
def histories(pipeline: Pipeline, events: list[Event]) -> list[History]:
    return list(pipeline.replay(events, until="2023-06-01T00:00:00Z"))


def deals_with(events: list[Event], kind: str) -> set[str]:
    return {event.deal for event in events if event.type == kind}


def test_every_session_with_a_cart_or_an_order_is_a_deal(
    events: list[Event], histories: list[History]
) -> None:
    carts = deals_with(events, "cart.item_added")
    assert len(carts) == 250
    assert {history.deal.id for history in histories} == carts | deals_with(
        events, "order.confirmed"
    )


def test_every_deal_is_in_one_stage_at_every_instant(histories: list[History]) -> None:
    for history in histories:
        assert_single_stage(history)


def test_every_purchase_is_won_and_every_other_cart_ends_parked_or_abandoned(
    events: list[Event], histories: list[History]
) -> None:
    bought = deals_with(events, "order.confirmed")
    for history in histories:
        deal = history.deal
        if deal.id in bought:
            assert deal.stage == "order_confirmed"
        elif deal.cart:
            assert deal.stage == "checkout_abandoned"
            assert deal.entered_at - history.visits[-2].entered_at == dt.timedelta(hours=48)
        else:
            assert deal.stage == "cart_parked"


def test_what_was_not_bought_is_abandoned_only_once_the_clock_goes_on(
    pipeline: Pipeline, events: list[Event]
) -> None:
    stages = Counter(str(history.deal.stage) for history in pipeline.replay(events))
    assert stages["checkout_abandoned"] == 0
    assert stages["quote_requested"] > 100


def test_the_order_of_the_lines_does_not_matter(pipeline: Pipeline, events: list[Event]) -> None:
    forwards = {history.deal.id: history for history in pipeline.replay(events)}
    backwards = {history.deal.id: history for history in pipeline.replay(reversed(events))}
    assert forwards == backwards
