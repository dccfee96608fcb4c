"""How log records are written: a message for people, fields in ``extra``, no word of an error.

Each part of a board has a logger below ``ladderpipe``; docs/how-to/observe.md lists their records.
"""

from __future__ import annotations

import logging
import os
import traceback
from typing import Any, Final

__all__ = ["CHAIN", "EFFECTS", "EVENTS", "MOVES", "TIMERS", "TRANSACTIONS", "WORKER"]

EVENTS: Final = logging.getLogger("ladderpipe.events")
MOVES: Final = logging.getLogger("ladderpipe.moves")
TIMERS: Final = logging.getLogger("ladderpipe.timers")
EFFECTS: Final = logging.getLogger("ladderpipe.effects")
TRANSACTIONS: Final = logging.getLogger("ladderpipe.transactions")
WORKER: Final = logging.getLogger("ladderpipe.worker")
CHAIN: Final = logging.getLogger("ladderpipe.chain")


def error_type(error: BaseException) -> str:
    """Return the full name of an error's class, of a builtin one its bare name."""
    kind = type(error)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def described(error: BaseException) -> str:
    """Say which error it is, what caused it and where that was raised, and none of its words.

    >>> described(KeyError("ada@example.com"))
    'KeyError'
    """
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    frames = traceback.extract_tb(chain[-1].__traceback__)
    where = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return " from ".join(map(error_type, chain)) + where


def record(
    logger: logging.Logger,
    level: int,
    message: str,
    *,
    error: BaseException | None = None,
    candid: bool = False,
    **fields: Any,
) -> None:
    """Log *message*, with those fields that are not ``None`` in ``extra``.

    Args:
        error: what went wrong; its class is the field ``error``, and what :func:`described` says
            follows the message.
        candid: whether the traceback is logged too, which ends with the error's words.
    """
    if not logger.isEnabledFor(level):
        return
    if error is not None:
        message = f"{message}: {described(error)}"
        fields["error"] = error_type(error)
    extra = {name: value for name, value in fields.items() if value is not None}
    logger.log(level, "%s", message, extra=extra, exc_info=error if candid else None, stacklevel=4)
