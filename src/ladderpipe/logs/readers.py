"""Log files, line by line and in constant memory: CSV, JSON lines, XES; compressed or not.

What a line means is :mod:`ladderpipe.logs.log_map`'s business; here it becomes a row, or a bad line
with its number and the reason, after which reading goes on.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Literal, cast

import attrs

from ..errors import DefinitionError
from .rows import LONGEST_LINE, BadLine, Row

__all__ = ["Layout", "LogFile"]

MOST_LINES: Final = 200
"""How many lines one quoted CSV record may span, before its quote counts as never closed."""

Format = Literal["csv", "jsonl", "cloudevents", "xes"]
_BY_SUFFIX: Final[Mapping[str, Format]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".xes": "xes",
}


@attrs.frozen(kw_only=True)
class Layout:
    """How a log is written down.

    Attributes:
        format: ``None`` means by the file's suffix.
        delimiter: between CSV columns; by the file's suffix when left out.
        quote: around CSV columns that contain a delimiter; ``None`` when nothing is quoted.
        columns: names of the CSV columns, for a file without a header line.
    """

    format: Format | None = None
    delimiter: str | None = None
    quote: str | None = '"'
    encoding: str = "utf-8"
    columns: tuple[str, ...] | None = None


class LogFile:
    """An open log; a context manager. Iterating yields a :class:`Row` or :class:`BadLine` each.

    Attributes:
        size: in bytes, as it lies there.

    Raises:
        DefinitionError: nothing says what the file's format is, or it lacks a wanted column.
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path | str, layout: Layout, columns: frozenset[str] = frozenset()):
        self.path = Path(path)
        self._suffix = Path(self.path.name.lower().removesuffix(".gz")).suffix
        self._layout = layout
        self._columns = columns
        self.format = layout.format or self._known_format()
        self.size = self.path.stat().st_size
        self._file = self.path.open("rb")
        self._lines = _Lines(self._file, layout.encoding)

    def _known_format(self) -> Format:
        found = _BY_SUFFIX.get(self._suffix)
        if found is None:
            raise DefinitionError(
                f"{self.path}: the suffix {self._suffix!r} does not say what kind of log this is: "
                'write format = "csv", "jsonl", "xes" or "cloudevents" under [read] in the map'
            )
        return found

    @property
    def bytes_read(self) -> int:
        """How far in the file reading has come, for progress bars."""
        try:
            return self._file.tell()
        except OSError:
            return 0

    def __iter__(self) -> Iterator[Row | BadLine]:
        if self.format == "xes":
            from .xes import xes_rows

            return xes_rows(self._file, self.path.name)
        return self._csv_rows() if self.format == "csv" else _json_rows(self._lines)

    def _csv_rows(self) -> Iterator[Row | BadLine]:
        delimiter = self._layout.delimiter or ("\t" if self._suffix == ".tsv" else ",")
        records = _csv_records(self._lines, delimiter, self._layout.quote, self._layout.columns)
        header = self._layout.columns
        if header is not None:
            self._check_columns(header)
        for record in records:
            if isinstance(record, BadLine):
                yield record
            elif header is None:
                header = tuple(name.strip() for name in record[1])
                self._check_columns(header)
            else:
                number, values = record
                yield Row(number, dict(zip(header, values, strict=True)))

    def _check_columns(self, header: tuple[str, ...]) -> None:
        for name in sorted(self._columns):
            if header.count(name) != 1:
                how = "no column" if name not in header else "more than one column"
                raise DefinitionError(
                    f"{self.path} has {how} {name!r}, which the map refers to; there is "
                    f"{', '.join(header)}: mend the map, or if the file has no header line, name "
                    "its columns with columns = [...] under [read]"
                )

    def __enter__(self) -> LogFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lines.close()
        self._file.close()


class _LineError(Exception):
    """A line that cannot be read as text; the next one may be."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(reason)
        self.bad = BadLine(number, reason)


class _Lines:
    """Numbered lines of text. Raises :class:`_LineError` for one, and goes on when asked to."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        zipped = cast("io.BufferedReader", file).peek(2)[:2] == b"\x1f\x8b"
        binary = gzip.GzipFile(fileobj=file) if zipped else file
        bom = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
        self._text = io.TextIOWrapper(
            cast("BinaryIO", binary), bom, errors="surrogateescape", newline=""
        )
        self._encoding = encoding
        self._number = 0
        self._ended = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> tuple[int, str]:
        text = self._read()
        if not text:
            raise StopIteration
        self._number += 1
        if len(text) > LONGEST_LINE:
            while text and not text.endswith(("\n", "\r")):
                text = self._read()
            raise _LineError(self._number, f"longer than {LONGEST_LINE} characters")
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                raise _LineError(
                    self._number,
                    f"not {self._encoding}: the file is damaged here, or the map should say "
                    'another encoding under [read], for example encoding = "cp1252"',
                ) from None
        return self._number, text

    def close(self) -> None:
        """Let go of the file."""
        self._text.close()

    def _read(self) -> str:
        if self._ended:
            return ""
        try:
            return self._text.readline(LONGEST_LINE + 1)
        except (OSError, EOFError, UnicodeError, zlib.error) as error:
            self._ended = True
            why = f"the file cannot be read any further ({error})"
            raise _LineError(self._number + 1, why) from error


def _json_rows(lines: _Lines) -> Iterator[Row | BadLine]:
    while True:
        try:
            number, text = next(lines)
        except StopIteration:
            return
        except _LineError as error:
            yield error.bad
            continue
        if text.isspace():
            continue
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            yield BadLine(number, f"no JSON: {error}")
            continue
        if isinstance(values, dict):
            yield Row(number, values)
        else:
            yield BadLine(number, f"a JSON {type(values).__name__}, where an object was expected")


def _csv_records(
    lines: _Lines, delimiter: str, quote: str | None, columns: tuple[str, ...] | None
) -> Iterator[tuple[int, list[str]] | BadLine]:
    """Yield records by the number of the line they begin in, the header first.

    Every record has as many columns as the header.
    """
    feed = _Feed(lines)
    parser = csv.reader(
        feed,
        delimiter=delimiter,
        quotechar=quote,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        strict=True,
    )
    width = None if columns is None else len(columns)
    while True:
        feed.taken.clear()
        try:
            record = next(parser)
        except StopIteration:
            return
        except _LineError as error:
            if feed.taken:
                yield feed.give_back("its quote is not closed")
            yield error.bad
            continue
        except csv.Error as error:
            yield feed.give_back(f"no CSV: {error}")
            continue
        if not record:
            continue
        if width is not None and len(record) != width:
            yield feed.give_back(f"{len(record)} columns, where {width} were expected")
            continue
        width = len(record)
        yield feed.taken[0][0], record


class _Feed:
    """Gives lines to a CSV parser, and takes back those that an unclosed quote swallowed."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self._again: deque[tuple[int, str]] = deque()
        self.taken: list[tuple[int, str]] = []

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        if len(self.taken) == MOST_LINES:
            raise StopIteration
        line = self._again.popleft() if self._again else next(self._lines)
        self.taken.append(line)
        return line[1]

    def give_back(self, reason: str) -> BadLine:
        """Return the record's first line as bad; its other lines are read again."""
        number = self.taken[0][0]
        if len(self.taken) > 1:
            reason = f"{reason} (a quote may be missing)"
        self._again.extendleft(reversed(self.taken[1:]))
        return BadLine(number, reason)
