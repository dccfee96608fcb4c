"""One deal on a board in memory, with the clock in the hand: what ``simulate`` plays with."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..board.board import Board
from ..errors import DealNotFoundError
from ..fold.options import Option
from ..ladder.machine import NOT_OPEN
from ..model.clock import ManualClock
from ..model.deal import Deal
from ..model.delivery import EffectState
from ..model.effect import Delivery, Effect
from ..model.event import Event
from ..model.move import Move
from ..model.receipt import Receipt
from ..model.stage import TASK, Stage
from ..pipeline import Pipeline

__all__ = ["DEAL", "Simulation", "example", "written"]

DEAL: Final = "deal"
BY: Final = "you"

_LINE: Final = {"sku": "CHAIR", "title": "Chair", "quantity": 1, "unit_price": "120.00"}
_EXAMPLES: Final[Mapping[str, Any]] = {
    "line": _LINE,
    "cart": [_LINE],
    "into": "another-deal",
}
"""What is told where an event needs something, and nothing was said."""
_CONTACT: Final = {"name": "Ada Rossi", "email": "ada@example.com"}

_SAID: Final = {
    EffectState.PENDING: "to be sent {due}: {what}",
    EffectState.OPEN: "to be done by {due}: {what}",
    EffectState.DELIVERED: "sent: {what}",
    EffectState.CANCELLED: "stopped: {what}",
    EffectState.EXPIRED: "too late, not sent: {what}",
    EffectState.WAITING: "waits for an address: {what}",
    EffectState.DROPPED: "not sent: {what}",
}


class Simulation:
    """A deal, and what happened to it since somebody looked.

    Effects are delivered to nobody, at the instant when they are due.
    """

    def __init__(self, pipeline: Pipeline, start: dt.datetime, language: str | None) -> None:
        self._clock = ManualClock(start)
        self._board = Board(pipeline, clock=self._clock, stale_effects="send")
        self._language = language
        self._said: dict[str, tuple[EffectState, str]] = {}
        self._moves: tuple[Move, ...] = ()
        self._handled: set[str] = {TASK}
        self._number = 0

    @property
    def now(self) -> dt.datetime:
        """Where the clock stands."""
        return self._clock.now()

    @property
    def deal(self) -> Deal | None:
        """The deal, once it is open."""
        try:
            return self._board.deal(DEAL)
        except DealNotFoundError:
            return None

    @property
    def board(self) -> Board:
        """The board it is played on."""
        return self._board

    def happening(self) -> list[tuple[str, str]]:
        """Return the events that may move the deal where it is, and the titles where to."""
        deal = self.deal
        rung = self._board.pipeline.ladder.rungs[NOT_OPEN if deal is None else deal.stage.key]
        found: dict[str, list[str]] = {}
        for kind, candidates in rung.by_trigger.items():
            if kind in self._board.pipeline.ladder.declared:
                found[kind] = [self.title(candidate.rule.into) for candidate in candidates]
        return [(kind, ", ".join(dict.fromkeys(into))) for kind, into in sorted(found.items())]

    def hands(self) -> list[Option]:
        """Return the moves by hand that are possible, if only with something brought."""
        return [option for option in self._board.options(DEAL, BY) if option.is_possible]

    def tell(self, kind: str, data: Mapping[str, Any] | None) -> Receipt:
        """Tell an event now; without *data*, with what an event of this type needs."""
        self._clock.advance(seconds=1)
        self._number += 1
        if data is None:
            data = example(self._board.pipeline, kind)
            data = data if self._number > 1 else {**data, "contact": _CONTACT}
        event = Event(kind, deal=DEAL, id=f"event-{self._number}", at=self.now, data=data)
        return self._board.handle(event)

    def move(self, into: str, properties: Mapping[str, Any]) -> Receipt:
        """Move the deal by hand now."""
        self._clock.advance(seconds=1)
        return self._board.move(DEAL, into, by=BY, properties=properties or None)

    def undo(self) -> Receipt:
        """Take back the last that was done by hand."""
        self._clock.advance(seconds=1)
        return self._board.undo(DEAL, by=BY, expecting=self._board.deal(DEAL).stage)

    def until(self, end: dt.datetime) -> Iterator[str]:
        """Let time pass, with a worker that looks whenever something is due.

        Yields what it did, under the instants at which it did it where time has passed.
        """
        begun = self.now
        while (at := self.next()) is not None and at <= end:
            self._clock.set(at)
            yield from _at(at, self._work())
        self._clock.set(end)
        yield from self._work() if end == begun else _at(end, self._work())

    def next(self) -> dt.datetime | None:
        """Return when the next timer or effect is due after now; ``None`` if nothing waits."""
        deal = self.deal
        due = [] if deal is None or deal.due_at is None else [deal.due_at]
        for effect in self._board.effects(DEAL, states=[EffectState.PENDING]):
            until = effect.decisions[-1].until if effect.decisions else None
            due.append(until or effect.due_at)
        return min((at for at in due if at > self.now), default=None)

    def news(self) -> Iterator[str]:
        """Yield what happened since this was asked last: moves, then what they ask for or stop."""
        deal = self.deal
        moves = () if deal is None else tuple(self._board.history(DEAL).moves)
        kept = sum(1 for old, new in zip(self._moves, moves, strict=False) if old == new)
        if kept < len(self._moves):
            taken = len(self._moves) - kept
            yield "a move is taken back" if taken == 1 else f"{taken} moves are taken back"
        for move in moves[kept:]:
            out_of = "not open" if move.out_of is None else self.title(move.out_of)
            because = move.event.type if move.event else f"timer, {move.rule}"
            yield f"{out_of} → {self.title(move.into)} ({because})"
        self._moves = moves
        for effect in self._board.effects(DEAL):
            line = self._line(effect)
            if self._said.get(effect.key) != (effect.state, line):
                self._said[effect.key] = effect.state, line
                yield line

    def title(self, stage: Stage) -> str:
        """Return a stage's title, in the language that was asked for."""
        return stage.title_in(self._language) if self._language else stage.title

    def _work(self) -> Iterator[str]:
        self._board.tick()
        self._register()
        yield from self.news()
        self._board.deliver()
        yield from self.news()

    def _register(self) -> None:
        """Take the effects of names that came up since; which there are, hooks alone know."""
        for name in {effect.name for effect in self._board.effects(DEAL)} - self._handled:
            self._handled.add(name)
            self._board.handle_effect(name, _deliver)

    def _line(self, effect: Effect) -> str:
        what = effect.payload.get("template") or effect.payload.get("title") or ""
        named = f"{effect.name} {what}".strip()
        told = _SAID.get(effect.state, "{what}").format(what=named, due=written(effect.due_at))
        because = "" if effect.state is EffectState.PENDING else effect.because
        return f"{told} ({because})" if because else told


def example(pipeline: Pipeline, kind: str) -> dict[str, Any]:
    """Return what an event of a type may tell, where it has to tell something."""
    told = {name: _EXAMPLES[name] for name in _required(pipeline, kind) if name in _EXAMPLES}
    return {**told, "currency": "EUR"} if told.keys() & {"line", "cart"} else told


def _deliver(delivery: Delivery) -> None:
    """Deliver nothing: the board notes that it was sent."""


def _at(at: dt.datetime, told: Iterator[str]) -> Iterator[str]:
    for number, line in enumerate(told):
        if not number:
            yield f"{written(at)}:"
        yield f"  {line}"


def _required(pipeline: Pipeline, kind: str) -> list[str]:
    """Return what the schema of an event's data requires."""
    for case in pipeline.event_schema().get("allOf", ()):
        if case["if"]["properties"]["type"]["const"] == kind:
            found: list[str] = case["then"]["properties"].get("data", {}).get("required", [])
            return found
    return []


def written(at: dt.datetime) -> str:
    """Return an instant in UTC with its day of the week, which timers are about."""
    return f"{at:%a %Y-%m-%d %H:%M}"
