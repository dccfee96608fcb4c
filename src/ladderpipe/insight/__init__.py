"""Reports, forecasts and what-if from the history; needs the extra ``insight``."""

from __future__ import annotations

from ..extras import how_to_install

try:
    import polars as _polars  # noqa: F401
except ModuleNotFoundError as _error:
    if _error.name != "polars":
        raise
    raise ImportError(
        f"ladderpipe.insight needs Polars, which is not installed: {how_to_install('insight')}"
    ) from _error

from ..public import publish
from .buckets import EventLog, ReplayedFolder, replay
from .bulk import Replayed, can_replay_in_columns
from .forecasting import Backtest, Forecast, backtest, forecast
from .frames.crm import read_crm
from .frames.from_board import deals, moves, tables, visits
from .frames.rates import RateError, Rates, convert
from .frames.tables import Problem, Tables
from .mining import ExportReport, export_log, read_xes
from .report import Report
from .report_page import page
from .reports.articles import articles
from .reports.bottlenecks import bottlenecks, turning_back
from .reports.currencies import currencies
from .reports.funnel import funnel
from .reports.new_deals import arrivals
from .reports.next_steps import no_next_step, open_tasks
from .reports.recovered_revenue import recovered_revenue
from .reports.recovery import recovery
from .reports.stale import stale, stale_deals
from .reports.summary import summary
from .reports.targets import targets
from .reports.time_in_stage import survival, time_in_stage
from .reports.time_per_deal import time_per_deal
from .reports.timers import timers
from .reports.velocity import velocity
from .reports.win_rate import loss_reasons, win_rate
from .scenarios.what_if import WhatIf, what_if

__all__ = [
    "Backtest",
    "EventLog",
    "ExportReport",
    "Forecast",
    "Problem",
    "RateError",
    "Rates",
    "Replayed",
    "ReplayedFolder",
    "Report",
    "Tables",
    "WhatIf",
    "arrivals",
    "articles",
    "backtest",
    "bottlenecks",
    "can_replay_in_columns",
    "convert",
    "currencies",
    "deals",
    "export_log",
    "forecast",
    "funnel",
    "loss_reasons",
    "moves",
    "no_next_step",
    "open_tasks",
    "page",
    "read_crm",
    "read_xes",
    "recovered_revenue",
    "recovery",
    "replay",
    "stale",
    "stale_deals",
    "summary",
    "survival",
    "tables",
    "targets",
    "time_in_stage",
    "time_per_deal",
    "timers",
    "turning_back",
    "velocity",
    "visits",
    "what_if",
    "win_rate",
]

publish(__name__, *(globals()[name] for name in __all__))
