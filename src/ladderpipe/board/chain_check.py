"""Checking a hash chain: its links, and what is stored of every deal against its leaves.

:mod:`ladderpipe.board.verify` goes through the deals, and hands each one on.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

import attrs

from ..model.clock import instant_text
from ..model.event import Event
from ..public import publish
from ..stores.base import Store, Transaction
from ..stores.chain import Leaf, Link, RetiredLeaf
from .boundary import UNREADABLE
from .chain import Position, is_late
from .links import Header, hash_of, head_text, leaf_of, retirements_of, root_of

__all__ = ["ChainReport"]

LINKS: Final = 50
"""Links that are checked in one transaction."""
KEPT: Final = 100
STRAYS: Final = 10

Note = Callable[[str], None]


@attrs.frozen(kw_only=True)
class ChainReport:
    """What a hash chain says of what is stored. What does not agree is among the differences.

    Attributes:
        head: of the chain as it was checked; ``None`` if it has no link.
        links: how many links were checked.
        events: how many events are in the chain.
        not_chained: how many are not in it yet.
        forgotten: how many leaves links say are retired because a person was forgotten.
        removed: how many because their deals were removed or archived.
        not_noted: how many are retired, and no link says so yet.
        late: how many events came into the chain long after they had been recorded.
        missed: events that should be in it and are not: they were committed late, or somebody
            else has put them there. The first hundred, in words.
    """

    head: str | None
    links: int
    events: int
    not_chained: int
    forgotten: int
    removed: int
    not_noted: int
    late: int
    missed: tuple[str, ...]


class ChainCheck:
    """One check of a pipeline's chain, deal after deal, and then link after link.

    Args:
        settled: what was recorded by then should be in the chain.
    """

    def __init__(self, pipeline: str, number: int, settled: dt.datetime | None) -> None:
        self._pipeline = pipeline
        self._number = number
        self._settled = settled
        self._counts: Counter[str] = Counter()
        self._missed: list[str] = []
        self._leaves: dict[int, list[Leaf]] = {}
        self._salts: dict[int, bytes] = {}

    @classmethod
    def begun(cls, transaction: Transaction, pipeline: str, number: int) -> ChainCheck | None:
        """Return a check of the chain there is; ``None`` if there is none."""
        text = transaction.chain(number)
        if text is None:
            # Who takes a chain's row away, or all of its links, has left something of it.
            is_left = transaction.last_link(number) or transaction.stray_leaves(number, 0, 1)
            return cls(pipeline, number, None) if is_left else None
        return cls(pipeline, number, Position.of(text).settled)

    def read(self, transaction: Transaction, deal_ids: Sequence[int]) -> None:
        """Read what there is of a page of deals."""
        self._leaves = transaction.leaves_of(deal_ids) if deal_ids else {}
        self._salts = transaction.salts(deal_ids) if deal_ids else {}

    def deal(
        self, transaction: Transaction, deal_id: int, events: Sequence[tuple[Event, dt.datetime]]
    ) -> Iterator[str]:
        """Yield in words what of a deal is not what the chain has of it."""
        leaves = {(leaf.source, leaf.id): leaf for leaf in self._leaves.get(deal_id, ())}
        salt = self._salts.get(deal_id)
        self._counts["events"] += len(leaves)
        if leaves and not salt:
            yield f"{len(leaves)} of its events are in the chain, and their salt is gone"
            return
        for event, recorded_at in events:
            leaf = leaves.pop((event.source, event.id), None)
            if leaf is None:
                self._not_chained(event, recorded_at, salt)
            elif salt and leaf_of(salt, self._pipeline, event, recorded_at) != leaf.leaf:
                yield (
                    f"{_named(event.source, event.id)} is not what it was when link {leaf.link} of "
                    "the chain was made"
                )
        yield from self._gone(transaction, list(leaves.values()))

    def _gone(self, transaction: Transaction, leaves: Sequence[Leaf]) -> Iterator[str]:
        if not leaves:
            return
        known = transaction.known_events(self._number, [(leaf.source, leaf.id) for leaf in leaves])
        for leaf in leaves:
            there = known.get((leaf.source, leaf.id))
            where = "is not there any more" if there is None else "is another deal's now"
            yield (
                f"{_named(leaf.source, leaf.id)} {where}, which was this deal's when link "
                f"{leaf.link} of the chain was made"
            )

    def _not_chained(self, event: Event, recorded_at: dt.datetime, salt: bytes | None) -> None:
        self._counts["not_chained"] += 1
        if is_late(recorded_at, self._settled, salt) and len(self._missed) < KEPT:
            self._missed.append(
                f"{_named(event.source, event.id)} of deal {event.deal!r}, recorded at "
                f"{instant_text(recorded_at)}"
            )

    def links(self, store: Store, head: tuple[int, bytes] | None, note: Note) -> ChainReport:
        """Check all links, and return what the whole check found."""
        walk = _Links(self._pipeline, self._number, note)
        last: Link | None = None
        while True:
            with store.transaction(write=False) as transaction:
                page = transaction.links(self._number, walk.n, LINKS)
                for link in page:
                    if head is not None and link.n == head[0] and link.hash != head[1]:
                        note(
                            f"link {link.n} of the chain is not the one that was noted as its head"
                        )
                    last = link
                walk.check(transaction, page)
                if len(page) == LINKS:
                    continue
                walk.end(transaction)
                pending = len(transaction.retired_leaves(self._number, 1_000_000))
            break
        if head is not None and (last is None or last.n < head[0]):
            note(
                f"link {head[0]} was noted as the head of the chain, and it has "
                f"{0 if last is None else last.n} links: its end was cut off"
            )
        header = walk.header
        return ChainReport(
            head=None if last is None else head_text(last),
            links=walk.checked,
            events=self._counts["events"],
            not_chained=self._counts["not_chained"],
            forgotten=0 if header is None else header.forgotten,
            removed=0 if header is None else header.removed,
            not_noted=pending,
            late=0 if header is None else header.late,
            missed=tuple(self._missed),
        )


class _Links:
    """The links from the first on, each held to the one before and to its leaves."""

    def __init__(self, pipeline: str, number: int, note: Note) -> None:
        self._pipeline = pipeline
        self._number = number
        self._note = note
        self.n = 0
        self.checked = 0
        self.header: Header | None = None
        self._previous = ""
        self._added: dict[int, int] = {}
        self._retired: Counter[int] = Counter()
        self._dropped: set[int] = set()

    def check(self, transaction: Transaction, page: Sequence[Link]) -> None:
        """Check the next links."""
        if not page:
            return
        until = max(link.n for link in page)
        leaves: dict[int, list[bytes]] = {}
        for n, leaf in transaction.leaves_between(self._number, self.n, until):
            leaves.setdefault(n, []).append(leaf)
        retired: dict[int, list[RetiredLeaf]] = {}
        for each in transaction.retired_between(self._number, self.n, until):
            retired.setdefault(each.retired, []).append(each)
        for link in page:
            self._check(link, leaves.get(link.n, ()), retired.get(link.n, ()))
            self.n = link.n
            self.checked += 1

    def _check(
        self, link: Link, leaves: Collection[bytes], retired: Collection[RetiredLeaf]
    ) -> None:
        what = f"link {link.n} of the chain"
        if link.n != self.n + 1:
            self._note(f"{what} follows link {self.n}: what was between them is gone")
        if hash_of(link.header) != link.hash:
            self._note(f"{what} does not give its hash: it was altered")
        try:
            header = Header.of(link.header)
        except UNREADABLE:
            self._note(f"{what} cannot be read")
            self._previous = link.hash.hex()
            return
        if (header.n, header.pipeline) != (link.n, self._pipeline):
            self._note(f"{what} says that it is link {header.n} of {header.pipeline!r}")
        if header.previous != self._previous and link.n == self.n + 1:
            self._note(f"{what} does not follow the link that stands before it")
        self._previous = link.hash.hex()
        self._leaves(what, header, leaves)
        self._retirements(what, header, retired)
        self.header = header

    def _leaves(self, what: str, header: Header, leaves: Collection[bytes]) -> None:
        self._added[header.n] = header.added
        if not leaves and header.added:
            self._dropped.add(header.n)  # right if all of them are retired, which comes later
        elif root_of(leaves) != header.root:
            self._note(
                f"{what} was made of {header.added} events, and what the store has of them "
                f"({len(leaves)}) does not give its root"
            )

    def _retirements(self, what: str, header: Header, found: Collection[RetiredLeaf]) -> None:
        stored = {each.link: each for each in retirements_of(found)}
        for said in header.retired:
            self._retired[said.link] += said.leaves
            is_ = stored.pop(said.link, None)
            if is_ is None:
                self._dropped.add(said.link)
            elif is_ != said:
                self._note(
                    f"{what} says that {said.forgotten} events of link {said.link} were forgotten "
                    f"and {said.removed} removed, and the store has others"
                )
        for n in stored:
            self._note(
                f"{what} does not say that any event of link {n} is gone, and the store does"
            )

    def end(self, transaction: Transaction) -> None:
        """Check what only all links together say."""
        for n in sorted(self._dropped):
            if self._retired[n] != self._added.get(n):
                self._note(
                    f"the leaves of link {n} of the chain are gone: it has "
                    f"{self._added.get(n, 0)}, and links say of {self._retired[n]} that they were "
                    "forgotten or removed"
                )
        for n, source, id in transaction.stray_leaves(self._number, self.n, STRAYS):
            of = f" of {_named(source, id)}" if id else ""
            self._note(
                f"a leaf{of} belongs to link {n} of the chain, or to a deal, that is not there"
            )


def _named(source: str, id: str) -> str:
    of = f" of {source!r}" if source else ""
    return f"event {id!r}{of}"


publish("ladderpipe", ChainReport)
