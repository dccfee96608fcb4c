"""Every SQL statement of the PostgreSQL store, by name.

Where the dialects agree the text is SQLite's, translated; here are the rules of translation and
the texts that differ.
"""

from __future__ import annotations

import functools
import re
from types import SimpleNamespace
from typing import Any, Final

from . import sqlite_statements as shared
from .postgres_names import Names
from .postgres_schema import column_types
from .sqlite_statements import _DEAL, _EFFECT

__all__ = ["Batched", "statements"]

_SHARED: Final = (
    "PIPELINE PIPELINES SAVE_PIPELINE LOAD_DEAL LOAD_DEALS LOAD_DEAL_BY_ID EVERY_DEAL COUNT_DEALS "
    "SAVE_DEAL NOTE_FAILURE DUE_DEALS STAGE_COUNTS TOTALS DOCUMENT SAVE_DOCUMENT ADD_EVENT "
    "REMOVE_EVENT EVENTS REPLACE_EVENT_DATA ADD_MOVE CLOSE_VISIT REOPEN_VISIT CUT_MOVES MOVES "
    "RENAME_OUT_OF RENAME_INTO REMOVE_DEAL ADD_EFFECT END_VISIT_EFFECTS VANISH_VISIT_EFFECTS "
    "REVIVE_VISIT_EFFECTS UNDO_LEAVING_EFFECTS OPEN_TASKS DEAD_LETTERS EFFECT READY_EFFECTS "
    "CLAIM_EFFECT REPLACE_EFFECT_PAYLOAD SAVING"
).split()

_TRANSLATION: Final = (
    (r"\?", "%s"),
    (r"iif\((.+?), (.+?), (.+?)\)", r"CASE WHEN \1 THEN \2 ELSE \3 END"),
    (r"IN \(SELECT value FROM json_each\(%s\)\)", "= ANY(%s)"),
    (r"json_each\(%s\) wanted", "unnest(%s::text[]) wanted (value)"),
    # Hints to SQLite's planner.
    (r"\bCROSS JOIN (\w+ \w+) ON\b", r"JOIN \1 ON"),
    (r"\+d\.", "d."),
    (r"\bladder_(pipelines|deals|documents|events|moves|effects)\b", r"{tables}\1"),
)

_OWN: Final[dict[str, str]] = {
    "DEAL_ID": "SELECT deal FROM {tables}deals WHERE id = %s",
    # Readers of a pipeline's definition share a lock that whoever changes it takes alone. The
    # lock comes first and the reading after it, in a statement of its own: at READ COMMITTED a
    # statement sees what was committed before it began, and not while it waited.
    "SHARE_PIPELINE": (
        "SELECT pg_advisory_xact_lock_shared({lock}, id) FROM {tables}pipelines WHERE name = %s"
    ),
    "CHANGE_PIPELINE": """
SELECT pg_advisory_xact_lock({lock}, coalesce(
    (SELECT id FROM {tables}pipelines WHERE name = %s), 0))
""",
    "SAVE_DEFINITION": """
UPDATE {tables}pipelines SET definition = %s, migrating = %s WHERE name = %s AND fingerprint = %s
""",
    # Above READ COMMITTED later statements see no more than the first: there the row itself says
    # whether it was changed since, by a serialization failure.
    "PIN_PIPELINE": """
SELECT 1 FROM {tables}pipelines
WHERE id = %s AND current_setting('transaction_isolation') <> 'read committed' FOR SHARE
""",
    "LOCK_DEAL": """
SELECT pg_advisory_xact_lock_shared({lock}, %s::integer),
    (SELECT id FROM {tables}deals WHERE pipeline = %s AND deal = %s FOR NO KEY UPDATE)
""",
    "LOCK_DEAL_BY_ID": "SELECT id FROM {tables}deals WHERE id = %s FOR NO KEY UPDATE",
    "ADD_DEAL": """
INSERT INTO {tables}deals (pipeline, deal) VALUES (%s, %s)
ON CONFLICT (pipeline, deal) DO NOTHING RETURNING id
""",
    # Everybody adds in the order of names and locks in the order of numbers, so that no two
    # batches wait for each other.
    "ADD_MISSING_DEALS": """
INSERT INTO {tables}deals (pipeline, deal)
SELECT %s, name FROM unnest(%s::text[]) wanted (name) WHERE NOT EXISTS (
    SELECT FROM {tables}deals WHERE pipeline = %s AND deal = name)
ORDER BY name COLLATE "C" ON CONFLICT (pipeline, deal) DO NOTHING
""",
    "LOCK_DEALS": """
SELECT id FROM {tables}deals WHERE pipeline = %s AND deal = ANY(%s)
ORDER BY id FOR NO KEY UPDATE
""",
    "DOCUMENTS": "SELECT deal, data FROM {tables}documents WHERE deal = ANY(%s)",
    "KNOWN_EVENTS": """
SELECT source, id, digest FROM unnest(%s::text[], %s::text[]) wanted (of_source, of_id)
JOIN {tables}events ON pipeline = %s AND source = of_source AND id = of_id
""",
    "NEXT_WAKE": """
SELECT least(
    (SELECT min(greatest(due_at, retry_at)) FROM (
        SELECT due_at, retry_at FROM {tables}deals
        WHERE pipeline = %s AND due_at IS NOT NULL ORDER BY due_at LIMIT 100) soonest),
    (SELECT ready_at FROM {tables}effects
        WHERE pipeline = %s AND state IN ('pending', 'claimed') AND name = ANY(%s)
        ORDER BY ready_at LIMIT 1))
""",
    "UNADOPTED": f"""
SELECT {_DEAL} FROM {{tables}}deals d
WHERE d.pipeline = %s AND d.removed_at IS NULL AND d.definition IS DISTINCT FROM %s
ORDER BY d.id LIMIT %s FOR NO KEY UPDATE
""",
    "EVENTS_WITH_CONTACT": """
SELECT DISTINCT deal FROM {tables}events WHERE pipeline = %s
    AND json_typeof(data #> ARRAY['contact', %s]) = 'string' AND data #>> ARRAY['contact', %s] = %s
""",
    "DEALS_WITH_CONTACT": """
SELECT c.deal FROM {tables}documents c JOIN {tables}deals d ON d.id = c.deal WHERE d.pipeline = %s
    AND json_typeof(c.data #> ARRAY['contact', %s]) = 'string'
    AND c.data #>> ARRAY['contact', %s] = %s
""",
    "DEALS": f"""
SELECT c.data, {_DEAL} FROM {{tables}}deals d LEFT JOIN {{tables}}documents c ON c.deal = d.id
WHERE d.pipeline = %s AND d.stage IS NOT NULL AND d.id > %s
    AND (%s::text[] IS NULL OR d.stage = ANY(%s)) AND (%s::text IS NULL OR d.owner = %s)
ORDER BY d.id LIMIT %s
""",
    "EFFECTS": f"""
SELECT {_EFFECT} FROM {{tables}}effects e JOIN {{tables}}deals d ON d.id = e.deal
WHERE e.pipeline = %s AND (%s::text[] IS NULL OR e.state = ANY(%s)) ORDER BY e.due_at, e.key
""",
    "EFFECTS_OF_DEAL": f"""
SELECT {_EFFECT} FROM {{tables}}effects e JOIN {{tables}}deals d ON d.id = e.deal
WHERE e.pipeline = %s AND e.deal = %s AND (%s::text[] IS NULL OR e.state = ANY(%s))
ORDER BY e.due_at, e.key
""",
    "SETTLE_EFFECT": """
UPDATE {tables}effects
SET state = %s, lease = NULL, ready_at = coalesce(%s::timestamptz, ready_at), error = %s
WHERE key = %s AND lease IS NOT DISTINCT FROM coalesce(%s, lease)
""",
    "NOTIFY": "SELECT pg_notify(%s, '')",
}

_LOCKED: Final = {
    "DUE_DEALS": " FOR NO KEY UPDATE OF d SKIP LOCKED",
    "READY_EFFECTS": " FOR NO KEY UPDATE OF d, e SKIP LOCKED",
}
"""Reads that, in a transaction that writes, take what they return away from other workers."""


@functools.cache
def statements(names: Names) -> Any:
    """Return a namespace with every statement for these tables."""
    texts: dict[str, Any] = {name: translated(getattr(shared, name)) for name in _SHARED} | _OWN
    for name, suffix in _LOCKED.items():
        texts[f"LOCK_{name}"] = texts[name] + suffix
    return SimpleNamespace(
        **{
            name: tuple(map(names.fill, text)) if isinstance(text, tuple) else names.fill(text)
            for name, text in texts.items()
        }
    )


def translated(text: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """Return the PostgreSQL form of a statement, or of several, written for SQLite."""
    if isinstance(text, tuple):
        return tuple(str(translated(part)) for part in text)
    for pattern, replacement in _TRANSLATION:
        text = re.sub(pattern, replacement, text)
    return text


class Batched:
    """A statement for one row, made into one for many, which are passed as a JSON array.

    That takes a third of the time that sending the rows one by one takes.
    """

    def __init__(self, statement: bytes) -> None:
        text = statement.decode()
        table = re.search(r"(?:INTO|UPDATE|FROM) \S*?_?([a-z]+)\b(?=[ \n])", text)
        assert table is not None
        types = column_types(table[1])
        insert = re.match(r"\s*INSERT INTO (\S+)\s*\(([^)]*)\)\s*VALUES \([^)]*\)(.*)", text, re.S)
        if insert is not None:
            columns = [column.strip() for column in insert[2].split(",")]
        else:
            columns = re.findall(r"(\w+) >?= %s", text)
        self.fields = tuple(f"p{number}" for number in range(len(columns)))
        declared, values = [], []
        for field, column in zip(self.fields, columns, strict=True):
            is_json = types[column] == "json"
            declared.append(f"{field} {'text' if is_json else types[column]}")
            values.append(f"r.{field}::json" if is_json else f"r.{field}")
        rows = f"json_to_recordset(%s) AS r ({', '.join(declared)})"
        if insert is not None:
            listed = ", ".join(columns)
            text = f"INSERT INTO {insert[1]} ({listed}) SELECT {', '.join(values)} FROM {rows} {insert[3]}"
        else:
            joined = "USING" if text.lstrip().startswith("DELETE") else "FROM"
            filled = iter(values)
            text = re.sub("%s", lambda _: next(filled), text)
            text = text.replace("WHERE", f"{joined} {rows} WHERE", 1)
        self.statement = text.encode()
