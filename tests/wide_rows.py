"""Events and moves as they stood until version 14 of the schema: words, and digests as text."""

from __future__ import annotations

import datetime as dt
import sqlite3
from typing import Any, Final

from ladderpipe.model.event import digest_of
from ladderpipe.stores.micros import from_micros

CHAINS: Final = ("chains", "links", "leaves", "salts", "retired")
"""Tables that are there from version 16 on."""

WIDEN: Final = (
    *(f"DROP TABLE ladder_{name}" for name in CHAINS),
    "CREATE TABLE wide_events AS SELECT e.deal, e.at, e.seq, e.source, e.id, e.pipeline, "
    "w.word AS type, e.data, CASE WHEN e.digest IS NOT NULL THEN d.deal END AS digest, "
    "e.recorded_at, e.undeclared, e.remark FROM ladder_events e "
    "JOIN ladder_words w ON w.id = e.type_word JOIN ladder_deals d ON d.id = e.deal",
    "CREATE TABLE wide_moves AS SELECT m.deal, m.n, v.visit_key, o.word AS out_of, "
    "i.word AS into_stage, m.at, m.recorded_at, r.word AS rule, m.event_source, m.event_id "
    "FROM ladder_moves m JOIN ladder_visits v ON v.deal = m.deal AND v.n = m.n "
    "LEFT JOIN ladder_words o ON o.id = m.out_of_word "
    "JOIN ladder_words i ON i.id = m.into_word JOIN ladder_words r ON r.id = m.rule_word",
    *(f"DROP VIEW ladder_{name}" for name in ("moves_read", "events_read", "visits")),
    *(f"DROP TABLE ladder_{name}" for name in ("events", "moves", "words")),
    "ALTER TABLE wide_events RENAME TO ladder_events",
    "ALTER TABLE wide_moves RENAME TO ladder_moves",
    "CREATE UNIQUE INDEX ladder_events_once ON ladder_events (pipeline, source, id)",
    "CREATE VIEW ladder_visits AS SELECT m.deal, m.n, m.visit_key, m.into_stage AS stage, "
    "m.at AS entered_at, later.at AS left_at FROM ladder_moves m "
    "LEFT JOIN ladder_moves later ON later.deal = m.deal AND later.n = m.n + 1",
    "UPDATE ladder_schema SET version = 14",
)


def widen(connection: Any) -> None:
    """Make the tables on a connection of either database what they were in version 14."""
    for statement in WIDEN:
        connection.execute(statement)
    rows = connection.execute(
        "SELECT type, digest, at, CAST(data AS text), pipeline, source, id FROM ladder_events "
        "WHERE digest IS NOT NULL"
    ).fetchall()
    mark = "?" if isinstance(connection, sqlite3.Connection) else "%s"
    for kind, deal, at, data, *identity in rows:
        instant = at.astimezone(dt.UTC) if isinstance(at, dt.datetime) else from_micros(at)
        connection.execute(
            f"UPDATE ladder_events SET digest = {mark} "
            f"WHERE pipeline = {mark} AND source = {mark} AND id = {mark}",
            (digest_of(kind, deal, instant, data), *identity),
        )
