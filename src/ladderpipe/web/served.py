"""The boards of one application: which there are, who sees them, and how they are asked."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs
from anyio.lowlevel import RunVar
from starlette.concurrency import run_in_threadpool

from ..board.board import Board
from ..board.listing import Changes
from ..errors import DefinitionError
from ..pipeline import Pipeline
from .access import Access, User
from .feed import Feed
from .reports import Reports
from .words import Words

if TYPE_CHECKING:
    from ..asynchronous import AsyncBoard

__all__ = ["Served", "served", "titles"]

_NAME: Final = re.compile("[A-Za-z0-9][A-Za-z0-9._-]*")

Result = TypeVar("Result")


@attrs.frozen
class Served:
    """One board of an application.

    Attributes:
        name: its folder in the address; empty for the only board of an application.
    """

    name: str
    board: Board | AsyncBoard
    access: Access
    reports: Reports = attrs.field(factory=Reports)
    _feeds: RunVar[Feed] = attrs.field(factory=lambda: RunVar("feed"))

    @property
    def pipeline(self) -> Pipeline:
        """Its ladder."""
        return self.board.pipeline

    def is_seen_by(self, user: User) -> bool:
        """Return whether somebody may know of it."""
        return self.access.may(user, "see", None)

    def is_in_the_store_of(self, other: Served) -> bool:
        """Return whether one database holds both, so that a customer of one is one of the other."""
        one, another = self.plain._session, other.plain._session
        return one.store is another.store or (bool(one.secret) and one.secret == another.secret)

    async def ask(self, work: Callable[[Board], Result]) -> Result:
        """Have something done with the board, while the event loop goes on."""
        board: Any = self.board
        if isinstance(board, Board):
            return await run_in_threadpool(board._in_thread, work)
        # As each of its methods is: the same plain code, in a strand.
        found: Result = await board._in_strand(functools.partial(work, self.plain))
        return found

    def feed(self, most: int) -> Feed:
        """Return what tells the event loop that runs of changes, to so many at once."""
        found = self._feeds.get(None)
        if found is None:
            found = Feed(self._changes, most)
            self._feeds.set(found)
        return found

    async def _changes(self, after: str) -> Changes:
        return await self.ask(lambda board: board.changes(after=after, limit=1_000))

    async def ask_at_length(self, work: Callable[[Board], Result]) -> Result:
        """Have something done that takes seconds.

        In a strand that would keep the event loop waiting. In a thread, what an ``AsyncBoard``
        awaits is a plain board, on connections of its own.
        """
        return await run_in_threadpool(self.plain._in_thread, work)

    @property
    def plain(self) -> Board:
        """The board whose methods are plain functions, for a thread or in a strand."""
        board: Any = self.board
        plain: Board = board if isinstance(board, Board) else board._board
        return plain


def served(
    board: Board | AsyncBoard | Mapping[str, Board | AsyncBoard],
    access: Access | Mapping[str, Access] | None,
    taken: Collection[str],
) -> tuple[Served, ...]:
    """Return the boards that an application is given.

    Args:
        taken: names that no board can have.

    Raises:
        DefinitionError: a name cannot stand in an address, or it is not clear who may see what.
    """
    if not isinstance(board, Mapping):
        if isinstance(access, Mapping):
            raise DefinitionError(
                "BoardApp(access=...) by name is for several boards: give BoardApp their mapping, "
                "or one Access for the one board"
            )
        return (Served("", board, access or Access()),)
    for name in board:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in taken:
            raise DefinitionError(
                f"BoardApp({{{name!r}: ...}}): a board's name is part of its address: write "
                "letters, digits, '-', '_' and '.', and none of the pages' own names "
                f"({', '.join(sorted(taken))})"
            )
    if not board:
        raise DefinitionError("BoardApp({}): give it at least one board")
    if isinstance(access, Mapping) and set(access) != set(board):
        raise DefinitionError(
            f"BoardApp(access=...) is for {', '.join(map(repr, access)) or 'nothing'}, and the "
            f"boards are {', '.join(map(repr, board))}: say for each who may see what"
        )
    return tuple(
        Served(name, each, access[name] if isinstance(access, Mapping) else access or Access())
        for name, each in board.items()
    )


def titles(boards: Iterable[Served], words: Words) -> dict[str, str]:
    """Return what boards are called, by name; with the name, where two are called the same."""
    found = {
        each.name: each.pipeline.titles.get(words.language, each.pipeline.title) for each in boards
    }
    counts = Counter(found.values())
    return {
        name: title if counts[title] == 1 else f"{title} ({name})" for name, title in found.items()
    }
