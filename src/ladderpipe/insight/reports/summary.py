"""What lies in the pipeline: count, value and weighted value, now and compared with before."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Sequence
from typing import Any, Final, Literal, get_args

import polars as pl
import polars.selectors as cs

from ...model.clock import instant
from ..frames.rates import Rates
from ..frames.snapshot import (
    Instant,
    Source,
    in_order,
    known_sum,
    ladder,
    refuse_unknown,
    stage_labels,
    standing,
    unvalued,
)
from ..frames.tables import Tables
from ..optional import alt
from ..report import Report, Titles
from ..words import STATUSES, Language, Words, said
from . import charts

__all__ = ["summary"]

By = Literal["stage", "status", "owner", "source"]

FIGURES: Final = ("deals", "value", "weighted")
CHANGED: Final = {"deals": "deals", "value": "value", "weighted_value": "weighted"}


def summary(
    source: Source,
    *,
    as_of: Instant | None = None,
    by: By = "stage",
    compared_with: dt.timedelta | dt.datetime | str | None = None,
    rates: Rates | None = None,
) -> Report:
    """Report count, value and weighted value of all deals, in each currency.

    The weighted value is the sum over stages of value × the stage's probability of winning.

    Args:
        by: what to group by.
        compared_with: an earlier instant, or how long before ``as_of`` it lies; the figures as
            they stood then, and the change, go on the row.

    Raises:
        ClockError: the tables do not reach so far.
        RateError: a rate that is needed is missing.
    """
    refuse_unknown("by", by, get_args(By))
    history = standing(source, as_of)
    now = standing(history, rates=rates)
    table = _figures(now, by)
    if compared_with is not None:
        before = standing(history, _earlier(history, compared_with), rates)
        table = _compared(table, _figures(before, by), by)
    table = _sorted(table, now, by)
    return Report(
        name="summary",
        titles=said("Pipeline", "Pipeline"),
        definitions=DEFINITION,
        as_of=now.as_of,
        table=table,
        labels={by: _labels(now, by), "currency": {}},
        notes=(*unvalued(now.deals), *_unlikely(now)),
        draw=functools.partial(_draw, by=by),
    )


def _earlier(tables: Tables, than: dt.timedelta | dt.datetime | str) -> dt.datetime:
    return tables.as_of - than if isinstance(than, dt.timedelta) else instant(than)


def _figures(tables: Tables, by: By) -> pl.DataFrame:
    keys = list(dict.fromkeys((by, "currency", "stage")))
    held = tables.deals.group_by(keys).agg(
        pl.len().cast(pl.Int64).alias("deals"),
        pl.col("value").count().cast(pl.Int64).alias("valued"),
        known_sum("value"),
    )
    weighted = held.join(ladder(tables).select("stage", "probability"), on="stage", how="left")
    figures = weighted.group_by(by, "currency").agg(
        pl.col("deals", "valued").sum(),
        known_sum("value"),
        # A stage without a probability adds nothing, and a note says so; one without any known
        # amount is not known.
        weighted_value=known_sum(pl.col("value") * pl.col("probability").fill_null(0)),
    )
    return figures if by != "stage" else _every_stage(figures, tables)


def _every_stage(figures: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """Add the stages that hold nothing, in every currency that there is."""
    found = figures.select("currency").unique()
    all_rows = ladder(tables).select("stage").join(found, how="cross")
    filled = all_rows.join(figures, on=["stage", "currency"], how="left", nulls_equal=True)
    return _nothing_is_zero(filled, "deals", ("deals", "valued", "value", "weighted_value"))


def _nothing_is_zero(table: pl.DataFrame, count: str, figures: Sequence[str]) -> pl.DataFrame:
    """Fill what a group that holds no deal comes to; what is not known of deals stays unknown."""
    is_absent = pl.col(count).is_null()
    return table.with_columns(
        pl.when(is_absent).then(pl.lit(0).cast(table.schema[name])).otherwise(name).alias(name)
        for name in figures
    )


def _compared(now: pl.DataFrame, before: pl.DataFrame, by: By) -> pl.DataFrame:
    renamed = before.select(
        by, "currency", *(pl.col(name).alias(f"{short}_before") for name, short in CHANGED.items())
    )
    both = now.join(renamed, on=[by, "currency"], how="full", coalesce=True, nulls_equal=True)
    # A group that is only on one side held nothing on the other.
    before_names = [name for name in both.columns if name.endswith("_before")]
    now_names = [name for name in both.columns if name not in (by, "currency", *before_names)]
    filled = _nothing_is_zero(both, "deals", now_names)
    filled = _nothing_is_zero(filled, "deals_before", before_names)
    return filled.with_columns(
        (pl.col(name) - pl.col(f"{short}_before")).alias(f"{short}_change")
        for name, short in CHANGED.items()
    )


def _sorted(table: pl.DataFrame, tables: Tables, by: By) -> pl.DataFrame:
    if by == "stage":
        return in_order(table, tables, "stage", "currency")
    return table.sort("deals", by, "currency", descending=[True, False, False], nulls_last=True)


def _labels(tables: Tables, by: By) -> dict[str, Words]:
    return {"stage": stage_labels(tables), "status": dict(STATUSES)}.get(by, {})


def _unlikely(tables: Tables) -> tuple[Words, ...]:
    names = [stage for stage in tables.stages if stage.probability is None]
    if not names:
        return ()
    return (
        said(
            "No probability, so nothing in the weighted value: "
            + ", ".join(stage.title_in("en") for stage in names),
            "Senza probabilità, quindi fuori dal valore ponderato: "
            + ", ".join(stage.title_in("it") for stage in names),
        ),
    )


def _draw(table: pl.DataFrame, titles: Titles, language: Language, *, by: By) -> Any:
    shown = charts.crowded(table, by, "deals").with_columns(cs.decimal().cast(pl.Float64))
    title = charts.parted(table, by, language)
    return charts.by_currency(
        shown, lambda rows, code: _panels(rows, titles, language, by, code).properties(**title)
    )


def _panels(rows: pl.DataFrame, titles: Titles, language: Language, by: By, currency: str) -> Any:
    order = rows[by].to_list()
    tooltip = charts.hover(titles, by, deals=",", value=charts.AMOUNT, weighted_value=charts.AMOUNT)
    named = rows.with_columns(
        pl.lit(titles[name]).alias(f"{name}_called") for name in ("value", "weighted_value")
    )
    base = charts.listing(alt.Chart(named), width=charts.WIDTH / 2)
    counts = base.mark_bar(color=charts.INK, height={"band": 0.7}).encode(
        y=charts.listed(by, rows[by], titles[by]),
        x=alt.X("deals:Q", axis=charts.number_axis(titles["deals"], rows["deals"].max(), language)),
        tooltip=tooltip,
    )
    colours = alt.Scale(
        domain=[titles["value"], titles["weighted_value"]], range=[charts.PALE, charts.MAIN]
    )

    def bar(name: str, height: float) -> Any:
        return base.mark_bar(height={"band": height}).encode(
            y=alt.Y(f"{by}:N", sort=order, axis=None),
            x=alt.X(
                f"{name}:Q", axis=charts.money_axis(f"{titles['value']} ({currency})", language)
            ),
            color=alt.Color(f"{name}_called:N", scale=colours, title=None),
            tooltip=tooltip,
        )

    return alt.hconcat(counts, alt.layer(bar("value", 0.7), bar("weighted_value", 0.3)))


DEFINITION: Final = said(
    "All deals as they stand at the instant of the report, each in the one stage it is in. Value: "
    "the sum of their values. Weighted value: the sum over stages of value × the probability that "
    "the ladder gives the stage (won 1, lost 0). Each currency for itself. In the chart the thin "
    "bar is the weighted value.",
    "Tutte le trattative come stanno all'istante del rapporto, ciascuna nell'unica fase in cui si "
    "trova. Valore: la somma dei valori. Valore ponderato: la somma, fase per fase, di valore × "
    "probabilità che la pipeline assegna alla fase (vinta 1, persa 0). Ogni valuta per sé. Nel "
    "grafico la barra sottile è il valore ponderato.",
)
