"""Mistakes that somebody could make in the board or a store, each as a patch for one test.

They stand for what the simulation is there to find: as long as it finds these, its silence about
the real code means something.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import pytest

from ladderpipe import SqliteStore
from ladderpipe.board import ask, claim, handle
from ladderpipe.stores.base import DealChange, StoredDeal
from ladderpipe.stores.mariadb.transaction import MariadbTransaction
from ladderpipe.stores.memory import MemoryTransaction
from ladderpipe.stores.postgres.transaction import PostgresTransaction
from ladderpipe.stores.sqlite.transaction import SqliteTransaction

__all__ = ["MUTANTS", "Mutant"]


@attrs.frozen
class Mutant:
    """A mistake, where it shows, and what is said about it.

    Attributes:
        within: how many schedules it takes at most to be found.
        said: a pattern of what is said.
    """

    name: str
    store: str
    make: Callable[[pytest.MonkeyPatch], None]
    within: int
    said: str | None = None


def claims_without_checking_the_visit(patch: pytest.MonkeyPatch) -> None:
    """Send reminders to customers who have moved on."""
    patch.setattr(claim, "why_not", lambda unit, row, deal: None)


def claims_without_firing_timers(patch: pytest.MonkeyPatch) -> None:
    """Send reminders for visits that a timer has ended, and nobody noticed yet."""
    patch.setattr(claim, "sweep", lambda unit, stored, now: 0)


def claims_what_another_has(patch: pytest.MonkeyPatch) -> None:
    """Take effects away from whoever is delivering them."""
    patch.setattr(claim, "is_ready", lambda row, now: row.state in ("pending", "claimed"))
    patch.setattr(
        SqliteTransaction,
        "free_effect",
        lambda self, pipeline, now, keys: self.effect(pipeline, keys[0]) if keys else None,
    )


def overlooks_purchases(patch: pytest.MonkeyPatch) -> None:
    """Remind customers of a cart when they have bought with another."""
    patch.setattr(ask, "_bought", lambda asked, condition, deals: None)


def forgets_what_was_sent(patch: pytest.MonkeyPatch) -> None:
    """Write to one customer about every cart."""
    patch.setattr(ask, "_sent", lambda asked: iter(()))


def settles_without_the_lease(patch: pytest.MonkeyPatch) -> None:
    """Let a worker whose lease ended decide about what another delivers now."""
    settle = MemoryTransaction.settle_effect
    patch.setattr(
        MemoryTransaction,
        "settle_effect",
        lambda self, key, state, ready_at=None, error=None, lease=None: settle(
            self, key, state, ready_at, error
        ),
    )


def claims_without_the_customers_locks(patch: pytest.MonkeyPatch) -> None:
    """Let a worker ask what a customer has bought or was sent while another one writes it."""
    for transaction in (PostgresTransaction, MariadbTransaction):
        patch.setattr(transaction, "lock_customers", _waiting_only(transaction.lock_customers))


def _waiting_only(lock: Callable[..., bool]) -> Callable[..., bool]:
    return lambda self, keys, wait: lock(self, keys, wait) if wait else True


def commits_before_effects(patch: pytest.MonkeyPatch) -> None:
    """Write effects in a transaction of their own, after the move's."""
    save = SqliteTransaction.save

    def save_in_two(self: Any, pipeline: int, changes: Sequence[DealChange], now: Any) -> None:
        effects = [change.effects for change in changes]
        for change in changes:
            change.effects = ()
        save(self, pipeline, changes, now)
        if self._depth == 0:
            self.connection.execute("COMMIT")
            self.connection.execute("BEGIN IMMEDIATE")
        for change, asked in zip(changes, effects, strict=True):
            save(self, pipeline, [DealChange(change.deal, effects=asked)], now)

    patch.setattr(SqliteTransaction, "save", save_in_two)


def begins_before_it_locks(patch: pytest.MonkeyPatch) -> None:
    """Read first on SQLite, and ask for the write lock when it comes to writing."""
    transaction = SqliteStore.transaction

    @contextlib.contextmanager
    def deferred(self: Any, write: bool = True) -> Iterator[Any]:
        with transaction(self, write=False) as found:
            yield found

    patch.setattr(SqliteStore, "transaction", deferred)


def answers_before_it_commits(patch: pytest.MonkeyPatch) -> None:
    """Tell callers that their event is stored when the commit has failed."""
    take = handle.take

    def answer_first(session: Any, event: Any, hold: bool = False, quiet: bool = False) -> Any:
        answer = None
        try:
            with session.writing() as unit:
                answer = take(unit, event)
        except Exception:
            if answer is None:
                raise
        return answer

    patch.setattr(handle, "handle", answer_first)


def loads_without_a_lock(patch: pytest.MonkeyPatch) -> None:
    """Let two workers decide about one deal at the same time on PostgreSQL."""

    def load(self: Any, pipeline: int, deal: str, create: bool) -> Any:
        ((fingerprint, document, *row),) = self._read(self._sql.LOAD_DEAL, (deal, pipeline))
        if row[0] is not None:
            return self._deal(tuple(row)), document, fingerprint
        added = self._read(self._sql.ADD_DEAL, (pipeline, deal)) if create else []
        return (StoredDeal(added[0][0], deal) if added else None), None, fingerprint

    patch.setattr(PostgresTransaction, "load", load)


def loads_without_a_lock_on_mariadb(patch: pytest.MonkeyPatch) -> None:
    """Let two workers decide about one deal at the same time on MariaDB."""

    def load(self: Any, pipeline: int, deal: str, create: bool) -> Any:
        for _ in range(2):
            ((fingerprint, document, *row),) = self._read(self._sql.LOAD_DEAL, (deal, pipeline))
            if row[0] is not None or not create:
                break
            self._each(self._sql.ADD_DEAL, [(pipeline, deal)])
        return (self._deal(tuple(row)) if row[0] else None), document, fingerprint

    patch.setattr(MariadbTransaction, "load", load)


def reads_while_it_waits_for_the_lock(patch: pytest.MonkeyPatch) -> None:
    """Lock and read in one statement: at READ COMMITTED that shows documents as they were."""

    def load(self: Any, pipeline: int, deal: str, create: bool) -> Any:
        text = self._sql.LOAD_DEAL + b" FOR NO KEY UPDATE OF d"
        text = text.replace(b"LEFT JOIN", b"JOIN", 1)
        rows = self._read(text, (deal, pipeline))
        if rows:
            fingerprint, document, *row = rows[0]
            return self._deal(tuple(row)), document, fingerprint
        return whole_load(self, pipeline, deal, create)

    whole_load = PostgresTransaction.load
    patch.setattr(PostgresTransaction, "load", load)


MUTANTS = (
    Mutant(
        "claims without checking the visit",
        "memory",
        claims_without_checking_the_visit,
        500,
        "after its visit had ended",
    ),
    Mutant(
        "claims without firing timers",
        "memory",
        claims_without_firing_timers,
        500,
        "before the timer due",
    ),
    Mutant(
        "claims what another has",
        "sqlite",
        claims_what_another_has,
        500,
        "was delivering it|had it",
    ),
    Mutant("overlooks purchases", "memory", overlooks_purchases, 1000, "had bought"),
    Mutant("forgets what was sent", "memory", forgets_what_was_sent, 1000, "within 16 hours"),
    Mutant(
        "settles without the lease",
        "memory",
        settles_without_the_lease,
        3000,
        # It is seen while another delivers, or when what another has delivered is sent once more.
        "had it|after it had been delivered",
    ),
    *(
        Mutant(
            f"claims without the customers' locks on {store}",
            store,
            claims_without_the_customers_locks,
            500,
            "within 16 hours|had bought",
        )
        for store in ("postgres", "mariadb")
    ),
    Mutant("commits before effects", "sqlite", commits_before_effects, 500, "without the effects"),
    Mutant("begins before it locks", "sqlite", begins_before_it_locks, 500, "locked"),
    Mutant("answers before it commits", "sqlite", answers_before_it_commits, 1000, "is lost"),
    Mutant("loads without a lock", "postgres", loads_without_a_lock, 400),
    Mutant("loads without a lock on mariadb", "mariadb", loads_without_a_lock_on_mariadb, 400),
    Mutant(
        "reads while it waits for the lock",
        "postgres",
        reads_while_it_waits_for_the_lock,
        200,
    ),
)
