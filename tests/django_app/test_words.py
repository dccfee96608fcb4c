"""Every word that the admin says is there in Italian, in the file that Django reads too."""

from __future__ import annotations

import io
import re
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

import ladderpipe

SOURCE = Path(ladderpipe.__file__).parent / "django"
WORDS = SOURCE / "locale" / "it" / "LC_MESSAGES"


def said() -> set[str]:
    """Return what modules and templates have translated."""
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        found.update(re.findall(r'(?:\b_|gettext)\(\s*"([^"]+)"', path.read_text("utf-8")))
    for path in SOURCE.rglob("*.html"):
        text = path.read_text("utf-8")
        found.update(re.findall(r'{% translate "([^"]+)" %}', text))
        blocks = re.findall(r"{% blocktranslate[^%]*%}(.*?){% endblocktranslate %}", text)
        found.update(re.sub(r"{{ (\w+) }}", r"%(\1)s", block) for block in blocks)
    return found


def words(catalog: Catalog) -> dict[str, str]:
    return {str(message.id): str(message.string) for message in catalog if message.id}


def test_every_word_is_there_in_italian() -> None:
    catalog = words(read_po(io.BytesIO((WORDS / "django.po").read_bytes())))
    assert catalog.keys() == said()
    assert all(catalog.values())
    for english, italian in catalog.items():
        assert re.findall(r"%\(\w+\)s", english) == re.findall(r"%\(\w+\)s", italian)


def test_django_reads_the_same_words() -> None:
    """Compile it again with ``pybabel compile`` when this fails."""
    catalog = words(read_po(io.BytesIO((WORDS / "django.po").read_bytes())))
    with (WORDS / "django.mo").open("rb") as compiled:
        assert words(read_mo(compiled)) == catalog
