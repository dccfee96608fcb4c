"""Archive files: JSON lines, compressed or not, that show when they are cut short or altered.

The first line says which ladder the deals were on, with its definition; then comes a line for each
deal; the last one counts them and holds the SHA-256 of every byte before it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, cast

import attrs

from ...errors import ArchiveError, SealedError
from ...model.clock import instant
from .records import ArchivedDeal

__all__ = ["ArchiveFile", "Header", "writing"]

FORMAT: Final = "ladderpipe archive"
VERSION: Final = 1
LONGEST_LINE: Final = 32 * 2**20
"""In bytes, of some 100,000 events; whoever unpacks an archive holds a line or two in memory."""

SEALED: Final = "sealed"
"""What the line of a sealed deal has beside its id."""

_NONSENSE: Final = (LookupError, TypeError, ValueError, AttributeError)
_dump = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


@attrs.frozen(kw_only=True)
class Header:
    """What an archive is of.

    Attributes:
        pipeline: the pipeline's name.
        fingerprint: of the definition that the deals were folded with.
        definition: that definition, as stores keep it.
        before: the deals in it were closed before this instant.
    """

    pipeline: str
    fingerprint: str
    definition: Mapping[str, Any]
    before: dt.datetime
    written_at: dt.datetime

    def to_json(self) -> dict[str, Any]:
        """Return the first line as JSON values."""
        told = {"format": FORMAT, "version": VERSION, **attrs.asdict(self)}
        return told | {name: told[name].isoformat() for name in ("before", "written_at")}

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Header:
        """Return what :meth:`to_json` wrote.

        Raises:
            LookupError, TypeError, ValueError: it did not write this.
        """
        if given["format"] != FORMAT or given["version"] != VERSION:
            raise ValueError(f"{given['format']!r}, version {given['version']!r}")
        return cls(
            pipeline=given["pipeline"],
            fingerprint=given["fingerprint"],
            definition=given["definition"],
            before=instant(given["before"]),
            written_at=instant(given["written_at"]),
        )


def place_of(deal: str) -> str:
    """Return the place of a deal in archives, which what is sealed is bound to."""
    return f"archived deal\x00{deal}"


class _Lines:
    """The lines of an archive that is being written, and what they add up to."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.deals = 0

    def add(self, deal: ArchivedDeal) -> bool:
        """Write a deal's line, unless it is too long to be read again; return if it was."""
        return self.add_json(deal.to_json())

    def add_json(self, values: Mapping[str, Any]) -> bool:
        """Write a deal's line as it stands there, unless it is too long; return if it was."""
        line = _line(values)
        if len(line) > LONGEST_LINE:
            return False
        self._write(line)
        self.deals += 1
        return True

    def write(self, values: Mapping[str, Any]) -> None:
        """Write a line."""
        self._write(_line(values))

    def _write(self, line: bytes) -> None:
        self._digest.update(line)
        self._file.write(line)

    def end(self) -> None:
        """Write the last line."""
        self.write({"deals": self.deals, "sha256": self._digest.hexdigest()})


def _line(values: Mapping[str, Any]) -> bytes:
    return _dump(values).encode() + b"\n"


@contextlib.contextmanager
def writing(path: Path, header: Header) -> Iterator[_Lines]:
    """Write an archive, which is under its name only once all of it is on the disk.

    Without any deal there will be no file; nor is one ever replaced, since it may hold what is
    stored nowhere else.

    Raises:
        ArchiveError: there is a file of this name meanwhile.
        OSError: it cannot be written.
    """
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f"{path.name}.", suffix=".part"
    ) as raw:
        with _compressing(path, cast("BinaryIO", raw)) as file:
            lines = _Lines(file)
            lines.write(header.to_json())
            yield lines
            lines.end()
        if not lines.deals:
            return
        raw.flush()
        os.fsync(raw.fileno())
        try:
            os.link(raw.name, path)
        except FileExistsError:
            raise ArchiveError(
                f"{path} was written by somebody else meanwhile, and an archive is never "
                "replaced: name another file"
            ) from None
        _sync_folder(path.parent)


@contextlib.contextmanager
def _compressing(path: Path, raw: BinaryIO) -> Iterator[BinaryIO]:
    if path.suffix != ".gz":
        yield raw
        return
    with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as zipped:
        yield cast("BinaryIO", zipped)


def _sync_folder(folder: Path) -> None:
    """Make sure that the file's name is on the disk too, where folders can be opened."""
    with contextlib.suppress(PermissionError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


class Opener(Protocol):
    """What opens the lines of an archive of a sealed store."""

    def open(self, sealed: str, place: str) -> str:
        """Return what is sealed, as it stands in this place.

        Raises:
            SealedError: there is no key for it any more, or it was altered.
        """


class ArchiveFile:
    """An archive to be read.

    Args:
        opener: what opens it, if it was written from a sealed store.

    Attributes:
        header: what its first line says.
        forgotten: ids of deals whose keys are destroyed; known once all lines were read.

    Raises:
        ArchiveError: it is no archive, or of a later version.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path | str, opener: Opener | None = None) -> None:
        self.path = Path(path)
        self._opener = opener
        self.forgotten: tuple[str, ...] = ()
        with self._lines() as lines:
            line = next(lines, b"")
        try:
            self.header = Header.from_json(json.loads(line))
        except (*_NONSENSE, RecursionError) as error:
            raise ArchiveError(
                f"{self.path} is no archive that this ladderpipe can read ({error}): give it a "
                "file that board.archive wrote"
            ) from error

    def deals(self) -> Iterator[ArchivedDeal]:
        """Yield the deals in the order they were written.

        Only after the last is it known that nothing is missing or altered.

        Raises:
            ArchiveError: something is.
        """
        digest, count = hashlib.sha256(), 0
        forgotten: list[str] = []
        with self._lines() as lines:
            line = next(lines, b"")
            for following in lines:
                digest.update(line)
                if count:
                    deal = self._deal(line, forgotten)
                    if deal is not None:
                        yield deal
                count, line = count + 1, following
        self._check_end(line, {"deals": count - 1, "sha256": digest.hexdigest()})
        self.forgotten = tuple(forgotten)

    def check_whole(self) -> int:
        """Return how many deals there are.

        Raises:
            ArchiveError: something is missing or altered.
        """
        return sum(1 for _ in self.deals())

    def _deal(self, line: bytes, forgotten: list[str]) -> ArchivedDeal | None:
        """Return a deal; ``None``, and its id in a list, if its key is destroyed."""
        try:
            told = json.loads(line)
            if SEALED in told:
                if self._opener is None:
                    raise ArchiveError(
                        f"{self.path} is of a sealed store, and its deals open with that store's "
                        "keys only: read it through a board that was opened with keys=..., or on "
                        "the command line with --store"
                    )
                deal: str = told["deal"]
                try:
                    told = json.loads(self._opener.open(told[SEALED], place_of(deal)))
                except SealedError:
                    forgotten.append(deal)
                    return None
            return ArchivedDeal.from_json(told)
        except ArchiveError:
            raise
        except (*_NONSENSE, RecursionError) as error:
            raise self._damaged(f"a line is not what was written: {error}") from error

    def _check_end(self, line: bytes, expected: Mapping[str, Any]) -> None:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or found.keys() != expected.keys():
            raise self._damaged("it was cut short: its last line is missing")
        if found != expected:
            raise self._damaged("it was altered: its lines do not give the sum that is in the last")

    @contextlib.contextmanager
    def _lines(self) -> Iterator[Iterator[bytes]]:
        with self.path.open("rb") as raw:
            is_zipped = raw.peek(2)[:2] == b"\x1f\x8b"
            file = gzip.GzipFile(fileobj=raw) if is_zipped else raw
            try:
                yield self._bounded(cast("BinaryIO", file))
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise self._damaged(f"it cannot be unpacked to the end: {error}") from error

    def _bounded(self, file: BinaryIO) -> Iterator[bytes]:
        # A few packed kilobytes may be gigabytes without a line end.
        while line := file.readline(LONGEST_LINE + 1):
            if len(line) > LONGEST_LINE:
                raise self._damaged(f"a line is longer than {LONGEST_LINE:,} bytes")
            yield line

    def _damaged(self, why: str) -> ArchiveError:
        return ArchiveError(
            f"the archive {self.path} is damaged ({why}): nothing is taken from it; use another "
            "copy of it"
        )
