"""All reports on one page that can be shown, mailed and printed; and for machines, as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from ..frames.rates import Rates
from ..frames.snapshot import Instant, Source, refuse_unknown
from ..reports.targets import Targets
from ..words import Language
from .contents import Contents, Entry, Section, at_present, contents
from .html import MARK, rendered, rendered_together
from .json import record_of
from .vega import converter, write_charts

__all__ = [
    "MARK",
    "Contents",
    "Entry",
    "Section",
    "at_present",
    "contents",
    "converter",
    "page",
    "record_of",
    "rendered",
    "rendered_together",
    "write_charts",
]


def page(
    source: Source | Sequence[Source],
    *,
    as_of: Instant | None = None,
    language: Language = "en",
    rates: Rates | None = None,
    zone: str = "UTC",
    forecasts: bool | None = None,
    targets: Targets | None = None,
) -> str:
    """Return every report on one self-contained HTML page.

    The page asks for nothing over the network, and its Content Security Policy forbids it to. It
    holds charts with hover, tables that sort, and the definition of each figure; it follows the
    reader's light or dark and prints. Tables and charts are aggregated, and a long table stands
    on it with its first 500 rows, so that it stays small however many deals there are.

    Args:
        source: a board or tables; or several, which stand one below the other, each with its
            own key figures: nothing is added up from one pipeline to the next.
        as_of: report on the deals as they stood then.
        language: ``"en"`` or ``"it"``, for words, numbers and dates.
        rates: put all amounts into one currency.
        zone: whose calendar and clock the page tells time by, for example ``"Europe/Rome"``.
        forecasts: whether to forecast, which takes minutes for tens of thousands of deals; up to
            10,000 deals when left out.
        targets: what each seller was to win, as :func:`~ladderpipe.insight.targets` takes it.

    Raises:
        DefinitionError: there is no such language or time zone.
        ClockError: the tables do not reach so far.
        RateError: a rate that is needed is missing.
        ImportError: Altair or Jinja2 is not installed.
    """
    refuse_unknown("language", language, ("en", "it"))
    sources = source if isinstance(source, Sequence) else [source]
    return rendered_together(
        [
            contents(one, as_of=as_of, rates=rates, zone=zone, forecasts=forecasts, targets=targets)
            for one in sources
        ],
        language,
    )
