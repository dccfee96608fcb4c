"""The tables on MariaDB 10.6 and later, as numbered migrations, and the bringing up to date.

Instants are microseconds since 1970, UTC. What names something (deals, events, stages, customers)
is kept in ``VARBINARY`` and compared byte by byte: no collation takes two names for one, and none
pads them with blanks. Texts have a collation that does neither.

There are no partial indexes: where an index is to hold few rows only, a stored column is ``NULL``
for the others. ``totals`` has several rows for one total, see :mod:`.totals`; ``words`` may have a
word twice, as on PostgreSQL; ``locks`` has rows to lock: a negative one for each pipeline,
and some for customers' keys.

A statement that makes or alters a table commits by itself here. So a migration that was cut off
is begun again, and each of its statements has to do nothing where it was done before.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from ...errors import StoreError
from .connection import OwnConnection

__all__ = ["MIGRATIONS", "migrate"]

OLDEST_SERVER: Final = (10, 6)
CUSTOMER_LOCKS: Final = 256
_SECONDS: Final = 600
"""How long a process waits for another that brings the tables up to date."""

_INSTANT: Final = "CAST('1970-01-01' AS DATETIME(6)) + INTERVAL {} MICROSECOND"
_TEXT: Final = "CONVERT({} USING utf8mb4)"

_FIRST: Final = f"""
CREATE TABLE IF NOT EXISTS ladder_pipelines (
    id INT AUTO_INCREMENT PRIMARY KEY,
    name VARBINARY(2048) NOT NULL,
    fingerprint VARCHAR(200) NOT NULL,
    definition LONGTEXT NOT NULL,
    migrating LONGTEXT,
    UNIQUE KEY name (name)
);
CREATE TABLE IF NOT EXISTS ladder_deals (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    pipeline INT NOT NULL,
    deal VARBINARY(1024) NOT NULL,
    stage VARBINARY(2048),
    visit INT NOT NULL DEFAULT 0,
    visit_key VARBINARY(200),
    entered_at BIGINT,
    activity_at BIGINT,
    opened_at BIGINT,
    closed_at BIGINT,
    lost_from VARBINARY(2048),
    due_at BIGINT,
    horizon BIGINT,
    swept_to BIGINT,
    quiet_to BIGINT,
    last_event_at BIGINT,
    cursor_at BIGINT,
    cursor_phase SMALLINT NOT NULL DEFAULT 0,
    cursor_seq BIGINT NOT NULL DEFAULT 0,
    cursor_rung INT NOT NULL DEFAULT 0,
    cursor_source VARBINARY(1024) NOT NULL DEFAULT '',
    cursor_id VARBINARY(1024) NOT NULL DEFAULT '',
    timers LONGTEXT,
    owner LONGTEXT,
    currency LONGTEXT,
    value LONGTEXT,
    has_effects BOOLEAN NOT NULL DEFAULT FALSE,
    baseline_at BIGINT,
    definition VARCHAR(200),
    failures INT NOT NULL DEFAULT 0,
    retry_at BIGINT,
    removed_at BIGINT,
    customer LONGTEXT,
    merged_into VARBINARY(1024),
    units BIGINT,
    fraction BIGINT,
    title VARCHAR(64),
    source VARCHAR(200),
    touched_at BIGINT,
    is_unindexed BOOLEAN AS (if(customer IS NULL AND definition IS NOT NULL, 1, NULL)) STORED,
    is_troubled BOOLEAN AS (
        if(failures > 0 OR (stage IS NULL AND definition IS NOT NULL), 1, NULL)) STORED,
    UNIQUE KEY pipeline (pipeline, deal),
    CHECK ((stage IS NULL) = (visit = 0)),
    CHECK (stage IS NULL OR (visit_key IS NOT NULL AND entered_at >= opened_at)),
    CHECK (stage IS NOT NULL OR due_at IS NULL),
    CHECK (due_at >= entered_at),
    INDEX ladder_deals_due (pipeline, due_at),
    INDEX ladder_deals_swept (pipeline, swept_to),
    INDEX ladder_deals_stage (pipeline, stage, id),
    INDEX ladder_deals_owner (pipeline, owner(100), id),
    INDEX ladder_deals_troubled (pipeline, is_troubled),
    INDEX ladder_deals_unindexed (pipeline, is_unindexed, id),
    INDEX ladder_deals_merged (pipeline, merged_into),
    INDEX ladder_deals_touched (pipeline, touched_at, id),
    INDEX ladder_deals_by_age (pipeline, stage, entered_at, id),
    INDEX ladder_deals_by_value (pipeline, stage, units, fraction, id),
    INDEX ladder_deals_by_recent (pipeline, stage, last_event_at, id),
    INDEX ladder_deals_by_due (pipeline, stage, due_at, id),
    INDEX ladder_deals_by_title (pipeline, stage, title, id)
);
CREATE TABLE IF NOT EXISTS ladder_documents (
    deal BIGINT PRIMARY KEY,
    data LONGTEXT NOT NULL,
    FOREIGN KEY (deal) REFERENCES ladder_deals (id)
);
CREATE TABLE IF NOT EXISTS ladder_search (
    deal BIGINT PRIMARY KEY,
    pipeline INT NOT NULL,
    company VARCHAR(200),
    text LONGTEXT NOT NULL,
    FOREIGN KEY (deal) REFERENCES ladder_deals (id),
    INDEX ladder_search_company (pipeline, company, deal)
);
CREATE TABLE IF NOT EXISTS ladder_words (
    id INT AUTO_INCREMENT PRIMARY KEY,
    word VARBINARY(2048) NOT NULL,
    INDEX ladder_words_word (word)
);
CREATE TABLE IF NOT EXISTS ladder_events (
    deal BIGINT NOT NULL,
    at BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    source VARBINARY(1024) NOT NULL,
    id VARBINARY(1024) NOT NULL,
    pipeline INT NOT NULL,
    type_word INT NOT NULL,
    data LONGTEXT NOT NULL,
    digest TINYBLOB,
    recorded_at BIGINT NOT NULL,
    undeclared BOOLEAN NOT NULL DEFAULT FALSE,
    remark VARCHAR(20) CHECK (remark IN ('after_closing', 'late')),
    PRIMARY KEY (deal, at, seq, source, id),
    UNIQUE KEY identity (pipeline, source, id),
    FOREIGN KEY (deal) REFERENCES ladder_deals (id),
    INDEX ladder_events_undeclared (pipeline, undeclared, type_word),
    INDEX ladder_events_remark (pipeline, remark, recorded_at)
);
CREATE TABLE IF NOT EXISTS ladder_moves (
    deal BIGINT NOT NULL,
    n INT NOT NULL CHECK (n > 0),
    visit_key TINYBLOB NOT NULL,
    out_of_word INT,
    into_word INT NOT NULL,
    at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    rule_word INT NOT NULL,
    event_source VARBINARY(1024),
    event_id VARBINARY(1024),
    PRIMARY KEY (deal, n),
    CHECK ((out_of_word IS NULL) = (n = 1)),
    CHECK ((event_source IS NULL) = (event_id IS NULL)),
    FOREIGN KEY (deal) REFERENCES ladder_deals (id)
);
CREATE TABLE IF NOT EXISTS ladder_checkpoints (
    deal BIGINT NOT NULL,
    at BIGINT NOT NULL,
    state LONGTEXT NOT NULL,
    data LONGTEXT NOT NULL,
    PRIMARY KEY (deal, at),
    FOREIGN KEY (deal) REFERENCES ladder_deals (id)
);
CREATE TABLE IF NOT EXISTS ladder_effects (
    `key` VARBINARY(200) PRIMARY KEY,
    pipeline INT NOT NULL,
    deal BIGINT NOT NULL,
    visit_key VARBINARY(200) NOT NULL,
    phase VARCHAR(20) NOT NULL CHECK (phase IN ('into', 'out_of')),
    name VARBINARY(1024) NOT NULL,
    position INT NOT NULL,
    payload LONGTEXT NOT NULL,
    state VARCHAR(20) NOT NULL CHECK (state IN
        ('pending', 'claimed', 'delivered', 'cancelled', 'expired', 'dead', 'open', 'waiting',
        'dropped')),
    due_at BIGINT NOT NULL,
    ready_at BIGINT NOT NULL,
    expires_at BIGINT,
    run_to_completion BOOLEAN NOT NULL,
    attempts INT NOT NULL DEFAULT 0,
    lease VARBINARY(200),
    error LONGTEXT,
    owner LONGTEXT,
    recorded_at BIGINT NOT NULL,
    purpose VARCHAR(20) CHECK (purpose IN ('marketing', 'transactional')),
    channel VARCHAR(20) CHECK (channel IN ('email', 'phone')),
    address VARBINARY(200),
    sent_at BIGINT,
    delayed_until BIGINT,
    decisions LONGTEXT,
    waits_at BIGINT AS (if(state IN ('pending', 'claimed'), ready_at, NULL)) STORED,
    CHECK ((state = 'claimed') = (lease IS NOT NULL)),
    CHECK ((purpose IS NULL) = (channel IS NULL)),
    FOREIGN KEY (deal) REFERENCES ladder_deals (id),
    INDEX ladder_effects_ready (pipeline, name, waits_at, `key`),
    INDEX ladder_effects_oldest (pipeline, waits_at),
    INDEX ladder_effects_urgent (pipeline, state, ready_at, `key`, expires_at),
    INDEX ladder_effects_deal (deal, visit_key),
    INDEX ladder_effects_address (address, sent_at)
);
CREATE TABLE IF NOT EXISTS ladder_customers (
    `key` VARBINARY(2048) NOT NULL,
    deal BIGINT NOT NULL,
    PRIMARY KEY (`key`, deal),
    FOREIGN KEY (deal) REFERENCES ladder_deals (id),
    INDEX ladder_customers_deal (deal)
);
CREATE TABLE IF NOT EXISTS ladder_crowds (
    pipeline INT NOT NULL,
    `key` VARBINARY(2048) NOT NULL,
    PRIMARY KEY (pipeline, `key`)
);
CREATE TABLE IF NOT EXISTS ladder_secrets (
    name VARBINARY(200) PRIMARY KEY,
    value VARCHAR(200) NOT NULL
);
CREATE TABLE IF NOT EXISTS ladder_subscriptions (
    address VARBINARY(200) NOT NULL,
    wanted BOOLEAN NOT NULL,
    at BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    source VARBINARY(1024) NOT NULL,
    id VARBINARY(1024) NOT NULL,
    pipeline INT NOT NULL DEFAULT 0,
    PRIMARY KEY (address, at, seq, source, id, pipeline, wanted)
);
CREATE TABLE IF NOT EXISTS ladder_arms (
    `key` VARBINARY(2048) PRIMARY KEY,
    arm VARCHAR(20) NOT NULL CHECK (arm IN ('sent', 'held_out')),
    at BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS ladder_held (
    pipeline INT NOT NULL,
    `key` VARBINARY(200) NOT NULL,
    kind VARCHAR(20) NOT NULL CHECK (kind IN ('aside', 'conflict', 'copy', 'future', 'failed')),
    deal VARBINARY(1024) NOT NULL,
    source VARBINARY(1024) NOT NULL,
    id VARBINARY(1024) NOT NULL,
    type VARBINARY(1024) NOT NULL,
    at BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    data LONGTEXT,
    digest VARCHAR(200) NOT NULL,
    reason LONGTEXT NOT NULL,
    since BIGINT NOT NULL,
    told INT NOT NULL,
    failures INT NOT NULL,
    retry_at BIGINT,
    discarded_at BIGINT,
    discarded_by LONGTEXT,
    note LONGTEXT,
    PRIMARY KEY (pipeline, `key`),
    CHECK ((kind = 'aside') = (data IS NULL)),
    CHECK (discarded_at IS NULL OR retry_at IS NULL),
    INDEX ladder_held_deal (pipeline, deal),
    INDEX ladder_held_retry (pipeline, retry_at)
);
CREATE TABLE IF NOT EXISTS ladder_held_customers (
    pipeline INT NOT NULL,
    `key` VARBINARY(2048) NOT NULL,
    held VARBINARY(200) NOT NULL,
    PRIMARY KEY (pipeline, `key`, held),
    INDEX ladder_held_of (pipeline, held)
);
CREATE TABLE IF NOT EXISTS ladder_totals (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    pipeline INT NOT NULL,
    stage VARBINARY(2048) NOT NULL,
    currency LONGTEXT,
    owner LONGTEXT,
    source VARCHAR(200),
    deals BIGINT NOT NULL,
    valued BIGINT NOT NULL,
    billions BIGINT NOT NULL,
    units BIGINT NOT NULL,
    fraction BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS ladder_locks (
    n INT PRIMARY KEY
);
INSERT INTO ladder_locks (n) VALUES {", ".join(f"({n})" for n in range(CUSTOMER_LOCKS))}
    ON DUPLICATE KEY UPDATE n = ladder_locks.n;
CREATE OR REPLACE VIEW ladder_visits AS
SELECT m.deal, m.n, lower(hex(m.visit_key)) AS visit_key, {_TEXT.format("stage.word")} AS stage,
    {_INSTANT.format("m.at")} AS entered_at, {_INSTANT.format("later.at")} AS left_at
FROM ladder_moves m
LEFT JOIN ladder_words stage ON stage.id = m.into_word
LEFT JOIN ladder_moves later ON later.deal = m.deal AND later.n = m.n + 1;
CREATE OR REPLACE VIEW ladder_moves_read AS
SELECT {_TEXT.format("p.name")} AS pipeline, {_TEXT.format("d.deal")} AS deal, m.n,
    {_TEXT.format("out_of.word")} AS out_of, {_TEXT.format("into_stage.word")} AS into_stage,
    {_INSTANT.format("m.at")} AS at, {_INSTANT.format("m.recorded_at")} AS recorded_at,
    {_TEXT.format("rule.word")} AS rule, {_TEXT.format("m.event_source")} AS event_source,
    {_TEXT.format("m.event_id")} AS event_id, lower(hex(m.visit_key)) AS visit_key
FROM ladder_moves m
JOIN ladder_deals d ON d.id = m.deal
JOIN ladder_pipelines p ON p.id = d.pipeline
LEFT JOIN ladder_words out_of ON out_of.id = m.out_of_word
LEFT JOIN ladder_words into_stage ON into_stage.id = m.into_word
LEFT JOIN ladder_words rule ON rule.id = m.rule_word;
CREATE OR REPLACE VIEW ladder_events_read AS
SELECT {_TEXT.format("p.name")} AS pipeline, {_TEXT.format("d.deal")} AS deal,
    {_TEXT.format("e.source")} AS source, {_TEXT.format("e.id")} AS id,
    {_TEXT.format("type.word")} AS type, {_INSTANT.format("e.at")} AS at, e.seq, e.data,
    lower(hex(e.digest)) AS digest, {_INSTANT.format("e.recorded_at")} AS recorded_at,
    e.undeclared, e.remark
FROM ladder_events e
JOIN ladder_deals d ON d.id = e.deal
JOIN ladder_pipelines p ON p.id = d.pipeline
LEFT JOIN ladder_words type ON type.id = e.type_word
"""

_CHAINS: Final = """
CREATE TABLE IF NOT EXISTS ladder_chains (
    pipeline INT PRIMARY KEY,
    position LONGTEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS ladder_links (
    pipeline INT NOT NULL,
    n BIGINT NOT NULL CHECK (n > 0),
    hash TINYBLOB NOT NULL,
    header LONGTEXT NOT NULL,
    PRIMARY KEY (pipeline, n)
);
CREATE TABLE IF NOT EXISTS ladder_leaves (
    deal BIGINT NOT NULL,
    source VARBINARY(1024) NOT NULL,
    id VARBINARY(1024) NOT NULL,
    pipeline INT NOT NULL,
    link BIGINT NOT NULL,
    leaf TINYBLOB NOT NULL,
    PRIMARY KEY (deal, source, id),
    FOREIGN KEY (deal) REFERENCES ladder_deals (id),
    INDEX ladder_leaves_link (pipeline, link)
);
CREATE TABLE IF NOT EXISTS ladder_salts (
    deal BIGINT PRIMARY KEY,
    salt TINYBLOB NOT NULL,
    FOREIGN KEY (deal) REFERENCES ladder_deals (id)
);
CREATE TABLE IF NOT EXISTS ladder_retired (
    pipeline INT NOT NULL,
    link BIGINT NOT NULL,
    leaf BINARY(32) NOT NULL,
    kind VARCHAR(20) NOT NULL CHECK (kind IN ('forgotten', 'removed')),
    retired BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (pipeline, link, leaf),
    INDEX ladder_retired_in (pipeline, retired)
)
"""

VERSION: Final = 16
MIGRATIONS: Final[Mapping[int, str]] = {15: _FIRST, VERSION: _CHAINS}
"""Each by the version that it makes, which is the same on every database; there was none before."""

_KIND: Final = ") ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"


def statements_of(script: str, prefix: str) -> list[str]:
    """Return the statements of a migration for the tables with this prefix."""
    named = script.replace("ladder_", prefix)
    found = (text.strip() for text in re.split(r";\n", named))
    return [
        text[:-1] + _KIND if text.startswith("CREATE TABLE") else text for text in found if text
    ]


@functools.cache
def indexes(prefix: str) -> list[str]:
    """Return for every index of the tables with this prefix the statement that makes it again."""
    texts = []
    for table in re.finditer(
        r"(?s)CREATE TABLE IF NOT EXISTS (\w+) \((.*?)\n\)", "".join(MIGRATIONS.values())
    ):
        for index in re.finditer(r"(?m)^    INDEX (\w+) (\(.*\)),?$", table[2]):
            texts.append(f"CREATE INDEX {index[1]} ON {table[1]} {index[2]}")
    return [text.replace("ladder_", prefix) for text in texts]


def migrate(connection: OwnConnection, prefix: str, create: bool = True) -> None:
    """Bring the tables to the newest version, one numbered step after another.

    Processes that start together wait for each other on a lock of the server's, and all but the
    first find the work done. A step that was cut off is done again from its beginning.

    Args:
        create: whether to make the tables when there are none.

    Raises:
        StoreError: the server is no MariaDB or too old, the tables are missing or were written by
            a later version of the library, or another process takes too long to make them.
    """
    _check_server(connection)
    version = _version(connection, prefix)
    if version == VERSION:
        return
    if version == 0 and not create:
        raise StoreError(f"this database has no tables {prefix}*: check the address")
    name = _lock_name(connection, prefix)
    if connection.rows("SELECT get_lock(%s, %s)", name, _SECONDS) != [(1,)]:
        raise StoreError(
            f"another process has been bringing the tables {prefix}* up to date for "
            f"{_SECONDS // 60} minutes: see what it waits for (SHOW PROCESSLIST), and try again"
        )
    try:
        _bring_up_to_date(connection, prefix)
    finally:
        if not connection.is_lost:
            connection.rows("SELECT release_lock(%s)", name)


def _bring_up_to_date(connection: OwnConnection, prefix: str) -> None:
    version = _version(connection, prefix)
    if version > VERSION:
        raise StoreError(
            f"the tables {prefix}* have schema version {version} and this ladderpipe knows "
            f"{VERSION}: install a later ladderpipe"
        )
    for number, script in MIGRATIONS.items():
        if number <= version:
            continue
        for text in statements_of(script, prefix):
            connection.run(text)
        table = f"{prefix}schema"
        connection.run(f"CREATE TABLE IF NOT EXISTS {table} (version INT PRIMARY KEY{_KIND}")
        if not connection.rows(f"SELECT version FROM {table}"):
            connection.run(f"INSERT INTO {table} VALUES ({number})")
        connection.run(f"UPDATE {table} SET version = {number}")


def _version(connection: OwnConnection, prefix: str) -> int:
    found = connection.rows(
        "SELECT 1 FROM information_schema.tables "
        "WHERE table_schema = database() AND table_name = %s",
        f"{prefix}schema",
    )
    rows = connection.rows(f"SELECT version FROM {prefix}schema") if found else []
    return int(rows[0][0]) if rows else 0


def _check_server(connection: OwnConnection) -> None:
    ((version, database),) = connection.rows("SELECT version(), database()")
    found = re.match(r"(\d+)\.(\d+)", version)
    if "MariaDB" not in version or found is None:
        raise StoreError(
            f"this is MySQL {version}, on which ladderpipe was never tried: use MariaDB "
            "10.6 or later, PostgreSQL or SQLite"
        )
    if (int(found[1]), int(found[2])) < OLDEST_SERVER:
        raise StoreError(
            f"this is MariaDB {version}, and ladderpipe needs 10.6 or later, which can skip rows "
            "that are locked: upgrade the server"
        )
    if database is None:
        raise StoreError(
            "the address names no database: write mariadb://user:password@host/database"
        )


def _lock_name(connection: Any, prefix: str) -> str:
    ((database,),) = connection.rows("SELECT database()")
    return (
        "ladderpipe " + hashlib.blake2b(f"{database}.{prefix}".encode(), digest_size=16).hexdigest()
    )
