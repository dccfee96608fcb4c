"""What the admin calls stages, fields and refusals, in the language that Django has chosen."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from django.utils.formats import number_format
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from ..model.delivery import EffectState
from ..model.stage import Stage
from ..pipeline import Pipeline
from ..problems import problem_of
from ..problems.words import RefusalWords, asked_for, refusal_words

__all__ = ["STATES", "amount", "field", "pipeline_title", "refusal", "stage_title"]

STATES: Final = {
    EffectState.PENDING: _("to be sent"),
    EffectState.CLAIMED: _("being sent"),
    EffectState.DELIVERED: _("done"),
    EffectState.CANCELLED: _("cancelled"),
    EffectState.EXPIRED: _("too late"),
    EffectState.DEAD: _("failed"),
    EffectState.OPEN: _("to be done"),
    EffectState.WAITING: _("waits for an address"),
    EffectState.DROPPED: _("not sent"),
}


def _words() -> RefusalWords:
    return refusal_words(asked_for(get_language() or ""))


def stage_title(stage: Stage) -> str:
    """Return a stage's title."""
    return stage.title_in(_words().language)


def pipeline_title(pipeline: Pipeline) -> str:
    """Return a pipeline's title."""
    return pipeline.titles.get(_words().language, pipeline.title)


def field(name: str) -> str:
    """Return what people call a property."""
    return _words().field(name)


def amount(value: str | None, currency: str | None) -> str:
    """Return what a deal is worth; nothing where that is not known."""
    if value is None:
        return ""
    return f"{number_format(Decimal(value), force_grouping=True)} {currency or ''}".rstrip()


def refusal(error: Exception) -> str:
    """Return why something was refused; in English in all detail."""
    language = _words().language
    # Whoever wrote a hook that raises is a colleague of whoever reads this.
    problem = problem_of(error, (Exception,), language)
    return str(error) if problem is None or language == "en" else problem.detail
