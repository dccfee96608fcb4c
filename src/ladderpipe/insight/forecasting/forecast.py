"""What the deals that are open will bring: the report."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

import attrs
import polars as pl

from ..frames.rates import Rates
from ..frames.schema import MONEY
from ..frames.snapshot import DAY, Instant, Source, in_order, standing
from ..frames.tables import Tables
from ..report import Report
from ..words import Words
from .charts import ENDS, draw_forecast
from .features import Snapshot, opened_since, snapshot
from .methods import Method, Plan, planned
from .period_ends import Look, beside_what_came, calibrated, looked, period_ends, recall
from .revenue import COVERAGES, WINDOWS, Money
from .words import FORECAST, MEANINGS, NEW, columns_of, left_out_notes, older_notes, untested_note

__all__ = ["LOOKBACK", "MINIMUM", "Forecast", "end_columns", "forecast"]

LOOKBACK: Final = 24
MINIMUM: Final = 30
DRAWS: Final = 2_000


@attrs.frozen(eq=False, kw_only=True, repr=False)
class Forecast(Report):
    """What the open deals will bring, by horizon and currency, and each deal's part in it.

    Attributes:
        method: how the probabilities came about.
        deals: a row per deal that is not decided and horizon: ``deal``, ``stage``, ``status``,
            ``age_days`` (in the stage), ``value``, ``currency``, ``horizon_days``, ``won`` and
            ``lost`` (the probability of standing so by then; null where nothing can be said,
            ``lost`` also by methods that say nothing of it), ``undecided`` (what is left of 1),
            ``expected`` (``won`` · ``value``).
    """

    method: Method
    deals: pl.DataFrame


def forecast(
    source: Source,
    *,
    as_of: Instant | None = None,
    horizons: Sequence[int | dt.timedelta] = (30, 60, 90),
    method: Method = "history",
    by: str | Sequence[str] = (),
    minimum: int = MINIMUM,
    include_new: bool = False,
    lookback: int = LOOKBACK,
    rates: Rates | None = None,
    zone: str = "UTC",
    draws: int = DRAWS,
    seed: int = 0,
) -> Forecast:
    """Forecast what the deals that are not decided will bring within so many days.

    Args:
        horizons: in days.
        method: ``"history"``: what became of visits to the stage that had lasted as long, of
            deals worth about as much (Aalen-Johansen, landmark by landmark);
            ``"stage_probability"``: as declared; ``"win_rate"``: won ÷ decided so far;
            ``"base_rate"``: the share of earlier month-ends' deals that was won in time;
            ``"naive_bayes"``: by stage, age, value band and *by*.
        by: further columns to tell deals apart by: ``owner``, ``source``, or what else stands in
            the deals of an export.
        minimum: with fewer examples nothing is said; finer groups are drawn towards coarser
            ones the more, the fewer they are beside it.
        include_new: also what deals not yet opened will bring, as in the past windows.
        lookback: how many past month-ends the interval and some methods learn from.
        rates: put the money into one currency.
        zone: whose calendar months are.
        draws: how many times the money is drawn for the interval, from *seed*.

    Raises:
        DefinitionError: a horizon, the method, a column or a number is not one.
        ClockError: the tables do not reach so far.
        RateError: a rate that is needed is missing.
    """
    tables = standing(source, as_of)
    plan = planned(tables.stages, horizons=horizons, by=by, minimum=minimum, draws=draws, seed=seed)
    ends = period_ends(tables, "month", zone)[-lookback:] if lookback > 0 else []
    past = recall(tables, ends, plan, rates)
    seen = snapshot(standing(tables, rates=rates), plan.by)
    looks = [looked(method, earlier, past, plan) for earlier in past.snapshots]
    look = looked(method, seen, past, plan)
    money = calibrated(look.money, seen.at, beside_what_came(looks, past))
    table = _table(money, look, plan)
    if include_new:
        table = _with_new(table, tables, ends, rates)
    return Forecast(
        name="forecast",
        titles=FORECAST,
        definitions=MEANINGS[method] if not include_new else _and_new(MEANINGS[method]),
        as_of=tables.as_of,
        table=table,
        columns=columns_of(table),
        labels={"currency": {}},
        notes=(*tables.notes, *_notes(look, money, plan)),
        draw=draw_forecast if table["expected"].count() else None,
        method=method,
        deals=_each(look, tables),
    )


def _and_new(words: Words) -> Words:
    return {"en": words["en"] + " " + NEW["en"], "it": words["it"] + " " + NEW["it"]}


def _table(money: Sequence[Money], look: Look, plan: Plan) -> pl.DataFrame:
    rows = [
        {
            "horizon_days": one.horizon,
            "currency": one.currency,
            "deals": one.deals,
            "forecast_of": one.forecast_of,
            "value": one.value,
            "wins": one.wins,
            "expected": one.expected,
            **end_columns(one),
            "tested": one.tested,
        }
        for one in money
    ]
    schema = {
        "horizon_days": pl.Int64, "currency": pl.String, "deals": pl.Int64,
        "forecast_of": pl.Int64, "value": pl.Float64, "wins": pl.Float64,
        "expected": pl.Float64, **dict.fromkeys(ENDS, pl.Float64), "tested": pl.Int64,
    }  # fmt: skip
    table = pl.DataFrame(rows, schema=schema, orient="row")
    weighted = _weighted(look.snapshot, plan)
    exact = pl.col("value", "expected", *ENDS).round(6).cast(MONEY)
    return (
        table.with_columns(exact)
        .join(weighted, on="currency", how="left", nulls_equal=True, maintain_order="left")
        .select("horizon_days", "currency", "deals", "forecast_of", "value", "weighted_value",
                "wins", "expected", *ENDS, "tested")
    )  # fmt: skip


def end_columns(money: Money) -> dict[str, float | None]:
    """Return the ends of the intervals by the names of their columns; null for no forecast."""
    values = [end for share in COVERAGES for end in money.ends.get(share, (None, None))]
    known = money.expected is not None
    return dict(zip(ENDS, values if known else [None] * len(values), strict=True))


def _weighted(seen: Snapshot, plan: Plan) -> pl.DataFrame:
    """Return what the deals are worth by the declared probabilities, by currency."""
    declared = {stage.key: stage.probability for stage in plan.stages}
    share = pl.col("stage").replace_strict(declared, default=None, return_dtype=pl.Float64)
    weighted = (share.round(6).cast(MONEY) * pl.col("value")).sum().round(6).cast(MONEY)
    return seen.deals.group_by("currency").agg(weighted_value=weighted)


def _each(look: Look, tables: Tables) -> pl.DataFrame:
    estimates = look.estimates
    if "lost" not in estimates.columns:
        estimates = estimates.with_columns(lost=pl.lit(None, dtype=pl.Float64))
    joined = estimates.join(look.snapshot.deals, on="deal").select(
        "deal",
        "stage",
        "status",
        "value",
        "currency",
        "won",
        "lost",
        age_days=pl.col("age") / DAY,
        horizon_days="horizon",
        undecided=(1 - pl.col("won") - pl.col("lost")).clip(0, 1),
        expected=(pl.col("won") * pl.col("value").cast(pl.Float64)).round(6).cast(MONEY),
    )
    return in_order(joined, tables, "deal", "horizon_days").select(
        "deal", "stage", "status", "age_days", "value", "currency", "horizon_days",
        "won", "lost", "undecided", "expected",
    )  # fmt: skip


def _with_new(
    table: pl.DataFrame, tables: Tables, ends: Sequence[dt.datetime], rates: Rates | None
) -> pl.DataFrame:
    """Add what deals opened after past month-ends had brought so many days later, on average."""
    found = []
    for horizon in table["horizon_days"].unique().sort().to_list():
        reached = [at for at in ends if at + dt.timedelta(days=horizon) <= tables.as_of]
        came = [
            opened_since(standing(tables, at + dt.timedelta(days=horizon), rates), at, horizon)
            for at in reached
        ]
        if len(reached) >= WINDOWS:
            sums = pl.concat(came).group_by("currency").agg(pl.col("revenue").sum())
            mean = (pl.col("revenue").cast(pl.Float64) / len(reached)).round(6).cast(MONEY)
            found.append(
                sums.select(
                    "currency", expected_new=mean, horizon_days=pl.lit(horizon, dtype=pl.Int64)
                )
            )
    if not found:
        return table.with_columns(expected_new=pl.lit(None, dtype=MONEY))
    keys = ["currency", "horizon_days"]
    return table.join(
        pl.concat(found), on=keys, how="left", nulls_equal=True, maintain_order="left"
    )


def _notes(look: Look, money: Sequence[Money], plan: Plan) -> list[Words]:
    longest = look.estimates.filter(horizon=plan.horizons[-1])
    older = longest.filter("older").height if "older" in longest.columns else 0
    left_out = max((one.deals - one.forecast_of for one in money), default=0)
    notes: list[Words] = []
    if left_out:
        silent = look.estimates["won"].is_null()
        unknown = look.estimates.filter(silent)["deal"].n_unique()
        notes += left_out_notes(unknown, look.snapshot.deals["value"].null_count(), plan.minimum)
    notes += older_notes(older)
    if any(one.expected is not None and not one.ends for one in money):
        notes.append(untested_note(WINDOWS))
    return notes
