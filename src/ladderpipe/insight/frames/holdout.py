"""Which customers a send policy has held out, and what else they did: read with the deals."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, Final

import polars as pl

from ...board.customers import keys_of
from ...model.customer import hashed
from ...stores.base import CROWD, StoredDeal, Transaction, chunks
from .schema import INSTANT

__all__ = ["ARMS", "HoldoutReader"]

ARMS: Final[dict[str, Any]] = {
    "deal": pl.String,
    "customer": pl.Int64,
    "arm": pl.String,
    "since": INSTANT,
}
"""A row for every deal of a customer that was given an arm: ``sent``, ``held_out``, or ``both``
where the customer's keys were given either."""

_PAGE: Final = 500


class HoldoutReader:
    """Groups deals into customers as their pages are read.

    Args:
        secret: the store's own, which the keys of the arms are hashed with.
    """

    def __init__(self, transaction: Transaction, secret: bytes) -> None:
        self._transaction = transaction
        self._secret = secret
        self._deals: dict[str, list[str]] = {}

    def take(self, deals: Iterable[StoredDeal]) -> None:
        """Note the keys of some deals."""
        for stored in deals:
            for key in keys_of(stored.customer):
                self._deals.setdefault(key, []).append(stored.deal)

    def arms(self) -> pl.DataFrame:
        """Return the deals of customers that were given an arm."""
        keys = {key: hashed(self._secret, key) for key in self._deals} if self._secret else {}
        known: dict[str, tuple[str, dt.datetime]] = {}
        for some in chunks(keys.values(), _PAGE):
            known |= self._transaction.arms(some)
        if not known:
            return pl.DataFrame(schema=ARMS)
        customers = self._customers()
        given: dict[int, set[tuple[str, dt.datetime]]] = {}
        for key, name in keys.items():
            if name in known and key in customers:
                given.setdefault(customers[key], set()).add(known[name])
        rows = {
            (deal, customer): (deal, customer, *_arm(given[customer]))
            for key, customer in customers.items()
            if customer in given
            for deal in self._deals[key]
        }
        return pl.DataFrame(list(rows.values()), ARMS, orient="row").sort("customer", "deal")

    def _customers(self) -> Mapping[str, int]:
        """Return by key the number of the customer that it stands for; a crowd's is nobody's."""
        first: dict[str, str] = {}

        def root(key: str) -> str:
            while first[key] != key:
                first[key] = key = first[first[key]]
            return key

        of_deal: dict[str, str] = {}
        for key, deals in self._deals.items():
            if len(deals) > CROWD:
                continue
            first[key] = key
            for deal in deals:
                first[root(key)] = root(of_deal.setdefault(deal, key))
        numbers: dict[str, int] = {}
        return {key: numbers.setdefault(root(key), len(numbers)) for key in first}


def _arm(given: set[tuple[str, dt.datetime]]) -> tuple[str, dt.datetime]:
    arms = {arm for arm, _ in given}
    return (arms.pop() if len(arms) == 1 else "both"), min(at for _, at in given)
