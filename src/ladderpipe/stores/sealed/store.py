"""A store around another one, in which personal data is encrypted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final, cast

from ...public import publish
from ..base import Store, Transaction
from .inner import Sealable, sealable
from .ring import KeyRing, checked
from .sealer import Sealer, sealer_for
from .transaction import ARE_LEFT, DESTROYED, SealedTransaction, note_destroyed

__all__ = ["SealedStore"]


class SealedStore:
    """Deals in another store, where what says something of a person is encrypted.

    A store that was plain is sealed from then on, and never opens again without its ring of keys.

    Args:
        store: one on SQLite, PostgreSQL or MariaDB.
        keys: the ring of keys.
        read_only: whether a store that is plain stays so.
        owns_keys: whether the ring is closed with the store.

    Raises:
        StoreError: the store is sealed with another ring, or keeps nothing at rest; or there is no
            package ``cryptography``.

    Attributes:
        is_sealed: that what people write is encrypted in it, so that no text of it is searched.
    """

    is_sealed: Final = True

    def __init__(
        self, store: Store, keys: KeyRing, *, read_only: bool = False, owns_keys: bool = False
    ) -> None:
        self._inner = store
        self._owns_keys = owns_keys
        self._sealer = sealer_for(store.transaction, checked(keys), not read_only)
        if not read_only:
            self.destroy_keys()

    @contextlib.contextmanager
    def transaction(self, write: bool = True) -> Iterator[Transaction]:
        """Begin a unit of work, as the other store does."""
        with self._inner.transaction(write) as inner:
            sealed = SealedTransaction(cast(Sealable, inner), self._sealer, write)
            yield cast(Transaction, sealed)

    def using(self, connection: Any) -> SealedStore:
        """Return this store on the caller's own connection, inside its transaction."""
        return _joined(self._inner.using(connection), self._sealer)

    def erase_traces(self) -> None:
        """Destroy the keys of what is forgotten, and overwrite what is left, as far as it can."""
        self.destroy_keys()
        self._inner.erase_traces()

    @property
    def sealer(self) -> Sealer:
        """What opens its data."""
        return self._sealer

    def keys_to_destroy(self) -> list[str]:
        """Return the names of keys that are still to be destroyed."""
        with self._inner.transaction(write=False) as transaction:
            inner = sealable(transaction)
            notes = inner.notes(DESTROYED) if inner.note(ARE_LEFT) == "yes" else {}
        return sorted(name.removeprefix(DESTROYED) for name in notes)

    def destroy_keys(self) -> int:
        """Destroy the keys that are noted as to be destroyed; return how many were.

        A key goes only once it is on the disk that nothing of the deal needs it any more: what a
        crash of the machine undoes must still open.
        """
        keys = self.keys_to_destroy()
        if not keys:
            return 0
        self._inner.erase_traces()
        self._sealer.destroy(keys)
        with self._inner.transaction() as transaction:
            note_destroyed(sealable(transaction), keys)
        return len(keys)

    def close(self) -> None:
        """Let go of every connection, those to a ring that was opened here too."""
        self._inner.close()
        close = getattr(self._sealer.ring, "close", None)
        if self._owns_keys and close is not None:
            close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __repr__(self) -> str:
        return f"SealedStore({self._inner!r})"


class JoinedSealedStore(SealedStore):
    """A sealed store on a connection of the caller's, who commits: keys are destroyed later."""

    def destroy_keys(self) -> int:
        """Destroy none: what they open is not rewritten before the caller commits."""
        return 0

    def close(self) -> None:
        """Leave the connection alone: it is the caller's."""


def _joined(inner: Store, sealer: Sealer) -> JoinedSealedStore:
    joined = object.__new__(JoinedSealedStore)
    joined._inner, joined._sealer, joined._owns_keys = inner, sealer, False
    return joined


publish("ladderpipe.stores", SealedStore)
