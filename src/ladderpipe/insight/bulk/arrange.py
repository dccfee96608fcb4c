"""Events arranged for stepping: deal by deal, and each deal's in their one order (S9)."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Final, Protocol

import attrs
import numpy as np
import polars as pl

from ...fold.reducer import REFUNDED
from ...model.event import BY_HAND, EDITED, MERGED, OVERRIDE, RESERVED
from .arrays import Flags, Ints, Numbers, either, none_of
from .codes import coded
from .payload_columns import read_columns
from .payloads import UNREADABLE, Told, read_texts
from .program import Program

__all__ = ["Arranged", "Sorter", "arrange"]

_HANDS: Final = (BY_HAND, OVERRIDE)
_MIXER: Final = np.uint64(0x9E3779B97F4A7C15)


class Sorter(Protocol):
    """Sorts faster than NumPy."""

    def sorted_rows(self, deal: Numbers, at: Ints, first: Ints) -> tuple[Numbers, bool]:
        """Return the rows by deal, and whether all of them are in order of time then, each alone.

        Args:
            deal: by row, the number of its deal.
            at: by row.
            first: by deal, the place of its first row.
        """


@attrs.frozen(eq=False)
class Arranged:
    """Events, deal by deal.

    Attributes:
        frame: the events as they came; rows are numbered in it.
        deals: every deal, sorted.
        first: by deal, where its events begin in ``rows``.
        length: by deal, how many they are.
        rows: row numbers, deal by deal, in order of time.
        at: microseconds, by row.
        trigger: by row; see :class:`Program`.
        payload: by row, which payload of ``told`` it carries; ``None`` when each has its own.
        identity: by row, a hash of ``source`` and ``id``.
        one_by_one: by deal, whether it has to take the ordinary fold.
    """

    frame: pl.DataFrame
    deals: pl.Series
    first: Ints
    length: Ints
    rows: Numbers
    at: Ints
    trigger: Numbers
    payload: Numbers | None
    told: Told
    identity: Numbers
    one_by_one: Flags


def arrange(
    program: Program, frame: pl.DataFrame, pool: Executor, kernel: Callable[[], Sorter | None]
) -> Arranged:
    """Read and sort the events of *frame*, columns side by side; what *kernel* gives may sort."""
    # What moves name is looked up all over the frame, which takes much longer in many pieces.
    frame = frame.with_columns(
        frame["source"].cast(pl.Categorical).rechunk(),
        *(frame[name].rechunk() for name in ("id", "seq")),
    )
    # Payloads take longest to read; the rest is worked out beside them.
    reading = pool.submit(_read, program, frame)
    identity = pool.submit(_identities, frame)
    deal, deals = coded(frame["deal"])
    sorting = deals.arg_sort().to_numpy()
    length = np.bincount(deal, minlength=len(deals))
    first = np.cumsum(length) - length
    at = frame["at"].dt.timestamp("us").to_numpy()
    rows, is_in_order = _by_deal(deal, at, first, kernel())
    trigger, payload, told, is_strange = reading.result()
    if not is_in_order:
        _put_in_order(program, frame, rows, deal, at, trigger)
    one_by_one = np.zeros(len(deals), np.bool_)
    one_by_one[deal[np.flatnonzero(is_strange)]] = True
    return Arranged(
        frame=frame,
        deals=deals.gather(sorting),
        first=first[sorting],
        length=length[sorting],
        rows=rows,
        at=at,
        trigger=trigger,
        payload=payload,
        told=told,
        identity=identity.result(),
        one_by_one=one_by_one[sorting],
    )


def _read(program: Program, frame: pl.DataFrame) -> tuple[Numbers, Numbers | None, Told, Flags]:
    """Return triggers, payloads, what they tell, and what only the ordinary fold understands."""
    trigger, is_strange = _triggers(program, frame)
    payload, told = _told(program, frame, trigger)
    unreadable = (told.flags & UNREADABLE) != 0
    is_strange = either(unreadable if payload is None else unreadable[payload], is_strange)
    return trigger, payload, told, is_strange


def _triggers(program: Program, frame: pl.DataFrame) -> tuple[Numbers, Flags]:
    """Return each event's trigger, and which events only the ordinary fold understands."""
    codes, types = coded(frame["type"])
    by_type = np.array([program.trigger_of(kind) for kind in types], np.int16)
    trigger = by_type.take(codes)
    hands = np.array([kind in _HANDS for kind in types], np.bool_)
    strange = np.array([_is_strange(kind) for kind in types], np.bool_)
    if hands.any():
        rows = np.flatnonzero(hands[codes])
        trigger[rows] = _hand_triggers(program, frame[rows])
    return trigger, strange[codes] if strange.any() else none_of(len(frame))


def _is_strange(kind: str) -> bool:
    # What is left after a refund, and what an edit relabels, hang on what the deal was before; what
    # a merge does hangs on which deal it names.
    return kind in (EDITED, MERGED, REFUNDED) or (kind.startswith(RESERVED) and kind not in _HANDS)


def _hand_triggers(program: Program, frame: pl.DataFrame) -> Numbers:
    columns = ["type", *({"into", "data"} & set(frame.columns))]
    # There are few different hands, and each costs a look-up by name: every one is asked once.
    known = {
        row: program.trigger_of(str(row["type"]), _into(row))
        for row in map(_Row, frame.select(columns).unique().iter_rows(named=True))
    }
    told = map(_Row, frame.select(columns).iter_rows(named=True))
    return np.array([known[row] for row in told], np.int16)


class _Row(dict[str, Any]):
    """A row that can be looked up."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


def _into(row: dict[str, Any]) -> str:
    if row.get("data") is None:
        return str(row.get("into"))
    try:
        return str(json.loads(row["data"]).get("into"))
    except (ValueError, AttributeError):
        return ""  # its payload is unreadable too, and the ordinary fold refuses it


def _told(program: Program, frame: pl.DataFrame, trigger: Numbers) -> tuple[Numbers | None, Told]:
    if "data" not in frame.columns:
        return None, read_columns(program, frame, trigger)
    change = np.where(program.is_hand, -1, program.change)[trigger]
    codes, texts = coded(frame["data"])
    # One text can mean different things to different triggers, so what is parsed once is the pair:
    # the text's number (0 for none) and, in three bits, what the trigger does to the cart.
    key = (codes.astype(np.int64) + 1) * 8 + (change + 1)
    is_there = np.zeros((len(texts) + 1) * 8, np.bool_)
    is_there[key] = True
    kinds = np.flatnonzero(is_there)
    payloads = ((int(k % 8) - 1, texts[int(k // 8) - 1] if k >= 8 else None) for k in kinds)
    place = np.cumsum(is_there, dtype=np.int32) - np.int32(1)
    return place[key], read_texts(program.asked, payloads)


def _identities(frame: pl.DataFrame) -> Numbers:
    ids = frame["id"].hash().to_numpy()
    sources = frame["source"].to_physical()
    # A second hash of millions of equal texts would tell nothing apart.
    if sources.min() == sources.max():
        return ids
    return ids ^ (sources.hash(1).to_numpy() * _MIXER)


def _by_deal(deal: Numbers, at: Ints, first: Ints, kernel: Sorter | None) -> tuple[Numbers, bool]:
    """Return the row numbers deal by deal, and whether they are known to be in order of time."""
    if kernel is not None:
        return kernel.sorted_rows(deal, at, first)
    # Sorting what is sorted already costs more than all the rest of this, so it is looked at first.
    is_grouped = bool((deal[1:] >= deal[:-1]).all())
    return np.arange(len(deal)) if is_grouped else np.argsort(deal, kind="stable"), False


def _put_in_order(
    program: Program,
    frame: pl.DataFrame,
    rows: Numbers,
    deal: Numbers,
    at: Ints,
    trigger: Numbers,
) -> None:
    """Put each deal's *rows* in their one order; in most logs they are in it already."""
    sorted_at, sorted_deal = at[rows], deal[rows]
    same_deal = sorted_deal[1:] == sorted_deal[:-1]
    back = same_deal & (sorted_at[1:] < sorted_at[:-1])
    if back.any():
        # Only the deals that are out of order are sorted again.
        moved = np.flatnonzero(np.isin(sorted_deal, sorted_deal[1:][back]))
        some = rows[moved]
        rows[moved] = some[np.lexsort((at[some], deal[some]))]
        sorted_at = at[rows]
    at_once = same_deal & (sorted_at[1:] == sorted_at[:-1])
    if at_once.any():
        tied = np.concatenate([at_once, [False]]) | np.concatenate([[False], at_once])
        places = np.flatnonzero(tied)
        some = rows[places]
        rows[places] = some[_order_within_instants(program, frame[some], deal, at, trigger, some)]


def _order_within_instants(
    program: Program,
    frame: pl.DataFrame,
    deal: Numbers,
    at: Ints,
    trigger: Numbers,
    rows: Numbers,
) -> Numbers:
    keys = frame.select("seq", pl.col("source", "id").cast(pl.String)).with_columns(
        deal=pl.Series(deal[rows]),
        at=pl.Series(at[rows]),
        phase=pl.Series(program.phase[trigger[rows]]),
        height=pl.Series(program.height[trigger[rows]]),
    )
    columns = ("deal", "at", "phase", "seq", "height", "source", "id")
    return keys.select(pl.arg_sort_by(*columns, maintain_order=True)).to_series().to_numpy()
