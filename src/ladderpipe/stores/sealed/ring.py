"""Key rings: where the keys are that personal data is encrypted with."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Final, Protocol, runtime_checkable
from urllib.parse import unquote

from ...errors import StoreError
from ...public import publish
from ..base import Store
from .inner import Sealable, sealable

__all__ = ["KeyRing", "StoreKeyRing"]

_KEY: Final = "key:"


@runtime_checkable
class KeyRing(Protocol):
    """Keys by name, kept apart from what they open: a store of their own, a vault, a service.

    A key that was destroyed must never be found again, in no copy of the ring that is still used.
    """

    def get(self, names: Collection[str]) -> Mapping[str, bytes]:
        """Return the keys of these names, without those that are not there."""

    def add(self, keys: Mapping[str, bytes]) -> None:
        """Keep keys, for good once this returns; one that is there already stays as it is."""

    def destroy(self, names: Collection[str]) -> None:
        """Destroy keys, for good once this returns; one that is not there is destroyed."""


class StoreKeyRing:
    """Keys in a database of their own, in the tables of a store.

    Args:
        store: one on a SQL database that holds no deals; backups of the deals must not hold it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        with store.transaction(write=False) as transaction:
            sealable(transaction)

    def get(self, names: Collection[str]) -> dict[str, bytes]:
        """Return the keys of these names, without those that are not there."""
        with self._store.transaction(write=False) as transaction:
            notes = sealable(transaction)
            found = {name: notes.note(f"{_KEY}{name}") for name in names}
        return {name: bytes.fromhex(text) for name, text in found.items() if text is not None}

    def add(self, keys: Mapping[str, bytes]) -> None:
        """Keep keys; one that is there already stays as it is."""
        with self._store.transaction() as transaction:
            notes = sealable(transaction)
            for name, key in keys.items():
                notes.add_note(f"{_KEY}{name}", key.hex())

    def destroy(self, names: Collection[str]) -> None:
        """Destroy keys, and what is left of them in the log of a SQLite file."""
        with self._store.transaction() as transaction:
            notes = sealable(transaction)
            for name in names:
                notes.remove_note(f"{_KEY}{name}")
        self._store.erase_traces()

    def close(self) -> None:
        """Let go of every connection."""
        self._store.close()

    def __repr__(self) -> str:
        return f"StoreKeyRing({self._store!r})"


def checked(keys: object) -> KeyRing:
    """Return a ring of keys.

    Raises:
        StoreError: it is none.
    """
    if not isinstance(keys, KeyRing):
        raise StoreError(
            f"keys={keys!r} is no ring of keys: give the URL of a store for them, or an object "
            "with get, add and destroy, see ladderpipe.stores.KeyRing"
        )
    return keys


def url_of_ring(url: str) -> str:
    """Return the URL by which a ring is opened; a new SQLite file is for its owner alone.

    Raises:
        StoreError: it would be in memory.
    """
    if not url.startswith("sqlite:"):
        return url
    rest, _, query = url.partition("?")
    path = unquote(rest.partition(":///")[2])
    if path in ("", ":memory:"):
        raise StoreError(f"{url!r} is in memory, and keys that are lost open nothing: name a file")
    # Made before anybody else could, and for nobody else to read; a key that was said to be kept
    # must not be lost with the machine's power, or what it opens is.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    return f"{rest}?{query or 'synchronous=FULL'}"


def holds_keys(transaction: Sealable) -> bool:
    """Return whether a database has a ring in it."""
    return bool(transaction.notes(_KEY))


publish("ladderpipe.stores", KeyRing, StoreKeyRing)
