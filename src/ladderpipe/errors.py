"""Every error the library raises on purpose; a message says what was refused, why, what to do.

Each is also the built-in error that it is closest to::

    LadderError
    ├── ArchiveError              ValueError
    ├── ClockError                ValueError
    ├── CursorError               ValueError
    ├── DealNotFoundError         LookupError
    ├── DefinitionError           ValueError
    ├── EffectNotFoundError       LookupError
    ├── EventConflictError        ValueError
    ├── EventFromFutureError      ValueError
    ├── EventNotFoundError        LookupError
    ├── GuardError                RuntimeError
    ├── HeldNotFoundError         LookupError
    ├── HookError                 RuntimeError
    ├── InstantError              ValueError
    ├── InvalidEventError         ValueError
    ├── MigrationError            RuntimeError
    ├── MoveNotAllowedError       ValueError
    │   └── MissingPropertyError
    ├── PipelineChangedError      RuntimeError
    ├── ReentrancyError           RuntimeError
    ├── SealedError               LookupError
    ├── StoreError                RuntimeError
    ├── UndeliverableError        RuntimeError
    └── UnexpectedError           RuntimeError
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

__all__ = [
    "ArchiveError",
    "ClockError",
    "CursorError",
    "DealNotFoundError",
    "DefinitionError",
    "EffectNotFoundError",
    "EventConflictError",
    "EventFromFutureError",
    "EventNotFoundError",
    "GuardError",
    "HeldNotFoundError",
    "HookError",
    "InstantError",
    "InvalidEventError",
    "LadderError",
    "MigrationError",
    "MissingPropertyError",
    "MoveNotAllowedError",
    "PipelineChangedError",
    "ReentrancyError",
    "SealedError",
    "StoreError",
    "UndeliverableError",
    "UnexpectedError",
]


LONGEST_MESSAGE: Final = 4_000
"""Characters; a message quotes what was refused, which may be a megabyte."""


class LadderError(Exception):
    """The top of the family: catching it catches everything ladderpipe refuses."""

    def __str__(self) -> str:
        """Return the message, its middle left out where somebody sent a very long text."""
        message = super().__str__()
        if len(message) <= LONGEST_MESSAGE:
            return message
        half = LONGEST_MESSAGE // 2
        left_out = len(message) - 2 * half
        return f"{message[:half]} … ({left_out:,} characters left out) … {message[-half:]}"


def shown(error: BaseException, how: Callable[[object], str] = repr) -> str:
    """Return an error in words, even one of somebody's that cannot be told.

    >>> shown(KeyError("price"))
    "KeyError('price')"
    """
    try:
        return how(error)
    except Exception:
        return f"{type(error).__name__} (which raises when it is shown)"


class DefinitionError(LadderError, ValueError):
    """A pipeline, stage or rule that cannot be built as written."""


class InstantError(LadderError, ValueError):
    """A time without a time zone, or text that is no time."""


class ClockError(LadderError, ValueError):
    """A clock asked to go back, a sweep beyond its time, or one by a machine's wrong clock."""


class CursorError(LadderError, ValueError):
    """A text that says where to read on, and is none that a board has given for this."""


class InvalidEventError(LadderError, ValueError):
    """An event that is malformed or that the reducer cannot understand. Nothing is stored.

    Attributes:
        event: the event that was being folded; ``None`` for one that was never built.
    """

    event: Any = None


class EventConflictError(LadderError, ValueError):
    """The identity of a known event, with other content. Nothing is stored."""


class EventFromFutureError(LadderError, ValueError):
    """An event further in the future than the board's ``max_skew``. Nothing is stored."""


class GuardError(LadderError, RuntimeError):
    """A guard raised; the original is the ``__cause__``. Nothing is stored.

    Attributes:
        event: the event that was being folded; ``None`` when a timer asked.
    """

    event: Any = None


class HookError(LadderError, RuntimeError):
    """A hook raised; the original is the ``__cause__``. Nothing is stored."""


class ReentrancyError(LadderError, RuntimeError):
    """The board was called from inside one of its hooks."""


class MoveNotAllowedError(LadderError, ValueError):
    """A hand asked for what the rules, or the actor's rights, do not allow now. Nothing is stored.

    Attributes:
        deal: id of the deal; ``None`` where the refusal is about none.
        stage: the stage it is in, or was in at the hand's time; ``None`` while it is not open.
        into: the stage that was asked for.
        allowed: the stages into which a hand may move it from there, some of them only with what
            they require; see :attr:`options`.
        missing: names of what the stage requires and nobody has filled.
        expecting: the stage or visit in which the hand thought the deal to be.
        options: what ``board.options`` says of every stage, for this deal and actor.
    """

    def __init__(
        self,
        message: str = "",
        *,
        deal: str | None = None,
        stage: Any = None,
        into: Any = None,
        missing: tuple[str, ...] = (),
        expecting: str | None = None,
        options: tuple[Any, ...] = (),
    ) -> None:
        super().__init__(message)
        self.deal = deal
        self.stage = stage
        self.into = into
        self.missing = missing
        self.expecting = expecting
        self.options = options

    @property
    def allowed(self) -> tuple[Any, ...]:
        """The stages into which a hand may move the deal, if it brings what they require."""
        return tuple(option.into for option in self.options if option.is_possible)


class MissingPropertyError(MoveNotAllowedError):
    """A hand asked for a move into a stage whose required properties are not filled."""


class DealNotFoundError(LadderError, LookupError):
    """No deal with that id has been opened."""


class EventNotFoundError(LadderError, LookupError):
    """No event with that identity is stored or held."""


class EffectNotFoundError(LadderError, LookupError):
    """No effect or open task with that key."""


class HeldNotFoundError(LadderError, LookupError):
    """No held event with that key."""


class PipelineChangedError(LadderError, RuntimeError):
    """The store holds another definition of this pipeline; ``board.migrate`` adopts the new one."""


class StoreError(LadderError, RuntimeError):
    """A store that cannot be opened or used as asked."""


class SealedError(LadderError, LookupError):
    """What is stored sealed cannot be opened: its key is not in the ring, or it was altered."""


class ArchiveError(LadderError, ValueError):
    """An archive that is damaged, another ladder's, or does not go with what is stored."""


class UndeliverableError(LadderError, RuntimeError):
    """Raised by an effect's handler: no retry can help, so the effect is a dead letter at once."""


class UnexpectedError(LadderError, RuntimeError):
    """One deal led to an error that nobody expected; the original is the ``__cause__``.

    The deal is left as it was, and the others go on.
    """


class MigrationError(LadderError, RuntimeError):
    """Deals that cannot be carried over to another definition. Nothing was changed.

    Attributes:
        failures: each such deal with its error.
    """

    failures: Any = ()
