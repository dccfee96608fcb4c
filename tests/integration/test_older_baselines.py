"""S15: deals go on from a baseline that a former version wrote, without what is newer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
import pytest

from ladderpipe import Board, Event, Stage, on, verify
from ladderpipe.board import baseline
from tests.carts import ADA, carts
from tests.shops import Shop

NEVER_LEFT_OUT: Final = ("number", "written_at", "told", "seen", "state")
OF_THE_STATE: Final = ("stage", "visit", "visit_key", "data")
OF_THE_DATA: Final = ("cart", "value", "currency", "title", "owner", "contact", "properties")
BEFORE: Final = carts(None)
MERGED: Final = Stage("merged", status="merged")
AFTER: Final = BEFORE.extended(stages=[MERGED], rules=[on("cart.merged", into=MERGED)])


def only(names: tuple[str, ...], part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name in names or name.endswith("_at")}


def state_alone(event: Event, now: dt.datetime) -> Event:
    """Return a baseline as the first version wrote it: the state, at the moment of writing."""
    state = only(OF_THE_STATE, event.data["state"])
    state["data"] = only(OF_THE_DATA, state["data"])
    return attrs.evolve(event, id=f"baseline-{event.deal}", at=now, data={"state": state})


def without_what_may_be_left_out(event: Event, now: dt.datetime) -> Event:
    state = only(OF_THE_STATE, event.data["state"])
    state["data"] = only(OF_THE_DATA, state["data"])
    return attrs.evolve(event, data={**only(NEVER_LEFT_OUT, event.data), "state": state})


Former = Callable[[Event, dt.datetime], Event]


@pytest.fixture(params=[state_alone, without_what_may_be_left_out])
def adopted(request: pytest.FixtureRequest, store: Any, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Return a shop whose ladder was changed by a former version."""
    former: Former = request.param
    shop = Shop(BEFORE, store)
    line = {"sku": "LAMP", "quantity": 2, "unit_price": "45.00"}
    for deal in ("filled", "left", "paid"):
        told = {"contact": {"email": ADA}, "owner": "Bea", "properties": {"size": "L"}}
        cart = {"lines": [line], "currency": "EUR"}
        hours = -60.0 if deal == "left" else -1.0
        shop.tell("cart.updated", deal, hours=hours, cart=cart)
        shop.tell("cart", deal, hours=hours, **told)
    shop.tell("order", "paid", hours=-0.5)
    shop.tell("told", "waiting", owner="Bea")
    shop.board.tick()
    write = baseline.baseline_event

    def write_as_before(draft: Any, past: Any, now: dt.datetime, *given: Any) -> Event:
        return former(write(draft, past, now, *given), now)

    with monkeypatch.context() as patch:
        patch.setattr(baseline, "baseline_event", write_as_before)
        Board(AFTER, store=store, clock=shop.clock, adopting=True).migrate()
    return shop


def test_deals_stand_where_they_stood(adopted: Shop):
    before = {deal.id: deal for deal in adopted.board.deals()}
    again = Shop(AFTER, adopted.store)
    assert verify(again.board).agrees
    for deal in again.board.deals():
        was = before[deal.id]
        assert (deal.stage.key, deal.entered_at) == (was.stage.key, was.entered_at)
        assert (deal.value, deal.currency, deal.cart) == (was.value, was.currency, was.cart)
        assert (deal.contact, deal.owner) == (was.contact, was.owner)
        folded = again.pipeline.fold(again.board.events(deal.id), again.clock.now())
        assert folded is not None
        assert folded.deal == deal
    assert {deal.id: deal.stage.key for deal in again.board.deals()} == {
        "filled": "filled",
        "left": "left",
        "paid": "paid",
    }


def test_they_go_on_from_there(adopted: Shop):
    shop = Shop(AFTER, adopted.store)
    shop.wait(50)
    shop.board.tick()
    assert shop.board.deal("filled").stage.key == "left"
    shop.tell("cart", "left")
    assert shop.board.deal("left").stage.key == "filled"
    shop.tell("cancelled", "paid")
    assert shop.board.deal("paid").stage.key == "filled"
    shop.tell("cart", "waiting")
    assert shop.board.deal("waiting").owner == "Bea"
    shop.tell("cart.merged", "filled", into="left")
    assert shop.board.deal("filled").status == "merged"
    assert verify(shop.board).agrees


def test_what_is_told_late_behind_them_loses_no_order_and_breaks_nothing(adopted: Shop):
    shop = Shop(AFTER, adopted.store)
    shop.wait(1)
    for deal in ("filled", "left", "paid"):
        receipt = shop.tell("order", deal, hours=-1.25)
        assert receipt.outcome in ("moved", "stayed", "late")
    assert shop.board.deal("paid").stage.key == "paid"
    assert verify(shop.board).agrees
    shop.board.forget(email=ADA)
    assert verify(shop.board).agrees
    shop.wait(1)
    shop.tell("order", "left")
    assert shop.board.deal("left").stage.key == "paid"
    assert verify(shop.board).agrees
