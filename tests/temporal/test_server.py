"""What the other tests here rely on: a server that keeps what it holds, also when it is killed."""

from __future__ import annotations

import asyncio
import uuid

from tests.temporal_server import TemporalServer


def test_a_killed_server_comes_back_where_it_was_with_what_it_held(
    temporal_server: TemporalServer,
) -> None:
    name = f"held-{uuid.uuid4().hex}"

    async def hold() -> None:
        client = await temporal_server.connect()
        await client.start_workflow("nobody's", id=name, task_queue=name)

    async def held() -> int:
        client = await temporal_server.connect()
        handle = client.get_workflow_handle(name)
        events = (await handle.fetch_history()).events
        await handle.terminate()
        return len(events)

    address = temporal_server.address
    asyncio.run(hold())
    temporal_server.kill()
    temporal_server.start()

    assert temporal_server.address == address
    # That it has begun, and that somebody is to work on it.
    assert asyncio.run(held()) == 2
