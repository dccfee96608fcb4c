"""What the commands share: which boards are meant, and how a round is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...model.report import DeliveryReport, TickReport
from ..boards import DjangoBoard, get_board, get_boards

__all__ = ["add_pipelines", "round_text", "wanted"]


def add_pipelines(parser: Any) -> None:
    """Let a command be given names of pipelines."""
    parser.add_argument("pipeline", nargs="*", help="names of pipelines; all that settings list")


def wanted(names: Sequence[str]) -> list[DjangoBoard]:
    """Return the boards that are meant.

    Raises:
        ImproperlyConfigured: the settings list no such pipeline.
    """
    return [get_board(name) for name in names] if names else get_boards()


def round_text(swept: TickReport, delivered: DeliveryReport) -> str:
    """Say in a line what a round of work did; nothing of one that did nothing."""
    told = []
    if swept.deals:
        told.append(f"timers of {swept.deals} deals: {swept.moves} moves")
    if swept.failures:
        told.append(f"{len(swept.failures)} deals failed")
    told += [f"{count} effects {state}" for state, count in delivered.counts.items()]
    return "; ".join(told)
