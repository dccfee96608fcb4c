"""The key figures as they are printed: a title, a figure, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

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
            words["conversion"],
            (form.share(figures.conversion.rate),),
            _counts(figures.conversion, words["opened"], form, words),
        ),
        KeyFigure(
            words["win_rate"],
            # Where nobody records losses, 100 % would be read as success.
            (NOTHING if figures.seldom_lost else form.share(figures.win_rate.rate),),
            _rate(figures, form, words),
        ),
        KeyFigure(
            words["cycle"],
            (form.duration(figures.cycle),),
            words["from_opening"],
        ),
        KeyFigure(
            words["velocity"],
            _money(figures.velocity, form),
            f"{words['per_day_expected']}; {words['really_won']} "
            + ", ".join(_money(figures.won_per_day, form)),
        ),
    ]


def _money(amounts: Sequence[Amount], form: Format) -> tuple[str, ...]:
    known = [(a.value, a.currency) for a in amounts if a.value is not None]
    # All alike, so that they can be compared: no cents beside amounts without.
    largest = max((value.copy_abs() for value, _ in known), default=Decimal(0))
    digits = 0 if largest >= WITHOUT_CENTS else None
    return tuple(form.money(*amount, digits) for amount in known) or (NOTHING,)


def _deals(amounts: Sequence[Amount], form: Format, words: Mapping[str, str]) -> str:
    number = sum(amount.deals or 0 for amount in amounts)
    return f"{form.number(number)} {words['deal' if number == 1 else 'deals']}"


def _rate(figures: Headline, form: Format, words: Mapping[str, str]) -> str:
    rate, abandoned = figures.win_rate, figures.with_abandoned
    decided = _counts(rate, words["closed"], form, words)
    if figures.seldom_lost:
        decided = words["seldom_lost"].format(
            won=form.number(rate.won), lost=form.number(rate.closed - rate.won)
        )
    if abandoned is None or abandoned.rate is None:
        return decided
    return f"{decided}; {form.share(abandoned.rate)} {words['with_abandoned']}"


def _counts(rate: Rate, among: str, form: Format, words: Mapping[str, str]) -> str:
    told = f"{form.number(rate.won)} {words['of']} {form.number(rate.closed)} {among}"
    if rate.lower is None:
        return told
    return f"{told} ({form.share(rate.lower, 0)} – {form.share(rate.upper, 0)})"
