"""What the page says, in the reader's language: a catalogue's texts, and how values are written."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import attrs

from ..fold.options import Consequence, Option
from ..formats import Format, catalogue
from ..model.delivery import EffectState
from ..model.effect import Effect
from ..model.event import DISCARDED, EDITED, MERGED, TOLD, WITHDRAW, Event
from ..model.stage import TASK, Status
from ..problems.words import N_, RefusalWords, texts_in

__all__ = ["LANGUAGES", "Words", "words_in"]

LOCALE: Final = Path(__file__).parent / "locale"
LANGUAGES: Final = ("en", *sorted(path.stem for path in LOCALE.glob("*.po")))
"""Another language is one catalogue more."""


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
STATUSES: Final[Mapping[Status, str]] = {
    "open": N_("open"),
    "won": N_("won"),
    "lost": N_("lost"),
    "abandoned": N_("abandoned"),
    "merged": N_("merged"),
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
class Words(RefusalWords):
    """The texts of one language, and the values written in it; ``%(name)s`` is filled in."""

    format: Format

    def ngettext(self, one: str, several: str, number: int, **named: object) -> str:
        """Return the text for so many things; ``%(n)s`` is their number as it is written."""
        named["n"] = self.format.number(number)
        return self._texts.ngettext(one, several, number) % named

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
    texts = texts_in(known)
    if known != "en":
        own = catalogue(LOCALE / f"{known}.po")
        own.add_fallback(texts)
        texts = own
    return Words(known, texts, Format(known, zone))
