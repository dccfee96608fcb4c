"""How long each deal was in each stage, as one table to take elsewhere."""

from __future__ import annotations

from typing import Final

import polars as pl

from ..frames.schema import INSTANT
from ..frames.snapshot import Instant, Source, days, lasting, stage_labels, standing
from ..report import Report
from ..words import STATUSES, said, titles_of

__all__ = ["time_per_deal"]


def time_per_deal(source: Source, *, as_of: Instant | None = None) -> Report:
    """Report for every deal how many days it has been in each stage, all its stays together.

    There is a column ``days_in_<stage>`` for each stage of the ladder, null where the deal never
    was; they add up to ``total_days``, from its opening to ``as_of``.

    Raises:
        ClockError: the tables do not reach so far.
    """
    tables = standing(source, as_of)
    end = pl.coalesce("left_at", pl.lit(tables.as_of, dtype=INSTANT))
    lasted = lasting(tables.visits).select(
        "deal", "stage", lasted=(end - pl.col("entered_at")).dt.total_microseconds()
    )
    sums = lasted.group_by("deal").agg(
        *(
            # No stay is not a stay of no length.
            pl.when((pl.col("stage") == stage.key).any())
            .then(pl.col("lasted").filter(pl.col("stage") == stage.key).sum())
            .alias(f"days_in_{stage.key}")
            for stage in tables.stages
        ),
        total_days=pl.col("lasted").sum(),
    )
    names = [f"days_in_{stage.key}" for stage in tables.stages]
    table = (
        tables.deals.select("deal", "title", "owner", "stage", "status")
        .with_columns(pl.col("status").cast(pl.String))
        .join(sums, on="deal", how="left", maintain_order="left")
        .with_columns(days(name) for name in (*names, "total_days"))
    )
    labels = stage_labels(tables)
    titles = {
        f"days_in_{key}": said(f"{words['en']} (days)", f"{words['it']} (giorni)")
        for key, words in labels.items()
    }
    return Report(
        name="time_per_deal",
        titles=said(
            "Time in each stage, deal by deal", "Tempo in ogni fase, trattativa per trattativa"
        ),
        definitions=DEFINITION,
        as_of=tables.as_of,
        table=table,
        columns=titles_of(table, **titles, total_days=said("In all (days)", "In tutto (giorni)")),
        labels={"stage": labels, "status": dict(STATUSES), "owner": {}, "title": {}},
    )


DEFINITION: Final = said(
    "For every deal the days it has been in each stage, all its stays there together; a stay that "
    "goes on counts up to the instant of the report. Empty: it never was there. The stages add up "
    "to the days since the deal was opened.",
    "Per ogni trattativa i giorni passati in ciascuna fase, tutte le permanenze insieme; una che "
    "continua conta fino all'istante del rapporto. Vuoto: non ci è mai stata. Le fasi, sommate, "
    "danno i giorni dall'apertura.",
)
