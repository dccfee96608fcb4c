"""Bulk replay: the histories of very many deals at once."""

from __future__ import annotations

import datetime as dt
import itertools
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import attrs
import numpy as np
import polars as pl

from ...model.clock import instant
from ...pipeline import Pipeline
from .arrange import Arranged, arrange
from .arrays import Flags, in_microseconds
from .event_frame import EventSource, read_events
from .fallback import Histories, fold_one_by_one
from .loading import compiled
from .outcome import FINAL, MOVES, Names, Replayed, frames_of
from .program import Program, can_replay_in_columns
from .steps import Block

if TYPE_CHECKING:
    from .compiled import Compiled

__all__ = ["blocks", "replay"]

BLOCK_EVENTS: Final = 100_000
"""How many events are stepped together: as many as the processor's cache holds."""

COMPILED_AT_ONCE: Final = 4
"""So many times as many go through the compiled loop together, which takes them one by one: the
tables of a block cost the interpreter the same, however long they are."""

LEAST_DEALS: Final = 512
"""Deals in a block, though they have more events than that."""

WORTH_A_STEP: Final = 32
"""Where fewer deals go on than this, the ordinary fold is faster than another step."""

ALWAYS_STEPPED: Final = 200
"""Deals of up to so many events are stepped, however few go on."""


def replay(
    pipeline: Pipeline,
    events: EventSource,
    until: dt.datetime | str | None = None,
    *,
    workers: int | None = None,
) -> Replayed:
    """Return the histories that :meth:`Pipeline.replay` gives, as tables, for millions of deals.

    A ladder whose guards are all declarative is folded in columns, on all cores: all deals take
    their first step together, then their second; or, where the extra ``bulk`` is installed and
    there are millions of events, one deal after another in a compiled loop. Any other takes the
    ordinary fold, and :attr:`Replayed.why_not` says why; so do single deals that the columns cannot
    hold (:attr:`Replayed.one_by_one`). The histories are the same either way.

    Args:
        pipeline: the ladder.
        events: a Polars frame, the path of a Parquet file, an iterable of frames, or ``Event``
            objects; in any order. The columns are ``deal``, ``type``, ``at``, ``id`` and, if need
            be, ``seq`` and ``source``; data as JSON text in ``data``, or in columns (``sku``,
            ``quantity``, ``unit_price``, ``line_title``, ``value``, ``currency``, ``owner``,
            ``company``, ``title``, ``deal_source``, ``into``, ``by``, ``reason``, and
            ``properties.<name>``), null where an event does not tell.
        until: leave out later events, and fire timers due up to and at it. Without it every
            history ends with its deal's last event.
        workers: how many threads step deals; by default one for each core.

    Raises:
        InvalidEventError: a column, or an event in it, is not what it should be.
        EventConflictError: one identity, two contents.
        GuardError: a guard raised.
    """
    limit = None if until is None else instant(until)
    frame = read_events(events, limit)
    if why_not := can_replay_in_columns(pipeline):
        found = fold_one_by_one(pipeline, frame, limit)
        count = frame["deal"].n_unique()
        return Replayed(
            found.moves,
            found.deals,
            False,
            tuple(why_not),
            count,
            found.carried,
            tuple(found.aside),
        )
    program = Program.of(pipeline)
    # Threads are enough: NumPy and Polars let go of the interpreter while they compute.
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        loading = pool.submit(compiled, program, len(frame))
        arranged = arrange(program, frame, pool, loading.result)
        kernel = loading.result()
        moves, deals, one_by_one = _folded(program, arranged, limit, pool, kernel)
    replayed = Replayed(moves, deals, columnar=True, compiled=kernel is not None)
    if not one_by_one.any():
        return replayed
    rest = fold_one_by_one(pipeline, _rows_of(arranged, one_by_one), limit)
    return _together(replayed, rest, int(one_by_one.sum()))


def _folded(
    program: Program,
    events: Arranged,
    until: dt.datetime | None,
    pool: Executor,
    kernel: type[Compiled] | None,
) -> tuple[pl.DataFrame, pl.DataFrame, Flags]:
    """Fold all deals, block by block; return moves, deals, and who must take the ordinary fold."""
    limit = None if until is None else in_microseconds(until)
    one_by_one = np.zeros(len(events.deals), np.bool_)
    given = None if kernel is None else kernel.of(program, events)
    names = Names.of(program)

    def fold(bounds: tuple[int, int]) -> tuple[pl.DataFrame, ...]:
        if given is None:
            block = Block(program, events, *bounds, _too_long(events, *bounds))
            block.step(limit)
            folded = block.folded()
        else:
            folded = given.fold(*bounds, limit)
        # Blocks share no deal, so threads never write one place.
        one_by_one[slice(*bounds)] = folded.one_by_one
        return frames_of(names, events, folded)

    size = BLOCK_EVENTS * (1 if given is None else COMPILED_AT_ONCE)
    parts = list(pool.map(fold, blocks(events, size)))
    # The empty frames give the columns their types when there is no block at all.
    moves = pl.concat([pl.DataFrame(schema=MOVES), *(part[0] for part in parts)])
    deals = pl.concat([pl.DataFrame(schema=FINAL), *(part[1] for part in parts)])
    return moves, deals, one_by_one


def blocks(events: Arranged, size: int) -> Iterator[tuple[int, int]]:
    """Yield from which deal to which, for blocks of about *size* events each."""
    by_events = np.cumsum(events.length) // size
    block = np.minimum(by_events, np.arange(len(events.length)) // LEAST_DEALS)
    ends = np.flatnonzero(np.diff(block)) + 1
    yield from itertools.pairwise([0, *ends.tolist(), len(events.deals)])


def _too_long(events: Arranged, start: int, end: int) -> int:
    """Return how many events a deal may have to be worth stepping with the others."""
    lengths = events.length[start:end]
    if len(lengths) <= WORTH_A_STEP:
        return ALWAYS_STEPPED
    # The length at which so few deals are left that the last steps would cost more than they save.
    place = len(lengths) - WORTH_A_STEP
    return max(ALWAYS_STEPPED, int(np.partition(lengths, place)[place]))


def _rows_of(events: Arranged, deals: Flags) -> pl.DataFrame:
    parts = [
        events.rows[first : first + length]
        for first, length in zip(events.first[deals], events.length[deals], strict=True)
    ]
    return events.frame[pl.Series(np.sort(np.concatenate(parts)))]


def _together(replayed: Replayed, rest: Histories, count: int) -> Replayed:
    return attrs.evolve(
        replayed,
        moves=_merged(replayed.moves, rest.moves),
        deals=_merged(replayed.deals, rest.deals),
        one_by_one=count,
        carried=rest.carried,
        aside=tuple(rest.aside),
    )


def _merged(stepped: pl.DataFrame, folded: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of both, sorted by deal; no deal is in both."""
    return stepped.set_sorted("deal").merge_sorted(folded.set_sorted("deal"), key="deal")
