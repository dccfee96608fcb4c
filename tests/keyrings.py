"""Sealed stores for tests, and a ring of keys that tells what it was asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

__all__ = ["MemoryRing"]


class MemoryRing:
    """Keys in this process, which several stores may share.

    Attributes:
        keys: those that are there.
        destroyed: names of those that were, in order.
        calls: what was asked for, by name.
        refuses: what always fails.
        fails_at: the number of the call that fails, from 1; 0 for none.
    """

    def __init__(self, keys: Mapping[str, bytes] | None = None) -> None:
        self.keys: dict[str, bytes] = dict(keys or {})
        self.destroyed: list[str] = []
        self.calls: list[str] = []
        self.fails_at = 0
        self.refuses = ""

    def _called(self, what: str) -> None:
        self.calls.append(what)
        if len(self.calls) == self.fails_at or what == self.refuses:
            raise OSError(f"the ring does not answer to {what}")

    def get(self, names: Collection[str]) -> dict[str, bytes]:
        self._called("get")
        return {name: self.keys[name] for name in names if name in self.keys}

    def add(self, keys: Mapping[str, bytes]) -> None:
        self._called("add")
        for name, key in keys.items():
            assert name not in self.destroyed, "a key that was destroyed never comes back"
            self.keys.setdefault(name, key)

    def destroy(self, names: Collection[str]) -> None:
        self._called("destroy")
        for name in names:
            self.keys.pop(name, None)
            self.destroyed.append(name)

    def copy(self) -> MemoryRing:
        """Return a ring with the keys that are there now."""
        return MemoryRing(self.keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys)
