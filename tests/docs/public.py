"""What is public: what a package exports in its ``__all__``."""

from __future__ import annotations

import importlib
from typing import Final

PACKAGES: Final = (
    "ladderpipe",
    "ladderpipe.connect",
    "ladderpipe.django",
    "ladderpipe.errors",
    "ladderpipe.fastapi",
    "ladderpipe.guards",
    "ladderpipe.insight",
    "ladderpipe.logs",
    "ladderpipe.mail",
    "ladderpipe.policy",
    "ladderpipe.problems",
    "ladderpipe.spark",
    "ladderpipe.sqlalchemy",
    "ladderpipe.stores",
    "ladderpipe.templates",
    "ladderpipe.temporal",
    "ladderpipe.testing",
    "ladderpipe.web",
)

NEED_AN_EXTRA: Final = {
    "ladderpipe": ("PostgresStore",),
    "ladderpipe.stores": ("MariadbStore", "PostgresStore"),
}
"""Public too, and not in ``__all__``, so that ``import *`` asks for no driver."""


def public_names(package: str) -> list[str]:
    """Return the names that a public package exports."""
    return [*importlib.import_module(package).__all__, *NEED_AN_EXTRA.get(package, ())]
