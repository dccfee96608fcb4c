"""The asynchronous board on MariaDB, whose statements run in worker threads."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Any

import pytest

from ladderpipe import AsyncBoard, ManualClock, Outcome
from ladderpipe.errors import HookError
from tests.mariadb import MariadbServer
from tests.shops import START, Shop, lead_ladder

NOTES = "CREATE TABLE notes (note VARCHAR(20)) ENGINE=InnoDB"


async def note(ctx: Any) -> None:
    connection = ctx.connection
    assert connection.in_transaction
    await connection.execute("INSERT INTO notes VALUES (%s)", ["a"])
    cursor = await connection.executemany("INSERT INTO notes VALUES (%s)", [["b"], ["c"]])
    assert cursor.rowcount == 2
    found = await connection.execute("SELECT note FROM notes ORDER BY note")
    assert await found.fetchone() == ("a",)
    assert await found.fetchall() == [("b",), ("c",)]
    if ctx.deal.owner == "nobody":
        await connection.execute("COMMIT")


def notes(server: MariadbServer) -> int:
    with closing(server.connect("shop")) as connection, connection.cursor() as cursor:
        return int(cursor.execute("SELECT note FROM notes"))


def test_an_asynchronous_hook_writes_in_the_move_s_transaction_and_cannot_end_it(
    shop: Shop, mariadb_url: str, mariadb_server: MariadbServer
):
    mariadb_server.run(NOTES, database="shop")
    pipeline = lead_ladder()
    pipeline.move_into(pipeline.stage("new"))(note)

    async def tell() -> Outcome:
        async with await AsyncBoard.open(pipeline, mariadb_url, clock=ManualClock(START)) as board:
            with pytest.raises(HookError, match="would end the transaction"):
                await board.handle(shop.event("lead", owner="nobody"))
            assert notes(mariadb_server) == 0
            return (await board.handle(shop.event("lead"))).outcome

    assert asyncio.run(tell()) is Outcome.OPENED
    assert notes(mariadb_server) == 3
    assert shop.stage == "new"
