"""How numbers, amounts, shares and dates are written in a language. No tables, no markup."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

import attrs

from ..insight.words import NOTHING, Language

__all__ = ["Format"]

_SEPARATORS: Final = str.maketrans(",.", ".,")
_SYMBOLS: Final = {"EUR": "€", "GBP": "£", "USD": "$"}
_MONTHS: Final = {
    "en": "January February March April May June July August September October November December",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre "
    "dicembre",
}
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"


@attrs.frozen
class Format:
    """Writes values as people of a language read them; what is not there is a dash.

    Attributes:
        zone: whose clock instants are told by.
    """

    language: Language
    zone: str = "UTC"

    def number(self, value: float | Decimal | None, digits: int = 0) -> str:
        """Return a number: ``1,234.5`` or ``1.234,5``."""
        if value is None:
            return NOTHING
        text = f"{value:,.{digits}f}"
        text = text.removeprefix("-") if not text.strip("-0.,") else text
        text = text.replace("-", "\N{MINUS SIGN}")
        return text.translate(_SEPARATORS) if self.language == "it" else text

    def days(self, value: float | None) -> str:
        """Return a duration in days, with more digits the shorter it is."""
        if value is None or value == 0 or abs(value) >= 1:
            return self.number(value, 1 if abs(value or 0) < 1_000 else 0)
        return self.number(value, 2 if abs(value) >= 0.1 else 4)

    def share(self, value: float | None, digits: int = 1) -> str:
        """Return a share of one in percent: ``63.2%`` or ``63,2 %``."""
        if value is None:
            return NOTHING
        space = _NO_BREAK if self.language == "it" else ""
        return f"{self.number(100 * value, digits)}{space}%"

    def money(self, value: Decimal | None, currency: str | None, digits: int = 2) -> str:
        """Return an amount: ``€1,234.56`` or ``1.234,56 €``; without a currency only the number."""
        if value is None:
            return NOTHING
        number = self.number(value, digits)
        if currency is None:
            return number
        symbol = _SYMBOLS.get(currency, currency)
        if self.language == "it":
            return f"{number}{_NO_BREAK}{symbol}"
        sign = number[:1] if number[0] == "\N{MINUS SIGN}" else ""
        space = "" if currency in _SYMBOLS else _NO_BREAK
        return f"{sign}{symbol}{space}{number.removeprefix(sign)}"

    def month(self, day: dt.date | None) -> str:
        """Return a month and its year: ``Mar 2026``."""
        return NOTHING if day is None else f"{self._month_of(day)[:3]} {day.year}"

    def day(self, day: dt.date | None) -> str:
        """Return a date: ``5 Jan 2026``."""
        return NOTHING if day is None else f"{day.day} {self.month(day)}"

    def moment(self, at: dt.datetime | None) -> str:
        """Return an instant to the minute: ``5 Jan 2026, 09:12``."""
        if at is None:
            return NOTHING
        there = at.astimezone(ZoneInfo(self.zone))
        return f"{self.day(there.date())}, {there:%H:%M}"

    def whole_month(self, day: dt.date) -> str:
        """Return a month by its full name, and its year."""
        return f"{self._month_of(day)} {day.year}"

    def _month_of(self, day: dt.date) -> str:
        return _MONTHS[self.language].split()[day.month - 1]
