"""Send policies: whether what a person is sent goes out now, later or not at all.

Pure: what has to be looked up for it (who bought, what was sent) is :mod:`ladderpipe.board.ask`'s.
"""

from __future__ import annotations

import datetime as dt
import math
import zoneinfo
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, TypeAlias

import attrs

from ..errors import DefinitionError
from ..model.calendar import Calendar
from ..model.stage import LONGEST
from ..model.wall_clock import checked_zone

__all__ = [
    "AtMost",
    "Bought",
    "InConversation",
    "Policy",
    "StopWhen",
    "Unsubscribed",
    "at_most",
    "bought",
    "in_conversation",
    "unsubscribed",
]

CUSTOMERS_ZONE: Final = "customer"

Quiet: TypeAlias = tuple[dt.time, dt.time] | Calendar
"""From when until when it is quiet each day; or a calendar, outside of whose hours it is."""


@attrs.frozen
class Bought:
    """The customer has bought since this deal's last activity; see :data:`bought`.

    Attributes:
        pipelines: names of those in which a purchase counts; the deal's own when empty.
    """

    pipelines: tuple[str, ...] = ()

    def __call__(self, *pipelines: str) -> Bought:
        """Return the same for purchases in these pipelines.

        Raises:
            DefinitionError: none is named.
        """
        if not pipelines or not all(isinstance(name, str) and name for name in pipelines):
            raise DefinitionError(
                f"bought{pipelines!r} names no pipeline: write bought, or bought('shop', 'repairs')"
            )
        return Bought(pipelines)


@attrs.frozen
class Unsubscribed:
    """Whoever the address belongs to wants nothing more there; see :data:`unsubscribed`."""


@attrs.frozen
class InConversation:
    """Somebody is talking to the customer; see :data:`in_conversation`."""


StopWhen = Bought | Unsubscribed | InConversation

bought: Final = Bought()
"""Stop when a deal of the same customer entered a won stage, and stands in one, at or after the
last event of this deal. A purchase does not stop what it asked for itself, such as a question how
the customer likes it. ``bought("shop", "repairs")`` minds the deals of these pipelines."""

unsubscribed: Final = Unsubscribed()
"""Stop when somebody unsubscribed this address: in any event of any deal, or by
``board.unsubscribe``."""

in_conversation: Final = InConversation()
"""Stop when somebody moved or noted a deal of the customer by hand since the visit began."""


@attrs.frozen
class AtMost:
    """How many may go to one address in any span of that length; see :func:`at_most`."""

    n: int
    span: dt.timedelta

    def __str__(self) -> str:
        return f"at most {self.n} in {_length(self.span)}"

    def next_time(self, sent: Sequence[dt.datetime], at: dt.datetime) -> dt.datetime:
        """Return when one more may go out, *at* or after, given when the former ones did."""
        inside = sorted(when for when in sent if when > at - self.span)
        return at if len(inside) < self.n else inside[-self.n] + self.span


def at_most(n: int, *, hours: float = 0, days: float = 0) -> AtMost:
    """Return a cap: at most *n* to one address in any span of so many hours and days.

    Raises:
        DefinitionError: *n* is less than one, or the span is nothing or longer than a hundred
            years.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise DefinitionError(f"at_most({n!r}, ...): at least one, or ask for no effect at all")
    try:
        span = dt.timedelta(hours=hours, days=days)
    except (OverflowError, ValueError, TypeError) as error:
        raise DefinitionError(f"at_most({n}, hours={hours!r}, days={days!r}): {error}") from None
    if not dt.timedelta() < span <= LONGEST:
        raise DefinitionError(
            f"at_most({n}) in {span}: say in which span, for example at_most({n}, hours=16)"
        )
    return AtMost(n, span)


def _stop_when(given: StopWhen | Iterable[StopWhen]) -> tuple[StopWhen, ...]:
    found = (given,) if isinstance(given, StopWhen) else tuple(given)
    for condition in found:
        if not isinstance(condition, StopWhen):
            raise DefinitionError(
                f"stop_when has {condition!r}: it takes bought, unsubscribed and in_conversation"
            )
    return found


def _caps(given: AtMost | Iterable[AtMost]) -> tuple[AtMost, ...]:
    found = (given,) if isinstance(given, AtMost) else tuple(given)
    for cap in found:
        if not isinstance(cap, AtMost):
            raise DefinitionError(f"caps has {cap!r}: write at_most(1, hours=16)")
    return found


def _quiet(given: Sequence[str | dt.time] | Calendar | None) -> Quiet | None:
    if given is None or isinstance(given, Calendar):
        return given
    try:
        begins, ends = (
            time if isinstance(time, dt.time) else dt.time.fromisoformat(time) for time in given
        )
    except (TypeError, ValueError):
        begins = ends = dt.time()
    if begins == ends or begins.tzinfo or ends.tzinfo:
        raise DefinitionError(
            f'quiet={given!r}: give two times of the day that differ, quiet=("21:00", "08:00")'
        )
    return begins, ends


def _holdout(given: float) -> float:
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if not is_number or math.isnan(given) or not 0 <= given < 1:
        raise DefinitionError(f"holdout={given!r}: the share that gets nothing, 0.10 for a tenth")
    return float(given)


@attrs.frozen(kw_only=True)
class Policy:
    """What is asked about an effect for a customer when it is claimed, in the claim's transaction.

    It is about *marketing* effects; transactional ones pass, and count towards no cap.

    Args:
        stop_when: drop it when one of these holds: :data:`bought`, :data:`unsubscribed`,
            :data:`in_conversation`.
        caps: how many may go to one address, see :func:`at_most`; over all deals and pipelines in
            the store.
        beyond: what becomes of one beyond a cap: ``"delay"`` until there is room again, or
            ``"drop"``. Of several delayed ones of one name to one address the newest goes out.
        quiet: two times of the day; what falls between them is delayed to the second. Or a
            calendar: what falls outside its hours is delayed to its next opening.
        zone: whose clock ``quiet`` is read on: ``"customer"`` (the contact's ``zone``, where that
            is known, otherwise the pipeline's), or a name such as ``"Europe/Rome"``.
        holdout: share of customers that get nothing, to measure what the others are worth. It is
            asked last, when the effect would have gone out; who is held out stays so. The notes of
            :func:`ladderpipe.insight.recovery` tell the lift.
        over: ``"customer"``, or ``"deal"`` to ask about each deal by itself.

    Raises:
        DefinitionError: a part of it is not what it should be.
    """

    stop_when: tuple[StopWhen, ...] = attrs.field(default=(), converter=_stop_when)
    caps: tuple[AtMost, ...] = attrs.field(default=(), converter=_caps)
    beyond: Literal["delay", "drop"] = "delay"
    quiet: Quiet | None = attrs.field(default=None, converter=_quiet)
    zone: str = CUSTOMERS_ZONE
    holdout: float = attrs.field(default=0.0, converter=_holdout)
    over: Literal["customer", "deal"] = "customer"

    def __attrs_post_init__(self) -> None:
        """Check what has to be one of a few words."""
        for name, words in (("beyond", ("delay", "drop")), ("over", ("customer", "deal"))):
            if getattr(self, name) not in words:
                raise DefinitionError(f"{name}={getattr(self, name)!r}: say {' or '.join(words)}")
        if self.zone != CUSTOMERS_ZONE:
            checked_zone(self.zone)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, as it stands in a definition file."""
        written: dict[str, Any] = {}
        if self.stop_when:
            written["stop_when"] = list(map(_write_condition, self.stop_when))
        if self.caps:
            written["caps"] = [{"at_most": cap.n, **_write_span(cap.span)} for cap in self.caps]
        if self.quiet is not None:
            written["quiet"] = (
                self.quiet.name
                if isinstance(self.quiet, Calendar)
                else list(map(_time_text, self.quiet))
            )
        for field in attrs.fields(Policy):
            if field.name in ("beyond", "zone", "holdout", "over"):
                value = getattr(self, field.name)
                if value != field.default:
                    written[field.name] = value
        return written


def _write_condition(condition: StopWhen) -> str | dict[str, list[str]]:
    if isinstance(condition, Bought):
        return {"bought": list(condition.pipelines)} if condition.pipelines else "bought"
    return "unsubscribed" if isinstance(condition, Unsubscribed) else "in_conversation"


def _write_span(span: dt.timedelta) -> dict[str, float]:
    hours = span / dt.timedelta(hours=1)
    if not hours.is_integer():
        return {"hours": hours}
    return {"hours": int(hours)} if int(hours) % 24 else {"days": int(hours) // 24}


def zone_of(policy: Policy, contact: Any, of_pipeline: str) -> zoneinfo.ZoneInfo:
    """Return the time zone on whose clock a policy's quiet hours are read."""
    if policy.zone != CUSTOMERS_ZONE:
        return checked_zone(policy.zone)
    known = contact.get("zone") or contact.get("timezone")
    if isinstance(known, str):
        try:
            return checked_zone(known)
        except DefinitionError:
            pass  # what an event says of it may be anything
    return checked_zone(of_pipeline)


def quiet_until(
    quiet: tuple[dt.time, dt.time], at: dt.datetime, zone: zoneinfo.ZoneInfo
) -> dt.datetime | None:
    """Return when the quiet hours end that *at* falls into; ``None`` if it falls into none."""
    begins, ends = quiet
    local = at.astimezone(zone)
    now = local.time()
    is_quiet = begins <= now < ends if begins < ends else now >= begins or now < ends
    if not is_quiet:
        return None
    # Where the clocks are put back a time comes twice, and the end is the first still to come.
    candidates = (
        dt.datetime.combine(local.date() + dt.timedelta(days), ends, zone).replace(fold=fold)
        for days in (0, 1)
        for fold in (0, 1)
    )
    instants = sorted(candidate.astimezone(dt.UTC) for candidate in candidates)
    return next(instant for instant in instants if instant > at)


def next_time(
    policy: Policy, sent: Sequence[dt.datetime], now: dt.datetime, zone: zoneinfo.ZoneInfo
) -> tuple[dt.datetime, str]:
    """Return when a policy lets one more go out, *now* or later, and what keeps it until then.

    Args:
        sent: when others went to that address.
    """
    at, why = now, ""
    while True:
        for cap in policy.caps:
            allowed = cap.next_time(sent, at)
            if allowed > at:
                at, why = allowed, f"{cap} go to one address"
                break
        else:
            ends, quiet = _quiet_at(policy.quiet, at, zone)
            if ends is None:
                return at, why
            at, why = ends, why or quiet


def _quiet_at(
    quiet: Quiet | None, at: dt.datetime, zone: zoneinfo.ZoneInfo
) -> tuple[dt.datetime | None, str]:
    """Return when what is quiet then ends, ``None`` if it is not, and what to say of it."""
    if quiet is None:
        return None, ""
    if isinstance(quiet, Calendar):
        opens = quiet.opens_at(at)
        return (opens if opens > at else None), f"{quiet} is closed"
    begins, until = map(_time_text, quiet)
    return quiet_until(quiet, at, zone), f"it is quiet from {begins} to {until} in {zone.key}"


def _time_text(time: dt.time) -> str:
    return time.isoformat("auto" if time.second or time.microsecond else "minutes")


def _length(span: dt.timedelta) -> str:
    hours = span / dt.timedelta(hours=1)
    if hours % 24 == 0 and hours > 24:
        return f"{hours / 24:g} days"
    return f"{hours:g} h"
