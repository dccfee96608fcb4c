"""What the type checker knows of an asynchronous board. Checked by mypy, never run."""

from __future__ import annotations

from typing import assert_type

from ladderpipe import AsyncBoard, Deal, Delivery, Event, History, Pipeline, Receipt, Stage, on

quote = Stage("quote_requested")
pipeline = Pipeline("sales", stages=[quote], rules=[on("a", into=quote, opens=True)])


async def use(event: Event) -> None:
    board = await AsyncBoard.open(pipeline, "sqlite:///shop.db")
    assert_type(await board.handle(event), Receipt)
    assert_type(await board.move("d", quote, by="Ada"), Receipt)
    assert_type(await board.history("d"), History)
    assert_type([deal async for deal in board.deals(owner="Ada")], list[Deal])
    async with board as same:
        await same.run()

    @board.handles("email")
    async def send(delivery: Delivery) -> None: ...

    @board.handles("letter")
    def write(delivery: Delivery) -> None: ...

    board.handle_effect("email", send)
    board.handle_effect("letter", write)

    # What is not awaited, not there, or not what is asked for.
    board.handle(event)  # type: ignore[unused-coroutine]
    await board.handle("an event")  # type: ignore[arg-type]
    await board.move("d", quote)  # type: ignore[call-arg]
    await board.climb("d")  # type: ignore[attr-defined]
    AsyncBoard(pipeline, shop="shop.db")  # type: ignore[call-arg]
