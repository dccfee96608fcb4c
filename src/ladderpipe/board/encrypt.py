"""Encrypting what is plain in a store that was sealed after it had deals."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from ..errors import SealedError, StoreError
from ..model.report import DealFailure
from ..public import publish
from ..stores.base import HeldRow, chunks
from ..stores.sealed.renewal import is_sealed, plain_held, seal_deal, seal_held, sealed_of
from ..stores.sealed.transaction import SealedTransaction
from .board import Board
from .held_against import keys_in
from .hold import event_of
from .session import Session
from .unit import Unit

__all__ = ["EncryptReport", "encrypt"]

BATCH: Final = 100
"""How many deals to a transaction."""


@attrs.frozen(kw_only=True)
class EncryptReport:
    """What was encrypted.

    Attributes:
        deals: how many deals had something that was plain.
        held: how many held events were.
        failures: deals that cannot be opened, each with the reason.
    """

    deals: int
    held: int
    failures: tuple[DealFailure, ...] = ()


def encrypt(
    board: Board, *, on_progress: Callable[[int, int], None] | None = None
) -> EncryptReport:
    """Encrypt what is plain of a pipeline's deals, from before its store was sealed.

    Called again it goes on where it ended. Others may use the store meanwhile, with its keys.

    Args:
        on_progress: told after every hundred deals how many of how many are done.

    Raises:
        StoreError: the store is not sealed: the board was opened without keys.
    """
    session = board._session
    if not is_sealed(session.store):
        raise StoreError(
            "there are no keys to encrypt with: open the board with keys=..., the URL of the ring"
        )
    with session.reading() as transaction:
        total = transaction.count_deals(session.number)
        held = plain_held(_sealed(transaction), session.number)
    deals = done = after = 0
    failures: list[DealFailure] = []
    while True:
        with session.reading() as transaction:
            page = [row[0] for row in transaction.every_deal(session.number, after, BATCH)]
        if not page:
            break
        numbers = [stored.id for stored in page]
        sealed, failed = session.retried(functools.partial(_some, session, numbers))
        deals, done, after = deals + sealed, done + len(page), numbers[-1]
        failures += failed
        if on_progress is not None:
            on_progress(done, max(done, total))
    kept = sum(
        session.retried(functools.partial(_some_held, session, rows))
        for rows in chunks(held, BATCH)
    )
    session.store.erase_traces()
    return EncryptReport(deals=deals, held=kept, failures=tuple(failures))


def _some(session: Session, numbers: Sequence[int]) -> tuple[int, list[DealFailure]]:
    sealed, failures = 0, []
    with session.writing() as unit:
        unit.check_pipeline()
        for number in numbers:
            found = unit.transaction.load_by_id(number)
            if found is None:
                continue
            try:
                sealed += _one(unit, number)
            except SealedError as error:
                failures.append(DealFailure(found[0].deal, error))
    return sealed, failures


def _one(unit: Unit, number: int) -> bool:
    with unit.transaction.savepoint():
        return seal_deal(_sealed(unit.transaction), unit.number, number, unit.now)


def _some_held(session: Session, rows: Sequence[HeldRow]) -> int:
    with session.writing() as unit:
        unit.check_pipeline()
        sealed = _sealed(unit.transaction)
        return sum(
            seal_held(sealed, unit.number, row, keys_in(event_of(row)) if row.data else ())
            for row in rows
        )


def _sealed(transaction: object) -> SealedTransaction:
    found = sealed_of(transaction)
    assert found is not None
    return found


publish("ladderpipe", EncryptReport, encrypt)
