"""The page itself: one HTML file that asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final

import attrs

from ...errors import DefinitionError
from ...formats import Format
from ..optional import imported
from ..reports.charts import MOST_ROWS
from ..words import Language
from .cells import Cells, cells_of, printable
from .contents import Contents, Entry, Section
from .key_figures import KeyFigure, key_figures
from .vega import javascript, locales, specification
from .words import in_language

__all__ = ["MARK", "rendered"]

MARK: Final = "<!doctype html>\n<!-- ladderpipe report -->\n"
"""What every page begins with, so that it can be told from another file."""

SHOWN: Final = 12
"""How many rows of a table are shown until all are asked for."""

CROWDED: Final = ("owner", "source", "loss_reason")
"""Of these the chart draws the largest; the table beside it shows as many, and the same."""


LONG: Final = 30
"""From how many letters on a text may be broken anywhere, so that it cannot widen its table."""


@attrs.frozen
class Figure:
    """A report as it stands on the page.

    Attributes:
        chart: JSON, empty where there is none.
        shown: how many rows of its table are shown until all are asked for.
        same_as: the key of the figure above that has the same definition; empty where none has.
    """

    key: str
    title: str
    definition: str
    notes: tuple[str, ...]
    chart: str
    cells: Cells
    shown: int
    same_as: str


@attrs.frozen
class Chapter:
    """A section as it stands on the page."""

    key: str
    title: str
    figures: tuple[Figure, ...]
    left_out: tuple[str, ...]


@attrs.frozen
class Part:
    """A pipeline as it stands on the page.

    Attributes:
        prefix: of its figures' ids, so that those of several pipelines are told apart.
    """

    prefix: str
    pipeline: str
    as_of: str
    zone: str
    deals: int
    counts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    key_figures: list[KeyFigure]
    chapters: list[Chapter]


def rendered(contents: Contents, language: Language) -> str:
    """Return the page in a language."""
    return rendered_together([contents], language)


def rendered_together(found: Sequence[Contents], language: Language) -> str:
    """Return one page of several pipelines, one below the other.

    Raises:
        DefinitionError: there is none.
    """
    if not found:
        raise DefinitionError("a page of no pipeline says nothing: give a board or tables")
    form = Format(language, found[0].zone)
    scripts = {"vega": javascript(), "own": _asset("report.js")}
    numbers, dates = locales(language)
    many = len(found) > 1
    body: str = _template().render(
        language=language,
        words=in_language(language),
        policy=_policy(*scripts.values()),
        style=_asset("report.css"),
        scripts=scripts,
        settings=for_script({"numbers": numbers, "dates": dates}),
        parts=[
            _part(contents, language, f"p{number}-" if many else "")
            for number, contents in enumerate(found, start=1)
        ],
        long=LONG,
        number=form.number,
    )
    return MARK + body


def _part(contents: Contents, language: Language, prefix: str) -> Part:
    tables, form = contents.tables, Format(language, contents.zone)
    return Part(
        prefix=prefix,
        pipeline=printable(tables.called(language)),
        as_of=form.moment(tables.as_of),
        zone=contents.zone,
        deals=tables.deals.height,
        counts=(
            (form.number(tables.deals.height), "deals"),
            (form.number(tables.moves.height), "moves"),
        ),
        notes=tuple(printable(note[language]) for note in tables.notes),
        key_figures=key_figures(contents.headline, form, in_language(language)),
        chapters=_chapters(contents, form, language),
    )


def _chapters(contents: Contents, form: Format, language: Language) -> list[Chapter]:
    told: dict[str, str] = {}
    return [_chapter(section, form, language, told) for section in contents.sections]


def _chapter(section: Section, form: Format, language: Language, told: dict[str, str]) -> Chapter:
    return Chapter(
        section.key,
        section.titles[language],
        tuple(_figure(entry, form, language, told) for entry in section.entries),
        tuple(titles[language] for titles in section.left_out),
    )


def _figure(entry: Entry, form: Format, language: Language, told: dict[str, str]) -> Figure:
    drawn = specification(entry, language)
    definition = entry.report.definitions[language]
    first = told.setdefault(definition, entry.key)
    crowded = drawn is not None and entry.report.table.columns[0] in CROWDED
    return Figure(
        key=entry.key,
        title=printable(entry.titles[language]),
        definition=printable(definition),
        notes=tuple(printable(note[language]) for note in entry.report.notes),
        chart="" if drawn is None else for_script(drawn),
        cells=cells_of(entry.report, form),
        shown=MOST_ROWS if crowded else SHOWN,
        same_as="" if first == entry.key else first,
    )


def for_script(value: Any) -> str:
    """Return JSON that no text in it can break out of a script element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Escaped, not removed: JSON reads them back, and no parser of HTML sees the end of the script.
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _policy(*scripts: str) -> str:
    """Return a Content Security Policy under which only these scripts run, and nothing is asked."""
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _asset(name: str) -> str:
    return (resources.files(__package__) / "assets" / name).read_text("utf-8")


def _template() -> Any:
    jinja2 = imported("jinja2", "Jinja2 for pages")
    surroundings = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return surroundings.from_string(_asset("report.html.jinja"))
