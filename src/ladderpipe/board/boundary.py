"""Where one deal's trouble ends (S18): what is that deal's failure, and what is everybody's.

Told by the boundary and not by the type of the error: whatever is raised while one deal is decided
about or written is its own, unless the store says that the whole transaction may succeed later, or
the board as such is in trouble.
"""

from __future__ import annotations

from typing import Final

from ..errors import LadderError, PipelineChangedError, ReentrancyError, StoreError, UnexpectedError
from .session import Session

__all__ = ["UNREADABLE", "as_failure", "is_its_own"]

UNREADABLE: Final = (
    LadderError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    AttributeError,
    AssertionError,
)
"""What reading a deal may raise when what is stored of it makes no sense: a reason to leave that
deal out and to name it, not to stop. What a database or its driver raises is none of these."""

_EVERYBODYS = (PipelineChangedError, ReentrancyError, StoreError)


def is_its_own(session: Session, error: Exception) -> bool:
    """Return whether an error is about the deal or event at hand, so that others can go on."""
    return not isinstance(error, _EVERYBODYS) and not session.store.is_transient(error)


def as_failure(deal: str, error: Exception) -> LadderError:
    """Return the error as a report holds it."""
    if isinstance(error, LadderError):
        return error
    failure = UnexpectedError(
        f"deal {deal!r} led to {type(error).__name__}: {error}. It is left as it was; see what its "
        "hooks, guards and reducer hand over, and what ladderpipe verify says of it"
    )
    failure.__cause__ = error
    return failure
