"""The shop that the store contract keeps: a ladder, a board on the store under test, a clock."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

from ladderpipe import (
    ANY,
    Backoff,
    Board,
    Event,
    HookContext,
    ManualClock,
    Outcome,
    Pipeline,
    Stage,
    after,
    by_hand,
    do,
    on,
    wait,
)
from ladderpipe.stores import Store

from .assertions import assert_single_stage
from .strategies import START

__all__ = ["HOUR", "Shop", "contract_ladder", "refused", "same"]

HOUR = dt.timedelta(hours=1)


def contract_ladder(
    name: str = "contract", hook: Callable[[HookContext], None] | None = None
) -> Pipeline:
    """Return a ladder that asks a store for everything."""
    new = Stage(
        "new",
        sequence=[do("note", text="first"), do("task", title="Call"), wait(hours=1), do("letter")],
    )
    talking = Stage("talking", sequence=[do("survey", run_to_completion=True)])
    won = Stage("won", status="won")
    lost = Stage("lost", status="lost", requires=["reason"])
    cold = Stage("cold", status="abandoned")
    pipeline = Pipeline(
        name,
        stages=[new, talking, won, lost, cold],
        rules=[
            on("lead.came", "cart.item_added", into=new, out_of=cold, opens=True),
            on("called", into=talking),
            on("paid", into=won, out_of=ANY),
            after(hours=48, out_of=[new, talking], into=cold, since="activity"),
            after(hours=24, out_of=cold, into=new),
            by_hand(into=lost),
        ],
    )
    if hook is not None:
        for stage in pipeline.stages:
            pipeline.move_into(stage)(hook)
    return pipeline


class Shop:
    """A board on the store under test, its clock, and short ways to make things happen."""

    def __init__(self, store: Store, pipeline: Pipeline | None = None) -> None:
        self.store = store
        self.clock = ManualClock(START)
        self.board = self.open(pipeline or contract_ladder())
        self._count = 0

    @property
    def is_sealed(self) -> bool:
        """Whether the store encrypts what people write, so that it can search in none of it."""
        return bool(getattr(self.store, "is_sealed", False))

    def open(self, pipeline: Pipeline, **options: Any) -> Board:
        """Open another board on the same store."""
        backoff = Backoff(first=10, tries=2)
        return Board(pipeline, store=self.store, clock=self.clock, backoff=backoff, **options)

    def event(self, kind: str, deal: str = "d", hours: float = 0, **fields: Any) -> Event:
        """Return a new event some hours from the start."""
        self._count += 1
        fields.setdefault("id", f"e{self._count}")
        return Event(kind, deal=deal, at=START + hours * HOUR, **fields)

    def handle(self, kind: str, deal: str = "d", hours: float = 0, **fields: Any) -> Outcome:
        """Handle a new event, letting the clock reach it, and return the outcome."""
        event = self.event(kind, deal, hours, **fields)
        if event.at > self.clock.now():
            self.clock.set(event.at)
        return self.board.handle(event).outcome

    def stage(self, deal: str = "d") -> str:
        """Return the stage that a deal is in."""
        assert_single_stage(self.board.history(deal))
        return self.board.deal(deal).stage.key

    def states(self, deal: str = "d") -> dict[str, str]:
        """Return name and state of a deal's effects."""
        return {effect.name: effect.state.value for effect in self.board.effects(deal)}

    def contents(self) -> Any:
        """Return everything the board can read."""
        deals = sorted(self.board.deals(), key=lambda deal: deal.id)
        histories = [self.board.history(deal.id) for deal in deals]
        events = [self.board.events(deal.id) for deal in deals]
        return deals, histories, events, self.board.effects(), self.board.summary()


@contextlib.contextmanager
def refused(kind: type[Exception]) -> Iterator[None]:
    """Assert that the block raises an error of this kind, and swallow it."""
    try:
        yield
    except kind:
        return
    raise AssertionError(f"nothing raised {kind.__name__}")


def same(found: object, expected: object, what: str) -> None:
    """Assert that what was found is what was expected."""
    if found != expected:
        raise AssertionError(f"{what}: found {found!r}, expected {expected!r}")
