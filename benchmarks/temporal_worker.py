"""A worker of one side, in a process of its own: what it costs is read from the process."""

from __future__ import annotations

import asyncio
import sys
import time

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from .ladders import quoted
from .temporal_by_hand import HandWrittenDeal


async def work(side: str, address: str, queue: str) -> None:
    """Work until the input ends; each line of it asks for the processor's seconds so far."""
    if side == "ours":
        from ladderpipe.temporal import LadderPlugin

        client = await Client.connect(address, plugins=[LadderPlugin(quoted())])
        worker = Worker(client, task_queue=queue)
    else:
        client = await Client.connect(address)
        runner = SandboxedWorkflowRunner() if side == "sandboxed" else UnsandboxedWorkflowRunner()
        worker = Worker(
            client, task_queue=queue, workflows=[HandWrittenDeal], workflow_runner=runner
        )
    async with worker:
        print("ready", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(time.process_time(), flush=True)


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
