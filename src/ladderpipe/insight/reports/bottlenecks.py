"""Where the pipeline holds money up: value-days a stage, and the moves that lead back."""

from __future__ import annotations

import functools
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final, get_args

import polars as pl

from ...formats import ENGLISH, ITALIAN
from ...model.money import MOST_PLACES
from ..frames.rates import Rates
from ..frames.schema import INSTANT, MONEY
from ..frames.snapshot import (
    DAY,
    Instant,
    Source,
    days,
    in_order,
    ladder,
    lasting,
    numbered,
    refuse_unknown,
    stage_labels,
    standing,
)
from ..frames.tables import Tables
from ..optional import alt
from ..report import Report, Titles
from ..words import Language, Words, said
from . import charts
from .groups import GroupedBy as By
from .groups import each_group, named

__all__ = ["bottlenecks", "turning_back", "value_days"]

EXACT: Final = Context(prec=100, rounding=ROUND_HALF_EVEN)
PLACES: Final = Decimal(1).scaleb(-MOST_PLACES)
MOST_AREA: Final = 10.0 ** (37 - MOST_PLACES)
"""Below it, money × microseconds have room in a column of decimals."""


def bottlenecks(
    source: Source,
    *,
    as_of: Instant | None = None,
    by: By | None = None,
    rates: Rates | None = None,
) -> Report:
    """Report how much value each stage held for how long: the integral of value over time.

    A stage that holds little for long and one that holds much for a short time can hold up the
    same; value-days say so. Won and lost deals are no longer held up and are left out.

    Args:
        by: rows for each owner or source, by what the deals say at ``as_of``.

    Raises:
        ClockError: the tables do not reach so far.
        RateError: a rate that is needed is missing.
    """
    refuse_unknown("by", by, (None, *get_args(By)))
    tables = standing(source, as_of, rates, history=True)
    held = pl.concat(named(value_days(part), by, group) for group, part in each_group(tables, by))
    table = held.drop("unvalued_days").with_columns(share=_of_all("value_days"))
    table = in_order(table, tables, *([] if by is None else [by]), "currency", "stage")
    return Report(
        name="bottlenecks",
        titles=said("Bottlenecks", "Colli di bottiglia"),
        definitions=DEFINITION,
        as_of=tables.as_of,
        table=table,
        labels={"stage": stage_labels(tables), "currency": {}, **({} if by is None else {by: {}})},
        notes=_worthless(held),
        draw=functools.partial(_draw, by=by),
    )


def _of_all(figure: str) -> pl.Expr:
    whole = pl.col(figure).sum().over("currency")
    return pl.when(whole > 0).then(pl.col(figure).cast(pl.Float64) / whole.cast(pl.Float64))


def value_days(tables: Tables) -> pl.DataFrame:
    """Return what each open or abandoned stage held, by currency: visits, deal-days, value-days.

    ``unvalued_days`` are the deal-days of deals without a value then.
    """
    closed = [stage.key for stage in tables.stages if stage.is_closed]
    pieces = _pieces(tables).filter(~pl.col("stage").is_in(closed))
    held = pieces.group_by("stage", "currency").agg(
        pl.col("begins").sum().cast(pl.Int64).alias("visits"),
        deal_days=days(pl.col("lasted").sum()),
        value_days=_areas(pieces),
        known=(pl.col("value").count() > 0) | (pl.len() == 0),
        unvalued_days=days(pl.col("lasted").filter(pl.col("value").is_null()).sum()),
    )
    exact = [
        _in_days(area) if known else None
        for area, known in held.select("value_days", "known").iter_rows()
    ]
    return held.drop("known").with_columns(value_days=pl.Series(exact, dtype=MONEY))


def _areas(pieces: pl.DataFrame) -> pl.Expr:
    """Return each group's money × microseconds, or what to multiply and add up.

    Days would be rounded before they are multiplied, and what lasts a moment be lost.
    """
    value, lasted = pl.col("value"), pl.col("lasted")
    roughly: Any = pieces.select((value.cast(pl.Float64).abs() * lasted).sum()).item()
    if roughly < MOST_AREA:
        return (value * lasted.cast(pl.Decimal(38, 0))).sum()
    # More digits than a column holds; amounts like that are few, and Python adds them up.
    return pl.struct("value", "lasted").filter(value.is_not_null())


def _in_days(area: Decimal | list[dict[str, Any]]) -> Decimal:
    if isinstance(area, list):
        areas = (EXACT.multiply(row["value"], Decimal(row["lasted"])) for row in area)
        area = functools.reduce(EXACT.add, areas, Decimal(0))
    return EXACT.divide(area, Decimal(DAY)).quantize(PLACES, context=EXACT)


def _pieces(tables: Tables) -> pl.DataFrame:
    """Cut every deal's life where its stage or its value changes.

    The instants of both are merged, what was so before is carried forward, and never from one
    deal to the next. At one instant what a deal is worth comes before where it goes.
    """
    numbers, priced = _same_numbers(numbered(lasting(tables.visits)), numbered(tables.changes))
    cuts = (
        pl.concat(
            [
                priced.select("number", "at", price=pl.int_range(pl.len(), dtype=pl.Int64)),
                numbers.select(
                    "number", at="entered_at", stay=pl.int_range(pl.len(), dtype=pl.Int64)
                ),
            ],
            how="diagonal",
        )
        .sort("number", "at", maintain_order=True)
        .with_columns(begins=pl.col("stay").is_not_null())
        .with_columns(pl.col("stay", "price").forward_fill())
    )
    ends = pl.when(pl.col("number") == pl.col("number").shift(-1)).then(pl.col("at").shift(-1))
    lasted = (ends.fill_null(pl.lit(tables.as_of, dtype=INSTANT)) - pl.col("at")).dt
    stay, price = cuts["stay"], cuts["price"]
    # A deal without a value yet must not inherit that of the deal before it in the frame.
    known = (priced["number"].gather(price) == cuts["number"]).fill_null(False)
    return (
        cuts.select("number", "begins", lasted=lasted.total_microseconds())
        .with_columns(
            numbers["stage"].gather(stay),
            *(priced[name].gather(price).set(~known, None) for name in ("value", "currency")),
        )
        .filter((numbers["number"].gather(stay) == cuts["number"]).fill_null(False))
    )


def _same_numbers(visits: pl.DataFrame, changes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return both, a deal's rows under one number; changes of deals without visits are dropped."""
    first = pl.col("number") != pl.col("number").shift(1).fill_null(-1)
    theirs = visits.filter(first).select("deal", mine="number")
    ours = changes.filter(first).select("deal", "number")
    numbers = ours.join(theirs, on="deal", how="left", maintain_order="left")["mine"]
    renumbered = changes.with_columns(numbers.gather(changes["number"]).alias("number"))
    return visits, renumbered.drop_nulls("number")


def _worthless(held: pl.DataFrame) -> tuple[Words, ...]:
    lost, whole = (float(held[name].sum()) for name in ("unvalued_days", "deal_days"))
    if not lost:
        return ()
    share = lost / whole
    return (
        said(
            f"{ENGLISH.share(share)} of the deal-days are of deals without a value then: they add "
            "no value-days.",
            f"Il {ITALIAN.share(share)} dei giorni-trattativa è di trattative allora senza "
            "valore: non aggiungono valore-giorni.",
        ),
    )


def turning_back(source: Source, *, as_of: Instant | None = None) -> Report:
    """Report the moves that lead down the ladder: from where, to where, how often.

    The rungs are the stages that are open or won; leaving and entering abandoned and lost stages
    is no step down. From won, a step down is a reopening.

    Raises:
        ClockError: the tables do not reach so far.
    """
    tables = standing(source, as_of)
    rungs = ladder(tables).filter(pl.col("status").is_in(["open", "won"]))
    moves = (
        tables.visits.group_by(out_of="from_stage", into="stage")
        .agg(pl.len().cast(pl.Int64).alias("moves"), deals=pl.col("deal").n_unique().cast(pl.Int64))
        .drop_nulls("out_of")
    )
    table = (
        moves.with_columns(share=pl.col("moves") / pl.col("moves").sum().over("out_of"))
        .join(rungs.select(out_of="stage", above="rung"), on="out_of")
        .join(rungs.select(into="stage", below="rung"), on="into")
        .filter(pl.col("below") < pl.col("above"))
        .select("out_of", "into", "moves", "deals", "share")
    )
    table = in_order(table, tables, "out_of", "into")
    return Report(
        name="turning_back",
        titles=said("Where deals turn back", "Dove le trattative tornano indietro"),
        definitions=BACK,
        as_of=tables.as_of,
        table=table,
        labels={name: stage_labels(tables) for name in ("out_of", "into")},
        draw=_draw_back,
    )


def _draw(table: pl.DataFrame, titles: Titles, language: Language, *, by: By | None) -> Any:
    shown = table.with_columns(pl.col("value_days").cast(pl.Float64))
    if by is not None:
        return charts.by_currency(
            shown, lambda rows, code: _by_group(rows, titles, language, by, code), size="visits"
        )

    def panel(rows: pl.DataFrame, code: str) -> Any:
        tooltip = charts.hover(
            titles, "stage", visits=",", deal_days=",.1f", value_days=",.0f", share=".0%"
        )
        base = charts.listing(alt.Chart(rows), width=charts.WIDTH / 2)

        def bars(name: str, title: str, colour: str, y: alt.Y) -> Any:
            return base.mark_bar(color=colour, height={"band": 0.7}).encode(
                y=y,
                x=alt.X(f"{name}:Q", axis=charts.money_axis(title, language)),
                tooltip=tooltip,
            )

        stages = charts.listed("stage", rows["stage"], titles["stage"])
        same = alt.Y("stage:N", sort=rows["stage"].to_list(), axis=None)
        if rows["value_days"].null_count() == rows.height:
            return bars("deal_days", titles["deal_days"], charts.INK, stages)
        money = f"{VALUE_DAYS[language]} ({code} × {DAYS[language]})"
        return alt.hconcat(
            bars("deal_days", titles["deal_days"], charts.INK, stages),
            bars("value_days", money, charts.MAIN, same),
        )

    return charts.by_currency(shown, panel, size="visits")


def _by_group(rows: pl.DataFrame, titles: Titles, language: Language, by: By, currency: str) -> Any:
    """Draw a bar for each group, parted by the stages that hold its value."""
    shown = charts.crowded(rows, by, "value_days")
    order = shown.group_by(by).agg(pl.col("value_days").sum()).sort("value_days", descending=True)
    money = f"{VALUE_DAYS[language]} ({currency} × {DAYS[language]})"
    stages = list(dict.fromkeys(rows["stage"]))
    return charts.bars(
        shown,
        y=charts.listed(by, order[by], titles[by]),
        x=alt.X("value_days:Q", axis=charts.money_axis(money, language)),
        color=alt.Color("stage:N", sort=stages, title=titles["stage"]),
        tooltip=charts.hover(titles, by, "stage", visits=",", value_days=",.0f", share=".0%"),
    )


def _draw_back(table: pl.DataFrame, titles: Titles, language: Language) -> Any:
    shown = table.with_columns(way=pl.format("{} → {}", "out_of", "into"))
    bars = charts.bars(
        shown,
        charts.COLOURS["turned_back"],
        y=charts.listed("way", shown["way"], None),
        x=alt.X(
            "moves:Q", axis=charts.number_axis(titles["moves"], shown["moves"].max(), language)
        ),
        tooltip=charts.hover(
            {**titles, "way": titles["moves"]}, "way", moves=",", deals=",", share=".0%"
        ),
    )
    return charts.themed(bars)


VALUE_DAYS: Final = said("Value-days", "Valore-giorni")
DAYS: Final = said("days", "giorni")

DEFINITION: Final = said(
    "Value-days: for each stay in a stage, the deal's value × the days it had that value there, "
    "summed: the area under the curve of the money lying in the stage, from the first opening to "
    "the instant of the report. Deal-days: the same without the value. Share: of the value-days "
    "of the currency. Stages that are won or lost are left out. Divided by the days watched, "
    "value-days are the money that lay in the stage on an average day.",
    "Valore-giorni: per ogni permanenza in una fase, il valore della trattativa × i giorni in cui "
    "ha avuto quel valore, sommati: l'area sotto la curva del denaro fermo nella fase, dalla "
    "prima apertura all'istante del rapporto. Giorni-trattativa: lo stesso senza il valore. "
    "Quota: dei valore-giorni della valuta. Le fasi vinte o perse sono escluse. Divisi per i "
    "giorni osservati, i valore-giorni sono il denaro fermo nella fase in un giorno medio.",
)

BACK: Final = said(
    "Moves from a stage into a lower one, both open or won (from won: reopened). Share: of all "
    "moves out of that stage. Moves counts every time; deals counts each deal once.",
    "Passaggi da una fase a una più bassa, entrambe aperte o vinte (da vinta: riaperta). Quota: "
    "di tutti i passaggi in uscita da quella fase. I passaggi contano ogni volta; le trattative "
    "ciascuna una volta sola.",
)
