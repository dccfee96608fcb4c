"""From what is to be shown to HTML: the templates, and what all of them know."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..pipeline import Pipeline
from .access import User
from .call import Page, link
from .reading import company_name, contact_name
from .words import Words

__all__ = ["Templates"]

FOLDER: Final = Path(__file__).parent / "templates"


class Templates:
    """The pages of one application."""

    def __init__(self, pipeline: Pipeline, beside: Mapping[str, str]) -> None:
        self._pipeline = pipeline
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals.update(
            link=link,
            contact_name=contact_name,
            company_name=company_name,
            pipeline=pipeline,
            beside=dict(beside),
        )

    def rendered(self, page: Page, user: User | None, words: Words, has_reports: bool) -> str:
        """Return a page as HTML."""
        values: dict[str, Any] = {
            "_": words.gettext,
            "ngettext": words.ngettext,
            "words": words,
            "format": words.format,
            "user": user,
            "has_reports": has_reports,
            "heading": self._pipeline.titles.get(words.language, self._pipeline.title),
        }
        return self._environment.get_template(page.template).render({**values, **page.context})
