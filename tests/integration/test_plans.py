"""How the databases find rows among 200,000 deals: no statement in daily use reads them all."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from ladderpipe import SqliteStore
from ladderpipe.stores import PostgresStore
from ladderpipe.stores.filters import DealFilter, TaskFilter
from ladderpipe.stores.listing import FIRST_HEARD, ORDERS
from ladderpipe.stores.postgres.names import Names
from ladderpipe.stores.postgres.statements import Many, spelled, statements
from ladderpipe.stores.sql_listing import (
    OF_COMPANY,
    OF_CUSTOMER,
    gather_text,
    sums_text,
    task_count_text,
    tasks_text,
    total_text,
    walk_text,
)
from ladderpipe.stores.sqlite import statements as sqlite_statements

pytestmark = pytest.mark.slow

DEALS: Final = 200_000

COLD: Final = {
    "WORDS": "a new connection reads a few hundred of them once",
    "COUNT_DEALS": "counts all deals, for how far an archive or a check has come",
    "CLOSED_DEALS": "archiving goes through the deals once",
    "EFFECTS": "lists the effects of a whole store, whatever their state",
    "COUNT_HELD": "counts what is held, which is little, or somebody should look at it",
    "EVENTS_WITH_CONTACT": "forgetting a person looks into every event once",
    "DEALS_WITH_CONTACT": "forgetting a person looks into every document once",
    "MISCOUNTED": "a check counts every deal once",
    "NOTES": "who forgets a person in a sealed store looks into what archives need, once",
    "LEAVES_BETWEEN": "a check goes through a chain once",
    "RETIRED_BETWEEN": "a check goes through a chain once",
    "STRAY_LEAVES": "a check looks at every leaf of a chain once",
    "STRAY_RETIRED": "a check looks at what was taken out of a chain once",
    "RECOUNT": "counts every deal once, when a check has found that it is needed",
}
"""Statements that read all of a table, and why that is no harm."""

PARTIAL: Final = {
    "OPEN_TASKS": "lists all that the partial index holds",
    "DEAD_LETTERS": "lists all that the partial index holds",
    "COUNT_DEAD_LETTERS": "the partial index holds dead letters only",
    "TROUBLED_DEALS": "the partial index holds failing and waiting deals only",
    "COUNT_UNDECLARED": "the partial index holds events that nobody declared only",
    "COUNT_REMARKS": "the partial index holds events that came to nothing only",
    "UNINDEXED": "the partial index holds deals from before customers were known, a batch is taken",
    "LOCK_UNINDEXED": "the partial index holds deals from before customers were known",
    "WAKE_EFFECTS": "the partial index holds what waits for an address only",
    "COUNT_WAITING": "the partial index holds what waits for an address only",
    "MERGED_INTO_NOTHING": "the partial index holds deals that were merged only",
    "NEXT_HELD": "the partial index holds what is tried again only",
}
"""Statements that go along a whole partial index, and why that is no harm; along no other one."""

WHOLE_INDEX: Final = {
    **PARTIAL,
    "NEXT_TIMER": "ends after the first hundred of the index",
    "NEXT_WAKE": "ends after the first hundred of the index",
    "OLDEST_EFFECT": "begins at the first of the index",
    "LAST_LINK": "ends after the last of the index",
    "HELD": "goes on from a key, of which the pipeline is the first part",
    "UNMARK_CROWDS": "the table holds keys that stand for nobody, which should be none",
    "STAGE_COUNTS": "the table holds a row for each total, and not for each deal",
    "COUNT_CROWDS": "the table holds keys that stand for nobody, which should be none",
}
"""Statements that go along an index from where a pipeline begins in it, and why that is no harm."""

HOT: Final = frozenset(
    {
        "SCHEMA_VERSION",
        "INDEXES",
        "PIPELINE",
        "PIPELINES",
        "SAVE_PIPELINE",
        "SAVE_DEFINITION",
        "DATABASE_NOW",
        "SHARE_PIPELINE",
        "SHARE_PIPELINE_BY_ID",
        "CHANGE_PIPELINE",
        "PIN_PIPELINE",
        "PIN_PIPELINE_BY_NAME",
        "NOTIFY",
        "LOAD_DEAL",
        "LOAD_LOCKED_DEAL",
        "LOCK_DEAL",
        "LOCK_DEAL_BY_ID",
        "LOAD_DEAL_BY_ID",
        "ADD_DEAL",
        "LOAD_DEALS",
        "ADD_MISSING_DEALS",
        "LOCK_DEALS",
        "LOAD_LOCKED_DEALS",
        "DOCUMENT",
        "DOCUMENTS",
        "SAVE_DOCUMENT",
        "SAVE_DEAL",
        "SAVE_SWEPT_DEAL",
        "SAVE_TOLD_DEAL",
        "SAVE_SEARCH",
        "DEALS_BY_ID",
        "CHANGED_DEALS",
        "NOTE_FAILURE",
        "DUE_DEALS",
        "LOCK_DUE_DEALS",
        "SWEPT_AHEAD",
        "LOCK_SWEPT_AHEAD",
        "EVERY_DEAL",
        "DEALS",
        "DEALS_IN_STAGES",
        "DEALS_OF_OWNER",
        "UNADOPTED",
        "COUNT_OUT",
        "COUNT_IN",
        "COUNT_MANY_OUT",
        "COUNT_MANY_IN",
        "REMOVE_EMPTY_TOTALS",
        "MERGE_TOTALS",
        "ADD_EVENT",
        "KNOWN_EVENTS",
        "REMOVE_EVENT",
        "EVENTS",
        "EVENTS_BETWEEN",
        "EVENTS_OF",
        "REPLACE_EVENT_DATA",
        "REMARKS",
        "REMARK_EVENT",
        "ADD_MOVE",
        "CUT_MOVES",
        "MOVES",
        "MOVES_OF",
        "RENAME_OUT_OF",
        "RENAME_INTO",
        "ADD_CHECKPOINT",
        "CUT_CHECKPOINTS",
        "CHECKPOINT_BEFORE",
        "CHECKPOINTS",
        "COUNT_SINCE_CHECKPOINT",
        "END_RENAMING",
        "WORD",
        "WORD_NUMBER",
        "ADD_WORD",
        "REMOVE_UNUSED_DEAL",
        "REMOVE_DEAL",
        "ADD_EFFECT",
        "END_VISIT_EFFECTS",
        "VANISH_VISIT_EFFECTS",
        "REVIVE_VISIT_EFFECTS",
        "UNDO_LEAVING_EFFECTS",
        "EFFECTS_OF_DEAL",
        "UNSENT_EFFECTS",
        "EFFECT",
        "READY_EFFECTS",
        "COUNT_READY",
        "FREE_EFFECT",
        "LOCK_FREE_EFFECT",
        "NEXT_EFFECT",
        "PUT_OFF_EFFECTS",
        "CLAIM_EFFECT",
        "SETTLE_EFFECT",
        "REPLACE_EFFECT_PAYLOAD",
        "GIVE_TASK",
        "HOLD",
        "HELD_OF_DEAL",
        "HELD_AMONG",
        "HELD_BY_KEY",
        "LOCK_HELD_BY_KEY",
        "HELD_DUE",
        "REPLACE_HELD",
        "REMOVE_HELD",
        "FORGET_ASIDE",
        "DECIDE_EFFECT",
        "ADD_CUSTOMER",
        "FORGET_CUSTOMER",
        "DEALS_OF_CUSTOMER",
        "HELD_OF_CUSTOMER",
        "ADD_HELD_CUSTOMER",
        "REMOVE_HELD_CUSTOMER",
        "LOCK_CUSTOMERS",
        "TRY_LOCK_CUSTOMERS",
        "HANDS_SINCE",
        "SENT_TO",
        "NEWER_EFFECT",
        "NOTE_SUBSCRIPTION",
        "TAKE_BACK_SUBSCRIPTION",
        "LAST_SUBSCRIPTION",
        "ARMS",
        "NOTE_ARM",
        "MARK_CROWDS",
        "SECRET",
        "ADD_SECRET",
        "NOTE",
        "LOCKED_NOTE",
        "ADD_NOTE",
        "LOCK_NOTE",
        "SET_NOTE",
        "REMOVE_NOTE",
        "RESEAL_EVENT",
        "RESEAL_EFFECT",
        "DEAL_OF_EFFECT",
        "CHAIN",
        "LOCK_CHAIN",
        "ADD_CHAIN",
        "MOVE_CHAIN",
        "LINKS",
        "ADD_LINK",
        "FREE_DEALS",
        "LOCK_FREE_DEALS",
        "UNCHAINED",
        "SALTS",
        "SAVE_SALT",
        "ERASE_SALT",
        "ADD_LEAF",
        "LEAVES_OF",
        "RETIRE_LEAVES",
        "REMOVE_LEAVES",
        "RETIRED_LEAVES",
        "NOTE_RETIRED",
        "OPEN_LINKS",
        "DROP_LEAVES",
    }
) | set(WHOLE_INDEX)
"""Statements that have to find what they want by an index, however many deals there are."""

LARGE: Final = (
    "deals",
    "documents",
    "events",
    "moves",
    "checkpoints",
    "effects",
    "held",
    "customers",
    "search",
    "leaves",
    "salts",
    "retired",
)

FILL: Final = (
    """INSERT INTO ladder_pipelines (name, fingerprint, definition) VALUES
        ('large', 'f', '{}'), ('small', 'f', '{}')""",
    """INSERT INTO ladder_deals (pipeline, deal, stage, visit, visit_key, entered_at, activity_at,
            opened_at, due_at, swept_to, horizon, owner, currency, value, definition, customer,
            units, fraction, title, source, last_event_at, touched_at)
        SELECT CASE WHEN n % 1000 = 0 THEN 2 ELSE 1 END, 'deal-' || n,
            CASE WHEN n % 5000 = 1 THEN 'rare' WHEN n % 3 = 0 THEN 'won' ELSE 'open' END,
            1, 'v' || n, AT, AT, AT, CASE WHEN n % 3 > 0 THEN AT END, AT, AT,
            CASE WHEN n % 2 = 0 THEN 'owner-' || (n % 500) END, 'EUR', '5', 'f', 'c',
            CASE WHEN n % 4 > 0 THEN n % 7000 END, CASE WHEN n % 4 > 0 THEN 0 END,
            't' || (n % 50000), 's' || (n % 5), AT, AT FROM series""",
    """INSERT INTO ladder_search (deal, pipeline, company, text)
        SELECT n, CASE WHEN n % 1000 = 0 THEN 2 ELSE 1 END, 'acme-' || (n % 1000), 't' || n
        FROM series""",
    """INSERT INTO ladder_customers (key, deal) SELECT 'email:' || (n / 2), n FROM series""",
    """INSERT INTO ladder_documents (deal, data) SELECT n, '{"title": "t"}' FROM series""",
    """INSERT INTO ladder_events (pipeline, deal, source, id, type_word, at, seq, data,
            recorded_at, remark)
        SELECT CASE WHEN n % 1000 = 0 THEN 2 ELSE 1 END, n, '', 'e' || n, 1, AT, 0, '{}', AT,
            CASE WHEN n % 100 = 0 THEN 'late' END FROM series""",
    """INSERT INTO ladder_words (word) SELECT 'word-' || n FROM series WHERE n <= 1000""",
    """INSERT INTO ladder_moves (deal, n, visit_key, into_word, at, recorded_at, rule_word)
        SELECT n, 1, 'v', 2, AT, AT, 3 FROM series""",
    """INSERT INTO ladder_checkpoints (deal, at, state, data)
        SELECT n, AT, '{}', '{}' FROM series""",
    """INSERT INTO ladder_effects (key, pipeline, deal, visit_key, phase, name, position, payload,
            state, due_at, ready_at, run_to_completion, owner, recorded_at)
        SELECT 'k' || n, CASE WHEN n % 1000 = 0 THEN 2 ELSE 1 END, n, 'v' || n, 'into',
            CASE WHEN n % 4 = 3 THEN 'task' WHEN n % 2 = 0 THEN 'email' ELSE 'sms' END, 0, '{}',
            CASE WHEN n % 100 = 3 THEN 'open' WHEN n % 1000 = 4 THEN 'dead'
                WHEN n % 4 IN (0, 3) THEN 'delivered' ELSE 'pending' END,
            AT, AT, false, 'owner-' || (n % 500), AT FROM series""",
    """INSERT INTO ladder_held (pipeline, key, kind, deal, source, id, type, at, seq, data, digest,
            reason, since, told, failures, retry_at)
        SELECT 1, 'h' || n, 'failed', 'deal-' || n, '', 'h' || n, 'lead', AT, 0, '{}', 'x', 'r',
            AT, 1, 1, AT FROM series""",
    """INSERT INTO ladder_leaves (deal, source, id, pipeline, link, leaf)
        SELECT n, '', 'e' || n, CASE WHEN n % 1000 = 0 THEN 2 ELSE 1 END, n / 100 + 1, 'x'
        FROM series""",
    """INSERT INTO ladder_salts (deal, salt) SELECT n, 'x' FROM series""",
    """INSERT INTO ladder_retired (pipeline, link, leaf, kind, retired)
        SELECT 1, n, 'x', 'removed', 3000 FROM series""",
)


def test_every_statement_is_known_to_be_hot_or_cold() -> None:
    known = HOT | set(COLD)
    names = set(sqlite_texts()) | set(postgres_texts())
    assert names == known
    assert not HOT & set(COLD)


WALKS: Final = {
    f"{order.name} {place}{filters}": walk_text(order, place, filters)
    for order in (FIRST_HEARD, *ORDERS.values())
    for place in ("first", "known", "unknown")
    if order.columns or place != "unknown"
    for filters in ("", " AND +d.owner = ?")
}
"""Every way along a column."""

INDEXED: Final = {order.name: f"ladder_deals_by_{order.name}" for order in ORDERS.values()}

COUNTED: Final = (total_text(), total_text(" AND d.owner = ?"), sums_text())
"""What adds up a stage, or all of them, without looking at the deals."""

_AT: Final = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
TODO: Final = {
    "ladder_effects_urgent": (
        TaskFilter(now=_AT),
        TaskFilter(now=_AT, due_by=_AT),
        TaskFilter(now=_AT, of=DealFilter(owners=("owner-3",))),
        TaskFilter(now=_AT, due_by=_AT, of=DealFilter(owners=("owner-3",), stages=("open",))),
    ),
    "ladder_effects_open": (
        TaskFilter(now=_AT, owner="owner-3"),
        TaskFilter(now=_AT, owner="owner-3", due_by=_AT),
        TaskFilter(now=_AT, owner="owner-3", of=DealFilter(owners=("owner-3",))),
    ),
}
"""What may be asked of tasks, by the index that is gone along for it."""


def todo_texts() -> Iterator[tuple[str, str, str]]:
    """Yield index, page and count of every way along tasks."""
    for index, filters in TODO.items():
        for wanted in filters:
            seen = " AND d.owner IN (SELECT value FROM json_each(?))"
            of_deals = seen if wanted.of.owners else ""
            for goes_on in (False, True):
                text = tasks_text(wanted, of_deals, goes_on=goes_on, is_limited=True)
                yield index, text, task_count_text(wanted, of_deals)


SEEN: Final = " AND (d.owner IS NULL OR d.owner IN (SELECT value FROM json_each(?)))"
OF_SOMEBODY: Final = tuple(
    gather_text(FIRST_HEARD, f"{seen} AND {whose}", by_number=True)
    for whose in (OF_CUSTOMER, OF_COMPANY)
    for seen in ("", SEEN)
)
"""What finds the deals of a customer and of a company, whatever whoever asks may see."""


# -- SQLite -----------------------------------------------------------------------------------


def sqlite_texts() -> Mapping[str, tuple[str, ...]]:
    texts = {name: text for name, text in vars(sqlite_statements).items() if name.isupper()}
    return {
        name: (text,) if isinstance(text, str) else text
        for name, text in texts.items()
        if name != "SAVING" and not name.startswith("_") and isinstance(text, str | tuple)
        if name not in ("FOUND_BY", "SWEPT_FIELDS", "VALUE", "ASIDE", "CROWD")
    }


@pytest.fixture(scope="module")
def sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plans") / "large.db"
    SqliteStore(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TEMP TABLE series (n INTEGER PRIMARY KEY)")
        connection.execute(
            "WITH RECURSIVE numbers (n) AS (VALUES (1) UNION ALL "
            f"SELECT n + 1 FROM numbers WHERE n < {DEALS}) INSERT INTO series SELECT n FROM numbers"
        )
        for statement in FILL:
            connection.execute(re.sub(r"\bAT\b", "n * 1000000", statement))
        connection.commit()
    return path


@pytest.mark.parametrize("analysed", [False, True])
def test_sqlite_finds_by_an_index_what_a_hot_statement_wants(
    sqlite_file: Path, analysed: bool
) -> None:
    found = []
    with contextlib.closing(sqlite3.connect(sqlite_file)) as connection:
        connection.execute("PRAGMA cache_size = -64000")
        if analysed:
            connection.execute("ANALYZE")
        else:
            connection.execute("DROP TABLE IF EXISTS sqlite_stat1")
        for name, texts in sqlite_texts().items():
            for text in texts if name in HOT else ():
                found += [(name, line) for line in sqlite_faults(connection, name, text)]
    assert not found


@pytest.mark.parametrize("analysed", [False, True])
def test_sqlite_goes_along_an_index_through_a_column(sqlite_file: Path, analysed: bool) -> None:
    with contextlib.closing(sqlite3.connect(sqlite_file)) as connection:
        connection.execute("ANALYZE" if analysed else "DROP TABLE IF EXISTS sqlite_stat1")
        for name, text in WALKS.items():
            plan = sqlite_plan(connection, text)
            assert "TEMP B-TREE" not in plan, (name, plan)
            index = INDEXED.get(name.split()[0], "ladder_deals_stage")
            assert f"{index} (pipeline=? AND stage=?" in plan, (name, plan)
        for text in COUNTED:
            assert "SEARCH d USING INDEX ladder_totals_of" in sqlite_plan(connection, text), text


@pytest.mark.parametrize("analysed", [False, True])
def test_sqlite_finds_a_customers_deals_by_the_customer(sqlite_file: Path, analysed: bool) -> None:
    with contextlib.closing(sqlite3.connect(sqlite_file)) as connection:
        connection.execute("ANALYZE" if analysed else "DROP TABLE IF EXISTS sqlite_stat1")
        for text in OF_SOMEBODY:
            assert not list(sqlite_faults(connection, "", text)), text
            assert "SEARCH d USING INTEGER PRIMARY KEY" in sqlite_plan(connection, text), text


@pytest.mark.parametrize("analysed", [False, True])
def test_sqlite_goes_along_an_index_through_tasks(sqlite_file: Path, analysed: bool) -> None:
    with contextlib.closing(sqlite3.connect(sqlite_file)) as connection:
        connection.execute("ANALYZE" if analysed else "DROP TABLE IF EXISTS sqlite_stat1")
        for index, page, count in todo_texts():
            plan = sqlite_plan(connection, page)
            assert "TEMP B-TREE" not in plan, (page, plan)
            assert plan.startswith(f"SEARCH e USING INDEX {index}"), (page, plan)
            counted = sqlite_plan(connection, count)
            assert f"USING COVERING INDEX {index}" in counted or "JOIN" in count, (count, counted)
        few = tasks_text(TaskFilter(now=_AT, deals=("deal-3",), owner="owner-3"))
        assert "SEARCH e USING INDEX ladder_effects_deal" in sqlite_plan(connection, few)


def sqlite_plan(connection: sqlite3.Connection, text: str) -> str:
    values = [1] * text.count("?")
    return "; ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", values))


def sqlite_faults(connection: sqlite3.Connection, name: str, text: str) -> Iterator[str]:
    numbered = [int(number) for number in re.findall(r"\?(\d)", text)]
    values = [None] * max(numbered, default=text.count("?"))
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", values)]
    of_all = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql NOT LIKE '%WHERE%'"
    large = {index for (index,) in connection.execute(of_all)}
    for line in plan:
        if not re.match(r"(SCAN|SEARCH) (d|e|c|p|ladder_\w+)\b", line):
            continue
        may = name in WHOLE_INDEX and not (name in PARTIAL and large.intersection(line.split()))
        if line.startswith("SCAN"):
            small = re.search(r"\b(p|ladder_pipelines|ladder_schema)\b", line)
            if not small and not may:
                yield line
        elif line.endswith(("(pipeline=?)", "(pipeline=? AND key>?)")) and not may:
            yield line
    if name in PAGED:
        yield from (line for line in plan if "TEMP B-TREE" in line)


PAGED: Final = (
    "EVERY_DEAL",
    "DEALS",
    "DEALS_OF_OWNER",
    "UNADOPTED",
    "DUE_DEALS",
    "HELD_DUE",
    "CHANGED_DEALS",
)
"""Statements that have to find their page in order: sorting would read all the others, too."""


# -- PostgreSQL -------------------------------------------------------------------------------


def postgres_texts() -> Mapping[str, tuple[str, ...]]:
    found = vars(statements(Names("public", "ladder_")))
    many = {text: each.statement for text, each in found["MANY"].items() if isinstance(each, Many)}
    texts: dict[str, tuple[str, ...]] = {}
    for name, text in found.items():
        if name in ("MANY", "SAVING"):
            continue
        parts = text if isinstance(text, tuple) else (text,)
        with_many = [*parts, *(many[part] for part in parts if part in many)]
        texts[name] = tuple(part.decode() for part in with_many)
    return texts


@pytest.fixture
def postgres_tables(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    PostgresStore(postgres_url).close()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # foreign keys hold anyway
        for statement in FILL:
            series = re.sub(r"\bseries\b", f"generate_series(1, {DEALS}) AS series (n)", statement)
            connection.execute(re.sub(r"\bAT\b", "to_timestamp(n)", series).encode())
        # From a sample, another plan is chosen now and then; this many are all rows.
        connection.execute("SET default_statistics_target = 1000")
        connection.execute("VACUUM ANALYZE")
        yield connection


def test_postgresql_finds_by_an_index_what_a_hot_statement_wants(
    postgres_tables: psycopg.Connection[Any],
) -> None:
    connection, found = postgres_tables, []
    connection.execute("SET plan_cache_mode = force_custom_plan")
    connection.execute("SET ladderpipe.locked = '{100}'")
    for name, texts in postgres_texts().items():
        for text in texts if name in HOT else ():
            found += [(name, *fault) for fault in postgres_faults(connection, name, text)]
    assert not found


def test_postgresql_goes_along_an_index_through_a_column(
    postgres_tables: psycopg.Connection[Any],
) -> None:
    connection = postgres_tables
    connection.execute("SET plan_cache_mode = force_custom_plan")
    for name, text in WALKS.items():
        if "owner" in name:
            continue  # it may know from its statistics that the owner has few
        plan = plan_of(connection, spelled(text, Names("public", "ladder_")).decode())
        kinds = {node["Node Type"] for node in nodes(plan)}
        assert not kinds & {"Sort", "Seq Scan"}, (name, plan)


def test_postgresql_finds_a_customers_deals_by_the_customer(
    postgres_tables: psycopg.Connection[Any],
) -> None:
    connection = postgres_tables
    connection.execute("SET plan_cache_mode = force_custom_plan")
    for text in OF_SOMEBODY:
        asked = spelled(text, Names("public", "ladder_")).decode()
        assert not list(postgres_faults(connection, "", asked)), text


def test_postgresql_goes_along_an_index_through_tasks(
    postgres_tables: psycopg.Connection[Any],
) -> None:
    connection = postgres_tables
    connection.execute("SET plan_cache_mode = force_custom_plan")
    for _, page, _ in todo_texts():
        plan = plan_of(connection, spelled(page, Names("public", "ladder_")).decode())
        kinds = {node["Node Type"] for node in nodes(plan)}
        assert "Seq Scan" not in kinds, (page, plan)
        # It may know from its statistics that somebody has few, or none.
        assert "Sort" not in kinds or "owner" in page.partition("WHERE")[2], (page, plan)


def test_postgresql_finds_what_may_be_claimed_by_its_key(
    postgres_tables: psycopg.Connection[Any],
) -> None:
    """However many are ready, and whatever the planner knows of them."""
    connection = postgres_tables
    connection.execute("SET plan_cache_mode = force_custom_plan")
    (claim,) = postgres_texts()["LOCK_FREE_EFFECT"]
    for known in (True, False):
        if not known:
            connection.execute(
                "DELETE FROM pg_statistic WHERE starelid = 'ladder_effects'::regclass"
            )
        used = [node.get("Index Name") for node in nodes(plan_of(connection, claim))]
        assert "ladder_effects_pkey" in used, used
        assert not {name for name in used if name} - {"ladder_effects_pkey", "ladder_deals_pkey"}


def postgres_faults(
    connection: psycopg.Connection[Any], name: str, text: str
) -> Iterator[tuple[str, str]]:
    for node in nodes(plan_of(connection, text)):
        table = node.get("Relation Name", "").removeprefix("ladder_")
        condition = node.get("Index Cond", "")
        if node["Node Type"] == "Seq Scan" and table in LARGE:
            yield node["Node Type"], table
        is_whole = re.fullmatch(r"(\(pipeline = \d+\))?", condition)
        if "Index" in node["Node Type"] and is_whole:
            of_all = "SELECT indpred IS NULL FROM pg_index WHERE indexrelid = %s::regclass"
            (is_large,) = connection.execute(of_all, (node["Index Name"],)).fetchone() or (True,)
            if name not in WHOLE_INDEX or (name in PARTIAL and is_large):
                yield node["Index Name"], condition


def plan_of(connection: psycopg.Connection[Any], text: str) -> Mapping[str, Any]:
    numbers = iter(range(1, 100))
    numbered = re.sub(r"%s", lambda _: f"${next(numbers)}", text).replace("%%", "%")
    connection.execute(f"PREPARE asked AS {numbered}".encode())
    ((types,),) = connection.execute(
        "SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = 'asked'"
    ).fetchall()
    values = f"({', '.join(VALUES[kind] for kind in types)})" if types else ""
    ((plan,),) = connection.execute(f"EXPLAIN (FORMAT JSON) EXECUTE asked{values}".encode())
    connection.execute("DEALLOCATE asked")
    found = json.loads(plan) if isinstance(plan, str) else plan
    top: Mapping[str, Any] = found[0]["Plan"]
    return top


VALUES: Final = {
    "integer": "1",
    "smallint": "1",
    "bigint": "100",
    "boolean": "true",
    "text": "'open'",
    "json": "'[]'",
    "bytea": "'\\x00'",
    "text[]": "'{open,rare}'",
    "bigint[]": "'{100,200}'",
    "integer[]": "'{1,2}'",
    '"timestamp with time zone"': "to_timestamp(100)",
    "timestamp with time zone": "to_timestamp(100)",
}


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)
