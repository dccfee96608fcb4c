"""How amounts, numbers and moments are written in one language.

The conventions come from ``<language>/words.jinja``, so that a new language needs no code.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal

import attrs

__all__ = ["Conventions"]

_SYMBOLS = {"EUR": "€", "GBP": "£", "JPY": "¥", "USD": "$"}
_PLACES = {"CLP": 0, "ISK": 0, "JPY": 0, "KRW": 0, "VND": 0, "BHD": 3, "KWD": 3, "TND": 3}
"""Minor units of ISO 4217 that are not the usual two."""

_WIDE = Context(prec=200, rounding=ROUND_HALF_UP)
_NO_BREAK = "\u00a0"


@attrs.frozen(kw_only=True)
class Conventions:
    """The conventions of one language.

    Attributes:
        months: twelve names, January first.
        moment_form: with ``{day}``, ``{month}``, ``{year}`` and ``{time}``.
    """

    decimal_mark: str
    thousands_mark: str
    currency_first: bool
    months: Sequence[str]
    moment_form: str

    def number(self, number: Decimal) -> str:
        """Return a number with all its decimals but no idle zeros."""
        text = f"{number:,f}"
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        return self._marked(text)

    def money(self, amount: Decimal, currency: str | None = None) -> str:
        """Return an amount, rounded half up to the minor unit of its ISO 4217 currency.

        ``1.798,00 €`` in Italian, ``€1,798.00`` in English; the code where there is no symbol,
        and nothing but the number where there is no currency.
        """
        unit = Decimal(1).scaleb(-_PLACES.get(currency or "", 2))
        rounded = amount.quantize(unit, context=_WIDE)
        sign = "-" if rounded < 0 else ""
        digits = self._marked(f"{rounded.copy_abs():,f}")
        if currency is None:
            return f"{sign}{digits}"
        symbol = _SYMBOLS.get(currency, currency)
        if not self.currency_first:
            return f"{sign}{digits}{_NO_BREAK}{symbol}"
        gap = _NO_BREAK if len(symbol) > 1 else ""
        return f"{sign}{symbol}{gap}{digits}"

    def moment(self, text: str) -> str:
        """Return ISO 8601 text in words, on the clock it was written for; other text as it is."""
        try:
            moment = dt.datetime.fromisoformat(text)
        except ValueError:
            return text
        return self.moment_form.format(
            day=moment.day,
            month=self.months[moment.month - 1],
            year=moment.year,
            time=f"{moment:%H:%M}",
        )

    def _marked(self, text: str) -> str:
        return text.translate({ord(","): self.thousands_mark, ord("."): self.decimal_mark})
