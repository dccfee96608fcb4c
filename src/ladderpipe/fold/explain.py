"""Explaining a history: what every event, hand and timer did, and why each other rule did not.

It listens to the fold and folds nothing itself: whether a rule is tried in a stage is read off
the machine, and what a guard says is asked of the guard.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import attrs

from ..ladder.ladder import Ladder
from ..ladder.machine import HAND_PREFIX, Candidate, missing
from ..ladder.rules import ByHand, OnEvents, Rule
from ..model.clock import instant, instant_text
from ..model.effect import Effect
from ..model.event import (
    BASELINE,
    BY_HAND,
    DISCARDED,
    EDITED,
    OVERRIDE,
    TOLD,
    WITHDRAW,
    Event,
)
from ..model.history import Withdrawn
from ..model.notebook import text_block
from ..model.receipt import Outcome
from ..model.record import json_record
from ..model.stage import Stage
from ..public import publish
from .baseline import Baseline, in_turn
from .draft import Draft
from .fold import run
from .order import in_order, order_key
from .ways import merges_into_itself
from .withdrawals import is_told, standing

__all__ = ["Explanation", "Reason", "Refusal", "Step", "explain", "why_not"]

Kind = Literal[
    "event", "hand", "override", "timer", "baseline", "discarded", "withdrawn", "withdrawal"
]


class Reason(enum.StrEnum):
    """Why a rule did not move a deal; the first that applies, in this order."""

    TRIGGER = "trigger"
    """It does not listen to this type of event, or leads elsewhere than the hand."""
    OUT_OF = "out_of"
    """It does not leave the stage the deal is in, or opens no deals."""
    EARLIER_RULE = "earlier_rule"
    """A rule before it won."""
    HELD_BACK = "held_back"
    """The timer has moved the deal at this very instant already."""
    LATE = "late"
    """The event sorts before the deal's baseline, and what happened since answers it."""
    GUARD = "guard"
    """Its guard does not hold."""
    REQUIRES = "requires"
    """The stage it leads into requires what is not filled."""
    ACTOR = "actor"
    """Its ``may`` says that this actor may not; of ``board.options``, never of an explanation."""


@json_record()
@attrs.frozen
class Refusal:
    """One rule that did not move the deal, and why.

    Attributes:
        rule: key of the rule.
        detail: the reason in words, with what was missing.
    """

    rule: str
    reason: Reason
    detail: str

    def to_dict(self) -> dict[str, str]:
        """Return it as JSON values; the keys stay."""
        return {"rule": self.rule, "reason": self.reason.value, "detail": self.detail}


@json_record(lambda: {"event": dict[str, str] | None}, sparse=True)
@attrs.frozen(kw_only=True)
class Step:
    """One decision of the fold.

    Attributes:
        at: when the event happened or the timer was due.
        kind: what asked for it.
        outcome: what came of it; for a timer that moved nothing, ``STAYED``.
        event: the event or hand; ``None`` for a timer.
        rule: key of the rule that moved the deal, or of the timer that was tried.
        out_of: the stage the deal was in; ``None`` before its opening.
        into: the stage it was moved into; ``None`` when nothing moved.
        refusals: the other rules that listen to the same kind of trigger, in their order.
        note: what else is to be said.
        in_baseline: whether the baseline below holds what came of it, so that it is not folded.
    """

    at: dt.datetime
    kind: Kind
    outcome: Outcome
    event: Event | None = None
    rule: str | None = None
    out_of: Stage | None = None
    into: Stage | None = None
    refusals: tuple[Refusal, ...] = ()
    note: str | None = None
    in_baseline: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; what does not apply is left out."""
        told: dict[str, Any] = {
            "at": _time(self.at),
            "kind": self.kind,
            "outcome": str(self.outcome),
            "event": None if self.event is None else _identity(self.event),
            "rule": self.rule,
            "out_of": self.out_of and self.out_of.key,
            "into": self.into and self.into.key,
            "refusals": [refusal.to_dict() for refusal in self.refusals],
            "note": self.note,
            "in_baseline": self.in_baseline or None,
        }
        return {name: part for name, part in told.items() if part is not None and part != []}

    def __str__(self) -> str:
        return "\n".join(
            [f"{_time(self.at)}  {self._asked()}", *map("    {}".format, self._told())]
        )

    def _asked(self) -> str:
        if self.event is None:
            return f"timer '{self.rule}'"
        data = self.event.data
        kind = _kind(self.event) if self.kind == "withdrawn" else self.kind
        if kind in ("hand", "override"):
            reason = f" ({data['reason']})" if data.get("reason") else ""
            return f"{kind}: {data.get('by') or 'somebody'} → '{data.get('into')}'{reason}"
        if self.kind == "baseline":
            return "baseline"
        if self.kind == "withdrawal":
            reason = f" ({data['reason']})" if data.get("reason") else ""
            return f"withdrawal: {data.get('by') or 'somebody'} takes back '{data['id']}'{reason}"
        if self.kind == "discarded":
            note = data[DISCARDED]
            return f"{note['type']}, event '{self.event.id}', discarded by {note['by']}"
        source = f" from {self.event.source}" if self.event.source else ""
        return f"{self.event.type}, event '{self.event.id}'{source}"

    def _told(self) -> Iterator[str]:
        yield self._came_of_it()
        if self.note:
            yield self.note
        shown = [r for r in self.refusals if r.reason is not Reason.TRIGGER]
        yield from (f"- not '{r.rule}': {r.detail}" for r in shown)

    def _came_of_it(self) -> str:
        if self.kind == "discarded" and self.event is not None:
            return "does not count"
        if self.kind in ("withdrawn", "withdrawal"):
            return "counts no more" if self.kind == "withdrawn" else "takes an event back"
        if self.in_baseline:
            return "what came of it is in the baseline"
        by = "" if self.kind == "override" else f" by '{self.rule}'"
        if self.kind == "baseline" and self.outcome is not Outcome.LATE:
            return f"the fold starts here, with the deal in '{self.out_of or 'no stage'}'"
        if self.outcome is Outcome.OPENED:
            return f"opened the deal in '{self.into}'{by}"
        if self.outcome is Outcome.MOVED:
            by = "" if self.kind == "timer" else by
            return f"moved it out of '{self.out_of}' into '{self.into}'{by}"
        if self.outcome is Outcome.LATE:
            return "it came late to the baseline, and changes nothing"
        if self.outcome is Outcome.HELD:
            return "set aside, since it cannot be used: it changes nothing, and is asked anew"
        if self.outcome is Outcome.WAITING:
            return "waits: the deal is not open yet"
        return f"moved nothing: the deal stayed in '{self.out_of}'"


@json_record(optional=("deal",), sparse=True)
@attrs.frozen(kw_only=True, repr=False)
class Explanation:
    """The decisions that made a deal's history, in the order in which they were taken.

    ``str()`` of it is meant to be read, :meth:`to_dict` to be passed on.

    Attributes:
        pipeline: name of the pipeline.
        deal: id of the deal; ``None`` when there were no events.
        steps: each event, hand and timer.
        stage: the stage the deal is in at the end; ``None`` while none is open.
        due_at: when the next timer is due.
        due_rule: key of the rule of that timer.
        effects: what a board knows of the deal's effects, with what was decided about each.
    """

    pipeline: str
    deal: str | None
    steps: tuple[Step, ...]
    stage: Stage | None = None
    due_at: dt.datetime | None = None
    due_rule: str | None = None
    effects: tuple[Effect, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; what does not apply is left out."""
        told = {
            "pipeline": self.pipeline,
            "deal": self.deal,
            "stage": self.stage and self.stage.key,
            "due_at": self.due_at and _time(self.due_at),
            "due_rule": self.due_rule,
            "steps": [step.to_dict() for step in self.steps],
            "effects": [effect.to_dict() for effect in self.effects] or None,
        }
        return {name: part for name, part in told.items() if part is not None}

    def __repr__(self) -> str:
        where = "" if self.stage is None else f", now in {self.stage.key!r}"
        return f"<Explanation of {(self.deal or '')[:60]!r}: {len(self.steps)} steps{where}>"

    def _repr_html_(self) -> str:
        """Return it as a notebook shows it."""
        return text_block(str(self))

    def __str__(self) -> str:
        if self.deal is None:
            return f"{self.pipeline}: no events, so there is nothing to explain"
        told = [*map(str, self.steps), *self._decided(), self._end()]
        return "\n".join([f"{self.deal} in {self.pipeline}", *told])

    def _decided(self) -> Iterator[str]:
        """Yield what was decided about effects, of those about which something was."""
        for effect in self.effects:
            if effect.decisions:
                yield f"{_time(effect.due_at)}  effect '{effect.name}' is {effect.state}"
                yield from (f"    {_time(each.at)}  {each}" for each in effect.decisions)

    def _end(self) -> str:
        if self.stage is None:
            return "The deal is not open."
        due = "nothing is due"
        if self.due_at is not None:
            due = f"'{self.due_rule}' is due at {_time(self.due_at)}"
        return f"The deal is in '{self.stage}'; {due}."


def explain(
    ladder: Ladder, events: Iterable[Event], until: dt.datetime | str | None = None
) -> Explanation:
    """Return what made the history that :meth:`Pipeline.fold` returns for the same arguments.

    Raises:
        GuardError: the guard or the time of a timer raised.
        EventConflictError: one identity, two contents.
    """
    found = list(events)
    listener = _Listener(ladder)
    draft, _, _ = run(ladder, found, until, listener)
    before = _until_baseline(ladder, found, until)
    steps = list(_settled(listener.steps, draft))
    return Explanation(
        pipeline=ladder.name,
        deal=found[0].deal if found else None,
        steps=(*before, *_with_withdrawals(ladder, found, until, steps)),
        stage=draft.stage if draft else None,
        due_at=draft.due_at if draft else None,
        due_rule=draft.next_timer.key if draft and draft.next_timer else None,
    )


def _with_withdrawals(
    ladder: Ladder, events: list[Event], until: dt.datetime | str | None, steps: list[Step]
) -> list[Step]:
    """Return the steps with what was taken back at its place, and what took it back at its own."""
    if not any(event.type == WITHDRAW for event in events):
        return steps
    limit = None if until is None else instant(until)
    ordered = in_order(ladder, [e for e in events if limit is None or is_told(e, limit)])
    left = standing(ordered)
    notes = {each.event.identity: _taken_back(each) for each in left.withdrawn}
    notes |= {each.event.identity: f"it does nothing: {each.reason}" for each in left.astray}
    added = [
        Step(
            at=event.at,
            kind="withdrawal" if event.type == WITHDRAW else "withdrawn",
            outcome=Outcome.STAYED,
            event=event,
            note=notes.get(event.identity),
        )
        for event in ordered
        if event.type == WITHDRAW or event.identity in left.named
    ]
    return sorted([*steps, *added], key=lambda step: step.at)


def _taken_back(withdrawn: Withdrawn) -> str:
    data = withdrawn.by.data
    reason = f": {data['reason']}" if data.get("reason") else ""
    who = data.get("by") or f"event '{withdrawn.by.id}'"
    return f"taken back by {who} at {_time(withdrawn.by.at)}{reason}"


def _settled(steps: Iterable[Step], draft: Draft | None) -> Iterator[Step]:
    """Yield steps as they are, now that it is known what came late and changes nothing."""
    late = {} if draft is None else draft.late
    for step in steps:
        event = step.event
        is_idle = event is not None and late.get((event.source, event.id)) is False
        if is_idle and step.outcome is Outcome.STAYED:
            step = attrs.evolve(step, outcome=Outcome.LATE)
        yield step


def _until_baseline(
    ladder: Ladder, events: list[Event], until: dt.datetime | str | None
) -> list[Step]:
    """Return the steps up to the last baseline, which is where the fold began."""
    if until is not None:
        limit = instant(until)
        events = [event for event in events if is_told(event, limit)]
    baselines = in_turn(events)
    if not baselines:
        return []
    last = baselines.pop()
    base = Baseline.of(last)
    before = []
    for event in standing(in_order(ladder, events)).events:
        at, kind = event.at, _kind(event)
        if base is None and order_key(ladder, event) < order_key(ladder, last):
            before.append(Step(at=at, kind=kind, outcome=Outcome.LATE, event=event))
        elif event in baselines or (base is not None and base.has_seen(event)):
            step = Step(at=at, kind=kind, outcome=Outcome.STAYED, event=event, in_baseline=True)
            before.append(step)
    key = last.data["state"].get("stage")
    stage = None if key is None else ladder.stage(key)
    note = None if base is None else _stood(base)
    start = Step(
        at=last.at, kind="baseline", outcome=Outcome.STAYED, event=last, out_of=stage, note=note
    )
    return [*before, start]


def _stood(base: Baseline) -> str:
    """Say how the deal came to stand where a baseline holds it."""
    told = f"written at {_time(base.written_at)}"
    if base.began is not None:
        told += f"; that visit began by {base.began}"
    if base.settled not in (None, base.began):
        told += f"; the deal was won or left a closed stage by {base.settled}"
    return told


class _Listener:
    """The fold's observer: writes down each decision before it is carried out."""

    def __init__(self, ladder: Ladder) -> None:
        self.rules = ladder.rules
        self.stages = ladder.stages
        self.steps: list[Step] = []

    def __call__(
        self, draft: Draft, asked: Event | Candidate, winner: Candidate | None, at: dt.datetime
    ) -> None:
        if isinstance(asked, Candidate):
            step = self._timer(draft, asked, winner, at)
        else:
            step = self._event(draft, asked, winner, at)
        self.steps.append(step)

    def _timer(
        self, draft: Draft, timer: Candidate, winner: Candidate | None, at: dt.datetime
    ) -> Step:
        note: str | None = None
        refusals: tuple[Refusal, ...] = ()
        if winner is None:
            refusals = (_refused_timer(draft, timer, at),)
            note = "it is tried again after each event of this visit that moves nothing"
        return Step(
            at=at,
            kind="timer",
            outcome=Outcome.MOVED if winner else Outcome.STAYED,
            rule=timer.key,
            out_of=draft.stage,
            into=winner.into.stage if winner else None,
            refusals=refusals,
            note=note,
        )

    def _event(self, draft: Draft, event: Event, winner: Candidate | None, at: dt.datetime) -> Step:
        if event.type == DISCARDED:
            return Step(
                at=at,
                kind="discarded",
                outcome=Outcome.STAYED,
                event=event,
                out_of=draft.stage,
                note=event.data[DISCARDED]["reason"],
            )
        aside = draft.aside.get((event.source, event.id))
        if aside is not None:
            return Step(
                at=at,
                kind=_kind(event),
                outcome=Outcome.HELD,
                event=event,
                out_of=draft.stage,
                note=aside.reason,
            )
        moved, stayed = Outcome.MOVED, Outcome.STAYED
        if draft.stage is None:
            moved, stayed = Outcome.OPENED, Outcome.WAITING
        refusals = tuple(self._refusals(draft, event, winner))
        is_late = (event.source, event.id) in draft.late
        return Step(
            at=event.at if is_late else at,
            kind=_kind(event),
            outcome=moved if winner else stayed,
            event=event,
            rule=winner.key if winner else None,
            out_of=draft.stage,
            into=winner.into.stage if winner else None,
            refusals=refusals,
            note="; ".join(self._notes(draft, event, winner, refusals)) or None,
        )

    def _notes(
        self,
        draft: Draft,
        event: Event,
        winner: Candidate | None,
        refusals: tuple[Refusal, ...],
    ) -> Iterator[str]:
        if (event.source, event.id) in draft.late:
            note = _late_note(draft, winner)
        else:
            note = None if winner else self._note(event, refusals)
        if note is not None:
            yield note
        for part in draft.data.unread:
            if (part.source, part.event) == (event.source, event.id):
                yield f"kept aside as unread, {part}"

    def _note(self, event: Event, refusals: tuple[Refusal, ...]) -> str | None:
        kind = _kind(event)
        if merges_into_itself(event):
            return "a deal that is merged into itself stays where it is"
        if kind in ("hand", "override") and event.data.get("into") not in self.stages:
            return f"there is no stage '{event.data.get('into')}' any more"
        if kind == "hand":
            return "by the rules, this move is not allowed here; it was when it was made"
        if event.type == TOLD:
            stage = event.data.get("stage")
            return None if stage is None else f"the deal was in '{stage}' already"
        if event.type == EDITED:
            return _correction(event)
        if all(refusal.reason is Reason.TRIGGER for refusal in refusals):
            return f"no rule listens to {event.type}"
        return None

    def _refusals(self, draft: Draft, event: Event, winner: Candidate | None) -> Iterator[Refusal]:
        if event.type in (OVERRIDE, TOLD):
            return
        by_hand = event.type == BY_HAND
        trigger = HAND_PREFIX + str(event.data.get("into")) if by_hand else event.type
        tried = {candidate.order: candidate for candidate in draft.rung.by_trigger.get(trigger, ())}
        for order, rule in enumerate(self.rules):
            if not isinstance(rule.trigger, ByHand if by_hand else OnEvents):
                continue
            if winner is not None and order == winner.order:
                continue
            reason, detail = why_not(draft, event, rule, tried.get(order), winner)
            yield Refusal(rule.key or "", reason, detail)


def _correction(event: Event) -> str:
    said = sorted(event.data.keys() - {"by", "note"})
    what = f"corrected {', '.join(said)}" if said else "left a note"
    # On one line, whatever it holds: no note shall look like a step.
    note = " ".join(str(event.data.get("note") or "").split())
    who = event.data.get("by") or event.source or "somebody"
    return f"{who} {what}" + (f": {note}" if note else "")


def _late_note(draft: Draft, winner: Candidate | None) -> str | None:
    base = draft.base
    if base is None:
        return None
    told = "it was told after the baseline was written, and sorts before that"
    if winner is not None:
        return f"{told}: so it is folded where the deal stood, at {_time(base.at)}"
    return f"{told}: the deal was there by {base.began}" if base.began is not None else told


def _answer(draft: Draft, event: Event, candidate: Candidate) -> str | None:
    """Return what speaks against a rule for an event that came late to the baseline."""
    if draft.base is None or (event.source, event.id) not in draft.late:
        return None
    key = order_key(draft.ladder, event)
    return draft.base.answer(draft.ladder, key, candidate.into.is_closed)


def why_not(
    draft: Draft,
    event: Event,
    rule: Rule,
    candidate: Candidate | None,
    winner: Candidate | None,
) -> tuple[Reason, str]:
    """Return why a rule did not move the deal; *candidate* is it as seen from where that stood."""
    if isinstance(rule.trigger, OnEvents) and event.type not in rule.trigger.types:
        return Reason.TRIGGER, f"it does not listen to {event.type}"
    if isinstance(rule.trigger, ByHand) and rule.into != event.data.get("into"):
        return Reason.TRIGGER, f"it leads into '{rule.into}'"
    if candidate is None:
        return Reason.OUT_OF, _does_not_leave(rule, draft.stage)
    answer = _answer(draft, event, candidate)
    if answer is not None:
        return Reason.LATE, answer
    if winner is not None and winner.order < candidate.order:
        return Reason.EARLIER_RULE, f"'{winner.key}' stands before it"
    return _not_passed(draft, event, candidate)


def _does_not_leave(rule: Rule, stage: Stage | None) -> str:
    if stage is None:
        return "it opens no deals"
    if stage == rule.into and not rule.reenter:
        return f"the deal is in '{stage}' already"
    if rule.out_of is None:
        return f"'{stage}' is closed, and the rule does not name it"
    return f"it does not lead out of '{stage}'"


def _refused_timer(draft: Draft, timer: Candidate, at: dt.datetime) -> Refusal:
    if draft.has_fired(timer, at):
        why = "it has moved the deal at this very instant already"
        return Refusal(timer.key, Reason.HELD_BACK, why)
    return Refusal(timer.key, *_not_passed(draft, None, timer))


def _not_passed(draft: Draft, event: Event | None, candidate: Candidate) -> tuple[Reason, str]:
    unfilled = missing(candidate.requires, draft.data)
    guard = candidate.guard
    if guard is not None and not (unfilled and guard.holds(draft, event)):
        return Reason.GUARD, f"its guard does not hold: {guard}"
    return Reason.REQUIRES, f"'{candidate.rule.into}' requires {', '.join(unfilled)}, not filled"


def _kind(event: Event) -> Kind:
    if event.type == BY_HAND:
        return "hand"
    if event.type == OVERRIDE:
        return "override"
    if event.type == DISCARDED:
        return "discarded"
    return "baseline" if event.type == BASELINE else "event"


def _identity(event: Event) -> dict[str, str]:
    return {"type": event.type, "source": event.source, "id": event.id}


def _time(at: dt.datetime) -> str:
    return instant_text(at)


publish("ladderpipe", Explanation, Reason, Refusal, Step)
