"""The carts of many deals at once: a row of seats for each, a line in a seat.

What the standard reducer (:mod:`ladderpipe.fold.reducer`) does to one cart, done to all that an
event changes at one step. Titles and the order of lines are not kept: no guard reads them.
"""

from __future__ import annotations

from typing import Final

import attrs
import numpy as np

from .arrays import LARGEST, NOTHING, Flags, Ints, Numbers
from .payloads import Lines

__all__ = ["MOST_SEATS", "ONE", "TOO_MUCH", "CartCopy", "Carts"]

MOST_SEATS: Final = 64
_FREE: Final = -1
TOO_MUCH: Final = 9e18
"""Scaled, far below what an amount may be: whether a line of more is refused, the fold says."""
ONE: Final = 1000
"""A quantity of one, scaled."""


@attrs.frozen(eq=False)
class CartCopy:
    """The carts of some deals as they were."""

    sku: Ints
    quantity: Ints
    price: Ints
    lines: Ints


class Carts:
    """The carts of deals that are numbered from 0.

    Attributes:
        lines: by deal, how many lines are in the cart.
        too_big: by deal, whether the cart outgrew what is kept here, so that it is not right.
    """

    def __init__(self, deals: int) -> None:
        self.lines = np.zeros(deals, np.int64)
        self.too_big = np.zeros(deals, np.bool_)
        # Most carts have a line or two; a row of seats is widened for all when one needs more.
        self._sku = np.full((deals, 4), _FREE, np.int64)
        self._quantity = np.zeros((deals, 4), np.int64)
        self._price = np.zeros((deals, 4), np.int64)

    def change(self, deals: Ints, line: Lines, is_taken: Flags) -> Flags:
        """Add lines to the carts of *deals*, or take from them; return which are others now."""
        held, seat = self._find(deals, line.sku)
        before = np.where(held, self._quantity.ravel()[seat], 0)
        all_of_it = line.quantity == NOTHING
        after = before + np.where(all_of_it, ONE, line.quantity)
        if is_taken.any():
            left = np.where(all_of_it, 0, np.maximum(before - line.quantity, 0))
            after = np.where(is_taken, left, after)
        self.too_big[deals[after > LARGEST]] = True
        told = held & ~is_taken & (line.price != NOTHING)
        is_another: Flags = (after != before) | (told & (self._price.ravel()[seat] != line.price))
        self._put_held(deals, seat, after, held, np.where(is_taken, NOTHING, line.price))
        new = np.flatnonzero(~held & (after > 0))
        if new.size:
            self._put_new(deals[new], line.sku[new], after[new], line.price[new])
        return is_another

    def empty(self, deals: Ints) -> None:
        """Take everything out."""
        self._sku[deals] = _FREE
        self._quantity[deals] = self._price[deals] = self.lines[deals] = 0

    def replace(self, deals: Ints, first: Numbers, count: Numbers, lines: Lines) -> None:
        """Put the whole cart anew: *count* of *lines*, from *first* on."""
        self.empty(deals)
        for place in range(int(count.max(initial=0))):
            some = np.flatnonzero(count > place)
            row = first[some] + place
            quantity = lines.quantity[row]
            quantity = np.where(quantity == NOTHING, ONE, quantity)
            put = np.flatnonzero(quantity > 0)
            row = row[put]
            self._put_new(deals[some[put]], lines.sku[row], quantity[put], lines.price[row])

    def differ(self, deals: Ints, copy: CartCopy) -> Flags:
        """Return which carts are others now than when *copy* was made of them."""
        now = self.copy(deals)
        return np.array(
            [_contents(now, place) != _contents(copy, place) for place in range(len(deals))],
            np.bool_,
        )

    def totals(self, deals: Ints | slice) -> Ints:
        """Return the carts' totals, scaled; notes which of them are too big to be right."""
        quantity, price = self._quantity[deals], self._price[deals]
        price = np.where(price == NOTHING, 0, price)
        # Whole numbers overflow without a word; floats tell in time that they would.
        about = np.einsum("ij,ij->i", quantity.astype(float), np.abs(price).astype(float))
        self.too_big[deals] |= about > TOO_MUCH
        found: Ints = np.einsum("ij,ij->i", quantity, price)
        return found

    def has_price(self, deals: Ints | slice) -> Flags:
        """Return which carts have a line with a price."""
        priced = (self._sku[deals] != _FREE) & (self._price[deals] != NOTHING)
        found: Flags = priced.any(axis=1)
        return found

    def copy(self, deals: Ints) -> CartCopy:
        """Return the carts as they are, to be put back."""
        parts = (self._sku, self._quantity, self._price, self.lines)
        return CartCopy(*(part[deals] for part in parts))

    def put_back(self, deals: Ints, copy: CartCopy, which: Flags) -> None:
        """Make the carts what they were when *copy* was made of them."""
        some, width = deals[which], copy.sku.shape[1]
        self.empty(some)
        self._sku[some, :width] = copy.sku[which]
        self._quantity[some, :width] = copy.quantity[which]
        self._price[some, :width] = copy.price[which]
        self.lines[some] = copy.lines[which]

    def _find(self, deals: Ints, sku: Numbers) -> tuple[Flags, Ints]:
        """Return whether each cart holds a product, and in which seat of all."""
        width = self._sku.shape[1]
        # argmax gives 0 for none, so whether the seat is theirs is looked at again.
        place = (self._sku[deals] == sku[:, None]).argmax(axis=1)
        seat = deals * width + place
        return self._sku.ravel()[seat] == sku, seat

    def _put_held(self, deals: Ints, seat: Ints, after: Ints, held: Flags, price: Ints) -> None:
        stays = np.flatnonzero(held & (after > 0))
        self._quantity.reshape(-1)[seat[stays]] = after[stays]
        # A price that is not told stays what it was.
        told = stays[price[stays] != NOTHING]
        self._price.reshape(-1)[seat[told]] = price[told]
        self._note_too_big(deals[stays], seat[stays])
        gone = np.flatnonzero(held & (after == 0))
        self._sku.reshape(-1)[seat[gone]] = _FREE
        self._quantity.reshape(-1)[seat[gone]] = self._price.reshape(-1)[seat[gone]] = 0
        self.lines[deals[gone]] -= 1

    def _put_new(self, deals: Ints, sku: Numbers, quantity: Ints, price: Ints) -> None:
        if (self.lines[deals] >= self._sku.shape[1]).any() and self._sku.shape[1] < MOST_SEATS:
            self._widen()
        fits = self.lines[deals] < self._sku.shape[1]
        if not fits.all():
            self.too_big[deals[~fits]] = True
            deals, sku, quantity, price = deals[fits], sku[fits], quantity[fits], price[fits]
        _, seat = self._find(deals, np.broadcast_to(np.int64(_FREE), len(deals)))
        self._sku.reshape(-1)[seat] = sku
        self._quantity.reshape(-1)[seat] = quantity
        self._price.reshape(-1)[seat] = price
        self._note_too_big(deals, seat)
        self.lines[deals] += 1

    def _note_too_big(self, deals: Ints, seat: Ints) -> None:
        """Note the carts in which a line now comes to more than is kept here."""
        quantity, price = self._quantity.ravel()[seat], self._price.ravel()[seat]
        price = np.where(price == NOTHING, 0, price)
        about = quantity.astype(float) * np.abs(price).astype(float)
        self.too_big[deals[about > TOO_MUCH]] = True

    def _widen(self) -> None:
        deals, width = self._sku.shape
        self._sku = np.hstack([self._sku, np.full((deals, width), _FREE, np.int64)])
        more = np.zeros((deals, width), np.int64)
        self._quantity = np.hstack([self._quantity, more])
        self._price = np.hstack([self._price, more])


def _contents(carts: CartCopy, place: int) -> set[tuple[int, int, int]]:
    parts = (carts.sku[place], carts.quantity[place], carts.price[place])
    return set(zip(*(part.tolist() for part in parts), strict=True)) - {(_FREE, 0, 0)}
