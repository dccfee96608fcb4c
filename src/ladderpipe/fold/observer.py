"""Who watches a fold: the explanation."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TypeAlias

from ..ladder.machine import Candidate
from ..model.event import Event
from .draft import Draft

__all__ = ["Observer"]

Observer: TypeAlias = "Callable[[Draft, Event | Candidate, Candidate | None, dt.datetime], None]"
"""Told of every decision before it is carried out: the draft, the event or timer that asked,
the winner if there is one, and the instant."""
