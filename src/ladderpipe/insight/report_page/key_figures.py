"""The key figures as they are printed: a title, a figure, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from ...formats import Format
from ..words import NOTHING
from .headline import Amount, Headline, Rate

__all__ = ["KeyFigure", "key_figures"]

WITHOUT_CENTS = 1_000
"""From what amount on a key figure is written without decimals."""


@attrs.frozen
class KeyFigure:
    """One figure, or one for each currency, and a line beneath."""

    title: str
    values: tuple[str, ...]
    beneath: str


def key_figures(figures: Headline, form: Format, words: Mapping[str, str]) -> list[KeyFigure]:
    """Return the figures that open the page."""
    month = f"{words['one_month']} {form.whole_month(figures.won_since)}"
    return [
        KeyFigure(words["open"], _money(figures.open, form), _deals(figures.open, form, words)),
        KeyFigure(month, _money(figures.won, form), _deals(figures.won, form, words)),
        KeyFigure(
            words["win_rate"],
            (form.share(figures.win_rate.rate),),
            _rate(figures.win_rate, figures.with_abandoned, form, words),
        ),
        KeyFigure(
            words["cycle"],
            (form.duration(figures.cycle),),
            words["from_opening"],
        ),
        KeyFigure(words["velocity"], _money(figures.velocity, form), words["per_day"]),
    ]


def _money(amounts: Sequence[Amount], form: Format) -> tuple[str, ...]:
    written = tuple(
        form.money(amount.value, amount.currency, 0 if abs(amount.value) >= WITHOUT_CENTS else None)
        for amount in amounts
        if amount.value is not None
    )
    return written or (NOTHING,)


def _deals(amounts: Sequence[Amount], form: Format, words: Mapping[str, str]) -> str:
    number = sum(amount.deals or 0 for amount in amounts)
    return f"{form.number(number)} {words['deal' if number == 1 else 'deals']}"


def _rate(rate: Rate, abandoned: Rate | None, form: Format, words: Mapping[str, str]) -> str:
    decided = f"{form.number(rate.won)} {words['of']} {form.number(rate.closed)} {words['closed']}"
    if rate.lower is not None:
        decided += f" ({form.share(rate.lower, 0)} – {form.share(rate.upper, 0)})"
    if abandoned is None or abandoned.rate is None:
        return decided
    return f"{decided}; {form.share(abandoned.rate)} {words['with_abandoned']}"
