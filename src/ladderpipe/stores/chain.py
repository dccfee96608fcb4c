"""What a store keeps of a hash chain: links, leaves, salts, and what was taken out of it on record.

What is hashed is :mod:`ladderpipe.board.chain`'s business; a store only keeps it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from ..model.event import Event

__all__ = ["FORGOTTEN", "REMOVED", "Chains", "Leaf", "Link", "RetiredLeaf"]

FORGOTTEN: Final = "forgotten"
"""Why a leaf is retired whose event has other content now, without a person."""
REMOVED: Final = "removed"
"""Why a leaf is retired whose event went with its deal: it was removed, or put into an archive."""


class Link(NamedTuple):
    """A link of a chain; ``header`` is the text that ``hash`` is the SHA-256 of."""

    n: int
    hash: bytes
    header: str


class Leaf(NamedTuple):
    """The hash of an event, and in which link it stands."""

    deal_id: int
    source: str
    id: str
    link: int
    leaf: bytes


class RetiredLeaf(NamedTuple):
    """A leaf whose event is gone or has other content, for a reason.

    ``retired`` is the link that says so, 0 as long as none does.
    """

    link: int
    leaf: bytes
    kind: str
    retired: int


class Chains(Protocol):
    """The part of a transaction that keeps chains."""

    def chain(self, pipeline: int) -> str | None:
        """Return how far a pipeline's chain goes, a text; ``None`` where it has none.

        To write, its row is locked until the end, so that there is one at a time who appends.
        """

    def begin_chain(self, pipeline: int, position: str) -> None:
        """Begin a chain, unless there is one."""

    def move_chain(self, pipeline: int, position: str) -> None:
        """Note how far a chain goes now."""

    def last_link(self, pipeline: int) -> Link | None:
        """Return the last link of a chain."""

    def links(self, pipeline: int, after: int, limit: int) -> list[Link]:
        """Return links with a number above *after*, in order."""

    def free_deals(self, deal_ids: Sequence[int]) -> set[int]:
        """Lock and return those of these deals that no other transaction is at."""

    def unchained(
        self, deal_ids: Sequence[int], limit: int
    ) -> list[tuple[int, Event, dt.datetime]]:
        """Return events of these deals that have no leaf, each with when it was recorded."""

    def salts(self, deal_ids: Sequence[int]) -> dict[int, bytes]:
        """Return the salts of deals; that of a deal whose leaves were retired is empty."""

    def save_salts(self, salts: Mapping[int, bytes]) -> None:
        """Keep the salts of deals."""

    def append_link(self, pipeline: int, link: Link, leaves: Sequence[Leaf]) -> None:
        """Store a link and its leaves."""

    def retire_leaves(self, deal_id: int, kind: str) -> None:
        """Keep the leaves of a deal without their events, and erase its salt."""

    def retired_leaves(self, pipeline: int, limit: int) -> list[RetiredLeaf]:
        """Return leaves that were retired and that no link says so of yet."""

    def note_retired(self, pipeline: int, link: int, leaves: Sequence[RetiredLeaf]) -> None:
        """Note which link says that these leaves are retired."""

    def open_links(self, pipeline: int, links: Collection[int]) -> set[int]:
        """Return those of these links that have leaves which no link says are retired."""

    def drop_leaves(self, pipeline: int, links: Collection[int]) -> None:
        """Remove the leaves of links of which all are retired, on record."""

    def leaves_of(self, deal_ids: Sequence[int]) -> dict[int, list[Leaf]]:
        """Return the leaves of deals, without those that have none."""

    def leaves_between(self, pipeline: int, after: int, until: int) -> list[tuple[int, bytes]]:
        """Return every leaf of the links with a number above *after* and up to *until*.

        Each comes with its link's number; retired ones are among them.
        """

    def retired_between(self, pipeline: int, after: int, until: int) -> list[RetiredLeaf]:
        """Return leaves that links above *after* and up to *until* say are retired."""

    def stray_leaves(self, pipeline: int, last: int, limit: int) -> list[tuple[int, str, str]]:
        """Return link, source and id of leaves of no deal, or of no link from 1 to *last*.

        Those of retired leaves are empty.
        """
