"""A worker that is held up in the middle of a delivery: ``python -m tests.faults.pausing URL``.

It prints the effect's key and stops itself with SIGSTOP; continued, it prints what it settled.
"""

from __future__ import annotations

import os
import signal
import sys

from ladderpipe import Board, Delivery, ManualClock
from tests.shops import START, lead_ladder, register

__all__ = ["ladder"]


def ladder() -> object:
    """Return a ladder whose first stage asks for a letter."""
    return register(lead_ladder(), into_new=lambda ctx: ctx.do("letter"))


def main(url: str) -> None:
    """Deliver once, with a long pause in the handler."""
    board = Board.open(ladder(), url, clock=ManualClock(START))

    @board.handles("letter")
    def pause(delivery: Delivery) -> None:
        sys.stdout.write(f"{delivery.key}\n")
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGSTOP)

    with board:
        sys.stdout.write(f"{board.deliver().delivered}\n")


if __name__ == "__main__":
    main(sys.argv[1])
