"""Titles and tasks in Italian and English, the chosen language first."""

from __future__ import annotations

from typing import Literal, get_args

import attrs

from ..errors import DefinitionError
from ..model.stage import DoStep, do

__all__ = ["Language", "Wording"]

Language = Literal["it", "en"]


@attrs.frozen
class Wording:
    """What the ladders say to people, in one language first.

    Raises:
        DefinitionError: the language is neither ``"it"`` nor ``"en"``.
    """

    language: Language

    def __attrs_post_init__(self) -> None:
        if self.language not in get_args(Language):
            raise DefinitionError(
                f"language={self.language!r}: the ladders speak {' and '.join(get_args(Language))};"
                " copy one to write it in another"
            )

    def title(self, it: str, en: str) -> dict[str, str]:
        """Return a title by language, the chosen one first: the one that is shown by default."""
        titles = {"it": it, "en": en}
        return {self.language: titles.pop(self.language), **titles}

    def task(self, it: str, en: str) -> DoStep:
        """Return a task for the deal's owner, in the chosen language only."""
        return do("task", title=self.title(it, en)[self.language])
