"""Amounts of money: exact decimals, checked at the door."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from ..errors import InvalidEventError

__all__ = ["amount", "amount_text", "currency_code", "product", "total"]

LARGEST = Decimal(10) ** 15
MOST_PLACES = 10
_CURRENCY = re.compile(r"[A-Z]{3}")
_NUMBERS = (str, int, float, Decimal)
_EXACT = Context(prec=200)
"""Wide enough that no sum or product of accepted amounts is ever rounded."""


def product(one: Decimal, other: Decimal) -> Decimal:
    """Return the exact product, whatever the thread's decimal context says."""
    return _EXACT.multiply(one, other)


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Return the exact sum, zero for none."""
    result = Decimal()
    for part in amounts:
        result = _EXACT.add(result, part)
    return result


def amount(value: Any, what: str) -> Decimal:
    """Return *value* as an exact decimal.

    Text, whole numbers and decimals are taken as they are; a float as the shortest text that
    reads back as it, so 19.99 is 19.99.

    Raises:
        InvalidEventError: not a number, not finite, beyond 10^15 or finer than 10 places.
    """
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        raise InvalidEventError(f"{what} is {value!r}, not an amount: write it as text, '899.00'")
    try:
        return _exact(value)
    except InvalidOperation:
        raise InvalidEventError(f"{what} is {value!r}, not an amount such as '899.00'") from None
    except ValueError as error:
        raise InvalidEventError(f"{what} is {value!r}: {error}") from None


@functools.lru_cache(maxsize=4096, typed=True)
def _exact(value: str | float | Decimal) -> Decimal:
    # The prices of a catalogue and the quantities in carts come back again and again.
    number = Decimal(value) if type(value) is str else Decimal(str(value))
    if not number.is_finite():
        raise ValueError("an amount must be finite")
    exponent = number.as_tuple().exponent
    if number.adjusted() > 14 or (isinstance(exponent, int) and exponent < -MOST_PLACES):
        raise ValueError(
            f"amounts are below {LARGEST:.0e} and have at most {MOST_PLACES} decimal places"
        )
    return number


def amount_text(value: Decimal) -> str:
    """Return an amount as records write it: exact, and never with an exponent."""
    return f"{value:f}"


def currency_code(value: Any) -> str:
    """Return *value* if it looks like an ISO 4217 code.

    Raises:
        InvalidEventError: it is not three capital letters.
    """
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        raise InvalidEventError(f"currency is {value!r}, not a code of ISO 4217 such as 'EUR'")
    return value
