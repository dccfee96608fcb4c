"""Tables that are read when somebody first asks for them, and kept then."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeAlias

import polars as pl

__all__ = ["Frame", "Later", "then", "whole"]


class Later:
    """A table that is read, or worked out, when it is first asked for."""

    def __init__(self, read: Callable[[], pl.DataFrame]) -> None:
        self._read = read

    @functools.cached_property
    def frame(self) -> pl.DataFrame:
        """The table."""
        return self._read()


Frame: TypeAlias = pl.DataFrame | Later


def whole(frame: Frame) -> pl.DataFrame:
    """Return the table, read now at the latest."""
    return frame.frame if isinstance(frame, Later) else frame


def then(frame: Frame, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Frame:
    """Return the table changed: later, if it is there later."""
    return Later(lambda: change(frame.frame)) if isinstance(frame, Later) else change(frame)
