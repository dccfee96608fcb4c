"""Verifying a store: every deal is folded again from its events and compared with what is stored.

What is compared and how it is told is :mod:`ladderpipe.board.compare`'s business.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import attrs

from ..errors import PipelineChangedError
from ..model.event import Event
from ..model.report import Difference
from ..public import publish
from ..stores.base import StoredDeal, Transaction
from ..stores.sealed.renewal import is_sealed, sealed_of
from .board import Board
from .boundary import UNREADABLE
from .chain_check import ChainCheck, ChainReport
from .compare import StoredHistory, first_difference
from .hold import held_rows
from .links import head_of

__all__ = ["VerifyReport", "verify"]

PAGE: Final = 200
KEPT: Final = 100
"""How many differences a report holds; all are counted, and told to ``on_difference``."""
_MISCOUNTED: Final = (
    "the totals that are kept of stages {} are not what the deals in them come to; ladderpipe "
    "verify --recount, or verify(board, recount=True), makes them right"
)
_LEFT: Final = (
    "{} keys of data that was forgotten or removed are still to be destroyed, so that older "
    "backups still open: a worker does it, or board.forget when it is called next, once the ring "
    "answers"
)
_PLAIN: Final = (
    "the data of {} deals is still plain, from before the store was sealed: ladderpipe encrypt, or "
    "ladderpipe.encrypt(board), encrypts it"
)


@attrs.frozen(kw_only=True)
class VerifyReport:
    """What was compared, and what did not agree.

    Attributes:
        deals: how many deals were folded again, those that wait for an opening included.
        tombstones: how many removed deals there are besides.
        differing: how many deals do not agree, and faults of the database itself.
        differences: the first hundred of those.
        chain: what the hash chain says; ``None`` where there is none.
    """

    pipeline: str
    deals: int
    tombstones: int
    events: int
    moves: int
    effects: int
    differing: int
    differences: tuple[Difference, ...]
    chain: ChainReport | None = None

    @property
    def agrees(self) -> bool:
        """Whether everything stored is what the fold says."""
        return not self.differing


def verify(
    board: Board,
    *,
    on_progress: Callable[[int, int], None] | None = None,
    on_difference: Callable[[Difference], None] | None = None,
    recount: bool = False,
    head: str | None = None,
) -> VerifyReport:
    """Fold every deal of the board's pipeline again and compare; writes nothing unless told to.

    Compared are the deal's row, its document, its moves and visits, the digests of its events,
    where its effects belong, and its checkpoints; and with all deals together the totals that are
    kept of them. Moves before a baseline can only be checked for tiling. It may run beside
    writers: each deal is read in one transaction.

    Where there is a hash chain (:meth:`ladderpipe.Board.chain`) its links are checked, and every
    event that is in it: none may be altered, removed, or moved to another deal, but for what a
    link says was forgotten or removed.

    Args:
        head: a head of the chain that was noted elsewhere, and has to be in it. Whoever can write
            the database can make another chain: only such a head shows that.
        recount: whether to make totals right that are not what the deals come to. The report
            names them all the same.
        on_progress: told after every page how many deals of how many are done.
        on_difference: told of every difference.

    Raises:
        PipelineChangedError: the store holds another definition, or a migration is not finished.
        CursorError: *head* is no head of a chain.
    """
    noted = None if head is None else head_of(head)
    with board.store.transaction(write=False) as transaction:
        row = transaction.pipeline(board.pipeline.name)
        if row is None or row.migrating or row.fingerprint != board.pipeline.fingerprint:
            raise PipelineChangedError(
                f"the store's deals of pipeline {board.pipeline.name!r} were not folded with this "
                "definition, so there is nothing to compare: verify with the one it holds, or "
                "finish board.migrate first"
            )
        total = transaction.count_deals(row.id)
        faults = transaction.faults()
        miscounted = transaction.miscounted(row.id)
        chain = ChainCheck.begun(transaction, row.name, row.id)
    work = _Verification(board, row.id, on_difference, chain)
    for fault in faults:
        work.note(Difference(None, fault))
    if miscounted:
        work.note(Difference(None, _MISCOUNTED.format(", ".join(map(repr, sorted(miscounted))))))
    if miscounted and recount:
        with board.store.transaction(write=True) as transaction:
            transaction.recount(row.id)
    if is_sealed(board.store) and (left := len(board.store.keys_to_destroy())):
        work.note(Difference(None, _LEFT.format(left)))
    done = 0
    for page in work.pages():
        done += page
        if on_progress is not None:
            on_progress(done, max(done, total))
    return work.report(noted)


class _Verification:
    """One pass over all deals of a pipeline."""

    def __init__(
        self,
        board: Board,
        number: int,
        on_difference: Callable[[Difference], None] | None,
        chain: ChainCheck | None,
    ) -> None:
        self._board = board
        self._number = number
        self._on_difference = on_difference
        self._chain = chain
        self._counts: Counter[str] = Counter()
        self._differences: list[Difference] = []
        self._plain = 0

    def pages(self) -> Iterator[int]:
        """Compare page by page; yield how many deals each had."""
        after = 0
        while True:
            with self._board.store.transaction(write=False) as transaction:
                page = transaction.every_deal(self._number, after, PAGE)
                if self._chain is not None:
                    self._chain.read(transaction, [stored.id for stored, _ in page])
                sealed = sealed_of(transaction)
                self._plain += 0 if sealed is None else sealed.plain
                for stored, document in page:
                    self._compare(transaction, stored, document)
            if page:
                yield len(page)
            if len(page) < PAGE:
                if self._plain:
                    self.note(Difference(None, _PLAIN.format(self._plain)))
                return
            after = page[-1][0].id

    def _compare(self, transaction: Transaction, stored: StoredDeal, document: str | None) -> None:
        self._counts["tombstones" if stored.removed_at else "deals"] += 1
        found: list[str | None] = []
        try:
            told = transaction.events(stored.id)
            if self._chain is not None:
                found += self._chain.deal(transaction, stored.id, told)
            history = self._load(transaction, stored, document, [event for event, _ in told])
            found.append(first_difference(self._board.pipeline, history))
        except UNREADABLE as error:
            found.append(f"what is stored cannot be read ({type(error).__name__}: {error})")
        what = "; ".join(each for each in found if each is not None)
        if what:
            self.note(Difference(stored.deal, what))

    def _load(
        self,
        transaction: Transaction,
        stored: StoredDeal,
        document: str | None,
        events: Sequence[Event],
    ) -> StoredHistory:
        identities = [(event.source, event.id) for event in events]
        known = transaction.known_events(self._number, identities) if identities else {}
        history = StoredHistory(
            stored,
            json.loads(document) if document else {},
            events,
            {identity: event.digest for identity, event in known.items()},
            transaction.moves(stored.id),
            transaction.effects(self._number, stored.id, None),
            _aside(transaction, self._number, stored.deal),
            transaction.checkpoints(stored.id),
        )
        for what in ("events", "moves", "effects"):
            self._counts[what] += len(getattr(history, what))
        return history

    def note(self, difference: Difference) -> None:
        """Note that something does not agree."""
        self._counts["differing"] += 1
        if len(self._differences) < KEPT:
            self._differences.append(difference)
        if self._on_difference is not None:
            self._on_difference(difference)

    def report(self, head: tuple[int, bytes] | None) -> VerifyReport:
        """Return what was counted and found, that of the chain's links included."""
        chain = None
        if self._chain is not None:
            chain = self._chain.links(
                self._board.store, head, lambda what: self.note(Difference(None, what))
            )
        elif head is not None:
            what = f"link {head[0]} was noted as the head of a chain, and there is no chain"
            self.note(Difference(None, what))
        names = ("deals", "tombstones", "events", "moves", "effects", "differing")
        return VerifyReport(
            pipeline=self._board.pipeline.name,
            differences=tuple(self._differences),
            chain=chain,
            **{name: self._counts[name] for name in names},
        )


def _aside(transaction: Transaction, number: int, deal: str) -> set[tuple[str, str]]:
    return {(row.source, row.id) for row in held_rows(transaction, number, deal) if not row.data}


publish("ladderpipe", VerifyReport, verify)
