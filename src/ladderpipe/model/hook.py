"""What a hook is given, whichever engine runs it."""

from __future__ import annotations

import datetime as dt
from typing import Any, Protocol

from ..public import publish
from .calendar import Calendar, CalendarSpan
from .deal import Deal
from .event import Event
from .move import Move
from .stage import Purpose

__all__ = ["HookContext"]


class HookContext(Protocol):
    """What a hook is given: the move, the deal, and a way to ask for effects.

    A hook runs inside the transaction and may run again when the transaction is retried, so it
    touches nothing outside it.

    Attributes:
        move: the move that sets the hook off. On a refold, the one that begins the visit that is
            current now; when the deal turns out not to be open, the one that is withdrawn.
        deal: the deal in the stage that is left, or entered.
        event: what caused the move; ``None`` for a timer.
        refold: whether a late event changed the history, so that this hook makes up for it.
        connection: the database connection, for the caller's own tables; ``None`` in memory.
    """

    move: Move
    deal: Deal
    event: Event | None
    refold: bool
    connection: Any

    def do(
        self,
        name: str,
        *,
        wait: dt.timedelta | CalendarSpan | None = None,
        expires: dt.timedelta | None = None,
        run_to_completion: bool = False,
        purpose: Purpose = "marketing",
        calendar: Calendar | None = None,
        **payload: Any,
    ) -> None:
        """Ask for an effect, delivered after the commit.

        Args:
            name: which handler delivers it; ``"task"`` lands in ``board.tasks()``.
            wait: how long after the move it is due; ``office.span(hours=8)`` is business hours.
            expires: drop it, on record, when it is this late.
            run_to_completion: deliver it even when the deal has left the stage. What a
                move-out-of hook asks for always is.
            purpose: of one that is for the deal's customer: ``"transactional"`` is what the
                customer waits for, and a send policy lets it pass.
            calendar: of a task, whose business hours its ``due_hours`` are.
            **payload: JSON values for the handler. ``to="customer"`` is the address that the
                deal's contact has when it is sent.

        Raises:
            InvalidEventError: the payload is not JSON.
        """


publish("ladderpipe", HookContext)
