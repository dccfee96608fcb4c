"""Every SQL statement of the SQLite store, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..base import HeldRow, MoveRecord, StoredDeal
from ..sql_listing import EFFECT as _EFFECT
from ..stored_deal import FOUND_BY, SWEPT_FIELDS, VALUE

# CROSS JOIN makes SQLite go through the few that are wanted and look each up; left to itself it
# goes through the table. A plus before a column keeps it from an index that would need sorting.

_DEAL: Final = ", ".join(f"d.{name}" for name in StoredDeal._fields)
_DEAL_FIELDS: Final = StoredDeal._fields[2:]
_WORDS: Final = {"out_of": "out_of_word", "into": "into_word", "rule": "rule_word"}
_MOVE: Final = ", ".join(_WORDS.get(field, field) for field in MoveRecord._fields)
SCHEMA_VERSION: Final = "SELECT version FROM ladder_schema"
INDEXES: Final = "SELECT name FROM sqlite_master WHERE type = 'index'"

PIPELINE: Final = (
    "SELECT id, name, fingerprint, definition, migrating FROM ladder_pipelines WHERE name = ?"
)
PIPELINES: Final = (
    "SELECT id, name, fingerprint, definition, migrating FROM ladder_pipelines ORDER BY id"
)
SAVE_PIPELINE: Final = """
INSERT INTO ladder_pipelines (name, fingerprint, definition, migrating) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET fingerprint = excluded.fingerprint,
    definition = excluded.definition, migrating = excluded.migrating
"""

WORDS: Final = "SELECT id, word FROM ladder_words ORDER BY id LIMIT ?"
WORD: Final = "SELECT word FROM ladder_words WHERE id = ?"
WORD_NUMBER: Final = "SELECT id FROM ladder_words WHERE word = ? ORDER BY id LIMIT 1"
ADD_WORD: Final = "INSERT INTO ladder_words (word) VALUES (?)"

LOAD_DEAL: Final = f"""
SELECT iif(p.migrating IS NULL, p.fingerprint, NULL), c.data, {_DEAL} FROM ladder_pipelines p
LEFT JOIN ladder_deals d ON d.pipeline = p.id AND d.deal = ?
LEFT JOIN ladder_documents c ON c.deal = d.id
WHERE p.id = ?
"""
ADD_DEAL: Final = """
INSERT INTO ladder_deals (pipeline, deal) VALUES (?, ?) ON CONFLICT (pipeline, deal) DO NOTHING
"""
LOAD_DEALS: Final = f"""
SELECT c.data, {_DEAL} FROM json_each(?) wanted
CROSS JOIN ladder_deals d ON d.pipeline = ? AND d.deal = wanted.value
LEFT JOIN ladder_documents c ON c.deal = d.id
"""
LOAD_DEAL_BY_ID: Final = f"""
SELECT c.data, {_DEAL} FROM ladder_deals d LEFT JOIN ladder_documents c ON c.deal = d.id
WHERE d.id = ?
"""
EVERY_DEAL: Final = f"""
SELECT c.data, {_DEAL} FROM ladder_deals d LEFT JOIN ladder_documents c ON c.deal = d.id
WHERE +d.pipeline = ? AND d.id > ? ORDER BY d.id LIMIT ?
"""
DEALS: Final = f"""
SELECT c.data, {_DEAL} FROM ladder_deals d LEFT JOIN ladder_documents c ON c.deal = d.id
WHERE +d.pipeline = ? AND d.stage IS NOT NULL AND d.id > ? ORDER BY d.id LIMIT ?
"""
DEALS_IN_STAGES: Final = f"""
SELECT c.data, {_DEAL} FROM (
    SELECT d.id FROM json_each(?) wanted
    CROSS JOIN ladder_deals d ON d.id IN (
        SELECT id FROM ladder_deals
        WHERE pipeline = ? AND stage = wanted.value AND id > ? ORDER BY id LIMIT ?)
    ORDER BY d.id LIMIT ?) page
CROSS JOIN ladder_deals d ON d.id = page.id
LEFT JOIN ladder_documents c ON c.deal = d.id
ORDER BY d.id
"""
DEALS_OF_OWNER: Final = f"""
SELECT c.data, {_DEAL} FROM ladder_deals d LEFT JOIN ladder_documents c ON c.deal = d.id
WHERE d.pipeline = ? AND d.owner = ? AND d.id > ? AND d.stage IS NOT NULL
    AND (? IS NULL OR d.stage IN (SELECT value FROM json_each(?)))
ORDER BY d.id LIMIT ?
"""
CLOSED_DEALS: Final = f"""
SELECT c.data, {_DEAL} FROM ladder_deals d LEFT JOIN ladder_documents c ON c.deal = d.id
WHERE +d.pipeline = ? AND d.closed_at < ? AND d.id > ? ORDER BY d.id LIMIT ?
"""
COUNT_DEALS: Final = "SELECT count(*) FROM ladder_deals WHERE pipeline = ?"


def update_deal(fields: Sequence[str]) -> str:
    """Return what writes these fields of a deal, and when it was written."""
    written = ", ".join(f"{field} = ?" for field in (*fields, "touched_at"))
    return f"UPDATE ladder_deals SET {written} WHERE id = ?"


SAVE_DEAL: Final = update_deal((*_DEAL_FIELDS, *VALUE))
SAVE_SWEPT_DEAL: Final = update_deal(SWEPT_FIELDS)
SAVE_TOLD_DEAL: Final = update_deal((*_DEAL_FIELDS, *VALUE, *FOUND_BY))
NOTE_FAILURE: Final = "UPDATE ladder_deals SET failures = ?, retry_at = ? WHERE id = ?"
DUE_DEALS: Final = f"""
SELECT {_DEAL} FROM ladder_deals d
WHERE d.pipeline = ? AND d.due_at <= ?
    AND (d.retry_at IS NULL OR d.retry_at <= ? OR d.retry_at > ?)
ORDER BY d.due_at LIMIT ?
"""
SWEPT_AHEAD: Final = f"""
SELECT {_DEAL} FROM ladder_deals d
WHERE d.pipeline = ? AND d.swept_to > ? AND d.horizon > ?
    AND (d.retry_at IS NULL OR d.retry_at <= ? OR d.retry_at > ?)
ORDER BY d.swept_to LIMIT ?
"""
NEXT_TIMER: Final = """
SELECT min(max(due_at, coalesce(retry_at, due_at))) FROM (
    SELECT due_at, retry_at FROM ladder_deals
    WHERE pipeline = ? AND due_at IS NOT NULL ORDER BY due_at LIMIT 100)
"""
UNADOPTED: Final = f"""
SELECT {_DEAL} FROM ladder_deals d
WHERE +d.pipeline = ? AND d.removed_at IS NULL AND d.definition IS NOT ? AND d.id > ?
ORDER BY d.id LIMIT ?
"""
_TOTAL: Final = "pipeline, stage, currency, owner, source"
_SUMS: Final = ("deals", "valued", "billions", "units", "fraction")
_COLUMNS: Final = f"{_TOTAL}, {', '.join(_SUMS)}"
_ADD_TOTALS: Final = f"""
ON CONFLICT (pipeline, stage, ifnull(currency, 0), ifnull(owner, 0), ifnull(source, 0))
DO UPDATE SET {", ".join(f"{sum} = {sum} + excluded.{sum}" for sum in _SUMS)}
"""
"""What adds to the row of a total, of which there is one here."""


def counted(sign: str = "") -> str:
    """Return what deals come to, each by itself, in the order of the columns of totals."""
    return f"""
SELECT {_TOTAL}, {sign}1 AS deals, {sign}iif(units IS NULL, 0, 1) AS valued,
    {sign}coalesce(units / 1000000000, 0) AS billions,
    {sign}coalesce(units % 1000000000, 0) AS units, {sign}coalesce(fraction, 0) AS fraction
FROM ladder_deals"""


COUNT_OUT: Final = f"""
INSERT INTO ladder_totals ({_COLUMNS}) {counted("-")} WHERE id = ? AND stage IS NOT NULL
{_ADD_TOTALS}"""
"""Takes a deal, as its row is now, out of the totals."""
COUNT_IN: Final = f"""
INSERT INTO ladder_totals ({_COLUMNS}) {counted()} WHERE id = ? AND stage IS NOT NULL
{_ADD_TOTALS}"""


def _counted_together(sign: str = "") -> str:
    sums = ", ".join(f"{sign}sum({sum})" for sum in _SUMS)
    return f"""
INSERT INTO ladder_totals ({_COLUMNS}) SELECT {_TOTAL}, {sums} FROM (
    {counted()} WHERE id IN (SELECT value FROM json_each(?)) AND stage IS NOT NULL) counted
GROUP BY {_TOTAL}
{_ADD_TOTALS}"""


COUNT_MANY_OUT: Final = _counted_together("-")
COUNT_MANY_IN: Final = _counted_together()
REMOVE_EMPTY_TOTALS: Final = "DELETE FROM ladder_totals WHERE deals = 0"
MISCOUNTED: Final = f"""
SELECT {_TOTAL}, {", ".join(f"sum({sum})" for sum in _SUMS)} FROM (
    {counted()} WHERE pipeline = ? AND stage IS NOT NULL
    UNION ALL
    SELECT {_TOTAL}, {", ".join(f"-{sum}" for sum in _SUMS)} FROM ladder_totals
    WHERE pipeline = ?) counted
GROUP BY {_TOTAL} HAVING {" OR ".join(f"sum({sum}) <> 0" for sum in _SUMS)}
"""
"""What is to be added to the totals, so that they are what the deals come to."""
RECOUNT: Final = f"INSERT INTO ladder_totals ({_COLUMNS}) {MISCOUNTED} {_ADD_TOTALS}"
STAGE_COUNTS: Final = """
SELECT stage, sum(deals) FROM ladder_totals WHERE pipeline = ? GROUP BY stage
HAVING sum(deals) <> 0
"""
TROUBLED_DEALS: Final = """
SELECT count(CASE WHEN failures > 0 THEN 1 END), count(CASE WHEN stage IS NULL THEN 1 END)
FROM ladder_deals
WHERE +pipeline = ? AND (failures > 0 OR (stage IS NULL AND definition IS NOT NULL))
"""
"""The sign keeps SQLite from an index of all deals of the pipeline: the partial one holds few."""
DEALS_BY_ID: Final = f"""
SELECT c.data, {_DEAL} FROM json_each(?) wanted
CROSS JOIN ladder_deals d ON d.id = wanted.value
LEFT JOIN ladder_documents c ON c.deal = d.id
"""
CHANGED_DEALS: Final = f"""
SELECT d.touched_at, c.data, {_DEAL} FROM ladder_deals d
LEFT JOIN ladder_documents c ON c.deal = d.id
WHERE d.pipeline = ? AND (d.touched_at, d.id) > (?, ?) ORDER BY d.touched_at, d.id LIMIT ?
"""
SAVE_SEARCH: Final = """
INSERT INTO ladder_search (deal, pipeline, company, text) VALUES (?, ?, ?, ?)
ON CONFLICT (deal) DO UPDATE SET company = excluded.company, text = excluded.text
WHERE ladder_search.text <> excluded.text
"""

DOCUMENT: Final = "SELECT data FROM ladder_documents WHERE deal = ?"
SAVE_DOCUMENT: Final = """
INSERT INTO ladder_documents (deal, data) VALUES (?, ?)
ON CONFLICT (deal) DO UPDATE SET data = excluded.data
"""

ADD_EVENT: Final = """
INSERT INTO ladder_events
    (pipeline, deal, source, id, type_word, at, seq, data, digest, recorded_at, undeclared)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
COUNT_UNDECLARED: Final = """
SELECT type_word, count(*) FROM ladder_events
WHERE pipeline = ? AND undeclared GROUP BY type_word
"""
REMARKS: Final = """
SELECT source, id, remark FROM ladder_events
WHERE deal = ? AND at >= ? AND at <= ? AND remark IS NOT NULL
"""
REMARK_EVENT: Final = """
UPDATE ladder_events SET remark = ? WHERE pipeline = ? AND source = ? AND id = ?
"""
COUNT_REMARKS: Final = """
SELECT n.remark, n.told, n.lately, (
    SELECT d.deal FROM ladder_events e JOIN ladder_deals d ON d.id = e.deal
    WHERE e.pipeline = ? AND e.remark = n.remark ORDER BY e.recorded_at DESC LIMIT 1)
FROM (
    SELECT remark, count(*) AS told, count(CASE WHEN recorded_at >= ? THEN 1 END) AS lately
    FROM ladder_events WHERE pipeline = ? AND remark IS NOT NULL GROUP BY remark) n
"""
KNOWN_EVENTS: Final = """
SELECT e.source, e.id, e.deal, e.type_word, e.at, e.seq, e.digest, d.deal, e.data
FROM json_each(?) wanted
CROSS JOIN ladder_events e ON e.pipeline = ?
    AND e.source = wanted.value ->> 0 AND e.id = wanted.value ->> 1
LEFT JOIN ladder_deals d ON d.id = e.deal
"""
REMOVE_EVENT: Final = "DELETE FROM ladder_events WHERE pipeline = ? AND source = ? AND id = ?"
EVENTS: Final = """
SELECT e.type_word, d.deal, e.id, e.at, e.source, e.seq, e.data, e.recorded_at
FROM ladder_events e JOIN ladder_deals d ON d.id = e.deal WHERE e.deal = ?
ORDER BY e.at, e.seq, e.source, e.id
"""
EVENTS_BETWEEN: Final = """
SELECT e.type_word, d.deal, e.id, e.at, e.source, e.seq, e.data, e.recorded_at
FROM ladder_events e JOIN ladder_deals d ON d.id = e.deal WHERE e.deal = ?
    AND e.at >= ? AND e.at <= ?
ORDER BY e.at, e.seq, e.source, e.id
"""
EVENTS_OF: Final = """
SELECT e.deal, e.type_word, d.deal, e.id, e.at, e.source, e.seq, e.data, e.recorded_at
FROM ladder_events e JOIN ladder_deals d ON d.id = e.deal
WHERE e.deal IN (SELECT value FROM json_each(?))
ORDER BY e.deal, e.at, e.seq, e.source, e.id
"""
REPLACE_EVENT_DATA: Final = """
UPDATE ladder_events SET data = ?, digest = NULL WHERE pipeline = ? AND source = ? AND id = ?
"""
# -> gives a number as it was written, which json_extract would round beyond 64 bits.
EVENTS_WITH_CONTACT: Final = """
SELECT DISTINCT deal FROM ladder_events WHERE pipeline = ?1 AND (
    json_extract(data, '$.contact.' || json_quote(?2)) = ?3
    OR json_type(data, '$.contact.' || json_quote(?2)) IN ('integer', 'real')
        AND data -> ('$.contact.' || json_quote(?2)) = ?3)
"""
DEALS_WITH_CONTACT: Final = """
SELECT c.deal FROM ladder_documents c JOIN ladder_deals d ON d.id = c.deal
WHERE d.pipeline = ?1 AND (
    json_extract(c.data, '$.contact.' || json_quote(?2)) = ?3
    OR json_type(c.data, '$.contact.' || json_quote(?2)) IN ('integer', 'real')
        AND c.data -> ('$.contact.' || json_quote(?2)) = ?3)
"""

ADD_MOVE: Final = f"""
INSERT INTO ladder_moves (deal, {_MOVE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
CUT_MOVES: Final = "DELETE FROM ladder_moves WHERE deal = ? AND n >= ?"
MOVES: Final = f"SELECT {_MOVE} FROM ladder_moves WHERE deal = ? AND n > ? AND n <= ? ORDER BY n"
MOVES_OF: Final = f"""
SELECT deal, {_MOVE} FROM ladder_moves
WHERE deal IN (SELECT value FROM json_each(?)) ORDER BY deal, n
"""
RENAME_OUT_OF: Final = """
UPDATE ladder_moves SET out_of_word = ? WHERE deal = ?
    AND out_of_word IN (SELECT id FROM ladder_words WHERE word = ?)
"""
RENAME_INTO: Final = """
UPDATE ladder_moves SET into_word = ? WHERE deal = ?
    AND into_word IN (SELECT id FROM ladder_words WHERE word = ?)
"""
END_RENAMING: Final = (
    "UPDATE ladder_moves SET out_of_word = -out_of_word WHERE deal = ? AND out_of_word < 0",
    "UPDATE ladder_moves SET into_word = -into_word WHERE deal = ? AND into_word < 0",
)

CHECKPOINT_BEFORE: Final = """
SELECT at, state, data FROM ladder_checkpoints WHERE deal = ? AND at < ? ORDER BY at DESC LIMIT 1
"""
CHECKPOINTS: Final = """
SELECT at, state, data FROM ladder_checkpoints WHERE deal = ? AND at >= ? ORDER BY at LIMIT ?
"""
COUNT_SINCE_CHECKPOINT: Final = """
SELECT count(*) FROM (
    SELECT 1 FROM ladder_events WHERE deal = ? AND at <= ? AND at > coalesce(
        (SELECT max(at) FROM ladder_checkpoints WHERE deal = ?), ?)
    LIMIT ?) since
"""
ADD_CHECKPOINT: Final = """
INSERT INTO ladder_checkpoints (deal, at, state, data) VALUES (?, ?, ?, ?)
ON CONFLICT (deal, at) DO UPDATE SET state = excluded.state, data = excluded.data
"""
CUT_CHECKPOINTS: Final = "DELETE FROM ladder_checkpoints WHERE deal = ? AND at >= ?"

REMOVE_UNUSED_DEAL: Final = """
DELETE FROM ladder_deals WHERE id = ? AND definition IS NULL AND removed_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM ladder_events WHERE deal = ladder_deals.id)
"""
REMOVE_DEAL: Final = (
    COUNT_OUT,
    *(
        f"DELETE FROM {table} WHERE deal = ?"
        for table in (
            "ladder_effects",
            "ladder_moves",
            "ladder_events",
            "ladder_documents",
            "ladder_customers",
            "ladder_search",
            "ladder_checkpoints",
        )
    ),
    "UPDATE ladder_deals SET units = NULL, fraction = NULL, title = NULL, source = NULL "
    "WHERE id = ?",
    COUNT_IN,
)

ADD_EFFECT: Final = """
INSERT INTO ladder_effects (pipeline, deal, recorded_at, key, visit_key, phase, name, position,
    payload, state, due_at, expires_at, run_to_completion, owner, purpose, channel,
    ready_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET state = excluded.state, payload = excluded.payload,
    due_at = excluded.due_at, ready_at = excluded.ready_at, expires_at = excluded.expires_at,
    purpose = excluded.purpose, channel = excluded.channel, owner = excluded.owner,
    delayed_until = NULL
WHERE ladder_effects.state = 'cancelled'
"""
END_VISIT_EFFECTS: Final = """
UPDATE ladder_effects SET state = 'cancelled', lease = NULL
WHERE deal = ? AND visit_key = ? AND state IN ('pending', 'open', 'waiting')
    AND NOT run_to_completion
"""
VANISH_VISIT_EFFECTS: Final = """
UPDATE ladder_effects SET state = 'cancelled', lease = NULL
WHERE deal = ? AND visit_key = ? AND state IN ('pending', 'open', 'waiting')
"""
REVIVE_VISIT_EFFECTS: Final = """
UPDATE ladder_effects SET state = iif(name = 'task', 'open', 'pending')
WHERE deal = ? AND visit_key = ? AND phase = 'into' AND state = 'cancelled'
"""
UNDO_LEAVING_EFFECTS: Final = """
UPDATE ladder_effects SET state = 'cancelled'
WHERE deal = ? AND visit_key = ? AND phase = 'out_of' AND state IN ('pending', 'open', 'waiting')
"""
WAKE_EFFECTS: Final = """
UPDATE ladder_effects SET state = 'pending', ready_at = ? WHERE deal = ? AND state = 'waiting'
"""
EFFECTS: Final = f"""
SELECT {_EFFECT} FROM ladder_effects e JOIN ladder_deals d ON d.id = e.deal
WHERE e.pipeline = ? AND (? IS NULL OR e.state IN (SELECT value FROM json_each(?)))
ORDER BY e.due_at, e.key
"""
EFFECTS_OF_DEAL: Final = f"""
SELECT {_EFFECT} FROM ladder_effects e JOIN ladder_deals d ON d.id = e.deal
WHERE e.pipeline = ? AND e.deal = ? AND (? IS NULL OR e.state IN (SELECT value FROM json_each(?)))
ORDER BY e.due_at, e.key
"""
_UNSENT: Final = """
(e.state IN ('dropped', 'dead') OR e.state = 'expired' AND e.decisions IS NOT NULL)
    AND e.visit_key = d.visit_key
OR e.state = 'waiting' OR e.state = 'pending' AND e.delayed_until IS NOT NULL
"""
UNSENT_EFFECTS: Final = f"""
SELECT {_EFFECT} FROM json_each(?) wanted
CROSS JOIN ladder_deals d ON d.pipeline = ? AND d.deal = wanted.value
CROSS JOIN ladder_effects e ON e.deal = d.id
WHERE {_UNSENT}
ORDER BY e.due_at, e.key
"""
OPEN_TASKS: Final = f"""
SELECT {_EFFECT} FROM ladder_effects e JOIN ladder_deals d ON d.id = e.deal
WHERE e.pipeline = ? AND e.state = 'open' ORDER BY e.due_at, e.key
"""
DEAD_LETTERS: Final = f"""
SELECT {_EFFECT} FROM ladder_effects e JOIN ladder_deals d ON d.id = e.deal
WHERE e.pipeline = ? AND e.state = 'dead' ORDER BY e.due_at, e.key
"""
COUNT_DEAD_LETTERS: Final = (
    "SELECT count(*) FROM ladder_effects WHERE pipeline = ? AND state = 'dead'"
)
OLDEST_EFFECT: Final = f"""
WITH RECURSIVE named (name) AS (
    SELECT min(name) FROM ladder_effects WHERE pipeline = ? AND state IN ('pending', 'claimed')
    UNION ALL
    SELECT (SELECT min(name) FROM ladder_effects
        WHERE pipeline = ? AND state IN ('pending', 'claimed') AND name > named.name)
    FROM named WHERE named.name IS NOT NULL)
SELECT {_EFFECT} FROM named
CROSS JOIN ladder_effects e ON e.key = (
    SELECT key FROM ladder_effects
    WHERE pipeline = ? AND state IN ('pending', 'claimed') AND name = named.name
    ORDER BY ready_at LIMIT 1)
CROSS JOIN ladder_deals d ON d.id = e.deal
ORDER BY e.ready_at LIMIT 1
"""
EFFECT: Final = f"""
SELECT {_EFFECT} FROM ladder_effects e JOIN ladder_deals d ON d.id = e.deal
WHERE e.pipeline = ? AND e.key = ?
"""
READY_EFFECTS: Final = f"""
SELECT {_EFFECT} FROM json_each(?) wanted
CROSS JOIN ladder_effects e ON e.key IN (
    SELECT key FROM ladder_effects
    WHERE pipeline = ? AND state IN ('pending', 'claimed') AND name = wanted.value
        AND ready_at <= ? AND (ready_at, key) > (?, ?)
    ORDER BY ready_at, key LIMIT ?)
CROSS JOIN ladder_deals d ON d.id = e.deal
ORDER BY e.ready_at, e.key LIMIT ?
"""
COUNT_READY: Final = """
SELECT name, count(*) FROM ladder_effects
WHERE pipeline = ? AND state IN ('pending', 'claimed')
    AND name IN (SELECT value FROM json_each(?)) AND ready_at <= ?
GROUP BY name
"""
FREE_EFFECT: Final = f"""
SELECT {_EFFECT} FROM ladder_effects e JOIN ladder_deals d ON d.id = e.deal
WHERE +e.pipeline = ? AND e.state IN ('pending', 'claimed') AND +e.ready_at <= ?
    AND e.key IN (SELECT value FROM json_each(?))
ORDER BY e.ready_at, e.key LIMIT 1
"""
PUT_OFF_EFFECTS: Final = f"""
SELECT {_EFFECT} FROM ladder_effects e JOIN ladder_deals d ON d.id = e.deal
WHERE e.pipeline = ? AND e.ready_at > ? AND e.ready_at > e.due_at
    AND (e.state = 'claimed' OR (e.state = 'pending' AND e.error IS NOT NULL))
    AND e.delayed_until IS NULL
ORDER BY e.ready_at, e.key LIMIT ?
"""
NEXT_EFFECT: Final = """
SELECT min((
    SELECT ready_at FROM ladder_effects
    WHERE pipeline = ? AND state IN ('pending', 'claimed') AND name = wanted.value
    ORDER BY ready_at LIMIT 1))
FROM json_each(?) wanted
"""
CLAIM_EFFECT: Final = """
UPDATE ladder_effects SET state = 'claimed', lease = ?, ready_at = ?, attempts = ?,
    address = coalesce(?, address), sent_at = coalesce(?, sent_at),
    decisions = coalesce(?, decisions), delayed_until = NULL
WHERE key = ?
"""
DECIDE_EFFECT: Final = """
UPDATE ladder_effects SET state = ?1, lease = NULL, decisions = ?2,
    ready_at = coalesce(?3, ready_at), delayed_until = ?4, address = coalesce(?5, address),
    sent_at = ?6, attempts = coalesce(?7, attempts)
WHERE key = ?8 AND (?9 IS NULL OR lease = ?9)
"""
COUNT_WAITING: Final = (
    "SELECT count(*) FROM ladder_effects WHERE pipeline = ? AND state = 'waiting'"
)
SETTLE_EFFECT: Final = """
UPDATE ladder_effects SET state = ?1, lease = NULL, ready_at = coalesce(?2, ready_at), error = ?3
WHERE key = ?4 AND (?5 IS NULL OR lease = ?5)
"""
GIVE_TASK: Final = "UPDATE ladder_effects SET owner = ?, payload = ? WHERE key = ?"
REPLACE_EFFECT_PAYLOAD: Final = "UPDATE ladder_effects SET payload = ?, decisions = ? WHERE key = ?"

ADD_CUSTOMER: Final = """
INSERT INTO ladder_customers (key, deal) VALUES (?, ?) ON CONFLICT DO NOTHING
"""
FORGET_CUSTOMER: Final = "DELETE FROM ladder_customers WHERE deal = ?"
DEALS_OF_CUSTOMER: Final = """
SELECT wanted.value, d.pipeline, d.id, d.deal, d.stage, d.closed_at FROM json_each(?) wanted
CROSS JOIN ladder_deals d ON d.id IN (
    SELECT deal FROM ladder_customers WHERE key = wanted.value ORDER BY deal LIMIT ?)
ORDER BY wanted.value, d.id
"""
HANDS_SINCE: Final = """
SELECT e.deal, e.type_word, d.deal, e.id, e.at, e.source, e.seq, e.data, e.recorded_at
FROM json_each(?) wanted
CROSS JOIN ladder_events e ON e.deal = wanted.value AND e.at >= ?
JOIN ladder_deals d ON d.id = e.deal
WHERE e.type_word IN (
    SELECT id FROM ladder_words WHERE word IN (SELECT value FROM json_each(?)))
ORDER BY e.deal, e.at, e.seq, e.source, e.id
"""
SENT_TO: Final = """
SELECT sent_at FROM ladder_effects
WHERE address = ? AND sent_at > ? AND key <> ? AND purpose = 'marketing'
    AND state IN ('delivered', 'claimed', 'dropped') AND (? IS NULL OR deal = ?)
ORDER BY sent_at DESC LIMIT ?
"""
NEWER_EFFECT: Final = """
SELECT key FROM ladder_effects
WHERE address = ? AND name = ? AND (due_at, key) > (?, ?)
    AND (state IN ('delivered', 'claimed') OR state = 'pending' AND delayed_until IS NOT NULL)
LIMIT 1
"""
NOTE_SUBSCRIPTION: Final = """
INSERT INTO ladder_subscriptions (address, wanted, at, seq, source, id, pipeline)
VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
TAKE_BACK_SUBSCRIPTION: Final = """
DELETE FROM ladder_subscriptions WHERE address = ? AND wanted = ? AND at = ? AND seq = ?
    AND source = ? AND id = ? AND pipeline IN (?, 0)
"""
LAST_SUBSCRIPTION: Final = """
SELECT address, wanted, at, seq, source, id, pipeline FROM ladder_subscriptions WHERE address = ?
ORDER BY at DESC, seq DESC, source DESC, id DESC, wanted LIMIT 1
"""
ARMS: Final = """
SELECT a.key, a.arm, a.at FROM json_each(?) wanted CROSS JOIN ladder_arms a ON a.key = wanted.value
"""
NOTE_ARM: Final = """
INSERT INTO ladder_arms (key, arm, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING
"""
MARK_CROWDS: Final = """
INSERT INTO ladder_crowds (pipeline, key)
SELECT ?, wanted.value FROM json_each(?) wanted
WHERE (SELECT count(*) FROM (
    SELECT 1 FROM ladder_customers WHERE key = wanted.value LIMIT ?)) >= ?
ON CONFLICT DO NOTHING
"""
UNMARK_CROWDS: Final = """
DELETE FROM ladder_crowds WHERE key IN (SELECT value FROM json_each(?))
    AND (SELECT count(*) FROM (
        SELECT 1 FROM ladder_customers c WHERE c.key = ladder_crowds.key LIMIT ?)) < ?
"""
MERGED_INTO_NOTHING: Final = """
SELECT count(*) FROM ladder_deals d WHERE d.pipeline = ? AND d.merged_into IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM ladder_deals o
        WHERE o.pipeline = d.pipeline AND o.deal = d.merged_into)
"""
COUNT_CROWDS: Final = "SELECT count(*) FROM ladder_crowds WHERE pipeline = ?"
UNINDEXED: Final = f"""
SELECT c.data, {_DEAL} FROM ladder_deals d LEFT JOIN ladder_documents c ON c.deal = d.id
WHERE d.pipeline = ? AND d.customer IS NULL AND d.definition IS NOT NULL ORDER BY d.id LIMIT ?
"""
SECRET: Final = "SELECT value FROM ladder_secrets WHERE name = 'hashes'"
NOTE: Final = "SELECT value FROM ladder_secrets WHERE name = ?"
NOTES: Final = """
SELECT name, value FROM ladder_secrets WHERE name LIKE ? AND name > ? ORDER BY name LIMIT ?
"""
ADD_NOTE: Final = """
INSERT INTO ladder_secrets (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING
"""
LOCK_NOTE: Final = """
INSERT INTO ladder_secrets (name, value) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET value = ladder_secrets.value
"""
LOCKED_NOTE: Final = NOTE
"""What stands there once it is locked, whatever this transaction saw when it began."""
SET_NOTE: Final = "UPDATE ladder_secrets SET value = ? WHERE name = ?"
REMOVE_NOTE: Final = "DELETE FROM ladder_secrets WHERE name = ?"
RESEAL_EVENT: Final = """
UPDATE ladder_events SET data = ?, digest = ? WHERE pipeline = ? AND source = ? AND id = ?
"""
RESEAL_EFFECT: Final = """
UPDATE ladder_effects SET payload = ?, decisions = ?, error = ? WHERE key = ?
"""
DEAL_OF_EFFECT: Final = "SELECT e.pipeline, e.deal FROM ladder_effects e WHERE e.key = ?"
ADD_SECRET: Final = """
INSERT INTO ladder_secrets (name, value) VALUES ('hashes', ?) ON CONFLICT DO NOTHING
"""

CHAIN: Final = "SELECT position FROM ladder_chains WHERE pipeline = ?"
ADD_CHAIN: Final = """
INSERT INTO ladder_chains (pipeline, position) VALUES (?, ?) ON CONFLICT (pipeline) DO NOTHING
"""
MOVE_CHAIN: Final = "UPDATE ladder_chains SET position = ? WHERE pipeline = ?"
LAST_LINK: Final = (
    "SELECT n, hash, header FROM ladder_links WHERE pipeline = ? ORDER BY n DESC LIMIT 1"
)
LINKS: Final = """
SELECT n, hash, header FROM ladder_links WHERE pipeline = ? AND n > ? ORDER BY n LIMIT ?
"""
ADD_LINK: Final = "INSERT INTO ladder_links (pipeline, n, hash, header) VALUES (?, ?, ?, ?)"
FREE_DEALS: Final = """
SELECT d.id FROM ladder_deals d WHERE d.id IN (SELECT value FROM json_each(?)) ORDER BY d.id
"""
UNCHAINED: Final = """
SELECT e.deal, e.type_word, d.deal, e.id, e.at, e.source, e.seq, e.data, e.recorded_at
FROM ladder_events e JOIN ladder_deals d ON d.id = e.deal
WHERE e.deal IN (SELECT value FROM json_each(?)) AND NOT EXISTS (
    SELECT 1 FROM ladder_leaves l
    WHERE l.deal = e.deal AND l.source = e.source AND l.id = e.id)
ORDER BY e.deal, e.at, e.seq, e.source, e.id LIMIT ?
"""
SALTS: Final = """
SELECT deal, salt FROM ladder_salts WHERE deal IN (SELECT value FROM json_each(?))
"""
SAVE_SALT: Final = """
INSERT INTO ladder_salts (deal, salt) VALUES (?, ?)
ON CONFLICT (deal) DO UPDATE SET salt = excluded.salt
"""
ADD_LEAF: Final = """
INSERT INTO ladder_leaves (pipeline, deal, source, id, link, leaf) VALUES (?, ?, ?, ?, ?, ?)
"""
RETIRE_LEAVES: Final = """
INSERT INTO ladder_retired (pipeline, link, leaf, kind)
SELECT pipeline, link, leaf, ? FROM ladder_leaves WHERE deal = ?
"""
REMOVE_LEAVES: Final = "DELETE FROM ladder_leaves WHERE deal = ?"
ERASE_SALT: Final = "UPDATE ladder_salts SET salt = ? WHERE deal = ?"
RETIRED_LEAVES: Final = """
SELECT link, leaf, kind, retired FROM ladder_retired
WHERE pipeline = ? AND retired < 1 ORDER BY retired, link, leaf LIMIT ?
"""
NOTE_RETIRED: Final = """
UPDATE ladder_retired SET retired = ? WHERE pipeline = ? AND link = ? AND leaf = ?
"""
OPEN_LINKS: Final = """
SELECT link FROM ladder_leaves
WHERE pipeline = ? AND link IN (SELECT value FROM json_each(?))
UNION
SELECT link FROM ladder_retired
WHERE pipeline = ? AND link IN (SELECT value FROM json_each(?)) AND retired = 0
"""
DROP_LEAVES: Final = "DELETE FROM ladder_retired WHERE pipeline = ? AND link = ?"
LEAVES_OF: Final = """
SELECT deal, source, id, link, leaf FROM ladder_leaves
WHERE deal IN (SELECT value FROM json_each(?)) ORDER BY deal, source, id
"""
LEAVES_BETWEEN: Final = """
SELECT link, leaf FROM ladder_leaves WHERE pipeline = ? AND link > ? AND link <= ?
UNION ALL
SELECT link, leaf FROM ladder_retired WHERE pipeline = ? AND link > ? AND link <= ?
"""
RETIRED_BETWEEN: Final = """
SELECT link, leaf, kind, retired FROM ladder_retired
WHERE pipeline = ? AND retired > ? AND retired <= ? ORDER BY retired, link, leaf
"""
STRAY_LEAVES: Final = """
SELECT l.link, l.source, l.id FROM ladder_leaves l
LEFT JOIN ladder_deals d ON d.id = l.deal AND d.pipeline = l.pipeline
WHERE l.pipeline = ? AND (d.id IS NULL OR l.link < 1 OR l.link > ?)
ORDER BY l.link, l.source, l.id LIMIT ?
"""
STRAY_RETIRED: Final = """
SELECT link, '', '' FROM ladder_retired
WHERE pipeline = ? AND (link < 1 OR link > ? OR retired < 0 OR retired > ?)
ORDER BY link LIMIT ?
"""

_HELD: Final = ", ".join(HeldRow._fields)
_OTHER_FIELDS: Final = HeldRow._fields[1:]
HOLD: Final = f"""
INSERT INTO ladder_held (pipeline, {_HELD})
VALUES ({", ".join("?" for _ in range(len(HeldRow._fields) + 1))})
ON CONFLICT (pipeline, key) DO UPDATE SET told = ladder_held.told + 1, reason = excluded.reason
"""
HELD: Final = f"""
SELECT {_HELD} FROM ladder_held
WHERE pipeline = ? AND key > ? AND (discarded_at IS NOT NULL) = ? ORDER BY key LIMIT ?
"""
HELD_OF_DEAL: Final = f"""
SELECT {_HELD} FROM ladder_held
WHERE pipeline = ? AND deal = ? AND key > ? AND (discarded_at IS NOT NULL) = ?
ORDER BY key LIMIT ?
"""
HELD_AMONG: Final = """
SELECT wanted.value FROM json_each(?) wanted WHERE EXISTS (
    SELECT 1 FROM ladder_held h
    WHERE h.pipeline = ? AND h.deal = wanted.value AND h.discarded_at IS NULL)
"""
HELD_BY_KEY: Final = f"SELECT {_HELD} FROM ladder_held WHERE pipeline = ? AND key = ?"
HELD_DUE: Final = f"""
SELECT * FROM (
    SELECT {_HELD} FROM ladder_held
    WHERE pipeline = ? AND retry_at <= ? ORDER BY retry_at LIMIT ?) ready
UNION ALL
SELECT * FROM (
    SELECT {_HELD} FROM ladder_held
    WHERE pipeline = ? AND retry_at > ? AND kind = 'failed' ORDER BY retry_at LIMIT ?) put_off
"""
NEXT_HELD: Final = """
SELECT min(retry_at) FROM ladder_held WHERE pipeline = ? AND retry_at IS NOT NULL
"""
COUNT_HELD: Final = """
SELECT kind, count(*), min(since) FROM ladder_held
WHERE pipeline = ? AND discarded_at IS NULL GROUP BY kind
"""
REPLACE_HELD: Final = (
    "UPDATE ladder_held SET "
    + ", ".join(f"{name} = ?" for name in _OTHER_FIELDS)
    + " WHERE pipeline = ? AND key = ?"
)
HELD_OF_CUSTOMER: Final = f"""
SELECT {_HELD} FROM ladder_held WHERE pipeline = ? AND discarded_at IS NULL AND key IN (
    SELECT held FROM ladder_held_customers
    WHERE pipeline = ? AND key IN (SELECT value FROM json_each(?)))
LIMIT 500
"""
ADD_HELD_CUSTOMER: Final = """
INSERT INTO ladder_held_customers (pipeline, key, held) VALUES (?, ?, ?) ON CONFLICT DO NOTHING
"""
REMOVE_HELD_CUSTOMER: Final = "DELETE FROM ladder_held_customers WHERE pipeline = ? AND held = ?"
REMOVE_HELD: Final = "DELETE FROM ladder_held WHERE pipeline = ? AND key = ?"
FORGET_ASIDE: Final = """
DELETE FROM ladder_held
WHERE pipeline = ? AND deal = ? AND at >= ? AND at <= ? AND kind = 'aside'
"""

SAVING: Final = (
    CUT_MOVES,
    SAVE_SWEPT_DEAL,
    SAVE_DEAL,
    SAVE_TOLD_DEAL,
    ADD_MOVE,
    SAVE_DOCUMENT,
    REMARK_EVENT,
    SAVE_SEARCH,
    VANISH_VISIT_EFFECTS,
    END_VISIT_EFFECTS,
    UNDO_LEAVING_EFFECTS,
    REVIVE_VISIT_EFFECTS,
    ADD_EFFECT,
    WAKE_EFFECTS,
    FORGET_CUSTOMER,
    ADD_CUSTOMER,
    FORGET_ASIDE,
    HOLD,
    CUT_CHECKPOINTS,
    ADD_CHECKPOINT,
)
"""The order in which a transaction writes what its decisions ask for: moves that never were go
before others take their numbers, and effects are cancelled before the same ones are asked for
again."""
