"""Databases full of deals with a timer due, copied in; and their sweep, written by hand."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import psycopg

from ladderpipe import ManualClock
from ladderpipe.model.visit import visit_key
from tests.postgres import PostgresServer

from .by_hand import ADD_TO_TOTAL, encode, numbered
from .overdue import RECORDED, opening_events, rows_of, timed_ladder, timed_words
from .postgres import assert_same_rows, drop, open_board

COLUMNS = {
    "ladder_deals": "id, deal, visit_key, entered_at, activity_at, opened_at, due_at, "
    "last_event_at, cursor_at, cursor_id, definition, customer, title, touched_at, pipeline, "
    "stage, visit",
    "ladder_events": "deal, source, id, type_word, at, seq, data, digest, recorded_at, undeclared, "
    "pipeline",
    "ladder_moves": "deal, n, visit_key, out_of_word, into_word, at, recorded_at, rule_word, "
    "event_source, event_id",
    "ladder_documents": "deal, data",
    "ladder_customers": "key, deal",
    "ladder_search": "deal, text, pipeline",
}
CONSTANTS: dict[str, tuple[Any, ...]] = {
    "ladder_deals": (1, "lead", 1),
    "ladder_events": (1,),
    "ladder_search": (1,),
}
AT_ONCE = 50_000
_ADD_UP = ADD_TO_TOTAL.replace("?", "%s")


def build(server: PostgresServer, deals: int) -> str:
    """Return a database as it stands when that many deals were handled, its statistics gathered.

    The first hundred deals are handled by a board, too, and the rows compared.
    """
    written, handled = _written(server, 100), server.new_database()
    with closing(open_board(timed_ladder(), handled, ManualClock(RECORDED))) as board:
        for event in opening_events(100):
            board.handle(event)
    assert_same_rows(written, handled)
    drop(server, written)
    drop(server, handled)
    return _written(server, deals)


def _written(server: PostgresServer, deals: int) -> str:
    url = server.new_database()
    open_board(timed_ladder(), url, ManualClock(RECORDED)).close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # no look-ups of foreign keys
        words = numbered(connection, timed_words(timed_ladder()))
        for rows in _in_chunks(deals, words):
            for table, of_table in zip(COLUMNS, zip(*rows, strict=True), strict=True):
                _copy(connection, table, of_table)
        connection.execute(_ADD_UP, ("lead", None, deals, 0, 0, 0))
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    return url


def _in_chunks(deals: int, words: dict[str, int]) -> Iterator[list[tuple[tuple[Any, ...], ...]]]:
    pipeline, wait = timed_ladder(), dt.timedelta(hours=48)
    rows = (
        rows_of(number, event, pipeline, lambda at: at, wait, words)
        for number, event in enumerate(opening_events(deals), 1)
    )
    while chunk := list(itertools.islice(rows, AT_ONCE)):
        yield chunk


def _copy(connection: psycopg.Connection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    more = CONSTANTS.get(table, ())
    statement = f"COPY {table} ({COLUMNS[table]}) FROM STDIN"
    with connection.cursor().copy(statement.encode()) as copy:
        for row in rows:
            copy.write_row(row + more)


DUE = """
SELECT id, visit, visit_key, stage, due_at FROM ladder_deals
WHERE pipeline = 1 AND due_at <= %s AND (retry_at IS NULL OR retry_at <= %s)
ORDER BY due_at LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
"""
SAVE_DEAL = """
UPDATE ladder_deals d SET stage = 'cold', visit = r.visit, visit_key = r.key, entered_at = r.at,
    activity_at = r.at, closed_at = NULL, due_at = NULL, horizon = r.at, swept_to = %s,
    timers = %s, definition = %s, touched_at = %s
FROM unnest(%s::bigint[], %s::integer[], %s::text[], %s::timestamptz[]) r (id, visit, key, at)
WHERE d.id = r.id
"""
ADD_MOVE = """
INSERT INTO ladder_moves
    (deal, n, visit_key, out_of_word, into_word, at, recorded_at, rule_word)
SELECT deal, n, key, out_of, %s, at, %s, %s
FROM unnest(%s::bigint[], %s::integer[], %s::bytea[], %s::integer[], %s::timestamptz[])
    r (deal, n, key, out_of, at)
"""


class SweepByHand:
    """The sweep of :func:`timed_ladder`, and of nothing else: two round trips to a batch."""

    def __init__(self, connection: psycopg.Connection, now: dt.datetime) -> None:
        pipeline = timed_ladder()
        self._connection = connection
        self._cursor = connection.cursor()
        self._now = now
        self._rule = pipeline.rules[1].key or ""
        self._words = numbered(connection, timed_words(pipeline))
        self._definition = pipeline.fingerprint

    def sweep(self, limit: int, batch: int) -> None:
        """Sweep *limit* deals, *batch* to a transaction."""
        for _ in range(limit // batch):
            with self._connection.pipeline():
                self._cursor.execute("BEGIN")
                known = self._connection.execute(
                    "SELECT fingerprint FROM ladder_pipelines WHERE name = 'timed'"
                )
                self._cursor.execute(DUE, (self._now, self._now, batch))
            assert known.fetchone() == (self._definition,)
            self._write(self._cursor.fetchall())

    def _write(self, due: list[tuple[Any, ...]]) -> None:
        now, rule, timers = self._now, self._rule, encode({"fired": [self._rule]})
        words = self._words
        ids, visits, left, stages, ats = map(list, zip(*due, strict=True))
        keys = [visit_key(key, "cold", rule, None) for key in left]
        after = [visit + 1 for visit in visits]
        with self._connection.pipeline():
            execute = self._cursor.execute
            execute(SAVE_DEAL, (now, timers, self._definition, now, ids, after, keys, ats))
            said = (words["cold"], now, words[rule])
            out_of, blobs = [words[stage] for stage in stages], list(map(bytes.fromhex, keys))
            execute(ADD_MOVE, (*said, ids, after, blobs, out_of, ats))
            execute(_ADD_UP, ("lead", None, -len(due), 0, 0, 0))
            execute(_ADD_UP, ("cold", None, len(due), 0, 0, 0))
            execute("COMMIT")
