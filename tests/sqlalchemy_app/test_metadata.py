"""``ladderpipe.sqlalchemy.tables`` is what a store makes, on each database, and reads as it is."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Session

from ladderpipe.errors import StoreError
from ladderpipe.sqlalchemy import Tables, metadata, tables
from ladderpipe.stores import PostgresStore, open_store
from tests.docs.pages import ROOT, blocks
from tests.shops import Shop, lead_ladder
from tests.web.callers import engine_on

READING = ROOT / "docs" / "how-to" / "read-with-sql.md"
KEYLESS = {"ladder_schema", "ladder_totals"}
TABLES = sorted(name for name, table in metadata.tables.items() if not table.info["is_view"])
VIEWS = sorted(set(metadata.tables) - set(TABLES))
ONLY_THERE = {
    ("postgresql", "ladder_totals"): {"id"},
    ("mysql", "ladder_totals"): {"id"},
    ("mysql", "ladder_effects"): {"waits_at"},
    ("mysql", "ladder_deals"): {"is_troubled", "is_unindexed"},
}
"""Columns that one database needs and no other has; nobody reads them."""
TABLES_ONLY_THERE = {"mysql": ["ladder_locks"]}
ALIKE = {
    "sqlite": {"BIGINT": "INTEGER", "SMALLINT": "INTEGER"},
    "mysql": {
        **dict.fromkeys(("VARBINARY", "VARCHAR", "LONGTEXT"), "TEXT"),
        "TINYINT": "BOOL",
        **dict.fromkeys(("TINYBLOB", "BINARY"), "BLOB"),
        "INTEGER": "BIGINT",
        "SMALLINT": "BIGINT",
    },
    "postgresql": {},
}
"""Types that hold the same values: all whole numbers on SQLite, bytes and texts on MariaDB."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mariadb"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the URL of a database that all tests here read, and none writes in."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('read') / 'shop.db'}"
    if request.param == "mariadb":
        server = request.getfixturevalue("mariadb_server")
        return str(server.url(server.new_database()))
    return str(request.getfixturevalue("postgres_server").new_database())


@pytest.fixture(scope="module")
def told(database: str) -> Iterator[Shop]:
    """A week with an event, a timer, an effect, a task, and an event that waits."""
    with closing(open_store(database)) as store:
        shop = Shop(lead_ladder(sequence=True), store)
        contact = {"email": "ada@example.com"}
        shop.tell("lead", value="1250.50", currency="EUR", contact=contact)
        shop.tell("lead", "other")
        shop.wait(30)
        shop.board.deliver()
        shop.tell("call")
        shop.board.handle(shop.event("order", hours=24), hold=True)
        shop.wait(300)
        shop.board.tick()
        shop.board.deliver()
        yield shop


@pytest.fixture(scope="module")
def engine(database: str, told: Shop) -> Iterator[sa.Engine]:
    found = engine_on(database)
    yield found
    found.dispose()


def stored_type(column: sa.Column[Any], engine: sa.Engine) -> str:
    return str(column.type.compile(engine.dialect))


def plain(kind: str, engine: sa.Engine) -> str:
    """Return a type without what says nothing of values."""
    kind = re.sub(r"\(\d+\)| CHARACTER SET .*| COLLATE .*", "", kind)
    return ALIKE[engine.name].get(kind, kind)


def test_every_table_and_view_of_a_store_is_there_and_no_other(engine: sa.Engine):
    found = sa.inspect(engine)
    assert sorted(found.get_table_names()) == sorted(
        TABLES + TABLES_ONLY_THERE.get(engine.name, [])
    )
    assert sorted(found.get_view_names()) == VIEWS


@pytest.mark.parametrize("name", TABLES + VIEWS)
def test_its_columns_are_those_of_the_store(name: str, engine: sa.Engine):
    there = {column["name"]: column for column in sa.inspect(engine).get_columns(name)}
    ours = metadata.tables[name].columns
    assert set(there) == set(ours.keys()) | ONLY_THERE.get((engine.name, name), set())
    for column in ours:
        kind = there[column.name]["type"]
        if isinstance(kind, sa.types.NullType):
            assert name in VIEWS, "SQLite knows no type of what a view works out"
            continue
        told = plain(str(kind.compile(engine.dialect)), engine)
        assert told == plain(stored_type(column, engine), engine), column
        if name in TABLES and not column.primary_key:
            assert there[column.name]["nullable"] == column.nullable, column


@pytest.mark.parametrize("name", sorted(set(TABLES) - KEYLESS))
def test_its_key_is_one_of_the_stores(name: str, engine: sa.Engine):
    found = sa.inspect(engine)
    keys = [found.get_pk_constraint(name)["constrained_columns"]]
    keys += [each["column_names"] for each in found.get_unique_constraints(name)]
    own = {column.name for column in metadata.tables[name].primary_key}
    assert own in [set(key) for key in keys]


@pytest.mark.parametrize("name", TABLES + VIEWS)
def test_where_it_points_can_be_joined(name: str, engine: sa.Engine):
    with engine.connect() as connection:
        for key in metadata.tables[name].foreign_keys:
            assert key.column.type.python_type is key.parent.type.python_type
            joined = sa.join(key.parent.table, key.column.table, key.parent == key.column)
            connection.execute(sa.select(joined)).all()


def test_what_the_board_says_is_what_is_selected(told: Shop, engine: sa.Engine):
    deals, board = tables.deals, told.board
    by_stage = sa.select(deals.c.stage, sa.func.count(), sa.func.sum(deals.c.units))
    with engine.connect() as connection:
        rows = connection.execute(sa.select(deals)).all()
        counted = connection.execute(by_stage.group_by(deals.c.stage)).all()
        moves = connection.execute(sa.select(tables.moves).order_by("deal", "n")).all()
        events = connection.execute(sa.select(tables.events)).all()
        stays = connection.execute(
            sa.select(tables.visits).join(deals).where(deals.c.deal == "d").order_by("n")
        ).all()
        contacts = connection.execute(
            sa.select(tables.documents.c.data).join(deals).where(deals.c.deal == "d")
        ).scalar_one()
    for row in rows:
        deal = board.deal(row.deal)
        assert (row.stage, row.entered_at) == (deal.stage, deal.entered_at)
        assert (row.value and Decimal(row.value)) == deal.value
    assert {stage: count for stage, count, _ in counted} == {"cold": 1, "won": 1}
    assert {stage: units for stage, _, units in counted} == {"cold": None, "won": 1250}
    assert [(m.out_of, m.into_stage, m.at, m.rule) for m in moves if m.deal == "d"] == [
        (m.out_of, m.into, m.at, m.rule) for m in board.history("d").moves
    ]
    assert {(e.id, e.type, e.at) for e in events if e.deal == "d"} == {
        (e.id, e.type, e.at) for e in board.events("d")
    }
    assert [(v.stage, v.entered_at, v.left_at) for v in stays] == [
        (v.stage, v.entered_at, v.left_at) for v in board.history("d").visits
    ]
    assert contacts["contact"] == {"email": "ada@example.com"}


@pytest.mark.parametrize("name", TABLES + VIEWS)
def test_each_value_is_of_its_columns_type(name: str, told: Shop, engine: sa.Engine):
    table = metadata.tables[name]
    with engine.connect() as connection:
        rows = connection.execute(sa.select(table)).mappings().all()
    for row in rows:
        for column in table.columns:
            value = row[column]
            if value is None:
                assert column.nullable, column
            else:
                assert type(value) is column.type.python_type, column
            if isinstance(value, dt.datetime):
                assert value.tzinfo is dt.UTC, column


@pytest.mark.parametrize("column", [tables.visits.c.entered_at, tables.moves.c.at])
def test_instants_are_compared_as_instants(told: Shop, engine: sa.Engine, column: Any):
    with engine.connect() as connection:
        (at, *_) = connection.scalars(sa.select(column).order_by(column)).all()
        here = at.astimezone(dt.timezone(dt.timedelta(hours=5, minutes=30)))
        upto = connection.scalars(sa.select(column).where(column <= here)).all()
        assert set(upto) == {at}
        with pytest.raises(sa.exc.StatementError, match="give an aware datetime"):
            connection.execute(sa.select(column).where(column > dt.datetime(2026, 1, 5)))


def test_flags_are_compared_as_flags(told: Shop, engine: sa.Engine):
    flagged = sa.select(tables.deals.c.deal).where(tables.deals.c.has_effects == sa.true())
    bound = sa.select(tables.deals.c.deal).where(tables.deals.c.has_effects == sa.literal(True))
    with engine.connect() as connection:
        assert set(connection.scalars(bound)) == {"d"}
        assert set(connection.scalars(flagged)) == {"d"}


def test_a_class_of_the_shops_may_be_mapped_to_it(told: Shop, engine: sa.Engine):
    class Base(DeclarativeBase):
        pass

    class Deal(Base):
        __table__ = tables.deals

    with Session(engine) as session:
        found = session.scalars(sa.select(Deal).where(Deal.deal == "d")).one()
        assert (found.deal, found.stage) == ("d", told.stage)


def test_another_schema_and_prefix(postgres_url: str):
    other = Tables("sales_", schema="crm")
    PostgresStore(postgres_url, schema="crm", prefix="sales_").close()
    with engine_on(postgres_url).connect() as connection:
        assert connection.execute(sa.select(other.deals.join(other.documents))).all() == []
    assert set(other.metadata.tables) == {
        f"crm.{name.replace('ladder_', 'sales_')}" for name in metadata.tables
    }


def test_it_makes_nothing(url: str):
    engine = engine_on(url)
    with pytest.raises(StoreError, match="open the board on this database first"):
        metadata.create_all(engine)
    assert sa.inspect(engine).get_table_names() == []


def test_it_drops_nothing(engine: sa.Engine):
    metadata.create_all(engine)  # all is there
    with pytest.raises(StoreError, match=r"leave .* out of create_all\(\) and drop_all\(\)"):
        metadata.drop_all(engine)
    assert set(sa.inspect(engine).get_table_names()) >= set(TABLES)


def test_who_only_reads_sees_what_the_page_grants(postgres_url: str):
    (grants,) = (block.text for block in blocks(READING) if block.language == "sql")
    PostgresStore(postgres_url).close()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS analyst")
        connection.execute("CREATE ROLE analyst")
        connection.execute(grants)
        connection.execute("SET ROLE analyst")
        for name in ("pipelines", "deals", "visits", "moves_read"):
            connection.execute(f"SELECT * FROM ladder_{name}")
        for name in ("documents", "events", "events_read", "effects", "moves"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT * FROM ladder_{name}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE ladder_deals SET owner = 'Eve'")
        connection.execute("RESET ROLE")
        connection.execute("DROP OWNED BY analyst")
        connection.execute("DROP ROLE analyst")
