"""Alembic's autogenerate beside a board: the shop's own change is found, and nothing else."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from ladderpipe import Board
from ladderpipe.sqlalchemy import Tables, include_name, include_object, metadata, tables
from ladderpipe.stores import PostgresStore, Store
from tests.shops import Shop, assert_is_the_fold, lead_ladder
from tests.web.callers import engine_on

BOTH = {"include_name": include_name, "include_object": include_object}


def orders(*more: sa.Column[Any], into: sa.MetaData | None = None) -> sa.MetaData:
    """Return a model of the shop's own table, as it is or as it shall be."""
    found = sa.MetaData() if into is None else into
    sa.Table("orders", found, sa.Column("id", sa.Integer, primary_key=True), *more)
    return found


def note() -> sa.Column[Any]:
    return sa.Column("note", sa.String(40))


@pytest.fixture
def shared(shop: Shop, engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection to a database with deals in it, and orders as they were."""
    shop.tell("lead")
    orders().create_all(engine)
    with engine.connect() as connection:
        yield connection


def found(connection: sa.Connection, target: Any, **options: Any) -> list[str]:
    """Return what autogenerate would write, in a few words each."""
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True, **options}
    )
    return sorted(said(change) for change in compare_metadata(context, target))


def said(change: Any) -> str:
    kind, *what = change[0] if isinstance(change, list) else change
    names = [getattr(each, "name", each) for each in what]
    return " ".join(str(name) for name in (kind, *names) if name is not None)


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection:sqlalchemy.exc.SAWarning")
def test_without_the_filter_every_table_would_be_dropped(shared: sa.Connection):
    drops = found(shared, orders())
    assert {f"remove_table {name}" for name in ("ladder_deals", "ladder_events")} < set(drops)


def test_a_change_of_the_shops_is_found_and_nothing_else(shared: sa.Connection):
    assert found(shared, orders(), **BOTH) == []
    assert found(shared, orders(note()), **BOTH) == ["add_column orders note"]
    assert found(shared, orders(note()), include_name=include_name) == ["add_column orders note"]


def test_also_where_the_models_are_merged_with_ours(shared: sa.Connection):
    assert found(shared, [orders(note()), metadata], **BOTH) == ["add_column orders note"]


def test_also_where_our_tables_are_copied_among_the_shops(shared: sa.Connection):
    merged = orders(note())
    for table in metadata.tables.values():
        table.to_metadata(merged)
    assert found(shared, merged, **BOTH) == ["add_column orders note"]


def test_before_a_board_was_opened_nothing_of_ours_is_made(url: str, engine: sa.Engine):
    with engine.connect() as connection:
        assert found(connection, [orders(), metadata], **BOTH) == ["add_table orders"]


def test_a_reference_to_a_deal_is_the_shops_own(shared: sa.Connection):
    def linked() -> sa.MetaData:
        deal = sa.Column("deal", sa.BigInteger, sa.ForeignKey(tables.deals.c.id))
        made = sa.MetaData()
        sa.Table("links", made, sa.Column("id", sa.Integer, primary_key=True), deal)
        return orders(into=made)

    assert found(shared, linked(), **BOTH) == ["add_table links"]
    linked().create_all(shared)
    assert found(shared, linked(), **BOTH) == []


@pytest.mark.parametrize("name", ["ladder", "ladder_climbers", "deals", "ladder_deals_2"])
def test_a_table_of_the_shops_with_a_name_like_ours_is_its_own(shared: sa.Connection, name: str):
    model = orders()
    sa.Table(name, model, sa.Column("id", sa.Integer, primary_key=True))
    assert found(shared, model, **BOTH) == [f"add_table {name}"]
    model.create_all(shared)
    assert found(shared, model, **BOTH) == []
    assert found(shared, orders(), **BOTH) == [f"remove_table {name}"]


def test_partitions_and_schemas_are_left_alone(postgres_url: str):
    PostgresStore(postgres_url, partitions=3).close()
    PostgresStore(postgres_url, schema="crm").close()
    PostgresStore(postgres_url, schema="crm", prefix="sales_", partitions=2).close()
    sales = Tables("sales_", schema="crm")

    def ours(name: str | None, type_: str, parents: Any) -> bool:
        return all(each.include_name(name, type_, parents) for each in (tables, sales))

    with engine_on(postgres_url).connect() as connection:
        orders().create_all(connection)
        named = {"include_name": ours, "include_schemas": True}
        assert found(connection, orders(note()), **named) == ["add_column orders note"]


ENV = """
from alembic import context
from sqlalchemy import Column, Integer, MetaData, String, Table

from ladderpipe.sqlalchemy import include_name, include_object

target = MetaData()
Table("orders", target, Column("id", Integer, primary_key=True), Column("note", String(40)))

with context.config.attributes["engine"].connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=target,
        include_name=include_name,
        include_object=include_object,
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()
"""
SCRIPT = """
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}

from alembic import op
import sqlalchemy as sa
${imports if imports else ""}

def upgrade():
    ${upgrades}

def downgrade():
    ${downgrades}
"""


@pytest.fixture
def alembic(tmp_path: Path, engine: sa.Engine) -> Callable[[], Config]:
    """Return Alembic as somebody sets it up, in a folder with an ``env.py``."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENV, "utf-8")
    (folder / "script.py.mako").write_text(textwrap.dedent(SCRIPT), "utf-8")

    def configured() -> Config:
        config = Config(stdout=io.StringIO(), output_buffer=io.StringIO())
        config.set_main_option("script_location", str(folder))
        config.set_main_option("path_separator", "os")
        config.attributes["engine"] = engine
        return config

    return configured


def test_a_revision_is_written_and_run_and_every_deal_is_there(
    shared: sa.Connection, shop: Shop, store: Store, alembic: Callable[[], Config]
):
    shared.close()
    before = sa.inspect(shared.engine).get_table_names()
    revision: Any = command.revision(alembic(), "notes", autogenerate=True)
    written = Path(revision.path).read_text("utf-8")
    assert "note" in written
    assert "ladder_" not in written
    command.upgrade(alembic(), "head")
    now = sa.inspect(shared.engine)
    assert set(now.get_table_names()) == {*before, "alembic_version"}
    assert [column["name"] for column in now.get_columns("orders")] == ["id", "note"]
    command.check(alembic())
    command.downgrade(alembic(), "base")
    assert_is_the_fold(Board(lead_ladder(sequence=True), store=store, clock=shop.clock))
    assert shop.stage == "new"
