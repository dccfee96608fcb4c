"""Charts as Vega-Lite in a language, and as pictures: SVG, PNG and PDF, without a browser."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from ..optional import imported
from ..reports.charts import INK
from ..words import Language
from .contents import Contents, Entry

__all__ = ["Kind", "javascript", "locales", "specification", "write_charts"]

Kind: TypeAlias = Literal["png", "pdf"]

PAPER: Final = "#ffffff"
INK_ON_PAPER: Final = "#4d5361"
"""Darker than the ink that suits light and dark pages alike: 7.6 : 1 on white."""

_LOCALES: Final = {"en": "en-US", "it": "it-IT"}


def specification(entry: Entry, language: Language) -> dict[str, Any] | None:
    """Return a report's chart for Vega-Lite, its data included; ``None`` where there is none."""
    chart = entry.report.chart(language)
    if chart is None:
        return None
    specification: dict[str, Any] = chart.to_dict()
    return specification | {"description": entry.titles[language]}


def locales(language: Language) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return how Vega shall write numbers, and dates."""
    converter = _converter()
    dates = dict(converter.get_time_format_locale(_LOCALES[language]))
    if language == "it":
        # vl-convert capitalises them, which Italian does not.
        for names in ("months", "shortMonths", "days", "shortDays"):
            dates[names] = [name.lower() for name in dates[names]]
    return dict(converter.get_format_locale(_LOCALES[language])), dates


@cache
def javascript() -> str:
    """Return Vega, Vega-Lite and Vega-Embed in one script that asks for nothing else."""
    bundle: str = _converter().javascript_bundle()
    # Inside a page, this is the one thing that would end the script.
    return re.sub(r"</(?=script)", r"<\\/", bundle, flags=re.IGNORECASE)


def write_charts(
    contents: Contents, directory: str | Path, kind: Kind, language: Language = "en"
) -> list[Path]:
    """Write every chart into a directory, as ``<report>.png`` or ``.pdf``, on white.

    The directory is made if it is not there; files of those names are replaced.

    Raises:
        OSError: a file cannot be written.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for entry in contents.entries:
        drawn = specification(entry, language)
        if drawn is not None:
            path = folder / f"{entry.key}.{kind}"
            path.write_bytes(_picture(_on_paper(drawn), kind, language))
            written.append(path)
    return written


def _on_paper(drawn: dict[str, Any]) -> dict[str, Any]:
    inked: dict[str, Any] = json.loads(json.dumps(drawn).replace(INK, INK_ON_PAPER))
    config = inked.get("config", {}) | {"background": PAPER, "padding": 12}
    return inked | {"config": config}


def _picture(drawn: dict[str, Any], kind: Kind, language: Language) -> bytes:
    numbers, dates = locales(language)
    convert = getattr(_converter(), f"vegalite_to_{kind}")
    sharp = {"scale": 2} if kind == "png" else {}
    picture: bytes = convert(drawn, format_locale=numbers, time_format_locale=dates, **sharp)
    return picture


def _converter() -> Any:
    return imported("vl_convert", "vl-convert-python for pictures of charts")
