"""How a file of a former version is brought up to date: numbered steps, in whole transactions."""

from __future__ import annotations

import json
import logging
import sqlite3
from typing import Final

from ...errors import StoreError
from ...model.delivery import task_due
from ..listing import told_again
from ..micros import from_micros, to_micros
from ..sql_rows import DIGEST_BYTES, blob_of, whole_digest
from .migrations import BESIDES, COPIES, KEEPS_AS_IT_IS, LISTS, MIGRATIONS, NARROW, TASKS
from .schema import version_of

__all__ = ["upgrade"]

_log = logging.getLogger("ladderpipe.store")

COPIED_AT_ONCE: Final = 5_000
"""Deals whose rows are made anew in one transaction."""
_HIGHEST: Final = 2**63 - 1


def upgrade(connection: sqlite3.Connection) -> None:
    """Bring tables to the newest version, one numbered step after another.

    A large file takes several transactions: who is killed between them leaves what the next one
    goes on with, and processes that start together take turns.

    Raises:
        StoreError: the file was written by a later version of the library, or has indexes,
            triggers or views of somebody else's on tables that are made anew.
    """
    # Rows are copied as they are; and tables that are replaced would be searched for children.
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.create_function("ladder_blob", 1, _blob, deterministic=True)
    connection.create_function("ladder_digest", 5, _digest, deterministic=True)
    try:
        while not _is_up_to_date(connection):
            pass
    finally:
        connection.execute("PRAGMA foreign_keys = ON")


def _is_up_to_date(connection: sqlite3.Connection) -> bool:
    """Do what one transaction can, and return whether that was all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("CREATE TABLE IF NOT EXISTS ladder_schema (version INTEGER NOT NULL)")
        reached = version_of(connection)
        if reached > len(MIGRATIONS):
            raise StoreError(
                f"this file has schema version {reached} and this ladderpipe knows "
                f"{len(MIGRATIONS)}: install a later ladderpipe"
            )
        for number, script in enumerate(MIGRATIONS[reached:], reached + 1):
            if number == NARROW and not _copy_some(connection):
                break
            _run(connection, script)
            if number == LISTS:
                _fill_lists(connection)
            if number == TASKS:
                _fill_tasks(connection)
            reached = number
        connection.execute("DELETE FROM ladder_schema")
        connection.execute("INSERT INTO ladder_schema VALUES (?)", (reached,))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return reached == len(MIGRATIONS)


def _run(connection: sqlite3.Connection, script: str) -> None:
    for statement in script.split(";\n"):
        if statement.strip():
            connection.execute(statement)


def _copy_some(connection: sqlite3.Connection) -> bool:
    """Copy the next deals' events and moves into narrow rows; return whether they were the last."""
    begun = "SELECT 1 FROM sqlite_master WHERE name = 'ladder_narrowed'"
    if connection.execute(begun).fetchone() is None:
        _refuse_what_would_be_lost(connection)
        _run(connection, BESIDES)
    (last,) = connection.execute("SELECT deal FROM ladder_narrowed").fetchone()
    upto, count = connection.execute(
        "SELECT max(id), count(*) FROM "
        "(SELECT id FROM ladder_deals WHERE id > ? ORDER BY id LIMIT ?)",
        (last, COPIED_AT_ONCE),
    ).fetchone()
    is_last: bool = count < COPIED_AT_ONCE
    for statement in COPIES:
        connection.execute(statement, (last, _HIGHEST if is_last else upto))
    if not is_last:
        _log.info("a file is being brought up to date: deals up to number %d are done", upto)
        for statement in KEEPS_AS_IT_IS:
            connection.execute(statement)
    return is_last


def _refuse_what_would_be_lost(connection: sqlite3.Connection) -> None:
    """Refuse to make tables anew on which somebody has indexes, triggers or views.

    Raises:
        StoreError: somebody has.
    """
    found = connection.execute(
        "SELECT type, name FROM sqlite_master WHERE type IN ('index', 'trigger', 'view') "
        "AND (sql LIKE '%ladder!_events%' ESCAPE '!' OR sql LIKE '%ladder!_moves%' ESCAPE '!') "
        "AND name NOT LIKE 'ladder!_%' ESCAPE '!' ORDER BY name"
    ).fetchone()
    if found is not None:
        kind, name = found
        raise StoreError(
            f"the tables ladder_events and ladder_moves are made anew with other columns, and the "
            f"{kind} {name} would be lost: drop it, open the board once, and create it again"
        )


def _blob(text: str | None) -> str | bytes | None:
    """Return a key or digest in half as many bytes; what is none stays as it is."""
    try:
        blob = blob_of(text)
    except ValueError:
        return text
    return blob if blob is None or blob.hex() == text else text


def _digest(
    digest: str | None, type: str, deal: str | None, micros: int, data: str
) -> str | bytes | None:
    """Return as much of an event's digest as is kept; all of it where the row does not give it."""
    blob = _blob(digest)
    at = from_micros(micros)
    assert at is not None
    if isinstance(blob, bytes) and whole_digest(b"", type, deal, at, data) == digest:
        return blob[:DIGEST_BYTES]
    return blob


def _fill_lists(connection: sqlite3.Connection) -> None:
    """Work out of every deal's data what its lists are sorted by and searched in."""
    rows = connection.execute(
        "SELECT d.pipeline, d.id, d.deal, d.value, c.data FROM ladder_deals d "
        "JOIN ladder_documents c ON c.deal = d.id"
    ).fetchall()
    for pipeline, number, told in told_again(rows):
        connection.execute(
            "UPDATE ladder_deals SET units = ?, fraction = ?, title = ?, source = ? WHERE id = ?",
            (*told[:4], number),
        )
        connection.execute(
            "INSERT INTO ladder_search (company, text, pipeline, deal) VALUES (?, ?, ?, ?)",
            (*told[4:], pipeline, number),
        )


def _fill_tasks(connection: sqlite3.Connection) -> None:
    """Note by when tasks are to be done that are open, or may be again."""
    rows = connection.execute(
        "SELECT key, due_at, payload FROM ladder_effects "
        "WHERE name = 'task' AND state IN ('open', 'cancelled')"
    ).fetchall()
    for key, micros, payload in rows:
        due_at = from_micros(micros)
        assert due_at is not None
        ready_at = to_micros(task_due(due_at, json.loads(payload)))
        connection.execute("UPDATE ladder_effects SET ready_at = ? WHERE key = ?", (ready_at, key))
