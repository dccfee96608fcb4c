"""How numbers, amounts, shares, dates and durations are written in a language."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from functools import cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

import attrs
from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_time
from babel.numbers import (
    NumberPattern,
    format_compact_decimal,
    get_currency_precision,
    get_currency_symbol,
    get_decimal_symbol,
    get_group_symbol,
    parse_pattern,
)
from babel.units import format_unit

__all__ = ["ENGLISH", "ITALIAN", "NOTHING", "Format"]

NOTHING: Final = "–"
"""How a value is written that is not there."""

_NO_BREAK: Final = "\N{NO-BREAK SPACE}"

_EXACT: Final = Context(prec=200, rounding=ROUND_HALF_UP)
"""Babel rounds in the context it is called in, and the usual one holds 28 digits only."""

_IN_FULL: Final[Mapping[str, str]] = {
    "en": "d MMMM y 'at' HH:mm",
    "it": "d MMMM y 'alle' HH:mm",
}
"""CLDR joins dates and times with a comma; a sentence wants a word between them."""

_UNITS: Final = (
    ("day", "d", dt.timedelta(days=1), dt.timedelta(days=2)),
    ("hour", "h", dt.timedelta(hours=1), dt.timedelta(hours=1)),
    ("minute", "min", dt.timedelta(minutes=1), dt.timedelta(minutes=1)),
    ("second", "s", dt.timedelta(seconds=1), dt.timedelta(0)),
)
"""By name: the symbol, the length, and from when on an age is told in it: in whole days only from
two days on, since an age is rounded down and “1 d” would say too little."""

_LENGTHS: Final = (
    *((name, one) for name, _, one, _ in _UNITS),
    ("millisecond", dt.timedelta(milliseconds=1)),
    ("microsecond", dt.timedelta(microseconds=1)),
)


@cache
def _locale(language: str) -> Locale:
    """Return what is known of a language; a language nobody has described writes as English."""
    try:
        return Locale.parse(language)
    except (UnknownLocaleError, ValueError):
        return Locale("en")


@cache
def _with_decimals(pattern: str, digits: int) -> NumberPattern:
    """Return a pattern of CLDR with so many decimals, no more and no fewer."""
    found = parse_pattern(pattern)
    found.frac_prec = (digits, digits)
    return found


@attrs.frozen
class Format:
    """Writes values as people of a language read them; what is not there is a dash.

    Decimals are written exactly, and rounded half up where digits are left out.

    Attributes:
        language: its ISO 639 code; reports speak ``"en"`` and ``"it"``, mails any.
        zone: whose clock instants are told by.
    """

    language: str
    zone: str = "UTC"

    def number(self, value: float | Decimal | None, digits: int | None = 0) -> str:
        """Return a number: ``1,234.5`` or ``1.234,5``.

        Args:
            digits: how many decimals; ``None`` for all there are, without idle zeros.
        """
        if value is None:
            return NOTHING
        return self._written(_locale(self.language).decimal_formats[None], value, digits)

    def short(self, value: float | Decimal | None) -> str:
        """Return a number of any size in few letters: ``1.25K``, ``10.7M``, ``10,7 Mln``."""
        if value is None:
            return NOTHING
        exact = Decimal(str(value))
        if abs(exact) < 1_000:
            return self.number(exact, 0 if exact % 1 == 0 else 2)
        digits = 2 - exact.adjusted() % 3
        short = format_compact_decimal(exact, locale=_locale(self.language), fraction_digits=digits)
        # Italian has no short word for thousands: then it is the number, whole.
        return short if any(letter.isalpha() for letter in short) else self.number(exact)

    def short_words(self) -> dict[int, str]:
        """Return the short words for powers of ten, as :meth:`short` writes them: ``3: "K"``."""
        locale = _locale(self.language)
        written = {power: format_compact_decimal(10**power, locale=locale) for power in (3, 6, 9)}
        return {
            power: text.lstrip("1")
            for power, text in written.items()
            if any(letter.isalpha() for letter in text)
        }

    def signs(self) -> tuple[str, str]:
        """Return what stands before decimals, and between thousands."""
        locale = _locale(self.language)
        return get_decimal_symbol(locale), get_group_symbol(locale)

    def months(self, width: Literal["wide", "abbreviated"]) -> list[str]:
        """Return the months as a date names them, January first."""
        names = _locale(self.language).months["format"][width]
        return [names[number] for number in range(1, 13)]

    def weekdays(self, width: Literal["wide", "abbreviated"]) -> list[str]:
        """Return the days of the week as a date names them, Sunday first."""
        names = _locale(self.language).days["format"][width]
        return [names[(number - 1) % 7] for number in range(7)]

    def share(self, value: float | None, digits: int = 1) -> str:
        """Return a share of one in percent: ``63.2%`` or ``63,2%``."""
        if value is None:
            return NOTHING
        # The rounding is of the percentage; the pattern multiplies by a hundred again.
        percent = _rounded(100 * value, digits)
        return self._written(
            _locale(self.language).percent_formats[None], percent.scaleb(-2, _EXACT), digits
        )

    def money(
        self,
        value: Decimal | None,
        currency: str | None,
        digits: int | None = None,
        *,
        in_letters: bool = False,
    ) -> str:
        """Return an amount: ``€1,234.56`` or ``1.234,56 €``; without a currency only the number.

        Args:
            digits: how many decimals; as many as the currency has when left out.
            in_letters: write ``EUR`` instead of ``€``, for terminals that have no such sign.
        """
        if value is None:
            return NOTHING
        if currency is None:
            return self.number(value, 2 if digits is None else digits)
        locale = _locale(self.language)
        places = get_currency_precision(currency) if digits is None else digits
        pattern = locale.currency_formats["standard"]
        text = self._written(pattern, value, places, currency)
        symbol = get_currency_symbol(currency, locale)
        sign = currency if in_letters else symbol
        before, _, after = text.partition(symbol)
        # CLDR parts letters from digits by a space; Babel leaves that to who asks.
        gap = _NO_BREAK if sign[-1].isalpha() and after[:1].isdigit() else ""
        return f"{before}{sign}{gap}{after}"

    def _written(
        self,
        pattern: NumberPattern,
        value: float | Decimal,
        digits: int | None,
        currency: str | None = None,
    ) -> str:
        exact = _rounded(value, digits) if pattern.scale == 0 else Decimal(str(value))
        kept = _decimals(exact) if digits is None else digits
        with localcontext(_EXACT):
            written: str = _with_decimals(pattern.pattern, kept).apply(
                exact,
                _locale(self.language),
                currency=currency,
                currency_digits=False,
            )
        return written

    def days(self, value: float | None) -> str:
        """Return a number of days, with more digits the shorter they are; never 0 for some."""
        if not value or abs(value) >= 1:
            return self.number(value, 1 if abs(value or 0) < 1_000 else 0)
        if abs(value) >= 0.1:
            return self.number(value, 2)
        return self.number(value, max(4, math.ceil(-math.log10(abs(value)))))

    def duration(self, length: dt.timedelta | None, *, brief: bool = False) -> str:
        """Return a length of time in the largest unit it holds: ``30 seconds``, ``1.5 days``.

        Args:
            brief: write the unit short, for tables and axes: ``30 sec``, ``1.5 days``.
        """
        if length is None:
            return NOTHING
        name, one = next(
            ((name, one) for name, one in _LENGTHS if abs(length) >= one),
            _LENGTHS[-1] if length else ("second", dt.timedelta(seconds=1)),
        )
        number = _rounded(length / one, 1 if abs(length / one) < 1_000 else 0)
        number = number.quantize(Decimal(1)) if number == number.to_integral() else number
        return self._counted(number, name, ("short", "long") if brief else ("long", "short"))

    def age(self, length: dt.timedelta | None) -> str:
        """Return how long something has lasted, rounded down: ``3 d``, ``5 h``, ``12 min``."""
        if length is None:
            return ""
        symbol, one = next(
            ((symbol, one) for _, symbol, one, least in _UNITS if length >= least),
            ("s", dt.timedelta(seconds=1)),
        )
        return f"{self.number(length // one)} {symbol}"

    def narrow(self, length: dt.timedelta) -> str:
        """Return how long something has lasted, rounded down and short: ``3d``, ``3gg``, ``2h``."""
        name, one = next(
            ((name, one) for name, _, one, least in _UNITS if length >= least), _LENGTHS[3]
        )
        return self._counted(length // one, name, ("narrow", "short", "long"))

    def _counted(
        self, number: Decimal | int, name: str, widths: Sequence[Literal["narrow", "short", "long"]]
    ) -> str:
        """Return a number of hours or the like in the first width that the language has."""
        locale = _locale(self.language)
        told = (format_unit(number, f"duration-{name}", width, locale=locale) for width in widths)
        # Where CLDR's long form is the short one, Babel does not find it and names the unit.
        return next(text for text in told if "duration-" not in text)

    def month(self, day: dt.date | None) -> str:
        """Return a month and its year: ``Mar 2026``."""
        return self._date(day, "MMM y")

    def whole_month(self, day: dt.date | None) -> str:
        """Return a month by its full name, and its year."""
        return self._date(day, "MMMM y")

    def day(self, day: dt.date | None) -> str:
        """Return a date: ``5 Jan 2026``."""
        return self._date(day, "d MMM y")

    def _date(self, day: dt.date | None, pattern: str) -> str:
        return NOTHING if day is None else format_date(day, pattern, _locale(self.language))

    def moment(self, at: dt.datetime | None) -> str:
        """Return an instant to the minute, on the clock of the zone: ``5 Jan 2026, 09:12``."""
        if at is None:
            return NOTHING
        there = at.astimezone(ZoneInfo(self.zone))
        return f"{self.day(there.date())}, {there:%H:%M}"

    def moment_in_full(self, at: dt.datetime) -> str:
        """Return an instant for a sentence, on its own clock: ``5 January 2026 at 09:12``."""
        # Babel would take an instant to UTC; people are told the hour that was agreed on.
        clock = at.replace(tzinfo=None)
        locale = _locale(self.language)
        if locale.language in _IN_FULL:
            return format_datetime(clock, _IN_FULL[locale.language], locale=locale)
        return f"{format_date(clock, 'long', locale)}, {format_time(clock, 'short', locale=locale)}"


def _rounded(value: float | Decimal, digits: int | None) -> Decimal:
    """Return a number as it is written; what is rounded to nothing has no sign."""
    if digits is None:
        exact = Decimal(str(value))
    elif isinstance(value, Decimal):
        exact = value.quantize(Decimal(1).scaleb(-digits), context=_EXACT)
    else:
        exact = Decimal(f"{value:.{digits}f}")
    return exact if exact else exact.copy_abs()


def _decimals(number: Decimal) -> int:
    """Return how many decimals a number has that are not idle zeros."""
    exponent = number.normalize(_EXACT).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


ENGLISH: Final = Format("en")
ITALIAN: Final = Format("it")
