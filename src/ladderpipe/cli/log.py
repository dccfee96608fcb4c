"""The log of commands that go on until they are stopped."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import sys
from collections.abc import Iterator
from typing import Final

__all__ = ["LOG", "logging_to_stderr"]

LOG: Final = logging.getLogger("ladderpipe")


class _OneLine(logging.Formatter):
    """One line an entry, in UTC; of an error its words, not its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        at = dt.datetime.fromtimestamp(record.created, dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            text = f"{text} ({type(error).__name__}: {error})"
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return f"{at}  {level}{' '.join(text.split())}"


@contextlib.contextmanager
def logging_to_stderr() -> Iterator[None]:
    """Write the log of this program, and of nothing else, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine())
    before = LOG.level, LOG.propagate
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        LOG.setLevel(before[0])
        LOG.propagate = before[1]
