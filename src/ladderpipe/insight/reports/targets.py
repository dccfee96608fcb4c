"""What sellers were to bring in a period, against what came."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias, get_args

import polars as pl
import polars.selectors as cs

from ...errors import DefinitionError
from ..frames.rates import Rates
from ..frames.schema import MONEY
from ..frames.snapshot import Instant, Source, refuse_unknown, standing
from ..frames.tables import Tables
from ..optional import alt
from ..report import Report, Titles
from ..words import Language, Words, noted, said, titles_of
from . import charts
from .groups import begin, unfinished

__all__ = ["Targets", "targets"]

Span: TypeAlias = Literal["week", "month", "quarter", "year"]
Targets: TypeAlias = pl.DataFrame | Sequence[Mapping[str, Any]]

KEYS: Final = ("start", "owner", "currency")


def targets(
    source: Source,
    targets: Targets,
    *,
    as_of: Instant | None = None,
    every: Span = "month",
    zone: str = "UTC",
    rates: Rates | None = None,
) -> Report:
    """Report what each seller was to win in each period, what was won, and which share that is.

    Args:
        targets: a table, or rows, with ``start`` (a day of the period), ``owner``, ``target`` (an
            amount) and ``currency``; the currency may be left out where all deals have the same.
            An owner of ``None`` is for the deals that have none.
        every: how long the periods are, in the calendar of *zone*.
        rates: put what was won into one currency first.

    Raises:
        DefinitionError: a column is missing, an amount is none, two targets are for the same
            seller and period, or a currency is needed and not said.
        ClockError: the tables do not reach so far.
        RateError: a rate that is needed is missing.
    """
    refuse_unknown("every", every, get_args(Span))
    tables = standing(source, as_of, rates)
    wanted = _wanted(targets, tables, every)
    table = _compared(wanted, _came(tables, every, zone))
    return Report(
        name="targets",
        titles=said("Targets and what came", "Obiettivi e quanto è arrivato"),
        definitions=DEFINITION,
        as_of=tables.as_of,
        table=table,
        columns=titles_of(table, share=REACHED),
        labels={"owner": {}, "currency": {}},
        notes=(*unfinished(tables, table["start"], every, zone), *_unknown(table)),
        draw=functools.partial(_draw, every=every),
    )


def _wanted(targets: Targets, tables: Tables, every: Span) -> pl.DataFrame:
    given = targets if isinstance(targets, pl.DataFrame) else pl.DataFrame(list(targets))
    missing = [name for name in ("start", "owner", "target") if name not in given.columns]
    if missing:
        raise DefinitionError(
            f"targets without {', '.join(missing)} say too little: give a table with start (the "
            "first day of the period), owner, target and currency"
        )
    if "currency" not in given.columns:
        given = given.with_columns(currency=pl.lit(_only_currency(tables), dtype=pl.String))
    try:
        read = given.select(
            pl.col("start").cast(pl.Date).dt.truncate(_SPANS[every]),
            pl.col("owner").cast(pl.String),
            pl.col("currency").cast(pl.String),
            target=pl.col("target").cast(pl.String).str.strip_chars().cast(MONEY),
        )
    except pl.exceptions.PolarsError as error:
        why = str(error).splitlines()[0]
        raise DefinitionError(
            f"the targets cannot be read ({why}): start is a date, target an amount like 20000.50"
        ) from error
    twice = read.filter(pl.struct(KEYS).is_duplicated())
    if twice.height:
        start, owner, currency, _ = twice.row(0)
        raise DefinitionError(
            f"there are two targets for {owner!r} from {start} in {currency}: give one for each "
            f"seller, {every} and currency"
        )
    return read


def _only_currency(tables: Tables) -> str | None:
    found = tables.deals["currency"].drop_nulls().unique().to_list()
    if len(found) > 1:
        raise DefinitionError(
            f"the targets name no currency, and deals are in {', '.join(sorted(found))}: add a "
            "column currency, or put all into one by rates="
        )
    return found[0] if found else None


def _came(tables: Tables, every: Span, zone: str) -> pl.DataFrame:
    """Return what was won by whom in each period; a deal won and taken up again is not."""
    won = tables.deals.filter(pl.col("status") == "won", pl.col("closed_at").is_not_null())
    valued = pl.col("value").count()
    return (
        won.with_columns(start=begin(pl.col("closed_at"), every, zone))
        .group_by(KEYS)
        .agg(
            pl.len().cast(pl.Int64).alias("won"),
            valued.cast(pl.Int64).alias("valued"),
            won_value=pl.when(valued > 0).then(pl.col("value").sum()),
        )
    )


def _compared(wanted: pl.DataFrame, came: pl.DataFrame) -> pl.DataFrame:
    # Who won something in a period of the targets and has none is shown, too.
    theirs = came.filter(pl.col("start").is_in(wanted["start"].unique().implode()))
    both = wanted.join(theirs, on=list(KEYS), how="full", coalesce=True, nulls_equal=True)
    nothing = pl.col("won").is_null()
    zero = pl.lit(Decimal(0), dtype=MONEY)
    exact = both.with_columns(
        pl.when(nothing).then(zero).otherwise("won_value").alias("won_value"),
        pl.col("won", "valued").fill_null(0),
    )
    target = pl.col("target").cast(pl.Float64)
    return (
        exact.with_columns(
            missing=pl.max_horizontal(pl.col("target") - pl.col("won_value"), zero),
            share=pl.when(target > 0).then(pl.col("won_value").cast(pl.Float64) / target),
        )
        .with_columns(
            missing=pl.when(
                pl.col("target").is_not_null() & pl.col("won_value").is_not_null()
            ).then("missing")
        )
        .sort(*KEYS, nulls_last=True)
        .select(*KEYS, "target", "won_value", "share", "missing", "won", "valued")
    )


def _unknown(table: pl.DataFrame) -> tuple[Words, ...]:
    return noted(
        int((table["won"] - table["valued"]).sum()),
        (
            "won deal has no value; it is counted, and reaches no target.",
            "won deals have no value; they are counted, and reach no target.",
        ),
        (
            "trattativa vinta non ha valore: è contata, ma non avvicina l'obiettivo.",
            "trattative vinte non hanno valore: sono contate, ma non avvicinano l'obiettivo.",
        ),
    )


def _draw(table: pl.DataFrame, titles: Titles, language: Language, *, every: Span) -> Any:
    last: Any = table["start"].max()
    shown = table.filter(pl.col("start") == last).with_columns(
        cs.decimal().cast(pl.Float64), deals=pl.lit(1)
    )

    def panel(rows: pl.DataFrame, code: str) -> Any:
        tooltip = charts.hover(
            titles,
            "owner",
            target=charts.AMOUNT,
            won_value=charts.AMOUNT,
            share=".0%",
            won=",",
        )
        named = rows.with_columns(part=pl.lit(titles["won_value"]), mark=pl.lit(titles["target"]))
        base = charts.listing(alt.Chart(named))
        y = charts.listed("owner", named["owner"], titles["owner"])
        names = [titles["won_value"], titles["target"]]
        colours = alt.Scale(domain=names, range=[charts.MAIN, charts.COLOURS["abandoned"]])
        came = base.mark_bar(height={"band": 0.6}).encode(
            y=y,
            x=alt.X(
                "won_value:Q", axis=charts.money_axis(f"{titles['won_value']} ({code})", language)
            ),
            color=alt.Color("part:N", scale=colours, title=None),
            tooltip=tooltip,
        )
        goal = base.mark_tick(thickness=4, height={"band": 0.9}).encode(
            y=y,
            x="target:Q",
            color=alt.Color("mark:N", scale=colours, title=None),
            tooltip=tooltip,
        )
        return alt.layer(came, goal).properties(title=f"{titles['start']}: {last:%Y-%m-%d}")

    return charts.by_currency(shown, panel)


_SPANS: Final[Mapping[str, str]] = {"week": "1w", "month": "1mo", "quarter": "1q", "year": "1y"}

REACHED: Final = said("Reached", "Raggiunto")

DEFINITION: Final = said(
    "Won: the value of the deals that are won at the instant of the report and were won in the "
    "period, by the owner they name then, each currency for itself. Reached: won ÷ target. "
    "Missing: target − won, and nothing where more was won. Who has no target and won something "
    "in one of the periods has a row, too. The chart shows the last period.",
    "Vinto: il valore delle trattative che all'istante del rapporto sono vinte e lo sono diventate "
    "nel periodo, secondo il responsabile che allora indicano, ogni valuta per sé. Raggiunto: "
    "vinto ÷ obiettivo. Mancante: obiettivo − vinto, e niente se si è vinto di più. Chi non ha "
    "obiettivo e ha vinto qualcosa in uno dei periodi ha comunque una riga. Il grafico mostra "
    "l'ultimo periodo.",
)
