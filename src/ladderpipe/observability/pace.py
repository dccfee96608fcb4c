"""How often something may be looked at again, by a clock that nobody sets."""

from __future__ import annotations

import time

__all__ = ["Pace"]


class Pace:
    """Says whether it is time again, at most once in so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def is_due(self) -> bool:
        """Return whether so many seconds have passed since :meth:`done`."""
        return time.monotonic() >= self._next

    def done(self) -> None:
        """Begin to wait anew."""
        self._next = time.monotonic() + self._seconds
