"""What goes along with a deal: whoever has to hear of it, or is asked before it sends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from ..board.claim import Claim
from ..board.session import Session
from ..model.effect import Drop, Later

__all__ = ["Begin", "Companion"]


class Companion(Protocol):
    """One run's, of one deal. What it does it starts as activities; it keeps no deal back."""

    def changed(self) -> None:
        """Hear that the deal may have changed; after each of its rounds."""

    async def known(self) -> None:
        """Wait until whoever must not miss what the deal was just told knows of it.

        What was asked of the deal is answered after that.
        """

    @property
    def is_behind(self) -> bool:
        """Whether something that the deal holds has still to be told."""

    def carried(self) -> Any:
        """Return, as JSON values, what the next run's companion has to know."""

    async def may_send(self, taken: Claim) -> Later | Drop | None:
        """Say whether an effect may go that is about to be scheduled; ``None`` says yes.

        Meanwhile the deal goes on; whether the effect's visit is still current is looked at once
        more after the answer, which is what a handler's answer would be.
        """


Begin: TypeAlias = Callable[[Session, str, Any], Companion]
"""Begins one with a run: given the deal's session and id, and what was carried, if anything was."""
