"""The names that recur in every row of events and moves, each of them as a number.

They are event types, stages and rules: what a pipeline declares, and never what says something of a
person. A word is only ever added, and keeps its number.
"""

from __future__ import annotations

__all__ = ["Words"]

MOST = 4096
"""How many are remembered; where somebody tells ever new types, the others are looked up."""


class Words:
    """Words that are committed, as one connection has read them.

    They are remembered with the connection and not with the store: what a new connection finds may
    be another database, restored or taken over from a replica.
    """

    __slots__ = ("numbers", "words")

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.words: dict[int, str] = {}

    def note(self, number: int, word: str) -> None:
        """Remember a word's number."""
        if len(self.words) < MOST:
            self.numbers[word] = number
            self.words[number] = word

    def clear(self) -> None:
        """Forget all of them."""
        self.numbers.clear()
        self.words.clear()
