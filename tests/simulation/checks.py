"""What must hold at the end of a schedule, between the store and the world outside it."""

from __future__ import annotations

from typing import Final

from ladderpipe import Board, Effect, EffectState, Event
from ladderpipe.errors import DealNotFoundError
from ladderpipe.model.event import OWN_SOURCE

from .ladder import ASKED_INSIDE
from .ledger import Ledger
from .observer import must

__all__ = ["check_end", "check_ledger"]

AT_REST: Final = (
    EffectState.DELIVERED,
    EffectState.CANCELLED,
    EffectState.EXPIRED,
    EffectState.DEAD,
    EffectState.WAITING,
    EffectState.DROPPED,
)


def check_ledger(board: Board, ledger: Ledger) -> None:
    """Check that what was answered for is stored once, and what was refused is not.

    Raises:
        Violation: it is not so.
    """
    deals = sorted(
        {event.deal for event in ledger.told.values()} | {d for d, _, _ in ledger.handed}
    )
    stored = [event for deal in deals for event in board.events(deal)]
    hands = {(event.deal, event.source, event.id) for event in stored}
    facts: dict[str, Event] = {}
    for event in stored:
        if event.source != OWN_SOURCE:
            must(event.id not in facts, f"event {event.id} is stored twice")
            facts[event.id] = event
    for id, event in ledger.told.items():
        if id in ledger.acknowledged:
            must(id in facts, f"event {id} of {event.deal} was acknowledged and is lost")
        elif ledger.never_taken(id):
            must(id not in facts, f"event {id} of {event.deal} was refused and is stored")
    for id, event in facts.items():
        must(event == ledger.told.get(id), f"event {id} is stored as {event}, told otherwise")
    for hand in ledger.handed:
        must(hand in hands, f"the hand {hand} was acknowledged and is lost")


def check_end(board: Board, ledger: Ledger) -> None:
    """Check that every effect came to an end, and for the right reason.

    Raises:
        Violation: one did not.
    """
    effects = board.effects()
    for effect in effects:
        what = f"{effect.name} of {effect.deal}"
        must(effect.state in AT_REST, f"{what} is {effect.state} when everything is at rest")
        if effect.state is EffectState.DELIVERED:
            must(ledger.handled[effect.key] > 0, f"{what} was delivered by nobody")
    for deal in sorted({effect.deal for effect in effects}):
        _check_visits(board, deal, [e for e in effects if e.deal == deal], ledger.vanished)
    known = {effect.key for effect in effects}
    must(set(ledger.handled) <= known, "an effect was delivered that is not stored")


def _check_visits(board: Board, deal: str, effects: list[Effect], vanished: set[str]) -> None:
    """Check that nothing was called off that the current visit asks for, or that runs to its end.

    What a visit asked for is called off when it vanishes, and not revived when it comes back as
    one of the past.
    """
    try:
        visits = board.history(deal).visits
    except DealNotFoundError:
        visits = ()
    current = visits[-1] if visits else None
    lasting = {visit.key for visit in visits} - vanished
    asked = set() if current is None else set(ASKED_INSIDE[current.stage.key])
    for effect in effects:
        is_off = effect.state is EffectState.CANCELLED
        if current is not None and effect.visit_key == current.key and effect.name in asked:
            must(not is_off, f"{effect.name} of {deal} is cancelled in the visit that asked for it")
        if effect.run_to_completion and effect.visit_key in lasting and effect.name == "survey":
            must(not is_off, f"{effect.name} of {deal} was to run to completion and is cancelled")
    found = {e.name for e in effects if current is not None and e.visit_key == current.key}
    must(found >= asked, f"{deal} is in {current} without the effects {sorted(asked - found)}")
