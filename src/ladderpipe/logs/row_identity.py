"""What a row is known by that has no id of its own: its content, and its count among equals.

Neither the line's number nor the file's name says which row it is: an export made anew has a line
more on top, is sorted otherwise, or is called otherwise.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterable
from typing import Any, Final

from .placeholders import Scope

__all__ = ["BY_CONTENT", "Repeats", "content_digest"]

BY_CONTENT: Final = "log"
"""Source of events that are known by their content; the same for every log, whatever its name."""

_SLOTS: Final = 1024

_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, default=str).encode


class Repeats:
    """Counts equal rows of one log.

    A row costs 12 to 24 bytes, and content that comes more than once about 100 more.
    """

    def __init__(self) -> None:
        self._slots = array("Q", [0]) * _SLOTS
        self._used = 0
        self._again: dict[int, int] = {}

    def count(self, digest: bytes) -> int:
        """Return how many rows of this content have come, this one included."""
        mark = int.from_bytes(digest[:8]) or 1
        if not self._add(mark):
            self._again[mark] = self._again.get(mark, 1) + 1
            return self._again[mark]
        self._used += 1
        if self._used * 3 > len(self._slots) * 2:
            marks = self._slots
            self._slots = array("Q", [0]) * (2 * len(marks))
            for known in marks:
                if known:
                    self._add(known)
        return 1

    def _add(self, mark: int) -> bool:
        """Note a mark; return whether it is new."""
        slots = self._slots
        last = len(slots) - 1
        at = mark & last
        while found := slots[at]:
            if found == mark:
                return False
            at = (at + 1) & last
        slots[at] = mark
        return True


def content_digest(told: Iterable[Any], scope: Scope, columns: Iterable[str]) -> bytes:
    """Return what stands for a row's content.

    Args:
        told: what the map makes of it for a name: deal, type and time as the log writes them.
        columns: what else the map reads of it. Others, such as the running number that many
            programs write in front, are none of the event's.
    """
    found = {name: value for name in columns if (value := scope.find(name)) is not None}
    text = _encode([*told, found])
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
