"""``board.using``: rows and moves stay and vanish together, however transactions are nested."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe.errors import EventConflictError, HookError, MoveNotAllowedError, StoreError
from ladderpipe.stores import open_store
from tests.shops import Shop, lead_ladder, register
from tests.web.callers import (
    Caller,
    Django,
    Psycopg2,
    SessionOnPsycopg2,
    SqlAlchemy,
    SqlAlchemySession,
    driver,
    engine_on,
)

_names = itertools.count(1)


@attrs.frozen
class Order:
    """A row of the shop's, and a move that a hook may refuse."""

    refused: bool


@attrs.frozen
class Block:
    """A transaction or, inside of one, a savepoint, that may be undone at its end."""

    steps: list[Any]
    undone: bool


class Undone(Exception):
    """Ends a block that its caller gives up."""


orders = st.builds(Order, st.booleans())
blocks = st.recursive(
    st.builds(Block, st.lists(orders, max_size=3), st.booleans()),
    lambda inner: st.builds(Block, st.lists(orders | inner, max_size=4), st.booleans()),
    max_leaves=8,
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('using') / 'shop.db'}"
    found: str = request.getfixturevalue("postgres_server").new_database()
    return found


@pytest.fixture(scope="module")
def shop(url: str) -> Iterator[Shop]:
    with closing(open_store(url)) as store:
        with store.transaction() as transaction:
            transaction.connection.execute("CREATE TABLE orders (id text PRIMARY KEY)")
        refuse = register(lead_ladder(), into_new=lambda ctx: ctx.deal.owner == "refused" and 1 / 0)
        yield Shop(refuse, store)


@pytest.fixture(
    scope="module",
    params=[driver, SqlAlchemy, SqlAlchemySession, Django, Psycopg2, SessionOnPsycopg2],
    ids=lambda kind: kind.__name__,
)
def caller(request: pytest.FixtureRequest, url: str, shop: Shop) -> Iterator[Caller]:
    if request.param in (Psycopg2, SessionOnPsycopg2) and url.startswith("sqlite"):
        pytest.skip("psycopg2 is PostgreSQL's")
    with closing(request.param(url)) as found:
        yield found


@attrs.frozen
class Seen:
    """What somebody else sees: rows in ``orders``, deals that are open, deals heard of at all."""

    rows: set[str]
    opened: set[str]
    heard: set[str]


def seen(shop: Shop, names: list[str]) -> Seen:
    """Look at what is committed of these names."""
    with shop.store.transaction(write=False) as transaction:
        rows = transaction.connection.execute("SELECT id FROM orders").fetchall()
    return Seen(
        rows={id for (id,) in rows}.intersection(names),
        opened={deal.id for deal in shop.board.deals()}.intersection(names),
        heard={name for name in names if shop.board.events(name)},
    )


NOTHING = Seen(set(), set(), set())


class Run:
    """A program of nested blocks under way; it notes what should be there in the end."""

    def __init__(self, caller: Caller, shop: Shop) -> None:
        self.caller, self.shop = caller, shop
        self.names: list[str] = []

    def block(self, block: Block, depth: int = 0) -> list[tuple[str, bool]]:
        """Do a block, and return what it leaves: each order, and whether its deal was opened."""
        kept: list[tuple[str, bool]] = []
        try:
            with self.caller.block():
                for step in block.steps:
                    if isinstance(step, Order):
                        kept.append(self.order(step))
                    else:
                        kept.extend(self.block(step, depth + 1))
                if depth == 0:
                    assert seen(self.shop, self.names) == NOTHING, "before the commit"
                if block.undone:
                    raise Undone
        except Undone:
            return []
        return kept

    def order(self, order: Order) -> tuple[str, bool]:
        name = f"order-{next(_names)}"
        self.names.append(name)
        board = self.shop.board.using(self.caller.given)
        self.caller.insert(name)
        if order.refused:
            with pytest.raises(HookError):
                board.handle(self.shop.event("lead", name, owner="refused"))
        else:
            board.handle(self.shop.event("lead", name))
        return name, not order.refused


@settings(max_examples=25)
@given(program=blocks)
def test_rows_and_moves_stay_and_vanish_together(caller: Caller, shop: Shop, program: Block):
    run = Run(caller, shop)
    kept = run.block(program)
    rows, opened = {name for name, _ in kept}, {name for name, opened in kept if opened}
    assert seen(shop, run.names) == Seen(rows, opened, heard=opened)


def test_what_the_board_refuses_leaves_the_callers_transaction_usable(caller: Caller, shop: Shop):
    name = f"usable-{next(_names)}"
    rows = [f"{name}-{n}" for n in range(3)]
    lead = shop.event("lead", name)
    with caller.block():
        board = shop.board.using(caller.given)
        board.handle(lead)
        caller.insert(rows[0])
        with pytest.raises(EventConflictError):
            board.handle(attrs.evolve(lead, type="call"))
        caller.insert(rows[1])
        with pytest.raises(MoveNotAllowedError):
            board.move(name, "won", by="Bea")
        caller.insert(rows[2])
    assert seen(shop, [name, *rows]) == Seen(set(rows), {name}, {name})


@pytest.mark.parametrize("kind", [driver, Django])
def test_without_a_transaction_nothing_is_written(url: str, shop: Shop, kind: Any):
    name = f"bare-{next(_names)}"
    with (
        closing(kind(url)) as caller,
        pytest.raises(StoreError, match="autocommit mode and no transaction is open"),
    ):
        shop.board.using(caller.given).handle(shop.event("lead", name))
    assert seen(shop, [name]) == NOTHING


def test_sqlalchemy_in_autocommit_mode_is_refused(url: str, shop: Shop):
    name = f"bare-{next(_names)}"
    engine = engine_on(url, begins=False, isolation_level="AUTOCOMMIT")
    with (
        engine.connect() as connection,
        pytest.raises(StoreError, match="autocommit mode and no transaction is open"),
    ):
        shop.board.using(connection).handle(shop.event("lead", name))
    assert seen(shop, [name]) == NOTHING


def test_a_session_begins_by_itself(url: str, shop: Shop):
    name = f"begun-{next(_names)}"
    with closing(SqlAlchemySession(url)) as caller:
        shop.board.using(caller.given).handle(shop.event("lead", name))
        caller.insert(name)
        assert seen(shop, [name]) == NOTHING
        caller.given.commit()
    assert seen(shop, [name]) == Seen({name}, {name}, {name})
