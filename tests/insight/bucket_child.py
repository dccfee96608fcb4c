"""A replay into a folder, in a process of its own that ends or halts where it is told to.

``python -m tests.insight.bucket_child FOLDER LOG BUCKETS SIGNAL PLACE``: at the PLACE-th time that
something is about to be written, or to get its name, the process sends itself the SIGNAL.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from ladderpipe.insight import replay
from ladderpipe.insight.buckets import source
from ladderpipe.templates import sales_management

CHUNK = 40

__all__ = ["CHUNK"]


def at_place(function: Callable[..., Any], count: list[int], place: int, sign: int) -> Any:
    def watched(*arguments: Any, **named: Any) -> Any:
        count[0] += 1
        if count[0] == place:
            os.kill(os.getpid(), sign)
        return function(*arguments, **named)

    return watched


def watch(place: int, sign: int) -> list[int]:
    count = [0]
    for owner, name in (
        (Path, "rename"),
        (Path, "replace"),
        (Path, "mkdir"),
        (Path, "write_text"),
        (pl.DataFrame, "write_parquet"),
        (os, "fsync"),
    ):
        setattr(owner, name, at_place(getattr(owner, name), count, place, sign))
    return count


def main(folder: str, log: str, buckets: str, sign: str, place: str) -> None:
    source.CHUNK = CHUNK  # type: ignore[misc]
    count = watch(int(place), signal.Signals[sign])
    replay(sales_management(), log, buckets=int(buckets), into=folder)
    sys.stdout.write(str(count[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
