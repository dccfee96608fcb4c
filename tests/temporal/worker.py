"""A worker in a process of its own, to be killed: ``python -m tests.temporal.worker``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from temporalio.client import Client
from temporalio.worker import Worker

from ladderpipe.model.effect import Delivery
from ladderpipe.temporal import LadderPlugin
from tests.temporal.ladders import shop


async def main(address: str, name: str, gone_after: str, sent: str) -> None:
    """Work until killed; a line in the file *sent* is a mail."""

    def email(delivery: Delivery) -> None:
        with Path(sent).open("a") as file:
            file.write(f"{delivery.key}\n")

    plugin = LadderPlugin(shop(name, gone_after=float(gone_after)), {"email": email})
    client = await Client.connect(address, plugins=[plugin])
    sys.stdout.write("at work\n")
    sys.stdout.flush()
    await Worker(client, task_queue=name).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
