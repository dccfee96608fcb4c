"""A board on the database of an SQLAlchemy engine, or of a URL as SQLAlchemy writes it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import psycopg2
import pymysql
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from ladderpipe import AsyncBoard, Board, Event
from ladderpipe.errors import StoreError
from ladderpipe.stores import MariadbStore, PostgresStore, SqliteStore, open_store, store_of
from ladderpipe.stores.sqlalchemy_url import of_pymysql, plain_url
from tests.commands import run
from tests.shops import START, lead_ladder
from tests.web.callers import engine_on

LEAD = Event("lead", deal="d", id="1", at=START)


def in_sqlalchemys_way(url: str, driver: str) -> str:
    """Return the same address with a driver's name in it."""
    scheme, rest = url.split(":", 1)
    return f"{scheme}+{driver}:{rest}"


def drivers(url: str) -> list[str]:
    if url.startswith("sqlite"):
        return ["pysqlite", "aiosqlite", "pysqlite"]
    if url.startswith("mariadb"):
        return ["pymysql", "pymysql", "pymysql"]
    return ["psycopg", "psycopg2", "asyncpg"]


def creators(url: str) -> Iterator[sa.Engine]:
    """Yield engines that are told where to connect in every way that SQLAlchemy has."""
    if url.startswith("sqlite"):
        path = url.removeprefix("sqlite:///")
        yield sa.create_engine(url)
        yield sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(path))
        yield sa.create_engine(f"sqlite:///file:{path}?uri=true")
        return
    if url.startswith("mariadb"):
        given = engine_on(url)
        yield given
        login = given.dialect.create_connect_args(given.url)[1]
        yield sa.create_engine("mysql+pymysql://", connect_args=login)
        yield sa.create_engine("mariadb+pymysql://", creator=lambda: pymysql.connect(**login))
        return
    parts: dict[str, Any] = conninfo_to_dict(url)
    yield sa.create_engine(in_sqlalchemys_way(url, "psycopg"))
    yield sa.create_engine(in_sqlalchemys_way(url, "psycopg2"))
    yield sa.create_engine("postgresql+psycopg://", connect_args=parts)
    yield sa.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    yield sa.create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(url))


def test_the_board_is_where_the_engine_is(url: str):
    with Board.open(lead_ladder(), url) as board:
        board.handle(LEAD)
    for engine in creators(url):
        with Board.open(lead_ladder(), engine=engine) as found:
            assert found.deal("d").stage == "new"
        engine.dispose()


def test_an_order_and_a_move_commit_together(url: str, engine: sa.Engine):
    with Board.open(lead_ladder(), engine=engine) as board:
        with Session(engine) as session, session.begin():
            session.execute(sa.text("CREATE TABLE orders (id text)"))
            board.using(session).handle(LEAD)
        with Session(engine) as session:
            board.using(session).handle(Event("call", deal="d", id="2", at=START))
        assert board.deal("d").stage == "new"


def test_a_scoped_session_is_joined_as_a_session(url: str, engine: sa.Engine):
    session = scoped_session(sessionmaker(engine))
    with Board.open(lead_ladder(), engine=engine) as board:
        board.using(session).handle(LEAD)
        assert list(board.deals()) == []
        session.commit()
        assert board.deal("d").stage == "new"
    session.remove()


@pytest.mark.parametrize("place", range(3))
def test_a_url_with_a_driver_in_it(url: str, place: int):
    driven = in_sqlalchemys_way(url, drivers(url)[place])
    with Board.open(lead_ladder(), driven) as board:
        board.handle(LEAD)
    with (
        Board.open(lead_ladder(), sa.make_url(driven)) as board,
        Board.open(lead_ladder(), url) as plain,
    ):
        assert board.deal("d") == plain.deal("d")


@pytest.mark.parametrize(
    ("url", "driver"),
    [("sqlite", "aiosqlite"), ("postgresql", "psycopg"), ("postgresql", "asyncpg")],
    indirect=["url"],
)
def test_an_awaited_board_is_where_its_engine_is(url: str, driver: str):
    async def open_and_tell() -> None:
        engine = create_async_engine(in_sqlalchemys_way(url, driver))
        async with await AsyncBoard.open(lead_ladder(), engine=engine) as board:
            await board.handle(LEAD)
            if driver != "aiosqlite":
                async with AsyncSession(engine) as session:
                    joined = await board.using(session)
                    await joined.handle(Event("call", deal="d", id="2", at=START))
                    await session.commit()
        await engine.dispose()

    asyncio.run(open_and_tell())
    with Board.open(lead_ladder(), url) as board:
        assert board.deal("d").stage == ("new" if driver == "aiosqlite" else "talking")


def test_what_an_engine_on_asyncpg_does_not_say_is_not_guessed(postgres_url: str):
    async def main() -> None:
        own: Any = {**conninfo_to_dict(postgres_url)}
        own["database"] = own.pop("dbname")
        engine = create_async_engine("postgresql+asyncpg://", connect_args=own)
        with pytest.raises(StoreError, match="does not say: give the board a URL"):
            await AsyncBoard.open(lead_ladder(), engine=engine)
        await engine.dispose()

    asyncio.run(main())


@pytest.mark.parametrize(
    "secured", [{"ssl": {"check_hostname": False}}, {"ssl_verify_identity": True}]
)
def test_an_engine_that_has_to_be_encrypted_gets_no_board_that_speaks_in_clear(secured: Any):
    required = pymysql.connect(database="shop", defer_connect=True, **secured)
    with pytest.raises(StoreError, match=r"has to be encrypted, .*\?ssl_ca=FILE"):
        of_pymysql(required)
    preferred = pymysql.connect(
        host="db", user="a:b", password="c@d", database="shop", defer_connect=True
    )
    assert of_pymysql(preferred) == "mariadb://a%3Ab:c%40d@db:3306/shop"


def test_what_asyncpg_is_told_of_encryption_libpq_is_told():
    url = "postgresql+asyncpg://u@h/shop?ssl=verify-full&prepared_statement_cache_size=0"
    assert plain_url(url) == "postgresql://u@h/shop?sslmode=verify-full"


def test_a_schema_beside_an_engine(postgres_url: str):
    engine = sa.create_engine(in_sqlalchemys_way(postgres_url, "psycopg"))
    with closing(store_of(engine, schema="sales", listen=False)) as store:
        Board(lead_ladder(), store=store).handle(LEAD)
    with engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == []
        assert "ladder_deals" in sa.inspect(connection).get_table_names("sales")
    engine.dispose()


PASSWORD = "a@b:c/d?e#f%20 +&=é"


def test_a_password_with_special_characters_arrives(postgres_url: str):
    parts = conninfo_to_dict(postgres_url)
    given = sa.URL.create(
        "postgresql+psycopg",
        username=str(parts["user"]),
        password=PASSWORD,
        database=str(parts["dbname"]),
        query={"host": str(parts["host"])},
    )
    written = given.render_as_string(hide_password=False)
    engine = sa.create_engine(given)
    for opened in (open_store(given), open_store(written), store_of(engine)):
        with closing(opened) as store, store.transaction() as transaction:
            assert transaction.connection.info.password == PASSWORD
            assert "a@b" not in repr(store)
    engine.dispose()


texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=12)


@given(user=texts, password=texts, database=st.from_regex(r"[a-z_ é%+]{1,9}", fullmatch=True))
def test_what_sqlalchemy_writes_libpq_reads(user: str, password: str, database: str):
    given = sa.URL.create("postgresql+psycopg2", user, password, "db.example.com", 6543, database)
    read = conninfo_to_dict(plain_url(given.render_as_string(hide_password=False)))
    wanted = sa.make_url(given.render_as_string(hide_password=False))
    assert (read["user"], read["password"]) == (wanted.username, wanted.password)
    assert (read["host"], read["port"], read["dbname"]) == ("db.example.com", "6543", database)


@pytest.mark.parametrize(
    ("query", "host", "port"),
    [
        ("host=a:1&host=b:2", "a,b", "1,2"),
        ("host=a&host=b:2", "a,b", ",2"),
        ("host=a,b&port=1,2", "a,b", "1,2"),
        ("host=/var/run/postgresql", "/var/run/postgresql", None),
    ],
)
def test_several_hosts(query: str, host: str, port: str | None):
    read = conninfo_to_dict(plain_url(f"postgresql+psycopg://u@/shop?{query}&sslmode=require"))
    assert (read["host"], read.get("port"), read["sslmode"]) == (host, port, "require")


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("postgresql+pg8000://h/shop", "does not speak through pg8000: it uses psycopg 3"),
        ("oracle+oracledb://h/shop", "'oracle:…' names no store"),
        ("postgresql+psycopg://u:***@h/shop", "pass engine.url itself, or engine=engine"),
        ("postgresql+psycopg:u:secret", "postgresql+psycopg://user:password@host"),
    ],
)
def test_what_names_no_store_of_ours_is_refused_with_advice(url: str, advice: str):
    with pytest.raises(StoreError) as refused:
        open_store(url)
    assert advice in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("options", [{}, {"poolclass": sa.StaticPool}])
def test_a_database_in_memory_is_refused(options: dict[str, Any]):
    engine = sa.create_engine("sqlite://", **options)
    with pytest.raises(StoreError, match=r"in memory, .*: give the engine a file"):
        Board.open(lead_ladder(), engine=engine)
    engine.dispose()


def test_what_is_no_engine_is_refused(tmp_path: Path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with pytest.raises(StoreError, match="pass what create_engine"):
        Board.open(lead_ladder(), engine=Session(engine))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="by a URL, or by engine="):
        Board.open(lead_ladder())
    with pytest.raises(TypeError, match="by a URL, or by engine="):
        Board.open(lead_ladder(), "sqlite://", engine=engine)
    with pytest.raises(StoreError, match=r"await AsyncBoard\.open"):
        Board.open(lead_ladder(), engine=create_async_engine("sqlite+aiosqlite://"))
    engine.dispose()


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_server_that_is_not_there_is_one_clear_error_without_the_password(driver: str):
    engine = sa.create_engine(f"postgresql+{driver}://u:secret@/shop?host=/no/such/folder")
    with pytest.raises(StoreError, match="cannot connect with Engine") as refused:
        Board.open(lead_ladder(), engine=engine)
    assert "secret" not in str(refused.value)


def test_the_kinds_of_store(url: str, engine: sa.Engine):
    kinds = {"sqlite": SqliteStore, "postgresql": PostgresStore, "mariadb": MariadbStore}
    with closing(store_of(engine)) as store:
        assert isinstance(store, kinds[url.partition(":")[0]])


def test_commands_take_such_urls(url: str):
    driven = in_sqlalchemys_way(url, drivers(url)[0])
    refused = run("board", driven).refusal()
    assert "check the" in refused
    with Board.open(lead_ladder(), url) as board:
        board.handle(LEAD)
    stages = run("board", driven, "--json").json()["stages"]
    assert {each["stage"]: each["count"] for each in stages}["new"] == 1
