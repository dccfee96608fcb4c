"""Reports, forecasts and what-if from the history; needs ``pip install 'ladderpipe[insight]'``."""

from __future__ import annotations

try:
    import polars as _polars  # noqa: F401
except ModuleNotFoundError as _error:
    if _error.name != "polars":
        raise
    raise ImportError(
        "ladderpipe.insight needs Polars, which is not installed: pip install 'ladderpipe[insight]'"
    ) from _error

from .arrivals import arrivals
from .bottlenecks import bottlenecks, turning_back
from .bulk import Replayed, can_replay_in_columns, replay
from .crm import read_crm
from .currencies import currencies
from .durations import survival, time_in_stage
from .forecast import Backtest, Forecast, backtest, forecast
from .funnel import funnel
from .mining import ExportReport, export_log, read_xes
from .page import page
from .rates import RateError, Rates, convert
from .reading import deals, moves, tables, visits
from .recovery import recovery
from .report import Report
from .stale import stale, stale_deals
from .summary import summary
from .tables import Problem, Tables
from .timers import timers
from .velocity import velocity
from .what_if import WhatIf, what_if
from .winning import loss_reasons, win_rate

__all__ = [
    "Backtest",
    "ExportReport",
    "Forecast",
    "Problem",
    "RateError",
    "Rates",
    "Replayed",
    "Report",
    "Tables",
    "WhatIf",
    "arrivals",
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
    "page",
    "read_crm",
    "read_xes",
    "recovery",
    "replay",
    "stale",
    "stale_deals",
    "summary",
    "survival",
    "tables",
    "time_in_stage",
    "timers",
    "turning_back",
    "velocity",
    "visits",
    "what_if",
    "win_rate",
]
