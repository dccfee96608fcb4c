"""Rules: a trigger, a guard, ``out_of`` and ``into``; built by ``on``, ``after``, ``by_hand``."""

from __future__ import annotations

import datetime as dt
import inspect
from collections.abc import Callable, Iterable
from typing import (
    Any,
    Final,
    Literal,
    NamedTuple,
    Protocol,
    TypeAlias,
    get_args,
    runtime_checkable,
)

import attrs

from ..errors import DefinitionError
from ..model.calendar import Calendar, CalendarSpan, counted
from ..model.canonical import plain_text
from ..model.event import BASELINE, OVERRIDE, RESERVED, TOLD
from ..model.stage import Stage
from ..public import publish
from .guards import Guard, GuardFunction, guard
from .import_path import built_from, import_path

__all__ = [
    "ANY",
    "After",
    "Rule",
    "Since",
    "Timer",
    "VisitTimes",
    "after",
    "by_hand",
    "not_before",
    "on",
]

Since = Literal["entered", "activity", "opened"]


class _Any:
    """Every stage, the closed ones included."""

    def __repr__(self) -> str:
        return "ANY"

    def __reduce__(self) -> str:
        return "ANY"


ANY: Final = _Any()
"""For ``out_of``: every stage, closed ones included."""

_TAKEN: Final = (OVERRIDE, BASELINE, TOLD)
"""What moves of no rule are known by."""

OutOf = Stage | Iterable[Stage] | _Any | None

May: TypeAlias = Callable[[str, Any], bool]
"""Whether an actor may move a deal by a rule for hands: ``may(by, deal)``, a name and a deal."""


class VisitTimes(NamedTuple):
    """What a timer may count from; all in UTC.

    Attributes:
        entered_at: when the deal entered the stage it is in.
        activity_at: the deal's last event in this visit; ``entered_at`` before any.
        opened_at: when the deal was opened.
    """

    entered_at: dt.datetime
    activity_at: dt.datetime
    opened_at: dt.datetime


@runtime_checkable
class Timer(Protocol):
    """A trigger that goes off by itself. Write your own as a frozen ``attrs`` or data class.

    It must be pure: the same times give the same answer, whatever the clock says. Its fields
    are what a definition file holds under ``args``.
    """

    def due_at(self, visit: VisitTimes) -> dt.datetime | None:
        """Return when the timer is due in this visit, or ``None`` for never."""
        ...


@attrs.frozen
class After(Timer):
    """Due a fixed time after the visit began, the last activity in it, or the opening."""

    delay: dt.timedelta
    since: Since = "entered"

    def due_at(self, visit: VisitTimes) -> dt.datetime:
        """Return the start plus the delay."""
        if self.since == "entered":
            return visit.entered_at + self.delay
        return _start(visit, self.since) + self.delay

    def __str__(self) -> str:
        return f"after {_short(self.delay)}" + _SINCE_TEXT[self.since]


@attrs.frozen
class AfterOpen(Timer):
    """Due when so much of the time has passed in which a calendar is open."""

    delay: CalendarSpan
    since: Since = "entered"

    def due_at(self, visit: VisitTimes) -> dt.datetime:
        """Return the start plus the delay: never before the visit, and never while it is closed."""
        return not_before(self, _start(visit, self.since) + self.delay, visit.entered_at)

    def __str__(self) -> str:
        return f"after {self.delay}" + _SINCE_TEXT[self.since]


def not_before(trigger: object, due: dt.datetime, floor: dt.datetime) -> dt.datetime:
    """Return when a timer is due of which nothing is due before *floor*: still while it is open."""
    if due >= floor:
        return due
    if isinstance(trigger, AfterOpen):
        return floor + CalendarSpan(trigger.delay.calendar)
    return floor


def _start(visit: VisitTimes, since: Since) -> dt.datetime:
    if since == "entered":
        return visit.entered_at
    return visit.activity_at if since == "activity" else visit.opened_at


_SINCE_TEXT: Final = {
    "entered": "",
    "activity": " without activity",
    "opened": " since the opening",
}


@attrs.frozen
class OnEvents:
    """Set off by an event of one of these types."""

    types: tuple[str, ...]

    def __str__(self) -> str:
        return "on " + " or ".join(self.types)


@attrs.frozen
class ByHand:
    """Set off by a person who moves the deal."""

    def __str__(self) -> str:
        return "by hand"


@attrs.frozen
class Rule:
    """One rule of a ladder. Build it with ``on``, ``after`` or ``by_hand``.

    Attributes:
        out_of: ``None`` for every stage that is not closed, or ``ANY``, or the stages named.
        key: stable name; the pipeline derives one when none is given.
        opens: whether it may open a deal.
        reenter: whether it may move a deal into the stage it is in.
        may: of a rule for hands, whether an actor may move a deal by it. The host application's
            answer, asked when the hand moves; the fold does not ask, so it changes no history.
    """

    trigger: OnEvents | Timer | ByHand
    into: Stage
    out_of: tuple[Stage, ...] | _Any | None = None
    when: Guard | None = None
    opens: bool = False
    reenter: bool = False
    key: str | None = None
    may: May | None = None

    def leaves(self, stage: Stage) -> bool:
        """Return whether ``out_of`` holds *stage*; the target itself only with ``reenter``."""
        if stage == self.into and not self.reenter:
            return False
        if self.out_of is ANY:
            return True
        if self.out_of is None:
            return not stage.is_closed
        return stage in self.out_of  # type: ignore[operator]

    @property
    def trigger_text(self) -> str:
        """The trigger in words."""
        return trigger_text(self.trigger)

    def __str__(self) -> str:
        guarded = f" when {self.when}" if self.when else ""
        return f"{self.trigger_text} into {self.into}{guarded}"


def on(
    *types: str,
    into: Stage,
    out_of: OutOf = None,
    when: Guard | GuardFunction | None = None,
    opens: bool = False,
    reenter: bool = False,
    key: str | None = None,
) -> Rule:
    """Return a rule that an event of one of *types* sets off.

    Args:
        types: event types such as ``"order.confirmed"``.
        into: the stage to move into.
        out_of: stages it may leave; left out, every stage that is not closed; or ``ANY``.
        when: a guard, or a pure function of (deal, event).
        opens: whether it may open a deal.
        reenter: whether it may move a deal into the stage it is in, as a new visit.
        key: stable name; derived from trigger and target when left out.

    Raises:
        DefinitionError: no type is named, or one is not usable.
    """
    if not types:
        raise DefinitionError(f"on(into={into!r}) names no event type: write on('order.paid', ...)")
    for name in types:
        if not isinstance(name, str) or not name:
            raise DefinitionError(f"on({name!r}, ...): an event type is text such as 'order.paid'")
        if name.startswith(RESERVED):
            raise DefinitionError(
                f"on({name!r}, ...): types beginning with {RESERVED!r} belong to the library; "
                "use by_hand(...) for moves by hand"
            )
    if len(set(types)) < len(types):
        raise DefinitionError(f"on{types!r} names an event type twice: leave one out")
    return _rule(OnEvents(tuple(map(plain_text, types))), into, out_of, when, opens, reenter, key)


def after(
    timer: Timer | dt.timedelta | None = None,
    *,
    into: Stage,
    weeks: float = 0,
    days: float = 0,
    hours: float = 0,
    minutes: float = 0,
    seconds: float = 0,
    since: Since = "entered",
    calendar: Calendar | None = None,
    zone: str | None = None,
    out_of: OutOf = None,
    when: Guard | GuardFunction | None = None,
    reenter: bool = False,
    key: str | None = None,
) -> Rule:
    """Return a rule that time sets off: a delay, or a timer of your own.

    Args:
        timer: an object with ``due_at(visit)``, or a ``timedelta``, instead of the units.
        calendar: count the time in which this is open: ``days`` are business days, ``hours``
            business hours. The rule is due while it is open, the moment of closing included.
        zone: count ``days`` and ``weeks`` on the clocks of this zone: 9 o'clock stays 9 o'clock
            when the clocks are changed.
        since: count from entering the stage (default), from the deal's last ``"activity"`` in
            this visit, or from when it was ``"opened"``. Never due before the stage was entered.

    The other arguments are those of :func:`on`.

    Raises:
        DefinitionError: the delay is negative, or not given, or given twice.
    """
    units = {
        "weeks": weeks,
        "days": days,
        "hours": hours,
        "minutes": minutes,
        "seconds": seconds,
    }
    if since not in get_args(Since):
        raise DefinitionError(f"after(since={since!r}): choose from {', '.join(get_args(Since))}")
    if calendar is not None or zone is not None:
        return _rule(
            AfterOpen(counted(f"after(into={into!r})", timer, calendar, zone, **units), since),
            into,
            out_of,
            when,
            False,
            reenter,
            key,
        )
    delay = dt.timedelta(**units)
    if isinstance(timer, dt.timedelta):
        delay, timer = delay + timer, None
    elif timer is None and not any(units.values()):
        raise DefinitionError(f"after(into={into!r}) has no delay: write after(hours=48, ...)")
    if timer is None:
        if delay < dt.timedelta():
            raise DefinitionError(
                f"after(into={into!r}): the delay {delay} is negative; give zero or more"
            )
        timer = After(delay, since)
    else:
        _check_timer(timer, any(units.values()) or since != "entered")
    return _rule(timer, into, out_of, when, False, reenter, key)


def by_hand(
    *,
    into: Stage,
    out_of: OutOf = None,
    when: Guard | GuardFunction | None = None,
    opens: bool = False,
    reenter: bool = False,
    key: str | None = None,
    may: May | None = None,
) -> Rule:
    """Return a rule that lets a person move a deal with ``board.move``.

    Args:
        may: ``may(by, deal)`` says whether this actor may; left out, everybody may. It is asked
            when the hand moves the deal, about the deal as it stands there, and never again: what
            somebody may today changes no history.

    The other arguments are those of :func:`on`.

    Raises:
        DefinitionError: *may* cannot be called, or is asynchronous.
    """
    if may is not None and (not callable(may) or inspect.iscoroutinefunction(may)):
        raise DefinitionError(
            f"by_hand(into={into!r}, may={may!r}): give a plain function of (by, deal) that "
            "returns whether this actor may"
        )
    rule = _rule(ByHand(), into, out_of, when, opens, reenter, key)
    return rule if may is None else attrs.evolve(rule, may=may)


def trigger_text(trigger: OnEvents | Timer | ByHand) -> str:
    """Return a trigger in words."""
    if type(trigger).__str__ is object.__str__:
        return f"after {type(trigger).__name__}"
    return str(trigger)


def trigger_path(timer: Timer) -> str:
    """Return the import path of a user's own timer class."""
    return import_path(type(timer), "timer")


def timer_arguments(timer: Timer) -> dict[str, Any]:
    """Return what a user's own timer was built from.

    Raises:
        DefinitionError: it is neither an attrs nor a data class, so nobody can tell.
    """
    arguments = built_from(timer)
    if arguments is None:
        raise DefinitionError(
            f"timer {type(timer).__name__} must be an attrs or data class, so that the store can "
            "tell whether the ladder changed: decorate it with @attrs.frozen or "
            "@dataclass(frozen=True)"
        )
    return arguments


def _check_timer(timer: Timer, also_units: bool) -> None:
    if isinstance(timer, int | float):
        raise DefinitionError(
            f"after({timer!r}) does not say of which unit: write after(hours={timer!r})"
        )
    if isinstance(timer, type) or not callable(getattr(timer, "due_at", None)):
        raise DefinitionError(
            f"after({timer!r}): a timer is an object with a method due_at(visit), or a timedelta"
        )
    if inspect.iscoroutinefunction(timer.due_at):
        raise DefinitionError(f"timer {type(timer).__name__}: due_at must not be asynchronous")
    if also_units:
        raise DefinitionError("after(timer, ...) takes its delay from the timer: drop the units")
    timer_arguments(timer)


def _rule(
    trigger: OnEvents | Timer | ByHand,
    into: Stage,
    out_of: OutOf,
    when: Guard | GuardFunction | None,
    opens: bool,
    reenter: bool,
    key: str | None,
) -> Rule:
    text = trigger_text(trigger)
    if not isinstance(into, Stage):
        raise DefinitionError(f"rule '{text}': {_no_stage('into', into)}")
    if key is not None and (not isinstance(key, str) or not key or key in _TAKEN):
        raise DefinitionError(f"rule '{text} into {into}': key={key!r} is not usable as a name")
    return Rule(
        trigger,
        into,
        _stages(text, into, out_of),
        None if when is None else guard(when),
        opens,
        reenter,
        None if key is None else plain_text(key),
    )


def _no_stage(where: str, given: object) -> str:
    what = f"the Stage whose key is {given!r}" if isinstance(given, str) else "a Stage"
    return f"{where} is {given!r}, and a Stage is wanted: write {where}=<{what}>"


def _stages(text: str, into: Stage, out_of: OutOf) -> tuple[Stage, ...] | _Any | None:
    if out_of is None or isinstance(out_of, _Any):
        return out_of
    stages = (out_of,) if isinstance(out_of, str) else tuple(out_of)
    for stage in stages:
        if not isinstance(stage, Stage):
            raise DefinitionError(f"rule '{text} into {into}': {_no_stage('out_of', stage)}")
    if not stages:
        raise DefinitionError(
            f"rule '{text} into {into}': out_of is empty, so it could never move anything; "
            "leave it out for every open stage, or name stages, or say ANY"
        )
    return stages


def _short(delay: dt.timedelta) -> str:
    seconds = delay.total_seconds()
    if seconds >= 72 * 3600 and seconds % 86400 == 0:
        return f"{seconds / 86400:.15g} days"
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds and seconds % size == 0:
            return f"{seconds / size:.15g} {unit}"
    return f"{seconds:.15g} s"


publish("ladderpipe", Rule, Timer, VisitTimes, after, by_hand, on)
