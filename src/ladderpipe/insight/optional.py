"""What the extra brings and is loaded when it is needed: tables and figures do without it.

Altair takes longer to import than most reports take to be worked out.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..extras import how_to_install

__all__ = ["alt", "imported"]


def imported(module: str, what: str, extra: str = "insight") -> Any:
    """Import a module of an extra.

    Raises:
        ImportError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise ImportError(
            f"ladderpipe.insight needs {what}, which is not installed: {how_to_install(extra)}"
        ) from error


class _Altair:
    """Stands for the module until something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        return getattr(imported("altair", "Altair for charts"), name)


if TYPE_CHECKING:
    import altair as alt
else:
    alt = _Altair()
