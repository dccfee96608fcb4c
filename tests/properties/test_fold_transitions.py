"""``pipeline.machine`` is a plain ``transitions`` machine: a model on it makes the same moves."""

from __future__ import annotations

from hypothesis import event as label
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Event, Pipeline
from ladderpipe.fold.deal_data import DealData
from ladderpipe.fold.fold import in_order
from ladderpipe.fold.reducer import cart_reducer
from ladderpipe.ladder.machine import NOT_OPEN
from tests.ladders import ladders_and_events


class Model:
    """Anything at all: ``transitions`` puts ``state`` and ``trigger`` on it."""

    state: str


def apply(facts: DealData, event: Event, pipeline: Pipeline, model: Model) -> None:
    """Reduce, trigger, and keep the cart frozen while the deal stays closed."""
    closed = closed_in(pipeline, model)
    worth = facts.worth()
    cart_reducer(facts, event)
    if event.type in pipeline.machine.events:
        model.trigger(event.type, facts, event)  # type: ignore[attr-defined]
    if closed and closed_in(pipeline, model):
        facts.put_back(worth)


def closed_in(pipeline: Pipeline, model: Model) -> bool:
    return model.state != NOT_OPEN and pipeline.stage(model.state).is_closed


@given(ladders_and_events(hands=False, guards=None, timers=st.nothing()))
def test_a_plain_model_makes_the_same_moves(case: tuple[Pipeline, list[Event]]) -> None:
    pipeline, events = case
    model, facts = Model(), DealData()
    pipeline.machine.add_model(model)
    ordered = in_order(pipeline.ladder, events)
    for index, event in enumerate(ordered):
        apply(facts, event, pipeline, model)
        history = pipeline.fold(ordered[: index + 1])
        folded = NOT_OPEN if history is None else history.deal.stage
        assert model.state == folded
    label(f"ends in {model.state}")
