"""Every SQL statement of the PostgreSQL store, by name.

Where the dialects agree the text is SQLite's, translated; here are the rules of translation and
the texts that differ. ``OFFSET 0`` keeps the planner to looking each row up by its key, however
little it knows yet about the size of a table that is filling.
"""

from __future__ import annotations

import functools
import re
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

from ..sql_listing import EFFECT as _EFFECT
from ..sqlite import statements as shared
from ..sqlite.statements import _DEAL, _UNSENT
from .names import Names
from .schema import column_types

__all__ = ["Many", "statements"]

_SHARED: Final = (
    "SCHEMA_VERSION",
    "PIPELINE",
    "PIPELINES",
    "SAVE_PIPELINE",
    "LOAD_DEAL",
    "LOAD_DEAL_BY_ID",
    "EVERY_DEAL",
    "CLOSED_DEALS",
    "COUNT_DEALS",
    "SAVE_DEAL",
    "SAVE_SWEPT_DEAL",
    "SAVE_TOLD_DEAL",
    "NOTE_FAILURE",
    "DUE_DEALS",
    "SWEPT_AHEAD",
    "DEALS",
    "COUNT_OUT",
    "COUNT_IN",
    "COUNT_MANY_OUT",
    "COUNT_MANY_IN",
    "MISCOUNTED",
    "RECOUNT",
    "STAGE_COUNTS",
    "TROUBLED_DEALS",
    "CHANGED_DEALS",
    "SAVE_SEARCH",
    "DOCUMENT",
    "SAVE_DOCUMENT",
    "ADD_EVENT",
    "REMOVE_EVENT",
    "EVENTS",
    "EVENTS_BETWEEN",
    "EVENTS_OF",
    "REPLACE_EVENT_DATA",
    "ADD_MOVE",
    "CUT_MOVES",
    "MOVES",
    "MOVES_OF",
    "CHECKPOINT_BEFORE",
    "CHECKPOINTS",
    "COUNT_SINCE_CHECKPOINT",
    "ADD_CHECKPOINT",
    "CUT_CHECKPOINTS",
    "RENAME_OUT_OF",
    "RENAME_INTO",
    "END_RENAMING",
    "WORDS",
    "WORD",
    "WORD_NUMBER",
    "ADD_WORD",
    "REMOVE_DEAL",
    "REMOVE_UNUSED_DEAL",
    "ADD_EFFECT",
    "END_VISIT_EFFECTS",
    "VANISH_VISIT_EFFECTS",
    "REVIVE_VISIT_EFFECTS",
    "UNDO_LEAVING_EFFECTS",
    "OPEN_TASKS",
    "DEAD_LETTERS",
    "COUNT_DEAD_LETTERS",
    "EFFECT",
    "PUT_OFF_EFFECTS",
    "CLAIM_EFFECT",
    "GIVE_TASK",
    "WAKE_EFFECTS",
    "COUNT_WAITING",
    "ADD_CUSTOMER",
    "COUNT_CROWDS",
    "MERGED_INTO_NOTHING",
    "FORGET_CUSTOMER",
    "UNINDEXED",
    "SECRET",
    "NOTE_SUBSCRIPTION",
    "TAKE_BACK_SUBSCRIPTION",
    "LAST_SUBSCRIPTION",
    "NOTE_ARM",
    "NEWER_EFFECT",
    "ADD_SECRET",
    "NOTE",
    "NOTES",
    "ADD_NOTE",
    "LOCK_NOTE",
    "SET_NOTE",
    "REMOVE_NOTE",
    "RESEAL_EVENT",
    "RESEAL_EFFECT",
    "DEAL_OF_EFFECT",
    "REPLACE_EFFECT_PAYLOAD",
    "HOLD",
    "HELD",
    "HELD_OF_DEAL",
    "HELD_BY_KEY",
    "HELD_DUE",
    "COUNT_HELD",
    "COUNT_UNDECLARED",
    "REMARKS",
    "REMARK_EVENT",
    "COUNT_REMARKS",
    "COUNT_READY",
    "REPLACE_HELD",
    "REMOVE_HELD",
    "HELD_OF_CUSTOMER",
    "ADD_HELD_CUSTOMER",
    "REMOVE_HELD_CUSTOMER",
    "FORGET_ASIDE",
    "CHAIN",
    "ADD_CHAIN",
    "MOVE_CHAIN",
    "LAST_LINK",
    "LINKS",
    "ADD_LINK",
    "FREE_DEALS",
    "UNCHAINED",
    "SALTS",
    "SAVE_SALT",
    "ADD_LEAF",
    "RETIRE_LEAVES",
    "REMOVE_LEAVES",
    "ERASE_SALT",
    "RETIRED_LEAVES",
    "NOTE_RETIRED",
    "OPEN_LINKS",
    "DROP_LEAVES",
    "LEAVES_OF",
    "LEAVES_BETWEEN",
    "RETIRED_BETWEEN",
    "STRAY_LEAVES",
    "STRAY_RETIRED",
    "SAVING",
)

_DOCUMENT: Final = (
    "LEFT JOIN LATERAL (SELECT data FROM {tables}documents WHERE deal = d.id OFFSET 0) c ON true"
)
_TRANSLATION: Final = (
    ("%", "%%"),
    (r"\?", "%s"),
    (r"\binstr\(", "strpos("),
    (r"iif\((.+?), (.+?), (.+?)\)", r"CASE WHEN \1 THEN \2 ELSE \3 END"),
    (r"IN \(SELECT value FROM json_each\(%s\)\)", "= ANY(%s)"),
    # Here a total has as many rows as there were changes, and is their sum.
    (r"(?s)ON CONFLICT \(pipeline, stage, .*", ""),
    # A hint to SQLite's planner.
    (r"\+([de])\.", r"\1."),
    # Else a page of deals may be merged with all documents up to its last.
    (r"LEFT JOIN ladder_documents c ON c\.deal = d\.id", _DOCUMENT),
    (
        r"\bladder_(schema|pipelines|deals|documents|events|moves|effects|held|customers|crowds|"
        r"secrets|subscriptions|arms|held_customers|search|checkpoints|totals|words|chains|links|"
        r"leaves|salts|retired)\b",
        r"{tables}\1",
    ),
)

_NOTE: Final = "ladderpipe.locked"
"""Holds the numbers of the deals locked last, until the transaction ends."""
_IS_LOCKED: Final = f"d.id = ANY(current_setting('{_NOTE}')::bigint[])"

_OWN: Final[dict[str, str]] = {
    # One that was being built and never finished is there, and of no use.
    "INDEXES": """
SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indisvalid AND c.relnamespace = '{schema}'::regnamespace
""",
    "DATABASE_NOW": "SELECT clock_timestamp()",
    "LOCKED_NOTE": "SELECT value FROM {tables}secrets WHERE name = %s FOR UPDATE",
    # Readers of a pipeline's definition share a lock that whoever changes it takes alone. The
    # lock comes first and the reading after it, in a statement of its own: at READ COMMITTED a
    # statement sees what was committed before it began, and not while it waited.
    "SHARE_PIPELINE": (
        "SELECT pg_advisory_xact_lock_shared({lock}, id) FROM {tables}pipelines WHERE name = %s"
    ),
    "SHARE_PIPELINE_BY_ID": "SELECT pg_advisory_xact_lock_shared({lock}, %s::integer)",
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
    "PIN_PIPELINE_BY_NAME": """
SELECT 1 FROM {tables}pipelines
WHERE name = %s AND current_setting('transaction_isolation') <> 'read committed' FOR SHARE
""",
    # A deal that another transaction is just adding is not there to be locked, and may be there to
    # be read a moment later: so a lock notes what it locked, and only that is read under it.
    "LOCK_DEAL": f"""
SELECT pg_advisory_xact_lock_shared({{lock}}, %s::integer), set_config('{_NOTE}', array(
    SELECT id FROM {{tables}}deals WHERE pipeline = %s AND deal = %s FOR NO KEY UPDATE)::text, true)
""",
    "LOAD_LOCKED_DEAL": f"""
SELECT CASE WHEN p.migrating IS NULL THEN p.fingerprint END, c.data, {_DEAL}
FROM {{tables}}pipelines p
LEFT JOIN {{tables}}deals d ON d.pipeline = p.id AND d.deal = %s AND {_IS_LOCKED}
LEFT JOIN {{tables}}documents c ON c.deal = d.id
WHERE p.id = %s
""",
    "LOCK_DEAL_BY_ID": "SELECT id FROM {tables}deals WHERE id = %s FOR NO KEY UPDATE",
    "ADD_DEAL": """
INSERT INTO {tables}deals (pipeline, deal) VALUES (%s, %s)
ON CONFLICT (pipeline, deal) DO NOTHING RETURNING id
""",
    # Everybody adds in the order of names and locks in the order of numbers, so that no two
    # batches wait for each other; the numbers are given out in the order of the batch.
    "ADD_MISSING_DEALS": """
WITH numbered AS MATERIALIZED (
    SELECT nextval(pg_get_serial_sequence('{tables}deals', 'id')) AS id, name FROM (
        SELECT name FROM unnest(%s::text[]) WITH ORDINALITY wanted (name, place)
        WHERE NOT EXISTS (SELECT FROM {tables}deals WHERE pipeline = %s AND deal = name OFFSET 0)
        ORDER BY place) missing)
INSERT INTO {tables}deals (id, pipeline, deal) OVERRIDING SYSTEM VALUE
SELECT id, %s, name FROM numbered ORDER BY name COLLATE "C"
ON CONFLICT (pipeline, deal) DO NOTHING
""",
    "LOCK_DEALS": f"""
SELECT set_config('{_NOTE}', array(
    SELECT id FROM {{tables}}deals WHERE pipeline = %s AND deal = ANY(%s)
    ORDER BY id FOR NO KEY UPDATE)::text, true)
""",
    "LOAD_LOCKED_DEALS": f"""
SELECT c.data, {_DEAL} FROM unnest(current_setting('{_NOTE}')::bigint[]) locked (number)
CROSS JOIN LATERAL (SELECT * FROM {{tables}}deals WHERE id = number OFFSET 0) d
LEFT JOIN {{tables}}documents c ON c.deal = d.id
""",
    "DOCUMENTS": "SELECT deal, data FROM {tables}documents WHERE deal = ANY(%s)",
    "KNOWN_EVENTS": """
SELECT e.source, e.id, e.deal, e.type_word, e.at, e.seq, e.digest, d.deal, e.data
FROM unnest(%s::text[], %s::text[]) wanted (of_source, of_id)
CROSS JOIN LATERAL (
    SELECT * FROM {tables}events
    WHERE pipeline = %s AND source = of_source AND id = of_id OFFSET 0) e
LEFT JOIN LATERAL (SELECT deal FROM {tables}deals WHERE id = e.deal OFFSET 0) d ON true
""",
    "NEXT_WAKE": """
SELECT least(
    (SELECT min(greatest(due_at, retry_at)) FROM (
        SELECT due_at, retry_at FROM {tables}deals
        WHERE pipeline = %s AND due_at IS NOT NULL ORDER BY due_at LIMIT 100) soonest),
    (SELECT min(ready_at) FROM unnest(%s::text[]) wanted (of_name) CROSS JOIN LATERAL (
        SELECT ready_at FROM {tables}effects
        WHERE pipeline = %s AND state IN ('pending', 'claimed') AND name = of_name
        ORDER BY ready_at LIMIT 1) soonest),
    (SELECT min(retry_at) FROM {tables}held WHERE pipeline = %s AND retry_at IS NOT NULL))
""",
    "UNADOPTED": f"""
SELECT {_DEAL} FROM {{tables}}deals d
WHERE d.pipeline = %s AND d.removed_at IS NULL AND d.definition IS DISTINCT FROM %s
    AND d.id > %s
ORDER BY d.id LIMIT %s FOR NO KEY UPDATE
""",
    "EVENTS_WITH_CONTACT": """
SELECT DISTINCT deal FROM {tables}events WHERE pipeline = %s
    AND json_typeof(data #> ARRAY['contact', %s]) IN ('string', 'number')
    AND data #>> ARRAY['contact', %s] = %s
""",
    "DEALS_WITH_CONTACT": """
SELECT c.deal FROM {tables}documents c JOIN {tables}deals d ON d.id = c.deal WHERE d.pipeline = %s
    AND json_typeof(c.data #> ARRAY['contact', %s]) IN ('string', 'number')
    AND c.data #>> ARRAY['contact', %s] = %s
""",
    "DEALS_IN_STAGES": f"""
SELECT c.data, {_DEAL} FROM (
    SELECT found.id FROM unnest(%s::text[]) wanted (of_stage)
    CROSS JOIN LATERAL (
        SELECT id FROM {{tables}}deals
        WHERE pipeline = %s AND stage = of_stage AND id > %s ORDER BY id LIMIT %s) found
    ORDER BY found.id LIMIT %s) page
CROSS JOIN LATERAL (SELECT * FROM {{tables}}deals WHERE id = page.id OFFSET 0) d
{_DOCUMENT}
ORDER BY d.id
""",
    "DEALS_BY_ID": f"""
SELECT c.data, {_DEAL} FROM unnest(%s::bigint[]) wanted (number)
CROSS JOIN LATERAL (SELECT * FROM {{tables}}deals WHERE id = number OFFSET 0) d
{_DOCUMENT}
""",
    "DEALS_OF_OWNER": f"""
SELECT c.data, {_DEAL} FROM {{tables}}deals d {_DOCUMENT}
WHERE d.pipeline = %s AND d.owner = %s AND d.id > %s AND d.stage IS NOT NULL
    AND (%s::text[] IS NULL OR d.stage = ANY(%s))
ORDER BY d.id LIMIT %s
""",
    "OLDEST_EFFECT": f"""
WITH RECURSIVE named (name) AS (
    (SELECT name FROM {{tables}}effects
        WHERE pipeline = %s AND state IN ('pending', 'claimed') ORDER BY name LIMIT 1)
    UNION ALL
    SELECT later.name FROM named CROSS JOIN LATERAL (
        SELECT name FROM {{tables}}effects
        WHERE pipeline = %s AND state IN ('pending', 'claimed') AND name > named.name
        ORDER BY name LIMIT 1) later)
SELECT {_EFFECT} FROM named
CROSS JOIN LATERAL (
    SELECT * FROM {{tables}}effects
    WHERE pipeline = %s AND state IN ('pending', 'claimed') AND name = named.name
    ORDER BY ready_at LIMIT 1) e
JOIN {{tables}}deals d ON d.id = e.deal
ORDER BY e.ready_at LIMIT 1
""",
    "READY_EFFECTS": f"""
SELECT {_EFFECT} FROM unnest(%s::text[]) wanted (of_name)
CROSS JOIN LATERAL (
    SELECT * FROM {{tables}}effects
    WHERE pipeline = %s AND state IN ('pending', 'claimed') AND name = of_name
        AND ready_at <= %s AND (ready_at, key) > (%s, %s)
    ORDER BY ready_at, key LIMIT %s) e
JOIN {{tables}}deals d ON d.id = e.deal
ORDER BY e.ready_at, e.key LIMIT %s
""",
    # By their keys: what is added keeps the planner from going along all that is ready.
    "FREE_EFFECT": f"""
SELECT {_EFFECT} FROM {{tables}}effects e JOIN {{tables}}deals d ON d.id = e.deal
WHERE e.pipeline + 0 = %s AND e.state || '' IN ('pending', 'claimed')
    AND e.ready_at + interval '0' <= %s AND e.key = ANY(%s)
ORDER BY e.ready_at, e.key LIMIT 1
""",
    "EFFECTS": f"""
SELECT {_EFFECT} FROM {{tables}}effects e JOIN {{tables}}deals d ON d.id = e.deal
WHERE e.pipeline = %s AND (%s::text[] IS NULL OR e.state = ANY(%s)) ORDER BY e.due_at, e.key
""",
    "UNSENT_EFFECTS": f"""
SELECT {_EFFECT} FROM unnest(%s::text[]) wanted (of_deal)
CROSS JOIN LATERAL (
    SELECT * FROM {{tables}}deals WHERE pipeline = %s AND deal = of_deal OFFSET 0) d
CROSS JOIN LATERAL (SELECT * FROM {{tables}}effects WHERE deal = d.id OFFSET 0) e
WHERE {_UNSENT}
ORDER BY e.due_at, e.key
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
    "DECIDE_EFFECT": """
UPDATE {tables}effects SET state = %s, lease = NULL, decisions = %s,
    ready_at = coalesce(%s::timestamptz, ready_at), delayed_until = %s::timestamptz,
    address = coalesce(%s, address), sent_at = %s::timestamptz, attempts = coalesce(%s, attempts)
WHERE key = %s AND lease IS NOT DISTINCT FROM coalesce(%s, lease)
""",
    "LOCK_CUSTOMERS": """
SELECT count(*) FROM (
    SELECT pg_advisory_xact_lock(number) FROM (
        SELECT number FROM unnest(%s::bigint[]) wanted (number) ORDER BY number OFFSET 0) sorted
    OFFSET 0) locked
""",
    "TRY_LOCK_CUSTOMERS": """
SELECT bool_and(free) FROM (
    SELECT pg_try_advisory_xact_lock(number) AS free FROM (
        SELECT number FROM unnest(%s::bigint[]) wanted (number) ORDER BY number OFFSET 0) sorted
    OFFSET 0) tried
""",
    "HANDS_SINCE": """
SELECT e.deal, e.type_word, d.deal, e.id, e.at, e.source, e.seq, e.data, e.recorded_at
FROM unnest(%s::bigint[]) wanted (number)
CROSS JOIN LATERAL (SELECT * FROM {tables}events WHERE deal = number AND at >= %s OFFSET 0) e
JOIN {tables}deals d ON d.id = e.deal
WHERE e.type_word IN (SELECT id FROM {tables}words WHERE word = ANY(%s))
ORDER BY e.deal, e.at, e.seq, e.source, e.id
""",
    "SENT_TO": """
SELECT sent_at FROM {tables}effects
WHERE address = %s AND sent_at > %s AND key <> %s AND purpose = 'marketing'
    AND state IN ('delivered', 'claimed', 'dropped') AND (%s::bigint IS NULL OR deal = %s)
ORDER BY sent_at DESC LIMIT %s
""",
    "ARMS": """
SELECT a.key, a.arm, a.at FROM unnest(%s::text[]) wanted (of_key)
CROSS JOIN LATERAL (SELECT * FROM {tables}arms WHERE key = of_key OFFSET 0) a
""",
    "HELD_AMONG": """
SELECT of_deal FROM unnest(%s::text[]) wanted (of_deal) WHERE EXISTS (
    SELECT FROM {tables}held
    WHERE pipeline = %s AND deal = of_deal AND discarded_at IS NULL OFFSET 0)
""",
    "MARK_CROWDS": """
INSERT INTO {tables}crowds (pipeline, key)
SELECT %s, of_key FROM unnest(%s::text[]) wanted (of_key)
WHERE (SELECT count(*) FROM (
    SELECT 1 FROM {tables}customers WHERE key = of_key LIMIT %s) held) >= %s
ON CONFLICT DO NOTHING
""",
    "UNMARK_CROWDS": """
DELETE FROM {tables}crowds AS crowd WHERE key = ANY(%s)
    AND (SELECT count(*) FROM (
        SELECT 1 FROM {tables}customers c WHERE c.key = crowd.key LIMIT %s) held) < %s
""",
    "DEALS_OF_CUSTOMER": """
SELECT of_key, d.pipeline, d.id, d.deal, d.stage, d.closed_at
FROM unnest(%s::text[]) wanted (of_key)
CROSS JOIN LATERAL (
    SELECT deal FROM {tables}customers WHERE key = of_key ORDER BY deal LIMIT %s) found
JOIN {tables}deals d ON d.id = found.deal
ORDER BY of_key, d.id
""",
    "NOTIFY": "SELECT pg_notify(%s, '')",
    "MERGE_TOTALS": "SELECT {tables}merge_totals(0, max(id)) FROM {tables}totals",
}

_LOCKED: Final = {
    "SWEPT_AHEAD": " FOR NO KEY UPDATE OF d SKIP LOCKED",
    "DUE_DEALS": " FOR NO KEY UPDATE OF d SKIP LOCKED",
    "FREE_EFFECT": " FOR NO KEY UPDATE OF d, e SKIP LOCKED",
    "HELD_BY_KEY": " FOR UPDATE",
    "UNINDEXED": " FOR NO KEY UPDATE OF d SKIP LOCKED",
    "CHAIN": " FOR NO KEY UPDATE",
    "FREE_DEALS": " FOR NO KEY UPDATE OF d SKIP LOCKED",
}
"""Reads that, in a transaction that writes, keep what they return from everybody else."""

_INSERT: Final = r"(\s*INSERT INTO \S+\s*\(([^)]*)\))\s*VALUES \([^)]*\)(.*)"
_MANY: Final = (
    "ADD_EVENT",
    "REMOVE_EVENT",
    "REPLACE_EVENT_DATA",
    "RESEAL_EVENT",
    "REMOVE_UNUSED_DEAL",
    "ADD_LEAF",
    "SAVE_SALT",
    "NOTE_RETIRED",
    "DROP_LEAVES",
)
"""Statements that are run for many rows, besides those of ``SAVING``."""


@functools.cache
def statements(names: Names) -> Any:
    """Return a namespace with every statement for these tables.

    In it, ``MANY`` has for statements that write a row the one that writes many.
    """
    texts: dict[str, Any] = {name: translated(getattr(shared, name)) for name in _SHARED} | _OWN
    for name, suffix in _LOCKED.items():
        texts[f"LOCK_{name}"] = texts[name] + suffix
    found: dict[str, Any] = {
        name: tuple(map(names.fill, text)) if isinstance(text, tuple) else names.fill(text)
        for name, text in texts.items()
    }
    many = [*texts["SAVING"], *(texts[name] for name in _MANY)]
    found["MANY"] = {names.fill(text): Many.of(text, names) for text in many}
    return SimpleNamespace(**found)


@functools.lru_cache(maxsize=512)
def spelled(text: str, names: Names) -> bytes:
    """Return a statement that was put together in SQLite's words, for these tables."""
    return names.fill(str(translated(text)))


def translated(text: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """Return the PostgreSQL form of a statement, or of several, written for SQLite."""
    if isinstance(text, tuple):
        return tuple(str(translated(part)) for part in text)
    for pattern, replacement in _TRANSLATION:
        text = re.sub(pattern, replacement, text)
    return text


class Many(NamedTuple):
    """A statement for many rows, which are passed as a JSON array of objects.

    It takes a third of the time that the same statement takes row by row.
    """

    statement: bytes
    fields: tuple[str, ...]

    @classmethod
    def of(cls, text: str, names: Names) -> Many:
        """Make the statement out of the one for a single row."""
        table = _find(r"\{tables\}(\w+)", text)[1]
        insert = re.match(_INSERT, text, re.DOTALL)
        columns = re.findall(r"\w+", insert[2]) if insert else re.findall(r"(\w+) [<>]?= %s", text)
        fields, declared, values = [], [], []
        for number, column in enumerate(columns):
            field, kind = f"p{number}", column_types(table)[column]
            # A column of JSON comes as text, so that it is kept to the letter.
            fields.append(field)
            declared.append(f"{field} {'text' if kind == 'json' else kind}")
            values.append(f"r.{field}::json" if kind == "json" else f"r.{field}")
        rows = f"json_to_recordset(%s) AS r ({', '.join(declared)})"
        if insert:
            text = f"{insert[1]} SELECT {', '.join(values)} FROM {rows} {insert[3]}"
        else:
            before, where, after = text.partition("WHERE")
            joined = "USING" if "DELETE" in before else "FROM"
            filled = iter(values)
            before, after = (re.sub("%s", lambda _: next(filled), t) for t in (before, after))
            text = f"{before} {joined} {rows} {where} {after}"
        return cls(names.fill(text), tuple(fields))


def _find(pattern: str, text: str) -> re.Match[str]:
    found = re.search(pattern, text)
    assert found is not None, text
    return found
