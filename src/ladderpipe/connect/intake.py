"""How events from shops are stored, whether a webhook told them or an API was asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from ..board.board import Board
from ..model.event import Event
from .snapshot import Snapshots

__all__ = ["Intake"]


class Intake:
    """Takes events with ``hold=True``, and leaves out carts that say nothing new."""

    def __init__(self) -> None:
        self._snapshots = Snapshots()

    def take(self, board: Board, events: Iterable[Event]) -> Mapping[str, int]:
        """Store events; return how many had which outcome.

        Raises:
            LadderError: one of them could not be stored.
        """
        fresh, taken = [], Counter[str]()
        for event in events:
            if self._snapshots.leaves_out(board, event):
                taken["unchanged"] += 1
            else:
                fresh.append(event)
        taken.update(_store(board, fresh))
        if missed := self._snapshots.missed(fresh):
            _store(board, missed)
        return taken


def _store(board: Board, events: list[Event]) -> dict[str, int]:
    if len(events) == 1:
        return {board.handle(events[0], hold=True).outcome.value: 1}
    report = board.handle_many(events, hold=True)
    for failure in report.failures:
        raise failure.error
    return {outcome.value: count for outcome, count in report.outcomes.items()}
