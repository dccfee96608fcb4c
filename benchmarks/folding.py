"""(a) The fold against other state machines."""

from __future__ import annotations

from collections.abc import Callable

from transitions import Machine

from ladderpipe import Event, Pipeline
from ladderpipe.fold.deal_data import DealData

from .engines import PEERS
from .harness import Report, Row, compare, rate, timed
from .ladders import cycle_events, deal_events, sales, three_stages

METHOD = """\
One process, rounds interleaved. Ours sorts and deduplicates the events, steps through them and
builds every `Move` (`pipeline.fold(events).moves`); the peers only change state, each driven by
the fastest way its public interface has, and keep no history. On the sales deals `transitions`
runs `pipeline.machine` itself, with the same reducer and guards as the fold.\
"""


def run(quick: bool) -> Report:
    events = cycle_events(20_000 if quick else 100_000)
    rounds = 3 if quick else 7
    rows = [_against(name, events, rounds) for name in PEERS]
    return Report("Fold", METHOD, [*rows, _sales_deals(400 if quick else 2_000, rounds)])


def _against(name: str, events: list[Event], rounds: int) -> Row:
    pipeline = three_stages()
    theirs = PEERS[name]([event.type for event in events])
    pair = compare(timed(lambda: _moves(pipeline, events)), timed(theirs), rounds)
    return Row(
        f"three stages, {len(events):,} events, all moves built, against {name}",
        f"{rate(len(events), pair.ours, 'events')} : {rate(len(events), pair.theirs, 'events')}",
        pair.speed,
        target=3.0 if name == "transitions" else None,
    )


def _sales_deals(count: int, rounds: int) -> Row:
    pipeline = sales()
    deals = [deal_events(f"cart-{n}") for n in range(count)]

    def ours() -> None:
        for events in deals:
            _moves(pipeline, events)

    pair = compare(timed(ours), timed(_drive_models(pipeline, deals)), rounds)
    total = sum(map(len, deals))
    return Row(
        f"{count:,} sales deals of 12 events with carts, against transitions",
        f"{rate(total, pair.ours, 'events')} : {rate(total, pair.theirs, 'events')}",
        pair.speed,
    )


def _drive_models(pipeline: Pipeline, deals: list[list[Event]]) -> Callable[[], None]:
    machine: Machine = pipeline.machine
    triggers = frozenset(machine.events)

    class Model:
        pass

    def run() -> None:
        for events in deals:
            model, data = Model(), DealData()
            machine.add_model(model)
            for event in events:
                pipeline.reducer(data, event)
                if event.type in triggers:
                    model.trigger(event.type, data, event)  # type: ignore[attr-defined]
            machine.remove_model(model)

    return run


def _moves(pipeline: Pipeline, events: list[Event]) -> object:
    history = pipeline.fold(events)
    assert history is not None
    return history.moves
