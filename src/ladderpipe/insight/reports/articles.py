"""What lies in the carts, article by article."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, get_args

import polars as pl
import polars.selectors as cs

from ...board.board import Board
from ...model.clock import instant
from ...model.stage import Status
from ..frames.schema import MONEY
from ..frames.snapshot import refuse_unknown
from ..optional import alt
from ..report import Report, Titles
from ..words import Language, Words, noted, said, titles_of
from . import charts

__all__ = ["articles"]

LINES: Final[dict[str, Any]] = {
    "deal": pl.String,
    "sku": pl.String,
    "article": pl.String,
    "currency": pl.String,
    "quantity": MONEY,
    "value": MONEY,
    "told_at": pl.Datetime("us", "UTC"),
}


def articles(board: Board, *, status: Status | Sequence[Status] = ("open", "abandoned")) -> Report:
    """Report what lies in the carts now: of each article how many, in how many carts, worth what.

    Args:
        status: of the deals whose carts are looked into; those that are not decided when left out.

    Raises:
        DefinitionError: there is no such status.
    """
    wanted = (status,) if isinstance(status, str) else tuple(status)
    for one in wanted:
        refuse_unknown("status", one, get_args(Status))
    now = instant(board.clock.now())
    lines = _lines(board, wanted)
    table = _summed(lines)
    return Report(
        name="articles",
        titles=said("What lies in the carts", "Che cosa c'è nei carrelli"),
        definitions=DEFINITION,
        as_of=now,
        table=table,
        columns=titles_of(table, value=VALUE, deals=CARTS),
        labels={"currency": {}},
        notes=_unpriced(lines),
        draw=_draw,
    )


def _lines(board: Board, wanted: Sequence[Status]) -> pl.DataFrame:
    rows = [
        (
            deal.id,
            line.sku,
            line.title,
            deal.currency,
            line.quantity,
            None if line.unit_price is None else line.total,
            deal.last_event_at,
        )
        for status in wanted
        for deal in board.deals(status=status)
        for line in deal.cart
    ]
    columns = zip(*rows, strict=True) if rows else ((),) * len(LINES)
    return pl.DataFrame(
        [
            pl.Series(name, list(values), kind)
            for (name, kind), values in zip(LINES.items(), columns, strict=True)
        ]
    )


def _summed(lines: pl.DataFrame) -> pl.DataFrame:
    priced = pl.col("value").count()
    whole = pl.col("value").sum().over("currency")
    return (
        lines.sort("told_at")
        .group_by("sku", "currency")
        .agg(
            # What it was called last: shops rename their articles.
            pl.col("article").drop_nulls().last(),
            pl.col("deal").n_unique().cast(pl.Int64).alias("deals"),
            pl.col("quantity").sum(),
            value=pl.when(priced > 0).then(pl.col("value").sum()),
        )
        .with_columns(
            pl.coalesce("article", "sku"),
            share=pl.when(whole > 0).then(
                pl.col("value").cast(pl.Float64) / whole.cast(pl.Float64)
            ),
        )
        .sort("value", "deals", "sku", descending=[True, True, False], nulls_last=True)
        .select("article", "sku", "currency", "deals", "quantity", "value", "share")
    )


def _unpriced(lines: pl.DataFrame) -> tuple[Words, ...]:
    return noted(
        lines["value"].null_count(),
        (
            "line has no price; it is counted, and its value is not known.",
            "lines have no price; they are counted, and their value is not known.",
        ),
        (
            "riga non ha prezzo: è contata, e il suo valore non è noto.",
            "righe non hanno prezzo: sono contate, e il loro valore non è noto.",
        ),
    )


def _draw(table: pl.DataFrame, titles: Titles, language: Language) -> Any:
    shown = table.with_columns(cs.decimal().cast(pl.Float64)).drop_nulls("value")

    def panel(rows: pl.DataFrame, code: str) -> Any:
        most = charts.crowded(rows, "article", "value")
        money = f"{titles['value']} ({code})"
        return charts.bars(
            most,
            charts.MAIN,
            y=charts.listed("article", most["article"], titles["article"]),
            x=alt.X("sum(value):Q", axis=charts.money_axis(money, language)),
            tooltip=charts.hover(titles, "article", deals=",", quantity=",", value=charts.AMOUNT),
        ).properties(**charts.parted(rows, "article", language))

    return charts.by_currency(shown, panel, size="value")


VALUE: Final = said("Value in carts", "Valore nei carrelli")
CARTS: Final = said("Carts", "Carrelli")

DEFINITION: Final = said(
    "The carts of the deals that are open or abandoned (or of the status asked for) as they are "
    "stored now. Carts: how many hold the article. Value: quantity × last known price of one, "
    "summed; lines without a price are in the quantity and not in the value. Share: of the value "
    "of all carts in the currency. An article is told by its SKU, and called as it was last.",
    "I carrelli delle trattative aperte o abbandonate (o dello stato richiesto) come sono ora. "
    "Carrelli: quanti contengono l'articolo. Valore: quantità × ultimo prezzo noto, sommati; le "
    "righe senza prezzo contano nella quantità e non nel valore. Quota: del valore di tutti i "
    "carrelli nella valuta. Un articolo è distinto dallo SKU, e chiamato come l'ultima volta.",
)
