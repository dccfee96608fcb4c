"""All reports on one page that can be shown, mailed and printed; and for machines, as JSON."""

from __future__ import annotations

from ..frames.rates import Rates
from ..frames.snapshot import Instant, Source, refuse_unknown
from ..words import Language
from .contents import Contents, Entry, Section, contents
from .html import MARK, rendered
from .json import record_of
from .vega import write_charts

__all__ = [
    "MARK",
    "Contents",
    "Entry",
    "Section",
    "contents",
    "page",
    "record_of",
    "rendered",
    "write_charts",
]


def page(
    source: Source,
    *,
    as_of: Instant | None = None,
    language: Language = "en",
    rates: Rates | None = None,
    zone: str = "UTC",
    forecasts: bool | None = None,
) -> str:
    """Return every report on one self-contained HTML page.

    The page asks for nothing over the network, and its Content Security Policy forbids it to. It
    holds charts with hover, tables that sort, and the definition of each figure; it follows the
    reader's light or dark and prints. Tables and charts are aggregated, and a long table stands
    on it with its first 500 rows, so that it stays small however many deals there are.

    Args:
        as_of: report on the deals as they stood then.
        language: ``"en"`` or ``"it"``, for words, numbers and dates.
        rates: put all amounts into one currency.
        zone: whose calendar and clock the page tells time by, for example ``"Europe/Rome"``.
        forecasts: whether to forecast, which takes minutes for tens of thousands of deals; up to
            10,000 deals when left out.

    Raises:
        DefinitionError: there is no such language or time zone.
        ClockError: the tables do not reach so far.
        RateError: a rate that is needed is missing.
        ImportError: Altair, Jinja2 or vl-convert-python is not installed.
    """
    refuse_unknown("language", language, ("en", "it"))
    found = contents(source, as_of=as_of, rates=rates, zone=zone, forecasts=forecasts)
    return rendered(found, language)
