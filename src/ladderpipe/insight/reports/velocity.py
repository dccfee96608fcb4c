"""How much money the pipeline brings in a day, and what that comes from."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias, get_args

import polars as pl

from ...errors import DefinitionError
from ..frames.rates import Rates
from ..frames.schema import INSTANT, MONEY
from ..frames.snapshot import (
    CLOSED,
    DAY,
    Instant,
    Period,
    Source,
    checked_period,
    money_mean,
    refuse_unknown,
    standing,
)
from ..frames.tables import Tables
from ..report import Report
from ..words import NOTHING, Words, noted, said, titles_of
from .groups import GroupedBy as By
from .velocity_chart import draw_velocity
from .velocity_words import DAYS, OPEN_DAYS, WON, WON_PER_DAY, definition_of

__all__ = ["velocity"]

Deals: TypeAlias = Literal["open", "opened", "closed"] | int
WinRate: TypeAlias = Literal["closed", "opened"] | float
AverageValue: TypeAlias = Literal["won", "open", "all"] | Decimal
CycleLength: TypeAlias = Literal["opened", "won", "won_median", "closed"] | dt.timedelta

COLUMNS: Final = ("deals", "win_rate", "average_value", "cycle_days", "open_days")


def velocity(
    source: Source,
    *,
    as_of: Instant | None = None,
    period: Period | None = None,
    deals: Deals = "open",
    win_rate: WinRate = "opened",
    average_value: AverageValue = "won",
    cycle_length: CycleLength = "opened",
    by: By | None = None,
    rates: Rates | None = None,
) -> Report:
    """Report deals × win rate × average value ÷ cycle length: money per day, by currency.

    Each factor is one of its named definitions, or a figure of your own. Left out, win rate and
    cycle length are of *all* deals opened, those that nobody ever closes included: their quotient
    is how often a deal was won per day that it was open (Little's law), which holds for the open
    deals that it multiplies. Beside it stands what was really won per day.

    Args:
        period: which closed or opened deals the definitions look at, and which days
            ``won_per_day`` is of; when left out all, and the days since the first opening.
        deals: ``"open"``: open at ``as_of``; ``"opened"`` or ``"closed"``: in the period.
        win_rate: ``"opened"``: won ÷ all of the deals opened in the period;
            ``"closed"``: won ÷ (won + lost) of the deals closed in the period (it is too high for
            open deals where losses are seldom recorded).
        average_value: mean value of the deals won in the period, of the open ones, or of all.
        cycle_length: what divides. ``"opened"``: from opening to closing, or to being abandoned, or
            to ``as_of``: the mean of the deals opened in the period, which is the column
            ``open_days``, beside the mean of those won in ``cycle_days``; from opening to closing:
            the mean of the deals ``"won"`` in the period, their ``"won_median"``, or the mean of
            all ``"closed"``.
        by: what to group by besides the currency.

    Raises:
        DefinitionError: a definition has no such name, a figure is out of range, or the period
            holds no instant.
        ClockError: the tables do not reach so far.
        RateError: a rate that is needed is missing.
    """
    refuse_unknown("by", by, (None, *get_args(By)))
    tables = standing(source, as_of, rates)
    chosen = {
        "deals": deals,
        "win_rate": win_rate,
        "average_value": average_value,
        "cycle_days": cycle_length,
    }
    _refuse_unknown(chosen)
    facts = _facts(tables, period)
    # The cycle that salespeople know stands in its column even where another length divides.
    told = {**chosen, "cycle_days": "won" if cycle_length == "opened" else cycle_length}
    divisor = "open_days" if cycle_length == "opened" else "cycle_days"
    keys = ["currency"] if by is None else [by, "currency"]
    table = facts.group_by(keys).agg(
        *(_figure(name, choice).alias(name) for name, choice in told.items()),
        pl.col("won").sum().cast(pl.Int64),
        open_days=_figure("cycle_days", "opened"),
        won_value=_sum_won(),
        days=pl.col("days").first(),
    )
    table = table.sort("deals", *keys, descending=[True] + [False] * len(keys), nulls_last=True)
    table = table.with_columns(velocity=_velocities(table, divisor), won_per_day=_really_won(table))
    table = table.select(*keys, *COLUMNS, "velocity", "won_per_day", "won", "days")
    return Report(
        name="velocity",
        titles=said("Sales velocity", "Velocità di vendita"),
        definitions=definition_of(chosen),
        as_of=tables.as_of,
        table=table,
        columns=titles_of(table, won=WON, days=DAYS, won_per_day=WON_PER_DAY, open_days=OPEN_DAYS),
        labels={name: {} for name in keys},
        notes=(*_averaged(tables, deals), *_incomplete(table)),
        draw=functools.partial(draw_velocity, by=by, cycle=divisor)
        if table["velocity"].count()
        else None,
    )


def _facts(tables: Tables, period: Period | None) -> pl.DataFrame:
    """Return the deals with what each definition asks: who is open, closed, opened, won when."""
    start, end = checked_period(tables, period)

    def within(column: str) -> pl.Expr:
        inside = pl.col(column).is_between(start, end, closed="left")
        return (inside if period is not None else pl.col(column).is_not_null()).fill_null(False)

    now = pl.lit(tables.as_of, dtype=INSTANT)
    closed = pl.col("status").is_in(CLOSED) & within("closed_at")
    # Who is abandoned is among those multiplied no more: it was open until then.
    given_up = pl.when(pl.col("status") == "abandoned").then("entered_at")
    since = pl.col("opened_at").min().over("currency") if period is None else pl.lit(start)
    until = now if period is None else pl.lit(min(end, tables.as_of), dtype=INSTANT)
    watched = (until - since).dt.total_microseconds() / DAY
    return tables.deals.select(
        "currency",
        "owner",
        "source",
        "value",
        days=pl.when(watched > 0).then(watched),
        lived=(
            pl.coalesce("closed_at", given_up, now) - pl.col("opened_at")
        ).dt.total_microseconds(),
        is_open=pl.col("status") == "open",
        has_won=pl.col("status") == "won",
        won=closed & (pl.col("status") == "won"),
        closed=closed,
        opened=within("opened_at"),
        cycle=(pl.col("closed_at") - pl.col("opened_at")).dt.total_microseconds(),
    )


def _share(of: pl.Expr, among: pl.Expr) -> pl.Expr:
    return pl.when(among.sum() > 0).then(of.sum() / among.sum())


def _mean_value(among: str | None) -> pl.Expr:
    if among is None:
        return money_mean(pl.col("value"))
    return money_mean(pl.col("value").filter(pl.col(among)))


def _sum_won() -> pl.Expr:
    won = pl.col("value").filter(pl.col("won"))
    nothing_won = pl.col("won").sum() == 0
    return pl.when(nothing_won | (won.count() > 0)).then(won.sum())


def _cycle(among: str) -> pl.Expr:
    return pl.col("cycle").filter(pl.col(among))


_FIGURES: Final[Mapping[str, Mapping[str, Callable[[], pl.Expr]]]] = {
    "deals": {
        "open": lambda: pl.col("is_open").sum().cast(pl.Int64),
        "opened": lambda: pl.col("opened").sum().cast(pl.Int64),
        "closed": lambda: pl.col("closed").sum().cast(pl.Int64),
    },
    "win_rate": {
        "closed": lambda: _share(pl.col("won"), pl.col("closed")),
        "opened": lambda: _share(pl.col("has_won") & pl.col("opened"), pl.col("opened")),
    },
    "average_value": {
        "won": lambda: _mean_value("won"),
        "open": lambda: _mean_value("is_open"),
        "all": lambda: _mean_value(None),
    },
    "cycle_days": {
        "opened": lambda: pl.col("lived").filter(pl.col("opened")).mean() / DAY,
        "won": lambda: _cycle("won").mean() / DAY,
        "won_median": lambda: _cycle("won").median() / DAY,
        "closed": lambda: _cycle("closed").mean() / DAY,
    },
}


def _figure(name: str, choice: Any) -> pl.Expr:
    if isinstance(choice, str):
        return _FIGURES[name][choice]()
    if name == "cycle_days":
        return pl.lit(choice / dt.timedelta(days=1))
    return pl.lit(choice, dtype=MONEY if name == "average_value" else None)


_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "deals": (int,),
    "win_rate": (int, float),
    "average_value": (Decimal, int),
    "cycle_days": (dt.timedelta,),
}


def _refuse_unknown(chosen: Mapping[str, Any]) -> None:
    for name, choice in chosen.items():
        known = _FIGURES[name]
        if choice in known:
            continue
        wanted = _TYPES[name]
        least: Any = dt.timedelta() if name == "cycle_days" else 0
        most: Any = {"win_rate": 1}.get(name, choice)
        known_type = isinstance(choice, wanted) and not isinstance(choice, bool)
        if not known_type or not least <= choice <= most:
            raise DefinitionError(
                f"{name}={choice!r} is no definition of this factor of velocity: choose among "
                f"{', '.join(map(repr, known))}, or give a {wanted[0].__name__} of your own"
            )


def _velocities(table: pl.DataFrame, divisor: str) -> pl.Series:
    """Work out the money per day; exact up to the six decimals it is rounded to."""
    rows = table.select("deals", "win_rate", "average_value", divisor).iter_rows()
    return pl.Series([_per_day(*row) for row in rows], dtype=MONEY)


def _per_day(
    deals: int, rate: float | None, value: Decimal | None, cycle: float | None
) -> Decimal | None:
    if rate is None or value is None or not cycle:
        return None
    # By way of text, a float becomes the decimal that people see, and not its binary neighbour.
    product = deals * Decimal(str(rate)) * value / Decimal(str(cycle))
    return product.quantize(Decimal("0.000001"))


def _really_won(table: pl.DataFrame) -> pl.Series:
    """Return what was won ÷ the days watched; null where nothing is known of the money."""
    rows = table.select("won_value", "days").iter_rows()
    return pl.Series([_a_day(value, days) for value, days in rows], dtype=MONEY)


def _a_day(value: Decimal | None, days: float | None) -> Decimal | None:
    if value is None or not days:
        return None
    return (value / Decimal(str(days))).quantize(Decimal("0.000001"))


def _averaged(tables: Tables, deals: Deals) -> tuple[Words, ...]:
    """Return the note on open deals of unknown value, which are multiplied like the others."""
    multiplied = tables.deals.filter(pl.col("status") == "open")
    if deals != "open":
        return ()
    return noted(
        multiplied["value"].null_count(),
        (
            "open deal has no value; it is taken to be worth the average.",
            "open deals have no value; they are taken to be worth the average.",
        ),
        (
            "trattativa aperta non ha valore; si considera del valore medio.",
            "trattative aperte non hanno valore; si considerano del valore medio.",
        ),
    )


def _incomplete(table: pl.DataFrame) -> tuple[Words, ...]:
    missing = table.filter(pl.col("velocity").is_null())["currency"].unique(maintain_order=True)
    if missing.is_empty():
        return ()
    names = ", ".join(code or NOTHING for code in missing)
    return (
        said(
            f"No velocity for {names}: nothing was won, or a factor is not known.",
            f"Nessuna velocità per {names}: niente è stato vinto, o manca un fattore.",
        ),
    )
