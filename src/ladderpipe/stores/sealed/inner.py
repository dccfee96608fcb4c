"""What a store has to be able to do so that another one may seal what it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

from ...errors import StoreError
from ..base import Transaction
from ..sql import SqlTransaction

__all__ = ["Sealable", "sealable"]


class Sealable(Transaction, Protocol):
    """A transaction with notes beside the deals, in which texts can be put in others' places."""

    def note(self, name: str) -> str | None:
        """Return what is noted under a name."""

    def notes(self, begins: str) -> dict[str, str]:
        """Return all that is noted under names that begin so, where ``%`` stands for anything."""

    def add_note(self, name: str, value: str) -> None:
        """Note something; what is noted already stays."""

    def lock_note(self, name: str, value: str) -> str:
        """Return what is noted, which nobody changes before this ends; *value* if nothing was."""

    def set_note(self, name: str, value: str) -> None:
        """Note something else under a name."""

    def remove_note(self, name: str) -> None:
        """Note it no more."""

    def reseal_events(
        self, pipeline: int, rows: Sequence[tuple[str, str, str, str | None]]
    ) -> None:
        """Put other texts of the same data into events, by source and id, with their digests."""

    def reseal_effect(
        self, key: str, payload: str, decisions: str | None, error: str | None
    ) -> None:
        """Put other texts of the same into an effect."""

    def deal_of_effect(self, key: str) -> tuple[int, int] | None:
        """Return the numbers of an effect's pipeline and deal."""


def sealable(transaction: Transaction) -> Sealable:
    """Return a transaction, if what it writes can be sealed.

    Raises:
        StoreError: it cannot: it is of no database that this is known of.
    """
    if not isinstance(transaction, SqlTransaction):
        raise StoreError(
            "keys= is for deals in SQLite, PostgreSQL or MariaDB, and so is a ring of keys: this "
            "store keeps nothing at rest that could be encrypted, or is of another kind"
        )
    return cast(Sealable, transaction)
