"""Finding deals in which an event may have been told twice."""

from __future__ import annotations

import numpy as np

from .arrange import Arranged
from .arrays import Flags, Ints, Numbers

__all__ = ["repeated"]

_MIXER = np.uint64(0xD6E8FEB86659FD93)


def repeated(events: Arranged, first: Ints, length: Ints) -> Flags:
    """Return which of a block's deals may have two events with one identity.

    Deals are found by a hash, so one among very many may be found without reason. Every event
    takes a seat in a table by its hash; whoever finds the seat taken is looked at again.
    """
    deal = np.repeat(np.arange(len(first)), length)
    start = np.repeat(first - (np.cumsum(length) - length), length)
    rows = events.rows[start + np.arange(len(deal))]
    key = events.identity[rows] ^ (deal.astype(np.uint64) * _MIXER)
    # At least four seats an event keep deals that are found without reason rare.
    seats = 1 << (4 * len(deal)).bit_length()
    seat = (key >> np.uint64(7)) & np.uint64(seats - 1)
    table = np.zeros(seats, np.int32)
    everyone = np.arange(len(deal), dtype=np.int32)
    table[seat] = everyone
    unseated = np.flatnonzero(table[seat] != everyone)
    found = np.zeros(len(first), np.bool_)
    found[deal[unseated[key[unseated] == key[table[seat[unseated]]]]]] = True
    unseated = unseated[np.argsort(key[unseated])]
    found[deal[unseated[1:][_equal_neighbours(key[unseated])]]] = True
    return found


def _equal_neighbours(keys: Numbers) -> Flags:
    return np.equal(keys[1:], keys[:-1])
