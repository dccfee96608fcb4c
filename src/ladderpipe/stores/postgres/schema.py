"""The tables on PostgreSQL 14 and later, as numbered migrations, and the bringing up to date.

JSON is kept as ``json`` and not as ``jsonb``: ``jsonb`` rewrites numbers (``1e22`` comes back as a
whole number, ``-0.0`` without its sign) and the order of keys, and the fold must see on every
store the very text that was digested. Queries may cast: ``data::jsonb``.

``deal`` is the number of a row in ``deals``, which stands for pipeline and deal at once; keys begin
with it. Three do not: an event's identity belongs to its pipeline, whichever deal it names; an
effect's key is a digest of pipeline, deal and visit; pipelines have no deal. ``deals.pipeline`` has
no foreign key, because every new deal of every process would lock the pipeline's one row for it,
and nothing removes pipelines.

``totals`` has several rows for one total, which are summed up when they are read: whoever moves a
deal adds rows and waits for nobody, and a row for each total would make all who move deals into one
stage wait for each other. Every 1,024th row merges those before it, as a binary counter carries:
the last 1,024, 2,048 or more of them, as many as its number can be divided by. So there are never
many, however many totals there are, and a row is merged a few times only. Rows that another
transaction is at are passed over, and are merged with a later one.

``words`` may have a word twice: of two transactions that bring the same new one neither waits for
the other, however long it takes. Each number stands for one word, for ever.

:mod:`.partitions` is about these tables in partitions.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import psycopg

from ...errors import StoreError
from ...model.delivery import task_due
from ..base import chunks
from ..listing import told_again
from .names import Names
from .partitions import check_number, check_partitions, partitioned

__all__ = ["MIGRATIONS", "column_types", "migrate", "version_of"]

OLDEST_SERVER: Final = 140_000

FILLED_AT_ONCE: Final = 1_000

LISTS: Final = 11
"""The step that makes room for what lists are sorted by, which is then worked out of the data."""
TASKS: Final = 12
"""The step from which on tasks note by when they are to be done, which their payloads say."""

MIGRATIONS: Final[tuple[str, ...]] = (
    """
CREATE TABLE {tables}pipelines (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    fingerprint text NOT NULL,
    definition text NOT NULL,
    migrating text
);

CREATE TABLE {tables}deals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline integer NOT NULL,
    deal text COLLATE "C" NOT NULL,
    stage text,
    visit integer NOT NULL DEFAULT 0,
    visit_key text,
    entered_at timestamptz,
    activity_at timestamptz,
    opened_at timestamptz,
    closed_at timestamptz,
    lost_from text,
    due_at timestamptz,
    horizon timestamptz,
    swept_to timestamptz,
    quiet_to timestamptz,
    last_event_at timestamptz,
    cursor_at timestamptz,
    cursor_phase smallint NOT NULL DEFAULT 0,
    cursor_seq bigint NOT NULL DEFAULT 0,
    cursor_rung integer NOT NULL DEFAULT 0,
    cursor_source text NOT NULL DEFAULT '',
    cursor_id text NOT NULL DEFAULT '',
    timers text,
    owner text,
    currency text,
    value text,
    has_effects boolean NOT NULL DEFAULT false,
    baseline_at timestamptz,
    definition text,
    failures integer NOT NULL DEFAULT 0,
    retry_at timestamptz,
    removed_at timestamptz,
    UNIQUE (pipeline, deal),
    CHECK ((stage IS NULL) = (visit = 0)),
    CHECK (stage IS NULL OR (visit_key IS NOT NULL AND entered_at >= opened_at)),
    CHECK (stage IS NOT NULL OR due_at IS NULL),
    CHECK (due_at >= entered_at)
) WITH (fillfactor = 80);
CREATE INDEX {prefix}deals_due ON {tables}deals (pipeline, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX {prefix}deals_stage ON {tables}deals (pipeline, stage) WHERE stage IS NOT NULL;

CREATE TABLE {tables}documents (
    deal bigint PRIMARY KEY REFERENCES {tables}deals (id),
    data json NOT NULL
);

CREATE TABLE {tables}events (
    deal bigint NOT NULL REFERENCES {tables}deals (id),
    at timestamptz NOT NULL,
    seq bigint NOT NULL,
    source text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    pipeline integer NOT NULL,
    type text NOT NULL,
    data json NOT NULL,
    digest text,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (pipeline, source, id)
);
CREATE INDEX {prefix}events_deal ON {tables}events (deal, at);

CREATE TABLE {tables}moves (
    deal bigint NOT NULL REFERENCES {tables}deals (id),
    n integer NOT NULL CHECK (n > 0),
    visit_key text NOT NULL,
    out_of text,
    into_stage text NOT NULL,
    at timestamptz NOT NULL,
    left_at timestamptz CHECK (left_at >= at),
    recorded_at timestamptz NOT NULL,
    rule text NOT NULL,
    event_source text,
    event_id text,
    PRIMARY KEY (deal, n),
    CHECK ((out_of IS NULL) = (n = 1)),
    CHECK ((event_source IS NULL) = (event_id IS NULL))
);
CREATE UNIQUE INDEX {prefix}moves_one_current ON {tables}moves (deal) WHERE left_at IS NULL;

CREATE TABLE {tables}effects (
    key text COLLATE "C" PRIMARY KEY,
    pipeline integer NOT NULL,
    deal bigint NOT NULL REFERENCES {tables}deals (id),
    visit_key text NOT NULL,
    phase text NOT NULL CHECK (phase IN ('into', 'out_of')),
    name text NOT NULL,
    position integer NOT NULL,
    payload json NOT NULL,
    state text NOT NULL CHECK (state IN
        ('pending', 'claimed', 'delivered', 'cancelled', 'expired', 'dead', 'open')),
    due_at timestamptz NOT NULL,
    ready_at timestamptz NOT NULL,
    expires_at timestamptz,
    run_to_completion boolean NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    lease text,
    error text,
    owner text,
    recorded_at timestamptz NOT NULL,
    CHECK ((state = 'claimed') = (lease IS NOT NULL))
);
CREATE INDEX {prefix}effects_ready ON {tables}effects (pipeline, ready_at)
    WHERE state IN ('pending', 'claimed');
CREATE INDEX {prefix}effects_open ON {tables}effects (pipeline, due_at) WHERE state = 'open';
CREATE INDEX {prefix}effects_dead ON {tables}effects (pipeline, due_at) WHERE state = 'dead';
CREATE INDEX {prefix}effects_deal ON {tables}effects (deal, visit_key);
""",
    """
CREATE TABLE {tables}held (
    pipeline integer NOT NULL,
    key text COLLATE "C" NOT NULL,
    kind text NOT NULL CHECK (kind IN ('aside', 'conflict', 'copy', 'future', 'failed')),
    deal text COLLATE "C" NOT NULL,
    source text NOT NULL,
    id text NOT NULL,
    type text NOT NULL,
    at timestamptz NOT NULL,
    seq bigint NOT NULL,
    data json,
    digest text NOT NULL,
    reason text NOT NULL,
    since timestamptz NOT NULL,
    told integer NOT NULL,
    failures integer NOT NULL,
    retry_at timestamptz,
    discarded_at timestamptz,
    discarded_by text,
    note text,
    PRIMARY KEY (pipeline, key),
    CHECK ((kind = 'aside') = (data IS NULL)),
    CHECK (discarded_at IS NULL OR retry_at IS NULL)
);
CREATE INDEX {prefix}deals_swept ON {tables}deals (pipeline, swept_to)
    WHERE swept_to IS NOT NULL;
CREATE INDEX {prefix}held_deal ON {tables}held (pipeline, deal);
CREATE INDEX {prefix}held_retry ON {tables}held (pipeline, retry_at) WHERE retry_at IS NOT NULL;
""",
    """
DROP INDEX IF EXISTS {tables}effects_ready;
CREATE INDEX {prefix}effects_ready ON {tables}effects (pipeline, name, ready_at)
    WHERE state IN ('pending', 'claimed');
DROP INDEX IF EXISTS {tables}effects_open;
CREATE INDEX {prefix}effects_open ON {tables}effects (pipeline, owner, due_at)
    WHERE state = 'open';
DROP INDEX IF EXISTS {tables}deals_stage;
CREATE INDEX {prefix}deals_stage ON {tables}deals (pipeline, stage, id) WHERE stage IS NOT NULL;
CREATE INDEX {prefix}deals_owner ON {tables}deals (pipeline, owner, id) WHERE owner IS NOT NULL;
CREATE INDEX {prefix}deals_troubled ON {tables}deals (pipeline, stage, failures)
    WHERE failures > 0 OR (stage IS NULL AND definition IS NOT NULL);
""",
    """
ALTER TABLE {tables}events ADD COLUMN undeclared boolean NOT NULL DEFAULT false;
CREATE INDEX {prefix}events_undeclared ON {tables}events (pipeline, type) WHERE undeclared;
""",
    """
CREATE INDEX {prefix}effects_put_off ON {tables}effects (pipeline, ready_at)
    WHERE state = 'claimed' OR (state = 'pending' AND error IS NOT NULL);
""",
    """
ALTER TABLE {tables}effects DROP CONSTRAINT {prefix}effects_state_check;
ALTER TABLE {tables}effects ADD CONSTRAINT {prefix}effects_state_check CHECK (state IN
    ('pending', 'claimed', 'delivered', 'cancelled', 'expired', 'dead', 'open', 'waiting',
    'dropped'));
ALTER TABLE {tables}effects ADD COLUMN purpose text
    CHECK (purpose IN ('marketing', 'transactional'));
ALTER TABLE {tables}effects ADD COLUMN channel text CHECK (channel IN ('email', 'phone'));
ALTER TABLE {tables}effects ADD CHECK ((purpose IS NULL) = (channel IS NULL));
ALTER TABLE {tables}effects ADD COLUMN address text COLLATE "C";
ALTER TABLE {tables}effects ADD COLUMN sent_at timestamptz;
ALTER TABLE {tables}effects ADD COLUMN delayed_until timestamptz;
ALTER TABLE {tables}effects ADD COLUMN decisions text;
CREATE INDEX {prefix}effects_waiting ON {tables}effects (deal, pipeline)
    WHERE state = 'waiting';
CREATE INDEX {prefix}effects_address ON {tables}effects (address, sent_at)
    WHERE address IS NOT NULL;

ALTER TABLE {tables}deals ADD COLUMN customer text;
CREATE INDEX {prefix}deals_unindexed ON {tables}deals (pipeline, id)
    WHERE customer IS NULL AND definition IS NOT NULL;

CREATE TABLE {tables}customers (
    key text COLLATE "C" NOT NULL,
    deal bigint NOT NULL REFERENCES {tables}deals (id),
    PRIMARY KEY (key, deal)
);
CREATE INDEX {prefix}customers_deal ON {tables}customers (deal);

CREATE TABLE {tables}crowds (
    pipeline integer NOT NULL,
    key text COLLATE "C" NOT NULL,
    PRIMARY KEY (pipeline, key)
);

CREATE TABLE {tables}secrets (
    name text PRIMARY KEY,
    value text NOT NULL
);
""",
    """
CREATE TABLE {tables}subscriptions (
    address text COLLATE "C" NOT NULL,
    wanted boolean NOT NULL,
    at timestamptz NOT NULL,
    seq bigint NOT NULL,
    source text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    PRIMARY KEY (address, wanted)
);

CREATE TABLE {tables}arms (
    key text COLLATE "C" PRIMARY KEY,
    arm text NOT NULL CHECK (arm IN ('sent', 'held_out')),
    at timestamptz NOT NULL
);

ALTER TABLE {tables}deals ADD COLUMN merged_into text COLLATE "C";
CREATE INDEX {prefix}deals_merged ON {tables}deals (pipeline, merged_into)
    WHERE merged_into IS NOT NULL;
""",
    """
CREATE TABLE {tables}held_customers (
    pipeline integer NOT NULL,
    key text COLLATE "C" NOT NULL,
    held text COLLATE "C" NOT NULL,
    PRIMARY KEY (pipeline, key, held)
);
CREATE INDEX {prefix}held_of ON {tables}held_customers (pipeline, held);
""",
    """
ALTER TABLE {tables}events ADD COLUMN remark text CHECK (remark IN ('after_closing', 'late'));
CREATE INDEX {prefix}events_remark ON {tables}events (pipeline, remark, recorded_at)
    WHERE remark IS NOT NULL;
""",
    """
ALTER TABLE {tables}subscriptions ADD COLUMN pipeline integer NOT NULL DEFAULT 0;
ALTER TABLE {tables}subscriptions DROP CONSTRAINT {prefix}subscriptions_pkey;
ALTER TABLE {tables}subscriptions
    ADD PRIMARY KEY (address, at, seq, source, id, pipeline, wanted);
""",
    """
ALTER TABLE {tables}deals ADD COLUMN units bigint;
ALTER TABLE {tables}deals ADD COLUMN fraction bigint;
ALTER TABLE {tables}deals ADD COLUMN title text COLLATE "C";
ALTER TABLE {tables}deals ADD COLUMN source text;
ALTER TABLE {tables}deals ADD COLUMN touched_at timestamptz;
UPDATE {tables}deals SET touched_at = coalesce(
    greatest(last_event_at, entered_at, removed_at), to_timestamp(0))
    WHERE definition IS NOT NULL OR removed_at IS NOT NULL;
DROP INDEX IF EXISTS {tables}deals_owner;
CREATE INDEX {prefix}deals_owner ON {tables}deals (pipeline, owner, id, stage)
    WHERE owner IS NOT NULL;
CREATE INDEX {prefix}deals_touched ON {tables}deals (pipeline, touched_at, id);
CREATE INDEX {prefix}deals_by_age ON {tables}deals (pipeline, stage, entered_at, id)
    WHERE stage IS NOT NULL;
CREATE INDEX {prefix}deals_by_value ON {tables}deals (pipeline, stage, units, fraction, id)
    WHERE stage IS NOT NULL;
CREATE INDEX {prefix}deals_by_recent ON {tables}deals (pipeline, stage, last_event_at, id)
    WHERE stage IS NOT NULL;
CREATE INDEX {prefix}deals_by_due ON {tables}deals (pipeline, stage, due_at, id)
    WHERE stage IS NOT NULL;
CREATE INDEX {prefix}deals_by_title ON {tables}deals (pipeline, stage, title, id)
    WHERE stage IS NOT NULL;
CREATE INDEX {prefix}deals_worth ON {tables}deals
    (pipeline, stage, currency, units, fraction, owner, source) WHERE stage IS NOT NULL;

CREATE TABLE {tables}search (
    deal bigint PRIMARY KEY REFERENCES {tables}deals (id),
    pipeline integer NOT NULL,
    company text COLLATE "C",
    text text COLLATE "C" NOT NULL
);
CREATE INDEX {prefix}search_company ON {tables}search (pipeline, company, deal)
    WHERE company IS NOT NULL;
""",
    """
DROP INDEX IF EXISTS {tables}effects_open;
CREATE INDEX {prefix}effects_open ON {tables}effects (pipeline, owner, ready_at, key, expires_at)
    WHERE state = 'open';
CREATE INDEX {prefix}effects_urgent ON {tables}effects (pipeline, ready_at, key, expires_at)
    WHERE state = 'open';
""",
    """
DROP INDEX IF EXISTS {tables}moves_one_current;
ALTER TABLE {tables}moves DROP COLUMN left_at;
CREATE VIEW {tables}visits AS
SELECT m.deal, m.n, m.visit_key, m.into_stage AS stage, m.at AS entered_at, later.at AS left_at
FROM {tables}moves m
LEFT JOIN {tables}moves later ON later.deal = m.deal AND later.n = m.n + 1;
""",
    """
CREATE TABLE {tables}checkpoints (
    deal bigint NOT NULL REFERENCES {tables}deals (id),
    at timestamptz NOT NULL,
    state text NOT NULL,
    data text NOT NULL,
    PRIMARY KEY (deal, at)
);

CREATE TABLE {tables}totals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline integer NOT NULL,
    stage text NOT NULL,
    currency text,
    owner text,
    source text,
    deals bigint NOT NULL,
    valued bigint NOT NULL,
    billions bigint NOT NULL,
    units bigint NOT NULL,
    fraction bigint NOT NULL
);
INSERT INTO {tables}totals (pipeline, stage, currency, owner, source, deals, valued, billions,
    units, fraction)
SELECT pipeline, stage, currency, owner, source, count(*), count(units),
    coalesce(sum(units / 1000000000), 0), coalesce(sum(units % 1000000000), 0),
    coalesce(sum(fraction), 0)
FROM {tables}deals WHERE stage IS NOT NULL GROUP BY pipeline, stage, currency, owner, source;

CREATE OR REPLACE FUNCTION {tables}merge_totals(since bigint, until bigint) RETURNS void
LANGUAGE sql AS $$
WITH taken AS (
    DELETE FROM {tables}totals WHERE id IN (
        SELECT id FROM {tables}totals WHERE id > since AND id <= until FOR UPDATE SKIP LOCKED)
    RETURNING *)
INSERT INTO {tables}totals OVERRIDING SYSTEM VALUE
SELECT max(id), pipeline, stage, currency, owner, source, sum(deals), sum(valued), sum(billions),
    sum(units), sum(fraction)
FROM taken GROUP BY pipeline, stage, currency, owner, source
HAVING (sum(deals), sum(valued), sum(billions), sum(units), sum(fraction)) <> (0, 0, 0, 0, 0);
$$;
CREATE OR REPLACE FUNCTION {tables}merge_some_totals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') = 'read committed' THEN
        PERFORM {tables}merge_totals(NEW.id - (NEW.id & -NEW.id), NEW.id);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER merge_some_totals AFTER INSERT ON {tables}totals FOR EACH ROW
    WHEN (NEW.id & 1023 = 0 AND pg_trigger_depth() = 0)
    EXECUTE FUNCTION {tables}merge_some_totals();

DROP INDEX IF EXISTS {tables}deals_worth;
DROP INDEX IF EXISTS {tables}deals_stage;
CREATE INDEX {prefix}deals_stage ON {tables}deals (pipeline, stage, id, owner, source)
    WHERE stage IS NOT NULL;
""",
    """
CREATE TABLE {tables}words (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    word text COLLATE "C" NOT NULL
);
CREATE INDEX {prefix}words_word ON {tables}words (word);
INSERT INTO {tables}words (word)
SELECT type FROM {tables}events UNION SELECT rule FROM {tables}moves
UNION SELECT into_stage FROM {tables}moves UNION SELECT out_of FROM {tables}moves WHERE n > 1
ORDER BY 1;
CREATE FUNCTION {tables}word_number(text) RETURNS integer LANGUAGE sql STABLE AS
    'SELECT id FROM {tables}words WHERE word = $1';
DROP VIEW {tables}visits;
ALTER TABLE {tables}events
    ALTER COLUMN type TYPE integer USING {tables}word_number(type),
    ALTER COLUMN digest TYPE bytea USING decode(digest, 'hex');
ALTER TABLE {tables}moves
    ALTER COLUMN visit_key TYPE bytea USING decode(visit_key, 'hex'),
    ALTER COLUMN out_of TYPE integer USING {tables}word_number(out_of),
    ALTER COLUMN into_stage TYPE integer USING {tables}word_number(into_stage),
    ALTER COLUMN rule TYPE integer USING {tables}word_number(rule);
ALTER TABLE {tables}events RENAME COLUMN type TO type_word;
ALTER TABLE {tables}moves RENAME COLUMN out_of TO out_of_word;
ALTER TABLE {tables}moves RENAME COLUMN into_stage TO into_word;
ALTER TABLE {tables}moves RENAME COLUMN rule TO rule_word;
DROP FUNCTION {tables}word_number(text);
CREATE VIEW {tables}visits AS
SELECT m.deal, m.n, encode(m.visit_key, 'hex') AS visit_key, stage.word AS stage,
    m.at AS entered_at, later.at AS left_at
FROM {tables}moves m
LEFT JOIN {tables}words stage ON stage.id = m.into_word
LEFT JOIN {tables}moves later ON later.deal = m.deal AND later.n = m.n + 1;
CREATE VIEW {tables}moves_read AS
SELECT p.name AS pipeline, d.deal, m.n, out_of.word AS out_of, into_stage.word AS into_stage,
    m.at, m.recorded_at, rule.word AS rule, m.event_source, m.event_id,
    encode(m.visit_key, 'hex') AS visit_key
FROM {tables}moves m
JOIN {tables}deals d ON d.id = m.deal
JOIN {tables}pipelines p ON p.id = d.pipeline
LEFT JOIN {tables}words out_of ON out_of.id = m.out_of_word
LEFT JOIN {tables}words into_stage ON into_stage.id = m.into_word
LEFT JOIN {tables}words rule ON rule.id = m.rule_word;
CREATE VIEW {tables}events_read AS
SELECT p.name AS pipeline, d.deal, e.source, e.id, type.word AS type, e.at, e.seq, e.data,
    encode(e.digest, 'hex') AS digest, e.recorded_at, e.undeclared, e.remark
FROM {tables}events e
JOIN {tables}deals d ON d.id = e.deal
JOIN {tables}pipelines p ON p.id = d.pipeline
LEFT JOIN {tables}words type ON type.id = e.type_word;
""",
    """
CREATE TABLE {tables}chains (
    pipeline integer PRIMARY KEY,
    position text NOT NULL
);

CREATE TABLE {tables}links (
    pipeline integer NOT NULL,
    n bigint NOT NULL CHECK (n > 0),
    hash bytea NOT NULL,
    header text NOT NULL,
    PRIMARY KEY (pipeline, n)
);

CREATE TABLE {tables}leaves (
    deal bigint NOT NULL REFERENCES {tables}deals (id),
    source text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    pipeline integer NOT NULL,
    link bigint NOT NULL,
    leaf bytea NOT NULL,
    PRIMARY KEY (deal, source, id)
);
CREATE INDEX {prefix}leaves_link ON {tables}leaves (pipeline, link);

CREATE TABLE {tables}salts (
    deal bigint PRIMARY KEY REFERENCES {tables}deals (id),
    salt bytea NOT NULL
);

CREATE TABLE {tables}retired (
    pipeline integer NOT NULL,
    link bigint NOT NULL,
    leaf bytea NOT NULL,
    kind text NOT NULL CHECK (kind IN ('forgotten', 'removed')),
    retired bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (pipeline, link, leaf)
);
CREATE INDEX {prefix}retired_in ON {tables}retired (pipeline, retired);
""",
)


def column_types(table: str) -> dict[str, str]:
    """Return the type of every column of a table, by name, as the migrations declare it."""
    script = "".join(MIGRATIONS)
    created = re.search(rf"CREATE TABLE {{tables}}{table} \((.*?)\n\)", script, re.DOTALL)
    added = re.findall(rf"ALTER TABLE {{tables}}{table} ADD COLUMN (\w+) (\w+)", script)
    found = re.findall(r"^ {4}(\w+) ([a-z]+)", created[1] if created else "", re.MULTILINE)
    types = dict([*found, *added])
    for altered in re.findall(rf"ALTER TABLE {{tables}}{table}\b([^;]*);", script):
        types.update(re.findall(r"ALTER COLUMN (\w+) TYPE (\w+)", altered))
        for old, new in re.findall(r"RENAME COLUMN (\w+) TO (\w+)", altered):
            types[new] = types.pop(old)
    return types


def migrate(
    connection: psycopg.Connection[Any], names: Names, create: bool = True, partitions: int = 0
) -> None:
    """Bring the tables to the newest version, one numbered step after another.

    Processes that start together wait for each other on an advisory lock, and all but the first
    find the work done.

    Args:
        create: whether to make the tables when there are none.
        partitions: into how many to divide the large ones when they are made; 0 for none, and
            for tables that are there, however they were made.

    Raises:
        StoreError: the server is too old, its encoding cannot hold every text, or the tables are
            missing, were made with other partitions or were written by a later version of the
            library.
    """
    check_number(partitions)
    _check_server(connection)
    _bring_up_to_date(connection, names, create, partitions)
    if partitions:
        check_partitions(connection, names, partitions)


def _bring_up_to_date(
    connection: psycopg.Connection[Any], names: Names, create: bool, partitions: int
) -> None:
    version = version_of(connection, names)
    if version == len(MIGRATIONS):
        return
    if version == 0 and not create:
        raise StoreError(f"this database has no tables {names.tables}*: check the address")
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (names.lock, -1))
        version = version_of(connection, names)
        if version > len(MIGRATIONS):
            raise StoreError(
                f"the tables {names.tables}* have schema version {version} and this ladderpipe "
                f"knows {len(MIGRATIONS)}: install a later ladderpipe"
            )
        if version == 0:
            _begin(connection, names)
        for number, script in enumerate(MIGRATIONS[version:], version):
            makes_tables = number == 0 and partitions
            text = partitioned(script, partitions) if makes_tables else script
            connection.execute(names.fill(text))
            if number + 1 == LISTS:
                _fill_lists(connection, names)
            if number + 1 == TASKS:
                _fill_tasks(connection, names)
        statement = names.fill("UPDATE {tables}schema SET version = %s")
        connection.execute(statement, (len(MIGRATIONS),))


def _fill_lists(connection: psycopg.Connection[Any], names: Names) -> None:
    """Work out of every deal's data what its lists are sorted by and searched in."""
    rows = connection.execute(
        names.fill(
            "SELECT d.pipeline, d.id, d.deal, d.value, c.data::text FROM {tables}deals d "
            "JOIN {tables}documents c ON c.deal = d.id"
        )
    )
    update = names.fill(
        "UPDATE {tables}deals SET units = %s, fraction = %s, title = %s, source = %s WHERE id = %s"
    )
    insert = names.fill(
        "INSERT INTO {tables}search (company, text, pipeline, deal) VALUES (%s, %s, %s, %s)"
    )
    with connection.cursor() as cursor:
        for some in chunks(told_again(rows), FILLED_AT_ONCE):
            cursor.executemany(update, [(*told[:4], number) for _, number, told in some])
            found = [(*told[4:], pipeline, number) for pipeline, number, told in some]
            cursor.executemany(insert, found)


def _fill_tasks(connection: psycopg.Connection[Any], names: Names) -> None:
    """Note by when tasks are to be done that are open, or may be again."""
    rows = connection.execute(
        names.fill(
            "SELECT key, due_at, payload::text FROM {tables}effects "
            "WHERE name = 'task' AND state IN ('open', 'cancelled')"
        )
    )
    update = names.fill("UPDATE {tables}effects SET ready_at = %s WHERE key = %s")
    with connection.cursor() as cursor:
        for some in chunks(rows, FILLED_AT_ONCE):
            due = [(task_due(at, json.loads(payload)), key) for key, at, payload in some]
            cursor.executemany(update, due)


def _check_server(connection: psycopg.Connection[Any]) -> None:
    version = connection.info.server_version
    if version < OLDEST_SERVER:
        raise StoreError(
            f"this is PostgreSQL {version // 10_000}, and ladderpipe needs 14 or later: upgrade "
            "the server"
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StoreError(
            f"this database is encoded in {encoding} and cannot hold every text: create one with "
            "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
        )


def version_of(connection: psycopg.Connection[Any], names: Names) -> int:
    """Return which version of the tables is there, 0 for none."""
    # From the catalogue's tables: to_regclass() may answer from before the wait for the lock.
    found = connection.execute(
        "SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = %s",
        (names.schema, f"{names.prefix}schema"),
    )
    if not found.rowcount:
        return 0
    row = connection.execute(names.fill("SELECT version FROM {tables}schema")).fetchone()
    return row[0] if row else 0


def _begin(connection: psycopg.Connection[Any], names: Names) -> None:
    known = connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", (names.schema,))
    if not known.rowcount:
        connection.execute(names.fill("CREATE SCHEMA {schema}"))
    connection.execute(names.fill("CREATE TABLE {tables}schema (version integer NOT NULL)"))
    connection.execute(names.fill("INSERT INTO {tables}schema VALUES (0)"))
