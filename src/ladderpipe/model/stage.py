"""Stages, and the steps of the sequences they start."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, get_args

import attrs

from ..errors import DefinitionError, InvalidEventError
from ..public import publish
from .calendar import Calendar, CalendarSpan, counted, span
from .canonical import canonical, plain_text
from .event import MAX_NAME
from .record import plain_validator

__all__ = ["DoStep", "Purpose", "Stage", "Status", "WaitStep", "do", "wait"]

Status = Literal["open", "won", "lost", "abandoned", "merged"]
CLOSED: Final[tuple[Status, ...]] = ("won", "lost", "merged")
Purpose = Literal["marketing", "transactional"]
"""What an effect for a person is for: what a send policy rules on, or what the person waits for."""

TASK: Final = "task"
"""The built-in effect that a person delivers: it lands in ``board.tasks()``."""

LONGEST: Final = dt.timedelta(days=36_525)
"""No wait is longer, so that what is due stays within the calendar."""
NOTHING: Final = dt.timedelta()

_KEY = re.compile(r"[^\W\d]\w*(?:-\w+)*", re.ASCII)


@attrs.frozen
class DoStep:
    """One effect of a sequence: its name, its payload and how it is to be delivered.

    Attributes:
        calendar: of a task, whose hours its ``due_hours`` are.
    """

    name: str
    payload: Mapping[str, Any]
    expires: dt.timedelta | None = None
    run_to_completion: bool = False
    purpose: Purpose = "marketing"
    calendar: Calendar | None = None

    def payload_from(self, due_at: dt.datetime) -> Mapping[str, Any]:
        """Return the payload as it is written for one that is due then.

        Hours on a calendar become the hours that they are from then on, so that who lists tasks
        needs no calendar.
        """
        if self.calendar is None:
            return self.payload
        done_by = self.calendar.after(due_at, hours=self.payload["due_hours"])
        return {**self.payload, "due_hours": (done_by - due_at) / dt.timedelta(hours=1)}


@attrs.frozen
class WaitStep:
    """A pause between two effects of a sequence."""

    delay: dt.timedelta | CalendarSpan


def do(
    name: str,
    /,
    *,
    expires: dt.timedelta | None = None,
    run_to_completion: bool = False,
    purpose: Purpose = "marketing",
    calendar: Calendar | None = None,
    **payload: Any,
) -> DoStep:
    """Return a sequence step that asks for an effect.

    Args:
        name: which handler delivers it, for example ``"email"``; ``"task"`` lands in
            ``board.tasks()``.
        expires: drop the effect, on record, when it is this late.
        run_to_completion: deliver it even when the deal has left the stage.
        purpose: of one that is for the deal's customer: ``"transactional"`` is what the customer
            waits for (the thank-you for an order), and a send policy lets it pass.
        calendar: of a task, whose business hours its ``due_hours`` are.
        **payload: whatever the handler needs; JSON values. ``to="customer"`` is the address that
            the deal's contact has when it is sent.

    Raises:
        DefinitionError: the name is empty, the expiry is not positive, the purpose is none or the
            payload is not JSON.
    """
    try:
        return asked_for(name, payload, expires, run_to_completion, purpose, calendar)
    except InvalidEventError as error:
        raise DefinitionError(str(error)) from None


def asked_for(
    name: Any,
    payload: Mapping[str, Any],
    expires: Any,
    run_to_completion: Any,
    purpose: Any = "marketing",
    calendar: Any = None,
) -> DoStep:
    """Check what a sequence or a hook asks for, so that nothing is stored that cannot be read.

    Raises:
        InvalidEventError: a part of it is not what it should be.
    """
    if not name or not isinstance(name, str):
        raise InvalidEventError(f"an effect needs a name such as 'email', not {name!r}")
    if expires is not None and checked_span(expires, f"effect {name!r}: expires") <= NOTHING:
        raise InvalidEventError(f"effect {name!r}: expires={expires} must be longer than nothing")
    if not isinstance(run_to_completion, bool):
        raise InvalidEventError(
            f"effect {name!r}: run_to_completion={run_to_completion!r}: say True or False"
        )
    if purpose not in get_args(Purpose):
        raise InvalidEventError(
            f"effect {name!r}: purpose={purpose!r} is none: say {' or '.join(get_args(Purpose))}"
        )
    try:
        checked = canonical(payload)
    except InvalidEventError as error:
        raise InvalidEventError(f"effect {name!r}: {error}") from None
    if name == TASK:
        _check_task(checked)
    if calendar is not None:
        _check_calendar(name, checked, calendar)
    return DoStep(plain_text(name), checked, expires, run_to_completion, purpose, calendar)


def checked_span(span: Any, what: str) -> dt.timedelta:
    """Return a length of time that leads to an instant in the calendar, from any that is likely.

    Raises:
        InvalidEventError: it is no timedelta, or longer than a hundred years.
    """
    if not isinstance(span, dt.timedelta):
        raise InvalidEventError(f"{what}={span!r}: give a timedelta, timedelta(hours=48)")
    if abs(span) > LONGEST:
        raise InvalidEventError(f"{what}={span} is longer than a hundred years")
    return dt.timedelta(span.days, span.seconds, span.microseconds)


def _check_task(payload: Mapping[str, Any]) -> None:
    for part in ("owner", "title"):
        if not isinstance(payload.get(part), str | None):
            raise InvalidEventError(f"a task's {part} is {payload[part]!r}: it must be text")
    hours = payload.get("due_hours")
    if hours is None:
        return
    if isinstance(hours, bool) or not isinstance(hours, int | float):
        raise InvalidEventError(f"a task's due_hours is {hours!r}: give a number of hours")
    if abs(hours) > LONGEST / dt.timedelta(hours=1):
        raise InvalidEventError(f"a task's due_hours={hours} is longer than a hundred years")


def _check_calendar(name: str, payload: Mapping[str, Any], calendar: Any) -> None:
    if not isinstance(calendar, Calendar):
        raise InvalidEventError(
            f"effect {name!r}: calendar={calendar!r} is no Calendar; what is meant for the handler "
            "needs another name"
        )
    if name != TASK or "due_hours" not in payload:
        raise InvalidEventError(
            f"effect {name!r}: a calendar is for a task's due_hours: write do('task', due_hours=4, "
            "calendar=...), or let it wait on the calendar"
        )
    try:
        span("a task's due_hours", calendar, hours=payload["due_hours"])
    except DefinitionError as error:
        raise InvalidEventError(str(error)) from None


def wait(
    delay: dt.timedelta | None = None,
    *,
    weeks: float = 0,
    days: float = 0,
    hours: float = 0,
    minutes: float = 0,
    seconds: float = 0,
    calendar: Calendar | None = None,
    zone: str | None = None,
) -> WaitStep:
    """Return a sequence step that waits before the next one.

    Args:
        calendar: count the time in which this is open, as :func:`~ladderpipe.after` does.
        zone: count ``days`` and ``weeks`` on the clocks of this zone.

    Raises:
        DefinitionError: the delay is zero or negative, or no calendar can count it.
    """
    if calendar is not None or zone is not None:
        units = {"weeks": weeks, "days": days, "hours": hours}
        return WaitStep(
            counted("wait()", delay, calendar, zone, **units, minutes=minutes, seconds=seconds)
        )
    total = (delay or dt.timedelta()) + dt.timedelta(
        weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds
    )
    if total <= NOTHING:
        raise DefinitionError(f"wait({total}) does not wait: give a delay longer than nothing")
    if total > LONGEST:
        raise DefinitionError(f"wait({total}) waits longer than a hundred years")
    return WaitStep(total)


class Stage(str):
    """A rung of the ladder. It *is* its key: ``stage == "lost"`` holds, as for an enumeration.

    Args:
        key: the stable name in the database and in events: letters, digits, ``_`` and ``-``.
        title: what people see; one text, or a mapping from language code to text.
        status: ``open``, ``won``, ``lost``, ``abandoned`` or ``merged`` (into another deal). Won,
            lost and merged are closed.
        probability: of winning from here, 0 to 1; defaults to 1 for won, 0 for lost and merged.
        requires: properties (or deal fields such as ``owner``) that must be filled to enter.
        sequence: effects and waits that start on moving in and are cancelled on moving out.
        rots_after: how long a deal may be in it before people are shown that it rots. Nothing
            else comes of it: a timer is what moves a deal. ``office.span(days=5)`` counts the time
            in which a calendar is open.

    Raises:
        DefinitionError: any of these is not what it should be.
    """

    __slots__ = (
        "hooked_by",
        "is_closed",
        "key",
        "probability",
        "requires",
        "rots_after",
        "sequence",
        "status",
        "titles",
    )

    key: str
    """The key as a plain string."""
    titles: Mapping[str, str]
    status: Status
    is_closed: bool
    """Whether nothing is to be decided here any more: won, lost or merged."""
    probability: float | None
    requires: tuple[str, ...]
    sequence: tuple[DoStep | WaitStep, ...]
    rots_after: dt.timedelta | CalendarSpan | None
    hooked_by: str | None
    """The pipeline whose hooks run at this very object: whoever takes it elsewhere loses them."""

    def __new__(
        cls,
        key: str,
        *,
        title: str | Mapping[str, str] | None = None,
        status: Status = "open",
        probability: float | None = None,
        requires: Iterable[str] = (),
        sequence: Iterable[DoStep | WaitStep] = (),
        rots_after: dt.timedelta | CalendarSpan | None = None,
    ) -> Stage:
        """Check and build; a stage never changes afterwards."""
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise DefinitionError(
                f"stage key {key!r} is refused: use letters, digits, '_' and '-', "
                "beginning with a letter, for example 'quote_requested'"
            )
        if len(key) > MAX_NAME:
            raise DefinitionError(
                f"stage key {key[:20]!r}… has {len(key)} characters, more than the {MAX_NAME} a "
                "key may have"
            )
        key = plain_text(key)
        stage = super().__new__(cls, key)
        assign = object.__setattr__
        assign(stage, "key", key)
        assign(stage, "titles", _titles(key, title))
        assign(stage, "status", _status(key, status))
        assign(stage, "is_closed", stage.status in CLOSED)
        assign(stage, "probability", _probability(key, status, probability))
        assign(stage, "requires", _names(key, requires))
        assign(stage, "sequence", _steps(key, sequence))
        assign(stage, "rots_after", _span(key, rots_after))
        assign(stage, "hooked_by", None)
        return stage

    @property
    def title(self) -> str:  # type: ignore[override]
        """The title in the first language given; the key when there is none."""
        return next(iter(self.titles.values()), self.key)

    def title_in(self, language: str) -> str:
        """Return the title in *language* (``"it"``), or the first one given."""
        return self.titles.get(language, self.title)

    def note_hook(self, pipeline: str) -> None:
        """Note that a pipeline has a hook here; it is no part of what the stage is."""
        object.__setattr__(self, "hooked_by", pipeline)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a stage never changes: make a new Stage to set {name!r}")

    def __str__(self) -> str:
        return str.__str__(self)

    def __repr__(self) -> str:
        return f"Stage({self.key!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> dict[str, Any]:
        # In JSON a stage is its key. Its pattern says what _KEY does, in the words that every
        # validator knows.
        pattern = r"^[A-Za-z_][A-Za-z0-9_]*(-[A-Za-z0-9_]+)*$"
        shown = {"pydantic_js_extra": {"examples": ["cart_saved"]}}
        shape = {"type": "str", "pattern": pattern, "max_length": MAX_NAME, "metadata": shown}
        read = plain_validator(lambda key: stage_called(key, ()), shape)
        return {**read, "serialization": {"type": "function-plain", "function": str.__str__}}

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (self.key, attrs_of(self)))


def attrs_of(stage: Stage) -> dict[str, Any]:
    """Return the keyword arguments that build *stage* again."""
    return {
        "title": dict(stage.titles),
        "status": stage.status,
        "probability": stage.probability,
        "requires": stage.requires,
        "sequence": stage.sequence,
        "rots_after": stage.rots_after,
    }


def stage_called(key: str, stages: Iterable[Stage], **known: Any) -> Stage:
    """Return the stage of that key, or one that is no more than its key and what is *known*.

    Raises:
        DefinitionError: the key cannot be one.
    """
    return next((stage for stage in stages if stage.key == key), None) or Stage(key, **known)


def _rebuild(key: str, arguments: dict[str, Any]) -> Stage:
    return Stage(key, **arguments)


def _titles(key: str, title: str | Mapping[str, str] | None) -> dict[str, str]:
    titles = {"": title} if isinstance(title, str) else dict(title or {})
    for language, text in titles.items():
        if not isinstance(language, str) or not isinstance(text, str) or not text.strip():
            raise DefinitionError(f"stage {key!r}: title {text!r} must be text that can be read")
    return titles


def _status(key: str, status: str) -> str:
    if status not in get_args(Status):
        raise DefinitionError(
            f"stage {key!r}: status {status!r} is not one of {', '.join(get_args(Status))}"
        )
    return status


def _probability(key: str, status: str, probability: float | None) -> float | None:
    if probability is None:
        return {"won": 1.0, "lost": 0.0, "merged": 0.0}.get(status)
    if isinstance(probability, bool) or not 0 <= probability <= 1:
        raise DefinitionError(
            f"stage {key!r}: probability {probability!r} must lie between 0 and 1 (0.25 is 25 %)"
        )
    return float(probability)


def _names(key: str, requires: Iterable[str]) -> tuple[str, ...]:
    if isinstance(requires, str):
        raise DefinitionError(f"stage {key!r}: write requires=[{requires!r}], a list of names")
    names = tuple(requires)
    if not all(isinstance(name, str) and name for name in names):
        raise DefinitionError(f"stage {key!r}: requires={names!r} must list property names")
    return tuple(map(plain_text, names))


def _span(
    key: str, given: dt.timedelta | CalendarSpan | None
) -> dt.timedelta | CalendarSpan | None:
    if given is None or (isinstance(given, CalendarSpan) and given):
        return given
    try:
        checked = checked_span(given, f"stage {key!r}: rots_after")
    except InvalidEventError as error:
        raise DefinitionError(str(error)) from None
    if checked <= NOTHING:
        raise DefinitionError(f"stage {key!r}: rots_after={given} must be longer than nothing")
    return checked


def _steps(key: str, sequence: Iterable[DoStep | WaitStep]) -> tuple[DoStep | WaitStep, ...]:
    steps = tuple(sequence)
    for step in steps:
        if not isinstance(step, DoStep | WaitStep):
            raise DefinitionError(
                f"stage {key!r}: {step!r} is no sequence step; use do('email', ...) or wait(...)"
            )
    if steps and isinstance(steps[-1], WaitStep):
        raise DefinitionError(f"stage {key!r}: the sequence ends with a wait that nothing follows")
    return steps


publish("ladderpipe", DoStep, Stage, WaitStep, do, wait)
