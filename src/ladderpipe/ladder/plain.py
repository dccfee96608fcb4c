"""Plain data: values as JSON, YAML and TOML hold them, and reading them back with their place.

What the data means is :mod:`ladderpipe.ladder.definition`'s business.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import enum
import functools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from ..errors import DefinitionError
from ..model.calendar import CalendarSpan

__all__ = ["Part", "did_you_mean", "duration", "nearest", "plain", "span_definition"]

UNITS: Final = ("weeks", "days", "hours", "minutes", "seconds")
_DAY: Final = dt.timedelta(days=1)
_READ_IN_HOURS: Final = dt.timedelta(days=2)
"""Up to here whole days read better in hours: 48, not 2 days."""


class Part(NamedTuple):
    """A piece of a definition and the place it stands at, so that a refusal can name it."""

    where: str
    value: Any

    def refusal(self, why: str) -> DefinitionError:
        """Return the error that refuses this part."""
        return DefinitionError(f"{self.where}: {why}" if self.where else why)

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """Put this place before whatever is refused inside the block."""
        try:
            yield
        except DefinitionError as error:
            raise self.refusal(str(error)) from error.__cause__

    def fields(self, *known: str, required: Iterable[str] = ()) -> dict[str, Part]:
        """Return the parts of a mapping by name.

        Raises:
            DefinitionError: it is no mapping, has an unknown name or lacks a required one.
        """
        found = self.mapping()
        for name in found:
            if name not in known:
                raise self.refusal(f"{name!r} is not known here{nearest(name, known)}")
        for name in required:
            if name not in found:
                raise self.refusal(f"{name!r} is missing; it has {_listed(found) or 'nothing'}")
        return found

    def mapping(self) -> dict[str, Part]:
        """Return the parts of a mapping whose names are free.

        Raises:
            DefinitionError: it is no mapping, or a key of it is no text.
        """
        if not isinstance(self.value, Mapping):
            raise self.refusal(f"{self.value!r} must be a mapping of names to values")
        for name in self.value:
            if not isinstance(name, str):
                raise self.refusal(
                    f"the key {name!r} is no text; in YAML 1.1 a bare on, off, yes or no is a "
                    "boolean: put it in quotes"
                )
        return {name: Part(self._below(f".{name}"), v) for name, v in self.value.items()}

    def items(self) -> list[Part]:
        """Return the parts of a list.

        Raises:
            DefinitionError: it is no list.
        """
        if not isinstance(self.value, list | tuple):
            raise self.refusal(f"{self.value!r} must be a list: write [...]")
        return [Part(self._below(f"[{i}]"), value) for i, value in enumerate(self.value)]

    def texts(self) -> list[str]:
        """Return a list of texts; one text alone counts as a list of one.

        Raises:
            DefinitionError: it is neither.
        """
        return [self.text()] if isinstance(self.value, str) else [p.text() for p in self.items()]

    def text(self) -> str:
        """Return a text.

        Raises:
            DefinitionError: it is something else, or empty.
        """
        if not isinstance(self.value, str) or not self.value:
            raise self.refusal(f"{self.value!r} must be text that is not empty")
        return self.value

    def flag(self) -> bool:
        """Return true or false.

        Raises:
            DefinitionError: it is something else.
        """
        if not isinstance(self.value, bool):
            raise self.refusal(f"{self.value!r} must be true or false")
        return self.value

    def number(self) -> float:
        """Return a number.

        Raises:
            DefinitionError: it is something else.
        """
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.refusal(f"{self.value!r} must be a number")
        return self.value

    def delay(self) -> dt.timedelta:
        """Return a duration such as ``{hours: 48}``; the units add up.

        Raises:
            DefinitionError: there is no unit, an unknown one, or more time than Python can hold.
        """
        units = self.fields(*UNITS)
        if not units:
            raise self.refusal("a duration needs a unit: write {hours: 48}")
        try:
            return dt.timedelta(**{name: part.number() for name, part in units.items()})
        except (OverflowError, ValueError):
            raise self.refusal(f"{self.value!r} is no duration: give a finite one") from None

    def _below(self, step: str) -> str:
        return f"{self.where}{step}".removeprefix(".")


def duration(delay: dt.timedelta) -> dict[str, int | float]:
    """Return a duration as the one unit that holds it whole, and as two where none does.

    >>> duration(dt.timedelta(hours=48)), duration(dt.timedelta(days=14))
    ({'hours': 48}, {'days': 14})
    """
    for unit in ("days", "hours", "minutes", "seconds"):
        size = dt.timedelta(**{unit: 1})
        if delay % size or (unit == "days" and abs(delay) <= _READ_IN_HOURS):
            continue
        return {unit: delay // size}
    rest = {"seconds": (delay % _DAY).total_seconds()}
    return {"days": delay // _DAY, **rest} if delay // _DAY else rest


def span_definition(span: CalendarSpan | dt.timedelta) -> dict[str, Any]:
    """Return a duration, or a span with the name of the calendar or zone it counts on."""
    if isinstance(span, dt.timedelta):
        return duration(span)
    written: dict[str, Any] = {"days": span.days} if span.days else {}
    seconds = span.time.total_seconds()
    for unit, size in (("hours", 3600), ("minutes", 60), ("seconds", 1)):
        if seconds and (seconds % size == 0 or size == 1):
            written[unit] = int(seconds // size) if seconds % size == 0 else seconds
            break
    on = span.calendar
    return written | ({"calendar": on.name} if on.name else {"zone": on.zone})


def plain(value: Any, where: str) -> Any:
    """Return *value* in the form that a definition holds.

    JSON values stay; amounts, dates and time zones become text, durations ``{hours: 48}``, tuples
    lists, and sets sorted lists.

    Raises:
        DefinitionError: it is, or holds, something else.
    """
    if isinstance(value, enum.Enum):
        return plain(value.value, where)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int | float) and math.isfinite(value):
        return value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dt.tzinfo) and isinstance(getattr(value, "key", None), str):
        return value.key  # type: ignore[attr-defined]
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return duration(value)
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: plain(part, f"{where}.{name}") for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part, f"{where}[{i}]") for i, part in enumerate(value)]
    if isinstance(value, set | frozenset):
        return sorted((plain(part, f"{where}[]") for part in value), key=json.dumps)
    raise DefinitionError(
        f"{where}: {value!r} has no plain form, so nobody could tell whether it changed: "
        "use text, finite numbers, dates, durations, lists, sets and mappings with text keys"
    )


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a refusal of *name*: what was probably meant, and what there is."""
    known = tuple(known)
    meant = _closest(name, known)
    return (f": did you mean {meant!r}? There is " if meant else ": there is ") + _listed(known)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return in words what was probably meant by *name*; nothing, if nothing comes close."""
    meant = _closest(name, tuple(known))
    return f" (did you mean {meant!r}?)" if meant else ""


@functools.lru_cache(maxsize=256)  # it takes longer than a fold, and a shop's types come again
def _closest(name: str, known: tuple[str, ...]) -> str | None:
    """Return what was probably meant by *name*, if anything comes close."""
    import difflib  # only what is not known needs it

    return next(iter(difflib.get_close_matches(name, known, 1)), None)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
