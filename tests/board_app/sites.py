"""The team's board served as it would be in earnest: by programs of their own, on databases."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import httpx

from ladderpipe import Board
from tests.board_app.shop import pipeline, tell
from tests.web.servers import free_port, process, wait_until

__all__ = ["KINDS", "Site", "site"]

KINDS: Final = (
    ("uvicorn", "sqlite"),
    ("uvicorn", "postgresql"),
    ("wsgi", "postgresql"),
    ("django", "sqlite"),
)
ROOT: Final = Path(__file__).parents[2]
_numbers = itertools.count(1)


@attrs.define
class Site:
    """A served board, and the same board beside it, as a colleague or a worker has it."""

    kind: str
    url: str
    port: int
    folder: Path
    board: Board
    more: tuple[str, ...] = ()
    _server: contextlib.ExitStack = attrs.field(factory=contextlib.ExitStack)

    @property
    def address(self) -> str:
        """Where the board is; under Django in a folder."""
        return f"http://127.0.0.1:{self.port}/" + ("sales/" if self.kind == "django" else "")

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        log = self._server.enter_context((self.folder / "log.txt").open("a"))
        command = [sys.executable, "-m", "tests.board_app.shop"]
        started: dict[str, Any] = {
            "cwd": ROOT,
            "env": os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            "stdin": subprocess.DEVNULL,
            "stdout": log,
            "stderr": log,
        }
        told = [self.kind, self.url, str(self.port), *self.more]
        running = self._server.enter_context(process([*command, *told], **started))

        def answers() -> bool:
            assert running.poll() is None, (self.folder / "log.txt").read_text("utf-8")
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"{self.address}tasks", trust_env=False).status_code == 401
            return False

        wait_until(answers)

    def stop(self) -> None:
        """Stop the server."""
        self._server.close()

    def deal(self, **data: Any) -> str:
        """Open a deal that no other test knows, and return its id."""
        name = f"deal {next(_numbers)} / {self.kind}"
        contact = {"name": "Ada Rossi", "email": "ada@example.com"}
        now = dt.datetime.now(dt.UTC)
        tell(self.board, name, now, **{"title": name, "contact": contact, **data})
        return name

    def stages(self, deal: str) -> list[str]:
        """Return the stages that a deal has been through."""
        return [visit.stage.key for visit in self.board.history(deal).visits]


@contextlib.contextmanager
def site(kind: str, url: str, folder: Path, *more: str) -> Iterator[Site]:
    """Serve a board until the block ends; ``"several"``: and that of renewals beside it."""
    with Board.open(pipeline(), url) as board:
        found = Site(kind, url, free_port(), folder, board, more)
        found.start()
        try:
            yield found
        finally:
            found.stop()
