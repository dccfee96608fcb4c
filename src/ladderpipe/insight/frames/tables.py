"""The tables every report is worked out from: deals, visits, moves and what changed when.

Where they come from (a board, a CRM's export) and what is made of them is elsewhere.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import attrs
import polars as pl

from ...errors import ClockError
from ...model.clock import instant
from ...model.notebook import MOST, table
from ...model.refusals import grouped
from ...model.stage import Stage
from ..words import Words
from .derive import deals_of, visits_of
from .later import Frame, Later, then, whole
from .schema import DEALS

__all__ = ["Problem", "Tables", "unread"]


@attrs.frozen
class Problem:
    """Something that could not be read, and why; the rest was not affected.

    Attributes:
        place: the file, or the deal.
        line: of the file, from 1; ``None`` for a deal.
    """

    place: str
    line: int | None
    reason: str

    @property
    def where(self) -> str:
        """The file and the line, or the deal."""
        return self.place if self.line is None else f"{self.place}, line {self.line}"

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


@attrs.frozen(eq=False, repr=False)
class Tables:
    """Deals and their histories as they stood at an instant, in four tables.

    Those of a replay's folder are read each when it is first asked for.

    Attributes:
        pipeline: the pipeline's name.
        titles: what people call the pipeline, by language; empty where it has only its name.
        stages: the ladder, first rung first: keys, titles, statuses, probabilities.
        as_of: the instant; nothing in the tables is later.
        deals: one row a deal, with the columns of :data:`~.schema.DEALS`, sorted by deal;
            what a CRM's export knows besides stands in further columns.
        visits: one row a stay in a stage: :data:`~.schema.VISITS`, sorted by deal and ``n``.
        moves: one row a passage: :data:`~.schema.MOVES`, sorted by deal and ``n``.
        changes: one row a deal and instant of an event: :data:`~.schema.CHANGES`, sorted by both.
        removed: how many deals were removed from the store; nothing in the tables is theirs.
        undated: how many deals have no date at all, in an export from a CRM. They stand in
            ``deals``, with ``opened_at`` and ``entered_at`` null, at the end only: of an
            earlier instant nobody knows whether they were there.
        problems: what could not be read.
        arms: of customers that a send policy may have held out, a row a deal, with the columns of
            :data:`~.holdout.ARMS`; ``None`` where nobody knows.
        clicks: links that customers followed back to their carts, a row a click, with the columns
            of :data:`~.clicks.CLICKS`; ``None`` where nobody knows.
    """

    pipeline: str
    stages: tuple[Stage, ...]
    as_of: dt.datetime
    _deals: Frame
    _visits: Frame
    _moves: Frame
    _changes: Frame
    removed: int = 0
    undated: int = 0
    titles: Mapping[str, str] = attrs.Factory(dict)
    problems: tuple[Problem, ...] = ()
    arms: pl.DataFrame | None = None
    clicks: pl.DataFrame | None = None

    def at(self, earlier: dt.datetime | str) -> Tables:
        """Return the tables as they stood at an earlier instant.

        Raises:
            ClockError: it is later than these tables reach.
        """
        as_of = instant(earlier)
        if as_of == self.as_of:
            return self
        if as_of > self.as_of:
            raise ClockError(
                f"these tables end at {self.as_of.isoformat()} and know nothing of "
                f"{as_of.isoformat()}: read them anew, or ask for an earlier instant"
            )
        moves = then(self._moves, lambda table: table.filter(pl.col("at") <= as_of))
        changes = then(self._changes, lambda table: table.filter(pl.col("at") <= as_of))
        # Derived anew, not cut: a visit that ended later is still going on.
        visits = then(moves, visits_of)
        deals = then(visits, lambda table: self._deals_in(table, whole(changes)))
        clicks = None if self.clicks is None else self.clicks.filter(pl.col("at") <= as_of)
        return attrs.evolve(
            self,
            as_of=as_of,
            deals=deals,
            visits=visits,
            moves=moves,
            changes=changes,
            clicks=clicks,
        )

    def _deals_in(self, visits: pl.DataFrame, changes: pl.DataFrame) -> pl.DataFrame:
        deals = deals_of(visits, changes, self.stages)
        if isinstance(self._deals, Later):
            return deals
        further = [name for name in self._deals.columns if name not in DEALS]
        if not further:
            return deals
        # An export's own columns have no history: they are told as they stand at the end.
        known = self._deals.select("deal", *further)
        return deals.join(known, on="deal", how="left", maintain_order="left")

    @property
    def deals(self) -> pl.DataFrame:
        """A row for every deal."""
        return whole(self._deals)

    @property
    def visits(self) -> pl.DataFrame:
        """A row for every stay in a stage."""
        return whole(self._visits)

    @property
    def moves(self) -> pl.DataFrame:
        """A row for every passage."""
        return whole(self._moves)

    @property
    def changes(self) -> pl.DataFrame:
        """A row for every deal and instant of an event."""
        return whole(self._changes)

    def raw(self, name: str) -> Frame:
        """Return one of the four tables as it is held: perhaps to be read later."""
        found: Frame = getattr(self, f"_{name}")
        return found

    def __repr__(self) -> str:
        return (
            f"<Tables of {self.pipeline!r} as of {self.as_of:%Y-%m-%d %H:%M}: "
            f"{self.deals.height} deals, {self.moves.height} moves>"
        )

    def _repr_html_(self) -> str:
        """Return the first deals as a notebook shows them."""
        columns = ("deal", "title", "stage", "status", "value", "currency", "owner", "opened_at")
        return table(
            f"{self.pipeline}, as of {self.as_of:%Y-%m-%d %H:%M}: {self.deals.height} deals, "
            f"{self.visits.height} visits, {self.moves.height} moves",
            columns,
            self.deals.select(columns).head(MOST).iter_rows(),
            whole=self.deals.height,
        )

    def called(self, language: str) -> str:
        """Return what the pipeline is called in a language."""
        titles = self.titles
        return titles.get(language) or next(iter(titles.values()), "") or self.pipeline

    @property
    def notes(self) -> tuple[Words, ...]:
        """What is missing from the tables, in words, for reports to say so."""
        told = ((self.removed, _REMOVED), (self.undated, _UNDATED))
        return (
            *(
                {language: text.format(count=count) for language, text in words.items()}
                for count, words in told
                if count
            ),
            *unread(self.problems),
        )


def unread(problems: Iterable[Problem]) -> Iterator[Words]:
    """Yield in words what could not be read, by the reason, each with an example."""
    groups = grouped((problem.where, problem.reason) for problem in problems)
    for group in groups[:MOST_GROUPS]:
        yield {
            language: text.format(count=group.count, example=f"{group.where}: {group.reason}")
            for language, text in _PROBLEMS.items()
        }
    rest = sum(group.count for group in groups[MOST_GROUPS:])
    if rest:
        yield {language: text.format(count=rest) for language, text in _OTHERS.items()}


MOST_GROUPS: Final = 10

_REMOVED: Final[Words] = {
    "en": "Deals removed from the store, with their history, and not counted: {count}.",
    "it": "Trattative eliminate dall'archivio con la loro storia, non contate: {count}.",
}
_UNDATED: Final[Words] = {
    "en": "Deals without any date, counted only as they stand at the end: {count}.",
    "it": "Trattative senza alcuna data, contate solo nello stato finale: {count}.",
}
_PROBLEMS: Final[Words] = {
    "en": "Rows or deals that could not be read, or not wholly: {count}, for example {example}.",
    "it": "Righe o trattative non lette, o non del tutto: {count}, ad esempio {example}.",
}
_OTHERS: Final[Words] = {
    "en": "Rows or deals that could not be read for other reasons: {count}.",
    "it": "Righe o trattative che non è stato possibile leggere per altri motivi: {count}.",
}
