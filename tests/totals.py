"""What summaries come to, counted again deal by deal."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from ladderpipe import Board, Deal, Scope
from ladderpipe.board.verify import verify

__all__ = ["assert_counted", "recounted", "summed"]


def recounted(deals: Iterable[Deal]) -> dict[Any, Any]:
    """Return count, unvalued and value by stage and currency."""
    groups: dict[Any, list[Decimal | None]] = {}
    for deal in deals:
        groups.setdefault((deal.stage.key, deal.currency), []).append(deal.value)
    found = {}
    for group, values in groups.items():
        known = [value for value in values if value is not None]
        found[group] = len(values), len(values) - len(known), sum(known, Decimal())
    return found


def summed(board: Board, scope: Scope | None = None) -> dict[Any, Any]:
    """Return what a board's summary says of the same."""
    return {
        (row.stage.key, row.currency): (row.count, row.unvalued, row.value)
        for row in board.summary(scope)
    }


def assert_counted(board: Board) -> None:
    """Check that every total is what its deals come to, for everybody and for each that may see.

    Raises:
        AssertionError: one is not.
    """
    deals = list(board.deals())
    assert summed(board) == recounted(deals)
    for owner in {deal.owner for deal in deals} | {"nobody"}:
        seen = recounted(deal for deal in deals if deal.owner == owner)
        assert summed(board, Scope(owners=[owner])) == seen
    for source in {deal.source for deal in deals} | {"nowhere"}:
        seen = recounted(deal for deal in deals if deal.source == source)
        assert summed(board, Scope(sources=[source])) == seen
    assert verify(board).differences == ()
