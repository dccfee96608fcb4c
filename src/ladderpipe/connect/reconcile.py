"""Shops are asked what has changed, since webhooks get lost: the board catches up."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self, runtime_checkable

import attrs

from ..board.board import Board
from ..errors import DefinitionError
from ..model.event import Event
from ..observability.log_records import record
from .intake import take

if TYPE_CHECKING:
    from .api import Wait

__all__ = ["Reconcilable", "Reconciled", "Reconciler"]

CONNECT: Final = logging.getLogger("ladderpipe.connect")
BATCH: Final = 200
"""Events that are stored at a time."""


@runtime_checkable
class Reconcilable(Protocol):
    """What can be asked for what has changed in it."""

    def reconcile(self, since: dt.datetime, wait: Wait = time.sleep) -> Iterable[Event]:
        """Return the events of what has changed since then, as its webhooks would have told them.

        Args:
            since: what changed at this instant counts, too; aware.
            wait: waits some seconds, while the shop wants to be left alone.

        Raises:
            DefinitionError: it does not know how to ask.
            Unreachable: while the events are read, that no more are to be had now.
        """


@attrs.frozen
class Reconciled:
    """What came of asking.

    Attributes:
        taken: by shop, how many events had which outcome; ``unchanged`` are carts that say nothing
            new.
        failed: by shop, why it was not heard to the end. It is asked for the same again.
    """

    taken: Mapping[str, Mapping[str, int]]
    failed: Mapping[str, Exception]


class Reconciler:
    """Asks shops every so often what has changed, and tells the board.

    What a webhook has told already is told by the same identity, so nothing counts twice, however
    often it is asked and in however many processes. A shop that fails is asked for the same again
    the next time; the others, and the worker, go on. As a context manager it asks in a thread of
    its own, as long as the worker works::

        with Reconciler(board, {"shopify": shop}):
            board.run()

    Args:
        board: no ``AsyncBoard``.
        shops: connectors that know how to ask, by any name; a ``Receiver``'s mapping will do.
        every: how long to wait before asking again.
        back: how far back the first question goes; a worker that was away for longer is given more.
        overlap: how far back every further one goes behind the last, since clocks differ, and what
            is changed in a shop is seen when it is committed.

    Raises:
        DefinitionError: one of the shops cannot be asked, or a duration is none.
    """

    def __init__(
        self,
        board: Board,
        shops: Mapping[str, Reconcilable],
        *,
        every: dt.timedelta = dt.timedelta(minutes=10),
        back: dt.timedelta = dt.timedelta(days=1),
        overlap: dt.timedelta = dt.timedelta(minutes=15),
    ) -> None:
        if not isinstance(board, Board):
            raise DefinitionError("a Reconciler works beside a worker: give it a Board of its own")
        if min(every, back) <= dt.timedelta() or overlap < dt.timedelta():
            raise DefinitionError("every= and back= are longer than nothing, overlap= is not less")
        self._board, self._shops = board, dict(shops)
        self._every, self._overlap = every, overlap
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        now = board.clock.now()
        self._heard = dict.fromkeys(self._shops, now - back + overlap)
        for name, shop in self._shops.items():
            if not isinstance(shop, Reconcilable):
                raise DefinitionError(f"{shop!r} at {name!r} has no API that could be asked")
            # Whoever cannot ask says so at once; nothing is asked before the first event is read.
            shop.reconcile(now)

    def once(self, since: dt.datetime | None = None) -> Reconciled:
        """Ask every shop once.

        Args:
            since: for another time than the one that it has got to.
        """
        return self._once(time.sleep, since)

    def run(self, stop: threading.Event) -> None:
        """Ask, wait, and ask again until told to stop; what fails is logged."""

        def wait(seconds: float) -> None:
            if stop.wait(seconds):
                raise _Stopped

        try:
            while True:
                self._once(wait, None)
                wait(self._every.total_seconds())
        except _Stopped:
            return

    def __enter__(self) -> Self:
        self._stop.clear()
        self._thread = threading.Thread(
            target=self.run, args=(self._stop,), name="ladderpipe-reconcile", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _once(self, wait: Wait, since: dt.datetime | None) -> Reconciled:
        taken: dict[str, Mapping[str, int]] = {}
        failed: dict[str, Exception] = {}
        for name, shop in self._shops.items():
            began, counts = self._board.clock.now(), Counter[str]()
            taken[name] = counts
            try:
                told = shop.reconcile(since or self._heard[name] - self._overlap, wait)
                for batch in _batches(told):
                    counts.update(take(self._board, batch))
                    wait(0)
            except Exception as problem:
                failed[name] = problem
                text = "a shop could not be asked what has changed"
                record(CONNECT, logging.WARNING, text, error=problem, sender=type(shop).__name__)
            else:
                self._heard[name] = began
        return Reconciled(taken, failed)


class _Stopped(BaseException):
    """It is time to stop. No error that somebody on the way may take for one of his."""


def _batches(events: Iterable[Event]) -> Iterator[list[Event]]:
    rest = iter(events)
    while batch := list(islice(rest, BATCH)):
        yield batch
