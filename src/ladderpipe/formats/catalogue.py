"""Catalogues of texts: gettext's ``.po`` files, read as they are, plurals included."""

from __future__ import annotations

import gettext
import io
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

__all__ = ["catalogue"]


def catalogue(path: Path) -> gettext.GNUTranslations:
    """Return the texts of a ``.po`` file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file.
    """
    with path.open("rb") as file:
        found = read_po(file, abort_invalid=True)
    compiled = io.BytesIO()
    write_mo(compiled, found)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
