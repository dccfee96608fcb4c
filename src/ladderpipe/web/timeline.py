"""What happened to a deal, the latest first, in sentences; and why, where somebody may ask."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping

import attrs

from ..board.repeated import is_repeated
from ..fold.explain import Explanation, Reason, Step
from ..model.delivery import EffectState
from ..model.effect import Effect
from ..model.event import EDITED
from ..model.held import Held
from ..model.history import History
from ..model.receipt import Outcome
from .call import Call
from .words import ENDS

__all__ = ["Entry", "timeline"]


@attrs.frozen
class Entry:
    """One thing that happened.

    Attributes:
        kind: ``move``, ``event``, ``note``, ``effect`` or ``held``; how it is drawn.
        title: in a sentence.
        text: what somebody wrote with it.
        why: further sentences: by which rule, and why others did not.
    """

    at: dt.datetime
    kind: str
    title: str
    text: str = ""
    why: tuple[str, ...] = ()
    tone: str = ""


def timeline(
    call: Call, history: History, explanation: Explanation, held: Iterable[Held]
) -> list[Entry]:
    """Return everything that happened to a deal, the latest first.

    That a shop told the cart again which the deal held already is nothing that happened.
    """
    left = {visit.key: visit.left_at for visit in history.visits}
    entries = [
        *(_of_step(call, step) for step in explanation.steps if not _is_repetition(step)),
        *(_of_effect(call, each, left) for each in history.effects if each.state in ENDS),
        *(_of_held(call, each) for each in held if each.kind.value != "aside"),
    ]
    return sorted(entries, key=lambda entry: entry.at)[::-1]


def _is_repetition(step: Step) -> bool:
    return step.kind == "discarded" and step.event is not None and is_repeated(step.event)


def _of_step(call: Call, step: Step) -> Entry:
    _ = call.words.gettext
    event = step.event
    kind = "move" if step.into is not None else "event"
    text = ""
    if event is not None:
        text = str(event.data.get("reason") or event.data.get("note") or "")
        kind = "note" if event.type == EDITED and text else kind
    tone = step.into.status if step.into is not None else ""
    return Entry(step.at, kind, _sentence(call, step), text, tuple(_why(call, step)), tone)


def _sentence(call: Call, step: Step) -> str:
    words = call.words
    _, event = words.gettext, step.event
    into = words.stage(step.into) if step.into else ""
    out_of = words.stage(step.out_of) if step.out_of else ""
    by = str(event.data.get("by") or "") if event is not None else ""
    if step.kind == "timer":
        if step.into is None:
            return _("A timer was due, and moved nothing")
        return _("Moved by its timer from “%(out_of)s” to “%(into)s”", out_of=out_of, into=into)
    told = words.event(event) if event is not None else ""
    if step.kind == "withdrawn":
        return _("%(what)s – taken back", what=_hand_name(call, step) or told)
    if step.kind == "withdrawal":
        return _("%(by)s took something back", by=by or _("Somebody"))
    if step.kind == "baseline":
        return _("The history was begun anew here")
    if step.kind == "discarded":
        return _("%(what)s – put aside for good", what=told)
    if step.kind == "hand" and step.into is not None:
        if step.out_of is None:
            return _("%(by)s opened it in “%(into)s”", by=by, into=into)
        return _("%(by)s moved it from “%(out_of)s” to “%(into)s”", by=by, out_of=out_of, into=into)
    if step.kind == "override" and step.into is not None:
        return _("%(by)s moved it to “%(into)s”, past the rules", by=by, into=into)
    if step.outcome is Outcome.OPENED:
        return _("%(what)s: opened in “%(into)s”", what=told, into=into)
    if step.into is not None:
        return _(
            "%(what)s: moved from “%(out_of)s” to “%(into)s”",
            what=told,
            out_of=out_of,
            into=into,
        )
    if event is not None and event.type == EDITED:
        return _edited(call, step)
    return told


def _hand_name(call: Call, step: Step) -> str:
    """Return what a hand that was taken back had done."""
    event = step.event
    if event is None or "into" not in event.data:
        return ""
    stages = {stage.key: stage for stage in call.pipeline.stages}
    key = str(event.data["into"])
    into = call.words.stage(stages.get(key, key))
    return call.words.gettext(
        "%(by)s moved it to “%(into)s”", by=event.data.get("by") or "", into=into
    )


def _edited(call: Call, step: Step) -> str:
    _ = call.words.gettext
    data = step.event.data if step.event is not None else {}
    fields = [name for name in data if name not in ("by", "note")]
    by = str(data.get("by") or _("Somebody"))
    if not fields:
        return _("%(by)s noted", by=by)
    names = ", ".join(call.words.field(name) for name in fields)
    return _("%(by)s changed: %(names)s", by=by, names=names)


def _why(call: Call, step: Step) -> Iterator[str]:
    """Yield by which rule something moved, and why the rules that might have did not."""
    _, words = call.words.gettext, call.words
    rules = {rule.key: rule for rule in call.pipeline.rules}
    if step.rule is not None and step.into is not None and step.kind not in ("override",):
        yield _("By the rule “%(rule)s”.", rule=step.rule)
    if step.outcome is Outcome.HELD:
        yield _("It cannot be used as it is, and is asked again with every change.")
    if step.outcome is Outcome.LATE:
        yield _("It came too late to change anything.")
    if step.outcome is Outcome.WAITING:
        yield _("It waits for the deal to be opened.")
    if step.into is not None:
        return
    for refusal in step.refusals:
        rule = rules.get(refusal.rule)
        if refusal.reason in (Reason.TRIGGER, Reason.OUT_OF) or rule is None:
            continue
        into = words.stage(rule.into)
        if refusal.reason is Reason.REQUIRES:
            yield _("Not moved to “%(into)s”: something it takes is missing.", into=into)
        elif refusal.reason is Reason.GUARD:
            yield _("Not moved to “%(into)s”: its condition was not met.", into=into)
        else:
            yield _("Not moved to “%(into)s”: another rule came first.", into=into)


def _of_effect(call: Call, effect: Effect, left: Mapping[str, dt.datetime | None]) -> Entry:
    at = effect.decisions[-1].at if effect.decisions else effect.due_at
    if effect.state is EffectState.CANCELLED:
        at = left.get(effect.visit_key) or at
    tone = "bad" if effect.state is EffectState.DEAD else ""
    why = (effect.because,) if effect.because else ()
    return Entry(at, "effect", call.words.end(effect), "", why, tone)


def _of_held(call: Call, held: Held) -> Entry:
    title = call.words.gettext("%(what)s – held", what=call.words.event(held.event))
    return Entry(held.since, "held", title, "", (held.reason,), "bad")
