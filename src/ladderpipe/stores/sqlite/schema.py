"""The tables as they are now on SQLite, which a new file gets at once.

A test holds them to what the steps of :mod:`.migrations` make of an older file. Instants are
microseconds since 1970, UTC.
"""

from __future__ import annotations

import sqlite3
from typing import Final

__all__ = ["SCHEMA", "VERSION", "version_of"]

VERSION: Final = 16

_INSTANT: Final = (
    "strftime('%Y-%m-%dT%H:%M:%S', {0} / 1000000 - ({0} % 1000000 < 0), 'unixepoch')"
    " || printf('.%06dZ', ({0} % 1000000 + 1000000) % 1000000)"
)

SCHEMA: Final = f"""
CREATE TABLE ladder_schema (version INTEGER NOT NULL);

CREATE TABLE ladder_pipelines (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    fingerprint TEXT NOT NULL,
    definition TEXT NOT NULL,
    migrating TEXT
);

CREATE TABLE ladder_deals (
    id INTEGER PRIMARY KEY,
    pipeline INTEGER NOT NULL REFERENCES ladder_pipelines (id),
    deal TEXT NOT NULL,
    stage TEXT,
    visit INTEGER NOT NULL DEFAULT 0,
    visit_key TEXT,
    entered_at INTEGER,
    activity_at INTEGER,
    opened_at INTEGER,
    closed_at INTEGER,
    lost_from TEXT,
    due_at INTEGER,
    horizon INTEGER,
    swept_to INTEGER,
    quiet_to INTEGER,
    last_event_at INTEGER,
    cursor_at INTEGER,
    cursor_phase INTEGER NOT NULL DEFAULT 0,
    cursor_seq INTEGER NOT NULL DEFAULT 0,
    cursor_rung INTEGER NOT NULL DEFAULT 0,
    cursor_source TEXT NOT NULL DEFAULT '',
    cursor_id TEXT NOT NULL DEFAULT '',
    timers TEXT,
    owner TEXT,
    currency TEXT,
    value TEXT,
    has_effects INTEGER NOT NULL DEFAULT 0,
    baseline_at INTEGER,
    definition TEXT,
    failures INTEGER NOT NULL DEFAULT 0,
    retry_at INTEGER,
    removed_at INTEGER,
    customer TEXT,
    merged_into TEXT,
    units INTEGER,
    fraction INTEGER,
    title TEXT,
    source TEXT,
    touched_at INTEGER,
    UNIQUE (pipeline, deal),
    CHECK ((stage IS NULL) = (visit = 0)),
    CHECK (stage IS NULL OR (visit_key IS NOT NULL AND entered_at >= opened_at)),
    CHECK (stage IS NOT NULL OR due_at IS NULL),
    CHECK (due_at >= entered_at)
);
CREATE INDEX ladder_deals_due ON ladder_deals (pipeline, due_at) WHERE due_at IS NOT NULL;

CREATE TABLE ladder_documents (
    deal INTEGER PRIMARY KEY REFERENCES ladder_deals (id),
    data TEXT NOT NULL
);

CREATE TABLE ladder_held (
    pipeline INTEGER NOT NULL REFERENCES ladder_pipelines (id),
    key TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('aside', 'conflict', 'copy', 'future', 'failed')),
    deal TEXT NOT NULL,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    at INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    data TEXT,
    digest TEXT NOT NULL,
    reason TEXT NOT NULL,
    since INTEGER NOT NULL,
    told INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    retry_at INTEGER,
    discarded_at INTEGER,
    discarded_by TEXT,
    note TEXT,
    PRIMARY KEY (pipeline, key),
    CHECK ((kind = 'aside') = (data IS NULL)),
    CHECK (discarded_at IS NULL OR retry_at IS NULL)
) WITHOUT ROWID;
CREATE INDEX ladder_deals_swept ON ladder_deals (pipeline, swept_to) WHERE swept_to IS NOT NULL;
CREATE INDEX ladder_held_retry ON ladder_held (pipeline, retry_at) WHERE retry_at IS NOT NULL;
CREATE INDEX ladder_deals_troubled ON ladder_deals (pipeline, stage, failures)
    WHERE failures > 0 OR (stage IS NULL AND definition IS NOT NULL);
CREATE INDEX ladder_held_deal ON ladder_held (deal);

CREATE TABLE ladder_effects (
    key TEXT PRIMARY KEY,
    pipeline INTEGER NOT NULL REFERENCES ladder_pipelines (id),
    deal INTEGER NOT NULL REFERENCES ladder_deals (id),
    visit_key TEXT NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('into', 'out_of')),
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN
        ('pending', 'claimed', 'delivered', 'cancelled', 'expired', 'dead', 'open', 'waiting',
        'dropped')),
    due_at INTEGER NOT NULL,
    ready_at INTEGER NOT NULL,
    expires_at INTEGER,
    run_to_completion INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    lease TEXT,
    error TEXT,
    owner TEXT,
    recorded_at INTEGER NOT NULL,
    purpose TEXT CHECK (purpose IN ('marketing', 'transactional')),
    channel TEXT CHECK (channel IN ('email', 'phone')),
    address TEXT,
    sent_at INTEGER,
    delayed_until INTEGER,
    decisions TEXT,
    CHECK ((state = 'claimed') = (lease IS NOT NULL)),
    CHECK ((purpose IS NULL) = (channel IS NULL))
) WITHOUT ROWID;
CREATE INDEX ladder_effects_ready ON ladder_effects (pipeline, name, ready_at)
    WHERE state IN ('pending', 'claimed');
CREATE INDEX ladder_effects_dead ON ladder_effects (pipeline, due_at) WHERE state = 'dead';
CREATE INDEX ladder_effects_deal ON ladder_effects (deal, visit_key);
CREATE INDEX ladder_effects_put_off ON ladder_effects (pipeline, ready_at)
    WHERE state = 'claimed' OR (state = 'pending' AND error IS NOT NULL);
CREATE INDEX ladder_effects_waiting ON ladder_effects (deal, pipeline)
    WHERE state = 'waiting';
CREATE INDEX ladder_effects_address ON ladder_effects (address, sent_at)
    WHERE address IS NOT NULL;
CREATE INDEX ladder_deals_unindexed ON ladder_deals (pipeline, id)
    WHERE customer IS NULL AND definition IS NOT NULL;

CREATE TABLE ladder_customers (
    key TEXT NOT NULL,
    deal INTEGER NOT NULL REFERENCES ladder_deals (id),
    PRIMARY KEY (key, deal)
) WITHOUT ROWID;
CREATE INDEX ladder_customers_deal ON ladder_customers (deal);

CREATE TABLE ladder_crowds (
    pipeline INTEGER NOT NULL REFERENCES ladder_pipelines (id),
    key TEXT NOT NULL,
    PRIMARY KEY (pipeline, key)
) WITHOUT ROWID;

CREATE TABLE ladder_secrets (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE ladder_arms (
    key TEXT PRIMARY KEY,
    arm TEXT NOT NULL CHECK (arm IN ('sent', 'held_out')),
    at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX ladder_deals_merged ON ladder_deals (pipeline, merged_into)
    WHERE merged_into IS NOT NULL;

CREATE TABLE ladder_held_customers (
    pipeline INTEGER NOT NULL REFERENCES ladder_pipelines (id),
    key TEXT NOT NULL,
    held TEXT NOT NULL,
    PRIMARY KEY (pipeline, key, held)
) WITHOUT ROWID;
CREATE INDEX ladder_held_of ON ladder_held_customers (pipeline, held);

CREATE TABLE ladder_subscriptions (
    address TEXT NOT NULL,
    wanted INTEGER NOT NULL,
    at INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    pipeline INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (address, at, seq, source, id, pipeline, wanted)
) WITHOUT ROWID;
CREATE INDEX ladder_deals_owner ON ladder_deals (pipeline, owner, id, stage)
    WHERE owner IS NOT NULL;
CREATE INDEX ladder_deals_touched ON ladder_deals (pipeline, touched_at);
CREATE INDEX ladder_deals_by_age ON ladder_deals (pipeline, stage, entered_at)
    WHERE stage IS NOT NULL;
CREATE INDEX ladder_deals_by_value ON ladder_deals (pipeline, stage, units, fraction)
    WHERE stage IS NOT NULL;
CREATE INDEX ladder_deals_by_recent ON ladder_deals (pipeline, stage, last_event_at)
    WHERE stage IS NOT NULL;
CREATE INDEX ladder_deals_by_due ON ladder_deals (pipeline, stage, due_at)
    WHERE stage IS NOT NULL;
CREATE INDEX ladder_deals_by_title ON ladder_deals (pipeline, stage, title)
    WHERE stage IS NOT NULL;

CREATE TABLE ladder_search (
    deal INTEGER PRIMARY KEY REFERENCES ladder_deals (id),
    pipeline INTEGER NOT NULL,
    company TEXT,
    text TEXT NOT NULL
);
CREATE INDEX ladder_search_company ON ladder_search (pipeline, company)
    WHERE company IS NOT NULL;
CREATE INDEX ladder_effects_open ON ladder_effects
    (pipeline, owner, ready_at, key, expires_at, state) WHERE state = 'open';
CREATE INDEX ladder_effects_urgent ON ladder_effects
    (pipeline, ready_at, key, expires_at, state) WHERE state = 'open';

CREATE TABLE ladder_checkpoints (
    deal INTEGER NOT NULL REFERENCES ladder_deals (id),
    at INTEGER NOT NULL,
    state TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (deal, at)
);

CREATE TABLE ladder_totals (
    pipeline INTEGER NOT NULL,
    stage TEXT NOT NULL,
    currency TEXT,
    owner TEXT,
    source TEXT,
    deals INTEGER NOT NULL,
    valued INTEGER NOT NULL,
    billions INTEGER NOT NULL,
    units INTEGER NOT NULL,
    fraction INTEGER NOT NULL
);
CREATE UNIQUE INDEX ladder_totals_of ON ladder_totals
    (pipeline, stage, ifnull(currency, 0), ifnull(owner, 0), ifnull(source, 0));
CREATE INDEX ladder_totals_empty ON ladder_totals (deals) WHERE deals = 0;
CREATE INDEX ladder_deals_stage ON ladder_deals (pipeline, stage, id, owner, source)
    WHERE stage IS NOT NULL;

CREATE TABLE ladder_words (
    id INTEGER PRIMARY KEY,
    word TEXT NOT NULL UNIQUE
);

CREATE TABLE ladder_events (
    deal INTEGER NOT NULL REFERENCES ladder_deals (id),
    at INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    pipeline INTEGER NOT NULL,
    type_word INTEGER NOT NULL,
    data TEXT NOT NULL,
    digest BLOB,
    recorded_at INTEGER NOT NULL,
    undeclared INTEGER NOT NULL DEFAULT 0,
    remark TEXT CHECK (remark IN ('after_closing', 'late')),
    PRIMARY KEY (deal, at, seq, source, id),
    UNIQUE (pipeline, source, id)
) WITHOUT ROWID;

CREATE TABLE ladder_moves (
    deal INTEGER NOT NULL REFERENCES ladder_deals (id),
    n INTEGER NOT NULL CHECK (n > 0),
    visit_key BLOB NOT NULL,
    out_of_word INTEGER,
    into_word INTEGER NOT NULL,
    at INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    rule_word INTEGER NOT NULL,
    event_source TEXT,
    event_id TEXT,
    PRIMARY KEY (deal, n),
    CHECK ((out_of_word IS NULL) = (n = 1)),
    CHECK ((event_source IS NULL) = (event_id IS NULL))
) WITHOUT ROWID;
CREATE INDEX ladder_events_undeclared ON ladder_events (pipeline, type_word) WHERE undeclared;
CREATE INDEX ladder_events_remark ON ladder_events (pipeline, remark, recorded_at)
    WHERE remark IS NOT NULL;

CREATE VIEW ladder_visits AS
SELECT m.deal, m.n, lower(hex(m.visit_key)) AS visit_key, stage.word AS stage, m.at AS entered_at,
    later.at AS left_at
FROM ladder_moves m
LEFT JOIN ladder_words stage ON stage.id = m.into_word
LEFT JOIN ladder_moves later ON later.deal = m.deal AND later.n = m.n + 1;

CREATE VIEW ladder_moves_read AS
SELECT p.name AS pipeline, d.deal, m.n, out_of.word AS out_of, into_stage.word AS into_stage,
    {_INSTANT.format("m.at")} AS at,
    {_INSTANT.format("m.recorded_at")} AS recorded_at,
    rule.word AS rule, m.event_source, m.event_id, lower(hex(m.visit_key)) AS visit_key
FROM ladder_moves m
JOIN ladder_deals d ON d.id = m.deal
JOIN ladder_pipelines p ON p.id = d.pipeline
LEFT JOIN ladder_words out_of ON out_of.id = m.out_of_word
LEFT JOIN ladder_words into_stage ON into_stage.id = m.into_word
LEFT JOIN ladder_words rule ON rule.id = m.rule_word;

CREATE VIEW ladder_events_read AS
SELECT p.name AS pipeline, d.deal, e.source, e.id, type.word AS type,
    {_INSTANT.format("e.at")} AS at, e.seq, e.data, lower(hex(e.digest)) AS digest,
    {_INSTANT.format("e.recorded_at")} AS recorded_at, e.undeclared, e.remark
FROM ladder_events e
JOIN ladder_deals d ON d.id = e.deal
JOIN ladder_pipelines p ON p.id = d.pipeline
LEFT JOIN ladder_words type ON type.id = e.type_word;

CREATE TABLE ladder_chains (
    pipeline INTEGER PRIMARY KEY REFERENCES ladder_pipelines (id),
    position TEXT NOT NULL
);

CREATE TABLE ladder_links (
    pipeline INTEGER NOT NULL REFERENCES ladder_pipelines (id),
    n INTEGER NOT NULL CHECK (n > 0),
    hash BLOB NOT NULL,
    header TEXT NOT NULL,
    PRIMARY KEY (pipeline, n)
) WITHOUT ROWID;

CREATE TABLE ladder_leaves (
    deal INTEGER NOT NULL REFERENCES ladder_deals (id),
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    pipeline INTEGER NOT NULL,
    link INTEGER NOT NULL,
    leaf BLOB NOT NULL,
    PRIMARY KEY (deal, source, id)
) WITHOUT ROWID;
CREATE INDEX ladder_leaves_link ON ladder_leaves (pipeline, link);

CREATE TABLE ladder_salts (
    deal INTEGER PRIMARY KEY REFERENCES ladder_deals (id),
    salt BLOB NOT NULL
);

CREATE TABLE ladder_retired (
    pipeline INTEGER NOT NULL REFERENCES ladder_pipelines (id),
    link INTEGER NOT NULL,
    leaf BLOB NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('forgotten', 'removed')),
    retired INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (pipeline, link, leaf)
) WITHOUT ROWID;
CREATE INDEX ladder_retired_in ON ladder_retired (pipeline, retired);
"""


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of a file's tables; 0 if it has none."""
    try:
        row = connection.execute("SELECT version FROM ladder_schema").fetchone()
    except sqlite3.OperationalError:
        return 0
    return row[0] if row else 0
