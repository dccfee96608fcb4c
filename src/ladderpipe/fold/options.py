"""What a hand may do with a deal: each stage, whether it may be moved there, and what follows.

A board's move asks here before it tells its event, so what is offered is what then happens.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import attrs

from ..errors import GuardError
from ..ladder.machine import HAND_PREFIX, Candidate, missing
from ..ladder.rules import ByHand, VisitTimes
from ..model.calendar import CalendarSpan
from ..model.clock import instant, instant_text
from ..model.event import BY_HAND, OWN_SOURCE, Event
from ..model.record import json_record
from ..model.stage import TASK, Stage, WaitStep
from ..public import publish
from .draft import Draft
from .explain import Reason, Refusal, why_not
from .ways import passes

__all__ = ["Consequence", "Option", "ending", "judged", "options"]


@json_record()
@attrs.frozen
class Consequence:
    """Something that begins or ends with a move.

    Attributes:
        kind: an effect, a task for a person, or a timer.
        name: of the effect or of the timer's rule; for a task its title.
        due_at: when it is due, or was to be due; ``None`` where nobody can say.
    """

    kind: Literal["effect", "task", "timer"]
    name: str
    due_at: dt.datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the keys stay."""
        due_at = self.due_at
        return {
            "kind": self.kind,
            "name": self.name,
            "due_at": None if due_at is None else instant_text(due_at),
        }


@json_record(lambda: {"why": str | None})
@attrs.frozen(kw_only=True)
class Option:
    """One stage, as somebody sees it who holds a deal in the hand.

    Attributes:
        into: the stage.
        allowed: whether ``board.move`` would do it now, with nothing but what the deal holds.
        rule: key of the rule by which it would be moved; ``None`` when it is not allowed.
        refusals: why not: each rule for hands that leads there, with rule, guard, actor or
            requirement as the reason. Empty when no rule leads there.
        requires: names of what the stage requires.
        missing: those of them that are not filled; a move may bring them as ``properties``.
        starts: what would begin there: the stage's sequence and its timers. Hooks may ask for
            more.
        stops: what would end with the stage that the deal is in.
    """

    into: Stage
    allowed: bool
    rule: str | None = None
    refusals: tuple[Refusal, ...] = ()
    requires: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    starts: tuple[Consequence, ...] = ()
    stops: tuple[Consequence, ...] = ()

    @property
    def is_possible(self) -> bool:
        """Whether a hand may do it once it brings what is missing."""
        return self.allowed or any(r.reason is Reason.REQUIRES for r in self.refusals)

    @property
    def why(self) -> str | None:
        """Why it is not allowed, in words; ``None`` when it is."""
        if self.allowed:
            return None
        return "; ".join(r.detail for r in self.refusals) or "no by_hand rule leads there"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the keys stay."""
        return {
            "into": self.into.key,
            "allowed": self.allowed,
            "rule": self.rule,
            "why": self.why,
            "refusals": [refusal.to_dict() for refusal in self.refusals],
            "requires": list(self.requires),
            "missing": list(self.missing),
            "starts": [each.to_dict() for each in self.starts],
            "stops": [each.to_dict() for each in self.stops],
        }


def options(
    draft: Draft, at: dt.datetime, by: str | None, stops: Iterable[Consequence] = ()
) -> tuple[Option, ...]:
    """Return what a hand may do with a deal at an instant, for each stage of the ladder.

    Args:
        draft: the deal as it stands there, its timers fired.
        by: who; ``None`` asks no rule's ``may``.
        stops: what would end besides the timers.
    """
    found = []
    ending = (*stops, *_timers_of(draft))
    last = draft.last_event
    for stage in draft.ladder.stages:
        data = {"into": stage.key, "by": by or ""}
        event = Event(BY_HAND, deal=draft.deal, id="?", at=at, source=OWN_SOURCE, data=data)
        draft.last_event = event
        try:
            option = judged(draft, event, by)
        except GuardError as error:
            refusal = Refusal(_first_rule(draft, stage), Reason.GUARD, str(error))
            option = Option(into=stage, allowed=False, refusals=(refusal,), requires=stage.requires)
        finally:
            draft.last_event = last
        if option.is_possible:
            starts = tuple(_starting(draft, stage, at))
            option = attrs.evolve(option, starts=starts, stops=ending)
        found.append(option)
    return tuple(found)


def judged(draft: Draft, event: Event, by: str | None) -> Option:
    """Return what becomes of a hand's event on a deal that holds already what the hand brings.

    Raises:
        GuardError: a guard, or a rule's ``may``, raised.
    """
    stage = draft.ladder.stage(event.data["into"])
    candidates = draft.rung.by_trigger.get(HAND_PREFIX + stage.key, ())
    barred: set[str] = set()
    for candidate in candidates:
        if not passes(candidate, draft, event):
            continue
        if _lets(candidate, draft, by):
            return Option(into=stage, allowed=True, rule=candidate.key, requires=stage.requires)
        barred.add(candidate.key)
    return Option(
        into=stage,
        allowed=False,
        refusals=tuple(_refusals(draft, event, by, stage, barred)),
        requires=stage.requires,
        missing=tuple(missing(stage.requires, draft.data)),
    )


def _refusals(
    draft: Draft, event: Event, by: str | None, stage: Stage, barred: set[str]
) -> Iterator[Refusal]:
    tried = {c.order: c for c in draft.rung.by_trigger.get(HAND_PREFIX + stage.key, ())}
    for order, rule in enumerate(draft.ladder.rules):
        if not isinstance(rule.trigger, ByHand) or rule.into != stage:
            continue
        key = rule.key or ""
        candidate = tried.get(order)
        barring = key in barred
        reason, detail = Reason.ACTOR, ""
        if not barring:
            reason, detail = why_not(draft, event, rule, candidate, None)
            # Who may not do it all the same need not be asked for what is missing.
            barring = reason is Reason.REQUIRES and not _lets(candidate, draft, by)
        if barring:
            name = getattr(rule.may, "__qualname__", repr(rule.may))
            reason, detail = Reason.ACTOR, f"{by!r} may not ({name})"
        yield Refusal(key, reason, detail)


def _lets(candidate: Candidate | None, draft: Draft, by: str | None) -> bool:
    """Ask the host application whether an actor may move a deal by a rule."""
    if candidate is None or by is None or candidate.rule.may is None:
        return True
    try:
        return bool(candidate.rule.may(by, draft.as_deal()))
    except Exception as error:
        raise GuardError(
            f"may={candidate.rule.may!r} of rule {candidate.key!r} raised {error!r} for deal "
            f"{draft.deal!r} and {by!r}: it must answer for every actor and every deal"
        ) from error


def _first_rule(draft: Draft, stage: Stage) -> str:
    candidates = draft.rung.by_trigger.get(HAND_PREFIX + stage.key, ())
    return candidates[0].key if candidates else ""


def _starting(draft: Draft, stage: Stage, at: dt.datetime) -> Iterator[Consequence]:
    yield from (begins for begins, _ in _sequence(stage, at))
    opened_at = draft.opened_at or at
    for timer in draft.ladder.rungs[stage.key].timers:
        yield Consequence("timer", timer.key, _due(timer, VisitTimes(at, at, opened_at)))


def ending(stage: Stage, entered_at: dt.datetime) -> Iterator[Consequence]:
    """Yield what of a stage's sequence ends with a visit that began at an instant."""
    return (ends for ends, keep in _sequence(stage, entered_at) if not keep)


def _sequence(stage: Stage, at: dt.datetime) -> Iterator[tuple[Consequence, bool]]:
    """Yield each effect of a sequence, and whether it runs to completion."""
    due: dt.datetime | None = at
    for step in stage.sequence:
        if isinstance(step, WaitStep):
            due = None if due is None else _after(due, step.delay)
        elif step.name == TASK:
            title = str(step.payload.get("title", TASK))
            yield Consequence("task", title, due), step.run_to_completion
        else:
            yield Consequence("effect", step.name, due), step.run_to_completion


def _timers_of(draft: Draft) -> Iterator[Consequence]:
    if draft.stage is None or draft.entered_at is None:
        return
    activity_at, opened_at = draft.activity_at, draft.opened_at
    times = VisitTimes(
        draft.entered_at, activity_at or draft.entered_at, opened_at or draft.entered_at
    )
    for timer in draft.rung.timers:
        yield Consequence("timer", timer.key, _due(timer, times))


def _due(timer: Candidate, times: VisitTimes) -> dt.datetime | None:
    try:
        due = timer.rule.trigger.due_at(times)  # type: ignore[union-attr]
        return None if due is None else max(instant(due), times.entered_at)
    except Exception:  # a timer of the user's own, which the move itself will ask again
        return None


def _after(at: dt.datetime, waited: dt.timedelta | CalendarSpan) -> dt.datetime | None:
    try:
        return at + waited
    except OverflowError:
        return None


publish("ladderpipe", Consequence, Option)
