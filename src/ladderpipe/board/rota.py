"""Whose turn it is: deals are given to owners by a rule, and each turn is an event on record.

A rota is a deal on a ladder of its own, in the same store: its row is the lock, its events are the
turns. A handler of an effect takes a turn and then edits the owner of its deal, both under the
effect's key: whatever is tried again finds the turn that was taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

import attrs

from ..errors import DealNotFoundError, DefinitionError
from ..ladder.rules import by_hand
from ..model.canonical import plain_text
from ..model.deal import Deal
from ..model.effect import Delivery
from ..model.event import EDITED, OWN_SOURCE, Event, checked_name
from ..model.stage import Stage
from ..pipeline import Pipeline
from ..public import publish
from .board import Board
from .edit import Edit, known_deal
from .options import check_actor
from .session import Session

__all__ = ["AssignOwner", "Rota"]

PIPELINE: Final = "ladder-rota"
BY_RULE: Final = "rule"
"""Who gives a deal to its owner, in the history."""

OPEN: Final = "open"


def _ladder() -> Pipeline:
    stage = Stage(OPEN, title={"en": "Takes turns", "it": "A turno"})
    return Pipeline(
        PIPELINE,
        stages=[stage],
        rules=[by_hand(into=stage, opens=True, reenter=True)],
        title={"en": "Rota", "it": "Turni"},
        customer=None,
    )


class Rota:
    """Owners who take turns, in a store that several processes share.

    The next turn is that of whoever was served longest ago, of those who are in the rota then; who
    never was comes first, in the order of the list. So everybody has one turn in a round, and who
    was away takes one and falls in.

    Args:
        board: one on the store where the rota is to be kept, beside its deals.
        name: stable name of the rota, such as ``"sales"``.
    """

    def __init__(self, board: Board, name: str) -> None:
        self.name = checked_name(name, "name")
        self._board = Board(_ladder(), store=board.store, clock=board._session.clock)

    def people(self) -> tuple[str, ...]:
        """Return who takes turns now; nobody, as long as nobody was named."""
        try:
            return tuple(self._board.deal(self.name).properties.get("people", ()))
        except DealNotFoundError:
            return ()

    def set(self, people: Iterable[str], *, by: str) -> None:
        """Say who takes turns from now on; it is on record, with who said so.

        Raises:
            DefinitionError: somebody is named twice, or by no name.
        """
        if isinstance(people, str):
            raise DefinitionError(f"people={people!r}: give a list of names, [{people!r}]")
        names = list(people)
        for name in names:
            check_actor(name)
        if len(set(names)) < len(names):
            raise DefinitionError(f"people={names!r} names somebody twice: once each")
        told = {"people": list(map(plain_text, names))}
        self._board.move(self.name, OPEN, by=by, properties=told)

    def turns(self) -> list[tuple[str, str]]:
        """Return who was served, turn after turn, with the key that the turn was taken under."""
        events = self._board.events(self.name)
        return [(each.id, each.data["owner"]) for each in events if "owner" in each.data]

    def take(self, key: str, note: str | None = None) -> str | None:
        """Return whose turn it is, and note that it was taken; ``None`` while nobody takes turns.

        Args:
            key: what the turn is for. The same key is the same turn, however often it is asked.
            note: said in the history of the rota.
        """
        session: Session = self._board._session
        return session.retried(
            lambda: _take_once(session, self.name, checked_name(key, "key"), note)
        )


def _take_once(session: Session, rota: str, key: str, note: str | None) -> str | None:
    with session.writing() as unit:
        try:
            stored, document = known_deal(unit, rota)  # locked: one turn at a time
        except DealNotFoundError:
            return None
        if unit.known(Event(EDITED, deal=rota, id=key, at=unit.now, source=OWN_SOURCE)) is not None:
            taken = unit.event_of(stored, OWN_SOURCE, key)
            return None if taken is None else str(taken.data["owner"])
        properties: Any = unit.draft(stored, document).data.properties
        people, served = properties.get("people", ()), dict(properties.get("served", {}))
        if not people:
            return None
        owner: str = min(people, key=lambda name: served.get(name, 0))
        served[owner] = max(served.values(), default=0) + 1
        asked = Edit(
            by=BY_RULE, fields={"owner": owner, "properties": {"served": served}}, note=note, id=key
        )
        event = asked.event(stored, unit, document)
        unit.add_event(stored, event)
        unit.decide(stored, document, [event])
        unit.flush()
        return owner


Choice: TypeAlias = Callable[[Deal], str | Rota | None]
"""Whom a deal is for: an owner, a rota whose turn it is, or nobody."""


@attrs.frozen
class AssignOwner:
    """A handler that gives a deal without an owner to somebody: by a rota, or by a rule of yours.

    ``board.handle_effect("assign", AssignOwner(board, choose))``, and ``do("assign")`` in a stage's
    sequence. The owner is set by an event on record, ``by="rule"``. A deal that has an owner when
    the effect is delivered keeps it. It is safe to be tried again: turn and edit are known by the
    effect's key. Where nobody takes turns it fails, and is tried again as any effect.

    Args:
        board: the board of the deals.
        choose: a function of the deal that returns its owner, a :class:`Rota`, or ``None`` for
            nobody; or a rota.
    """

    board: Board
    choose: Choice | Rota

    def __call__(self, delivery: Delivery) -> None:
        """Give the delivery's deal to its owner."""
        deal = self.board.deal(delivery.deal.id)
        if deal.owner is not None:
            return
        chosen = self.choose if isinstance(self.choose, Rota) else self.choose(deal)
        owner = chosen.take(delivery.key, deal.id) if isinstance(chosen, Rota) else chosen
        if owner is None and isinstance(chosen, Rota):
            raise LookupError(
                f"nobody takes turns in rota {chosen.name!r}: say who, rota.set([...])"
            )
        if owner is not None:
            self.board.edit(deal.id, owner=owner, by=BY_RULE, id=f"assign {delivery.key}")


publish("ladderpipe", AssignOwner, Rota)
