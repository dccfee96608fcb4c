"""What the page says, in the reader's language: a catalogue's texts, and how values are written."""

from __future__ import annotations

import datetime as dt
import functools
import gettext
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import attrs

from ..fold.explain import Reason
from ..fold.options import Consequence, Option
from ..formats import Format, catalogue
from ..model.delivery import EffectState
from ..model.effect import Effect
from ..model.event import DISCARDED, EDITED, MERGED, TOLD, WITHDRAW, Event
from ..model.stage import TASK, Stage, Status

__all__ = ["LANGUAGES", "Words", "words_in"]

LOCALE: Final = Path(__file__).parent / "locale"
LANGUAGES: Final = ("en", *sorted(path.stem for path in LOCALE.glob("*.po")))
"""Another language is one catalogue more."""


def N_(text: str) -> str:  # noqa: N802 - the name that gettext's tools look for
    """Mark a text for the catalogues; it is looked up where it is shown."""
    return text


EVENTS: Final[Mapping[str, str]] = {
    "cart.updated": N_("The cart changed"),
    "cart.item_added": N_("Something was put into the cart"),
    "cart.item_removed": N_("Something was taken out of the cart"),
    "cart.emptied": N_("The cart was emptied"),
    "cart.saved": N_("The cart was saved"),
    MERGED: N_("The cart was merged into another"),
    "checkout.started": N_("The checkout was started"),
    "payment.failed": N_("The payment failed"),
    "order.confirmed": N_("The order was confirmed"),
    TOLD: N_("As another system told"),
    "order.edited": N_("The order was changed"),
    "order.cancelled": N_("The order was cancelled"),
    "order.refunded": N_("The order was refunded"),
    "contact.subscribed": N_("The contact wants mails again"),
    "contact.unsubscribed": N_("The contact wants no more mails"),
    EDITED: N_("The deal was edited"),
    WITHDRAW: N_("Something was taken back"),
}
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
STATUSES: Final[Mapping[Status, str]] = {
    "open": N_("open"),
    "won": N_("won"),
    "lost": N_("lost"),
    "abandoned": N_("abandoned"),
    "merged": N_("merged"),
}
REASONS: Final[Mapping[Reason, str]] = {
    Reason.OUT_OF: N_("nothing leads there by hand from where it is."),
    Reason.GUARD: N_("a condition of the pipeline is not met."),
    Reason.REQUIRES: N_("something is missing."),
    Reason.ACTOR: N_("this is not yours to do."),
}


ENDS: Final[Mapping[EffectState, str]] = {
    EffectState.DELIVERED: N_("%(what)s – sent"),
    EffectState.CANCELLED: N_("%(what)s – cancelled, the deal moved on"),
    EffectState.EXPIRED: N_("%(what)s – too late to be of use"),
    EffectState.DEAD: N_("%(what)s – could not be delivered"),
    EffectState.DROPPED: N_("%(what)s – not sent"),
}
"""What is said of an effect that is over."""


@attrs.frozen
class Words:
    """The texts of one language, and the values written in it; ``%(name)s`` is filled in.

    Attributes:
        language: its ISO 639 code.
    """

    language: str
    format: Format
    _texts: gettext.NullTranslations

    def gettext(self, text: str, **named: object) -> str:
        """Return a text, filled in."""
        found = self._texts.gettext(text)
        return found % named if named else found

    def ngettext(self, one: str, several: str, number: int, **named: object) -> str:
        """Return the text for so many things; ``%(n)s`` is their number as it is written."""
        named["n"] = self.format.number(number)
        return self._texts.ngettext(one, several, number) % named

    def stage(self, stage: Stage | str) -> str:
        """Return a stage's title."""
        return stage.title_in(self.language) if isinstance(stage, Stage) else str(stage)

    def field(self, name: str) -> str:
        """Return what people call a field or a property."""
        known = FIELDS.get(name)
        return self.gettext(known) if known else name.replace("_", " ").capitalize()

    def status(self, status: Status) -> str:
        """Return what a stage's status is called."""
        return self.gettext(STATUSES[status])

    def event(self, event: Event) -> str:
        """Return what happened, as a short sentence; a type of the shop's own as it is."""
        type = event.data[DISCARDED]["type"] if event.type == DISCARDED else event.type
        known = EVENTS.get(type)
        return self.gettext(known) if known else str(type)

    def effect(self, effect: Effect) -> str:
        """Return what to call an effect: a task's title, or its name and template."""
        if effect.name == TASK:
            return str(effect.payload.get("title", effect.name))
        template = effect.payload.get("template")
        kind = self.gettext("E-mail") if effect.name == "email" else effect.name
        return f"{kind} “{template}”" if template else kind

    def end(self, effect: Effect) -> str:
        """Return what became of an effect that is over."""
        if effect.name == TASK and effect.state is EffectState.DELIVERED:
            return self.gettext("%(what)s – done", what=self.effect(effect))
        return self.gettext(ENDS[effect.state], what=self.effect(effect))

    def unsent(self, effect: Effect) -> tuple[str, str]:
        """Return why an effect is not sent, or not yet, shortly and in a sentence."""
        reason = effect.because or self.gettext("not sent")
        if effect.state is EffectState.WAITING:
            reason = self.gettext("waits for an address")
            return reason, f"{self.effect(effect)} – {reason}"
        if effect.state is EffectState.PENDING:
            why = self.gettext("not sent yet: %(why)s", why=effect.because)
            return reason, f"{self.effect(effect)} – {why}"
        return reason, ": ".join(filter(None, (self.end(effect), effect.because)))

    def why_not(self, option: Option) -> str:
        """Return why a deal cannot be moved somewhere by hand."""
        for reason in (Reason.ACTOR, Reason.REQUIRES, Reason.GUARD):
            if any(refusal.reason is reason for refusal in option.refusals):
                return self.gettext(REASONS[reason])
        return self.gettext(REASONS[Reason.OUT_OF])

    def hint(self, option: Option) -> str:
        """Return what would start and stop with a move, in a sentence or two; empty for nothing."""
        told = []
        if option.starts:
            told.append(self.gettext("Starts: %(what)s.", what=self._consequences(option.starts)))
        if option.stops:
            told.append(self.gettext("Stops: %(what)s.", what=self._consequences(option.stops)))
        return " ".join(told)

    def _consequences(self, found: Iterable[Consequence]) -> str:
        return ", ".join(map(self._consequence, found))

    def _consequence(self, found: Consequence) -> str:
        name = found.name
        if found.kind == "timer":
            name = self.gettext("a timer")
        elif found.kind == "effect" and name == "email":
            name = self.gettext("an e-mail")
        return name if found.due_at is None else f"{name} ({self.format.moment(found.due_at)})"

    def age(self, since: dt.datetime | None, now: dt.datetime) -> str:
        """Return how long ago something was: ``3d``, ``3g``; nothing for what never was."""
        return "" if since is None else self.format.narrow(max(now - since, dt.timedelta()))


@functools.cache
def words_in(language: str, zone: str) -> Words:
    """Return the words of a language that has a catalogue; English for any other."""
    known = language if language in LANGUAGES else language.partition("-")[0]
    if known not in LANGUAGES:
        known = "en"
    texts = gettext.NullTranslations() if known == "en" else catalogue(LOCALE / f"{known}.po")
    return Words(known, Format(known, zone), texts)
