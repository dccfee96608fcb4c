"""What conditions on a deal say about each other: whether they can hold together, and fail.

The answer is sound in one direction: "cannot" is proved, from the guard algebra and what is known
of the guards in it (a property has one value, a larger value is also at least a smaller one);
"can" may be wrong, above all about functions, into which nobody looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

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
    is_filled,
)
from .rules import Rule

__all__ = ["Condition", "Filled", "atoms_of", "can_hold", "condition_of", "is_opaque", "is_same"]

MOST_ATOMS: Final = 12
"""Conditions with more different parts are not looked into: the table doubles with each."""


@attrs.frozen
class Filled(Guard):
    """A required property, or deal field, is filled."""

    name: str


Condition = Guard


def condition_of(rule: Rule) -> Condition:
    """Return all that has to hold for *rule* to move a deal: its guard and its requirements."""
    required: tuple[Guard, ...] = tuple(map(Filled, rule.into.requires))
    return AllOf(required if rule.when is None else (rule.when, *required))


def can_hold(holds: Iterable[Condition], fails: Iterable[Condition] = ()) -> bool:
    """Return whether a deal can meet every condition of *holds* and none of *fails*.

    ``False`` is certain. ``True`` is not: it is also the answer where nothing is known.
    """
    wanted = AllOf((*holds, *map(Not, fails)))
    atoms: list[Guard] = []
    for atom in atoms_of(wanted):
        if not any(is_same(atom, known) for known in atoms):
            atoms.append(atom)
    if len(atoms) > MOST_ATOMS:
        return True
    return _search(wanted, atoms, [])


def is_opaque(condition: Condition) -> bool:
    """Return whether a part of *condition* is a function, of which nothing is known."""
    known = (CartHasItems, Filled, PropertyEquals, PropertyIsSet, ValueAtLeast)
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


def _search(wanted: Guard, atoms: list[Guard], values: list[bool]) -> bool:
    """Try the truth values of the remaining atoms, leaving out what contradicts itself."""
    if len(values) == len(atoms):
        return _is_true(wanted, atoms, values)
    atom = atoms[len(values)]
    for value in (True, False):
        possible = not any(
            _is_impossible(known, given, atom, value) or _is_impossible(atom, value, known, given)
            for known, given in zip(atoms, values, strict=False)
        )
        if possible and _search(wanted, atoms, [*values, value]):
            return True
    return False


def _is_true(guard: Guard, atoms: list[Guard], values: list[bool]) -> bool:
    if isinstance(guard, AllOf):
        return all(_is_true(part, atoms, values) for part in guard.parts)
    if isinstance(guard, AnyOf):
        return any(_is_true(part, atoms, values) for part in guard.parts)
    if isinstance(guard, Not):
        return not _is_true(guard.inner, atoms, values)
    if isinstance(guard, CartIsEmpty):
        return not _is_true(CartHasItems(), atoms, values)
    return next(v for atom, v in zip(atoms, values, strict=True) if is_same(atom, guard))


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
        case ValueAtLeast(), Filled(name="currency"):
            return one.currency is not None and not other_holds
        case ValueAtLeast(), ValueAtLeast():
            return _value_is_impossible(one, other, other_holds)
        case _:
            return False


def _value_is_impossible(one: ValueAtLeast, other: ValueAtLeast, other_holds: bool) -> bool:
    if other.currency is None or other.currency == one.currency:
        return one.least >= other.least and not other_holds
    return one.currency is not None and other_holds
