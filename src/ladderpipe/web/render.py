"""From what is to be shown to HTML: the templates, and what all of them know."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .call import Page, link
from .reading import company_name, contact_name
from .words import Words

__all__ = ["Templates"]

FOLDER: Final = Path(__file__).parent / "templates"


class Templates:
    """The pages of one application."""

    def __init__(self) -> None:
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
        )

    def rendered(self, page: Page, words: Words, **around: Any) -> str:
        """Return a page as HTML.

        Args:
            around: what the page's head says: whose it is, where it stands, and where one can go.
        """
        values: dict[str, Any] = {
            "_": words.gettext,
            "ngettext": words.ngettext,
            "words": words,
            "format": words.format,
            **around,
        }
        return self._environment.get_template(page.template).render({**values, **page.context})
