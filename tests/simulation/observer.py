"""Somebody who looks at the store after every commit, and says what must never be seen there."""

from __future__ import annotations

import datetime as dt
from typing import Final

import attrs

from ladderpipe.board.customers import keys_of
from ladderpipe.stores import Store
from ladderpipe.stores.base import EffectRow, MoveRecord, StoredDeal, Transaction

from .ladder import ASKED_INSIDE, CAP
from .ledger import Ledger

__all__ = ["Observer", "Violation", "must"]

ALL: Final = 1000


class Violation(BaseException):
    """The simulation has seen what must never be.

    It is no ``Exception``, so that nobody takes it for the error of a handler.
    """


def must(holds: bool, otherwise: str) -> None:
    """Raise unless something holds.

    Raises:
        Violation: it does not.
    """
    if not holds:
        raise Violation(otherwise)


@attrs.frozen
class Held:
    """A lease: who took it, and until when nobody else may."""

    worker: str
    lease: str
    until: dt.datetime


class Observer:
    """Reads what is committed, over a connection of its own.

    Args:
        store: a way into the store that stops nowhere.
        pipeline: the store's number for the pipeline.
        lease: how long the boards' leases last.
    """

    def __init__(self, store: Store, pipeline: int, lease: dt.timedelta) -> None:
        self._store = store
        self._pipeline = pipeline
        self._lease = lease
        self.forget(Ledger())

    def forget(self, ledger: Ledger) -> None:
        """Begin anew, on an empty store."""
        self._ledger = ledger
        self._deals: dict[int, StoredDeal] = {}
        self._begun: set[str] = set()
        self._held: dict[str, Held] = {}
        self._claims: dict[tuple[str, str], int] = {}
        self._delivered: set[str] = set()
        self._visits: dict[int, set[str]] = {}

    def look(self, worker: str, now: dt.datetime) -> None:
        """Look at the store after *worker* has ended a transaction.

        Args:
            now: what time it is by the worker's clock.

        Raises:
            Violation: something is seen that must never be.
        """
        with self._store.transaction(write=False) as transaction:
            for stored, _ in transaction.every_deal(self._pipeline, 0, ALL):
                if stored != self._deals.get(stored.id):
                    self._deals[stored.id] = stored
                    self._see_deal(transaction, stored)
            claimed = transaction.effects(self._pipeline, None, ("claimed",))
            for row in claimed:
                self._see_claim(transaction, row, worker)
            for key in [key for key in self._held if key not in {row.key for row in claimed}]:
                self._see_settled(transaction, key, worker, now)

    # -- deals --------------------------------------------------------------------------------

    def _see_deal(self, transaction: Transaction, stored: StoredDeal) -> None:
        moves = transaction.moves(stored.id)
        visits = {move.visit_key for move in moves}
        self._ledger.vanished |= self._visits.get(stored.id, set()) - visits
        self._visits[stored.id] = visits
        if stored.stage is None:
            must(not moves, f"{stored.deal} is not open, and has moved: {moves}")
            return
        must(bool(moves), f"{stored.deal} is open and has never moved")
        must(_tile(moves), f"the visits of {stored.deal} do not tile its life: {moves}")
        stands = (stored.stage, stored.visit_key, stored.visit, stored.entered_at)
        last = moves[-1]
        must(
            stands == (last.into, last.visit_key, last.n, last.at),
            f"{stored.deal} stands at {stands} and its last move says {last}",
        )
        if last.visit_key not in self._begun:
            self._begun.add(last.visit_key)
            self._see_visit_begun(transaction, stored, last)

    def _see_visit_begun(
        self, transaction: Transaction, stored: StoredDeal, visit: MoveRecord
    ) -> None:
        found = {
            row.name
            for row in transaction.effects(self._pipeline, stored.id, None)
            if row.visit_key == visit.visit_key and row.phase == "into"
        }
        asked = ASKED_INSIDE[visit.into]
        must(
            found >= asked,
            f"{stored.deal} is seen in {visit.into} without the effects {sorted(asked - found)}",
        )

    # -- claims -------------------------------------------------------------------------------

    def _see_claim(self, transaction: Transaction, row: EffectRow, worker: str) -> None:
        held = self._held.get(row.key)
        if held is not None and held.lease == row.lease:
            return
        claimed_at = row.ready_at - self._lease
        what = f"{row.name} of {row.deal} was claimed by {worker} at {claimed_at:%d %H:%M:%S}"
        must(
            held is None or held.until <= claimed_at,
            f"{what} while {held} was delivering it",
        )
        must(row.key not in self._delivered, f"{what} after it had been delivered")
        stored = self._deals[row.deal_id]
        must(
            stored.due_at is None or stored.due_at > claimed_at,
            f"{what} before the timer due at {stored.due_at} was fired",
        )
        must(
            row.run_to_completion or stored.visit_key == row.visit_key,
            f"{what} after its visit had ended: the deal is in {stored.stage}",
        )
        if row.name == "promo" and row.address is not None:
            self._see_promo(transaction, row, stored, what)
        self._held[row.key] = Held(worker, str(row.lease), row.ready_at)
        self._claims[row.key, worker] = self._claims.get((row.key, worker), 0) + 1

    def _see_promo(
        self, transaction: Transaction, row: EffectRow, stored: StoredDeal, what: str
    ) -> None:
        """Check that nothing is sent to who has bought, or was written to a moment ago."""
        for other in transaction.deals_of_customer(list(keys_of(stored.customer)), ALL):
            closed_at, since = other.closed_at, stored.last_event_at
            must(
                other.stage != "won" or closed_at is None or since is None or closed_at < since,
                f"{what}, and its customer had bought with {other.deal}",
            )
        sent_at = row.sent_at
        must(sent_at is not None, f"{what} at no time")
        for sent in transaction.effects(self._pipeline, None, ("claimed", "delivered")):
            is_other = sent.key != row.key and sent.address == row.address
            if is_other and sent.sent_at is not None and sent_at is not None:
                must(
                    abs(sent_at - sent.sent_at) >= CAP,
                    f"{what}, and {sent.name} of {sent.deal} went there within 16 hours",
                )

    def _see_settled(
        self, transaction: Transaction, key: str, worker: str, now: dt.datetime
    ) -> None:
        held = self._held.pop(key)
        row = transaction.effect(self._pipeline, key)
        must(row is not None, f"effect {key} was claimed by {held.worker} and is gone")
        assert row is not None
        has_ended = row.state in ("cancelled", "expired", "dropped") or (
            # Its lease is over: whoever comes next gives it up after its last try, or puts it off
            # while its deal cannot be brought up to date, and says why.
            row.state in ("dead", "pending") and row.error is not None and held.until <= now
        )
        must(
            held.worker == worker or has_ended,
            f"{row.name} of {row.deal} was put to {row.state} by {worker}, and {held} had it",
        )
        if row.state == "delivered":
            must(
                self._ledger.handled[key] > 0,
                f"{row.name} of {row.deal} counts as delivered, and no handler returned",
            )
            self._delivered.add(key)

    def see_handler(self, worker: str, key: str) -> None:
        """Note that a handler was called.

        Raises:
            Violation: its worker has not claimed the effect once more than it was called before.
        """
        left = self._claims.get((key, worker), 0)
        must(left > 0, f"effect {key} is being delivered by {worker} without a claim")
        self._claims[key, worker] = left - 1


def _tile(moves: list[MoveRecord]) -> bool:
    """Return whether each visit ends where the next begins, and not before it began."""
    stages = [None, *(move.into for move in moves)]
    ats = [move.at for move in moves]
    numbers = [move.n for move in moves]
    return (
        [move.out_of for move in moves] == stages[:-1]
        and ats == sorted(ats)
        and numbers == list(range(1, len(moves) + 1))
    )
