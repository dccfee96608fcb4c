"""What every store must keep of a hash chain."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from ladderpipe import verify
from ladderpipe.stores import Transaction
from ladderpipe.stores.chain import FORGOTTEN

from .shop import Shop, contract_ladder, same

__all__ = ["CHAINS"]

ADA: Final = "ada@example.com"
A_WHILE: Final = 0.2
"""Seconds in which whoever is kept waiting does not go on."""


def _agrees(shop: Shop, head: str | None, what: str) -> None:
    report = verify(shop.board, head=head)
    same(report.differences, (), f"what verify finds {what}")


def _chained(shop: Shop) -> tuple[int, int, int, int]:
    found = shop.board.chain()
    assert found is not None
    return found.links, found.events, found.forgotten, found.removed


def _chains_what_is_told(shop: Shop) -> None:
    """Every event comes into one link of the chain, and what is forgotten or removed is noted."""
    same(shop.board.chain(), None, "a chain that nobody has begun")
    shop.handle("lead.came", data={"contact": {"email": ADA}})
    shop.handle("told", "waits", hours=1)
    shop.handle("lead.came", "sold", hours=1)
    first = shop.board.extend_chain().head
    same(_chained(shop), (1, 3, 0, 0), "links, events, forgotten and removed at first")
    same(shop.board.extend_chain().links, 0, "links for nothing new")
    shop.handle("paid", "sold", hours=2)
    shop.board.forget(email=ADA)
    _agrees(shop, first, "before a link says what was forgotten")
    second = shop.board.extend_chain()
    # What is stored of her deal now is another content, and a baseline.
    same(_chained(shop), (2, 5, 1, 0), "links, events, forgotten and removed then")
    shop.board.remove("sold")
    _agrees(shop, second.head, "before a link says what was removed")
    same(shop.board.extend_chain().retired, 2, "leaves of a removed deal")
    same(_chained(shop), (3, 3, 1, 2), "links, events, forgotten and removed at last")
    for head in (first, second.head):
        _agrees(shop, head, "with a head that was noted")


def _separates_chains(shop: Shop) -> None:
    """A chain is one pipeline's, and a salt one deal's."""
    other = shop.open(contract_ladder("other"))
    shop.handle("lead.came")
    other.handle(shop.event("lead.came"))
    shop.board.extend_chain()
    same(other.chain(), None, "another pipeline's chain")
    other.extend_chain()
    same(_chained(shop), (1, 1, 0, 0), "the chain beside another one")
    _agrees(shop, None, "beside another chain")


def _keeps_chains_apart(shop: Shop) -> None:
    """Leaves that are retired lose their event and their salt, and are dropped when told to."""
    number = shop.board._session.number
    shop.handle("lead.came")
    shop.handle("lead.came", "other")
    shop.board.extend_chain()
    with shop.store.transaction() as transaction:
        ids = _ids(transaction, number)
        same(len(transaction.leaves_of(ids)), 2, "deals with leaves")
        same(transaction.unchained(ids, 10), [], "events without a leaf")
        transaction.retire_leaves(ids[0], FORGOTTEN)
    with shop.store.transaction() as transaction:
        same(list(transaction.leaves_of(ids)), ids[1:], "deals with leaves then")
        same(transaction.salts(ids)[ids[0]], b"", "the salt of a deal whose leaves were retired")
        same(len(transaction.salts(ids)[ids[1]]), 16, "bytes of another salt")
        same([deal for deal, *_ in transaction.unchained(ids, 10)], ids[:1], "what has no leaf")
        found = transaction.retired_leaves(number, 10)
        same([(leaf.link, leaf.kind, leaf.retired) for leaf in found], [(1, FORGOTTEN, 0)], "it")
        same(len(transaction.leaves_between(number, 0, 1)), 2, "leaves of the link")
        same(transaction.open_links(number, [1]), {1}, "links that are still needed")
        same(transaction.stray_leaves(number, 1, 10), [], "leaves of no link")
        same(len(transaction.stray_leaves(number, 0, 10)), 2, "leaves where no link is")
        transaction.note_retired(number, 2, found)
        same(transaction.retired_leaves(number, 10), [], "what no link says of yet")
        noted = [leaf._replace(retired=2) for leaf in found]
        same(transaction.retired_between(number, 1, 2), noted, "what a link says is retired")
        same(transaction.retired_between(number, 0, 1), [], "what another says")
        transaction.retire_leaves(ids[1], FORGOTTEN)
        rest = transaction.retired_leaves(number, 10)
        transaction.note_retired(number, 2, rest)
        same(transaction.open_links(number, [1]), set(), "links that are needed then")
        transaction.drop_leaves(number, [1])
        same(transaction.leaves_between(number, 0, 9), [], "leaves that were dropped")


def _ids(transaction: Transaction, number: int) -> list[int]:
    return [stored.id for stored, _ in transaction.every_deal(number, 0, 10)]


def _appends_one_at_a_time(shop: Shop) -> None:
    """Who appends to a chain keeps others from it until the end."""
    shop.handle("lead.came")
    shop.board.extend_chain()
    shop.handle("lead.came", "other")
    heads: list[str | None] = []
    work = threading.Thread(target=lambda: heads.append(shop.board.extend_chain().head))
    with shop.store.transaction() as transaction:
        transaction.chain(shop.board._session.number)
        work.start()
        work.join(A_WHILE)
        same(heads, [], "what another one appends meanwhile")
    work.join()
    same(len(heads), 1, "what it appends afterwards")
    same(_chained(shop), (2, 2, 0, 0), "links, events, forgotten and removed")


CHAINS: Final[tuple[Callable[[Shop], None], ...]] = (
    _chains_what_is_told,
    _separates_chains,
    _keeps_chains_apart,
    _appends_one_at_a_time,
)
