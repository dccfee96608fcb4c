"""What the adapters of other drivers' connections share: which they are, savepoints, errors.

A caller may have psycopg2 or asyncpg. The store's statements, and all that is done with their
answers, stay the same. No driver is imported before somebody has a connection of it.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any, Final, NoReturn

import psycopg

__all__ = ["is_of", "raise_as_psycopg", "savepoint"]

_savepoints: Final = itertools.count(1)


def is_of(package: str, driver: Any) -> bool:
    """Return whether a connection is of a driver, or a class of somebody's derived from it."""
    return any(each.__module__.partition(".")[0] == package for each in type(driver).__mro__)


@contextlib.contextmanager
def savepoint(connection: Any) -> Iterator[None]:
    """Undo what happens in the block when it raises."""
    name = f"ladder_block_{next(_savepoints)}"
    connection.execute(f"SAVEPOINT {name}")
    try:
        yield
    except BaseException:
        connection.execute(f"ROLLBACK TO {name}")
        raise
    connection.execute(f"RELEASE {name}")


def raise_as_psycopg(error: Exception, state: str | None, otherwise: Any) -> NoReturn:
    """Raise psycopg 3's error of the same SQLSTATE, with the driver's own as its cause."""
    kind = otherwise
    with contextlib.suppress(KeyError):
        kind = psycopg.errors.lookup(state or "")
    raise kind(str(error).strip()) from error
