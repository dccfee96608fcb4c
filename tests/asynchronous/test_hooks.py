"""Hooks of an asynchronous board: awaited inside the transaction, and nowhere else."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Board, SqliteStore
from ladderpipe.errors import DefinitionError, HookError, ReentrancyError
from ladderpipe.stores import PostgresStore
from tests.asynchronous.shops import AsyncShop
from tests.shops import lead_ladder, register


def test_an_asynchronous_hook_is_awaited_on_the_callers_loop(store: Any):
    seen: list[Any] = []

    async def hook(ctx: Any) -> None:
        await asyncio.sleep(0)
        seen.append((asyncio.get_running_loop(), threading.current_thread()))
        ctx.do("email", template="hello")

    async def main() -> None:
        shop = AsyncShop(register(lead_ladder(), into_new=hook), store)
        await shop.tell("lead")
        assert seen == [(asyncio.get_running_loop(), threading.main_thread())]
        assert (await shop.board.deliver()).delivered == 1
        assert [delivery.payload for delivery in shop.sent] == [{"template": "hello"}]
        await shop.board.close()

    asyncio.run(main())


def test_a_hook_that_raises_after_waiting_undoes_the_move(store: Any):
    async def hook(ctx: Any) -> None:
        await asyncio.sleep(0)
        raise ConnectionError("no")

    async def main() -> None:
        shop = AsyncShop(register(lead_ladder(), into_new=hook), store)
        with pytest.raises(HookError, match="ConnectionError") as refused:
            await shop.tell("lead")
        assert isinstance(refused.value.__cause__, ConnectionError)
        assert await shop.board.events("d") == []
        await shop.board.close()

    asyncio.run(main())


def test_no_board_is_called_from_inside_a_hook_even_after_waiting(store: Any):
    async def hook(ctx: Any) -> None:
        await asyncio.sleep(0)
        await shop.tell("call")

    async def main() -> None:
        with pytest.raises(ReentrancyError, match=r"ctx\.do"):
            await shop.tell("lead")
        await shop.board.close()

    shop = AsyncShop(register(lead_ladder(), into_new=hook), store)
    asyncio.run(main())


def test_a_task_that_a_hook_starts_may_call_the_board_once_the_hook_has_ended(store: Any):
    started: list[asyncio.Task[Any]] = []

    async def hook(ctx: Any) -> None:
        started.append(asyncio.create_task(call_later()))
        await asyncio.sleep(0)

    async def call_later() -> Any:
        with pytest.raises(ReentrancyError):
            await shop.tell("call", "other")
        await committed.wait()
        return await shop.board.deal("d")

    async def main() -> None:
        await shop.tell("lead")
        committed.set()
        assert (await started[0]).stage == "new"
        await shop.board.close()

    shop = AsyncShop(register(lead_ladder(), into_new=hook), store)
    committed = asyncio.Event()
    asyncio.run(main())


def test_other_tasks_may_call_the_board_while_a_hook_waits(postgres_url: str):
    async def hook(ctx: Any) -> None:
        if ctx.deal.id == "first":
            inside.set()
            await may_end.wait()

    async def main() -> None:
        first = asyncio.create_task(shop.tell("lead", "first"))
        await inside.wait()
        await shop.tell("lead", "second")
        may_end.set()
        await first
        assert (await shop.board.deal("first")).stage == (await shop.board.deal("second")).stage
        await shop.board.close()

    shop = AsyncShop(register(lead_ladder(), into_new=hook), PostgresStore(postgres_url))
    inside, may_end = asyncio.Event(), asyncio.Event()
    asyncio.run(main())


NOTES = "INSERT INTO notes VALUES ('{}')"


async def awaited_note(ctx: Any) -> None:
    await ctx.connection.execute(NOTES.format("awaited"))
    cursor = await ctx.connection.execute("SELECT count(*) FROM notes")
    assert (await cursor.fetchone())[0] >= 1


def plain_note(ctx: Any) -> None:
    ctx.connection.execute(NOTES.format("plain"))
    assert ctx.connection.execute("SELECT count(*) FROM notes").fetchone()[0] >= 1


@pytest.mark.parametrize("hook", [awaited_note, plain_note])
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_hook_writes_rows_of_its_own_with_the_move(
    kind: str, hook: Any, tmp_path: Path, request: pytest.FixtureRequest
):
    def fails(ctx: Any) -> None:
        raise ValueError(ctx.deal.id)

    store: Any = SqliteStore(tmp_path / "shop.db")
    if kind == "postgres":
        store = PostgresStore(request.getfixturevalue("postgres_url"))
    with store.transaction() as transaction:
        transaction.connection.execute("CREATE TABLE notes (text text)")
    shop = AsyncShop(register(lead_ladder(), into_new=hook, into_talking=hook), store)
    shop.board.pipeline._hooks["into", "talking"].append(fails)

    async def main() -> None:
        await shop.tell("lead")
        with pytest.raises(HookError, match="ValueError"):
            await shop.tell("call")
        await asyncio.to_thread(count)
        await shop.board.close()

    def count() -> None:
        with store.transaction(write=False) as transaction:
            assert len(transaction.connection.execute("SELECT * FROM notes").fetchall()) == 1

    asyncio.run(main())


def test_no_hook_ends_the_transaction(postgres_url: str):
    async def hook(ctx: Any) -> None:
        await ctx.connection.commit()

    async def main() -> None:
        shop = AsyncShop(register(lead_ladder(), into_new=hook), PostgresStore(postgres_url))
        with pytest.raises(HookError, match=r"leave commit\(\) out"):
            await shop.tell("lead")
        await shop.board.close()

    asyncio.run(main())


# -- on a synchronous board ---------------------------------------------------------------------


async def asynchronous(given: Any) -> None:
    await asyncio.sleep(0)


class Asynchronous:
    async def __call__(self, given: Any) -> None:
        await asyncio.sleep(0)


def test_a_synchronous_board_refuses_asynchronous_hooks():
    with pytest.raises(DefinitionError, match="AsyncBoard"):
        Board(register(lead_ladder(), into_new=asynchronous))


def test_a_synchronous_board_refuses_asynchronous_handlers():
    with pytest.raises(DefinitionError, match="AsyncBoard"):
        Board(lead_ladder()).handles("email")(asynchronous)


def test_what_turns_out_to_be_asynchronous_is_refused_when_it_is_called(store: Any):
    from tests.shops import Shop

    shop = Shop(register(lead_ladder(), into_new=Asynchronous()), store)
    with pytest.raises(HookError, match="AsyncBoard"):
        shop.tell("lead")
    assert shop.board.events("d") == []
