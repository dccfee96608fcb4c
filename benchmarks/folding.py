"""(a) The fold against other state machines."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from transitions import Machine

from ladderpipe import Event, Move, Pipeline
from ladderpipe.fold.deal_data import DealData

from .engines import PEERS
from .harness import Pair, Report, Row, compare, in_turns, paired, rate, timed
from .ladders import cycle_events, deal_events, sales, three_stages

METHOD = """\
One process, rounds interleaved. Ours sorts and deduplicates the events, steps through them and
keeps the history (`pipeline.fold(events).moves`), whose moves are built when they are read: once
nobody reads them, once a loop reads every one, and once all are read into a list that is kept,
which is what Python's garbage collector takes long over. The peers only change state, each driven
by the fastest way its public interface has, and keep no history. On the sales deals every move is
read, and `transitions` runs `pipeline.machine` itself, with the same reducer and guards as the
fold.\
"""


def run(quick: bool) -> Report:
    events = cycle_events(20_000 if quick else 100_000)
    rounds = 3 if quick else 7
    rows = [row for name in PEERS for row in _against(name, events, rounds)]
    return Report("Fold", METHOD, [*rows, _sales_deals(400 if quick else 2_000, rounds)])


def _against(name: str, events: list[Event], rounds: int) -> list[Row]:
    pipeline = three_stages()
    theirs, *ours = in_turns(
        [
            timed(PEERS[name]([event.type for event in events])),
            *(timed(functools.partial(read, pipeline, events)) for read in READINGS.values()),
        ],
        rounds,
    )
    return [
        _row(
            f"{how}, against {name}", len(events), paired(seconds, theirs), TARGETS.get((how, name))
        )
        for how, seconds in zip(READINGS, ours, strict=True)
    ]


def _row(what: str, count: int, pair: Pair, target: float | None) -> Row:
    return Row(
        f"three stages, {count:,} events, {what}",
        f"{rate(count, pair.ours, 'events')} : {rate(count, pair.theirs, 'events')}",
        pair.speed,
        target=target,
    )


def _sales_deals(count: int, rounds: int) -> Row:
    pipeline = sales()
    deals = [deal_events(f"cart-{n}") for n in range(count)]

    def ours() -> None:
        for events in deals:
            _every_read(pipeline, events)

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


def _unread(pipeline: Pipeline, events: list[Event]) -> Sequence[Move]:
    history = pipeline.fold(events)
    assert history is not None
    return history.moves


def _every_read(pipeline: Pipeline, events: list[Event]) -> None:
    for _ in _unread(pipeline, events):
        pass


def _every_kept(pipeline: Pipeline, events: list[Event]) -> list[Move]:
    return list(_unread(pipeline, events))


READINGS = {
    "history kept": _unread,
    "every move read": _every_read,
    "every move kept": _every_kept,
}
TARGETS = {
    ("history kept", "transitions"): 10.0,
    ("every move read", "transitions"): 6.0,
    ("history kept", "automat"): 1.5,
}
