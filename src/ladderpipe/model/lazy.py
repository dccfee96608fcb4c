"""Sequences of records that are built when they are read.

A long history is seldom read whole, and a record that is kept is one more that Python's garbage
collector walks over again and again: keeping 100,000 moves took half of the time of folding them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from operator import index
from typing import Any, TypeVar, overload

__all__ = ["LazySequence"]

T = TypeVar("T")


class LazySequence(Sequence[T]):
    """Compares, hashes, adds, prints and pickles as the tuple of its records; slices are tuples.

    What is read twice is built twice: the records are equal, and not the same object.
    """

    __slots__ = ()

    @abstractmethod
    def _one(self, place: int) -> T:
        """Return the record at a *place* that is within the sequence."""

    @abstractmethod
    def _between(self, start: int, stop: int) -> Iterator[T]:
        """Yield the records from the place *start* up to *stop*, both within the sequence."""

    def __iter__(self) -> Iterator[T]:
        return self._between(0, len(self))

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[T, ...]: ...
    def __getitem__(self, place: int | slice) -> T | tuple[T, ...]:
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            if step != 1:
                return tuple(self)[place]
            return tuple(self._between(start, max(start, stop)))
        start = index(place)
        if start < 0:
            start += len(self)
        if not 0 <= start < len(self):
            raise IndexError(f"there is no record {place}: there are {len(self)}")
        return self._one(start)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, LazySequence | tuple):
            return len(self) == len(other) and tuple(self) == tuple(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __add__(self, other: Sequence[T]) -> tuple[T, ...]:
        if isinstance(other, LazySequence | tuple):
            return (*self, *other)
        return NotImplemented

    def __radd__(self, other: tuple[T, ...]) -> tuple[T, ...]:
        return (*other, *self) if isinstance(other, tuple) else NotImplemented

    def __repr__(self) -> str:
        return repr(tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        # What the records are built from may not be possible to pickle, such as a rule's guard.
        return tuple, (tuple(self),)
