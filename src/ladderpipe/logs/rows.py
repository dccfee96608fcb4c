"""What every reader of a log yields: rows, and lines that gave none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

__all__ = ["LONGEST_LINE", "BadLine", "Row"]

LONGEST_LINE: Final = 8 * 2**20
"""In characters; a longer line is no line of a log."""


@attrs.frozen
class Row:
    """One record of a log; ``number`` is the line it begins in (of XES: the event), from 1."""

    number: int
    values: Mapping[str, Any]


@attrs.frozen
class BadLine:
    """A line that gave no event, and why; the others were not affected."""

    number: int
    reason: str
