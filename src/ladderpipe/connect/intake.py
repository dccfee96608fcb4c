"""How events from shops are stored, whether a webhook told them or an API was asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from ..board.batch import handle_many
from ..board.board import Board
from ..board.handle import handle
from ..board.repeated import REPEATED, SNAPSHOT
from ..model.event import Event

__all__ = ["take"]


def take(board: Board, events: Iterable[Event]) -> Mapping[str, int]:
    """Store events with ``hold=True``, in one transaction; return how many had which outcome.

    Carts that say nothing new are put aside, as ``unchanged``.

    Raises:
        LadderError: one of them could not be stored.
    """
    told = list(events)
    if len(told) == 1:
        answer = handle(board._session, told[0], hold=True, as_read=True)
        return {"unchanged" if answer.reason == REPEATED else answer.outcome.value: 1}
    as_read = any(event.type == SNAPSHOT for event in told)
    report = handle_many(board._session, told, quiet=False, hold=True, as_read=as_read)
    for failure in report.failures:
        raise failure.error
    taken = Counter({outcome.value: count for outcome, count in report.outcomes.items()})
    if unchanged := report.unfilled.get((SNAPSHOT, REPEATED)):
        taken["stayed"] -= unchanged
        taken["unchanged"] = unchanged
    return {outcome: count for outcome, count in taken.items() if count}
