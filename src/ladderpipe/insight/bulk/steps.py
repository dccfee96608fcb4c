"""The fold of a block of deals, all stepped together: the first event of each, then the second.

Each step does to arrays what :mod:`ladderpipe.fold.fold` does to one draft, in the same order:
timers due before the event, the event's data, the decision, and what timers make of activity. The
deals are numbered by how many events they have, the longest first, so that those still going on
are always the first ones.
"""

from __future__ import annotations

from typing import Final

import attrs
import numpy as np

from .arrange import Arranged
from .arrays import NOTHING, Flags, Ints, Numbers
from .carts import CartCopy, Carts
from .duplicates import repeated
from .folded import Folded, Passages
from .payloads import ANSWERS, CURRENCY, VALUE, Lines
from .program import ADD, BOUGHT, EMPTY, REMOVE, REPLACE, Program
from .visits import Visits

__all__ = ["Block"]

_TIMER: Final = -1
"""Stands for the event that a timer's move does not have: its row, and its trigger."""


class Block:
    """Deals from one number up to another, stepped together."""

    def __init__(
        self, program: Program, events: Arranged, start: int, end: int, too_long: int
    ) -> None:
        """Take the deals of *events* from *start* up to *end*.

        Those that have more than *too_long* events, or perhaps one of them twice, are left to the
        ordinary fold.
        """
        self.program = program
        self.events = events
        self._start = start
        length = events.length[start:end].copy()
        left_out = events.one_by_one[start:end] | (length > too_long)
        left_out |= repeated(events, events.first[start:end], np.where(left_out, 0, length))
        # Without events they take no step, and keep their place for the numbering of the others.
        length[left_out] = 0
        # The longest first: whoever still has events is then a slice, not a selection.
        order = np.argsort(-length, kind="stable")
        self.deal = start + order
        """The deals as :class:`Arranged` numbers them."""
        self.one_by_one = left_out[order]
        """Deals that have to take the ordinary fold, whatever became of them here."""
        self._first, self._length = events.first[self.deal], length[order]
        count = end - start
        self.visits = Visits(count, program.timers)
        self.carts = Carts(count)
        self.explicit_value = np.full(count, NOTHING)
        self.has_held = np.zeros(count, np.bool_)
        """Whether there was ever a line in the cart."""
        self.cart_is_told = np.zeros(count, np.bool_)
        self.currency = np.full(count, -1, np.int64)
        self.closed_at = np.full(count, NOTHING)
        self.lost_from = np.zeros(count, np.int64)
        self.word = np.full(count, program.asked.word_of_nothing(), np.int64)
        self._moves: list[tuple[Ints, ...]] = []
        self._values = program.asked.value_questions(events.told.currencies)
        self._cells = len(program.triggers) * program.asked.words

    def step(self, until: int | None) -> None:
        """Step all deals through their events, and fire what is due up to and at *until*."""
        ended = np.bincount(self._length)
        active = len(self.deal) - np.cumsum(ended)
        for place, count in enumerate(active[:-1]):
            self._step(self.events.rows[self._first[:count] + place], int(count))
        if until is not None:
            everyone = np.arange(len(self.deal))
            self._fire(everyone, np.full(len(everyone), until), np.True_)

    def folded(self) -> Folded:
        """Return how the deals stand, and the moves made so far."""
        value = self._value(np.arange(len(self.deal)))
        self.one_by_one |= self.carts.too_big
        by_deal, visits = np.argsort(self.deal), self.visits
        return Folded(
            first=self._start,
            rung=visits.rung[by_deal],
            number=np.where(self.one_by_one, 0, visits.number)[by_deal],
            entered_at=visits.entered_at[by_deal],
            opened_at=visits.opened_at[by_deal],
            closed_at=self.closed_at[by_deal],
            due_at=visits.due_at[by_deal],
            lost_from=self.lost_from[by_deal],
            value=value[by_deal],
            currency=self.currency[by_deal],
            one_by_one=self.one_by_one[by_deal],
            moves=self._passages(by_deal),
        )

    def _passages(self, by_deal: Ints) -> Passages:
        if not self._moves:
            return Passages(*(np.zeros(0, np.int64) for _ in range(7)))
        parts = zip(*self._moves, strict=True)
        deal, number, way, at, row, trigger = map(np.concatenate, parts)
        count = np.where(self.one_by_one, 0, self.visits.number)
        before = np.empty_like(count)
        before[by_deal] = np.cumsum(count[by_deal]) - count[by_deal]
        kept = ~self.one_by_one[deal]
        place = (before[deal] + number - 1)[kept]
        order = np.empty(len(place), np.int64)
        order[place] = np.flatnonzero(kept)
        number, way = number[order], way[order]
        into = self.program.into[way]
        out_of = np.where(number == 1, 0, np.concatenate([[0], into[:-1]]))
        deal = self.deal[deal[order]]
        return Passages(deal, number, out_of, way, at[order], row[order], trigger[order])

    def _step(self, rows: Numbers, count: int) -> None:
        program, visits = self.program, self.visits
        at, trigger = self.events.at[rows], self.events.trigger[rows].astype(np.int64)
        payload = rows if self.events.payload is None else self.events.payload[rows]
        if program.timers.most:
            self._fire(np.arange(count), at, program.is_hand[trigger])
        frozen = self._reduce(trigger, payload, count)
        cell = visits.rung[:count] * self._cells + trigger * program.asked.words
        way = program.winner[cell + self.word[:count]]
        moved = np.flatnonzero(way >= 0)
        if moved.size:
            ways = way[moved].astype(np.int64)
            self._move(moved, ways, at[moved], rows[moved], trigger[moved])
        if program.timers.most:
            self._after_activity(np.flatnonzero(way < 0), at)
        # Only now is it known whether the event reopened the deal, which unfreezes its cart (S17).
        if frozen is not None:
            frozen.put_back(self)

    # -- data ---------------------------------------------------------------------------------

    def _reduce(self, trigger: Ints, payload: Numbers, count: int) -> _Frozen | None:
        told, change = self.events.told, self.program.change[trigger]
        flags = told.flags[payload]
        touched = np.flatnonzero((change != 0) | (flags >= VALUE))
        # What an order tells of amounts counts on a closed deal, too.
        frozen = self._freeze(touched[change[touched] < BOUGHT])
        changed = np.flatnonzero(change)
        if changed.size:
            self._change_carts(changed, change[changed], payload[changed])
        if flags.any():
            self._note(np.flatnonzero(flags), flags, payload)
        if touched.size:
            self._answer_anew(touched)
        return frozen

    def _freeze(self, touched: Ints) -> _Frozen | None:
        closed = touched[self.program.closed[self.visits.rung[touched]]]
        return _Frozen.of(self, closed) if closed.size else None

    def _change_carts(self, deals: Ints, change: Numbers, payload: Numbers) -> None:
        told = self.events.told
        bought = deals[change == BOUGHT]
        # An order may be for the cart before it was emptied: what that was, only the fold keeps.
        self.one_by_one[bought[self.has_held[bought] & (self.carts.lines[bought] == 0)]] = True
        emptied = deals[change == EMPTY]
        if emptied.size:
            self._let_values_fall(emptied, self.carts.lines[emptied] > 0)
            self.carts.empty(emptied)
        lines = np.flatnonzero((change == ADD) | (change == REMOVE))
        if lines.size:
            row, line = payload[lines], told.line
            some = Lines(line.sku[row], line.quantity[row], line.price[row])
            is_another = self.carts.change(deals[lines], some, change[lines] == REMOVE)
            self._let_values_fall(deals[lines], is_another)
        whole = np.flatnonzero(change == REPLACE)
        if whole.size:
            row = payload[whole]
            count = told.line_count[row]
            valued = deals[whole][self.explicit_value[deals[whole]] != NOTHING]
            before = self.carts.copy(valued)
            self.carts.replace(deals[whole], told.first_line[row], count, told.cart_lines)
            if valued.size:
                self._let_values_fall(valued, self.carts.differ(valued, before))
        is_filled = self.carts.lines[deals] > 0
        self.has_held[deals] |= is_filled
        self.cart_is_told[deals] |= is_filled | (change == EMPTY) | (change == REPLACE)

    def _let_values_fall(self, deals: Ints, is_another: Flags) -> None:
        """An explicit value was told of the cart that was held, and falls with it."""
        self.explicit_value[deals[is_another]] = NOTHING

    def _note(self, deals: Ints, flags: Numbers, payload: Numbers) -> None:
        told = self.events.told
        flags, row = flags[deals], payload[deals]
        some = np.flatnonzero(flags & ANSWERS)
        if some.size:
            who, what = deals[some], row[some]
            self.word[who] = (self.word[who] & ~told.mask[what]) | told.bits[what]
        some = np.flatnonzero(flags & VALUE)
        if some.size:
            self.explicit_value[deals[some]] = told.value[row[some]]
        some = np.flatnonzero(flags & CURRENCY)
        if some.size:
            who, code = deals[some], told.currency[row[some]]
            known = self.currency[who]
            # The fold refuses a second currency with an error that names both: it shall say so.
            self.one_by_one[who[(known >= 0) & (known != code)]] = True
            self.currency[who] = code

    def _answer_anew(self, deals: Ints) -> None:
        """Answer the questions about cart and value."""
        asked = self.program.asked
        # Properties and fields are answered by the payload; only these follow from arithmetic.
        word = self.word[deals] & ~(asked.cart_bit | asked.value_bits)
        if asked.cart_bit:
            word |= np.where(self.carts.lines[deals] > 0, asked.cart_bit, 0)
        if self._values:
            value, currency = self._value(deals), self.currency[deals]
            for asked_of in self._values:
                holds = (value != NOTHING) & asked_of.holds(value)
                if asked_of.currency is not None:
                    holds &= currency == asked_of.currency
                word |= np.where(holds, asked_of.bit, 0)
        self.word[deals] = word

    def _value(self, deals: Ints) -> Ints:
        explicit = self.explicit_value[deals]
        is_filled = self.carts.lines[deals] > 0
        known = np.where(is_filled, self.carts.has_price(deals), self.cart_is_told[deals])
        worth = np.where(known, self.carts.totals(deals), NOTHING)
        return np.where(explicit == NOTHING, worth, explicit)

    # -- moves --------------------------------------------------------------------------------

    def _move(self, deals: Ints, way: Ints, at: Ints, row: Numbers, trigger: Ints) -> None:
        program, visits = self.program, self.visits
        left, entered = visits.rung[deals], program.into[way]
        visits.begin(deals, entered, at)
        self._moves.append((deals, visits.number[deals], way, at, row, trigger))
        closing = np.flatnonzero(program.closed[entered] | program.closed[left])
        if closing.size:
            self._note_closing(deals[closing], left[closing], entered[closing], at[closing])

    def _note_closing(self, deals: Ints, left: Ints, entered: Ints, at: Ints) -> None:
        program = self.program
        stays_won = program.won[left] & program.won[entered]
        closed_at = np.where(stays_won, self.closed_at[deals], at)
        self.closed_at[deals] = np.where(program.closed[entered], closed_at, NOTHING)
        lost_from = np.where(program.lost[left], self.lost_from[deals], left)
        self.lost_from[deals] = np.where(program.lost[entered], lost_from, 0)

    def _fire(self, deals: Ints, limit: Ints, at_limit_too: Flags | np.bool_) -> None:
        """Fire the timers of *deals* due before *limit*, one of each deal after another."""
        visits = self.visits
        # A hand comes after the timers of its own instant, any other event before them (S9).
        limit = limit + at_limit_too
        while True:
            is_due = visits.due_at[deals] < limit
            if not is_due.any():
                return
            deals, limit = deals[is_due], limit[is_due]
            due, place = visits.due_at[deals], visits.next[deals]
            passes = visits.passes(deals, place, due, self.word[deals])
            self._fire_these(deals[passes], place[passes], due[passes])
            # A blocked timer is not due any more, so that the loop ends.
            if not passes.all():
                visits.block(deals[~passes])

    def _fire_these(self, deals: Ints, place: Numbers | int, at: Ints) -> None:
        visits = self.visits
        visits.note_fired(deals, place, at)
        way = visits.timers.way[visits.rung[deals], place]
        nothing = np.full(len(deals), _TIMER)
        self._move(deals, way, at, nothing, nothing)

    def _after_activity(self, stayed: Ints, at: Ints) -> None:
        """Rearm timers that count from activity, then try the blocked ones again."""
        visits = self.visits
        stayed = stayed[visits.timers.any_here[visits.rung[stayed]]]
        visits.activity_at[stayed] = at[stayed]
        rearmed = stayed[visits.timers.rearms[visits.rung[stayed]]]
        if rearmed.size:
            visits.rearm(rearmed, at[rearmed])
        waiting = stayed[visits.blocked[stayed] != 0]
        for place in range(visits.timers.most):
            if not waiting.size:
                return
            now = at[waiting]
            passes = visits.is_blocked(waiting, place)
            passes &= visits.passes(waiting, place, now, self.word[waiting])
            if passes.any():
                self._fire_these(waiting[passes], place, now[passes])
                waiting = waiting[~passes]


@attrs.frozen(eq=False)
class _Frozen:
    """Cart, value and currency of closed deals as they were before an event (S17)."""

    deals: Ints
    cart: CartCopy
    is_told: Flags
    explicit_value: Ints
    currency: Ints

    @classmethod
    def of(cls, block: Block, deals: Ints) -> _Frozen:
        return cls(
            deals,
            block.carts.copy(deals),
            block.cart_is_told[deals],
            block.explicit_value[deals],
            block.currency[deals],
        )

    def put_back(self, block: Block) -> None:
        """Put back what deals that are still closed had."""
        still = block.program.closed[block.visits.rung[self.deals]]
        block.carts.put_back(self.deals, self.cart, still)
        deals, currency = self.deals[still], self.currency[still]
        block.cart_is_told[deals] = self.is_told[still]
        block.explicit_value[deals] = self.explicit_value[still]
        block.currency[deals] = currency
        if asked := block.program.asked.field_bits("currency"):
            block.word[deals] = (block.word[deals] & ~asked) | np.where(currency >= 0, asked, 0)
        block._answer_anew(deals)
