"""The README's cart, as a story: what its history says at each turn."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from ladderpipe import Event, History, Pipeline, Stage, after, on
from ladderpipe.errors import EventConflictError, GuardError, InstantError

NINE = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def happened(kind: str, hours: float, id: str | None = None, **data: Any) -> Event:
    at = NINE + hours * HOUR
    return Event(kind, deal="cart-42", id=id or f"{kind} at {hours}", at=at, data=data)


FILLED = happened("cart.item_added", 0, line={"sku": "NB-15", "title": "Notebook", "quantity": 2})


def history(pipeline: Pipeline, *events: Event, hours: float | None = None) -> History:
    found = pipeline.fold(events, None if hours is None else NINE + hours * HOUR)
    assert found is not None
    return found


def test_a_cart_left_alone_is_abandoned_exactly_48_hours_later(pipeline: Pipeline) -> None:
    story = history(pipeline, FILLED, hours=100)
    assert [(visit.stage.key, visit.duration) for visit in story.visits] == [
        ("quote_requested", 48 * HOUR),
        ("checkout_abandoned", None),
    ]
    assert story.moves[-1].at == NINE + 48 * HOUR
    assert story.moves[-1].event is None
    assert history(pipeline, FILLED, hours=47.9).deal.due_at == NINE + 48 * HOUR


def test_an_edit_inside_the_stage_does_not_restart_the_timer(pipeline: Pipeline) -> None:
    edited = happened("cart.item_added", 40, line={"sku": "M", "title": "Mouse"})
    assert history(pipeline, FILLED, edited, hours=48).deal.stage == "checkout_abandoned"


def test_moving_out_cancels_the_timer(pipeline: Pipeline) -> None:
    story = history(pipeline, FILLED, happened("cart.emptied", 1), hours=100)
    assert story.deal.stage == "cart_parked"
    assert story.deal.due_at is None


def test_the_title_survives_an_emptied_cart(pipeline: Pipeline) -> None:
    assert history(pipeline, FILLED, happened("cart.emptied", 1)).deal.title == "Notebook"


def test_the_stage_at_an_instant(pipeline: Pipeline) -> None:
    story = history(pipeline, FILLED, happened("cart.emptied", 1))
    assert story.stage_at(NINE - HOUR) is None
    assert story.stage_at(NINE) == "quote_requested"
    assert story.stage_at("2026-01-05T10:00:00Z") == "cart_parked"
    with pytest.raises(InstantError):
        story.stage_at(dt.datetime(2026, 1, 5))


def test_an_event_before_the_opening_gives_its_data_and_moves_nothing(pipeline: Pipeline) -> None:
    looked = happened("product.viewed", -1, owner="Ada")
    assert pipeline.fold([looked]) is None
    story = history(pipeline, looked, FILLED)
    assert story.deal.owner == "Ada"
    assert story.deal.opened_at == NINE


def test_a_shop_that_empties_the_cart_on_confirmation_keeps_the_order(pipeline: Pipeline) -> None:
    story = history(pipeline, FILLED, happened("order.confirmed", 1), happened("cart.emptied", 1.1))
    assert story.deal.stage == "order_confirmed"
    assert len(story.deal.cart) == 1
    assert story.deal.closed_at == NINE + HOUR


def test_a_hand_needs_what_the_stage_requires(pipeline: Pipeline) -> None:
    def lose(**properties: Any) -> Event:
        return happened("ladder.by_hand", 1, into="lost", by="Ada", properties=properties)

    assert history(pipeline, FILLED, lose()).deal.stage == "quote_requested"
    lost = history(pipeline, FILLED, lose(loss_reason="price")).deal
    assert lost.stage == "lost"
    assert lost.lost_from == "quote_requested"


def test_equal_histories_are_equal_and_show_themselves_briefly(pipeline: Pipeline) -> None:
    assert history(pipeline, FILLED) == history(pipeline, FILLED, FILLED)
    assert history(pipeline, FILLED) != history(pipeline, FILLED, hours=100)
    assert repr(history(pipeline, FILLED)) == (
        "<History of 'cart-42': 1 visits, now in Stage('quote_requested')>"
    )


def test_one_identity_with_two_contents_is_refused(pipeline: Pipeline) -> None:
    with pytest.raises(EventConflictError, match="own id"):
        pipeline.fold([happened("a", 0, id="e1"), happened("b", 0, id="e1")])


def test_fold_takes_one_deal(pipeline: Pipeline) -> None:
    other = Event("cart.emptied", deal="cart-43", id="x", at=NINE)
    with pytest.raises(ValueError, match="replay"):
        pipeline.fold([FILLED, other])


def test_an_event_whose_guard_raises_is_set_aside_with_the_reason() -> None:
    stage = Stage("quote")
    pipeline = Pipeline(
        "shop",
        stages=[stage],
        rules=[
            on("a", into=stage, opens=True),
            on("b", into=stage, reenter=True, when=lambda deal, event: bool(1 / 0)),
        ],
    )
    history = pipeline.fold([happened("a", 0), happened("b", 1)])
    assert history is not None
    assert len(history.moves) == 1
    [aside] = history.aside
    assert aside.event == happened("b", 1)
    assert "ZeroDivisionError" in aside.reason


def test_a_timer_whose_guard_raises_is_the_caller_s_error() -> None:
    stage, late = Stage("quote"), Stage("late")
    pipeline = Pipeline(
        "shop",
        stages=[stage, late],
        rules=[
            on("a", into=stage, opens=True),
            after(hours=1, out_of=stage, into=late, when=lambda deal, event: bool(1 / 0)),
        ],
    )
    with pytest.raises(GuardError) as caught:
        pipeline.fold([happened("a", 0)], NINE + dt.timedelta(days=1))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_event_the_reducer_cannot_understand_changes_nothing(pipeline: Pipeline) -> None:
    history = pipeline.fold([FILLED, happened("cart.updated", 1)])
    assert history is not None
    assert history.deal == pipeline.fold([FILLED]).deal  # type: ignore[union-attr]
    [aside] = history.aside
    assert "cart.updated" in aside.reason
