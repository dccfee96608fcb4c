"""Why something was refused, in the reader's language: for whoever moves deals.

The board in the browser says it in the same words. A language is a catalogue more, ``it.po``, of
which ``pybabel compile`` makes ``it.mo``: it takes nothing but Python to read that.
"""

from __future__ import annotations

import functools
import gettext
import re
from collections.abc import Collection, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Final

import attrs

from .. import errors
from ..fold.explain import Reason
from ..fold.options import Option
from ..model.stage import Stage

__all__ = ["LANGUAGES", "LOCALE", "RefusalWords", "asked_for", "refusal_words", "texts_in"]

LOCALE: Final = Path(__file__).parent / "locale"
LANGUAGES: Final = ("en", *sorted(path.stem for path in LOCALE.glob("*.mo")))


def N_(text: str) -> str:  # noqa: N802 - the name that gettext's tools look for
    """Mark a text for the catalogues; it is looked up where it is shown."""
    return text


FIELDS: Final[Mapping[str, str]] = {
    "owner": N_("Owner"),
    "value": N_("Value"),
    "currency": N_("Currency"),
    "title": N_("Title"),
    "contact": N_("Contact"),
    "company": N_("Company"),
    "source": N_("Source"),
    "properties": N_("Properties"),
    "loss_reason": N_("Reason for the loss"),
    "next_step": N_("Next step"),
    "name": N_("Name"),
    "email": N_("E-mail"),
    "phone": N_("Phone"),
}
REASONS: Final[Mapping[Reason, str]] = {
    Reason.OUT_OF: N_("nothing leads there by hand from where it is."),
    Reason.GUARD: N_("a condition of the pipeline is not met."),
    Reason.REQUIRES: N_("something is missing."),
    Reason.ACTOR: N_("this is not yours to do."),
}

_WISH: Final = re.compile(r"\s*([A-Za-z]{1,8}|\*)[^;,]*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?))?\s*")
"""What a reader says of a language: see RFC 9110, section 12.5.4."""


def asked_for(wishes: str, known: Collection[str] = LANGUAGES) -> str:
    """Return the known language that is wished for most; English when none is.

    Args:
        wishes: what the header ``Accept-Language`` says, or a code.
    """
    found = (_WISH.fullmatch(part) for part in wishes[:1_000].split(","))
    asked = [(match[1].lower(), float(match[2] or 1)) for match in found if match]
    asked.sort(key=lambda each: -each[1])
    return next((code for code, weight in asked if weight and code in known), "en")


@attrs.frozen
class RefusalWords:
    """The texts of one language; ``%(name)s`` is filled in.

    Attributes:
        language: its ISO 639 code.
    """

    language: str
    _texts: gettext.NullTranslations

    def gettext(self, text: str, **named: object) -> str:
        """Return a text, filled in."""
        found = self._texts.gettext(text)
        return found % named if named else found

    def stage(self, stage: Stage | str) -> str:
        """Return a stage's title."""
        return stage.title_in(self.language) if isinstance(stage, Stage) else str(stage)

    def field(self, name: str) -> str:
        """Return what people call a field or a property."""
        known = FIELDS.get(name)
        return self.gettext(known) if known else name.replace("_", " ").capitalize()

    def why_not(self, option: Option) -> str:
        """Return why a deal cannot be moved somewhere by hand."""
        for reason in (Reason.ACTOR, Reason.REQUIRES, Reason.GUARD):
            if any(refusal.reason is reason for refusal in option.refusals):
                return self.gettext(REASONS[reason])
        return self.gettext(REASONS[Reason.OUT_OF])

    def refused(self, error: BaseException, status: HTTPStatus) -> str:
        """Return why something was refused."""
        _ = self.gettext
        if isinstance(error, errors.MoveNotAllowedError):
            return self._not_moved(error)
        if isinstance(error, errors.EventConflictError):
            return _("This was asked for before, with other content: load the page again.")
        if isinstance(error, errors.HookError | errors.GuardError):
            return _("The shop's own rules refused it: %(why)s", why=error.__cause__)
        if isinstance(error, errors.DealNotFoundError):
            return _("There is no such deal.")
        if isinstance(error, errors.PipelineChangedError):
            return _("The pipeline is being changed: try again in a moment.")
        if status is HTTPStatus.NOT_FOUND:
            return _("It is not there any more.")
        if status is HTTPStatus.SERVICE_UNAVAILABLE:
            return _("The database does not answer: try again in a moment.")
        return _("This cannot be taken as it is: %(why)s", why=error)

    def _not_moved(self, error: errors.MoveNotAllowedError) -> str:
        _ = self.gettext
        into = self.stage(error.into) if error.into else ""
        if isinstance(error, errors.MissingPropertyError):
            names = ", ".join(self.field(name) for name in error.missing)
            return _("For “%(stage)s” it takes: %(names)s.", stage=into, names=names)
        if error.expecting and error.stage and not error.options:
            return _("The deal is in “%(stage)s” by now.", stage=self.stage(error.stage))
        option = next((each for each in error.options if each.into == error.into), None)
        if option is None:
            return _("This is not possible any more.")
        why = self.why_not(option)
        return _("It cannot be moved into “%(stage)s”: %(why)s", stage=into, why=why)


@functools.cache
def texts_in(language: str) -> gettext.NullTranslations:
    """Return the texts of a language; English for one that is not known."""
    if language == "en" or language not in LANGUAGES:
        return gettext.NullTranslations()
    with (LOCALE / f"{language}.mo").open("rb") as file:
        return gettext.GNUTranslations(file)


@functools.cache
def refusal_words(language: str) -> RefusalWords:
    """Return the words of a language that is known."""
    return RefusalWords(language, texts_in(language))
