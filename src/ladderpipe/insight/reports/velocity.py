"""How much money the pipeline brings in a day, and what that comes from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

import polars as pl

from ...errors import DefinitionError
from ..frames.rates import Rates
from ..frames.schema import MONEY
from ..frames.snapshot import (
    CLOSED,
    DAY,
    Instant,
    Period,
    Source,
    checked_period,
    money_mean,
    standing,
    unvalued,
)
from ..frames.tables import Tables
from ..optional import alt
from ..report import Report, Titles
from ..words import Language, Words, said
from . import charts

__all__ = ["velocity"]

Deals: TypeAlias = Literal["open", "opened", "closed"] | int
WinRate: TypeAlias = Literal["closed", "opened"] | float
AverageValue: TypeAlias = Literal["won", "open", "all"] | Decimal
CycleLength: TypeAlias = Literal["won", "won_median", "closed"] | dt.timedelta

COLUMNS: Final = ("deals", "win_rate", "average_value", "cycle_days")


def velocity(
    source: Source,
    *,
    as_of: Instant | None = None,
    period: Period | None = None,
    deals: Deals = "open",
    win_rate: WinRate = "closed",
    average_value: AverageValue = "won",
    cycle_length: CycleLength = "won",
    rates: Rates | None = None,
) -> Report:
    """Report deals × win rate × average value ÷ cycle length: money per day, by currency.

    Each factor is one of its named definitions, or a figure of your own. With ``deals="open"``
    it is the rate at which the deals in the pipeline would turn into money if they fared as
    those of the period did.

    Args:
        period: which closed or opened deals the definitions look at; all when left out.
        deals: ``"open"``: open at ``as_of``; ``"opened"`` or ``"closed"``: in the period.
        win_rate: ``"closed"``: won ÷ (won + lost) of the deals closed in the period;
            ``"opened"``: won ÷ all of the deals opened in the period (young ones pull it down).
        average_value: mean value of the deals won in the period, of the open ones, or of all.
        cycle_length: from opening to closing: the mean of the deals won in the period, their
            median, or the mean of all that closed.

    Raises:
        DefinitionError: a definition has no such name, a figure is out of range, or the period
            holds no instant.
        ClockError: the tables do not reach so far.
        RateError: a rate that is needed is missing.
    """
    tables = standing(source, as_of, rates)
    chosen = {
        "deals": deals,
        "win_rate": win_rate,
        "average_value": average_value,
        "cycle_days": cycle_length,
    }
    _refuse_unknown(chosen)
    facts = _facts(tables, period)
    table = facts.group_by("currency").agg(
        _figure(name, choice).alias(name) for name, choice in chosen.items()
    )
    table = table.sort("deals", "currency", descending=[True, False], nulls_last=True)
    table = table.with_columns(velocity=_velocities(table))
    return Report(
        name="velocity",
        titles=said("Sales velocity", "Velocità di vendita"),
        definitions=_definition(chosen),
        as_of=tables.as_of,
        table=table,
        labels={"currency": {}},
        notes=(*unvalued(tables.deals), *_incomplete(table)),
        draw=_draw if table["velocity"].count() else None,
    )


def _facts(tables: Tables, period: Period | None) -> pl.DataFrame:
    """Return the deals with what each definition asks: who is open, closed, opened, won when."""
    start, end = checked_period(tables, period)

    def within(column: str) -> pl.Expr:
        inside = pl.col(column).is_between(start, end, closed="left")
        return (inside if period is not None else pl.col(column).is_not_null()).fill_null(False)

    closed = pl.col("status").is_in(CLOSED) & within("closed_at")
    return tables.deals.select(
        "currency",
        "value",
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


def _velocities(table: pl.DataFrame) -> pl.Series:
    """Work out the money per day; exact up to the six decimals it is rounded to."""
    rows = table.select(COLUMNS).iter_rows()
    return pl.Series([_per_day(*row) for row in rows], dtype=MONEY)


def _per_day(
    deals: int, rate: float | None, value: Decimal | None, cycle: float | None
) -> Decimal | None:
    if rate is None or value is None or not cycle:
        return None
    # By way of text, a float becomes the decimal that people see, and not its binary neighbour.
    product = deals * Decimal(str(rate)) * value / Decimal(str(cycle))
    return product.quantize(Decimal("0.000001"))


def _incomplete(table: pl.DataFrame) -> tuple[Words, ...]:
    missing = table.filter(pl.col("velocity").is_null())["currency"].to_list()
    if not missing:
        return ()
    names = ", ".join(code or "–" for code in missing)
    return (
        said(
            f"No velocity for {names}: nothing was won, or a factor is not known.",
            f"Nessuna velocità per {names}: niente è stato vinto, o manca un fattore.",
        ),
    )


def _draw(table: pl.DataFrame, titles: Titles, language: Language) -> Any:
    shown = table.drop_nulls("velocity").with_columns(
        pl.col("velocity", "average_value").cast(pl.Float64)
    )

    def panel(rows: pl.DataFrame, code: str) -> Any:
        parts = [
            _figure_panel(rows, "deals", [titles["deals"], " "], ","),
            _figure_panel(rows, "win_rate", [titles["win_rate"], " "], ".0%"),
            _figure_panel(rows, "average_value", [titles["average_value"], f"({code})"], SHORT),
            _figure_panel(rows, "cycle_days", CYCLE[language], ",.1f"),
            _figure_panel(
                rows, "velocity", [SPEED[language], f"({code} {A_DAY[language]})"], SHORT
            ),
        ]
        return alt.hconcat(*parts, spacing=24)

    return charts.by_currency(shown, panel)


def _figure_panel(rows: pl.DataFrame, name: str, title: list[str], pattern: str) -> Any:
    colour = charts.MAIN if name == "velocity" else charts.INK
    return (
        alt.Chart(rows)
        .mark_text(fontSize=24, color=colour, align="left", baseline="top", x=0, y=0)
        .encode(
            text=alt.Text(f"{name}:Q", format=pattern),
            tooltip=alt.Tooltip(f"{name}:Q", title=" ".join(title), format=","),
        )
        .properties(width=116, height=34, title=alt.TitleParams(title, fontSize=11))
    )


SHORT: Final = ",.3~s"
SPEED: Final = said("Velocity", "Velocità")
A_DAY: Final = said("per day", "al giorno")
CYCLE: Final = {"en": ["Cycle", "(days)"], "it": ["Ciclo", "(giorni)"]}

_SAID: Final[Mapping[str, Mapping[str, Words]]] = {
    "deals": {
        "open": said("the deals open at the instant of the report", "le trattative aperte"),
        "opened": said("the deals opened in the period", "le trattative aperte nel periodo"),
        "closed": said("the deals closed in the period", "le trattative chiuse nel periodo"),
    },
    "win_rate": {
        "closed": said(
            "won ÷ (won + lost) of those closed in the period",
            "vinte ÷ (vinte + perse) fra quelle chiuse nel periodo",
        ),
        "opened": said(
            "won ÷ all of those opened in the period", "vinte ÷ tutte quelle aperte nel periodo"
        ),
    },
    "average_value": {
        "won": said("the mean of those won in the period", "la media delle vinte nel periodo"),
        "open": said("the mean of the open ones", "la media delle aperte"),
        "all": said("the mean of all", "la media di tutte"),
    },
    "cycle_days": {
        "won": said(
            "the mean time from opening to winning of those won in the period",
            "il tempo medio dall'apertura alla vincita di quelle vinte nel periodo",
        ),
        "won_median": said(
            "the median time from opening to winning of those won in the period",
            "il tempo mediano dall'apertura alla vincita di quelle vinte nel periodo",
        ),
        "closed": said(
            "the mean time from opening to closing of those closed in the period",
            "il tempo medio dall'apertura alla chiusura di quelle chiuse nel periodo",
        ),
    },
}


def _definition(chosen: Mapping[str, Any]) -> Words:
    given = said("given", "indicato")
    words = {
        name: _SAID[name].get(choice, given) if isinstance(choice, str) else given
        for name, choice in chosen.items()
    }
    en, it = (
        {name: said_["en"] for name, said_ in words.items()},
        {name: said_["it"] for name, said_ in words.items()},
    )
    return said(
        "Velocity = deals × win rate × average value ÷ cycle length, in money per day, each "
        f"currency for itself. Deals: {en['deals']}. Win rate: {en['win_rate']}. Average value: "
        f"{en['average_value']}. Cycle length: {en['cycle_days']}.",
        "Velocità = trattative × tasso di vincita × valore medio ÷ durata del ciclo, in denaro "
        f"al giorno, ogni valuta per sé. Trattative: {it['deals']}. Tasso di vincita: "
        f"{it['win_rate']}. Valore medio: {it['average_value']}. Durata del ciclo: "
        f"{it['cycle_days']}.",
    )
