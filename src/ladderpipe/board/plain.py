"""The plain board within an awaited one, for code that works in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .board import Board

if TYPE_CHECKING:
    from typing import Protocol

    from ..model.effect import Handler

    class Awaited(Protocol):
        """An ``AsyncBoard``, of which nobody below it knows more."""

        _board: Board

        def handle_effect(self, name: str, handler: Handler) -> None:
            """Let *handler* deliver effects of this name."""


__all__ = ["plain_board"]


def plain_board(board: Board | Awaited) -> Board:
    """Return the board whose methods a thread may call, while an event loop awaits the other ones.

    What an ``AsyncBoard`` awaits is a plain board: in a thread it has connections of its own.
    """
    return board if isinstance(board, Board) else board._board
