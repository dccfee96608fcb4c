"""Charts as Vega-Lite in a language, and as pictures: SVG, PNG and PDF, without a browser."""

from __future__ import annotations

import gzip
import json
import re
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from ...formats import Format
from ..optional import imported
from ..reports.charts import INK
from ..words import Language
from .contents import Contents, Entry

__all__ = [
    "Kind",
    "converter",
    "javascript",
    "locales",
    "on_paper",
    "specification",
    "write_charts",
]

Kind: TypeAlias = Literal["png", "pdf"]

PAPER: Final = "#ffffff"
INK_ON_PAPER: Final = "#4d5361"
"""Darker than the ink that suits light and dark pages alike: 7.6 : 1 on white."""


def specification(entry: Entry, language: Language) -> dict[str, Any] | None:
    """Return a report's chart for Vega-Lite, its data included; ``None`` where there is none."""
    chart = entry.report.chart(language)
    if chart is None:
        return None
    specification: dict[str, Any] = chart.to_dict()
    return specification | {"description": entry.titles[language]}


def locales(language: Language) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return how Vega shall write numbers, and dates: by the rules of the page's tables."""
    form = Format(language)
    decimal, thousands = form.signs()
    numbers = {"decimal": decimal, "thousands": thousands, "grouping": [3], "currency": ["", ""]}
    return numbers, {
        "dateTime": "%x, %X",
        "date": "%d/%m/%Y",
        "time": "%H:%M:%S",
        "periods": ["AM", "PM"],
        "days": form.weekdays("wide"),
        "shortDays": form.weekdays("abbreviated"),
        "months": form.months("wide"),
        "shortMonths": form.months("abbreviated"),
    }


@cache
def javascript() -> str:
    """Return Vega, Vega-Lite and Vega-Embed in one script that asks for nothing else.

    It comes with the package, so that a page needs none of what draws pictures; ``make vega``
    writes it anew.
    """
    packed = (resources.files(__package__) / "assets" / "vega.js.gz").read_bytes()
    bundle = gzip.decompress(packed).decode()
    # Inside a page, this is the one thing that would end the script.
    return re.sub(r"</(?=script)", r"<\\/", bundle, flags=re.IGNORECASE)


def write_charts(
    contents: Contents, directory: str | Path, kind: Kind, language: Language = "en"
) -> list[Path]:
    """Write every chart into a directory, as ``<report>.png`` or ``.pdf``, on white.

    The directory is made if it is not there; files of those names are replaced.

    Raises:
        ImportError: the extra ``pictures`` is not installed.
        OSError: a file cannot be written.
    """
    converter()
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for entry in contents.entries:
        drawn = specification(entry, language)
        if drawn is not None:
            path = folder / f"{entry.key}.{kind}"
            path.write_bytes(_picture(on_paper(drawn), kind, language))
            written.append(path)
    return written


def on_paper(drawn: dict[str, Any]) -> dict[str, Any]:
    """Return a chart for white paper."""
    inked: dict[str, Any] = json.loads(json.dumps(drawn).replace(INK, INK_ON_PAPER))
    config = inked.get("config", {}) | {"background": PAPER, "padding": 12}
    return inked | {"config": config}


def _picture(drawn: dict[str, Any], kind: Kind, language: Language) -> bytes:
    numbers, dates = locales(language)
    convert = getattr(converter(), f"vegalite_to_{kind}")
    sharp = {"scale": 2} if kind == "png" else {}
    picture: bytes = convert(drawn, format_locale=numbers, time_format_locale=dates, **sharp)
    return picture


def converter() -> Any:
    """Return what draws pictures.

    Raises:
        ImportError: the extra ``pictures`` is not installed.
    """
    return imported("vl_convert", "vl-convert-python for pictures of charts", "pictures")
