"""What the type checker knows of SQLAlchemy and our tables. Checked by mypy, never run."""

from __future__ import annotations

from typing import assert_type

from sqlalchemy import Engine, MetaData, Table, create_engine, make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from ladderpipe import AsyncBoard, Board, Pipeline
from ladderpipe.sqlalchemy import Tables, include_name, metadata, tables
from ladderpipe.stores import open_store, store_of

engine = create_engine("sqlite:///shop.db")


async def use(pipeline: Pipeline, awaited: AsyncEngine, given: Engine) -> None:
    assert_type(Board.open(pipeline, engine=given), Board)
    Board.open(pipeline, make_url("sqlite:///shop.db"))
    Board.open(pipeline, engine.url)
    assert_type(await AsyncBoard.open(pipeline, engine=awaited), AsyncBoard)
    await AsyncBoard.open(pipeline, engine=given)
    store_of(given, schema="sales")
    open_store(given.url, prefix="sales_")

    assert_type(tables.deals, Table)
    assert_type(Tables("sales_", schema="crm").metadata, MetaData)
    assert_type(metadata, MetaData)
    assert_type(include_name("orders", "table", {}), bool)

    # What is not an engine, or not a URL.
    Board.open(pipeline, engine="sqlite:///shop.db")  # type: ignore[arg-type]
    Board.open(pipeline, 5)  # type: ignore[arg-type]
    tables.carts  # type: ignore[attr-defined]
