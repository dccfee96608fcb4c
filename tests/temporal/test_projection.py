"""A store that follows deals on a real Temporal server, and what people do on a board on it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from temporalio.worker import Worker

from ladderpipe import Pipeline
from ladderpipe.errors import InvalidEventError, MissingPropertyError
from ladderpipe.temporal import LadderPlugin, TemporalBoard
from ladderpipe.temporal.projection import FollowingBoard, Projection
from ladderpipe.web import BoardApp, User
from tests.temporal.ladders import event, new_name, now, shop, until
from tests.temporal_server import TemporalServer


@contextlib.asynccontextmanager
async def followed(
    server: TemporalServer, pipeline: Pipeline, projection: Projection | None
) -> AsyncIterator[TemporalBoard]:
    """Run a worker whose deals a store follows."""
    plugin = LadderPlugin(pipeline, {"email": lambda delivery: None}, projection=projection)
    client = await server.connect(plugins=[plugin])
    async with Worker(client, task_queue=pipeline.name):
        yield TemporalBoard(client, pipeline, task_queue=pipeline.name)


async def stands(board: FollowingBoard, deal: str, stage: str) -> bool:
    """Return whether a deal stands in a stage, as the store has it."""
    found = await asyncio.to_thread(lambda: {d.id: d.stage.key for d in board.deals()})
    return found.get(deal) == stage


def test_reports_and_lists_of_the_store_tell_of_deals_on_temporal(
    temporal_server: TemporalServer, tmp_path: Path
) -> None:
    pipeline = shop(new_name(), gone_after=1)
    projection = Projection(pipeline, f"sqlite:///{tmp_path}/deals.db")

    async def live() -> None:
        async with followed(temporal_server, pipeline, projection) as board:
            contact = {"email": "ada@example.com"}
            for deal in ("cart-1", "cart-2"):
                told = event("cart.item_added", f"{deal}-1", deal, contact=contact, line=LINE)
                await board.handle(told)
            await board.handle(event("order.confirmed", "o", "cart-2"))
            with projection.board() as store:
                # A timer that fires in the workflow is seen in the store, too.
                await until(lambda: stands(store, "cart-1", "gone"), "the timer")
                await until(lambda: stands(store, "cart-2", "won"), "the order")
                for deal in ("cart-1", "cart-2"):
                    assert store.deal(deal) == await board.deal(deal)
                    assert store.history(deal).visits == (await board.history(deal)).visits
                assert {t.stage.key: t.count for t in store.summary() if t.count} == {
                    "gone": 1,
                    "won": 1,
                }
                assert len(store.customer("email:ada@example.com")) == 2
                assert store.effects() == []

    asyncio.run(live())


LINE = {"sku": "a", "quantity": 1, "unit_price": "10"}


def test_who_drags_a_deal_on_a_board_of_the_store_moves_the_workflow(
    temporal_server: TemporalServer, tmp_path: Path
) -> None:
    pipeline = shop(new_name())
    projection = Projection(pipeline, f"sqlite:///{tmp_path}/deals.db")

    async def live() -> None:
        async with followed(temporal_server, pipeline, projection) as board:
            await board.handle(event("cart.item_added", "1", line=LINE))
            with projection.board(through=board) as store:
                await until(lambda: stands(store, "cart-1", "new"), "the cart")
                with pytest.raises(MissingPropertyError) as refused:
                    await asyncio.to_thread(store.move, "cart-1", "lost", by="ada")
                assert refused.value.missing == ("loss_reason",)

                def drag() -> str:
                    why = {"loss_reason": "price"}
                    store.move("cart-1", "lost", by="ada", properties=why, id="drag")
                    return store.deal("cart-1").stage.key  # at once, as a page is drawn again

                assert await asyncio.to_thread(drag) == "lost"
                assert (await board.deal("cart-1")).stage.key == "lost"
                receipt = await asyncio.to_thread(
                    lambda: store.withdraw(store.events("cart-1")[-1], by="ada", reason="mistake")
                )
                assert receipt.deal is not None
                assert receipt.deal.stage.key == store.deal("cart-1").stage.key == "new"
            nowhere = pytest.raises(InvalidEventError, match="live in workflows on Temporal")
            with projection.board() as alone, nowhere:
                alone.move("cart-1", "won", by="ada")

    asyncio.run(live())


def test_the_board_in_the_browser_works_over_it_and_says_why_where_it_cannot(
    temporal_server: TemporalServer, tmp_path: Path
) -> None:
    pipeline = shop(new_name())
    projection = Projection(pipeline, f"sqlite:///{tmp_path}/deals.db")
    wants = {"Accept": "application/json", "Origin": "http://shop"}

    def browser(store: FollowingBoard) -> httpx.AsyncClient:
        app = BoardApp(store, user=lambda request: User(id="ada", name="Ada"))
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop")

    async def live() -> None:
        async with followed(temporal_server, pipeline, projection) as board:
            for deal in ("cart-1", "cart-2"):
                await board.handle(event("cart.item_added", f"{deal}-1", deal, line=LINE))
            drag = {"deal": "cart-1", "into": "lost", "expecting": "new", "id": "drag"}
            why = {"property.loss_reason": "price"}
            with projection.board(through=board) as store:
                await until(lambda: stands(store, "cart-1", "new"), "the cart")
                await until(lambda: stands(store, "cart-2", "new"), "the other one")
                async with browser(store) as page:
                    missing = await page.post("/move", data=drag, headers=wants)
                    assert (missing.status_code, missing.json()["missing"]) == (
                        422,
                        ["loss_reason"],
                    )
                    moved = await page.post("/move", data=drag | why, headers=wants)
                    assert (moved.status_code, moved.json()["deal"]["stage"]) == (200, "lost")
                assert (await board.deal("cart-1")).stage.key == "lost"
            with projection.board() as alone:
                async with browser(alone) as page:
                    other = drag | why | {"deal": "cart-2"}
                    refused = await page.post("/move", data=other, headers=wants)
                    assert refused.status_code == 422
                    assert "live in workflows on Temporal" in refused.json()["detail"]

    asyncio.run(live())


def test_a_projection_that_comes_later_follows_deals_that_run_already(
    temporal_server: TemporalServer, tmp_path: Path
) -> None:
    pipeline = shop(new_name())
    projection = Projection(pipeline, f"sqlite:///{tmp_path}/deals.db")

    async def live() -> None:
        async with followed(temporal_server, pipeline, None) as board:
            await board.handle(event("cart.item_added", "1", line=LINE))
            await board.handle(event("cart.item_added", "2", line=LINE))
        # Another worker, which has to replay what the deal did without one.
        async with followed(temporal_server, pipeline, projection) as board:
            await board.handle(event("order.confirmed", "3"))
            with projection.board() as store:
                await until(lambda: stands(store, "cart-1", "won"), "the order")
                assert len(store.events("cart-1")) == 3
                assert store.deal("cart-1") == await board.deal("cart-1")
        async with followed(temporal_server, pipeline, projection) as board:
            assert (await board.deal("cart-1")).stage.key == "won"

    asyncio.run(live())


def test_a_server_that_is_killed_in_between_loses_nothing_that_the_store_is_told(
    temporal_server: TemporalServer, tmp_path: Path
) -> None:
    pipeline = shop(new_name())
    projection = Projection(pipeline, f"sqlite:///{tmp_path}/deals.db")
    deals = [f"cart-{number}" for number in range(8)]

    async def live() -> None:
        async with followed(temporal_server, pipeline, projection) as board:
            for deal in deals:
                await board.handle(event("cart.item_added", f"{deal}-1", deal, line=LINE))
            await asyncio.to_thread(temporal_server.kill)
            await asyncio.to_thread(temporal_server.start)
            with projection.board() as store:
                for deal in deals:
                    await until(lambda deal=deal: stands(store, deal, "new"), deal)  # type: ignore[misc]
                await board.handle(event("order.confirmed", "o", "cart-0"))
                await until(lambda: stands(store, "cart-0", "won"), "the order")

    asyncio.run(live())


def test_what_was_told_while_the_store_was_away_is_there_once_it_is_back(
    temporal_server: TemporalServer, tmp_path: Path
) -> None:
    pipeline = shop(new_name())
    away = tmp_path / "away"
    projection = Projection(pipeline, f"sqlite:///{away}/deals.db")

    async def live() -> None:
        async with followed(temporal_server, pipeline, projection) as board:
            for number in range(5):
                at = now() - dt.timedelta(seconds=number)
                await board.handle(event("cart.item_added", str(number), at=at, line=LINE))
            away.mkdir()
            with projection.board() as store:
                await until(lambda: stands(store, "cart-1", "new"), "the store")
                await until(lambda: _has(store, 5), "all of it")
                assert store.deal("cart-1") == await board.deal("cart-1")

    async def _has(store: FollowingBoard, count: int) -> bool:
        return await asyncio.to_thread(lambda: len(store.events("cart-1")) == count)

    asyncio.run(live())
