"""The server and the workers are killed while a deal waits; it goes on as if nothing had been."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ladderpipe import EffectState, Event, Outcome
from ladderpipe.temporal import TemporalBoard
from tests.temporal.ladders import event, new_name, shop, until
from tests.temporal_server import TemporalServer

LINE = {"sku": "NB-15", "title": "Notebook", "quantity": 1, "unit_price": "899.00"}
GONE_AFTER = 4.0


@contextlib.contextmanager
def worker(server: TemporalServer, name: str, sent: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a worker's process, which is killed at the end if not before."""
    command = [sys.executable, "-m", "tests.temporal.worker", server.address, name]
    process = subprocess.Popen(
        [*command, str(GONE_AFTER), str(sent)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_timer_that_was_due_while_all_was_dead_moves_the_deal_at_its_instant_and_sends_once(
    temporal_server: TemporalServer, tmp_path: Path
) -> None:
    ladder = shop(new_name(), gone_after=GONE_AFTER)
    sent = tmp_path / "sent"

    async def board() -> TemporalBoard:
        client = await temporal_server.connect()
        return TemporalBoard(client, ladder, task_queue=ladder.name)

    first = event("cart.item_added", "1", line=LINE)

    async def open_it() -> None:
        assert (await (await board()).handle(first)).outcome is Outcome.OPENED

    async def see_it_moved() -> None:
        asked = await board()
        # The first thing that is asked after it all finds the deal as it was.
        assert (await asked.handle(first)).outcome is Outcome.DUPLICATE

        async def is_sent() -> bool:
            effects = await asked.effects("cart-1")
            return [each.state for each in effects] == [EffectState.DELIVERED]

        await until(is_sent, "the timer fires and the mail is sent", 60)
        moves = (await asked.history("cart-1")).moves
        assert [move.into for move in moves] == ["new", "gone"]
        waited = (moves[1].at - first.at).total_seconds()
        assert waited == GONE_AFTER
        (effect,) = await asked.effects("cart-1")
        assert sent.read_text() == f"{effect.key}\n"

    with worker(temporal_server, ladder.name, sent) as process:
        asyncio.run(open_it())
        temporal_server.kill()
        process.kill()
    until_due = first.at.timestamp() + GONE_AFTER + 0.5
    time.sleep(max(0.0, until_due - time.time()))
    temporal_server.start()
    with worker(temporal_server, ladder.name, sent):
        asyncio.run(see_it_moved())


def test_another_worker_goes_on_where_one_was_killed(
    temporal_server: TemporalServer, tmp_path: Path
) -> None:
    ladder = shop(new_name(), gone_after=GONE_AFTER)
    sent = tmp_path / "sent"

    one, two, three = (event("page.viewed", str(n)) for n in range(3))

    async def tell(*told: Event) -> list[str]:
        client = await temporal_server.connect()
        board = TemporalBoard(client, ladder, task_queue=ladder.name)
        answers = [await board.handle(each) for each in told]
        return [answer.outcome for answer in answers]

    with worker(temporal_server, ladder.name, sent):
        assert asyncio.run(tell(one, two)) == ["waiting", "waiting"]
    with worker(temporal_server, ladder.name, sent):
        assert asyncio.run(tell(two, three)) == ["duplicate", "waiting"]
