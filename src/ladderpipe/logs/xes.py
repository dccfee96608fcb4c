"""Reading XES, the XML of IEEE 1849-2016, event by event and in constant memory.

An event becomes a row: its attributes by key, and those of its trace under ``case``. What the
attributes mean is :mod:`ladderpipe.logs.log_map`'s business. Such a file may come from anybody, so
a document type declaration is refused, and what nests too deep or never ends is not read on.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Final, cast
from xml.parsers import expat

import attrs

from ..errors import InvalidEventError
from .rows import LONGEST_LINE, BadLine, Row

__all__ = ["OWN_EVENT", "xes_rows"]

OWN_EVENT: Final = "ladderpipe_event"
"""The attribute in which our own logs hold an event whole."""

CHUNK: Final = 2**16
DEEPEST: Final = 64
"""Elements within elements; an attribute of an attribute of a list is ten deep."""
MOST_ATTRIBUTES: Final = 10_000
"""Of one event, or of one trace."""


class _BrokenError(Exception):
    """The file cannot be read any further."""


_UNREADABLE: Final = (
    _BrokenError,
    expat.ExpatError,
    EOFError,
    LookupError,
    OSError,
    ValueError,
    zlib.error,
)


def _boolean(text: str) -> bool:
    if text.strip().lower() not in ("true", "false"):
        raise ValueError(text)
    return text.strip().lower() == "true"


_KINDS: Final[Mapping[str, Callable[[str], Any]]] = {
    "string": str,
    "date": str,
    "id": str,
    "int": int,
    "float": float,
    "boolean": _boolean,
}
_COLLECTIONS: Final[Mapping[str, type]] = {"list": list, "container": dict}


def xes_rows(file: BinaryIO, name: str) -> Iterator[Row | BadLine]:
    """Yield the events of a log, numbered from 1 in the order in which they stand.

    Args:
        file: the XML, compressed or not.
        name: of the file, for refusals.

    Raises:
        InvalidEventError: it is no XES, or declares a document type.
    """
    reader = _Reader(name)
    try:
        for chunk in _chunks(file):
            reader.feed(chunk)
            yield from reader.taken()
        reader.close()
        yield from reader.taken()
    except InvalidEventError:
        raise
    except _UNREADABLE as error:
        yield from reader.taken()
        why = f"the file cannot be read any further (XML line {reader.line}: {error})"
        yield BadLine(reader.number + 1, why)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    start = file.read(2)
    file.seek(0)
    binary = gzip.GzipFile(fileobj=file) if start == b"\x1f\x8b" else file
    while chunk := cast("BinaryIO", binary).read(CHUNK):
        yield chunk


@attrs.define
class _Open:
    """An element that has begun; attributes within it go into *holder*, if there is one."""

    kind: str
    holder: dict[str, Any] | list[Any] | None = None


class _Reader:
    """Takes XML in pieces, and gives rows.

    Attributes:
        number: of the last event that began, from 1.
    """

    def __init__(self, name: str) -> None:
        self.number = 0
        self._name = name
        self._fed = 0
        self._open: list[_Open] = []
        self._case: dict[str, Any] = {}
        self._trouble: str | None = None
        self._rows: list[Row | BadLine] = []
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end

    @property
    def line(self) -> int:
        """The line of the XML that was read last."""
        return self._parser.CurrentLineNumber

    def feed(self, chunk: bytes) -> None:
        """Read a piece of the file."""
        self._parser.Parse(chunk, False)
        self._fed += len(chunk)
        if self._fed - self._parser.CurrentByteIndex > LONGEST_LINE:
            raise _BrokenError(f"a tag is longer than {LONGEST_LINE} bytes")

    def close(self) -> None:
        """Note that the file ends here."""
        self._parser.Parse(b"", True)

    def taken(self) -> list[Row | BadLine]:
        """Return the rows that are complete, once."""
        rows, self._rows = self._rows, []
        return rows

    def _refuse_doctype(self, *declared: Any) -> None:
        raise InvalidEventError(
            f"{self._name}, line {self.line}: a document type declaration is refused, since "
            "entities can make a small file endless, and XES needs none: remove it"
        )

    def _begin(self, element: str, given: dict[str, str]) -> None:
        kind = element.rpartition(" ")[2]
        if not self._open and kind != "log":
            raise InvalidEventError(
                f"{self._name} begins with <{kind}> and is no XES log: give one that begins "
                "with <log>"
            )
        if len(self._open) >= DEEPEST:
            raise _BrokenError(f"elements nest deeper than {DEEPEST}")
        self._open.append(self._opened(kind, given))

    def _opened(self, kind: str, given: dict[str, str]) -> _Open:
        above = self._open[-1] if self._open else None
        if kind == "trace":
            self._case = {}
            return _Open(kind, self._case)
        if kind == "event":
            self.number += 1
            self._trouble = None
            return _Open(kind, {})
        if above is None or above.holder is None:
            return _Open(kind)
        if kind == "values":
            return _Open(kind, above.holder)
        return self._attribute(kind, given, above.holder)

    def _attribute(
        self, kind: str, given: dict[str, str], holder: dict[str, Any] | list[Any]
    ) -> _Open:
        if kind in _COLLECTIONS:
            collection = _COLLECTIONS[kind]()
            self._put(given.get("key"), collection, holder)
            return _Open(kind, collection)
        if kind in _KINDS:
            try:
                value = _KINDS[kind](given["value"])
            except (KeyError, ValueError):
                self._note(f"<{kind} key={given.get('key')!r}> has no {kind} as its value")
            else:
                self._put(given.get("key"), value, holder)
        return _Open(kind)

    def _put(self, key: str | None, value: Any, holder: dict[str, Any] | list[Any]) -> None:
        if len(holder) >= MOST_ATTRIBUTES:
            raise _BrokenError(f"more than {MOST_ATTRIBUTES} attributes in one place")
        if isinstance(holder, list):
            holder.append(value)
        elif key is None:
            self._note("an attribute has no key")
        else:
            holder[key] = value

    def _note(self, reason: str) -> None:
        if self._trouble is None:
            self._trouble = f"{reason} (XML line {self.line})"

    def _end(self, element: str) -> None:
        ended = self._open.pop()
        if ended.kind != "event":
            return
        assert isinstance(ended.holder, dict)
        if self._trouble is not None:
            self._rows.append(BadLine(self.number, self._trouble))
        else:
            self._rows.append(Row(self.number, {**ended.holder, "case": self._case}))
