"""Hash chains on SQL databases."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..model.event import Event
from .chain import Leaf, Link, RetiredLeaf
from .sql_effects import SqlEffects

__all__: list[str] = []


class SqlChains(SqlEffects):
    """The named statements of a dialect that are about chains."""

    def chain(self, pipeline: int) -> str | None:
        rows = self._read(self._chain_statement(), (pipeline,))
        return rows[0][0] if rows else None

    def _chain_statement(self) -> Any:
        return self._sql.CHAIN

    def begin_chain(self, pipeline: int, position: str) -> None:
        self._each(self._sql.ADD_CHAIN, [(pipeline, position)])

    def move_chain(self, pipeline: int, position: str) -> None:
        self._each(self._sql.MOVE_CHAIN, [(position, pipeline)])

    def last_link(self, pipeline: int) -> Link | None:
        rows = self._read(self._sql.LAST_LINK, (pipeline,))
        return Link._make(rows[0]) if rows else None

    def links(self, pipeline: int, after: int, limit: int) -> list[Link]:
        return [Link._make(row) for row in self._read(self._sql.LINKS, (pipeline, after, limit))]

    def free_deals(self, deal_ids: Sequence[int]) -> set[int]:
        rows = self._read(self._free_deals_statement(), (self._list(deal_ids),))
        return {number for (number,) in rows}

    def _free_deals_statement(self) -> Any:
        return self._sql.FREE_DEALS

    def unchained(
        self, deal_ids: Sequence[int], limit: int
    ) -> list[tuple[int, Event, dt.datetime]]:
        rows = self._read(self._sql.UNCHAINED, (self._list(deal_ids), limit))
        return [(number, *self._event(tuple(row))) for number, *row in rows]

    def salts(self, deal_ids: Sequence[int]) -> dict[int, bytes]:
        rows = self._read(self._sql.SALTS, (self._list(deal_ids),))
        return {number: bytes(salt) for number, salt in rows}

    def save_salts(self, salts: Mapping[int, bytes]) -> None:
        self._each(self._sql.SAVE_SALT, list(salts.items()))

    def append_link(self, pipeline: int, link: Link, leaves: Sequence[Leaf]) -> None:
        self._each(self._sql.ADD_LINK, [(pipeline, *link)])
        self._each(self._sql.ADD_LEAF, [(pipeline, *leaf) for leaf in leaves])

    def retire_leaves(self, deal_id: int, kind: str) -> None:
        self._each(self._sql.RETIRE_LEAVES, [(kind, deal_id)])
        self._each(self._sql.REMOVE_LEAVES, [(deal_id,)])
        self._each(self._sql.ERASE_SALT, [(b"", deal_id)])

    def retired_leaves(self, pipeline: int, limit: int) -> list[RetiredLeaf]:
        rows = self._read(self._sql.RETIRED_LEAVES, (pipeline, limit))
        return [RetiredLeaf._make(row) for row in rows]

    def note_retired(self, pipeline: int, link: int, leaves: Sequence[RetiredLeaf]) -> None:
        rows = [(link, pipeline, leaf.link, leaf.leaf) for leaf in leaves]
        self._each(self._sql.NOTE_RETIRED, rows)

    def open_links(self, pipeline: int, links: Collection[int]) -> set[int]:
        wanted = self._list(sorted(links))
        rows = self._read(self._sql.OPEN_LINKS, (pipeline, wanted, pipeline, wanted))
        return {link for (link,) in rows}

    def drop_leaves(self, pipeline: int, links: Collection[int]) -> None:
        self._each(self._sql.DROP_LEAVES, [(pipeline, link) for link in sorted(links)])

    def leaves_of(self, deal_ids: Sequence[int]) -> dict[int, list[Leaf]]:
        found: dict[int, list[Leaf]] = {}
        for row in self._read(self._sql.LEAVES_OF, (self._list(deal_ids),)):
            leaf = Leaf._make(row)
            found.setdefault(leaf.deal_id, []).append(leaf)
        return found

    def leaves_between(self, pipeline: int, after: int, until: int) -> list[tuple[int, bytes]]:
        values = (pipeline, after, until, pipeline, after, until)
        return [(link, leaf) for link, leaf in self._read(self._sql.LEAVES_BETWEEN, values)]

    def retired_between(self, pipeline: int, after: int, until: int) -> list[RetiredLeaf]:
        rows = self._read(self._sql.RETIRED_BETWEEN, (pipeline, after, until))
        return [RetiredLeaf._make(row) for row in rows]

    def stray_leaves(self, pipeline: int, last: int, limit: int) -> list[tuple[int, str, str]]:
        found = self._read(self._sql.STRAY_LEAVES, (pipeline, last, limit))
        found += self._read(self._sql.STRAY_RETIRED, (pipeline, last, last, limit))
        return [(link, source, id) for link, source, id in found[:limit]]
