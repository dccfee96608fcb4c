"""What other apps are told, once it is committed."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

from django.db import transaction
from django.dispatch import Signal

from ..model.move import Move
from ..observability.observer import Observer
from ..pipeline import Pipeline

__all__ = ["TellingObserver", "deal_moved"]

deal_moved: Final = Signal()
"""Sent for each move after its commit, and never for one that was rolled back.

Receivers are called with ``sender``, the pipeline; ``move``, whose ``out_of`` is ``None`` when the
deal was opened; ``deal``, its id; and ``using``, Django's alias of the database. An error of a
receiver's is logged by Django and keeps nobody from hearing of the move, since it has been made.
"""


class TellingObserver(Observer):
    """Tells OpenTelemetry, the log and :data:`deal_moved` of moves when Django has committed them.

    Args:
        pipeline: the ladder, which is who sends.
        using: Django's alias of the database.
        candid: as for :class:`Observer`.
    """

    def __init__(self, pipeline: Pipeline, using: str, candid: bool = False) -> None:
        super().__init__(pipeline.name, candid)
        self._sender = pipeline
        self._using = using

    def committed(self, moves: Sequence[Move], refolds: int) -> None:
        """Tell of moves once the transaction that they belong to is committed."""
        if moves or refolds:
            tell = functools.partial(self._tell, tuple(moves), refolds)
            transaction.on_commit(tell, using=self._using)

    def _tell(self, moves: Sequence[Move], refolds: int) -> None:
        super().committed(moves, refolds)
        for move in moves:
            deal_moved.send_robust(self._sender, move=move, deal=move.deal, using=self._using)
