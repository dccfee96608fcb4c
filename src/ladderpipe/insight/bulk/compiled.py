"""What the compiled kernel is given, and what comes of it: deals folded without NumPy's steps.

Whoever imports this module waits for Numba; see :mod:`.loading`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt

from .arrange import Arranged
from .arrays import NOTHING, Ints, Numbers
from .carts import MOST_SEATS
from .folded import Folded, Passages
from .kernel import (
    CLOSED_AT,
    CURRENCY_CODE,
    DEAL,
    DUE_AT,
    ENDS,
    ENTERED_AT,
    KNOWN,
    LOST_FROM,
    MOVES,
    NUMBER,
    ONE_BY_ONE,
    OPENED_AT,
    OUT_OF,
    ROW,
    RUNG,
    SEATS,
    TRIGGER,
    WAY,
    WORTH,
    Ladder,
    N,
    Stream,
    Workplace,
    Written,
    fold_deals,
    sort_by_deal,
)
from .program import Program

__all__ = ["Compiled"]

_ANY: Final = -1

# One set of types for every ladder and every log: another set would be compiled anew.
_STREAM: Final[Mapping[str, Any]] = {
    "first": np.int64,
    "length": np.int64,
    "rows": np.int32,
    "at": np.int64,
    "trigger": np.int16,
    "payload": np.int32,
    "identity": np.uint64,
    "left_out": np.bool_,
    "flags": np.int8,
    "sku": np.int32,
    "quantity": np.int64,
    "price": np.int64,
    "value": np.int64,
    "currency": np.int32,
    "mask": np.int64,
    "bits": np.int64,
    "first_line": np.int32,
    "line_count": np.int32,
    "cart_sku": np.int32,
    "cart_quantity": np.int64,
    "cart_price": np.int64,
}


@attrs.frozen(eq=False)
class Compiled:
    """A ladder and events as the kernel takes them."""

    ladder: Ladder
    stream: Stream

    @classmethod
    def of(cls, program: Program, events: Arranged) -> Compiled:
        """Take the tables of a ladder, and its events."""
        told, cart = events.told, events.told.cart_lines
        nothing = np.zeros(0, np.int32)
        columns = {
            "first": events.first,
            "length": events.length,
            "rows": events.rows,
            "at": events.at,
            "trigger": events.trigger,
            "payload": nothing if events.payload is None else events.payload,
            "identity": events.identity,
            "left_out": events.one_by_one,
            "flags": told.flags,
            "sku": told.line.sku,
            "quantity": told.line.quantity,
            "price": told.line.price,
            "value": told.value,
            "currency": told.currency,
            "mask": told.mask,
            "bits": told.bits,
            "first_line": told.first_line,
            "line_count": told.line_count,
            "cart_sku": cart.sku,
            "cart_quantity": cart.quantity,
            "cart_price": cart.price,
        }
        stream = Stream(**{name: _fixed(column, _STREAM[name]) for name, column in columns.items()})
        return cls(_ladder(program, told.currencies), stream)

    @staticmethod
    def sorted_rows(deal: Numbers, at: Ints, first: Ints) -> tuple[Numbers, bool]:
        """Sort rows as :class:`~.arrange.Sorter` does."""
        rows = np.empty(len(deal), np.int32)
        deal, at = _fixed(deal, np.int32), _fixed(at, np.int64)
        return rows, sort_by_deal(deal, at, np.array(first, np.int64), rows)

    @classmethod
    def warm(cls, program: Program) -> None:
        """Fold nothing, so that the kernel is compiled, or read from the disk."""
        nothing = Stream(**{name: _fixed(np.zeros(0), kind) for name, kind in _STREAM.items()})
        cls.sorted_rows(nothing.sku, nothing.at, nothing.first)
        cls(_ladder(program, ()), nothing).fold(0, 0, None)

    def fold(self, start: int, end: int, until: int | None) -> Folded:
        """Fold the deals from *start* up to *end*, and fire what is due up to and at *until*."""
        lengths = self.stream.length[start:end]
        longest = int(lengths.max(initial=0))
        limit = NOTHING if until is None else until
        parts: list[tuple[Ints, Ints, Numbers]] = []
        # An event makes a move at most; timers make more of them here and there.
        done, room = start, int(lengths.sum()) + len(lengths)
        while done < end or not parts:
            ends = np.empty((ENDS, end - done), np.int64)
            written = Written(np.empty((MOVES, room), np.int32), np.empty(room, np.int64))
            first, work = done, _workplace(longest)
            done, made, more = fold_deals(
                done, end, limit, self.stream, self.ladder, ends, written, work
            )
            parts.append((ends[:, : done - first], written.at[:made], written.moves[:, :made]))
            room = more + int(self.stream.length[done:end].sum())
        if len(parts) == 1:
            return _folded(start, *parts[0])
        return _folded(start, *map(np.hstack, zip(*parts, strict=True)))


def _workplace(longest: int) -> Workplace:
    """Return room to fold deals of so many events at most."""
    # At least two for each event, and a power of two: see how the kernel looks for one told twice.
    seats = max(SEATS, 4 << (longest // 2).bit_length())
    return Workplace(
        known=np.zeros(KNOWN, np.int64),
        carts=np.zeros((9, MOST_SEATS), np.int64),
        seat=np.zeros(seats, np.uint64),
        taken_by=np.full(seats, -1, np.int64),
    )


def _ladder(program: Program, currencies: Sequence[str]) -> Ladder:
    asked, timers = program.asked, program.timers
    bits = asked.cart_bit, asked.value_bits, asked.field_bits("currency")
    flags = program.closed, program.won, program.lost, timers.any_here, timers.rearms
    questions = [
        (
            each.bit,
            each.is_any,
            each.least,
            each.most,
            _ANY if each.currency is None else each.currency,
        )
        for each in asked.value_questions(currencies)
    ]
    return Ladder(
        change=_fixed(program.change, np.int8),
        is_hand=_fixed(program.is_hand, np.bool_),
        winner=_fixed(program.winner, np.int16),
        into=_fixed(program.into, np.int64),
        asked=_fixed([asked.words, asked.word_of_nothing(), *bits], np.int64),
        questions=_fixed(np.array(questions, np.int64).reshape(-1, 5), np.int64),
        rungs=_fixed(np.stack(flags, 1), np.bool_),
        timers=_fixed(np.stack([timers.way, timers.delay, timers.since, timers.bit], 2), np.int64),
        passes=_fixed(timers.passes, np.bool_),
    )


def _fixed(numbers: npt.ArrayLike, kind: Any) -> Numbers:
    """Return numbers side by side that cannot be written; none for a column that tells nothing."""
    column = np.asarray(numbers)
    if column.ndim == 1 and column.strides == (0,):
        column = column[:0]
    view = np.ascontiguousarray(column, kind).view()
    view.flags.writeable = False
    return view


def _folded(start: int, ends: Ints, instants: Ints, moves: Numbers) -> Folded:
    one_by_one = ends[ONE_BY_ONE] != 0
    return Folded(
        first=start,
        rung=ends[RUNG],
        number=np.where(one_by_one, 0, ends[NUMBER]),
        entered_at=ends[ENTERED_AT],
        opened_at=ends[OPENED_AT],
        closed_at=ends[CLOSED_AT],
        due_at=ends[DUE_AT],
        lost_from=ends[LOST_FROM],
        value=ends[WORTH],
        currency=ends[CURRENCY_CODE],
        one_by_one=one_by_one,
        moves=Passages(
            deal=moves[DEAL],
            number=moves[N],
            out_of=moves[OUT_OF],
            way=moves[WAY],
            at=instants,
            row=moves[ROW],
            trigger=moves[TRIGGER],
        ),
    )
