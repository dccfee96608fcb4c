"""Hash chains in memory."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from ..model.event import Event
from .chain import Leaf, Link, RetiredLeaf
from .memory_listing import MemoryListing

__all__: list[str] = []


class MemoryChains(MemoryListing):
    """What the tables in memory are asked, and told, of chains."""

    def _put(self, table: MutableMapping[Any, Any], key: Any, value: Any) -> None:
        raise NotImplementedError

    def _drop(self, table: MutableMapping[Any, Any], key: Any) -> None:
        raise NotImplementedError

    def events(self, deal_id: int) -> list[tuple[Event, dt.datetime]]:
        raise NotImplementedError

    def chain(self, pipeline: int) -> str | None:
        return self._tables.chains.get(pipeline)

    def begin_chain(self, pipeline: int, position: str) -> None:
        if pipeline not in self._tables.chains:
            self._put(self._tables.chains, pipeline, position)

    def move_chain(self, pipeline: int, position: str) -> None:
        self._put(self._tables.chains, pipeline, position)

    def last_link(self, pipeline: int) -> Link | None:
        return max(self._links_of(pipeline), default=None)

    def links(self, pipeline: int, after: int, limit: int) -> list[Link]:
        return sorted(link for link in self._links_of(pipeline) if link.n > after)[:limit]

    def free_deals(self, deal_ids: Sequence[int]) -> set[int]:
        return {number for number in deal_ids if number in self._tables.deals}

    def unchained(
        self, deal_ids: Sequence[int], limit: int
    ) -> list[tuple[int, Event, dt.datetime]]:
        found: list[tuple[int, Event, dt.datetime]] = []
        for number in sorted(set(deal_ids) & self._tables.deals.keys()):
            chained = {(leaf.source, leaf.id) for leaf in self._tables.leaves.get(number, ())}
            found += (
                (number, event, recorded_at)
                for event, recorded_at in self.events(number)
                if event.identity not in chained
            )
        return found[:limit]

    def salts(self, deal_ids: Sequence[int]) -> dict[int, bytes]:
        known = self._tables.salts
        return {number: known[number] for number in deal_ids if number in known}

    def save_salts(self, salts: Mapping[int, bytes]) -> None:
        for number, salt in salts.items():
            self._put(self._tables.salts, number, salt)

    def append_link(self, pipeline: int, link: Link, leaves: Sequence[Leaf]) -> None:
        self._put(self._tables.links, (pipeline, link.n), link)
        for leaf in leaves:
            there = self._tables.leaves.get(leaf.deal_id, ())
            self._put(self._tables.leaves, leaf.deal_id, (*there, leaf))

    def retire_leaves(self, deal_id: int, kind: str) -> None:
        for leaf in self._tables.leaves.get(deal_id, ()):
            retired = RetiredLeaf(leaf.link, leaf.leaf, kind, 0)
            pipeline = self._tables.deals[deal_id][0]
            self._put(self._tables.retired, (pipeline, leaf.link, leaf.leaf), retired)
        self._drop(self._tables.leaves, deal_id)
        if deal_id in self._tables.salts:
            self._put(self._tables.salts, deal_id, b"")

    def retired_leaves(self, pipeline: int, limit: int) -> list[RetiredLeaf]:
        return sorted(leaf for leaf in self._retired_of(pipeline) if not leaf.retired)[:limit]

    def note_retired(self, pipeline: int, link: int, leaves: Sequence[RetiredLeaf]) -> None:
        for leaf in leaves:
            key = (pipeline, leaf.link, leaf.leaf)
            self._put(self._tables.retired, key, leaf._replace(retired=link))

    def open_links(self, pipeline: int, links: Collection[int]) -> set[int]:
        found = {leaf.link for leaf in self._leaves_in(pipeline)}
        found |= {leaf.link for leaf in self._retired_of(pipeline) if not leaf.retired}
        return found & set(links)

    def drop_leaves(self, pipeline: int, links: Collection[int]) -> None:
        for leaf in list(self._retired_of(pipeline)):
            if leaf.link in links:
                self._drop(self._tables.retired, (pipeline, leaf.link, leaf.leaf))

    def leaves_of(self, deal_ids: Sequence[int]) -> dict[int, list[Leaf]]:
        known = self._tables.leaves
        return {number: sorted(known[number]) for number in deal_ids if known.get(number)}

    def leaves_between(self, pipeline: int, after: int, until: int) -> list[tuple[int, bytes]]:
        found = [(leaf.link, leaf.leaf) for leaf in self._leaves_in(pipeline)]
        found += [(leaf.link, leaf.leaf) for leaf in self._retired_of(pipeline)]
        return [(link, leaf) for link, leaf in found if after < link <= until]

    def retired_between(self, pipeline: int, after: int, until: int) -> list[RetiredLeaf]:
        found = (leaf for leaf in self._retired_of(pipeline) if after < leaf.retired <= until)
        return sorted(found, key=lambda leaf: (leaf.retired, leaf.link, leaf.leaf))

    def stray_leaves(self, pipeline: int, last: int, limit: int) -> list[tuple[int, str, str]]:
        found = [
            (leaf.link, leaf.source, leaf.id)
            for leaf in self._leaves_in(pipeline)
            if not 0 < leaf.link <= last
        ]
        found += [
            (leaf.link, "", "")
            for leaf in self._retired_of(pipeline)
            if not 0 < leaf.link <= last or not 0 <= leaf.retired <= last
        ]
        return sorted(found)[:limit]

    def _links_of(self, pipeline: int) -> Iterator[Link]:
        return (link for (of, _), link in self._tables.links.items() if of == pipeline)

    def _leaves_in(self, pipeline: int) -> Iterator[Leaf]:
        deals = self._tables.deals
        found = self._tables.leaves.items()
        return (leaf for deal, leaves in found if deals[deal][0] == pipeline for leaf in leaves)

    def _retired_of(self, pipeline: int) -> Iterator[RetiredLeaf]:
        return (leaf for (of, *_), leaf in self._tables.retired.items() if of == pipeline)
