"""A real Temporal server for tests: the one in the wheel, as its command line starts one."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from temporalio.client import Client, Plugin
from temporalio.service import RPCError

_LONGEST_START: Final = 60.0


class TemporalServer:
    """A server of its own, whose state is a file in a new folder and outlives a kill."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self._folder = Path(tempfile.mkdtemp(prefix="ladderpipe-temporal-"))
        self._port = _free_port()
        self.start()

    @property
    def address(self) -> str:
        """Where a client finds it, before and after a restart."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start, and return when it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._program, "server", "start-dev", "--headless", "--log-level=error"),
                    *("--ip=127.0.0.1", f"--port={self._port}"),
                    # What is written survives a kill of the server, not one of the machine.
                    *(
                        f"--db-filename={self._folder / 'state.db'}",
                        "--sqlite-pragma=synchronous=OFF",
                    ),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        asyncio.run(self._until_it_answers())

    def kill(self) -> None:
        """Do to the server what pulling the plug does."""
        self._process.kill()
        self._process.wait()

    async def connect(self, plugins: Sequence[Plugin] = ()) -> Client:
        """Return a client of the loop that runs."""
        return await Client.connect(self.address, plugins=plugins)

    def close(self) -> None:
        """Stop and remove everything."""
        self.kill()
        shutil.rmtree(self._folder)

    async def _until_it_answers(self) -> None:
        until = time.monotonic() + _LONGEST_START
        while not await self._answers():
            log = (self._folder / "log").read_text()
            assert self._process.poll() is None, log
            assert time.monotonic() < until, log
            await asyncio.sleep(0.05)

    async def _answers(self) -> bool:
        # It listens before its parts have found each other: only a real question tells.
        with contextlib.suppress(RPCError, RuntimeError):
            await (await self.connect()).count_workflows()
            return True
        return False


@contextlib.contextmanager
def running_temporal(program: Path) -> Iterator[TemporalServer]:
    """Run a server while the block runs."""
    server = TemporalServer(program)
    try:
        yield server
    finally:
        server.close()


def temporal_program() -> Path | None:
    """Return the program in the wheel, if it is installed and there is one for this machine."""
    found = shutil.which("temporal", path=sysconfig.get_path("scripts"))
    return None if found is None else Path(found)


def _free_port() -> int:
    """Return a port that nobody has; who else asks now gets another one."""
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        port: int = asking.getsockname()[1]
        return port
