"""Who watches what is folded over a ladder, and what of it is told: the test kit's coverage."""

from __future__ import annotations

from typing import Protocol, TypeAlias

__all__ = ["Point", "Watch"]

Point: TypeAlias = "tuple[str, ...]"
"""One thing that can be seen of a ladder: ``("rule", "after 48 h into lost", "moved")``."""


class Watch(Protocol):
    """Is told what is seen of a ladder, every time."""

    def saw(self, pipeline: str, point: Point) -> None:
        """Take note of it; *pipeline* is its name."""
