"""(f) The same job on engines that persist: deals that are opened, talked to, quoted and won.

Each side keeps where a deal stands and a 48-hour timer for every stage but the last, on disk,
before it answers; each is driven by the fastest way its public interface has.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import dbos
import harel  # type: ignore[import-untyped]
import psycopg
from harel.engine.store import (  # type: ignore[import-untyped]
    PostgresStore as HarelPostgresStore,
)

from ladderpipe import Board, Event, ManualClock, SqliteStore
from ladderpipe.stores import PostgresStore, Store

from .harness import Pair, Report, Row, compare, in_parts, in_turns, paired, rate, timed
from .ladders import IN_FLIGHT, QUOTED, START, quoted, quoted_deals
from .postgres import open_board, server

METHOD = """\
Deals of four events (opened, called, quoted, ordered), fifty in flight, each stage but the last
with a timer of 48 hours. Every side persists the stage and the timer before it takes the next event
of a deal, drops a repeated event by its id, and is driven by one thread through its public
interface: `board.handle`; harel's `DurableRunner(execution="inline")`, without its trace; a DBOS
workflow to a deal, which waits with `recv(timeout_seconds=...)`, is sent each event with an
idempotency key and publishes the stage with `set_event` (DBOS runs the workflows on threads of its
own, and is done when the last stage of the last is published). Ours also keeps events and moves,
which harel does not and DBOS does as the steps of a workflow. All on one PostgreSQL server as it is
installed, or on SQLite files with each library's own settings. In turns, one part of the stream to
a round; harel has no call for many events or many timers, and takes them one by one.\
"""

STAGES = ("lead", "talking", "quote", "won")
TWO_DAYS = dt.timedelta(hours=48)
SECONDS = 48 * 3600
PART = IN_FLIGHT * len(QUOTED)


def run(quick: bool, folder: Path) -> Report:
    rounds = 2 if quick else 5
    with (
        server() as found,
        psycopg.connect(found.new_database()) as connection,
        closing(harel.SqliteStore(str(folder / "harel.db"))) as harel_file,
        closing(Workflows(found.new_database())) as flows,
    ):
        server_store = PostgresStore(found.new_database())
        rows = _compare("PostgreSQL", server_store, HarelPostgresStore(connection), rounds)
        rows += _compare("SQLite", SqliteStore(folder / "ours.db"), harel_file, rounds)
        rows.insert(1, _against_workflows(found.new_database(), flows, rounds))
    return Report("Against engines that persist", METHOD, rows)


def _compare(where: str, store: Store, harel_store: Any, rounds: int) -> list[Row]:
    """Compare with harel: one event at a time, in batches as it has none, and what falls due."""
    events = list(quoted_deals(IN_FLIGHT * rounds, "single"))
    batches = list(quoted_deals(IN_FLIGHT * rounds, "batch"))
    clock = ManualClock(START + TWO_DAYS)
    with closing(Board(quoted(), store=store, clock=clock)) as board:
        charts = Statecharts(harel_store, clock)
        sides = [
            in_parts(events, PART, lambda part: [board.handle(event) for event in part]),
            in_parts(batches, PART, board.handle_many),
            in_parts(events, PART, charts.handle),
        ]
        single, many, theirs = in_turns(sides, rounds)
        waiting = [e for e in quoted_deals(2 * PART, "timers") if e.type == "opened"]
        board.handle_many(waiting)
        charts.handle(waiting)
        clock.advance(hours=49)
        ticks = compare(timed(lambda: _tick(board, len(waiting))), timed(charts.fire), rounds=1)
    return [
        _row(f"`handle` on {where}, against harel", paired(single, theirs)),
        _row(f"`handle_many` on {where}, against harel one at a time", paired(many, theirs)),
        _row(
            f"`tick` on {where}, against harel's `fire_due_timers`", ticks, len(waiting), "timers"
        ),
    ]


def _tick(board: Board, due: int) -> None:
    report = board.tick()
    assert report.moves == due, report


def _against_workflows(url: str, flows: Workflows, rounds: int) -> Row:
    events = list(quoted_deals(IN_FLIGHT * rounds, "flow"))
    with closing(open_board(quoted(), url, ManualClock(START + TWO_DAYS))) as board:
        ours = in_parts(events, PART, lambda part: [board.handle(event) for event in part])
        theirs = in_parts(events, PART, flows.handle)

        def settled() -> float:
            seconds = theirs()
            flows.settle()
            return seconds

        pair = compare(ours, settled, rounds)
    return _row("`handle` on PostgreSQL, against a DBOS workflow to a deal", pair)


def _row(what: str, pair: Pair, count: int = PART, unit: str = "events") -> Row:
    return Row(
        what, f"{rate(count, pair.ours, unit)} : {rate(count, pair.theirs, unit)}", pair.speed
    )


CHART = f"""
event called {{ by: string }}
event quoted {{ by: string }}
event ordered {{ by: string }}

machine deal {{
  initial Lead
  state Lead {{ timeout {SECONDS} }}
  state Talking {{ timeout {SECONDS} }}
  state Quote {{ timeout {SECONDS} }}
  final Won success
  final Cold failed

  from Lead to Talking on called
  from Talking to Quote on quoted
  from Quote to Won on ordered
  from Lead to Cold on Timeout
  from Talking to Cold on Timeout
  from Quote to Cold on Timeout
}}
"""


class Statecharts:
    """The deals on harel, on a store of its own."""

    def __init__(self, store: Any, clock: ManualClock) -> None:
        definition = harel.definition_from_dsl(CHART, "deal")
        self._definition = definition.id
        self._runner = harel.DurableRunner(
            store,
            {definition.id: definition},
            clock=lambda: clock.now().timestamp(),
            execution="inline",
        )

    def handle(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.type == "opened":
                self._runner.create(self._definition, execution_id=event.deal)
            else:
                told = harel.Event(kind=event.type, id=event.id, data=dict(event.data))
                execution = self._runner.process(event.deal, told)
                assert event.type != "ordered" or execution.outcome == "success"

    def fire(self) -> int:
        """Fire what is due."""
        fired: int = self._runner.fire_due_timers()
        return fired


class Workflows:
    """The deals on DBOS, a workflow to each."""

    def __init__(self, url: str) -> None:
        dbos.DBOS(config={"name": "deals", "system_database_url": url, "log_level": "ERROR"})
        published = threading.Semaphore(0)

        @dbos.DBOS.workflow()
        def deal() -> str:
            moves = iter(STAGES)
            stage = next(moves)
            dbos.DBOS.set_event("stage", stage)
            for stage in moves:
                if dbos.DBOS.recv(timeout_seconds=SECONDS) is None:
                    stage = "cold"
                    break
                dbos.DBOS.set_event("stage", stage)
            published.release()
            return stage

        self._published = published
        self._deal = deal
        self._handles: list[Any] = []
        dbos.DBOS.launch()

    def handle(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.type == "opened":
                with dbos.SetWorkflowID(event.deal):
                    self._handles.append(dbos.DBOS.start_workflow(self._deal))
            else:
                message = {"type": event.type, **event.data}
                dbos.DBOS.send(event.deal, message, idempotency_key=event.id)
        for _ in self._handles:
            self._published.acquire()

    def settle(self) -> None:
        """Wait until nothing goes on behind the others' backs, which is not counted."""
        assert {handle.get_result() for handle in self._handles} <= {"won"}
        self._handles = []

    def close(self) -> None:
        dbos.DBOS.destroy()
