"""Which hook is running, and what must not be done meanwhile: end its transaction."""

from __future__ import annotations

import contextlib
import contextvars
import re
from collections.abc import Iterator
from typing import Final

from ..errors import StoreError

__all__ = ["hook_running", "refuse_closing", "refuse_ending", "running_hook"]


class Running:
    """A hook, seen also by tasks that it starts; those may live longer than it runs."""

    __slots__ = ("has_ended", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.has_ended = False


_inside_hook: Final[contextvars.ContextVar[Running | None]] = contextvars.ContextVar(
    "ladderpipe_hook", default=None
)

_ENDS: Final = (
    r"(?is)(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
    r"(?:commit|end|abort|prepare\s+transaction"
    r"|rollback(?!\s+(?:(?:work|transaction)\s+)?to\b))\b"
)
"""What ends a transaction; compiled when a hook first executes something."""


@contextlib.contextmanager
def hook_running(name: str) -> Iterator[None]:
    """Mark the block as a hook, in which no board may be called."""
    hook = Running(name)
    token = _inside_hook.set(hook)
    try:
        yield
    finally:
        hook.has_ended = True
        _inside_hook.reset(token)


def running_hook() -> str | None:
    """Return the name of the hook that is running, if one is."""
    hook = _inside_hook.get()
    return None if hook is None or hook.has_ended else hook.name


def refuse_ending(statement: str) -> None:
    """Refuse an SQL statement of a hook's that would end the transaction it runs in.

    Raises:
        StoreError: it would.
    """
    if running_hook() is not None and re.match(_ENDS, statement):
        raise StoreError(
            f"{statement.strip()[:40]!r} would end the transaction in the middle of a move: the "
            "board commits, after all hooks; take COMMIT and ROLLBACK out of the hook, and raise "
            "to undo"
        )


def refuse_closing() -> None:
    """Refuse that a hook closes the connection it is given.

    Raises:
        StoreError: a hook is running.
    """
    if running_hook() is not None:
        raise StoreError(
            "a hook closes the connection that it was given: it is the board's, which commits on "
            "it and goes on with other deals; leave close() out"
        )
