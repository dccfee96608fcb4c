"""The public holidays of a country, as dates that a calendar keeps: asked once, while defining."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from ..errors import DefinitionError
from ..extras import how_to_install
from ..public import publish
from .plain import did_you_mean

__all__ = ["public_holidays"]


def public_holidays(
    country: str, subdivision: str | None = None, *, years: int | Iterable[int]
) -> tuple[dt.date, ...]:
    """Return the public holidays of a country, for :class:`~ladderpipe.Calendar`, in order.

    They come from the package `holidays <https://holidays.readthedocs.io>`_ (extra ``calendar``),
    whose data changes with its versions. The calendar keeps the dates themselves, and they are
    part of what a store compares: other dates are a changed ladder, never a silent one.

    Args:
        country: ISO 3166-1 code, ``"IT"``.
        subdivision: of ISO 3166-2, without the country, ``"BZ"``, for the holidays that only some
            parts of the country have.
        years: which ones; in the others the calendar has no holidays.

    Raises:
        DefinitionError: there is no such country or subdivision, or no year is named.
        ImportError: the extra ``calendar`` is not installed.
    """
    try:
        import holidays
    except ImportError as error:
        raise ImportError(
            f"public_holidays({country!r}, ...) needs the extra 'calendar': "
            f"{how_to_install('calendar')}; or give the calendar a list of dates",
            name="holidays",
        ) from error
    wanted = [years] if isinstance(years, int) else list(years)
    if not wanted or not all(isinstance(year, int) and 1 <= year <= 9999 for year in wanted):
        raise DefinitionError(f"years={years!r}: say which, range(2026, 2031)")
    known = holidays.list_supported_countries()
    if country not in known:
        meant = did_you_mean(str(country), known)
        raise DefinitionError(
            f"the holidays of country {country!r} are not known{meant}: give its code by "
            "ISO 3166-1, IT"
        )
    if subdivision is not None and subdivision not in known[country]:
        meant = did_you_mean(str(subdivision), known[country])
        raise DefinitionError(
            f"no subdivision {subdivision!r} of country {country!r} is known{meant}: give its code "
            f"by ISO 3166-2, without the {country}-"
        )
    found = holidays.country_holidays(country, subdiv=subdivision, years=wanted, expand=False)
    return tuple(sorted(found))


publish("ladderpipe", public_holidays)
