"""What differs between the databases of Django's that a board can be in, as a protocol."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from ..stores.base import Transaction

__all__ = ["MIGRATE", "Atomic", "Begin", "Dialect", "Unit"]

Atomic = Callable[[], AbstractContextManager[None]]
"""Begins a block of Django's that an exception undoes."""

MIGRATE: Final = (
    "this database has no tables of ladderpipe's, or older ones: run 'manage.py migrate'"
)


Begin = Callable[[], AbstractContextManager[Any]]
"""Begins a transaction of the store's that writes."""


class Unit(Transaction, Protocol):
    """A transaction that writes."""

    def finish(self) -> None:
        """Write what waits, before Django commits.

        Raises:
            StoreError: a statement failed and nobody minded.
        """


class Dialect(Protocol):
    """One kind of database."""

    def reading(self, driver: Any) -> AbstractContextManager[Transaction]:
        """Begin reading what does not change meanwhile, on the driver's connection."""

    def writing(self, driver: Any, atomic: Atomic, joined: bool) -> Unit:
        """Return what writes in the transaction that was begun; *joined* if by the caller."""

    def explained(self, joined: bool) -> AbstractContextManager[None]:
        """Say what an error in the block means."""

    def is_transient(self, error: BaseException) -> bool:
        """Return whether an error passes."""

    def may_retry(self, error: BaseException) -> bool:
        """Return whether a transaction that nobody has joined may be begun again at once."""

    def is_of_the_database(self, error: BaseException) -> bool:
        """Return whether an error is the database's, and not of what was asked."""

    def erase(self, driver: Any, begin: Begin) -> None:
        """Overwrite what removals have left."""

    def version(self, driver: Any) -> int:
        """Return which version of the tables is there, 0 for none."""

    def newest(self) -> int:
        """Return which version this ladderpipe needs."""

    def migrate(self, driver: Any) -> None:
        """Make the tables, or bring them up to date; no transaction is open."""

    def empty(self, driver: Any) -> None:
        """Remove every row of ours but the version."""
