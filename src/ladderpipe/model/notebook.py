"""Records as notebooks show them: small tables in HTML, every text in them escaped."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

__all__ = ["facts_table", "table", "text_block"]

MOST: Final = 20
"""How many rows are shown."""


def table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    whole: int | None = None,
    most: int = MOST,
) -> str:
    """Return a table with its first rows, and a line that says how many there are.

    Args:
        whole: how many rows there are, where *rows* are only the first.
        most: how many rows are shown.
    """
    every = [list(row) for row in rows]
    shown = every[:most]
    count = len(every) if whole is None else whole
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_told(value))}</td>" for value in row) + "</tr>"
        for row in shown
    )
    rest = f"<p>{len(shown)} of {count} rows</p>" if count > len(shown) else ""
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>{rest}"
    )


def facts_table(caption: str, facts: Iterable[tuple[str, object]]) -> str:
    """Return a table of names and values; what has no value is left out."""
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(_told(value))}</td></tr>"
        for name, value in facts
        if value is not None and value != ""
    )
    return f"<table><caption>{escape(caption)}</caption><tbody>{rows}</tbody></table>"


def text_block(text: str) -> str:
    """Return text whose lines stay as they are."""
    return f"<pre>{escape(text)}</pre>"


def _told(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, dt.datetime):
        return value.isoformat(" ", "seconds")
    return str(value)
