"""How numbers, amounts, dates and durations are written in a language, for mails, pages, terminals.

What CLDR says of a language, by way of Babel. Knows no deals, no tables, no markup.
"""

from __future__ import annotations

from ..extras import how_to_install

try:
    import babel as _babel  # noqa: F401
except ModuleNotFoundError as _error:  # pragma: no cover - tested in a process of its own
    if _error.name != "babel":
        raise
    raise ModuleNotFoundError(
        "amounts and dates are written by Babel, which is not installed; the extras mail, insight, "
        f"cli and web bring it: {how_to_install('mail')}",
        name="babel",
    ) from _error

from .catalogue import catalogue
from .format import ENGLISH, ITALIAN, NOTHING, Format

__all__ = ["ENGLISH", "ITALIAN", "NOTHING", "Format", "catalogue"]
