"""What must hold of every history, as assertions with readable failures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ladderpipe import History, Move, Visit
from ladderpipe.public import publish

__all__ = ["assert_single_stage", "expect"]


def assert_single_stage(history: History) -> None:
    """Assert that the deal has been in exactly one stage at every instant since it was opened.

    That is: visits tile the deal's life without gap or overlap, exactly the last one is current,
    numbers and moves chain, and time never goes back.

    Raises:
        AssertionError: it has not; the message says where.
    """
    visits, moves, deal = history.visits, history.moves, history.deal
    expect(bool(visits), f"deal {deal.id!r} is open and has no visit")
    for visit in visits:
        expect(visit.deal == deal.id, f"{_name(visit)} belongs to {visit.deal!r}, not {deal.id!r}")
    current = [visit for visit in visits if visit.left_at is None]
    expect(
        current == [visits[-1]],
        f"deal {deal.id!r} has {len(current)} current visits: {', '.join(map(_name, current))}",
    )
    for left, entered in pairwise(visits):
        expect(entered.n == left.n + 1, f"{_name(entered)} follows {_name(left)}")
        expect(
            left.left_at == entered.entered_at,
            f"{_name(left)} ends at {left.left_at} and {_name(entered)} begins at "
            f"{entered.entered_at}: every instant belongs to exactly one visit",
        )
        expect(
            left.entered_at <= entered.entered_at,
            f"{_name(entered)} begins at {entered.entered_at}, before {_name(left)}",
        )
    expect(len({visit.key for visit in visits}) == len(visits), "two visits share one key")
    _check_moves(visits, moves)
    last = visits[-1]
    expect(
        (deal.stage, deal.entered_at, deal.visit) == (last.stage, last.entered_at, last.n),
        f"deal {deal.id!r} says {deal.stage!r} since {deal.entered_at} (visit {deal.visit}), and "
        f"its last visit is {_name(last)} since {last.entered_at}",
    )


def _check_moves(visits: Sequence[Visit], moves: Sequence[Move]) -> None:
    carried = len(visits) - len(moves)
    expect(
        carried in (0, 1),
        f"{len(moves)} moves cannot make {len(visits)} visits: each move begins one",
    )
    if not carried:
        expect(visits[0].n == 1, f"the first visit is {_name(visits[0])}, not number 1")
        expect(moves[0].out_of is None, f"the opening leaves {moves[0].out_of!r}")
    for move, visit in zip(moves, visits[carried:], strict=True):
        expect(
            (move.deal, move.n, move.into, move.at)
            == (visit.deal, visit.n, visit.stage, visit.entered_at),
            f"move {move.n} into {move.into!r} at {move.at} does not begin {_name(visit)} "
            f"at {visit.entered_at}",
        )
    for visit, move in zip(visits, moves[1 - carried :], strict=False):
        expect(
            move.out_of == visit.stage,
            f"move {move.n} leaves {move.out_of!r} while the deal is in {_name(visit)}",
        )


def _name(visit: Visit) -> str:
    return f"visit {visit.n} in {visit.stage!r}"


def expect(holds: bool, otherwise: str) -> None:
    """Assert that it holds, also where Python runs without assertions."""
    if not holds:
        raise AssertionError(otherwise)


publish("ladderpipe.testing", assert_single_stage)
