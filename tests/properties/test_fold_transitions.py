"""``pipeline.machine`` is a plain ``transitions`` machine: a model on it makes the same moves."""

from __future__ import annotations

from hypothesis import event as label
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Event, Pipeline, Stage
from ladderpipe.fold.closed import counts_when_closed
from ladderpipe.fold.deal_data import DealData
from ladderpipe.fold.order import in_order
from ladderpipe.fold.reducer import cart_reducer
from ladderpipe.fold.ways import merges_into_itself
from ladderpipe.ladder.machine import NOT_OPEN
from ladderpipe.testing.strategies import events, pipelines


class Model:
    """Anything at all: ``transitions`` puts ``state`` and ``trigger`` on it."""

    state: str


def apply(facts: DealData, event: Event, pipeline: Pipeline, model: Model) -> None:
    """Reduce, trigger, and keep the cart frozen while the deal stays closed."""
    left = stage_of(pipeline, model)
    frozen = (facts.worth(), facts.taken, facts.unread)
    cart_reducer(facts, event)
    if event.type in pipeline.machine.events and not merges_into_itself(event):
        model.trigger(event.type, facts, event)  # type: ignore[attr-defined]
    into = stage_of(pipeline, model)
    if left is None or not left.is_closed or into is None or not into.is_closed:
        return
    if not counts_when_closed(facts, event, left, into, frozen):
        facts.put_back(*frozen)


def stage_of(pipeline: Pipeline, model: Model) -> Stage | None:
    return None if model.state == NOT_OPEN else pipeline.stage(model.state)


@st.composite
def ladders_without_timers(draw: st.DrawFn) -> tuple[Pipeline, list[Event]]:
    """Return a ladder on which nothing happens by itself, and one deal's events for it."""
    pipeline = draw(pipelines(timers=st.nothing()))
    return pipeline, draw(events(pipeline))


@given(ladders_without_timers())
def test_a_plain_model_makes_the_same_moves(case: tuple[Pipeline, list[Event]]) -> None:
    pipeline, told = case
    model, facts = Model(), DealData()
    pipeline.machine.add_model(model)
    ordered = in_order(pipeline.ladder, told)
    for index, event in enumerate(ordered):
        apply(facts, event, pipeline, model)
        history = pipeline.fold(ordered[: index + 1])
        folded = NOT_OPEN if history is None else history.deal.stage
        assert model.state == folded
    label(f"ends in {model.state}")
