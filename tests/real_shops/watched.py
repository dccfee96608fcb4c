"""A receiver that real shops tell, and that says when it has answered."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from ladderpipe import Board, Deal
from ladderpipe.connect import Receiver
from ladderpipe.connect.reply import Reply

HERE: Final = Path(__file__).parent
PLUGINS: Final = HERE.parents[1] / "examples" / "plugins"
SHOPS: Final = Path(os.environ.get("LADDERPIPE_SHOPS", HERE.parents[1] / ".shops")).absolute()
DEADLINE: Final = 60
"""Seconds after which something that should happen is taken not to."""


class Watched(Receiver):
    """A receiver that says when it has answered, so that nobody has to look again and again."""

    def __init__(self, board: Board, *arguments: Any) -> None:
        super().__init__(board, *arguments)
        self.board = board
        self.answers: list[int] = []
        self.told = threading.Condition()
        self.lost: set[str] = set()
        """Orders whose messages get lost on the way; the shop is told that they have arrived."""

    def _answer(self, *arguments: Any) -> Any:
        is_lost = any(code.encode() in arguments[-1] for code in self.lost)
        reply = Reply.told(HTTPStatus.OK, {}) if is_lost else super()._answer(*arguments)
        with self.told:
            self.answers.append(reply.status)
            self.told.notify_all()
        return reply

    def comes_to(self, deal: str, holds: Callable[[Deal], bool]) -> Deal:
        """Wait until a deal is as it should be, and return it."""

        def found() -> Deal | None:
            try:
                return self.board.deal(deal)
            except LookupError:
                return None

        def so() -> bool:
            now = found()
            return now is not None and holds(now)

        with self.told:
            arrived = self.told.wait_for(so, timeout=DEADLINE)
        now = found()
        assert arrived, (now, self.answers)
        assert now is not None
        return now


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port
