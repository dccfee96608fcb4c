"""What a ladder's guards ask of a deal, as the bits of one word; and the guards over such words.

A word says of every question whether the answer is yes. A guard is then a table with an entry for
each word, so that asking it of a million deals is one look-up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

import attrs
import numpy as np

from ...fold.deal_data import DealData
from ...ladder.guards import (
    AllOf,
    AnyOf,
    CartHasItems,
    CartIsEmpty,
    Facts,
    Guard,
    Not,
    PropertyEquals,
    PropertyIsSet,
    ValueAtLeast,
    ValueAtMost,
    is_filled,
)
from ...ladder.implication import Filled, atoms_of, condition_of, is_same
from ...ladder.machine import FIELDS
from ...ladder.rules import Rule
from ...model.event import Event
from .arrays import MONEY_PLACES, NEVER, Flags, Ints

__all__ = ["MOST_QUESTIONS", "Asked", "FieldIsSet", "HasValue", "question_of", "questions"]

MOST_QUESTIONS: Final = 12
"""The tables double with each further question."""


@attrs.frozen
class FieldIsSet(Guard):
    """True when a field of the deal (owner, contact, …) is filled."""

    name: str

    def holds(self, deal: Facts, event: Event | None) -> bool:
        """Return whether it is filled, now."""
        return is_filled(getattr(deal, self.name))


@attrs.frozen
class HasValue(Guard):
    """True when the deal's value is not zero."""

    def holds(self, deal: Facts, event: Event | None) -> bool:
        """Return whether there is any."""
        return bool(deal.value)


def question_of(rule: Rule) -> Guard:
    """Return all that has to hold for *rule*: its guard and what its target requires."""
    return _without_filled(condition_of(rule))


def _without_filled(guard: Guard) -> Guard:
    """Say in guards what "filled" means: the property of that name, or else the field."""
    match guard:
        case AllOf(parts=parts):
            return AllOf(tuple(map(_without_filled, parts)))
        case AnyOf(parts=parts):
            return AnyOf(tuple(map(_without_filled, parts)))
        case Not(inner=inner):
            return Not(_without_filled(inner))
        # A deal's value may be a property or what its cart comes to; either fills the field.
        case Filled(name="value"):
            return AnyOf((PropertyIsSet("value"), HasValue()))
        case Filled(name=name) if name in FIELDS:
            return AnyOf((PropertyIsSet(name), FieldIsSet(name)))
        case Filled(name=name):
            return PropertyIsSet(name)
        case _:
            return guard


def questions(rules: Iterable[Rule]) -> tuple[Guard, ...]:
    """Return the different questions that *rules* ask."""
    found: list[Guard] = []
    for rule in rules:
        for atom in atoms_of(question_of(rule)):
            if not any(is_same(atom, known) for known in found):
                found.append(atom)
    return tuple(found)


@attrs.frozen
class ValueQuestion:
    """A question about a known value, scaled: whether it is any but zero, or within bounds.

    Attributes:
        bit: of the word.
        is_any: whether any value but zero will do.
        least: otherwise, the smallest that will.
        most: and the largest.
        currency: the place of the one it has to be in; ``None`` when any will do.
    """

    bit: int
    is_any: bool
    least: int
    most: int
    currency: int | None

    def holds(self, value: Ints) -> Flags:
        """Return of which values it holds, whatever their currency."""
        found: Flags = value != 0 if self.is_any else (value >= self.least) & (value <= self.most)
        return found


@attrs.frozen(eq=False)
class Asked:
    """The questions of a ladder; the one at index 3 has the bit 8 of a word."""

    questions: tuple[Guard, ...]

    @property
    def words(self) -> int:
        """How many different words there are."""
        return 1 << len(self.questions)

    def bit(self, question: Guard) -> int:
        """Return the bit of a question."""
        where = (n for n, known in enumerate(self.questions) if is_same(known, question))
        return 1 << next(where)

    def word(self, deal: Any) -> int:
        """Return the answers that a deal's data gives."""
        return sum(1 << n for n, q in enumerate(self.questions) if q.holds(deal, None))

    def word_of_nothing(self) -> int:
        """Return the answers of a deal of which nothing was told yet."""
        return self.word(DealData())

    @property
    def cart_bit(self) -> int:
        """The bit of "the cart has items", 0 when nobody asks."""
        return self._bits(CartHasItems)

    @property
    def value_bits(self) -> int:
        """The bits of the questions that the deal's value, or currency with it, answers."""
        return self._bits(ValueAtLeast, ValueAtMost, HasValue)

    def property_bits(self, name: str) -> int:
        """Return the bits of the questions about a property."""
        return sum(
            1 << n
            for n, question in enumerate(self.questions)
            if isinstance(question, PropertyEquals | PropertyIsSet) and question.name == name
        )

    def field_bits(self, name: str) -> int:
        """Return the bits of the questions about a field of the deal."""
        return sum(1 << n for n, q in enumerate(self.questions) if q == FieldIsSet(name))

    def value_questions(self, currencies: Sequence[str]) -> list[ValueQuestion]:
        """Return the questions about the value, for deals whose currencies have these places."""
        found = []
        for question in self.questions:
            least, most = -NEVER, NEVER
            code: str | None = None
            match question:
                case HasValue():
                    pass
                # A bound finer than values are is rounded to the next that a value can have.
                case ValueAtLeast(least=bound, currency=code):
                    least = _scaled(bound, "ROUND_CEILING")
                case ValueAtMost(most=bound, currency=code):
                    most = _scaled(bound, "ROUND_FLOOR")
                case _:
                    continue
            is_known = code in currencies
            # −2 is no currency of any deal: a guard on one that no event names never holds.
            place = None if code is None else currencies.index(code) if is_known else -2
            is_any = isinstance(question, HasValue)
            found.append(ValueQuestion(self.bit(question), is_any, least, most, place))
        return found

    def table(self, guard: Guard) -> Flags:
        """Return, for every word, whether *guard* holds."""
        words = np.arange(self.words)
        found: Flags
        match guard:
            case AllOf(parts=parts):
                # With no parts, the reduction needs what an empty "all of" is: true for every word.
                found = np.logical_and.reduce([words >= 0, *map(self.table, parts)])
            case AnyOf(parts=parts):
                found = np.logical_or.reduce([words < 0, *map(self.table, parts)])
            case Not(inner=inner):
                found = ~self.table(inner)
            case CartIsEmpty():
                found = ~self.table(CartHasItems())
            case _:
                found = (words & self.bit(guard)) != 0
        return found

    def _bits(self, *kinds: type[Guard]) -> int:
        return sum(1 << n for n, q in enumerate(self.questions) if isinstance(q, kinds))


def _scaled(bound: Decimal, rounding: str) -> int:
    shifted = int(bound.scaleb(MONEY_PLACES).to_integral_value(rounding))
    return max(min(shifted, NEVER), -NEVER)
