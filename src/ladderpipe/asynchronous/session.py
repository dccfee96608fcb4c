"""A board's session whose units of work are given up when their task is cancelled."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import attrs

from ..board.session import Session
from ..board.unit import Unit
from ..stores import bridge

__all__ = ["BridgedSession"]


@attrs.define
class BridgedSession(Session):
    """The bindings of an asynchronous board."""

    @contextlib.contextmanager
    def writing(self, quiet: bool = False) -> Iterator[Unit]:
        """Begin a unit that is committed when the block ends, and undone when it is cancelled.

        Raises:
            CancelledError: the task does not want it any more.
            StoreError: the board was opened only to read.
        """
        strand = bridge.current()
        if strand is None:
            with Session.writing(self, quiet) as unit:
                yield unit
            return
        try:
            with Session.writing(self, quiet) as unit:
                strand.begin()
                yield unit
                strand.check()
        finally:
            strand.end()
