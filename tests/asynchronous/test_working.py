"""Workers on an event loop: handlers, waking, stopping."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ladderpipe import Board, Delivery, EffectState, Event
from ladderpipe.stores import PostgresStore
from tests.asynchronous.shops import AsyncShop
from tests.shops import START, lead_ladder

LONG = dt.timedelta(minutes=10)


async def effect_states(shop: AsyncShop) -> list[EffectState]:
    return [effect.state for effect in await shop.board.effects("d") if effect.name == "email"]


@contextlib.asynccontextmanager
async def opened(store: Any) -> Any:
    """Open a shop with a lead whose first mail is due."""
    shop = AsyncShop(lead_ladder(sequence=True), store)
    shop.board._board._session.handlers.clear()
    async with shop.board:
        await shop.tell("lead")
        yield shop


# -- handlers -----------------------------------------------------------------------------------


def test_a_plain_handler_runs_in_a_thread_and_may_take_long(store: Any):
    threads: list[threading.Thread] = []

    def send(delivery: Delivery) -> None:
        threads.append(threading.current_thread())

    async def main() -> None:
        async with opened(store) as shop:
            shop.board.handle_effect("email", send)
            assert (await shop.board.deliver()).delivered == 1

    asyncio.run(main())
    assert threads != [threading.main_thread()]


@pytest.mark.parametrize("at_once", [1, 40])
def test_handlers_may_call_the_board(store: Any, at_once: int):
    async def main() -> None:
        async with opened(store) as shop:

            @shop.board.handles("email")
            async def send(delivery: Delivery) -> None:
                await shop.tell("call", delivery.deal.id)

            for number in range(at_once):
                await shop.tell("lead", f"d{number}")
            async with asyncio.timeout(30):
                await asyncio.gather(*(shop.board.deliver(limit=1) for _ in range(at_once)))
                await shop.board.deliver()
            assert (await shop.board.deal("d")).stage == "talking"

    asyncio.run(main())


def test_a_handler_that_is_cancelled_is_tried_again_without_waiting_for_its_lease(store: Any):
    async def main() -> None:
        async with opened(store) as shop:
            is_sending = asyncio.Event()

            @shop.board.handles("email")
            async def send(delivery: Delivery) -> None:
                is_sending.set()
                await asyncio.Event().wait()

            delivering = asyncio.create_task(shop.board.deliver())
            await is_sending.wait()
            delivering.cancel()
            with pytest.raises(asyncio.CancelledError):
                await delivering
            assert await effect_states(shop) == ["pending", "pending"]

    asyncio.run(main())


def test_a_plain_handler_runs_to_its_end_before_its_task_is_cancelled(store: Any):
    async def main() -> None:
        async with opened(store) as shop:
            loop, is_sending, may_end = (
                asyncio.get_running_loop(),
                asyncio.Event(),
                threading.Event(),
            )

            @shop.board.handles("email")
            def send(delivery: Delivery) -> None:
                loop.call_soon_threadsafe(is_sending.set)
                assert may_end.wait(30)

            delivering = asyncio.create_task(shop.board.deliver())
            await is_sending.wait()
            delivering.cancel()
            await asyncio.sleep(0)
            may_end.set()
            with pytest.raises(asyncio.CancelledError):
                await delivering
            assert await effect_states(shop) == ["delivered", "pending"]

    asyncio.run(main())


# -- the worker's loop --------------------------------------------------------------------------


@pytest.mark.parametrize("told", ["cancel", "stop", "signal"])
def test_a_worker_works_until_it_is_told_to_stop(store: Any, told: str):
    async def main() -> None:
        async with opened(store) as shop:
            stop, has_worked = asyncio.Event(), asyncio.Event()
            shop.board.handles("email")(lambda delivery: None)

            def on_round(swept: Any, delivered: Any) -> None:
                assert asyncio.get_running_loop()
                has_worked.set()

            worker = asyncio.create_task(shop.board.run(stop=stop, poll=LONG, on_round=on_round))
            async with asyncio.timeout(30):
                await has_worked.wait()
                if told == "cancel":
                    worker.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await worker
                elif told == "stop":
                    stop.set()
                    await worker
                else:
                    with sent_elsewhere(signal.SIGTERM):
                        await worker
            assert await effect_states(shop) == ["delivered", "pending"]
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    asyncio.run(main())


@contextlib.contextmanager
def sent_elsewhere(number: signal.Signals) -> Iterator[None]:
    """Send this process a signal, in a thread that is not the loop's."""
    assert signal.getsignal(number) is not signal.SIG_DFL
    sender = threading.Thread(target=signal.raise_signal, args=(number,))
    sender.start()
    yield
    sender.join()


def test_a_worker_leaves_signals_to_whoever_minds_them(store: Any):
    def of_a_web_server(*told: Any) -> None: ...

    async def main() -> None:
        async with opened(store) as shop:
            stop = asyncio.Event()

            def on_round(swept: Any, delivered: Any) -> None:
                assert signal.getsignal(signal.SIGTERM) is of_a_web_server
                stop.set()

            shop.board.handles("email")(lambda delivery: None)
            await shop.board.run(stop=stop, on_round=on_round)

    before = signal.signal(signal.SIGTERM, of_a_web_server)
    try:
        asyncio.run(main())
    finally:
        signal.signal(signal.SIGTERM, before)


def test_new_work_of_another_process_wakes_a_worker(postgres_url: str):
    async def main() -> None:
        async with opened(PostgresStore(postgres_url)) as shop:
            sent: asyncio.Queue[str] = asyncio.Queue()

            @shop.board.handles("email")
            async def send(delivery: Delivery) -> None:
                await sent.put(delivery.deal.id)

            worker = asyncio.create_task(shop.board.run(poll=LONG))
            async with asyncio.timeout(30):
                assert await sent.get() == "d"
                await asyncio.to_thread(another_process, postgres_url)
                assert await sent.get() == "other"
            worker.cancel()
            with pytest.raises(asyncio.CancelledError):
                await worker

    asyncio.run(main())


def another_process(url: str) -> None:
    with Board.open(lead_ladder(sequence=True), url) as board:
        board.handle(Event("lead", deal="other", id="o", at=START))
