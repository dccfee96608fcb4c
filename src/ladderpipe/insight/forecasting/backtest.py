"""The past replayed: what each method would have forecast then, beside what came."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final, get_args

import attrs
import polars as pl

from ..frames.rates import Rates
from ..frames.schema import INSTANT
from ..frames.schema import MONEY as AMOUNT
from ..frames.snapshot import Instant, Source, standing
from ..frames.tables import Tables
from ..report import Report
from ..words import Words
from .charts import draw_calibration, draw_money, draw_scores
from .forecast import LOOKBACK, MINIMUM, end_columns
from .methods import METHODS, Method, planned
from .period_ends import (
    Every,
    Look,
    Past,
    beside_what_came,
    calibrated,
    looked,
    period_ends,
    recall,
)
from .scores import brier, calibration, money_errors, skill
from .words import (
    BACKTEST,
    BACKTEST_MEANING,
    CALIBRATION,
    CALIBRATION_MEANING,
    MONEY,
    MONEY_MEANING,
    PROMISED,
    TRUST,
    columns_of,
    no_windows_note,
    skipped_notes,
)

__all__ = ["Backtest", "backtest"]

DRAWS: Final = 1_000


@attrs.frozen(eq=False, kw_only=True, repr=False)
class Backtest(Report):
    """How good each method would have been, by horizon; its table is the scores.

    Attributes:
        forecasts: a row per month-end, deal, horizon and method that is scored: ``at``, ``deal``,
            ``horizon_days``, ``method``, ``probability``, ``won``.
        calibration: of the probabilities given, which share was won.
        money: month-end by month-end, the money forecast, its intervals, and what came.
    """

    forecasts: pl.DataFrame
    calibration: Report
    money: Report


def backtest(
    source: Source,
    *,
    as_of: Instant | None = None,
    every: Every = "month",
    horizons: Sequence[int | dt.timedelta] = (30, 60, 90),
    methods: Sequence[Method] = get_args(Method),
    by: str | Sequence[str] = (),
    minimum: int = MINIMUM,
    lookback: int = LOOKBACK,
    rates: Rates | None = None,
    zone: str = "UTC",
    draws: int = DRAWS,
    seed: int = 0,
) -> Backtest:
    """Replay the past: forecast from each month-end by what was known then, and score it.

    Arguments and errors are those of :func:`~ladderpipe.insight.forecast`. What is scored, all
    methods have forecast; a method that never says anything (a ladder without probabilities) is
    left out.

    Args:
        every: forecast at the ends of ``"week"``, ``"month"`` or ``"quarter"``.
        methods: which ones to compare.
        lookback: how many of the last month-ends to replay.
    """
    tables = standing(source, as_of)
    plan = planned(tables.stages, horizons=horizons, by=by, minimum=minimum, draws=draws, seed=seed)
    past = recall(tables, period_ends(tables, every, zone)[-lookback:], plan, rates)
    looks = {
        method: [looked(method, seen, past, plan) for seen in past.snapshots] for method in methods
    }
    forecasts, skipped = _compared(looks, past)
    windows = _windows(looks, past)
    scores = _scores(forecasts, windows)
    labels = {"method": METHODS, "currency": {}}
    notes = (*tables.notes, *_notes(forecasts, skipped))
    return Backtest(
        name="backtest",
        titles=BACKTEST,
        definitions=BACKTEST_MEANING,
        as_of=tables.as_of,
        table=scores,
        columns=columns_of(scores),
        labels=labels,
        notes=(*([TRUST] if forecasts.height else []), *notes),
        draw=draw_scores,
        forecasts=forecasts,
        calibration=_calibration(tables, forecasts, labels, notes),
        money=_money(tables, windows, labels, notes),
    )


def _compared(looks: dict[Method, list[Look]], past: Past) -> tuple[pl.DataFrame, int]:
    """Return the forecasts that every method made, with what came, and how many were left out."""
    said = {method: _said(made, past) for method, made in looks.items()}
    speaking = {method: made for method, made in said.items() if made["won_by"].count()}
    if not speaking:
        return pl.DataFrame(schema=FORECASTS), 0
    keys = ("at", "deal", "horizon_days")
    every = pl.concat(
        made.with_columns(method=pl.lit(method, dtype=pl.String))
        for method, made in speaking.items()
    )
    made_by = pl.col("won_by").count().over(keys)
    # Methods are compared on the same deals: who is silent about the hard ones would look best.
    kept = every.filter(made_by == len(speaking)).rename({"won_by": "probability"})
    skipped = (every.height - kept.height) // len(speaking)
    return kept.select(list(FORECASTS)).cast(pl.Schema(FORECASTS)), skipped


FORECASTS: Final[dict[str, Any]] = {
    "at": INSTANT,
    "deal": pl.String,
    "horizon_days": pl.Int64,
    "method": pl.String,
    "probability": pl.Float64,
    "won": pl.Boolean,
}


def _said(made: Sequence[Look], past: Past) -> pl.DataFrame:
    by_instant = {look.snapshot.at: look for look in made}
    found = [
        by_instant[one.snapshot.at]
        .estimates.filter(horizon=one.horizon)
        .select("deal", horizon_days=pl.col("horizon").cast(pl.Int64), won_by="won")
        .join(one.deals.select("deal", "won"), on="deal", maintain_order="left")
        .with_columns(at=pl.lit(one.snapshot.at, dtype=INSTANT))
        for one in past.outcomes
    ]
    schema = {name: FORECASTS[name] for name in ("deal", "horizon_days")}
    empty = pl.DataFrame(schema=schema | {"won_by": pl.Float64, "won": pl.Boolean, "at": INSTANT})
    return pl.concat([empty, *found])


def _windows(looks: dict[Method, list[Look]], past: Past) -> pl.DataFrame:
    """Return money forecast and money that came, month-end by month-end."""
    rows = []
    for method, made in looks.items():
        tests = beside_what_came(made, past)
        for one, test in tests:
            if test.money.expected is None:
                continue
            (money,) = calibrated([test.money], one.snapshot.at, tests)
            rows.append(
                {
                    "method": method,
                    "horizon_days": one.horizon,
                    "currency": money.currency,
                    "at": one.snapshot.at,
                    "value": money.value,
                    "expected": money.expected,
                    **end_columns(money),
                    "actual": test.actual,
                    "tested": money.tested,
                }
            )
    windows = pl.DataFrame(rows, schema=WINDOWS, orient="row")
    by_all = pl.len().over("horizon_days", "currency", "at") == windows["method"].n_unique()
    return windows.filter(by_all).sort(
        _ordered(), "horizon_days", "currency", "at", nulls_last=True
    )


WINDOWS: Final[dict[str, Any]] = {
    "method": pl.String,
    "horizon_days": pl.Int64,
    "currency": pl.String,
    "at": INSTANT,
    "value": pl.Float64,
    "expected": pl.Float64,
    "lower_80": pl.Float64,
    "upper_80": pl.Float64,
    "lower_95": pl.Float64,
    "upper_95": pl.Float64,
    "actual": pl.Float64,
    "tested": pl.Int64,
}


SCORES: Final = (
    "horizon_days", "method", "forecasts", "brier", "skill", "mean_probability", "won_share",
    "currency", "windows", "intervals", "mean_error", "bias", "mean_actual", "covered_80",
    "covered_95",
)  # fmt: skip


def _scores(forecasts: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    keys = ["method", "horizon_days"]
    errors = money_errors(windows, [*keys, "currency"])
    scored = brier(forecasts, keys).with_columns(skill=skill(pl.col("brier"), pl.col("won_share")))
    return (
        scored.join(errors, on=keys, how="left")
        .with_columns(pl.col("mean_error", "bias", "mean_actual").round(6).cast(AMOUNT))
        .sort("horizon_days", _ordered(), "currency", nulls_last=True)
        .select(SCORES)
    )


def _ordered() -> pl.Expr:
    """Return what sorts methods as they are listed."""
    order = {method: number for number, method in enumerate(METHODS)}
    return pl.col("method").replace_strict(order, return_dtype=pl.Int64)


def _notes(forecasts: pl.DataFrame, skipped: int) -> list[Words]:
    return [*(() if forecasts.height else (no_windows_note(),)), *skipped_notes(skipped)]


def _calibration(
    tables: Tables, forecasts: pl.DataFrame, labels: Any, notes: tuple[Words, ...]
) -> Report:
    table = calibration(forecasts, ["method", "horizon_days"]).sort(
        _ordered(), "horizon_days", "bin"
    )
    return Report(
        name="backtest_calibration",
        titles=CALIBRATION,
        definitions=CALIBRATION_MEANING,
        as_of=tables.as_of,
        table=table,
        columns=columns_of(table),
        labels=labels,
        notes=(*([PROMISED] if table.height else []), *notes),
        draw=draw_calibration,
    )


def _money(tables: Tables, windows: pl.DataFrame, labels: Any, notes: tuple[Words, ...]) -> Report:
    amounts = pl.col("value", "expected", "^(lower|upper)_.*$", "actual").round(6).cast(AMOUNT)
    table = windows.with_columns(amounts)
    return Report(
        name="backtest_money",
        titles=MONEY,
        definitions=MONEY_MEANING,
        as_of=tables.as_of,
        table=table,
        columns=columns_of(table),
        labels=labels,
        notes=notes,
        draw=draw_money,
    )
