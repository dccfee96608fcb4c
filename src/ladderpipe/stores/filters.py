"""Which deals and tasks to list, and which of them somebody may see."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

import attrs

from ..public import publish

__all__ = ["DealFilter", "Scope", "TaskFilter"]

Names = tuple[str | None, ...]


def _names(given: Collection[str | None] | None) -> Names | None:
    if given is None:
        return None
    if isinstance(given, str):
        raise TypeError(f"{given!r} is one name: give a list of names")
    found = {None if one is None else str.__str__(one) for one in given}
    return tuple(sorted(found, key=lambda one: (one is not None, one or "")))


@attrs.frozen(kw_only=True)
class Scope:
    """The deals that somebody may see; what it leaves out is nowhere, in no count and no total.

    Every part narrows further, and ``None`` does not. A list without names lets nothing through.

    Attributes:
        owners: names of owners; ``None`` among them is for deals that nobody owns.
        sources: where deals come from; ``None`` among them is for deals that told none.
        stages: keys of stages.

    Raises:
        TypeError: a part is one text and no list of texts.
    """

    owners: Names | None = attrs.field(default=None, converter=_names)
    sources: Names | None = attrs.field(default=None, converter=_names)
    stages: Names | None = attrs.field(default=None, converter=_names)


@attrs.frozen(kw_only=True)
class DealFilter:
    """Which deals to list; ``None`` means any.

    Attributes:
        stages: keys of stages.
        owner: of these deals.
        source: of these deals, as :func:`short_key` has it.
        words: what :func:`words_of` makes of a search; a deal has to have all of them.
        customer: a key of the customer, or ``company:`` and what :func:`short_key` makes of one.
        owners: several owners; ``None`` among them is for deals that nobody owns.
        sources: several sources, as :func:`short_key` has them; ``None`` likewise.
    """

    stages: tuple[str, ...] | None = None
    owner: str | None = None
    source: str | None = None
    words: tuple[str, ...] = ()
    customer: str | None = None
    owners: Names | None = None
    sources: Names | None = None

    @property
    def is_any(self) -> bool:
        """Whether nothing is asked for."""
        return self == DealFilter()

    @property
    def is_plain(self) -> bool:
        """Whether nothing but stages is asked for."""
        return self == DealFilter(stages=self.stages)

    @property
    def is_narrow(self) -> bool:
        """Whether an index or a search finds the few deals that match."""
        return bool(self.words) or self.customer is not None


@attrs.frozen(kw_only=True)
class TaskFilter:
    """Which open tasks to list; ``None`` means any.

    Attributes:
        now: what expired before this instant is no task any more.
        owner: of these tasks.
        deals: ids of the deals that they are about.
        due_by: those that are to be done by then.
        of: those of such deals; stages, owners and sources count.
    """

    now: dt.datetime
    owner: str | None = None
    deals: tuple[str, ...] | None = None
    due_by: dt.datetime | None = None
    of: DealFilter = DealFilter()


publish("ladderpipe", Scope)
publish("ladderpipe.stores", DealFilter)
