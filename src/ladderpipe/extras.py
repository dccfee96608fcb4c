"""What to do when an optional dependency is not there."""

from __future__ import annotations

__all__ = ["how_to_install"]


def how_to_install(extra: str) -> str:
    """Return the command that installs what an extra brings, for the end of an error's message."""
    return f"from the clone: pip install '.[{extra}]'"
