"""Totals on MariaDB: rows that are added, summed up when they are read, and merged now and then.

Whoever moves a deal adds rows and waits for nobody. About every 1,024th row merges those before it
as a binary counter carries, see :mod:`ladderpipe.stores.postgres.schema`; rows that another
transaction is at are passed over. A trigger cannot do it here, since it may not write to the table
that fires it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

__all__: list[str] = []

EVERY: Final = 1_024
HIGHEST: Final = 2**62


def due_for_merging(first: int, rows: int, step: int) -> tuple[int, int] | None:
    """Return above and up to which number rows are merged, now that some have been added.

    ``None`` unless one of these is the one in 1,024 that has that done.

    Args:
        first: the number of the first of them.
        rows: how many they are.
        step: from one number to the next; more than one on a cluster.
    """
    last = first + max(rows - 1, 0) * step
    until = last - last % EVERY
    if until == 0 or until <= first - step:
        return None
    return until - (until & -until), until


def merged(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Return a row for each total, and none for what has come to nothing.

    A row has its number, the five columns of its total, and sums. What is merged has the highest
    number of those it stands for, as if it were the last of them.
    """
    sums: dict[tuple[Any, ...], list[int]] = {}
    for number, *row in rows:
        total, counts = tuple(row[:5]), row[5:]
        found = sums.setdefault(total, [0] * (1 + len(counts)))
        found[0] = max(found[0], number)
        for place, count in enumerate(counts, 1):
            found[place] += count
    return [(number, *total, *counts) for total, (number, *counts) in sums.items() if any(counts)]
