"""Every text of pages and refusals is in every catalogue, filled in alike; nothing else is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

import ladderpipe.problems
import ladderpipe.web
from ladderpipe.problems import STATUSES, words
from ladderpipe.web.words import LANGUAGES, LOCALE

PAGES = Path(ladderpipe.web.__file__).parent
REFUSALS = Path(ladderpipe.problems.__file__).parent
KEYWORDS: dict[str, Any] = {"_": None, "gettext": None, "N_": None, "ngettext": (1, 2)}
TITLES = {(kind.__doc__ or "").partition("\n")[0] for kind in STATUSES}
TITLES |= {"The database does not answer.", "Invalid request"}


def texts(folder: Path) -> set[Any]:
    methods = [("**.py", "python"), ("templates/**.html", "jinja2")]
    return {found[2] for found in extract_from_dir(folder, methods, keywords=KEYWORDS)}


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != "en"])
@pytest.mark.parametrize(
    ("locale", "said"),
    [(LOCALE, texts(PAGES)), (words.LOCALE, texts(REFUSALS) | TITLES)],
    ids=["pages", "refusals"],
)
def test_a_catalogue_has_every_text_and_no_other(
    language: str, locale: Path, said: set[Any]
) -> None:
    with (locale / f"{language}.po").open("rb") as file:
        catalogue = read_po(file, abort_invalid=True)
    known = {message.id: message for message in catalogue if message.id}
    assert set(known) == said
    for message in known.values():
        string = message.string or ""
        told = [string] if isinstance(string, str) else string
        assert all(told), message.id
        asked = set(re.findall(r"%\(\w+\)s", str(message.id)))
        assert all(set(re.findall(r"%\(\w+\)s", each)) == asked for each in told), message.id


@pytest.mark.parametrize("path", sorted(words.LOCALE.glob("*.po")), ids=lambda path: path.stem)
def test_refusals_are_read_in_the_same_words(path: Path) -> None:
    """Compile it again with ``pybabel compile -i it.po -o it.mo`` when this fails."""
    with path.open("rb") as file, path.with_suffix(".mo").open("rb") as compiled:
        said = {message.id: message.string for message in read_po(file) if message.id}
        assert {each.id: each.string for each in read_mo(compiled) if each.id} == said
