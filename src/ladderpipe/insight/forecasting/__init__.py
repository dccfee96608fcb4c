"""What will be: forecasts from the ladder's own history, and the past replayed to test them."""

from __future__ import annotations

from .backtest import Backtest, backtest
from .forecast import Forecast, forecast

__all__ = ["Backtest", "Forecast", "backtest", "forecast"]
