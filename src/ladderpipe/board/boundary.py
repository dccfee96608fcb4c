"""Where one deal's trouble ends (S18): what is that deal's failure, and what is everybody's.

Told by the boundary and not by the type of the error. Deals share a transaction, each in a
savepoint, because that is quick. Whatever one of them raises is its own as long as the transaction
goes on. When it does not, because a hook ended it or because the database finds only at the end
that something is wrong, each deal has a transaction of its own, and what is raised then is that
deal's, unless it is the store that is in trouble.
"""

from __future__ import annotations

from typing import Final

from ..errors import (
    InvalidEventError,
    LadderError,
    PipelineChangedError,
    UnexpectedError,
    shown,
)
from ..stores.base import Transaction
from .session import Session

__all__ = ["UNREADABLE", "as_failure", "check_said", "go_on_or_raise", "storable", "words"]

UNREADABLE: Final = (
    LadderError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    MemoryError,
)
"""What reading a deal may raise when what is stored of it makes no sense: a reason to leave that
deal out and to name it, not to stop. What a database or its driver raises is none of these."""

_LONGEST: Final = 2_000


def go_on_or_raise(
    session: Session, error: Exception, transaction: Transaction | None = None
) -> None:
    """Return if an error is one deal's own, so that the others go on; raise it if it is not.

    Args:
        transaction: the one that the others share, in which the deal's part is undone; ``None`` if
            the deal had a transaction to itself, or if that of all is over.

    Raises:
        Exception: the error, when all of the transaction has to be done again, each deal by
            itself, or when it is everybody's: the store is in trouble, or holds another ladder.
    """
    store = session.store
    if transaction is not None:
        is_own = transaction.is_usable and not store.is_transient(error)
    else:
        is_own = not session.read_only and not store.is_in_trouble(error)
    if not is_own or (isinstance(error, PipelineChangedError) and session.has_changed()):
        raise error


def check_said(**told: object) -> None:
    """Refuse what is put aside for good without saying who does it, and why.

    Raises:
        InvalidEventError: one of these is no text, or empty.
    """
    for name, text in told.items():
        if not isinstance(text, str) or not text.strip():
            raise InvalidEventError(f"{name}={text!r}: say it, so that whoever looks later knows")


def as_failure(deal: str, error: Exception) -> LadderError:
    """Return the error as a report holds it."""
    if isinstance(error, LadderError):
        return error
    failure = UnexpectedError(
        f"deal {deal!r} led to {words(error)}. It is left as it was; see what its hooks, guards "
        "and reducer hand over, and what ladderpipe verify says of it"
    )
    failure.__cause__ = error
    return failure


def words(error: Exception) -> str:
    """Return the class of an error and what it says, as every database can hold it."""
    return storable(f"{type(error).__name__}: {shown(error, str)}")[:_LONGEST]


def storable(text: str) -> str:
    """Return a text of somebody's with signs in the place of what no database can hold."""
    return text.encode(errors="replace").decode().replace("\x00", "\ufffd")
