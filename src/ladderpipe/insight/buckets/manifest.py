"""The folder of a bucketed replay: whose it is, for which replay, and who writes into it now.

What is half written lies under a name that begins with ``.ladderpipe-part-`` and is never read;
what has its own name is whole. So a run that was killed leaves nothing that the next could take for
whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from ...errors import StoreError

__all__ = ["BAD_LINES", "MANIFEST", "MOST_BUCKETS", "SCHEMA", "Folder", "refusing"]

MANIFEST: Final = "replay.json"
BAD_LINES: Final = "bad-lines.jsonl"
SCHEMA: Final = "ladderpipe bucketed replay, 1"
"""What a manifest of ours begins with; the number grows when the files change."""

MOST_BUCKETS: Final = 100_000

_LOCK: Final = ".ladderpipe-lock"
_PART: Final = ".ladderpipe-part-"
_CUT: Final = "cut.json"

_TOLD: Final = {
    "pipeline": "the pipeline",
    "fingerprint": "the pipeline's definition",
    "buckets": "how many buckets there are",
    "until": "the instant up to which it replays",
    "source": "the log",
    "versions": "the versions of libraries",
}


class Folder:
    """The files of a bucketed replay."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def manifest(self) -> dict[str, Any] | None:
        """What the folder was begun with; ``None`` if it was not.

        Raises:
            StoreError: it is no replay's folder, or a damaged one.
        """
        file = self.path / MANIFEST
        try:
            found = json.loads(file.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StoreError(f"{file} cannot be read ({error}): name another folder") from error
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            raise StoreError(
                f"{file} is none that this version of ladderpipe has written: name another folder"
            )
        return found

    @property
    def cut(self) -> dict[str, Any] | None:
        """What was counted when the log was cut; ``None`` while it is not, or not wholly."""
        file = self.path / _CUT
        return json.loads(file.read_text("utf-8")) if file.exists() else None

    def note_cut(self, counted: Mapping[str, Any]) -> None:
        """Note that all of the log has been cut."""
        self._write(_CUT, counted)

    def begin(self, told: Mapping[str, Any]) -> None:
        """Write the manifest, or hold it against the one that is there.

        Raises:
            StoreError: the folder was begun with something else.
        """
        told = json.loads(json.dumps(told))
        known = self.manifest
        if known is None:
            self._write(MANIFEST, {"schema": SCHEMA, **told})
            return
        for name, what in _TOLD.items():
            if name in told and known.get(name) != told[name]:
                raise StoreError(
                    f"{self.path} holds a replay in which {what} was {_short(known.get(name))}, "
                    f"and now it is {_short(told[name])}: go on with what it was begun with, or "
                    "name an empty folder"
                )

    def parts_of(self, number: int) -> list[Path]:
        """Return the files that hold a bucket's events, in the order of the log."""
        return sorted((self.path / "events" / f"{number:05}").glob("[0-9]*.parquet"))

    def part(self, number: int, chunk: int) -> Path:
        """Return where a bucket's events of one chunk belong."""
        return self.path / "events" / f"{number:05}" / f"{chunk:06}.parquet"

    def bucket(self, number: int) -> Path:
        """Return where what a bucket was folded to stands, once it is whole."""
        return self.path / "buckets" / f"{number:05}"

    def put(self, number: int, write: Callable[[Path], None]) -> None:
        """Let *write* fill a bucket's folder aside, and give it its name when it is whole."""
        aside = self.path / f"{_PART}{uuid.uuid4().hex}"
        try:
            aside.mkdir()
            write(aside)
            for file in aside.iterdir():
                _flush(file)
            place = self.bucket(number)
            place.parent.mkdir(exist_ok=True)
            # Whoever was there first has put the same in its place.
            if not place.exists():
                aside.rename(place)
                _flush(place.parent)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def spare(self) -> Path:
        """Return a name for what is written and removed."""
        return self.path / f"{_PART}{uuid.uuid4().hex}"

    def clear_parts(self, *, events: bool) -> None:
        """Remove what killed runs left half written; with *events*, what they had cut too."""
        for left in self.path.glob(f"{_PART}*"):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
        if events:
            shutil.rmtree(self.path / "events", ignore_errors=True)

    def _write(self, name: str, told: Mapping[str, Any]) -> None:
        aside = self.spare()
        try:
            aside.write_text(json.dumps(told, indent=1), "utf-8")
            _flush(aside)
            aside.replace(self.path / name)
            _flush(self.path)
        finally:
            aside.unlink(missing_ok=True)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder while the block lasts; it is made if there is none.

        Raises:
            StoreError: it is not ours, cannot be written, or another run holds it.
        """
        with refusing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self._refuse_what_is_not_ours()
        # SQLite's lock goes with the process, however that ends, and on every system.
        connection = sqlite3.connect(self.path / _LOCK, timeout=0, isolation_level=None)
        try:
            try:
                connection.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                if "locked" in str(error):
                    raise StoreError(
                        f"another run is writing into {self.path}: wait until it has ended, or "
                        "name another folder"
                    ) from None
                raise StoreError(f"{self.path} cannot be written: {error}") from error
            yield
        finally:
            connection.close()

    def _refuse_what_is_not_ours(self) -> None:
        if self.manifest is not None:
            return
        # Without a manifest, only what a run leaves before it has written one is ours.
        names = (found.name for found in self.path.iterdir())
        if others := sorted(name for name in names if not name.startswith((_LOCK, _PART))):
            raise StoreError(
                f"{self.path} holds something else ({', '.join(others[:3])}), of which nothing is "
                "touched: name an empty folder, or one that is not there yet"
            )


@contextlib.contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into a refusal that says what to do.

    Raises:
        StoreError: in place of an error of the disk.
    """
    try:
        yield
    except (OSError, pl.exceptions.ComputeError) as error:
        why = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise StoreError(
            f"{path} cannot be written ({why}): what is finished stays; make room or give the "
            "right to write, and call again"
        ) from error


def _flush(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk: power may fail after what comes next."""
    # Not every system opens a folder; those that do not, write names through.
    with contextlib.suppress(*((PermissionError,) if path.is_dir() else ())):
        handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _short(told: Any) -> str:
    text = json.dumps(told)
    return text if len(text) <= 200 else f"{text[:200]}…"
