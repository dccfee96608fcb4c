"""Files that are there whole or not at all, compressed when their name says so."""

from __future__ import annotations

import contextlib
import gzip
import io
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TextIO, cast

__all__ = ["writing"]


@contextlib.contextmanager
def writing(path: Path) -> Iterator[TextIO]:
    """Open a text file in UTF-8 that takes the place of *path* when the block ends well.

    Raises:
        OSError: the folder is not there, or cannot be written to.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with unfinished.open("xb") as file, _text(file, path) as text:
            yield text
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _text(file: IO[bytes], path: Path) -> Iterator[TextIO]:
    with contextlib.ExitStack() as stack:
        binary: IO[bytes] = file
        if path.suffix.lower() == ".gz":
            zipped = gzip.GzipFile("", "wb", fileobj=file, mtime=0)
            binary = cast("IO[bytes]", stack.enter_context(zipped))
        with io.TextIOWrapper(binary, "utf-8", newline="") as text:
            yield text
