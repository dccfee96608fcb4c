"""Maps: from a row of a foreign log to events, as declared; nothing in a map is executed.

:mod:`ladderpipe.logs.map_reader` builds a map from TOML, :mod:`ladderpipe.logs.readers` reads
the rows.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Final, NamedTuple

import attrs

from ..errors import InstantError, InvalidEventError, LadderError
from ..model.clock import instant
from ..model.event import Event
from .placeholders import (
    NOTHING,
    Column,
    Scope,
    Template,
    chosen,
    columns_of,
    holds,
    items_of,
    shown,
)
from .readers import Layout
from .row_identity import Repeats, content_digest
from .rows import BadLine, Row

__all__ = [
    "EPOCH_UNITS",
    "IGNORED",
    "CloudEvents",
    "Kind",
    "LogMap",
    "Mapped",
    "OwnXes",
    "Span",
    "TimeFormat",
    "time_zone",
]

IGNORED: Final = "ignore"
"""Where an event type is expected: rows of this kind are no events."""

WITHIN_LINE: Final = 1_000_000
"""Events within one line are numbered in its share of ``seq``."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
EPOCH_UNITS: Final = {"epoch-s": 1_000_000, "epoch-ms": 1_000, "epoch-us": 1}


_NO_EVENT: Final = (
    AttributeError,
    LadderError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What comes of JSON that should be an event, and is anything else."""

Mapped = Event | BadLine | None
"""What a row, or one item in it, becomes; ``None`` when it is ignored."""


_OF_DAY: Final = re.compile(r"%[HIMSfpcXsTRrzj]")
_DAY_IN_ISO: Final = 10


class Span(NamedTuple):
    """An instant as a log wrote it; of a day the midnight at which it begins."""

    at: dt.datetime
    is_day: bool


@attrs.frozen
class TimeFormat:
    """How the log writes an instant.

    Attributes:
        pattern: ``iso``, ``epoch-s``, ``epoch-ms``, ``epoch-us`` or a pattern of ``strptime``.
        zone: the zone of times that name none. Of an hour that summer time repeats, the first
            is meant.
        columns: the patterns of columns that are written otherwise.
    """

    pattern: str = "iso"
    zone: dt.tzinfo | None = None
    columns: Mapping[str, str] = attrs.field(factory=dict)

    def read_from(self, template: Template, scope: Scope) -> Span | None:
        """Return the instant that a template's column holds; ``None`` where that is empty.

        Raises:
            InstantError: it is written in another way, or names no zone and none is declared.
        """
        source = chosen(template, scope)
        value = None if source is None else source.fill(scope)
        if value is None:
            return None
        own = self.columns.get(source.name) if isinstance(source, Column) else None
        written = self if own is None else attrs.evolve(self, pattern=own, columns={})
        if written.pattern in EPOCH_UNITS:
            return Span(written.read(value), is_day=False)
        if written.pattern == "iso":
            return Span(written.read(value), is_day=len(str(value).strip()) == _DAY_IN_ISO)
        return Span(written.read(value), is_day=not _OF_DAY.search(written.pattern))

    def read(self, value: Any) -> dt.datetime:
        """Return the instant that the log wrote as *value*.

        Raises:
            InstantError: it is written in another way, or names no zone and none is declared.
        """
        if self.pattern in EPOCH_UNITS:
            return _since_epoch(value, self.pattern)
        found = self._parse(value)
        if found.utcoffset() is None:
            if self.zone is None:
                raise InstantError(
                    f"{value!r} has no time zone, so it names no instant: declare the log's zone "
                    'in the map, for example zone = "Europe/Rome" under [time]'
                )
            found = found.replace(tzinfo=self.zone)
        return instant(found)

    def _parse(self, value: Any) -> dt.datetime:
        try:
            if self.pattern == "iso":
                return dt.datetime.fromisoformat(value)
            return dt.datetime.strptime(value, self.pattern)  # noqa: DTZ007
        except (TypeError, ValueError):
            raise InstantError(
                f"{shown(value)} is no time of the format {self.pattern!r}: mend the line, or "
                "say under [time] in the map how the log writes times"
            ) from None


def _since_epoch(value: Any, unit: str) -> dt.datetime:
    try:
        micros = int(Decimal(str(value)) * EPOCH_UNITS[unit])
        return _EPOCH + dt.timedelta(microseconds=micros)
    except (InvalidOperation, ValueError, OverflowError):
        raise InstantError(f"{shown(value)} is no time of the format {unit!r}") from None


def time_zone(name: str) -> dt.tzinfo:
    """Return a zone by its IANA name.

    Raises:
        ValueError: there is none of that name, or no time zone database.
    """
    if name.upper() in ("UTC", "Z"):
        return dt.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone such as 'Europe/Rome' or 'UTC'") from error


@attrs.frozen
class Kind:
    """What rows of one foreign type become.

    Attributes:
        type: the event's type; ``None`` keeps the log's own name.
        data: belongs into such an event's data, beside what all have in common.
    """

    type: str | None
    data: Template = NOTHING


@attrs.frozen(kw_only=True)
class LogMap:
    """What a row of a foreign log means.

    Attributes:
        id, source: the log's own identity of a row. Without an id a row is known by its content
            and its count among equals, whatever the file is called; see :class:`Repeats`.
        kinds: by foreign type; ``"*"`` stands for all that are not named.
        checks: what a column must look like in every row, ignored ones too.
        only: what columns must be, for the rows that count; the others are ignored.
        explode: path of a list in the row, of which every item is an event.
        further: what else a row means; each of these is an event if it has a time.
        is_further: whether that is what this map is.
        empty: texts that stand for nothing.
    """

    layout: Layout
    deal: Template
    type: Template
    at: Template
    time: TimeFormat
    id: Template | None = None
    seq: Template | None = None
    source: str | None = None
    kinds: Mapping[str, Kind] = attrs.field(factory=dict)
    data: Template = NOTHING
    checks: Mapping[str, re.Pattern[str]] = attrs.field(factory=dict)
    explode: str | None = None
    empty: frozenset[str] = frozenset(("",))
    only: Mapping[str, frozenset[str] | bool] = attrs.field(factory=dict)
    further: tuple[LogMap, ...] = ()
    is_further: bool = False

    @property
    def columns(self) -> frozenset[str]:
        """Every column that the map refers to."""
        named = (self.deal, self.type, self.at, self.id, self.seq, self.data)
        parts = [part for part in named if part is not None]
        found = columns_of([*parts, *(kind.data for kind in self.kinds.values())])
        return found.union(self.checks, self.only, *(other.columns for other in self.further))

    def events(self, row: Row, source: str, repeats: Repeats | None = None) -> Iterator[Mapped]:
        """Yield what the row becomes: one thing, or with ``explode`` one for every item.

        What the map has ``further`` comes after that.

        Args:
            repeats: counts the log's equal rows, of which each is an event; without it they
                share one identity, as copies of one event do. One for each log.
        """
        yield from self._own(row, source, repeats)
        for other in self.further:
            yield from other.events(row, source, repeats)

    def _own(self, row: Row, source: str, repeats: Repeats | None) -> Iterator[Mapped]:
        scope = Scope((row.values,), self.empty)
        if self.explode is None:
            yield self._mapped(row.number, row.number, scope, source, repeats)
            return
        try:
            items = items_of(scope.find(self.explode), self.explode)
        except InvalidEventError as error:
            yield BadLine(row.number, str(error))
            return
        for index, item in enumerate(items, 1):
            seq = row.number * WITHIN_LINE + index
            inner = scope.within(item)
            yield self._mapped(row.number, seq, inner, source, repeats)

    def _mapped(
        self, number: int, seq: int, scope: Scope, source: str, repeats: Repeats | None
    ) -> Mapped:
        try:
            return self._event(seq, scope, source, repeats)
        except LadderError as error:
            within = f"item {seq % WITHIN_LINE}: " if self.explode else ""
            return BadLine(number, f"{within}{error}")

    def _event(self, seq: int, scope: Scope, source: str, repeats: Repeats | None) -> Event | None:
        for column, pattern in self.checks.items():
            value = scope.find(column)
            if value is None or not pattern.fullmatch(str(value)):
                raise InvalidEventError(
                    f"{column} is {shown(value)}, which is not of the form {pattern.pattern!r}"
                )
        if not holds(self.only, scope):
            return None
        at = self.at.fill(scope)
        if at is None and self.is_further:
            return None
        foreign = _text(self.type.fill(scope), "type")
        kind = self._kind(foreign)
        if kind is None:
            return None
        written = self.time.read_from(self.at, scope)
        if at is None or written is None:
            raise InvalidEventError("no time: the column that event.at refers to is empty")
        deal, when = _text(self.deal.fill(scope), "deal"), written.at
        data = {**(self.data.fill(scope) or {}), **(kind.data.fill(scope) or {})}
        if self.id is None:
            columns = self.data.columns | kind.data.columns
            id = _counted(content_digest((deal, foreign, at), scope, columns), repeats)
        else:
            id = _text(self.id.fill(scope), "id")
        return Event(
            kind.type or foreign,
            deal=deal,
            id=id,
            at=when,
            source=source,
            seq=seq if self.seq is None else _whole(self.seq.fill(scope)),
            data=data,
        )

    def _kind(self, foreign: str) -> Kind | None:
        """Return what rows of a foreign type become, ``None`` when they are ignored."""
        if not self.kinds:
            return Kind(None)
        kind = self.kinds.get(foreign) or self.kinds.get("*")
        if kind is None:
            raise InvalidEventError(
                f"type {foreign!r} is not under [types] in the map: name it there, or write "
                f'"*" = "{IGNORED}" for all that are not named'
            )
        return None if kind.type == IGNORED else kind


@attrs.frozen
class CloudEvents:
    """A log of CloudEvents in structured mode, a JSON object a line, which needs no map."""

    layout: Layout = attrs.field(factory=lambda: Layout(format="cloudevents"))
    columns: ClassVar[frozenset[str]] = frozenset()
    source: ClassVar[None] = None

    def events(self, row: Row, source: str, repeats: Repeats | None = None) -> Iterator[Mapped]:
        """Yield the event; its identity is its own."""
        try:
            yield Event.from_cloudevent(row.values)
        except LadderError as error:
            yield BadLine(row.number, str(error))


@attrs.frozen
class OwnXes:
    """An XES log that this library wrote with its events whole, and which needs no map."""

    layout: Layout = attrs.field(factory=lambda: Layout(format="xes"))
    columns: ClassVar[frozenset[str]] = frozenset()
    source: ClassVar[None] = None

    def events(self, row: Row, source: str, repeats: Repeats | None = None) -> Iterator[Mapped]:
        """Yield the event as it was; its identity is its own."""
        from .xes import OWN_EVENT

        if OWN_EVENT not in row.values:
            why = (
                f"no {OWN_EVENT}, so nothing says what this event means: read the log with a map, "
                'which may begin with extends = "xes"'
            )
            yield BadLine(row.number, why)
            return
        try:
            yield _own_event(row.values[OWN_EVENT])
        except _NO_EVENT as error:
            yield BadLine(row.number, f"{OWN_EVENT} holds no event: {error!r}")


def _own_event(text: str) -> Event:
    return Event.from_dict(json.loads(text))


def _counted(digest: bytes, repeats: Repeats | None) -> str:
    """Return the name of a row that has none; the second of its content is another event."""
    n = 1 if repeats is None else repeats.count(digest)
    return digest.hex() if n == 1 else f"{digest.hex()}-{n}"


def _text(value: Any, what: str) -> str:
    if value is None:
        raise InvalidEventError(f"no {what}: the columns that event.{what} refers to are empty")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidEventError(f"{what} is {shown(value)}, where text was expected")
    return str(value)


def _whole(value: Any) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise InvalidEventError(f"seq is {shown(value)}, not a whole number") from None
