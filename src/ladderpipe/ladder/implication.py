"""What conditions on a deal say about each other: whether they can hold together, and fail.

The answer is sound in one direction: "cannot" is proved, from the guard algebra and what is known
of the guards in it (a property has one value, a larger value is also at least a smaller one);
"can" may be wrong, above all about functions, into which nobody looks.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Final, TypeAlias

import attrs

from .guards import (
    AllOf,
    AnyOf,
    CartHasItems,
    CartIsEmpty,
    FunctionGuard,
    Guard,
    Not,
    PropertyEquals,
    PropertyIsSet,
    ValueAtLeast,
    ValueAtMost,
    is_filled,
)
from .rules import Rule

__all__ = [
    "Condition",
    "Conditions",
    "Filled",
    "Term",
    "atoms_of",
    "can_hold",
    "condition_of",
    "is_opaque",
    "is_same",
]

MOST_ATOMS: Final = 12
"""Conditions with more different parts are not looked into: the table doubles with each."""


@attrs.frozen
class Filled(Guard):
    """A required property, or deal field, is filled."""

    name: str


Condition = Guard
Term: TypeAlias = "int | tuple[str, tuple[Term, ...]]"
"""A condition with its atoms as numbers: two that are put together alike are equal."""


def condition_of(rule: Rule) -> Condition:
    """Return all that has to hold for *rule* to move a deal: its guard and its requirements."""
    required: tuple[Guard, ...] = tuple(map(Filled, rule.into.requires))
    return AllOf(required if rule.when is None else (rule.when, *required))


def can_hold(holds: Iterable[Condition], fails: Iterable[Condition] = ()) -> bool:
    """Return whether a deal can meet every condition of *holds* and none of *fails*.

    ``False`` is certain. ``True`` is not: it is also the answer where nothing is known.
    """
    conditions = Conditions()
    return conditions.can_hold(map(conditions.read, holds), map(conditions.read, fails))


class Conditions:
    """Conditions that are asked about together, as those of one ladder are.

    Each is read once, and each question is answered once: a ladder asks the same of every stage.
    """

    def __init__(self) -> None:
        self._atoms: list[Guard] = []
        self._numbers: dict[tuple[type[Guard], str | None], list[int]] = {}
        self._atoms_in: dict[Term, int] = {}
        self._answers: dict[tuple[frozenset[Term], frozenset[Term]], bool] = {}
        self._excluded: dict[tuple[int, bool, int, bool], bool] = {}

    def read(self, condition: Condition) -> Term:
        """Return a condition as a term of the atoms that are known here."""
        term, atoms = self._read(condition)
        self._atoms_in[term] = atoms
        return term

    def can_hold(self, holds: Iterable[Term], fails: Iterable[Term] = ()) -> bool:
        """Return whether a deal can meet every condition of *holds* and none of *fails*.

        ``False`` is certain. ``True`` is not: it is also the answer where nothing is known.
        """
        question = frozenset(holds), frozenset(fails)
        answer = self._answers.get(question)
        if answer is None:
            answer = self._answers[question] = self._answer(*question)
        return answer

    def _answer(self, holds: frozenset[Term], fails: frozenset[Term]) -> bool:
        if self.are_too_many((*holds, *fails)):
            return True
        wanted: Term = ("all", (*holds, *(("not", (term,)) for term in fails)))
        values: dict[int, bool] = {}
        if not _settle(wanted, True, values):
            return False
        known = list(values.items())
        if any(
            self._exclude(*one, *other) for i, one in enumerate(known) for other in known[i + 1 :]
        ):
            return False
        atoms = self._atoms_in_all((*holds, *fails))
        numbers = [number for number in range(len(self._atoms)) if atoms >> number & 1]
        return self._search(wanted, [number for number in numbers if number not in values], values)

    def are_too_many(self, terms: Iterable[Term]) -> bool:
        """Return whether conditions have more different parts than are looked into together."""
        return self._atoms_in_all(terms).bit_count() > MOST_ATOMS

    def _atoms_in_all(self, terms: Iterable[Term]) -> int:
        """Return the atoms of these conditions, a bit for each."""
        return functools.reduce(operator.or_, map(self._atoms_in.__getitem__, terms), 0)

    def _read(self, guard: Guard) -> tuple[Term, int]:
        """Return a guard as a term, and the set of its atoms, a bit each."""
        if isinstance(guard, Not | CartIsEmpty):
            inner = CartHasItems() if isinstance(guard, CartIsEmpty) else guard.inner
            term, atoms = self._read(inner)
            return ("not", (term,)), atoms
        if not isinstance(guard, AllOf | AnyOf):
            number = self._number(guard)
            return number, 1 << number
        terms: list[Term] = []
        atoms = 0
        for part in guard.parts:
            term, found = self._read(part)
            terms.append(term)
            atoms |= found
        if len(terms) == 1:
            return terms[0], atoms
        return ("all" if isinstance(guard, AllOf) else "any", tuple(terms)), atoms

    def _number(self, atom: Guard) -> int:
        name = atom.name if isinstance(atom, Filled | PropertyEquals | PropertyIsSet) else None
        alike = self._numbers.setdefault((type(atom), name), [])
        for number in alike:
            if is_same(atom, self._atoms[number]):
                return number
        self._atoms.append(atom)
        alike.append(len(self._atoms) - 1)
        return alike[-1]

    def _search(self, wanted: Term, open: list[int], values: dict[int, bool]) -> bool:
        """Try the truth values of the open atoms, leaving out what contradicts itself."""
        known = _truth(wanted, values)
        if known is False or not open:
            return known is True
        atom, rest = open[0], open[1:]
        return any(
            self._search(wanted, rest, {**values, atom: value})
            for value in (True, False)
            if not any(self._exclude(other, given, atom, value) for other, given in values.items())
        )

    def _exclude(self, one: int, holds: bool, other: int, other_holds: bool) -> bool:
        """Return whether two different atoms cannot have these values."""
        question = one, holds, other, other_holds
        answer = self._excluded.get(question)
        if answer is None:
            first, second = self._atoms[one], self._atoms[other]
            answer = _is_impossible(first, holds, second, other_holds)
            answer = answer or _is_impossible(second, other_holds, first, holds)
            self._excluded[question] = answer
        return answer


def _settle(term: Term, holds: bool, values: dict[int, bool]) -> bool:
    """Note the atoms without which *term* cannot be so; return whether they do not contradict."""
    if isinstance(term, int):
        return values.setdefault(term, holds) is holds
    kind, parts = term
    if kind == "not":
        return _settle(parts[0], not holds, values)
    if (kind == "all") is holds:
        return all(_settle(part, holds, values) for part in parts)
    return True


def _truth(term: Term, values: Mapping[int, bool]) -> bool | None:
    """Return whether a condition holds; ``None`` while the values known so far do not tell."""
    if isinstance(term, int):
        return values.get(term)
    kind, parts = term
    if kind == "not":
        inner = _truth(parts[0], values)
        return None if inner is None else not inner
    decisive = kind == "any"
    answer: bool | None = not decisive
    for part in parts:
        found = _truth(part, values)
        if found is decisive:
            return decisive
        if found is None:
            answer = None
    return answer


def is_opaque(condition: Condition) -> bool:
    """Return whether a part of *condition* is a function, of which nothing is known."""
    known = (CartHasItems, Filled, PropertyEquals, PropertyIsSet, ValueAtLeast, ValueAtMost)
    return not all(isinstance(atom, known) for atom in atoms_of(condition))


def atoms_of(guard: Guard) -> Iterator[Guard]:
    """Yield the parts of a guard that are not put together from others, repetitions included."""
    if isinstance(guard, AllOf | AnyOf):
        for part in guard.parts:
            yield from atoms_of(part)
    elif isinstance(guard, Not):
        yield from atoms_of(guard.inner)
    else:
        yield CartHasItems() if isinstance(guard, CartIsEmpty) else guard


def is_same(one: Guard, other: Guard) -> bool:
    """Return whether two atoms ask the same, so that they always give the same answer."""
    if isinstance(one, PropertyEquals) and isinstance(other, PropertyEquals):
        # As in PropertyEquals.holds, 1 is not True.
        return one == other and type(one.expected) is type(other.expected)
    if isinstance(one, FunctionGuard) and isinstance(other, FunctionGuard):
        return one.function is other.function
    return one == other


def _is_impossible(one: Guard, holds: bool, other: Guard, other_holds: bool) -> bool:
    """Return whether two different atoms cannot have these values, *one* seen first."""
    if not holds:
        return False
    match one, other:
        case PropertyEquals(name=name), PropertyEquals(name=same):
            return name == same and other_holds
        case PropertyEquals(name=name), PropertyIsSet(name=same):
            return name == same and other_holds != is_filled(one.expected)
        case PropertyEquals(name=name), Filled(name=same):
            return name == same and is_filled(one.expected) and not other_holds
        case PropertyIsSet(name=name), Filled(name=same):
            return name == same and not other_holds
        case ValueAtLeast(), Filled(name="value"):
            return one.least > 0 and not other_holds
        case ValueAtMost(), Filled(name="value"):
            return one.most < 0 and not other_holds
        case ValueAtLeast() | ValueAtMost(), Filled(name="currency"):
            return one.currency is not None and not other_holds
        case ValueAtLeast() | ValueAtMost(), ValueAtLeast() | ValueAtMost():
            return _value_is_impossible(one, other, other_holds)
        case _:
            return False


def _value_is_impossible(
    one: ValueAtLeast | ValueAtMost, other: ValueAtLeast | ValueAtMost, other_holds: bool
) -> bool:
    if other_holds:
        in_two = None not in (one.currency, other.currency) and one.currency != other.currency
        return in_two or _lowest(one) > _highest(other) or _lowest(other) > _highest(one)
    # What holds is known to be a value in its currency; only then does "not at least" say "less".
    in_one = other.currency is None or other.currency == one.currency
    return in_one and _lowest(one) >= _lowest(other) and _highest(one) <= _highest(other)


def _lowest(guard: ValueAtLeast | ValueAtMost) -> Decimal:
    return guard.least if isinstance(guard, ValueAtLeast) else Decimal("-Infinity")


def _highest(guard: ValueAtLeast | ValueAtMost) -> Decimal:
    return guard.most if isinstance(guard, ValueAtMost) else Decimal("Infinity")
