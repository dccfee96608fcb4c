"""Every text of the pages is in every catalogue, filled in alike, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import ladderpipe.web
from ladderpipe.web.words import LANGUAGES, LOCALE

FOLDER = Path(ladderpipe.web.__file__).parent
KEYWORDS: dict[str, Any] = {"_": None, "gettext": None, "N_": None, "ngettext": (1, 2)}


def texts() -> set[Any]:
    methods = [("**.py", "python"), ("templates/**.html", "jinja2")]
    return {found[2] for found in extract_from_dir(FOLDER, methods, keywords=KEYWORDS)}


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != "en"])
def test_a_catalogue_has_every_text_and_no_other(language: str) -> None:
    with (LOCALE / f"{language}.po").open("rb") as file:
        catalogue = read_po(file, abort_invalid=True)
    known = {message.id: message for message in catalogue if message.id}
    assert set(known) == texts()
    for message in known.values():
        told = [message.string] if isinstance(message.string, str) else message.string
        assert all(told), message.id
        asked = set(re.findall(r"%\(\w+\)s", str(message.id)))
        assert all(set(re.findall(r"%\(\w+\)s", each)) == asked for each in told), message.id
