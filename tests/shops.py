"""Shops: boards over any store, told what happens, with what they sent on record."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pymysql

from ladderpipe import (
    ANY,
    Board,
    Delivery,
    Event,
    ManualClock,
    MemoryStore,
    Pipeline,
    Receipt,
    SqliteStore,
    Stage,
    after,
    by_hand,
    do,
    on,
    wait,
)
from ladderpipe.board.stored import stored_until
from ladderpipe.model.clock import instant
from tests.mariadb import mariadb_rows_by_table
from tests.postgres import rows_by_table

START = "2026-01-05T09:00:00Z"
HOUR = dt.timedelta(hours=1)

_numbers = itertools.count(1)


def lead_ladder(sequence: bool = False) -> Pipeline:
    """Return a short ladder: new, talking, won, cold (by timers) and lost (by hand)."""
    steps = [
        do("email", template="first"),
        wait(hours=24),
        do("task", title="Call", due_hours=4),
        wait(hours=24),
        do("email", template="last", expires=dt.timedelta(hours=6)),
    ]
    new = Stage("new", sequence=steps if sequence else ())
    talking = Stage("talking", sequence=[do("task", title="Meet", owner="Bea")] if sequence else ())
    won = Stage("won", status="won")
    cold = Stage("cold", status="abandoned")
    lost = Stage("lost", status="lost", requires=["why"])
    return Pipeline(
        "leads",
        stages=[cold, new, talking, won, lost],
        rules=[
            on("lead", into=new, out_of=[cold], opens=True),
            on("call", into=talking, out_of=[new, cold]),
            on("order", into=won, out_of=ANY),
            after(hours=72, out_of=new, into=cold),
            after(hours=48, out_of=talking, since="activity", into=cold),
            by_hand(into=new, opens=True),
            by_hand(into=lost),
        ],
    )


class Shop:
    """A board with a manual clock; its ``email`` handler keeps what it was given."""

    def __init__(self, pipeline: Pipeline, store: Any, start: str = START, **settings: Any) -> None:
        self.clock = ManualClock(start)
        self.board = Board(pipeline, store=store, clock=self.clock, **settings)
        self.pipeline = pipeline
        self.store = store
        self.sent: list[Delivery] = []
        self.board.handles("email")(self.sent.append)

    def event(self, kind: str, deal: str = "d", *, hours: float = 0, **given: Any) -> Event:
        """Return an event with a fresh identity, some hours from now (or ago)."""
        given.setdefault("id", f"{kind}-{next(_numbers)}")
        at = given.pop("at", self.clock.now() + hours * HOUR)
        named = {name: given.pop(name) for name in ("id", "seq") if name in given}
        return Event(kind, deal=deal, at=at, data=given, **named)

    def tell(self, kind: str, deal: str = "d", *, hours: float = 0, **given: Any) -> Receipt:
        """Handle an event that happened some hours from now (or ago)."""
        return self.board.handle(self.event(kind, deal, hours=hours, **given))

    def wait(self, hours: float) -> None:
        """Let time pass, with no worker looking."""
        self.clock.advance(hours=hours)

    def work(self) -> None:
        """Let the worker do one round."""
        self.board.tick()
        self.board.deliver()

    @property
    def stage(self) -> str:
        return self.board.deal("d").stage.key

    @property
    def stages(self) -> list[str]:
        return [visit.stage.key for visit in self.board.history("d").visits]

    @property
    def mails(self) -> list[str]:
        """Templates of the mails sent so far."""
        return [delivery.payload["template"] for delivery in self.sent]

    def states(self, deal: str | None = None) -> dict[str, str]:
        """Return the state of every effect, by its template, title or name."""
        return {
            str(e.payload.get("template") or e.payload.get("title") or e.name): e.state.value
            for e in self.board.effects(deal)
        }


def names_of(records: Iterable[Any]) -> list[str]:
    return [record.name for record in records]


def make_store(kind: str, folder: Path) -> Any:
    """Return an empty store: ``memory``, or ``sqlite`` in a file of *folder*."""
    return MemoryStore() if kind == "memory" else SqliteStore(folder / "shop.db")


def contents(store: Any) -> dict[str, Any]:
    """Return everything in a store, to compare before and after."""
    if isinstance(store, MemoryStore):
        tables = vars(store._tables)
        return {name: dict(t) for name, t in tables.items() if isinstance(t, dict)}
    with store.transaction(write=False) as transaction:
        return tables_of(transaction.connection)


def tables_of(connection: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table of a database."""
    if isinstance(connection, pymysql.Connection):
        return mariadb_rows_by_table(connection)
    if not isinstance(connection, sqlite3.Connection):
        return rows_by_table(connection)
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {
        name: sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
        for (name,) in names
    }


def believed(board: Board, deal: str) -> Any:
    """Return what a board stores of a deal, without what a bare fold cannot know."""
    try:
        history = board.history(deal)
    except LookupError:
        return None
    return history.deal, tuple(m._replace(recorded_at=None) for m in history.moves), history.visits


def folded(board: Board, deal: str) -> Any:
    """Return what the fold makes of a deal's stored events."""
    with board.store.transaction(write=False) as transaction:
        stored, _, _ = transaction.load(board._session.number, deal, create=False)
    if stored is None:
        return None
    history = board.pipeline.fold(board.events(deal), stored_until(stored))
    return None if history is None else (history.deal, history.moves, history.visits)


def assert_is_the_fold(board: Board, deals: Iterable[str] = ("d",)) -> None:
    for deal in deals:
        assert believed(board, deal) == folded(board, deal), deal


def wide_rows(store: Any, number: int, deals: Iterable[str]) -> dict[str, Any]:
    """Return the stored rows of deals without their numbers, to compare two stores."""
    found: dict[str, Any] = {}
    with store.transaction(write=False) as transaction:
        for deal in deals:
            stored, document, _ = transaction.load(number, deal, create=False)
            if stored is None:
                continue
            moves = transaction.moves(stored.id)
            effects = [
                # Each store hashes addresses with a secret of its own.
                e._replace(deal_id=0, address=e.address and "hashed")
                for e in transaction.effects(number, stored.id, None)
            ]
            events = sorted(
                (e.source, e.id, e.type, e.at, e.seq, e.data_text(), at)
                for e, at in transaction.events(stored.id)
            )
            data = json.loads(document) if document else None
            found[deal] = stored._replace(id=0), data, moves, effects, events
    return found


Hooks = Mapping[tuple[str, str], Callable[[Any], None]]


def register(pipeline: Pipeline, **hooks: Callable[[Any], None]) -> Pipeline:
    """Register hooks by name, ``into_cold=...`` or ``out_of_new=...``, and return the pipeline."""
    for name, hook in hooks.items():
        direction, _, stage = name.rpartition("_")
        decorate = pipeline.move_into if direction == "into" else pipeline.move_out_of
        decorate(pipeline.stage(stage))(hook)
    return pipeline


def at(text: str) -> dt.datetime:
    return instant(text)
