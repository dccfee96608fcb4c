"""Which timers fire, and what becomes of the deals they move."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from ..frames.snapshot import Instant, Source, in_order, ladder, stage_labels, standing
from ..frames.tables import Tables
from ..report import Report, Titles
from ..words import OUTCOMES, Language, said, titles_of
from . import charts

__all__ = ["timers"]

PARTS: Final = ("open", "won", "abandoned", "lost", "still_there")


def timers(source: Source, *, as_of: Instant | None = None) -> Report:
    """Report how often each timer moved a deal, and where those deals went next.

    Raises:
        ClockError: the tables do not reach so far.
    """
    tables = standing(source, as_of)
    table = _followed(tables)
    return Report(
        name="timers",
        titles=said("Timers", "Timer"),
        definitions=DEFINITION,
        as_of=tables.as_of,
        table=table,
        columns=titles_of(
            table,
            open=said("Went on to an open stage", "Passate a una fase aperta"),
            abandoned=said("Went on to an abandoned stage", "Passate a una fase abbandonata"),
        ),
        labels={"into": stage_labels(tables)},
        draw=_draw,
    )


def _followed(tables: Tables) -> pl.DataFrame:
    deal = pl.col("deal")
    fired = (
        tables.moves.select("deal", "rule", "into", "trigger")
        .with_columns(then=pl.when(deal == deal.shift(-1)).then(pl.col("into").shift(-1)))
        .filter(pl.col("trigger") == "timer")
    )
    status = dict(ladder(tables).select("stage", "status").iter_rows())
    won = tables.deals.filter(pl.col("status") == "won").select("deal", won_now=pl.lit(True))
    outcome = pl.col("then").replace_strict(status, default=None, return_dtype=pl.String)
    followed = fired.join(won, on="deal", how="left").with_columns(
        outcome=outcome.fill_null("still_there")
    )
    table = followed.group_by("rule", "into").agg(
        pl.len().cast(pl.Int64).alias("fired"),
        pl.col("deal").n_unique().cast(pl.Int64).alias("deals"),
        *((pl.col("outcome") == name).sum().cast(pl.Int64).alias(name) for name in PARTS),
        won_in_the_end=pl.col("deal")
        .filter(pl.col("won_now").fill_null(False)).n_unique().cast(pl.Int64),
    )  # fmt: skip
    return in_order(table.sort("rule"), tables, "into")


def _draw(table: pl.DataFrame, titles: Titles, language: Language) -> Any:
    names = {part: {**OUTCOMES, "still_there": STILL}[part][language] for part in PARTS}
    names["open"] = BACK[language]
    shown = charts.crowded(table, "rule", "fired").with_columns(
        timer=pl.format("{} → {}", "rule", "into")
    )
    called = {**titles, "timer": titles["rule"]}
    return charts.themed(
        charts.parted_bars(shown, called, "timer", "fired", names, NEXT[language], language)
    )


NEXT: Final = said("What came next", "Che cosa è seguito")
STILL: Final = said("still there", "ancora lì")
BACK: Final = said("taken up again", "riprese")

DEFINITION: Final = said(
    "Every move that a timer made, by the timer's rule. What came next is the next move of the "
    "same deal: on to an open stage (taken up again), won, abandoned or lost; or none yet (still "
    "there). These parts add up to fired. Won in the end: how many of the deals are won at the "
    "instant of the report, each counted once.",
    "Ogni passaggio fatto da un timer, secondo la regola. Che cosa è seguito è il passaggio "
    "successivo della stessa trattativa: a una fase aperta (ripresa), vinta, abbandonata o persa; "
    "o ancora nessuno (ancora lì). Le parti sommate danno gli scattati. Vinte alla fine: quante "
    "di quelle trattative sono vinte all'istante del rapporto, ciascuna contata una volta.",
)
