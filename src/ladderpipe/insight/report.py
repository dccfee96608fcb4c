"""What every report is: a table, what it means in words, and a chart of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from html import escape
from typing import TYPE_CHECKING, TypeAlias

import attrs
import polars as pl

from ..formats import ENGLISH, Format
from ..model.notebook import table
from .words import Labels, Language, Words, called, titles_of

if TYPE_CHECKING:
    import altair as alt

__all__ = ["Drawing", "Labels", "Report", "Titles", "called"]

Titles: TypeAlias = Mapping[str, str]
"""What columns are called in print, in one language."""

Drawing: TypeAlias = Callable[[pl.DataFrame, Titles, Language], "alt.TopLevelMixin"]
"""Makes a chart of the figures, their values called by their titles, in a language."""


@attrs.frozen(eq=False, kw_only=True, repr=False)
class Report:
    """A table with its definition, which says what was counted, how, and what was left out.

    Attributes:
        name: for machines, for example ``"win_rate"``.
        titles: what it is called, by language.
        definitions: what its figures mean, with the formula, by language.
        as_of: the instant the figures are of.
        table: the figures; column names are English and for machines.
        columns: what each column is called in print, with its unit, by column and language.
        labels: what values of text columns are called in print (stages have titles), by column,
            value and language; a value that is not named is shown as it is.
        notes: what the reader should know about these very figures, for example how many deals
            were left out and why, by language.
        draw: makes the chart; ``None`` where a chart would say nothing.
    """

    name: str
    titles: Words
    definitions: Words
    as_of: dt.datetime
    table: pl.DataFrame
    columns: Mapping[str, Words] = attrs.Factory(
        lambda report: titles_of(report.table), takes_self=True
    )
    labels: Labels = attrs.Factory(dict)
    notes: tuple[Words, ...] = ()
    draw: Drawing | None = None

    def __repr__(self) -> str:
        return f"<Report {self.name!r} as of {self.as_of:%Y-%m-%d %H:%M}: {self.table.height} rows>"

    def _repr_html_(self) -> str:
        """Return title, first rows, notes and definition as a notebook shows them."""
        from .report_page.cells import cells_of

        cells = cells_of(self, ENGLISH)
        told = table(
            f"{self.title}, as of {self.as_of:%Y-%m-%d %H:%M}",
            [column.title for column in cells.columns],
            [[cell.text for cell in row] for row in cells.rows],
            whole=self.table.height,
        )
        notes = "".join(f"<p>{escape(note['en'])}</p>" for note in self.notes)
        meaning = escape(self.definition)
        return f"{told}{notes}<details><summary>Definition</summary>{meaning}</details>"

    @property
    def title(self) -> str:
        """What it is called, in English."""
        return self.titles["en"]

    @property
    def definition(self) -> str:
        """What its figures mean, in English."""
        return self.definitions["en"]

    def chart(self, language: Language = "en") -> alt.TopLevelMixin | None:
        """Return the chart, or ``None`` where there is none to draw."""
        if self.draw is None or self.table.is_empty():
            return None
        from .report_page.cells import told_amounts

        titles = {column: words[language] for column, words in self.columns.items()}
        told = told_amounts(self.table, Format(language))
        return self.draw(called(told, self.labels, language), titles, language)

    def printed(self, language: Language = "en") -> pl.DataFrame:
        """Return the table as people read it: columns and values called by their titles."""
        shown = called(self.table, self.labels, language)
        return shown.rename({column: words[language] for column, words in self.columns.items()})
