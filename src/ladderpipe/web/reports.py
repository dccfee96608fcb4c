"""The reports of the pipeline, as their own page has them; made once and shown for a while."""

from __future__ import annotations

import datetime as dt
import html
import importlib.util
import re
import threading
from http import HTTPStatus
from typing import Any, Final

import attrs

from ..errors import DefinitionError
from .call import Call, Document
from .refusal import Refusal

__all__ = ["Reports"]

FRESH: Final = dt.timedelta(minutes=10)
"""How long a page is shown before it is made again: for many deals that takes seconds."""

_POLICY: Final = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)"')


@attrs.define
class Reports:
    """The report pages of one application, by language."""

    _pages: dict[str, tuple[dt.datetime, Document]] = attrs.field(factory=dict)
    _making: Any = attrs.field(factory=threading.Lock)

    @staticmethod
    def are_offered() -> bool:
        """Whether there are reports: with the extra ``insight``."""
        return importlib.util.find_spec("polars") is not None

    def page(self, call: Call) -> Document:
        """Return the reports in the reader's language, at most ten minutes old.

        Raises:
            Refusal: 404, no reports are offered here.
        """
        if not self.are_offered():
            raise Refusal(HTTPStatus.NOT_FOUND, call.words.gettext("There is no such page."))
        language = call.words.language
        with self._making:
            made_at, found = self._pages.get(language, (None, None))
            if found is None or made_at is None or call.now - made_at > FRESH:
                found = _made(call, language)
                self._pages[language] = call.now, found
        return found


def _made(call: Call, language: str) -> Document:
    from ..insight import page

    try:
        text = page(call.board, language=language, zone=call.pipeline.zone, forecasts=False)  # type: ignore[arg-type]
    except DefinitionError:  # they speak fewer languages than a catalogue can be written in
        text = page(call.board, zone=call.pipeline.zone, forecasts=False)
    # The page has scripts of its own, and says which: by their digests.
    policy = _POLICY.search(text)
    return Document(text, html.unescape(policy[1]) if policy else "default-src 'none'")
