"""Stores, and the registry that resolves their URLs."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import StoreError
from .base import Store
from .memory import MemoryStore
from .sqlite import SqliteStore

__all__ = ["MemoryStore", "SqliteStore", "Store", "open_store", "register_store"]

_openers: dict[str, Callable[[str], Store]] = {}


def register_store(scheme: str, opener: Callable[[str], Store]) -> None:
    """Let ``Board.open`` resolve URLs of this scheme; *opener* is given the whole URL."""
    _openers[scheme] = opener


def open_store(url: str) -> Store:
    """Open the store that a URL names, for example ``sqlite:///shop.db``.

    Raises:
        StoreError: no store answers to its scheme, or it cannot be opened.
    """
    scheme, separator, _ = str(url).partition(":")
    if not separator or scheme not in _openers:
        raise StoreError(
            f"{url!r} names no store: begin with one of "
            f"{', '.join(f'{known}:' for known in sorted(_openers))}, "
            "for example sqlite:///shop.db"
        )
    return _openers[scheme](url)


register_store("sqlite", SqliteStore.from_url)
register_store("memory", lambda url: MemoryStore())
