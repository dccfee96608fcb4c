"""Who looks at a board, and what they may do there. The host application signs them in."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import attrs

from ..model.deal import Deal
from ..stores.filters import Scope

__all__ = ["Access", "Action", "User"]

Action: TypeAlias = Literal[
    "see",
    "move",
    "undo",
    "edit",
    "task",
    "reports",
    "override",
    "release",
    "discard",
    "unsubscribe",
]
"""What somebody can ask for: ``move``, ``edit`` and the like are the board's methods, ``task`` is
to complete or assign one, ``reports`` the figures of the whole pipeline."""

EVERYDAY: Final[frozenset[str]] = frozenset({"see", "move", "undo", "edit", "task"})


@attrs.frozen
class User:
    """Somebody whom the host application has signed in.

    Attributes:
        id: by which the history tells what they did; the owner of the deals that are theirs.
        name: as the page greets them; the id when left out.
        language: in which they read the page, such as ``"it"``; the application's when left out.
    """

    id: str
    name: str | None = None
    language: str | None = None


class Access:
    """What people who are signed in may see and do; subclass it and say so.

    As it is, everybody sees every deal, and may do what a salesperson does every day: move, undo,
    edit, tasks. The rest (``override``, ``release``, ``discard``, ``unsubscribe``, ``reports``) is
    closed until a subclass opens it.
    """

    def scope(self, user: User) -> Scope | None:
        """Return the deals that somebody sees, as ``board.page`` takes it; ``None`` for all.

        It goes into the database's own question, so that counts and pages hold nothing else.
        """
        return None

    def may(self, user: User, action: Action, deal: Deal | None) -> bool:
        """Return whether somebody may do something.

        Args:
            deal: ``None`` where the question is whether they may do it at all; it is asked first,
                before anything is looked up, and again with the deal.
        """
        return action in EVERYDAY
