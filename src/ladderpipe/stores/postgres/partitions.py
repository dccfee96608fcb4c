"""Hash partitions on PostgreSQL: what a deal brings many rows of lies in several tables, by deal.

Documents, events and moves are partitioned, and every key of theirs holds the deal. Left whole are
``deals``, one narrow row each, whose number and name are both unique; and ``effects``, whose key
is a digest of pipeline, deal and visit. An event's identity must be unique in its pipeline,
whichever deal it names, and no key of a partitioned table can say so: a table of identities does,
which triggers keep. So the statements are the same on both layouts.
"""

from __future__ import annotations

import re
from typing import Any, Final

import psycopg

from ...errors import StoreError
from .names import Names

__all__ = ["check_partitions", "partitioned"]

MOST: Final = 1_024

_TABLES: Final = ("documents", "events", "moves")
_IDENTITIES: Final = """
CREATE TABLE {tables}identities (
    pipeline integer NOT NULL,
    source text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    PRIMARY KEY (pipeline, source, id)
);
CREATE INDEX {prefix}events_identity ON {tables}events (pipeline, source, id);

CREATE FUNCTION {tables}take_identity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {tables}identities VALUES (NEW.pipeline, NEW.source, NEW.id)
        ON CONFLICT DO NOTHING;
    RETURN CASE WHEN FOUND THEN NEW END;
END $$;
CREATE TRIGGER take_identity BEFORE INSERT ON {tables}events
    FOR EACH ROW EXECUTE FUNCTION {tables}take_identity();

CREATE FUNCTION {tables}free_identity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM {tables}identities
        WHERE pipeline = OLD.pipeline AND source = OLD.source AND id = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER free_identity AFTER DELETE ON {tables}events
    FOR EACH ROW EXECUTE FUNCTION {tables}free_identity();

CREATE FUNCTION {tables}keep_identity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE integrity_constraint_violation USING MESSAGE = 'an event keeps its deal and its identity';
END $$;
CREATE TRIGGER keep_identity BEFORE UPDATE OF pipeline, deal, source, id ON {tables}events
    FOR EACH ROW EXECUTE FUNCTION {tables}keep_identity();
"""


def partitioned(script: str, partitions: int) -> str:
    """Return the script that makes the tables as one that makes some of them in partitions."""
    script = script.replace(
        "PRIMARY KEY (pipeline, source, id)", "PRIMARY KEY (pipeline, deal, source, id)"
    )
    for table in _TABLES:
        parts = "".join(
            f"\nCREATE TABLE {{tables}}{table}_p{n} PARTITION OF {{tables}}{table}"
            f" FOR VALUES WITH (MODULUS {partitions}, REMAINDER {n});"
            for n in range(partitions)
        )
        whole = rf"(CREATE TABLE \{{tables\}}{table} \(.*?\n\));"
        script = re.sub(whole, rf"\1 PARTITION BY HASH (deal);{parts}", script, flags=re.DOTALL)
    return script + _IDENTITIES


def check_number(partitions: int) -> None:
    """Refuse a number of partitions that makes no sense.

    Raises:
        StoreError: it is neither 0 nor from 2 to 1,024.
    """
    if partitions != 0 and not 2 <= partitions <= MOST:
        raise StoreError(
            f"partitions={partitions}: give a number from 2 to {MOST:,}, about one for every ten "
            "million events that are to come, or 0 for none"
        )


def check_partitions(connection: psycopg.Connection[Any], names: Names, partitions: int) -> None:
    """Refuse another number of partitions than the tables were made with.

    Raises:
        StoreError: they were made with another number, or without.
    """
    row = connection.execute(
        "SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s",
        (names.schema, f"{names.prefix}events"),
    ).fetchone()
    there = row[0] if row else 0
    if there != partitions:
        raise StoreError(
            f"the tables {names.tables}* were made with partitions={there}, and partitions="
            f"{partitions} was asked for: leave it out, or move the deals into new tables"
        )
