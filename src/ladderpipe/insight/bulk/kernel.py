"""The fold of many deals, one after another, compiled by Numba: what :mod:`.steps` does, in loops.

The loops read any ladder's tables (:class:`~.program.Program`); no code is made for a single one.
Nothing is written down between two events of a deal but a row of numbers, and the interpreter is
let go of, so that threads share the cores. Whoever imports this module waits for Numba; see
:mod:`.compiled`, which also says what is given to :func:`fold_deals`.

What was compiled is kept on disk, and known there by what stands in this file and by
:data:`NUMBERS`; so whatever is compiled stands here, and no function comes from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.core import types as kinds
from numba.extending import intrinsic

from .arrays import LARGEST, LAST, NEVER, NOTHING, Flags, Ints, Numbers
from .carts import MOST_SEATS, ONE, TOO_MUCH
from .payloads import ANSWERS, CURRENCY, VALUE
from .program import ADD, BOUGHT, EMPTY, REMOVE, REPLACE

__all__ = [
    "ENDS",
    "KNOWN",
    "MOVES",
    "SEATS",
    "Ladder",
    "Stream",
    "Workplace",
    "Written",
    "fold_deals",
    "sort_by_deal",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])


# Nothing here makes arrays, so nobody has to count who holds them (``_nrt``): counting takes
# several times as long as the fold, and threads would wait for one another's counts. What is only
# called from here needs no wrappers, and without them is compiled in two thirds of the time.
_OPTIONS: Final[dict[str, Any]] = {"nogil": True, "_nrt": False}
_INLINED: Final[dict[str, Any]] = {
    "forceinline": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}


def _compiled(function: _Function) -> _Function:
    """Compile *function* when it is first called, and keep it on disk."""
    made: Any = numba.njit(function, cache=True, **_OPTIONS)
    return cast("_Function", made)


def _inlined(function: _Function) -> _Function:
    """Compile *function* into those that call it."""
    made: Any = numba.njit(function, **_INLINED, **_OPTIONS)
    return cast("_Function", made)


_whole: Final[Any] = np.uint64
"""Of an index without a sign nobody has to find out whether it counts from the end: where very many
are looked up, that takes a seventh of the time."""

NUMBERS: Final = (
    *(LARGEST, LAST, NEVER, NOTHING),
    *(MOST_SEATS, ONE, TOO_MUCH),
    *(ANSWERS, CURRENCY, VALUE),
    *(ADD, BOUGHT, EMPTY, REMOVE, REPLACE),
)
"""All that is imported: compiled code holds the numbers themselves."""

RUNG, NUMBER, ENTERED_AT, OPENED_AT, CLOSED_AT, DUE_AT, LOST_FROM = 0, 1, 2, 3, 4, 5, 6
WORTH, CURRENCY_CODE, ONE_BY_ONE = 7, 8, 9
ENDS = 10
"""How many of the numbers that are known of a deal are told at the end; the others follow."""

_ACTIVITY_AT, _NEXT, _BLOCKED, _FIRED, _FIRED_AT = 10, 11, 12, 13, 14
_EXPLICIT, _HAS_HELD, _IS_TOLD, _WORD, _LINES = 15, 16, 17, 18, 19
_FROZEN_LINES, _FROZEN_IS_TOLD, _FROZEN_EXPLICIT, _FROZEN_CURRENCY = 20, 21, 22, 23
_DEAL, _WRITTEN = 24, 25
KNOWN = 26
"""What they mean: :class:`~.visits.Visits` and :class:`~.steps.Block` have an array for each.
The last are the deal's place among all, and how many moves of those before it are written down."""

_AHEAD = 2
"""So many deals before it is folded, the memory is asked for what a deal was told."""

SEATS = 256
"""Of the table of identities, at the least: where it is mostly empty, two seldom want one seat, and
the processor guesses right that they do not."""

_SKU, _QUANTITY, _PRICE = 0, 1, 2
_FROZEN, _BEFORE = 3, 6
"""Rows of the carts at work: the deal's own, as it was before an event of a closed deal, and as it
was before a whole cart was told."""


class Stream(NamedTuple):
    """The events, deal by deal, and what they tell: :class:`~.arrange.Arranged` in plain arrays.

    ``payload`` is empty when each event has its own, and a column that tells nothing is, too.
    """

    first: Ints
    length: Ints
    rows: Numbers
    at: Ints
    trigger: Numbers
    payload: Numbers
    identity: Numbers
    left_out: Flags
    flags: Numbers
    sku: Numbers
    quantity: Ints
    price: Ints
    value: Ints
    currency: Numbers
    mask: Ints
    bits: Ints
    first_line: Numbers
    line_count: Numbers
    cart_sku: Numbers
    cart_quantity: Ints
    cart_price: Ints


class Ladder(NamedTuple):
    """A :class:`~.program.Program` in few tables, of which each column has a number.

    A row of ``questions`` is one about the value: its bit, whether any value but zero will do, the
    least and the most that will, and the currency, −1 for any.
    """

    change: Numbers
    is_hand: Flags
    winner: Numbers
    into: Ints
    asked: Ints
    questions: Ints
    rungs: Flags
    timers: Ints
    passes: Flags


_WORDS, _WORD_OF_NOTHING, _CART_BIT, _VALUE_BITS, _CURRENCY_BITS = 0, 1, 2, 3, 4
_CLOSED, _WON, _LOST, _ANY_TIMER, _REARMS = 0, 1, 2, 3, 4
_RULE, _DELAY, _SINCE, _BIT = 0, 1, 2, 3

DEAL, N, OUT_OF, WAY, ROW, TRIGGER = 0, 1, 2, 3, 4, 5
MOVES = 6
"""What is written of a move beside its instant: see :class:`~.folded.Passages`."""


class Written(NamedTuple):
    """Room for moves, with a column for each, and for when they were made."""

    moves: Numbers
    at: Ints


class Workplace(NamedTuple):
    """What is read by one call alone: a deal's numbers, its carts, and a table of identities."""

    known: Ints
    carts: Ints
    seat: Numbers
    taken_by: Ints


@_compiled
def sort_by_deal(deal: Numbers, at: Ints, free: Ints, rows: Numbers) -> bool:
    """Sort rows by deal, those of one deal as they came; return whether all are in order of time.

    Args:
        deal: by row.
        at: by row.
        free: by deal, where its first row has its place; becomes where the next deal's has.
        rows: is filled.
    """
    for row in range(len(deal)):
        rows[free[deal[row]]] = row
        free[deal[row]] += 1
    for place in range(1, len(rows)):
        row, before = rows[place], rows[place - 1]
        if deal[row] == deal[before] and at[row] <= at[before]:
            return False
    return True


def _asking(_: Any, column: Any, row: Any) -> tuple[Any, Callable[..., Any]]:
    """Ask the memory for a number that is read soon, and do not wait for it."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, given[0])
        address = builder.bitcast(builder.gep(array.data, [given[1]]), cgutils.voidptr_t)
        # To read, to keep near, data and no code.
        how = [cgutils.int32_t(number) for number in (0, 3, 1)]
        kind = ir.FunctionType(ir.VoidType(), [address.type, *(each.type for each in how)])
        ask = builder.module.declare_intrinsic("llvm.prefetch", [address.type], kind)
        builder.call(ask, [address, *how])
        return context.get_dummy_value()

    return kinds.void(column, row), generate


_ask_for: Final[Any] = intrinsic(_asking)


@_compiled
def fold_deals(
    start: int,
    end: int,
    until: int,
    stream: Stream,
    ladder: Ladder,
    ends: Ints,
    written: Written,
    work: Workplace,
    numbers: tuple[float, ...] = NUMBERS,
) -> tuple[int, int, int]:
    """Fold deals from *start* up to *end*, as long as there is room for their moves.

    Args:
        start: the first deal, whose column is the first of *ends*.
        end: the first deal that is not asked for.
        until: fire timers due up to and at it; ``NOTHING`` for none after a deal's last event.
        stream: the events.
        ladder: the rules.
        ends: is filled with a column for each deal.
        written: is filled with the moves.
        work: as it was made; is of no use afterwards.
        numbers: a part of what the compiled code is found by, like the types of the others.

    Returns:
        The first deal that was not folded, *end* if all were; how many moves were written; and
        how many that deal would write.
    """
    count, known = 0, work.known
    for deal in range(start, end):
        if deal + _AHEAD < end:
            _ask_for_events(deal + _AHEAD, stream)
        _begin(known, deal, count, ladder)
        if stream.left_out[deal] or _is_told_twice(deal, stream, work):
            known[ONE_BY_ONE] = 1
        else:
            _fold(known, until, stream, ladder, written, work.carts)
            if not known[ONE_BY_ONE]:
                if count + known[NUMBER] > len(written.at):
                    return deal, count, int(known[NUMBER])
                count += int(known[NUMBER])
        for column in range(ENDS):
            ends[column, deal - start] = known[column]
    return end, count, 0


@_inlined
def _ask_for_events(deal: int, stream: Stream) -> None:
    """Ask for what most events tell: rows of one deal are far from each other in every column."""
    first, each_its_own = stream.first[deal], not len(stream.payload)
    has_lines = each_its_own and len(stream.sku) and len(stream.quantity) and len(stream.price)
    for place in range(stream.length[deal]):
        row = _whole(stream.rows[_whole(first + place)])
        _ask_for(stream.at, row)
        _ask_for(stream.trigger, row)
        _ask_for(stream.identity, row)
        if each_its_own:
            _ask_for(stream.flags, row)
        else:
            _ask_for(stream.payload, row)
        if has_lines:
            _ask_for(stream.sku, row)
            _ask_for(stream.quantity, row)
            _ask_for(stream.price, row)


@_inlined
def _begin(known: Ints, deal: int, count: int, ladder: Ladder) -> None:
    known[:] = 0
    known[CLOSED_AT] = known[_FIRED_AT] = known[WORTH] = known[_EXPLICIT] = NOTHING
    known[DUE_AT] = NEVER
    known[CURRENCY_CODE] = -1
    known[_WORD] = ladder.asked[_WORD_OF_NOTHING]
    known[_DEAL] = deal
    known[_WRITTEN] = count


@_inlined
def _is_told_twice(deal: int, stream: Stream, work: Workplace) -> bool:
    """Return whether two events of a deal have one identity, by its hash."""
    first, length = stream.first[deal], stream.length[deal]
    seats = SEATS
    while seats < 2 * length:
        seats *= 2
    for place in range(length):
        identity = stream.identity[_whole(stream.rows[_whole(first + place)])]
        seat = (identity >> _whole(7)) & _whole(seats - 1)
        # Nobody tidies the table: a seat that another deal took is free.
        while work.taken_by[seat] == deal:
            if work.seat[seat] == identity:
                return True
            seat = (seat + _whole(1)) & _whole(seats - 1)
        work.seat[seat] = identity
        work.taken_by[seat] = deal
    return False


@_inlined
def _fold(
    known: Ints, until: int, stream: Stream, ladder: Ladder, written: Written, carts: Ints
) -> None:
    """Fold one deal; those of its moves for which there is no room are only counted."""
    deal = known[_DEAL]
    first, each_its_own = stream.first[deal], not len(stream.payload)
    for place in range(stream.length[deal]):
        row = _whole(stream.rows[_whole(first + place)])
        at, trigger = stream.at[row], int(stream.trigger[row])
        # A hand comes after the timers of its own instant, any other event before them (S9).
        limit = at + int(ladder.is_hand[_whole(trigger)])
        if known[DUE_AT] < limit:
            _fire(known, limit, ladder, written)
        payload = row if each_its_own else _whole(stream.payload[row])
        flags, change = stream.flags[payload], ladder.change[_whole(trigger)]
        is_frozen = False
        if change != 0 or flags != 0:
            is_frozen = _reduce(known, change, flags, payload, stream, ladder, carts)
        cell = (known[RUNG] * len(ladder.change) + trigger) * ladder.asked[_WORDS] + known[_WORD]
        way = int(ladder.winner[_whole(cell)])
        if way >= 0:
            _move(known, way, at, row, trigger, ladder, written)
        elif ladder.rungs[_whole(known[RUNG]), _ANY_TIMER]:
            _after_activity(known, at, ladder, written)
        # Only now is it known whether the event reopened the deal, which unfreezes its cart (S17).
        if is_frozen and ladder.rungs[known[RUNG], _CLOSED]:
            _put_back(known, ladder, carts)
    if until != NOTHING:
        _fire(known, until + 1, ladder, written)
    known[WORTH] = _value(known, carts)


# -- data -----------------------------------------------------------------------------------------


@_inlined
def _reduce(
    known: Ints,
    change: int,
    flags: int,
    payload: int,
    stream: Stream,
    ladder: Ladder,
    carts: Ints,
) -> bool:
    """Take in what an event tells; return whether a closed deal's cart has to be put back."""
    is_touched = change != 0 or flags >= VALUE
    # What an order tells of amounts counts on a closed deal, too.
    is_frozen = is_touched and change < BOUGHT and ladder.rungs[known[RUNG], _CLOSED]
    if is_frozen:
        _copy(carts, _SKU, _FROZEN, known[_LINES])
        known[_FROZEN_LINES] = known[_LINES]
        known[_FROZEN_IS_TOLD] = known[_IS_TOLD]
        known[_FROZEN_EXPLICIT] = known[_EXPLICIT]
        known[_FROZEN_CURRENCY] = known[CURRENCY_CODE]
    if change != 0:
        _change_cart(known, change, payload, stream, carts)
    if flags & ANSWERS:
        known[_WORD] = (known[_WORD] & ~stream.mask[payload]) | stream.bits[payload]
    if flags & VALUE:
        known[_EXPLICIT] = stream.value[payload]
    if flags & CURRENCY:
        code = int(stream.currency[payload])
        # The fold keeps a second currency aside and says so: it shall.
        if known[CURRENCY_CODE] >= 0 and known[CURRENCY_CODE] != code:
            known[ONE_BY_ONE] = 1
        known[CURRENCY_CODE] = code
    if is_touched:
        _answer_anew(known, ladder, carts)
    return is_frozen


@_inlined
def _change_cart(known: Ints, change: int, payload: int, stream: Stream, carts: Ints) -> None:
    if change == BOUGHT:
        # An order may be for the cart before it was emptied: what that was, only the fold keeps.
        if known[_HAS_HELD] and not known[_LINES]:
            known[ONE_BY_ONE] = 1
    elif change == EMPTY:
        if known[_LINES]:
            known[_EXPLICIT] = NOTHING
        known[_LINES] = 0
    elif change in (ADD, REMOVE):
        quantity = stream.quantity[payload] if len(stream.quantity) else NOTHING
        price = stream.price[payload] if len(stream.price) else NOTHING
        sku = int(stream.sku[payload])
        if _change_line(known, sku, quantity, price, change == REMOVE, carts):
            known[_EXPLICIT] = NOTHING
    elif change == REPLACE:
        before = known[_LINES]
        if known[_EXPLICIT] != NOTHING:
            _copy(carts, _SKU, _BEFORE, before)
        known[_LINES] = 0
        first = int(stream.first_line[payload])
        for line in range(first, first + int(stream.line_count[payload])):
            told = stream.cart_quantity[line]
            quantity = ONE if told == NOTHING else told
            if quantity > 0:
                sku = int(stream.cart_sku[line])
                _put_new(known, sku, quantity, stream.cart_price[line], carts)
        if known[_EXPLICIT] != NOTHING and _is_another(known, before, carts):
            known[_EXPLICIT] = NOTHING
    if known[_LINES]:
        known[_HAS_HELD] = 1
    if known[_LINES] or change in (EMPTY, REPLACE):
        known[_IS_TOLD] = 1


@_inlined
def _change_line(
    known: Ints, sku: int, quantity: int, price: int, is_taken: bool, carts: Ints
) -> bool:
    """Add a line to the cart, or take from it; return whether the cart is another now."""
    seat, lines = 0, known[_LINES]
    while seat < lines and carts[_SKU, seat] != sku:
        seat += 1
    is_held = seat < lines
    before = carts[_QUANTITY, seat] if is_held else 0
    if not is_taken:
        after = before + (ONE if quantity == NOTHING else quantity)
    else:
        after = 0 if quantity == NOTHING else max(before - quantity, 0)
    if after > LARGEST:
        known[ONE_BY_ONE] = 1
    is_another = after != before
    if not is_held:
        if after > 0:
            _put_new(known, sku, after, price, carts)
    elif after == 0:
        known[_LINES] = lines - 1
        for part in range(3):
            carts[part, seat] = carts[part, lines - 1]
    else:
        carts[_QUANTITY, seat] = after
        # A price that is not told stays what it was.
        if price != NOTHING and not is_taken:
            is_another |= carts[_PRICE, seat] != price
            carts[_PRICE, seat] = price
        _note_too_big(known, seat, carts)
    return is_another


@_inlined
def _put_new(known: Ints, sku: int, quantity: int, price: int, carts: Ints) -> None:
    seat = known[_LINES]
    if seat >= MOST_SEATS:
        known[ONE_BY_ONE] = 1
        return
    carts[_SKU, seat] = sku
    carts[_QUANTITY, seat] = quantity
    carts[_PRICE, seat] = price
    known[_LINES] = seat + 1
    _note_too_big(known, seat, carts)


@_inlined
def _note_too_big(known: Ints, seat: int, carts: Ints) -> None:
    price = carts[_PRICE, seat]
    if price != NOTHING and float(carts[_QUANTITY, seat]) * abs(float(price)) > TOO_MUCH:
        known[ONE_BY_ONE] = 1


@_inlined
def _copy(carts: Ints, source: int, target: int, lines: int) -> None:
    for part in range(3):
        for seat in range(lines):
            carts[target + part, seat] = carts[source + part, seat]


@_inlined
def _is_another(known: Ints, before: int, carts: Ints) -> bool:
    """Return whether the cart holds other lines than before, in whatever order."""
    lines = known[_LINES]
    if lines != before:
        return True
    for seat in range(lines):
        place = 0
        while place < before and carts[_BEFORE, place] != carts[_SKU, seat]:
            place += 1
        if place == before:
            return True
        for part in range(1, 3):
            if carts[_BEFORE + part, place] != carts[part, seat]:
                return True
    return False


@_inlined
def _put_back(known: Ints, ladder: Ladder, carts: Ints) -> None:
    known[_LINES] = known[_FROZEN_LINES]
    _copy(carts, _FROZEN, _SKU, known[_LINES])
    known[_IS_TOLD] = known[_FROZEN_IS_TOLD]
    known[_EXPLICIT] = known[_FROZEN_EXPLICIT]
    known[CURRENCY_CODE] = known[_FROZEN_CURRENCY]
    known[_WORD] &= ~ladder.asked[_CURRENCY_BITS]
    if known[CURRENCY_CODE] >= 0:
        known[_WORD] |= ladder.asked[_CURRENCY_BITS]
    _answer_anew(known, ladder, carts)


@_inlined
def _answer_anew(known: Ints, ladder: Ladder, carts: Ints) -> None:
    """Answer the questions about cart and value."""
    word = known[_WORD] & ~(ladder.asked[_CART_BIT] | ladder.asked[_VALUE_BITS])
    if known[_LINES]:
        word |= ladder.asked[_CART_BIT]
    if len(ladder.questions):
        value = _value(known, carts)
        for bit, is_any, least, most, currency in ladder.questions:
            holds = value != 0 if is_any else least <= value <= most
            if value != NOTHING and holds and (currency == -1 or currency == known[CURRENCY_CODE]):
                word |= bit
    known[_WORD] = word


@_inlined
def _value(known: Ints, carts: Ints) -> int:
    """Return what the deal is worth, scaled, ``NOTHING`` if nobody knows."""
    total, about, has_price = 0, 0.0, False
    for seat in range(known[_LINES]):
        quantity, price = carts[_QUANTITY, seat], carts[_PRICE, seat]
        if price != NOTHING:
            has_price = True
            total += quantity * price
            about += float(quantity) * abs(float(price))
    # Whole numbers overflow without a word; floats tell that they did.
    if about > TOO_MUCH:
        known[ONE_BY_ONE] = 1
    if known[_EXPLICIT] != NOTHING:
        return int(known[_EXPLICIT])
    is_known = has_price if known[_LINES] else known[_IS_TOLD] != 0
    return total if is_known else NOTHING


# -- moves ----------------------------------------------------------------------------------------


@_inlined
def _move(
    known: Ints, way: int, at: int, row: int, trigger: int, ladder: Ladder, written: Written
) -> None:
    """Move a deal, and write it down if there is room."""
    left, entered = _whole(known[RUNG]), _whole(ladder.into[_whole(way)])
    known[RUNG] = entered
    known[NUMBER] += 1
    known[ENTERED_AT] = known[_ACTIVITY_AT] = at
    if left == 0:
        known[OPENED_AT] = at
    known[_BLOCKED] = 0
    known[DUE_AT] = NEVER
    if ladder.rungs[entered, _ANY_TIMER]:
        _schedule(known, ladder)
    if ladder.rungs[left, _CLOSED] or ladder.rungs[entered, _CLOSED]:
        _note_closing(known, left, entered, at, ladder)
    place = _whole(known[_WRITTEN] + known[NUMBER] - 1)
    if place < _whole(len(written.at)):
        moves = written.moves
        moves[DEAL, place] = known[_DEAL]
        moves[N, place] = known[NUMBER]
        moves[OUT_OF, place] = left
        moves[WAY, place] = way
        moves[ROW, place] = row
        moves[TRIGGER, place] = trigger
        written.at[place] = at


@_inlined
def _note_closing(known: Ints, left: int, entered: int, at: int, ladder: Ladder) -> None:
    if not ladder.rungs[entered, _CLOSED]:
        known[CLOSED_AT] = NOTHING
    elif not (ladder.rungs[left, _WON] and ladder.rungs[entered, _WON]):
        known[CLOSED_AT] = at
    if not ladder.rungs[entered, _LOST]:
        known[LOST_FROM] = 0
    elif not ladder.rungs[left, _LOST]:
        known[LOST_FROM] = left


@_inlined
def _schedule(known: Ints, ladder: Ladder) -> None:
    """Find the next timer that was not yet tried: by due time, then rule order."""
    known[DUE_AT] = NEVER
    known[_NEXT] = 0
    for place in range(ladder.timers.shape[1]):
        if not known[_BLOCKED] >> place & 1:
            due = _due(known, place, ladder)
            if due < known[DUE_AT]:
                known[DUE_AT] = due
                known[_NEXT] = place


@_inlined
def _due(known: Ints, place: int, ladder: Ladder) -> int:
    rung = _whole(known[RUNG])
    since = ladder.timers[rung, place, _SINCE]
    start = known[ENTERED_AT]
    if since == 1:
        start = known[_ACTIVITY_AT]
    elif since == 2:
        start = known[OPENED_AT]
    due = start + ladder.timers[rung, place, _DELAY]
    if due > LAST or ladder.timers[rung, place, _RULE] < 0:
        return NEVER
    return int(max(due, known[ENTERED_AT]))


@_inlined
def _passes(known: Ints, place: int, at: int, ladder: Ladder) -> bool:
    """Return whether a timer may fire: not twice at one instant, and only if its guard holds."""
    rung = _whole(known[RUNG])
    if known[_FIRED_AT] == at and known[_FIRED] & ladder.timers[rung, place, _BIT]:
        return False
    return bool(ladder.passes[rung, place, known[_WORD]])


@_inlined
def _fire(known: Ints, limit: int, ladder: Ladder, written: Written) -> None:
    """Fire the timers due before *limit*, one after another."""
    while known[DUE_AT] < limit:
        due, place = known[DUE_AT], known[_NEXT]
        if _passes(known, place, due, ladder):
            _fire_this(known, place, due, ladder, written)
        else:
            known[_BLOCKED] |= np.int64(1) << place
            _schedule(known, ladder)


@_inlined
def _fire_this(known: Ints, place: int, at: int, ladder: Ladder, written: Written) -> None:
    rung = _whole(known[RUNG])
    if known[_FIRED_AT] != at:
        known[_FIRED] = 0
    known[_FIRED] |= ladder.timers[rung, place, _BIT]
    known[_FIRED_AT] = at
    _move(known, ladder.timers[rung, place, _RULE], at, -1, -1, ladder, written)


@_inlined
def _after_activity(known: Ints, at: int, ladder: Ladder, written: Written) -> None:
    """Rearm timers that count from activity, then try the blocked ones again."""
    known[_ACTIVITY_AT] = at
    if ladder.rungs[known[RUNG], _REARMS]:
        for place in range(ladder.timers.shape[1]):
            # One that is put off is not blocked any more.
            if _due(known, place, ladder) > at:
                known[_BLOCKED] &= ~(np.int64(1) << place)
        _schedule(known, ladder)
    if known[_BLOCKED]:
        for place in range(ladder.timers.shape[1]):
            if known[_BLOCKED] >> place & 1 and _passes(known, place, at, ladder):
                _fire_this(known, place, at, ladder, written)
                return
