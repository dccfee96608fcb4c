"""Files full of deals with a timer due, written directly; and their sweep, written by hand."""

from __future__ import annotations

import datetime as dt
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ladderpipe import Event, ManualClock, Pipeline, Stage, after, on
from ladderpipe.model.visit import visit_key

from .by_hand import (
    ADD_CUSTOMER,
    ADD_EVENT,
    ADD_MOVE,
    ADD_UP,
    REMOVE_EMPTY_TOTALS,
    SAVE_DOCUMENT,
    SAVE_SEARCH,
    encode,
    micros,
    numbered,
)
from .ladders import START
from .stores import assert_same_rows, connect, open_board

TWO_DAYS = 48 * 3600 * 1_000_000
ONE_DAY = dt.timedelta(days=1)
RECORDED = START + ONE_DAY
"""When the deals were recorded: after the last of them was opened, before the first is due."""
ALL_DUE = START + dt.timedelta(days=30)


def timed_ladder() -> Pipeline:
    """Return a ladder whose deals turn cold two days after they were opened."""
    lead, cold = Stage("lead"), Stage("cold", status="abandoned")
    return Pipeline(
        "timed",
        stages=[lead, cold],
        rules=[on("lead.created", into=lead, opens=True), after(hours=48, out_of=lead, into=cold)],
    )


def build(path: Path, deals: int) -> None:
    """Write a file as it stands when that many deals were handled, in no order of their due time.

    The first hundred deals are handled by a board, too, and the rows compared.
    """
    _write(path, deals)
    written, handled = path.with_suffix(".written"), path.with_suffix(".handled")
    _write(written, 100)
    board = open_board(timed_ladder(), handled, ManualClock(RECORDED))
    for event in opening_events(100):
        board.handle(event)
    board.close()
    assert_same_rows(written, handled)
    written.unlink()
    handled.unlink()


def opening_events(deals: int) -> Iterator[Event]:
    """Yield the one event that each deal has."""
    numbers = random.Random(0)
    for n in range(deals):
        at = START + numbers.random() * ONE_DAY
        data = {"contact": {"email": f"{n}@example.com"}}
        yield Event("lead.created", deal=f"deal-{n}", id=f"e{n}", at=at, data=data)


def _write(path: Path, deals: int) -> None:
    pipeline = timed_ladder()
    open_board(pipeline, path, ManualClock(RECORDED)).close()
    connection = connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    words = numbered(connection, timed_words(pipeline))
    rows: list[tuple[Any, ...]] = []
    for number, event in enumerate(opening_events(deals), 1):
        rows.append(rows_of(number, event, pipeline, micros, TWO_DAYS, words))
        if len(rows) == 10_000 or number == deals:
            for statement, of_table in zip(_ADD_ROWS, zip(*rows, strict=True), strict=True):
                connection.executemany(statement, of_table)
            rows.clear()
    connection.execute(ADD_UP, ("lead", None, deals, 0, 0, 0))
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


_ADD_OPEN_DEAL = """
INSERT INTO ladder_deals (id, pipeline, deal, stage, visit, visit_key, entered_at, activity_at,
    opened_at, due_at, last_event_at, cursor_at, cursor_id, definition, customer, title, touched_at)
VALUES (?, 1, ?, 'lead', 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_ADD_ROWS = (_ADD_OPEN_DEAL, ADD_EVENT, ADD_MOVE, SAVE_DOCUMENT, ADD_CUSTOMER, SAVE_SEARCH)


def timed_words(pipeline: Pipeline) -> list[str]:
    """Return the words in the rows of deals on :func:`timed_ladder`."""
    return ["lead.created", "lead", "cold", *(rule.key or "" for rule in pipeline.rules)]


def rows_of(
    number: int,
    event: Event,
    pipeline: Pipeline,
    instant: Callable[[dt.datetime], Any],
    wait: Any,
    words: dict[str, int],
) -> tuple[tuple[Any, ...], ...]:
    """Return what an opening event leaves.

    That is a deal, an event, a move, a document, the key of a customer, and what a search finds.
    """
    at, recorded_at = instant(event.at), instant(RECORDED)
    rule = pipeline.rules[0].key or ""
    key = visit_key(None, "lead", rule, event)
    data = event.data_text()
    digest, blob = bytes.fromhex(event.digest(data))[:4], bytes.fromhex(key)
    document = encode({"title": event.deal, **event.data})
    address = event.data["contact"]["email"]
    email = f"email:{address}"
    known = (pipeline.fingerprint, encode(["", [email], ["email"]]), event.deal, recorded_at)
    return (
        (number, event.deal, key, at, at, at, at + wait, at, at, event.id, *known),
        (number, "", event.id, words[event.type], at, 0, data, digest, recorded_at, False),
        (number, 1, blob, None, words["lead"], at, recorded_at, words[rule], "", event.id),
        (number, document),
        (email, number),
        (number, "\n".join((event.deal, event.deal, address))),
    )


DUE = """
SELECT id, visit, visit_key, stage, due_at FROM ladder_deals
WHERE pipeline = 1 AND due_at <= ? AND (retry_at IS NULL OR retry_at <= ?) ORDER BY due_at LIMIT ?
"""
SAVE_DEAL = """
UPDATE ladder_deals SET stage = ?, visit = ?, visit_key = ?, entered_at = ?, activity_at = ?,
    due_at = NULL, horizon = ?, swept_to = ?, timers = ?, definition = ?, touched_at = ?
WHERE id = ?
"""


class SweepByHand:
    """The sweep of :func:`timed_ladder`, and of nothing else, on one connection."""

    def __init__(self, connection: sqlite3.Connection, now: dt.datetime) -> None:
        pipeline = timed_ladder()
        self._connection = connection
        self._now = micros(now)
        self._rule = pipeline.rules[1].key or ""
        self._words = numbered(connection, timed_words(pipeline))
        self._definition = pipeline.fingerprint

    def sweep(self, limit: int, batch: int) -> None:
        """Sweep *limit* deals, *batch* to a transaction."""
        for _ in range(limit // batch):
            self._connection.execute("BEGIN IMMEDIATE")
            fingerprint = self._connection.execute(
                "SELECT fingerprint FROM ladder_pipelines WHERE name = 'timed'"
            ).fetchone()[0]
            assert fingerprint == self._definition
            self._write(self._connection.execute(DUE, (self._now, self._now, batch)).fetchall())
            self._connection.execute("COMMIT")

    def _write(self, due: list[tuple[Any, ...]]) -> None:
        deals, moves = [], []
        now, rule, words = self._now, self._rule, self._words
        timers = encode({"fired": [rule]})
        for number, visit, left_key, stage, at in due:
            key = visit_key(left_key, "cold", rule, None)
            deals.append(
                ("cold", visit + 1, key, at, at, at, now, timers, self._definition, now, number)
            )
            said = (bytes.fromhex(key), words[stage], words["cold"], at, now, words[rule])
            moves.append((number, visit + 1, *said, None, None))
        totals = [("lead", None, -len(due), 0, 0, 0), ("cold", None, len(due), 0, 0, 0)]
        self._connection.executemany(ADD_UP, totals)
        self._connection.execute(REMOVE_EMPTY_TOTALS)
        self._connection.executemany(SAVE_DEAL, deals)
        self._connection.executemany(ADD_MOVE, moves)
