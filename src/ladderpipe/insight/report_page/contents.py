"""Which reports the page shows, in what order, and what it leaves out because it says nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import attrs
import polars as pl

from ...board.board import Board
from ..forecasting import backtest, forecast
from ..frames.rates import Rates
from ..frames.snapshot import Instant, Source, standing
from ..frames.tables import Tables
from ..report import Report
from ..reports.articles import articles
from ..reports.bottlenecks import bottlenecks, turning_back
from ..reports.currencies import currencies
from ..reports.funnel import funnel
from ..reports.new_deals import arrivals
from ..reports.next_steps import no_next_step, open_tasks
from ..reports.recovered_revenue import recovered_revenue
from ..reports.recovery import recovery
from ..reports.stale import stale, stale_deals
from ..reports.summary import summary
from ..reports.targets import Targets
from ..reports.targets import targets as against_targets
from ..reports.time_in_stage import survival, time_in_stage
from ..reports.timers import timers
from ..reports.velocity import velocity
from ..reports.win_rate import loss_reasons, win_rate
from ..words import Words, said
from .headline import Headline, headline

__all__ = ["Contents", "Entry", "Progress", "Section", "at_present", "contents"]

BEFORE: Final = dt.timedelta(days=30)
MOST_CURVES: Final = 4
LEAST_CURVED: Final = 5
MOST_FORECAST: Final = 10_000

Progress: TypeAlias = Callable[[int, int], None]
"""Told how many reports are done, and of how many."""


@attrs.frozen
class Entry:
    """A report on the page; ``key`` is its name in links, in files of charts, and for machines."""

    key: str
    titles: Words
    report: Report


@attrs.frozen
class Section:
    """Reports that answer one question.

    Attributes:
        left_out: what reports are called that have nothing to show.
    """

    key: str
    titles: Words
    entries: tuple[Entry, ...]
    left_out: tuple[Words, ...] = ()


@attrs.frozen
class Contents:
    """All a page says, before it is written down in a language."""

    tables: Tables
    zone: str
    headline: Headline
    sections: tuple[Section, ...]

    @property
    def entries(self) -> Iterator[Entry]:
        """Every report, in the order of the page."""
        return (entry for section in self.sections for entry in section.entries)


def contents(
    source: Source,
    *,
    as_of: Instant | None = None,
    rates: Rates | None = None,
    zone: str = "UTC",
    forecasts: bool | None = None,
    targets: Targets | None = None,
    present: Sequence[Report] | None = None,
    progress: Progress | None = None,
) -> Contents:
    """Work out every report of the page.

    Args:
        rates: put all amounts into one currency.
        zone: whose calendar and clock the page tells time by, for example ``"Europe/Rome"``.
        forecasts: whether to forecast and to put forecasts to the test, which takes minutes for
            tens of thousands of deals; up to 10,000 deals when left out.
        targets: what each seller was to win, as :func:`~ladderpipe.insight.targets` takes it.
        present: what :func:`at_present` says of the board that the tables are from; made here of
            a board that is looked at as it is now.
        progress: called after each report.

    Raises:
        DefinitionError: there is no such time zone.
        ClockError: the tables do not reach so far.
        RateError: a rate that is needed is missing.
    """
    if present is None and isinstance(source, Board) and as_of is None:
        present = at_present(source)
    tables = standing(source, as_of)
    planned = _planned(tables, rates, zone, targets, present or ())
    not_forecast = NOT_ASKED if forecasts is False else NOT_FORECAST
    if forecasts is None:
        forecasts = tables.deals.height <= MOST_FORECAST
    if not forecasts:
        planned["forecast"] = []
    total = sum(len(makers) for makers in planned.values())
    made: dict[str, list[Entry]] = {}
    done = 0
    for key, makers in planned.items():
        made[key] = []
        for make in makers:
            made[key] += make()
            done += 1
            if progress is not None:
                progress(done, total)
    # The headline's own reports would hide that a zone is unknown; it comes after theirs.
    figures = headline(standing(tables, rates=rates), zone)
    return Contents(
        tables, zone, figures, tuple(_section(key, made[key], not_forecast) for key in planned)
    )


def _section(key: str, entries: list[Entry], not_forecast: Words) -> Section:
    if key == "forecast" and not entries:
        return Section(key, SECTIONS[key], (), (not_forecast,))
    return Section(
        key,
        SECTIONS[key],
        tuple(entry for entry in entries if entry.report.table.height),
        tuple(entry.titles for entry in entries if not entry.report.table.height),
    )


_Maker: TypeAlias = Callable[[], list[Entry]]


def at_present(board: Board) -> tuple[Report, ...]:
    """Return the reports that only a board can tell, and only as it is now."""
    return (open_tasks(board), no_next_step(board), articles(board))


def _planned(
    tables: Tables,
    rates: Rates | None,
    zone: str,
    targets: Targets | None,
    present: Sequence[Report],
) -> dict[str, list[_Maker]]:
    """Return what to work out, by section."""
    entries = [_entry(report) for report in present]

    def to_do() -> list[Entry]:
        return entries

    return {
        "pipeline": _standing_now(tables, rates),
        **({"next": [to_do]} if entries else {}),
        "forecast": [lambda: _forecasts(tables, rates, zone)],
        "funnel": [
            lambda: [_entry(funnel(tables))],
            lambda: [_entry(turning_back(tables))],
        ],
        "winning": _won_and_lost(tables, rates, zone, targets),
        "speed": [
            *_velocities(tables, rates),
            lambda: [_entry(time_in_stage(tables))],
            lambda: _curves(tables, rates),
        ],
        "obstacles": [
            lambda: [_entry(bottlenecks(tables, rates=rates))],
            lambda: [_entry(timers(tables))],
            lambda: [_entry(recovery(tables))],
            *_recovered(tables, rates),
        ],
        "stale": [
            lambda: [_entry(stale(tables, rates=rates))],
            lambda: [_entry(stale_deals(tables, rates=rates))],
        ],
        "arrivals": [lambda: [_entry(arrivals(tables, zone=zone))]],
    }


def _recovered(tables: Tables, rates: Rates | None) -> list[_Maker]:
    """Return what mails brought back, where links were clicked or customers are held out."""
    known = (tables.clicks, tables.arms)
    if all(frame is None or frame.is_empty() for frame in known):
        return []
    return [lambda: [_entry(recovered_revenue(tables, rates=rates))]]


def _standing_now(tables: Tables, rates: Rates | None) -> list[_Maker]:
    makers: list[_Maker] = [lambda: [_entry(_compared(tables, rates), note=COMPARED)]]
    if _known(tables, "owner"):
        makers.append(
            lambda: [_entry(summary(tables, by="owner", rates=rates), "owner", BY["owner"])]
        )
    if _known(tables, "source"):
        makers.append(
            lambda: [_entry(summary(tables, by="source", rates=rates), "source", BY["source"])]
        )
    if rates is not None or tables.deals["currency"].n_unique() > 1:
        makers.append(lambda: [_entry(currencies(tables, rates=rates))])
    return makers


def _compared(tables: Tables, rates: Rates | None) -> Report:
    """Return the pipeline by stage; what was before follows from what is and how it changed."""
    report = summary(tables, compared_with=BEFORE, rates=rates)
    return attrs.evolve(report, table=report.table.select(pl.exclude("^.*_before$")))


def _won_and_lost(
    tables: Tables, rates: Rates | None, zone: str, targets: Targets | None
) -> list[_Maker]:
    makers: list[_Maker] = []
    if targets is not None:
        makers.append(lambda: [_entry(against_targets(tables, targets, zone=zone, rates=rates))])
    makers.append(lambda: [_entry(win_rate(tables))])
    if (tables.deals["status"] == "abandoned").any():
        makers.append(
            lambda: [_entry(win_rate(tables, abandoned_as_lost=True), "abandoned", ABANDONED)]
        )
    makers.append(lambda: [_entry(win_rate(tables, by="month", zone=zone), "month", BY["month"])])
    if _known(tables, "owner"):
        makers.append(lambda: [_entry(win_rate(tables, by="owner"), "owner", BY["owner"])])
    if _known(tables, "source"):
        makers.append(lambda: [_entry(win_rate(tables, by="source"), "source", BY["source"])])
    if _known(tables, "value"):
        makers.append(
            lambda: [
                _entry(win_rate(tables, by="value_band", rates=rates), "value", BY["value_band"])
            ]
        )
    makers.append(lambda: [_entry(loss_reasons(tables, rates=rates))])
    return makers


def _velocities(tables: Tables, rates: Rates | None) -> list[_Maker]:
    makers: list[_Maker] = [lambda: [_entry(velocity(tables, rates=rates))]]
    if _known(tables, "owner"):
        makers.append(
            lambda: [_entry(velocity(tables, by="owner", rates=rates), "owner", BY["owner"])]
        )
    return makers


def _known(tables: Tables, column: str) -> bool:
    return tables.deals[column].null_count() < tables.deals.height


def _forecasts(tables: Tables, rates: Rates | None, zone: str) -> list[Entry]:
    tested = backtest(tables, rates=rates, zone=zone)
    return [
        _entry(forecast(tables, rates=rates, zone=zone)),
        _entry(tested),
        _entry(tested.calibration),
        _entry(tested.money),
    ]


def _curves(tables: Tables, rates: Rates | None) -> list[Entry]:
    """Return the curves of the stages that hold the most value for longest."""
    followed = time_in_stage(tables).table.filter(pl.col("deals") >= LEAST_CURVED)
    held = bottlenecks(tables, rates=rates).table
    most = _weightiest(held.filter(pl.col("stage").is_in(followed["stage"].implode())))
    return [_entry(survival(tables, stage), stage) for stage in followed["stage"] if stage in most]


def _weightiest(held: pl.DataFrame) -> set[str]:
    """Return the stages with the largest part of what is held up, currency by currency.

    Currencies are not added up: each stage's share of one counts by that currency's deal-days.
    """
    whole = pl.col("deal_days").sum().over("currency")
    days = pl.when(whole > 0).then(pl.col("deal_days") / whole)
    weight = pl.coalesce("share", days).fill_null(0.0) * whole
    scored = held.with_columns(weight=weight).group_by("stage").agg(pl.col("weight").sum())
    return set(scored.sort("weight", "stage", descending=[True, False])["stage"][:MOST_CURVES])


def _entry(
    report: Report,
    suffix: str = "",
    words: Words | None = None,
    *,
    note: Words | None = None,
) -> Entry:
    """Return a report as an entry; the words say how this one differs from others of its name."""
    key = f"{report.name}-{suffix}" if suffix else report.name
    titles = report.titles
    if words is not None:
        titles = said(f"{titles['en']} {words['en']}", f"{titles['it']} {words['it']}")
    if note is not None:
        report = attrs.evolve(report, notes=(note, *report.notes))
    return Entry(key, titles, report)


SECTIONS: Final[Mapping[str, Words]] = {
    "pipeline": said("The pipeline today", "La pipeline oggi"),
    "next": said("What is to be done", "Che cosa c'è da fare"),
    "forecast": said("What will come", "Che cosa arriverà"),
    "funnel": said("How deals climb", "Come salgono le trattative"),
    "winning": said("What is won, and what is lost", "Che cosa si vince e che cosa si perde"),
    "speed": said("How fast it goes", "Quanto è veloce"),
    "obstacles": said("Where it sticks", "Dove si ferma"),
    "stale": said("What lies idle", "Che cosa è fermo"),
    "arrivals": said("What comes in", "Che cosa entra"),
}

BY: Final[Mapping[str, Words]] = {
    "owner": said("by owner", "per responsabile"),
    "source": said("by source", "per provenienza"),
    "month": said("by month of the decision", "per mese della decisione"),
    "value_band": said("by value", "per valore"),
}
ABANDONED: Final = said(
    "with abandoned deals as lost", "con le trattative abbandonate fra le perse"
)
NOT_ASKED: Final = said("Forecast (not asked for)", "Previsione (non richiesta)")
NOT_FORECAST: Final = said(
    "Forecast (it takes long with so many deals, and is made when asked for)",
    "Previsione (con tante trattative richiede tempo, e si fa su richiesta)",
)
COMPARED: Final = said("Compared with 30 days before.", "A confronto con 30 giorni prima.")
