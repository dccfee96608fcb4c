"""Whoever receives what a board publishes, and keeps where each deal is."""

from __future__ import annotations

from typing import Any

import attrs

from ladderpipe import Board


class Cut(Exception):
    """The line was cut."""


@attrs.define
class Follower:
    """Does what the AsyncAPI document says.

    Attributes:
        drops_doubles: whether it knows what it has by its id.
        left: how many messages it takes before the line is cut; ``None`` for all.
    """

    drops_doubles: bool = True
    left: int | None = None
    moves: dict[str, dict[int, dict[str, Any]]] = attrs.Factory(dict)
    known: set[tuple[str, str]] = attrs.Factory(set)
    got: list[dict[str, Any]] = attrs.Factory(list)

    def __call__(self, message: dict[str, Any]) -> None:
        if self.left is not None:
            if self.left == 0:
                raise Cut
            self.left -= 1
        self.got.append(message)
        name = (message["source"], message["id"])
        if self.drops_doubles and name in self.known:
            return
        self.known.add(name)
        data, moves = message["data"], self.moves.setdefault(message["subject"], {})
        is_move = message["type"] == "ladderpipe.deal.moved"
        for n in [n for n in moves if n >= data["n"] + (not is_move)]:
            del moves[n]
        if is_move:
            moves[data["n"]] = data | {"at": message["time"]}

    def follow(self, board: Board, cursor: str | None, limit: int = 500) -> str:
        """Take all that there is, and return the cursor."""
        while True:
            told = board.publish(self, after=cursor, limit=limit)
            cursor = told.cursor
            if not told.more:
                return cursor

    def of(self, deal: str) -> list[tuple[Any, ...]]:
        moves = self.moves.get(deal, {})
        return [(n, moves[n]["out_of"], moves[n]["into"], moves[n]["at"]) for n in sorted(moves)]


def stored(board: Board, deal: str) -> list[tuple[Any, ...]]:
    """Return the moves that a deal has, as a follower should have them."""
    try:
        moves = board.history(deal).moves
    except LookupError:
        return []
    told = (move.to_dict() for move in moves)
    return [(move["n"], move["out_of"], move["into"], move["at"]) for move in told]
