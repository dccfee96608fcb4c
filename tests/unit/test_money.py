"""Amounts are exact, whatever the thread's decimal context says."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import pytest

from ladderpipe.errors import InvalidEventError
from ladderpipe.model.money import amount, currency_code, product, total


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("899.00", "899.00"),
        (2, "2"),
        (19.99, "19.99"),
        (Decimal("0.1"), "0.1"),
        ("-5", "-5"),
        # What is finer than ten places is rounded half to even: PHP writes 15 digits of a float.
        (10.799999999999999, "10.8"),
        ("0.00000000025", "0.0000000002"),
        ("0.00000000035", "0.0000000004"),
        ("99.99999999999", "100"),
        ("-1e-11", "0"),
    ],
)
def test_amounts_are_taken_exactly_to_ten_places(value: Any, expected: str) -> None:
    assert format(amount(value, "price"), "f") == expected


@pytest.mark.parametrize(
    "value",
    ["", "ten", "1,5", "NaN", "Infinity", True, None, [], 10**15],
)
def test_what_is_no_amount_is_refused_by_name(value: Any) -> None:
    with pytest.raises(InvalidEventError, match="price"):
        amount(value, "price")


def test_nothing_is_rounded() -> None:
    with localcontext(prec=3):
        found = (
            product(Decimal("1234.5678"), Decimal(3)),
            total([Decimal("1000000.01"), Decimal("0.01")]),
        )
    assert found == (Decimal("3703.7034"), Decimal("1000000.02"))


@pytest.mark.parametrize("value", ["eur", "EURO", "€", "", None, 978])
def test_a_currency_is_a_code_of_three_capitals(value: Any) -> None:
    assert currency_code("EUR") == "EUR"
    with pytest.raises(InvalidEventError, match="ISO 4217"):
        currency_code(value)
