"""The ways to forecast, by name, and what they are told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final, Literal, get_args

import attrs
import polars as pl

from ...errors import DefinitionError
from ...model.stage import Stage
from ..words import Words, said
from .baselines import base_rate, naive_bayes, stage_probability, win_rate
from .features import Outcome, Snapshot
from .history import from_history

__all__ = ["METHODS", "Method", "Plan", "estimated", "planned"]

Method = Literal["history", "stage_probability", "win_rate", "base_rate", "naive_bayes"]

METHODS: Final[Mapping[str, Words]] = {
    "history": said("History", "Storia"),
    "stage_probability": said("Stage probability", "Probabilità della fase"),
    "win_rate": said("Constant win rate", "Tasso di vincita costante"),
    "base_rate": said("Constant share won in time", "Quota costante vinta in tempo"),
    "naive_bayes": said("Naive Bayes", "Bayes ingenuo"),
}


@attrs.frozen
class Plan:
    """What a forecast is made for and with.

    Attributes:
        horizons: in days, ascending.
        by: further columns that deals are told apart by.
        minimum: below so many examples nothing is said.
        draws: how many times the money is drawn, from ``seed``.
    """

    horizons: tuple[int, ...]
    by: tuple[str, ...]
    minimum: int
    stages: tuple[Stage, ...]
    draws: int
    seed: int


def planned(
    stages: Sequence[Stage],
    *,
    horizons: Sequence[int | dt.timedelta],
    by: str | Sequence[str],
    minimum: int,
    draws: int,
    seed: int,
) -> Plan:
    """Check what was asked for, and put it in order.

    Raises:
        DefinitionError: a horizon is not a number of whole days above zero, there is none, or
            *minimum* or *draws* is below 1.
    """
    days = sorted({_whole_days(horizon) for horizon in horizons})
    if not days:
        raise DefinitionError("a forecast for no horizon says nothing: give days, (30, 60, 90)")
    for name, number in (("minimum", minimum), ("draws", draws)):
        if number < 1:
            raise DefinitionError(f"{name}={number} is no number of examples: give 1 or more")
    columns = (by,) if isinstance(by, str) else tuple(by)
    return Plan(tuple(days), columns, minimum, tuple(stages), draws, seed)


def _whole_days(horizon: int | dt.timedelta) -> int:
    days = horizon / dt.timedelta(days=1) if isinstance(horizon, dt.timedelta) else horizon
    if days != int(days) or days < 1:
        raise DefinitionError(
            f"a horizon of {days} days is not one of whole days ahead: give 1 or more, such as 30"
        )
    return int(days)


def estimated(method: Method, seen: Snapshot, past: Sequence[Outcome], plan: Plan) -> pl.DataFrame:
    """Return, by one method, the probability of each deal of being won within each horizon.

    Args:
        past: what had become of earlier snapshots when this one was taken.

    Returns:
        At least ``deal``, ``horizon``, ``won`` (null where nothing can be said) and ``variance``.

    Raises:
        DefinitionError: there is no such method.
    """
    if method == "history":
        return from_history(seen, plan.horizons, by=plan.by, minimum=plan.minimum)
    if method == "stage_probability":
        return stage_probability(seen, plan.horizons, plan.stages)
    if method == "win_rate":
        return win_rate(seen, plan.horizons, minimum=plan.minimum)
    if method == "base_rate":
        return base_rate(seen, plan.horizons, past, minimum=plan.minimum)
    if method == "naive_bayes":
        return naive_bayes(seen, plan.horizons, past, by=plan.by, minimum=plan.minimum)
    raise DefinitionError(
        f"there is no forecast by {method!r}: choose among {', '.join(get_args(Method))}"
    )
