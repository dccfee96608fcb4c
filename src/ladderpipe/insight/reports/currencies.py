"""What is held in each currency."""

from __future__ import annotations

from typing import Final

import polars as pl

from ..frames.rates import Rates
from ..frames.snapshot import Instant, Source, known_sum, standing, unvalued
from ..report import Report
from ..words import said

__all__ = ["currencies"]


def currencies(
    source: Source,
    *,
    as_of: Instant | None = None,
    rates: Rates | None = None,
) -> Report:
    """Report how many deals there are in each currency, and what they are worth in it.

    With *rates* there is a row for each rate that was used, with the amount before and after.

    Raises:
        RateError: a rate that is needed is missing.
    """
    tables = standing(source, as_of, rates)
    keys = ["currency"] if rates is None else ["currency_was", "rate", "rate_on", "currency"]
    was = [] if rates is None else [known_sum("value_was")]
    table = (
        tables.deals.group_by(keys)
        .agg(
            pl.len().alias("deals"),
            pl.col("value").count().alias("valued"),
            *was,
            known_sum("value"),
        )
        .sort(keys, nulls_last=True)
    )
    return Report(
        name="currencies",
        titles=said("Currencies", "Valute"),
        definitions=DEFINITION,
        as_of=tables.as_of,
        table=table,
        labels={"currency": {}, "currency_was": {}},
        notes=unvalued(tables.deals),
    )


DEFINITION: Final = said(
    "All deals, whatever their status, by the currency they are in. Nothing is added across "
    "currencies. With a table of rates, each amount is multiplied by the latest rate dated on or "
    "before the day the deal was closed, or the day of the report for a deal that is not; the "
    "rate and its date are on the row.",
    "Tutte le trattative, qualunque sia lo stato, secondo la valuta. Non si sommano valute "
    "diverse. Con una tabella di cambi, ogni importo è moltiplicato per l'ultimo cambio "
    "precedente o uguale al giorno di chiusura, o al giorno del rapporto se la trattativa non è "
    "chiusa; il cambio e la sua data sono sulla riga.",
)
