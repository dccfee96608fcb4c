"""Refusals grouped by their reason, so that a million of a kind are one line with an example."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import attrs

from ..public import publish

__all__ = ["RefusalGroup", "Refusals", "grouped"]

MOST_KINDS: Final = 200
"""How many kinds are told apart; the rest are counted as one."""
MOST_VALUES: Final = 5
_OTHERS: Final = "of other kinds, too many to tell apart"
# What stands in quotes or digits differs from line to line; the words around it are the reason.
_PARTICULAR: Final = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\d+"


@attrs.frozen
class RefusalGroup:
    """Refusals of one kind.

    Attributes:
        count: how many there are.
        where: the place of the first: a line, a deal.
        reason: why the first was refused, in words.
        values: what the reasons name first in quotes, the first five different ones.
    """

    count: int
    where: str
    reason: str
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        others = ", ".join(self.values[1:])
        also = f" (also {others}{', …' if len(self.values) == MOST_VALUES else ''})"
        return f"{self.count:,} × {self.where}: {self.reason}{also if others else ''}"


class Refusals:
    """Collects refusals in constant memory."""

    def __init__(self) -> None:
        self._groups: dict[str, RefusalGroup] = {}

    def note(self, where: str, reason: str) -> None:
        """Note one."""
        found = re.search(_PARTICULAR, reason)
        self.add(RefusalGroup(1, where, reason, () if found is None else (found[0][:80],)))

    def add(self, group: RefusalGroup) -> None:
        """Note those that another collector has grouped."""
        kind = re.sub(_PARTICULAR, "…", group.reason[:400])
        if kind not in self._groups and len(self._groups) >= MOST_KINDS:
            kind, group = _OTHERS, attrs.evolve(group, reason=_OTHERS, values=())
        known = self._groups.get(kind)
        if known is None:
            self._groups[kind] = group
            return
        values = known.values
        if len(values) < MOST_VALUES:
            values = tuple(dict.fromkeys((*values, *group.values)))[:MOST_VALUES]
        self._groups[kind] = attrs.evolve(known, count=known.count + group.count, values=values)

    def groups(self) -> tuple[RefusalGroup, ...]:
        """Return the groups, the largest first."""
        return tuple(sorted(self._groups.values(), key=lambda group: -group.count))


def grouped(refused: Iterable[tuple[str, str]]) -> tuple[RefusalGroup, ...]:
    """Return refusals, each a place and a reason, by kind, the largest first."""
    collected = Refusals()
    for where, reason in refused:
        collected.note(where, reason)
    return collected.groups()


publish("ladderpipe", RefusalGroup)
