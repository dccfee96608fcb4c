"""What salespeople read in a CRM about what the ladder refused: English and Italian."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import attrs

from ...errors import DefinitionError, MissingPropertyError, MoveNotAllowedError
from ...fold.explain import Reason
from ...model.stage import Stage

__all__ = ["CrmLanguage", "CrmWords"]

CrmLanguage: TypeAlias = Literal["en", "it"]


@attrs.frozen(kw_only=True)
class _Sentences:
    """All that is said, in one language."""

    back: str
    unknown: str
    missing: str
    out_of: str
    guard: str
    actor: str
    rules: str
    possible: str
    nowhere: str
    merged: str
    apart: str


_WORDS: Final = {
    "en": _Sentences(
        back="{deal}: moved back into “{stage}”",
        unknown="Stage {into} is none of this ladder's: the deal stays in “{stage}”.",
        missing="“{into}” takes {names}. Fill it in, then move the deal again.",
        out_of="From “{stage}” nobody moves a deal into “{into}” by hand.",
        guard="For “{into}” a condition is not met.",
        actor="You may not move this deal into “{into}”.",
        rules="The shop's own rules have refused it.",
        possible="It can be moved into: {stages}.",
        nowhere="It moves by what happens in the shop.",
        merged="{deal} was merged into this deal",
        apart="On the board it is still a deal of its own, and goes on there.",
    ),
    "it": _Sentences(
        back="{deal}: riportata in «{stage}»",
        unknown="La fase {into} non è di questa pipeline: la trattativa resta in «{stage}».",
        missing="Per «{into}» serve {names}. Compila il campo e sposta di nuovo la trattativa.",
        out_of="Da «{stage}» una trattativa non si sposta a mano in «{into}».",
        guard="Per «{into}» una condizione non è soddisfatta.",
        actor="Non puoi spostare questa trattativa in «{into}».",
        rules="Le regole del negozio non lo permettono.",
        possible="Si può spostare in: {stages}.",
        nowhere="Si sposta da sola, con ciò che accade nel negozio.",
        merged="{deal} è stata unita a questa trattativa",
        apart="Sulla board resta una trattativa a sé, e lì prosegue.",
    ),
}
_REASONS: Final = ((Reason.ACTOR, "actor"), (Reason.GUARD, "guard"))


class CrmWords:
    """Sentences in one language.

    Raises:
        DefinitionError: there are none in that language.
    """

    def __init__(self, language: str) -> None:
        if language not in _WORDS:
            raise DefinitionError(
                f"language={language!r}: a CRM is told things in {' or '.join(_WORDS)}"
            )
        self._language, self._words = language, _WORDS[language]

    def moved_back(self, deal: str, stage: Stage) -> str:
        """Return that a deal was moved back, in a line."""
        return self._said("back", deal=deal, stage=self._title(stage))

    def unknown(self, into: str, stage: Stage) -> str:
        """Return that a stage of the CRM is none of ours."""
        return self._said("unknown", into=into, stage=self._title(stage))

    def refused(self, error: Exception, stage: Stage, names: Mapping[str, str]) -> str:
        """Return why the ladder refuses what somebody did, and what they may do.

        Args:
            names: of properties in the CRM, by ours.
        """
        if not isinstance(error, MoveNotAllowedError) or not isinstance(error.into, Stage):
            return self._said("rules")
        into = self._title(error.into)
        if isinstance(error, MissingPropertyError):
            missing = ", ".join(names.get(name, name) for name in error.missing)
            return self._said("missing", into=into, names=missing)
        option = next((each for each in error.options if each.into == error.into), None)
        told = {refusal.reason for refusal in option.refusals} if option is not None else set()
        why = next((word for reason, word in _REASONS if reason in told), "out_of")
        stages = ", ".join(map(self._title, error.allowed))
        hint = self._said("possible", stages=stages) if stages else self._said("nowhere")
        return f"{self._said(why, stage=self._title(stage), into=into)} {hint}"

    def merged(self, deal: str) -> tuple[str, str]:
        """Return that a deal stands in another one now: a line, and what that means."""
        return self._said("merged", deal=deal), self._said("apart")

    def _said(self, key: str, **told: str) -> str:
        sentence: str = getattr(self._words, key)
        return sentence.format_map(told)

    def _title(self, stage: Stage) -> str:
        return stage.title_in(self._language)
