"""What health finds: how a board is, and each finding with its code and what it says.

An *error* is wrong whatever happens next. A *warning* wants a person, or a worker. *Info* is worth
knowing. ``docs/how-to/health.md`` has the same codes, for people.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import attrs

from ..ladder.check import Severity
from ..ladder.plain import did_you_mean
from ..observability.backlog import Backlog
from ..public import publish
from ..stores.base import CROWD, RemarkCount, Structure
from .chain import Chain
from .clock_watch import ClockDifference
from .stale import STALE_AFTER

__all__ = ["LATE", "LATELY", "Health", "HealthFinding", "holidays_text", "without_holidays"]

LATE: Final = dt.timedelta(minutes=5)
"""How long something due may wait before it is a finding; a worker looks every few seconds."""

LATELY: Final = dt.timedelta(days=7)
"""How long events that came to nothing are a finding; after that they are only counted."""

CHAIN_LATE: Final = dt.timedelta(days=1)
"""How long a hash chain that was begun may stand still before it is a finding."""

HOLIDAYS_AHEAD: Final = 60
"""How many days before a year begins its holidays are to be known."""

MOST_TYPES: Final = 10
"""How many types that are not declared a finding names."""

_SEVERITIES: Final = ("error", "warning", "info")


@attrs.frozen
class HealthFinding:
    """Something that a person should know.

    Attributes:
        code: stable; see "See whether all is well" in the documentation.
        severity: ``error``, ``warning`` or ``info``.
        message: what was found, why it matters and what to do. It holds no personal data.
    """

    code: str
    severity: Severity
    message: str

    def __str__(self) -> str:
        return f"{self.severity} {self.code}: {self.message}"


@attrs.frozen(kw_only=True)
class Health:
    """How a pipeline in a store is doing, at one instant.

    Attributes:
        at: the board's time when it was looked at.
        structure: version of the schema, the version expected and the indexes missing; ``None``
            in memory.
        backlog: how long what is due has been waiting, and how many dead letters there are.
        failing_deals: how many deals failed their last sweep; they are tried again.
        waiting_deals: how many deals are known by events that no rule has opened a deal for yet.
        held: by kind, how many events are held, and since when; see ``board.held()``.
        undeclared: by type, how many events are recorded that the pipeline does not declare.
        expected: the event types that the pipeline declares.
        after_closing: how many events would have opened a deal and moved nothing, because theirs is
            closed where they stand: in all (``told``), recorded in the last seven days
            (``lately``), and the ``deal`` of the last; ``None`` if there are none.
        late: the same of events that were told after a baseline of their deal, sort before it and
            changed nothing.
        waiting_effects: how many effects wait for the address of their customer.
        merged_into_nothing: how many deals were merged into one that is not there.
        crowded_keys: how many keys of customers too many deals hold to stand for anybody.
        is_swept_ahead: whether some deal was swept further than now, by a clock that was wrong.
        is_put_off: whether some effect is put off for longer than any backoff, by such a clock.
        clock: this machine's clock against the database's. ``None`` if there is no other clock
            (memory, and SQLite, which runs in this process) or the board's is no ``SystemClock``.
        max_clock_difference: how much of that the board accepts; ``None`` for any.
        unknown_stages: how many deals stand in each stage that the pipeline lacks.
        without_holidays: by name of a calendar that has holidays, the first year that has none:
            this one, or the next from 60 days before it begins.
        chain: how far the hash chain over the events goes; ``None`` where there is none.
        faults: what the database finds wrong with itself; ``None`` if it was not asked.
        is_migrating: whether a migration was begun and not finished.
        is_changed: whether the store holds another definition than the one looked with.
    """

    pipeline: str
    at: dt.datetime
    structure: Structure | None
    backlog: Backlog
    failing_deals: int
    waiting_deals: int
    held: Mapping[str, tuple[int, dt.datetime]]
    undeclared: Mapping[str, int]
    expected: Collection[str]
    after_closing: RemarkCount | None
    late: RemarkCount | None
    waiting_effects: int
    merged_into_nothing: int
    crowded_keys: int
    is_swept_ahead: bool
    is_put_off: bool
    clock: ClockDifference | None
    max_clock_difference: dt.timedelta | None
    unknown_stages: Mapping[str, int]
    without_holidays: Mapping[str, int]
    chain: Chain | None
    faults: tuple[str, ...] | None
    is_migrating: bool
    is_changed: bool

    @property
    def clock_difference(self) -> dt.timedelta | None:
        """This machine's time less the database's; see ``clock``."""
        return None if self.clock is None else self.clock.ahead

    @property
    def findings(self) -> tuple[HealthFinding, ...]:
        """What a person should look at, the worst first."""
        return _findings(self)

    @property
    def ok(self) -> bool:
        """Whether there is no error and no warning."""
        return all(finding.severity == "info" for finding in self.findings)


def _findings(health: Health) -> tuple[HealthFinding, ...]:
    """Return what a person should look at, the worst first."""
    found = [
        HealthFinding(code, severity, message.format(seen))
        for code, severity, look, message in _TABLE
        if (seen := look(health))
    ]
    return tuple(sorted(found, key=lambda finding: _SEVERITIES.index(finding.severity)))


def _schema(health: Health) -> Any:
    schema = health.structure
    return schema and schema.version != schema.expected_version and schema


def _missing_indexes(health: Health) -> Mapping[str, str] | None:
    missing = health.structure and health.structure.missing_indexes
    return missing and {"names": ", ".join(missing), "made": "; ".join(missing.values())}


def _clock(health: Health) -> Mapping[str, object] | None:
    clock, bound = health.clock, health.max_clock_difference
    if clock is None or bound is None or not clock.exceeds(bound):
        return None
    return {"clock": clock, "bound": bound}


def _timer(health: Health) -> str | None:
    lag = health.backlog.timer_lag
    return _length(lag) if lag > LATE else None


def _effect(health: Health) -> Mapping[str, str | None] | None:
    name, lag = health.backlog.oldest_effect, health.backlog.effect_lag
    if lag <= LATE:
        return None
    held_back = (
        f". Many that are older than {STALE_AFTER.days} days are held back until "
        "Board(stale_effects=...) says what becomes of them"
    )
    return {"name": name, "lag": _length(lag), "stale": held_back if lag > STALE_AFTER else ""}


_HELD_BECAUSE: Final = {
    "aside": "whose guard or reducer raises, or that take back what is not there",
    "conflict": "under a name that another event has, that were taken back, or that would open a "
    "removed deal",
    "failed": "whose hook raises",
    "future": "that are still to come",
}


def _held(health: Health) -> Mapping[str, str] | None:
    held = {kind: found for kind, found in sorted(health.held.items()) if kind != "copy"}
    if not held:
        return None
    kinds = ", ".join(f"{count:,} {_HELD_BECAUSE[kind]}" for kind, (count, _) in held.items())
    since = health.at - min(since for _, since in held.values())
    return {"kinds": kinds, "since": _length(since)}


def _lately(count: RemarkCount | None) -> RemarkCount | None:
    return count if count is not None and count.lately else None


def _undeclared(health: Health, *, meant: bool) -> str | None:
    """Return in words what was not declared, if some was, or else none was, probably *meant*."""
    if health.is_migrating or not health.undeclared:
        return None
    most = sorted(health.undeclared.items(), key=lambda counted: (-counted[1], counted[0]))
    others = {kind: did_you_mean(kind, health.expected) for kind, _ in most}
    if any(others.values()) != meant:
        return None
    told = [f"{count:,} × {kind!r}{others[kind]}" for kind, count in most[:MOST_TYPES]]
    more = f" and {len(most) - MOST_TYPES:,} more types" if len(most) > MOST_TYPES else ""
    return ", ".join(told) + more


def without_holidays(
    calendars: Mapping[str, Collection[dt.date]], at: dt.datetime
) -> dict[str, int]:
    """Return, by name of a calendar, the first year whose holidays it should have and has not.

    Args:
        calendars: by name, the holidays of each. One that has none at all needs none.
    """
    today = at.date()
    years = [today.year]
    if (dt.date(today.year, 12, 31) - today).days < HOLIDAYS_AHEAD:
        years.append(today.year + 1)
    found = {}
    for name, holidays in sorted(calendars.items()):
        known = {day.year for day in holidays}
        missing = [year for year in years if known and year not in known]
        if missing:
            found[name] = missing[0]
    return found


def holidays_text(missing: Mapping[str, int]) -> str:
    """Say what is missing, what that does and what to do; nothing where nothing is missing."""
    named = ", ".join(f"{name!r} has no holidays in {year}" for name, year in missing.items())
    return named and (
        f"calendar {named}: the holidays of that year count as working days. Add them to the "
        "calendar (public_holidays(..., years=...)); where rules count on it they are part of the "
        "ladder, so adopt that with board.migrate() on a board that was opened with adopting=True"
    )


def _chain(health: Health) -> str | None:
    if health.chain is None:
        return None
    complete_to = health.chain.complete_to
    if complete_to is None:
        return "has not been through all deals yet"
    behind = health.at - complete_to
    return f"is {_length(behind)} behind" if behind > CHAIN_LATE else None


def _unknown_stages(health: Health) -> str | None:
    if health.is_migrating:
        return None
    return ", ".join(f"{count:,} in {stage!r}" for stage, count in health.unknown_stages.items())


_UNDECLARED: Final = (
    "events of types that the pipeline does not declare: {}. They are recorded, and no rule minds "
    "them unless it names them: mend the sender, or name the types in Pipeline(events=[...])"
)

_TABLE: Final[tuple[tuple[str, Severity, Callable[[Health], Any], str], ...]] = (
    (
        "H001",
        "error",
        _schema,
        "the schema has version {0.version} and this ladderpipe works with {0.expected_version}: "
        "another process upgraded it, so upgrade this one too; opening a board upgrades an older "
        "schema",
    ),
    (
        "H002",
        "error",
        _missing_indexes,
        "missing or unfinished indexes: {0[names]}; without them whole tables are read, or what "
        "must be unique is not. Make them again (drop an unfinished one first): {0[made]}",
    ),
    (
        "H003",
        "error",
        lambda health: "; ".join(health.faults or ()),
        "the database is damaged ({}): stop writing, keep a copy, restore a backup, send again "
        "what came since, and run ladderpipe verify",
    ),
    (
        "H009",
        "error",
        _clock,
        "this machine's clock is {0[clock]} the database's, more than {0[bound]}: boards here "
        "refuse to sweep and to deliver. Synchronise the clocks (chrony, ntpd, timedatectl)",
    ),
    (
        "H004",
        "warning",
        _timer,
        "the oldest timer has been due for {}: see that a worker runs (ladderpipe worker, or "
        "board.run) and keeps up",
    ),
    (
        "H005",
        "warning",
        _effect,
        "effect {0[name]!r} has been ready for {0[lag]}: see that a worker runs which has a "
        "handler for {0[name]!r}, and add workers if they do not keep up{0[stale]}",
    ),
    (
        "H006",
        "warning",
        lambda health: health.backlog.dead_letters,
        "dead letters, given up after the last try: {:,}. board.dead_letters() says why; "
        "board.send_again(...) tries again",
    ),
    (
        "H007",
        "warning",
        lambda health: health.failing_deals,
        "deals whose last sweep failed: {:,}. They are tried again and stand still meanwhile; "
        "board.tick() reports the errors of hooks and guards",
    ),
    (
        "H008",
        "info",
        lambda health: health.waiting_deals,
        "deals whose events wait for an opening: {:,}; board.explain(id) says why no rule has "
        "opened one",
    ),
    (
        "H023",
        "warning",
        lambda health: holidays_text(health.without_holidays),
        "{}",
    ),
    (
        "H024",
        "warning",
        _chain,
        "the hash chain {}: nothing shows tampering with what was recorded since. See that a "
        "worker runs, or call board.extend_chain() until there is no more to do",
    ),
    (
        "H015",
        "info",
        lambda health: health.waiting_effects,
        "effects for customers whose address is not known yet: {:,}. They go out when an event "
        "tells it; board.effects(states=[EffectState.WAITING]) lists them",
    ),
    (
        "H017",
        "warning",
        lambda health: health.merged_into_nothing,
        "deals were merged into deals that are not there: {:,}. See what cart.merged says in "
        "data['into']; an event for the other deal mends it",
    ),
    (
        "H016",
        "warning",
        lambda health: health.crowded_keys,
        f"keys of customers that more than {CROWD} deals hold: {{:,}}. They stand for nobody, and "
        "a send policy minds them no more: leave out, with Pipeline(customer=...), what is no "
        "person's, such as a till's default address",
    ),
    (
        "H014",
        "warning",
        lambda health: health.is_swept_ahead,
        "deals were swept further than now, by a clock that was wrong: their timers fired too "
        "early. The next tick or event takes that back; what was sent meanwhile cannot be "
        "recalled. See that every machine keeps its clock (chrony, ntpd, timedatectl)",
    ),
    (
        "H019",
        "warning",
        lambda health: health.is_put_off,
        "effects are put off for longer than any failure or lease does, by a clock that was "
        "wrong. The next delivery by a right clock takes them up. See that every machine keeps "
        "its clock (chrony, ntpd, timedatectl)",
    ),
    (
        "H013",
        "warning",
        _held,
        "events that arrived and cannot be used: {0[kinds]}, the oldest for {0[since]}. "
        "board.held() lists them with the reason; board.release(...) tries one again, "
        "board.discard(...) puts it aside for good",
    ),
    (
        "H021",
        "warning",
        lambda health: _lately(health.after_closing),
        "events that would have opened a deal were told again after closing, for a deal that is "
        f"won, lost or merged: {{0.lately:,}} in the last {LATELY.days} days, {{0.told:,}} in all, "
        "the last for deal {0.deal!r}. They moved nothing, so that who came back is in no stage: "
        "let the shop give every new cart or order an id of its own, or let a rule open the deal "
        "again; board.explain(id) shows them",
    ),
    (
        "H022",
        "info",
        lambda health: _lately(health.late),
        "events came too late and changed nothing, because the deal had gone on from a baseline "
        f"(migrate, forget): {{0.lately:,}} in the last {LATELY.days} days, {{0.told:,}} in all, "
        "the last for deal {0.deal!r}. board.explain(id) says what answered them; let queues run "
        "empty before a migration",
    ),
    (
        "H011",
        "error",
        lambda health: health.is_migrating,
        "a migration is not finished and every write is refused: resume it with "
        "board.migrate(the same mapping) on a board that was opened with adopting=True",
    ),
    (
        "H012",
        "error",
        lambda health: health.is_changed and not health.is_migrating and health,
        "the store holds another definition of pipeline {0.pipeline!r}, and writes with this one "
        "are refused: start this process with that definition, or adopt this one with "
        "board.migrate() on a board that was opened with adopting=True",
    ),
    ("H020", "warning", lambda health: _undeclared(health, meant=True), _UNDECLARED),
    ("H020", "info", lambda health: _undeclared(health, meant=False), _UNDECLARED),
    (
        "H010",
        "error",
        _unknown_stages,
        "deals in stages that the pipeline lacks: {}; map them with "
        "board.migrate({{'old_stage': new_stage}}) on a board that was opened with adopting=True",
    ),
)
"""Code, severity, what is seen of a board where there is such a finding, and what is said of it."""


def _length(lag: dt.timedelta) -> str:
    """Return a length of time for people: ``7 min``, ``3.5 h``, ``2.0 days``."""
    minutes = lag.total_seconds() / 60
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h" if minutes < 48 * 60 else f"{minutes / 1440:.1f} days"


publish("ladderpipe", Health, HealthFinding)
