"""What events tell when their data stands in columns: one payload for each event."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from ...errors import InvalidEventError
from ...fold.deal_data import DealData
from ...model.money import currency_code
from .arrays import (
    LARGEST,
    MONEY_PLACES,
    NOTHING,
    PRICE_PLACES,
    QUANTITY_PLACES,
    Flags,
    Ints,
    Numbers,
    either,
    is_constant,
    none_of,
)
from .codes import amounts, coded
from .guard_bits import Asked
from .payloads import ANSWERS, CURRENCY, LARGEST_VALUE, UNREADABLE, VALUE, Lines, Told
from .program import ADD, REMOVE, REPLACE, Program

__all__ = ["FIELDS", "PROPERTY", "read_columns"]

PROPERTY: Final = "properties."
"""What the name of a column with a property of the deal begins with."""

FIELDS: Final = {"owner": "owner", "company": "company", "deal_source": "source"}
"""Columns with fields of the deal, and what the deal calls them; ``source`` is the event's."""


def read_columns(program: Program, frame: pl.DataFrame, trigger: Numbers) -> Told:
    """Read the data columns of *frame*, whose rows have the triggers given."""
    line, bad_line = _lines(frame)
    value, bad_value = _amounts(frame, "value", MONEY_PLACES, LARGEST_VALUE)
    currency, currencies, bad_currency = _currencies(frame)
    of_hand = program.is_hand.take(trigger)
    mask, bits = _answers(program.asked, frame, currency, of_hand)
    change = program.change.take(trigger)
    unreadable = ((change == ADD) | (change == REMOVE)) & either(line.sku < 0, bad_line)
    unreadable |= (change == ADD) & (currency >= 0) & (line.quantity == 0)
    unreadable = either(unreadable, change == REPLACE, bad_value, bad_currency)
    flags = _flag(currency >= 0, CURRENCY)
    if not is_constant(value):
        flags |= _flag(value != NOTHING, VALUE)
    flags |= _flag(unreadable, UNREADABLE)
    if of_hand.any():
        flags[of_hand] = 0
    if not is_constant(mask):
        flags |= _flag(mask != 0, ANSWERS)
    zero = np.broadcast_to(np.int64(0), len(frame))
    return Told(
        flags=flags,
        line=line,
        value=value,
        currency=currency,
        mask=mask,
        bits=bits,
        first_line=zero,
        line_count=zero,
        cart_lines=Lines(zero[:0], zero[:0], zero[:0]),
        currencies=currencies,
    )


def _flag(is_told: Flags, flag: int) -> Numbers:
    """Return *flag* where something is told; in bytes, since there are very many of them."""
    return is_told.view(np.int8) * np.int8(flag)


def _answers(
    asked: Asked, frame: pl.DataFrame, currency: Numbers, of_hand: Flags
) -> tuple[Numbers, Numbers]:
    """Return which bits of the word each event answers anew, and the answers."""
    mask, bits = _constant(frame, 0), _constant(frame, 0)
    for column in frame.columns:
        name = column.removeprefix(PROPERTY)
        is_property = name != column
        if not is_property and column not in FIELDS:
            continue
        here = asked.property_bits(name) if is_property else asked.field_bits(FIELDS[column])
        if here:
            codes, distinct = coded(frame[column])
            words = [_word(asked, column, value) & here for value in distinct]
            is_told = (codes >= 0) if is_property else (codes >= 0) & ~of_hand
            mask = mask | np.where(is_told, here, 0)
            bits = bits | np.where(is_told, np.array([*words, 0])[codes], 0)
    if has_currency := asked.field_bits("currency"):
        is_told = (currency >= 0) & ~of_hand
        mask, bits = mask | has_currency * is_told, bits | has_currency * is_told
    return mask, bits


def _word(asked: Asked, column: str, value: object) -> int:
    deal = DealData()
    if column in FIELDS:
        setattr(deal, FIELDS[column], value)
    else:
        deal.properties = {column.removeprefix(PROPERTY): value}
    return asked.word(deal)


def _constant(frame: pl.DataFrame, value: int) -> Ints:
    """Return a column of one number, which takes no memory."""
    return np.broadcast_to(np.int64(value), len(frame))


def _lines(frame: pl.DataFrame) -> tuple[Lines, Flags]:
    quantity, bad_quantity = _amounts(frame, "quantity", QUANTITY_PLACES)
    price, bad_price = _amounts(frame, "unit_price", PRICE_PLACES)
    bad = either((quantity < 0) & (quantity != NOTHING), bad_quantity, bad_price)
    if "sku" not in frame.columns:
        return Lines(np.broadcast_to(np.int32(-1), len(frame)), quantity, price), bad
    codes, distinct = coded(frame["sku"])
    nameless = np.array([*(not sku.strip() for sku in distinct), False])
    return Lines(codes, quantity, price), bad | nameless[codes] if nameless.any() else bad


def _amounts(
    frame: pl.DataFrame, name: str, places: int, largest: int = LARGEST
) -> tuple[Ints, Flags]:
    if name not in frame.columns or frame[name].null_count() == len(frame):
        return _constant(frame, NOTHING), none_of(len(frame))
    return amounts(frame[name], places, largest)


def _currencies(frame: pl.DataFrame) -> tuple[Numbers, tuple[str, ...], Flags]:
    if "currency" not in frame.columns:
        return _constant(frame, -1), (), none_of(len(frame))
    codes, distinct = coded(frame["currency"])
    refused = np.array([*(not _is_currency(code) for code in distinct), False])
    return codes, tuple(distinct), refused[codes] if refused.any() else none_of(len(frame))


def _is_currency(code: str) -> bool:
    try:
        return bool(currency_code(code))
    except InvalidEventError:
        return False
