"""Amounts of money: exact decimals, checked at the door."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any, Final

from ..errors import InvalidEventError

__all__ = [
    "AMOUNT",
    "MOST_PLACES",
    "amount",
    "amount_text",
    "check_total",
    "currency_code",
    "may_be_too_much",
    "product",
    "read_amount",
    "shortest",
    "stored_amount",
    "total",
]

LARGEST: Final = Decimal(10) ** 15
"""Amounts and quantities, as they are told, stay below it."""

LARGEST_TOTAL: Final = Decimal(10) ** 18
"""Totals of lines and of carts stay below it: tables have 28 digits before the point, and hold
the sum of a million deals, each multiplied by thirty years of days."""

MOST_PLACES: Final = 10
"""Decimal places of an amount; a line's total is rounded to them, half to even."""

AMOUNT: Final = r"^-?[0-9]+(\.[0-9]+)?$"
"""How records write an amount, as a regular expression of JSON Schema."""

_MANY_DIGITS: Final = 14
_FINEST: Final = Decimal(1).scaleb(-MOST_PLACES)
_CURRENCY = re.compile(r"[A-Z]{3}")
_NUMBERS = (str, int, float, Decimal)
_EXACT = Context(prec=200, rounding=ROUND_HALF_EVEN)
"""Wide enough that no sum or product of accepted amounts is ever rounded unawares."""


def product(one: Decimal, other: Decimal) -> Decimal:
    """Return the product, rounded half to even at the tenth place; no thread's context counts."""
    exact = _EXACT.multiply(one, other)
    rounded = exact.quantize(_FINEST, context=_EXACT)
    return exact if rounded == exact else rounded


def may_be_too_much(quantity: Decimal, unit_price: Decimal | None) -> bool:
    """Return quickly whether a line may come to so much that its cart has to be added up."""
    digits = quantity.adjusted() + (0 if unit_price is None else max(unit_price.adjusted(), 0))
    return digits >= _MANY_DIGITS


def check_total(found: Decimal, what: str) -> None:
    """Refuse a total that reports could not add up any more.

    Raises:
        InvalidEventError: it reaches 10^18.
    """
    if abs(found) >= LARGEST_TOTAL:
        raise InvalidEventError(
            f"{what} comes to {found:.3e}, and totals stay below {LARGEST_TOTAL:.0e}, so that "
            "reports can add them up: check quantities and unit prices"
        )


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Return the exact sum, zero for none."""
    result = Decimal()
    for part in amounts:
        result = _EXACT.add(result, part)
    return result


def amount(value: Any, what: str) -> Decimal:
    """Return *value* as an exact decimal.

    Text, whole numbers and decimals are taken as they are; a float as the shortest text that
    reads back as it, so 19.99 is 19.99. What is finer than ten places is rounded half to even, so
    that PHP's 10.799999999999999 is 10.8.

    Raises:
        InvalidEventError: not a number, not finite, or beyond 10^15.
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
    if isinstance(exponent, int) and exponent < -MOST_PLACES and number.adjusted() <= _MANY_DIGITS:
        number = shortest(number.quantize(_FINEST, context=_EXACT))
    if number.adjusted() > _MANY_DIGITS:
        raise ValueError(f"amounts are below {LARGEST:.0e}")
    return number


def shortest(number: Decimal) -> Decimal:
    """Return the number without zeros at its end, and without an exponent."""
    if not number:
        return Decimal()
    short = number.normalize(_EXACT)
    return short.quantize(Decimal(1), context=_EXACT) if short == short.to_integral() else short


def stored_amount(text: str) -> Decimal:
    """Return an amount that was stored.

    Raises:
        InvalidOperation: it is none.
    """
    found = Decimal(text)
    if not found.is_finite():
        raise InvalidOperation(f"{text!r} is no amount")
    return found


def read_amount(told: Any) -> Decimal:
    """Return the amount that a record holds; one that has been read is itself.

    Raises:
        InvalidEventError: it is none, or not written as :func:`amount_text` writes it.
    """
    if isinstance(told, Decimal) and told.is_finite():
        return told
    if isinstance(told, str) and re.fullmatch(AMOUNT, told):
        return Decimal(told)
    raise InvalidEventError(f"{told!r} is no amount as records write it: say '899.00', as text")


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
