"""What a fold of deals leaves, whichever way it went: their moves, and how they stand."""

from __future__ import annotations

import attrs

from .arrays import Flags, Ints, Numbers

__all__ = ["Folded", "Passages"]


@attrs.frozen(eq=False)
class Passages:
    """Moves, in order of deals and numbers.

    Attributes:
        deal: by its number among all.
        number: from 1.
        out_of: the rung that was left.
        way: see :class:`~.program.Program`.
        at: in microseconds.
        row: of the event; −1 for a timer, which has none.
        trigger: of the event; −1 for a timer.
    """

    deal: Numbers
    number: Ints
    out_of: Numbers
    way: Numbers
    at: Ints
    row: Numbers
    trigger: Numbers


@attrs.frozen(eq=False)
class Folded:
    """Deals that follow one another, as they stand at the end.

    Attributes:
        first: the number of the first among all.
        rung: 0 for one that was not opened.
        number: of moves; 0 for one that is left to the ordinary fold.
        entered_at: the current rung, in microseconds, as all instants are.
        opened_at: when it left rung 0.
        closed_at: ``NOTHING`` for one that is not closed.
        due_at: the next timer; ``NEVER`` for none.
        lost_from: the rung it was lost on; 0 for one that is not lost.
        value: scaled; ``NOTHING`` when it is not known.
        currency: by its place; −1 for none.
        one_by_one: whether it has to take the ordinary fold.
        moves: all of theirs.
    """

    first: int
    rung: Ints
    number: Ints
    entered_at: Ints
    opened_at: Ints
    closed_at: Ints
    due_at: Ints
    lost_from: Ints
    value: Ints
    currency: Ints
    one_by_one: Flags
    moves: Passages
