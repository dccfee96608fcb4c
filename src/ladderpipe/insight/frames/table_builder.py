"""Rows on their way into a table: gathered in lists, and put into frames batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import polars as pl

__all__ = ["Columns"]

BATCH: Final = 50_000


class Columns:
    """A table in the making: little memory beyond what its frame will need.

    Args:
        schema: names and types of the columns.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._rows: list[Sequence[Any]] = []
        self._frames: list[pl.DataFrame] = []

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """Add rows, each with the columns in their order."""
        self._rows.extend(rows)
        if len(self._rows) >= BATCH:
            self._flush()

    def frame(self, *sorted_by: str) -> pl.DataFrame:
        """Return the table, sorted."""
        self._flush()
        return pl.concat(self._frames, rechunk=True).sort(sorted_by)

    def _flush(self) -> None:
        columns = zip(*self._rows, strict=True) if self._rows else ((),) * len(self._schema)
        self._frames.append(
            pl.DataFrame(
                [
                    pl.Series(name, list(values), dtype)
                    for (name, dtype), values in zip(self._schema.items(), columns, strict=True)
                ]
            )
        )
        self._rows.clear()
