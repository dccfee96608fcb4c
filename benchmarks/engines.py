"""The three-stage ladder on the peers: each function returns a round of events, ready to run.

Every peer only keeps its current state. Each is driven by the fastest way its public interface
has: no history, no persistence, no lookup by name where a bound method will do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from automat import TypeMachineBuilder
from harel import Event as HarelEvent  # type: ignore[import-untyped]
from harel import Execution, definition_from_dsl
from harel.engine import core as harel_engine  # type: ignore[import-untyped]
from statemachine import State, StateMachine
from transitions import Machine

from .ladders import three_stages

Round = Callable[[], object]


def transitions_round(kinds: Sequence[str]) -> Round:
    """On ``transitions``: a model on the machine that the pipeline itself was built on."""
    machine: Machine = three_stages().machine

    class Model:
        pass

    def run() -> object:
        model = Model()
        machine.add_model(model)
        for kind in kinds:
            model.trigger(kind, None, None)  # type: ignore[attr-defined]
        machine.remove_model(model)
        return model

    return run


class ThreeStages(StateMachine):
    new = State(initial=True)
    lead = State()
    working = State()
    won = State()
    reopen = new.to(lead) | won.to(lead)
    work = lead.to(working)
    win = working.to(won)


def statemachine_round(kinds: Sequence[str]) -> Round:
    def run() -> object:
        machine = ThreeStages()
        for kind in kinds:
            machine.send(kind)
        return machine

    return run


class Ladder(Protocol):
    def reopen(self) -> None: ...
    def work(self) -> None: ...
    def win(self) -> None: ...


class Core:
    pass


def automat_round(kinds: Sequence[str]) -> Round:
    builder = TypeMachineBuilder(Ladder, Core)
    new, lead, working, won = map(builder.state, ("new", "lead", "working", "won"))
    for state, method, target in (
        (new, Ladder.reopen, lead),
        (won, Ladder.reopen, lead),
        (lead, Ladder.work, working),
        (working, Ladder.win, won),
    ):
        state.upon(method).to(target).returns(None)
    make = builder.build()

    def run() -> object:
        machine = make(Core())
        inputs = {"reopen": machine.reopen, "work": machine.work, "win": machine.win}
        for kind in kinds:
            inputs[kind]()
        return machine

    return run


HAREL = """
event reopen {}
event work {}
event win {}

machine three {
  initial New
  state New {}
  state Lead {}
  state Working {}
  state Won {}

  from New to Lead on reopen
  from Lead to Working on work
  from Working to Won on win
  from Won to Lead on reopen
}
"""


def harel_round(kinds: Sequence[str]) -> Round:
    """On harel's pure engine, in process: what its runners drive, without their stores."""
    definition = definition_from_dsl(HAREL, "three")
    events = {kind: HarelEvent(kind=kind) for kind in set(kinds)}

    def run() -> object:
        execution = Execution(definition_id=definition.id, root_path=definition.root.full_path)
        for _ in harel_engine.start(definition, execution):
            pass
        for kind in kinds:
            for _ in harel_engine.process(definition, execution, events[kind]):
                pass
        return execution

    return run


PEERS = {
    "transitions": transitions_round,
    "python-statemachine": statemachine_round,
    "automat": automat_round,
    "harel": harel_round,
}
