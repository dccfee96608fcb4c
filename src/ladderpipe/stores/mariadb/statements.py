"""Every SQL statement of the MariaDB store, by name.

Where the dialects agree the text is SQLite's, translated; here are the rules of translation and
the texts that differ. PyMySQL puts values into the text before it is sent, and so do we: a list is
a list of literals, and what asks for the first of each is written out for each.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, Final

import attrs

from ..base import CROWD
from ..sql_listing import EFFECT as _EFFECT
from ..sqlite import statements as shared
from ..sqlite.statements import _DEAL

__all__ = ["Statement", "spelled", "statements"]

_MOST_TEXT: Final = 1_000_000
"""Characters of a statement that writes many rows."""

_TRANSLATION: Final = (
    (
        r"\(\? IS NULL OR ([\w.]+) IN \(SELECT value FROM json_each\(\?\)\)\)",
        r"(?none OR \1 IN ?in)",
    ),
    (r"IN \(SELECT value FROM json_each\(\?\)\)", "IN ?in"),
    (r"json_each\(\?\)", "?table"),
    (r"\biif\(", "if("),
    (r"\b(\w+) / 1000000000", r"\1 DIV 1000000000"),
    # Here a total has as many rows as there were changes, and is their sum.
    (r"(?s)ON CONFLICT \(pipeline, stage, .*", ""),
    (r"(?s)ON CONFLICT \([^)]*\) DO UPDATE SET (.*?)(\bWHERE .*)?$", r"ON DUPLICATE KEY UPDATE \1"),
    (r"excluded\.(\w+)", r"VALUES(\1)"),
    (r"CROSS JOIN", "STRAIGHT_JOIN"),
    # Left to itself, the server begins with the deals, and sorts what an index has in order.
    (r"(ladder_(?:effects e|events e|held h))\s+JOIN", r"\1 STRAIGHT_JOIN"),
    (r"AND undeclared\b", "AND undeclared = 1"),
    # Hints to SQLite's planner.
    (r"\+(?=[a-z])", ""),
    (r"(?<![.\w`])key\b(?!`)", "`key`"),
)
_DO_NOTHING: Final = r"ON CONFLICT(?: \([^)]*\))? DO NOTHING"
_INSERTS: Final = r"\s*INSERT INTO (\w+)\s*\(([^,)]+)"
_PARAMETER: Final = re.compile(r"\?(in|table|pairs|none|value)?(\d*)")
_COMPARED: Final = re.compile(r"\(([\w.`, ]+)\) ([<>]) \((\?\d+(?:, \?\d+)*)\)")
_EACH: Final = re.compile(r"\{each (\d+): (.*?)\}", re.DOTALL)
_VALUES: Final = re.compile(r"(?s)(\s*INSERT .*?\bVALUES\s*)(\([^()]*\))(.*)")

_RETRIED: Final = "(d.retry_at IS NULL OR d.retry_at <= ? OR d.retry_at > ?)"
_DOCUMENT: Final = "LEFT JOIN ladder_documents c ON c.deal = d.id"
_PIPELINE_LOCK: Final = (
    "SELECT n FROM ladder_locks WHERE n = (SELECT -id FROM ladder_pipelines WHERE name = ?)"
)
_IS_CROWD: Final = (
    f"(SELECT 1 FROM ladder_customers o WHERE o.key = {{}} LIMIT 1 OFFSET {CROWD}) IS {{}}"
)
"""Whether a key has more deals than a customer has, which the index says without counting all."""

_OWN: Final[dict[str, str]] = {
    "INDEXES": (
        "SELECT DISTINCT index_name FROM information_schema.statistics "
        "WHERE table_schema = database()"
    ),
    "LOCKED_NOTE": f"{shared.NOTE} FOR UPDATE",
    "DATABASE_NOW": "SELECT CAST(unix_timestamp(sysdate(6)) * 1000000 AS SIGNED)",
    # Who relies on a definition shares the lock of a row that whoever changes it takes alone. It is
    # a row of its own, so that texts in a definition can change beside those who rely on it.
    "SHARE_PIPELINE": f"{_PIPELINE_LOCK} LOCK IN SHARE MODE",
    "SHARE_PIPELINE_BY_ID": "SELECT n FROM ladder_locks WHERE n = -? LOCK IN SHARE MODE",
    "CHANGE_PIPELINE": f"{_PIPELINE_LOCK} FOR UPDATE",
    "LOCK_SCHEMA": "SELECT version FROM ladder_schema FOR UPDATE",
    "ADD_PIPELINE": (
        "INSERT INTO ladder_pipelines (fingerprint, definition, migrating, name) "
        "VALUES (?, ?, ?, ?)"
    ),
    "ADD_PIPELINE_LOCK": (
        "INSERT INTO ladder_locks (n) SELECT -id FROM ladder_pipelines WHERE name = ?"
    ),
    "SAVE_PIPELINE": (
        "UPDATE ladder_pipelines SET fingerprint = ?, definition = ?, migrating = ? WHERE name = ?"
    ),
    "SAVE_DEFINITION": (
        "UPDATE ladder_pipelines SET definition = ?, migrating = ? "
        "WHERE name = ? AND fingerprint = ?"
    ),
    "FINGERPRINT": (
        "SELECT if(migrating IS NULL, fingerprint, NULL) FROM ladder_pipelines WHERE id = ?"
    ),
    # What a statement locks it also reads as it is then, and not as it was when it began.
    "LOCK_DEAL": f"""
SELECT (SELECT if(migrating IS NULL, fingerprint, NULL) FROM ladder_pipelines WHERE id = ?2),
    c.data, {_DEAL}
FROM ladder_deals d {_DOCUMENT} WHERE d.pipeline = ?2 AND d.deal = ?1 FOR UPDATE
""",
    "LOCK_DEAL_BY_ID": shared.LOAD_DEAL_BY_ID + " FOR UPDATE",
    "KNOWN_DEALS": "SELECT deal FROM ladder_deals WHERE pipeline = ? AND deal IN ?in",
    "LOCK_DEALS": f"""
SELECT c.data, {_DEAL} FROM ladder_deals d FORCE INDEX (pipeline) {_DOCUMENT}
WHERE d.pipeline = ? AND d.deal IN ?in FOR UPDATE
""",
    "ADD_EVENT": shared.ADD_EVENT.replace("INSERT", "INSERT IGNORE").replace(
        "ON CONFLICT DO NOTHING", ""
    ),
    "KNOWN_EVENTS": """
SELECT e.source, e.id, e.deal, e.type_word, e.at, e.seq, e.digest, d.deal, e.data
FROM ?pairs wanted
STRAIGHT_JOIN ladder_events e ON e.pipeline = ? AND e.source = wanted.source AND e.id = wanted.id
LEFT JOIN ladder_deals d ON d.id = e.deal
""",
    "UNADOPTED": f"""
SELECT {_DEAL} FROM ladder_deals d FORCE INDEX (PRIMARY)
WHERE d.pipeline = ? AND d.removed_at IS NULL AND NOT (d.definition <=> ?) AND d.id > ?
ORDER BY d.id LIMIT ?
""",
    # In the order of an index, so that no more is locked than is returned.
    "DUE_DEALS": f"""
SELECT {_DEAL} FROM ladder_deals d FORCE INDEX (ladder_deals_due)
WHERE d.pipeline = ? AND d.due_at <= ? AND {_RETRIED}
ORDER BY d.due_at LIMIT ?
""",
    "SWEPT_AHEAD": f"""
SELECT {_DEAL} FROM ladder_deals d FORCE INDEX (ladder_deals_swept)
WHERE d.pipeline = ? AND d.swept_to > ? AND d.horizon > ? AND {_RETRIED}
ORDER BY d.swept_to LIMIT ?
""",
    "UNINDEXED": f"""
SELECT c.data, {_DEAL} FROM ladder_deals d FORCE INDEX (ladder_deals_unindexed) {_DOCUMENT}
WHERE d.pipeline = ? AND d.is_unindexed = 1 ORDER BY d.id LIMIT ?
""",
    "DEALS_IN_STAGES": f"""
SELECT c.data, {_DEAL} FROM (
    SELECT id FROM ({{each 1: (SELECT id FROM ladder_deals
        WHERE pipeline = ?2 AND stage = ?value AND id > ?3 ORDER BY id LIMIT ?4)}}) found
    ORDER BY id LIMIT ?5) page
STRAIGHT_JOIN ladder_deals d ON d.id = page.id
{_DOCUMENT}
ORDER BY d.id
""",
    "NEXT_TIMER": """
SELECT min(greatest(due_at, coalesce(retry_at, due_at))) FROM (
    SELECT due_at, retry_at FROM ladder_deals
    WHERE pipeline = ? AND due_at IS NOT NULL ORDER BY due_at LIMIT 100) soonest
""",
    "NEXT_EFFECT": """
SELECT min(at) FROM ({each 2: (SELECT min(waits_at) AS at FROM ladder_effects
    WHERE pipeline = ?1 AND name = ?value)}) found
""",
    "READY_EFFECTS": f"""
SELECT {_EFFECT} FROM ({{each 1: (SELECT `key` FROM ladder_effects
    WHERE pipeline = ?2 AND name = ?value AND waits_at <= ?3 AND (waits_at, `key`) > (?4, ?5)
    ORDER BY waits_at, `key` LIMIT ?6)}}) ready
STRAIGHT_JOIN ladder_effects e ON e.key = ready.key
STRAIGHT_JOIN ladder_deals d ON d.id = e.deal
ORDER BY e.ready_at, e.key LIMIT ?7
""",
    "COUNT_READY": """
SELECT name, count(*) FROM ladder_effects
WHERE pipeline = ? AND name IN ?in AND waits_at <= ? GROUP BY name
""",
    "OLDEST_EFFECT": f"""
SELECT {_EFFECT} FROM ladder_effects e JOIN ladder_deals d ON d.id = e.deal
WHERE e.pipeline = ?1 AND e.waits_at IS NOT NULL ORDER BY e.waits_at LIMIT 1
""",
    "FREE_EFFECTS": """
SELECT deal, `key` FROM ladder_effects
WHERE pipeline = ? AND `key` IN ?in AND waits_at <= ? ORDER BY ready_at, `key`
""",
    # The deal first: who is passed over because somebody is at it leaves no lock behind.
    "LOCK_EFFECT": f"""
SELECT {_EFFECT} FROM ladder_deals d STRAIGHT_JOIN ladder_effects e ON e.deal = d.id
WHERE d.id = ? AND e.key = ? AND e.waits_at <= ? FOR UPDATE SKIP LOCKED
""",
    # From left to right, each with what was set before it: so the state is set last.
    "ADD_EFFECT": shared.ADD_EFFECT.partition("ON CONFLICT")[0]
    + "ON DUPLICATE KEY UPDATE "
    + ", ".join(
        f"{column} = if(ladder_effects.state = 'cancelled', {value}, ladder_effects.{column})"
        for column, value in (
            *(
                (column, f"VALUES({column})")
                for column in (
                    *("payload", "due_at", "ready_at", "expires_at", "purpose", "channel", "owner"),
                )
            ),
            ("delayed_until", "NULL"),
            ("state", "VALUES(state)"),
        )
    ),
    "DEALS_OF_CUSTOMER": """
SELECT found.of_key, d.pipeline, d.id, d.deal, d.stage, d.closed_at
FROM ({each 1: (SELECT `key` AS of_key, deal FROM ladder_customers
    WHERE `key` = ?value ORDER BY deal LIMIT ?2)}) found
STRAIGHT_JOIN ladder_deals d ON d.id = found.deal
ORDER BY found.of_key, d.id
""",
    "MARK_CROWDS": f"""
INSERT INTO ladder_crowds (pipeline, `key`)
SELECT ?1, wanted.value FROM ?table2 wanted WHERE {_IS_CROWD.format("wanted.value", "NOT NULL")}
ON DUPLICATE KEY UPDATE pipeline = ladder_crowds.pipeline
""",
    "UNMARK_CROWDS": f"""
DELETE FROM ladder_crowds WHERE `key` IN ?in1
    AND {_IS_CROWD.format("ladder_crowds.key", "NULL")}
""",
    "LOCK_CUSTOMERS": "SELECT n FROM ladder_locks WHERE n IN ?in ORDER BY n FOR UPDATE",
    "LOCK_FREE_CUSTOMERS": (
        "SELECT n FROM ladder_locks WHERE n IN ?in ORDER BY n FOR UPDATE SKIP LOCKED"
    ),
    "EVENTS_WITH_CONTACT": """
SELECT DISTINCT deal FROM ladder_events WHERE pipeline = ?1
    AND json_type(json_extract(data, ?2)) IN ('STRING', 'INTEGER', 'DOUBLE')
    AND CAST(json_unquote(json_extract(data, ?2)) AS BINARY) = CAST(?3 AS BINARY)
""",
    "DEALS_WITH_CONTACT": """
SELECT c.deal FROM ladder_documents c JOIN ladder_deals d ON d.id = c.deal
WHERE d.pipeline = ?1
    AND json_type(json_extract(c.data, ?2)) IN ('STRING', 'INTEGER', 'DOUBLE')
    AND CAST(json_unquote(json_extract(c.data, ?2)) AS BINARY) = CAST(?3 AS BINARY)
""",
    "IS_EFFECT": "SELECT 1 FROM ladder_effects WHERE `key` = ?",
    "TROUBLED_DEALS": """
SELECT count(CASE WHEN failures > 0 THEN 1 END), count(CASE WHEN stage IS NULL THEN 1 END)
FROM ladder_deals WHERE pipeline = ? AND is_troubled = 1
""",
    "LOCK_TOTALS": (
        "SELECT id, pipeline, stage, currency, owner, source, deals, valued, billions, units, "
        "fraction FROM ladder_totals WHERE id > ? AND id <= ? FOR UPDATE SKIP LOCKED"
    ),
    "REMOVE_TOTALS": "DELETE FROM ladder_totals WHERE id IN ?in",
    "ADD_TOTAL": (
        "INSERT INTO ladder_totals (id, pipeline, stage, currency, owner, source, deals, valued, "
        "billions, units, fraction) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    ),
}

_LOCKED: Final = {
    "UNADOPTED": " FOR UPDATE",
    "SWEPT_AHEAD": " FOR UPDATE SKIP LOCKED",
    "DUE_DEALS": " FOR UPDATE SKIP LOCKED",
    "HELD_BY_KEY": " FOR UPDATE",
    "UNINDEXED": " FOR UPDATE SKIP LOCKED",
    "CHAIN": " FOR UPDATE",
    "FREE_DEALS": " FOR UPDATE SKIP LOCKED",
}
"""Reads that, in a transaction that writes, keep what they return from everybody else."""

Escape = Callable[[Any], str]


@attrs.frozen(eq=False)
class Statement:
    """A statement in parts: texts, and functions of the values that give texts.

    Attributes:
        row: the parts of the one row that it writes, where it can write many; ``parts`` are what
            stands before, and ``after`` what stands behind.
    """

    parts: tuple[Any, ...]
    row: tuple[Any, ...] = ()
    after: str = ""

    @classmethod
    def of(cls, text: str) -> Statement:
        """Take a statement apart, whose parameters are numbered or not, as SQLite has them."""
        text = _COMPARED.sub(_compared, _numbered(text))
        if inserts := _VALUES.fullmatch(text):
            return cls((inserts[1],), tuple(_parts(inserts[2])), inserts[3])
        return cls(tuple(_parts(text)))

    def filled(self, values: Sequence[Any], escape: Escape) -> str:
        """Return the text with these values."""
        return _text([*self.parts, *self.row], values, escape) + self.after

    def filled_for(self, rows: Sequence[Sequence[Any]], escape: Escape) -> Iterator[str]:
        """Yield texts that write these rows, as many in one as fit."""
        if not self.row:
            yield from (self.filled(row, escape) for row in rows)
            return
        found: list[str] = []
        size = 0
        for row in rows:
            found.append(_text(self.row, row, escape))
            size += len(found[-1])
            if size > _MOST_TEXT:
                yield self._insert(found)
                found, size = [], 0
        if found:
            yield self._insert(found)

    def _insert(self, rows: Sequence[str]) -> str:
        return f"{self.parts[0]}{', '.join(rows)}{self.after}"


def _numbered(text: str) -> str:
    """Give every parameter the number of its value."""
    numbers = itertools.count(1)

    def number(found: re.Match[str]) -> str:
        kind = found[1] or ""
        return f"?{kind}" if kind == "value" else f"?{kind}{found[2] or next(numbers)}"

    return _PARAMETER.sub(number, text)


def _compared(found: re.Match[str]) -> str:
    """Return the comparison of two rows as an index is used for it: column by column."""
    columns, marks = found[1].split(", "), found[3].split(", ")
    text = ""
    for column, mark in reversed(list(zip(columns, marks, strict=True))):
        way = found[2]
        text = (
            f"({column} {way}= {mark} AND ({column} {way} {mark} OR {text}))"
            if text
            else f"{column} {way} {mark}"
        )
    return text


def _parts(text: str) -> Iterator[Any]:
    end = 0
    for each in _EACH.finditer(text):
        yield from _plain_parts(text[end : each.start()])
        yield functools.partial(_each, int(each[1]) - 1, tuple(_plain_parts(each[2])))
        end = each.end()
    yield from _plain_parts(text[end:])


def _plain_parts(text: str) -> Iterator[Any]:
    end = 0
    for found in _PARAMETER.finditer(text):
        yield text[end : found.start()]
        place = -1 if found[1] == "value" else int(found[2]) - 1
        yield functools.partial(_WRITTEN[found[1]], place)
        end = found.end()
    yield text[end:]


def _text(parts: Sequence[Any], values: Sequence[Any], escape: Escape) -> str:
    return "".join(part if isinstance(part, str) else part(values, escape) for part in parts)


def _one(place: int, values: Sequence[Any], escape: Escape) -> str:
    return escape(values[place])


def _in(place: int, values: Sequence[Any], escape: Escape) -> str:
    return f"({', '.join(map(escape, values[place] or [None]))})"


def _none(place: int, values: Sequence[Any], escape: Escape) -> str:
    return str(values[place] is None)


def _table(place: int, values: Sequence[Any], escape: Escape) -> str:
    rows = [f"SELECT {escape(_in_bytes(value))} AS value" for value in values[place] or [None]]
    return f"({' UNION ALL '.join(rows)})"


def _pairs(place: int, values: Sequence[Any], escape: Escape) -> str:
    rows = [
        f"SELECT {escape(_in_bytes(source))} AS source, {escape(_in_bytes(id))} AS id"
        for source, id in values[place] or [(None, None)]
    ]
    return f"({' UNION ALL '.join(rows)})"


def _each(place: int, parts: tuple[Any, ...], values: Sequence[Any], escape: Escape) -> str:
    """Write the parts for every value of a list, which stands last among their values."""
    texts = [_text(parts, (*values, _in_bytes(one)), escape) for one in values[place] or [None]]
    return " UNION ALL ".join(texts)


def _in_bytes(value: Any) -> Any:
    """Return a name as the columns have it that names are kept in."""
    return value.encode() if isinstance(value, str) else value


_WRITTEN: Final[dict[str | None, Callable[..., str]]] = {
    None: _one,
    "value": _one,
    "in": _in,
    "none": _none,
    "table": _table,
    "pairs": _pairs,
}


@functools.cache
def statements(prefix: str) -> Any:
    """Return a namespace with every statement for the tables with this prefix."""
    texts: dict[str, Any] = {
        name: text
        for name, text in vars(shared).items()
        if name.isupper() and not name.startswith("_") and isinstance(text, str | tuple)
    }
    texts = {name: text for name, text in texts.items() if _is_of_statements(text)} | _OWN
    for name, suffix in _LOCKED.items():
        texts[f"LOCK_{name}"] = texts[name] + suffix
    saved = {
        getattr(shared, name): texts[name]
        for name in _OWN
        if isinstance(getattr(shared, name, None), str)
    }
    texts["SAVING"] = tuple(saved.get(text, text) for text in shared.SAVING)
    return SimpleNamespace(
        **{
            name: tuple(spelled(part, prefix) for part in text)
            if isinstance(text, tuple)
            else spelled(text, prefix)
            for name, text in texts.items()
        }
    )


def _is_of_statements(text: str | tuple[str, ...]) -> bool:
    first = text if isinstance(text, str) else text[0]
    return bool(re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", first))


@functools.lru_cache(maxsize=1024)
def spelled(text: str, prefix: str) -> Statement:
    """Return a statement that was put together in SQLite's words, for the tables with a prefix."""
    return Statement.of(translated(text).replace("ladder_", prefix))


def translated(text: str) -> str:
    """Return the MariaDB form of a statement written for SQLite."""
    for pattern, replacement in _TRANSLATION:
        text = re.sub(pattern, replacement, text)
    if inserts := re.match(_INSERTS, text):
        table, column = inserts.groups()
        same = f"ON DUPLICATE KEY UPDATE {column} = {table}.{column}"
        text = re.sub(_DO_NOTHING, same, text)
    return text
