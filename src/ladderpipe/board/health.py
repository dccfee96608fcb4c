"""Health: what of a board a person should look at, read from the store without writing.

| code | severity | what is found |
|---|---|---|
| H001 | error | the schema has another version than this library expects |
| H002 | error | indexes are missing |
| H003 | error | the database itself is damaged |
| H004 | warning | timers have been due for long: no worker sweeps, or too slowly |
| H005 | warning | effects have been ready for long: no worker has their handler, or too slow ones |
| H006 | warning | dead letters |
| H007 | warning | deals whose sweep fails |
| H008 | info | deals whose events wait for an opening |
| H009 | error | this machine's clock is too far from the database's |
| H010 | error | deals in stages that the pipeline lacks |
| H011 | error | a migration that is not finished |
| H012 | error | the store holds another definition of the pipeline |
| H014 | warning | deals were swept further than now, by a wrong clock |
| H013 | warning | events are held: they arrived and cannot be used |
| H019 | warning | effects are put off for longer than any backoff, by a wrong clock |
| H020 | warning, info | events of types that the pipeline does not declare |
| H015 | info | effects for customers whose address is not known yet |
| H017 | warning | deals were merged into deals that are not there |
| H016 | warning | keys of customers that too many deals hold, so that they stand for nobody |

An *error* is wrong whatever happens next. A *warning* wants a person, or a worker. *Info* is worth
knowing. A board is all right when there is nothing worse than info.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Final

import attrs

from ..ladder.check import Severity
from ..ladder.plain import did_you_mean
from ..model.clock import Clock, SystemClock, instant
from ..model.event import EDITED
from ..observability.backlog import Backlog
from ..pipeline import Pipeline
from ..public import publish
from ..stores.base import CROWD, PipelineRow, Store, Structure, Transaction
from .clock_watch import DEFAULT_BOUND, ClockDifference, clock_difference, latest_retry
from .stale import STALE_AFTER

if TYPE_CHECKING:
    from .session import Session

__all__ = ["Health", "HealthFinding", "examine", "examine_store"]

LATE: Final = dt.timedelta(minutes=5)
"""How long something due may wait before it is a finding; a worker looks every few seconds."""

MOST_TYPES: Final = 10
"""How many types that are not declared a finding names."""

_SEVERITIES: Final = ("error", "warning", "info")


@attrs.frozen
class HealthFinding:
    """Something that a person should know.

    Attributes:
        code: stable; see the table in :mod:`ladderpipe.board.health`.
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
        waiting_effects: how many effects wait for the address of their customer.
        merged_into_nothing: how many deals were merged into one that is not there.
        crowded_keys: how many keys of customers too many deals hold to stand for anybody.
        is_swept_ahead: whether some deal was swept further than now, by a clock that was wrong.
        is_put_off: whether some effect is put off for longer than any backoff, by such a clock.
        clock: this machine's clock against the database's. ``None`` if there is no other clock
            (memory, and SQLite, which runs in this process) or the board's is no ``SystemClock``.
        max_clock_difference: how much of that the board accepts; ``None`` for any.
        unknown_stages: how many deals stand in each stage that the pipeline lacks.
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
    waiting_effects: int
    merged_into_nothing: int
    crowded_keys: int
    is_swept_ahead: bool
    is_put_off: bool
    clock: ClockDifference | None
    max_clock_difference: dt.timedelta | None
    unknown_stages: Mapping[str, int]
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
        found = [*_of_the_database(self), *_of_the_work(self), *_of_the_ladder(self)]
        return tuple(sorted(found, key=lambda finding: _SEVERITIES.index(finding.severity)))

    @property
    def ok(self) -> bool:
        """Whether there is no error and no warning."""
        return all(finding.severity == "info" for finding in self.findings)


def examine(
    transaction: Transaction,
    row: PipelineRow,
    clock: Clock,
    pipeline: Pipeline | None = None,
    *,
    max_clock_difference: dt.timedelta | None = DEFAULT_BOUND,
    thorough: bool = False,
    latest: dt.datetime | None = None,
) -> Health:
    """Look at one pipeline in a store, with a definition or with the one that the store keeps.

    Args:
        latest: how far a board puts off what failed; left out, one with no settings of its own.
        thorough: let the database look for damage, which reads all of a SQLite file.
    """
    now = instant(clock.now())
    failing, waiting = transaction.troubled_deals(row.id)
    stages = _stages_kept(row) if pipeline is None else pipeline.ladder.rungs.keys()
    unknown = transaction.stage_counts(row.id, besides=stages)
    expected = _events_kept(row) if pipeline is None else pipeline.events
    counts = transaction.count_undeclared(row.id)
    return Health(
        pipeline=row.name,
        at=now,
        structure=transaction.structure(),
        backlog=Backlog.of(transaction, row.id, now),
        failing_deals=failing,
        waiting_deals=waiting,
        held=transaction.count_held(row.id),
        # What was declared since then is all right now.
        undeclared={
            kind: n for kind, n in sorted(counts.items()) if kind not in expected and kind != EDITED
        },
        expected=expected,
        waiting_effects=transaction.count_waiting(row.id),
        merged_into_nothing=transaction.count_merged_into_nothing(row.id),
        crowded_keys=transaction.count_crowds(row.id),
        is_swept_ahead=bool(transaction.swept_ahead(row.id, now, 1)),
        is_put_off=bool(transaction.put_off_effects(row.id, latest or latest_retry(now), 1)),
        clock=clock_difference(clock, transaction),
        max_clock_difference=max_clock_difference,
        unknown_stages=dict(sorted(unknown.items())),
        faults=tuple(transaction.faults()) if thorough else None,
        is_migrating=row.migrating is not None,
        is_changed=pipeline is not None and pipeline.fingerprint != row.fingerprint,
    )


def of_session(session: Session, thorough: bool) -> Health:
    """Look at a board's pipeline with the board's definition and clock."""
    with session.reading() as transaction:
        row = transaction.pipeline(session.pipeline.name)
        assert row is not None  # the board noted it when it was opened
        return examine(
            transaction,
            row,
            session.clock,
            session.pipeline,
            max_clock_difference=session.clock_watch.bound,
            thorough=thorough,
            latest=session.latest_retry(session.now()),
        )


def examine_store(
    store: Store, name: str | None = None, pipeline: Pipeline | None = None
) -> list[Health]:
    """Look at every pipeline in a store, or at one, thoroughly; no definition is needed.

    Args:
        pipeline: the definition to compare with; only the pipeline of that name is looked at.
    """
    name = name if pipeline is None else pipeline.name
    with store.transaction(write=False) as transaction:
        return [
            examine(transaction, row, SystemClock(), pipeline, thorough=True)
            for row in transaction.pipelines()
            if name is None or row.name == name
        ]


def _stages_kept(row: PipelineRow) -> Collection[str]:
    return {stage["key"] for stage in json.loads(row.definition)["fold"]["stages"]}


def _events_kept(row: PipelineRow) -> Collection[str]:
    return tuple(json.loads(row.definition).get("events", ()))


def _of_the_database(health: Health) -> Iterator[HealthFinding]:
    schema = health.structure
    if schema is not None and schema.version != schema.expected_version:
        yield HealthFinding(
            "H001",
            "error",
            f"the schema has version {schema.version} and this ladderpipe works with "
            f"{schema.expected_version}: another process upgraded it, so upgrade this one too; "
            "opening a board upgrades an older schema",
        )
    if schema is not None and schema.missing_indexes:
        yield HealthFinding(
            "H002",
            "error",
            f"missing or unfinished indexes: {', '.join(schema.missing_indexes)}; without them "
            "whole tables are read, or what must be unique is not. Make them again (drop an "
            f"unfinished one first): {'; '.join(schema.missing_indexes.values())}",
        )
    for fault in health.faults or ():
        yield HealthFinding(
            "H003",
            "error",
            f"the database is damaged ({fault}): stop writing, keep a copy, restore a backup, "
            "send again what came since, and run ladderpipe verify",
        )
    clock, bound = health.clock, health.max_clock_difference
    if clock is not None and bound is not None and clock.exceeds(bound):
        yield HealthFinding(
            "H009",
            "error",
            f"this machine's clock is {clock} the database's, more than {bound}: boards here "
            "refuse to sweep and to deliver. Synchronise the clocks (chrony, ntpd, timedatectl)",
        )


def _of_the_work(health: Health) -> Iterator[HealthFinding]:
    backlog = health.backlog
    if backlog.timer_lag > LATE:
        yield HealthFinding(
            "H004",
            "warning",
            f"the oldest timer has been due for {_length(backlog.timer_lag)}: see that a worker "
            "runs (ladderpipe worker, or board.run) and keeps up",
        )
    if backlog.effect_lag > LATE:
        yield HealthFinding(
            "H005",
            "warning",
            f"effect {backlog.oldest_effect!r} has been ready for {_length(backlog.effect_lag)}: "
            f"see that a worker runs which has a handler for {backlog.oldest_effect!r}, and add "
            f"workers if they do not keep up{_of_stale_effects(backlog.effect_lag)}",
        )
    if backlog.dead_letters:
        yield HealthFinding(
            "H006",
            "warning",
            f"dead letters, given up after the last try: {backlog.dead_letters:,}. "
            "board.dead_letters() says why; board.send_again(...) tries again",
        )
    if health.failing_deals:
        yield HealthFinding(
            "H007",
            "warning",
            f"deals whose last sweep failed: {health.failing_deals:,}. They are tried again and "
            "stand still meanwhile; board.tick() reports the errors of hooks and guards",
        )
    if health.waiting_deals:
        yield HealthFinding(
            "H008",
            "info",
            f"deals whose events wait for an opening: {health.waiting_deals:,}; board.explain(id) "
            "says why no rule has opened one",
        )
    if health.waiting_effects:
        yield HealthFinding(
            "H015",
            "info",
            f"effects for customers whose address is not known yet: {health.waiting_effects:,}. "
            "They go out when an event tells it; board.effects(states=[EffectState.WAITING]) "
            "lists them",
        )
    if health.merged_into_nothing:
        yield HealthFinding(
            "H017",
            "warning",
            f"deals were merged into deals that are not there: {health.merged_into_nothing:,}. "
            "See what cart.merged says in data['into']; an event for the other deal mends it",
        )
    if health.crowded_keys:
        yield HealthFinding(
            "H016",
            "warning",
            f"keys of customers that more than {CROWD} deals hold: {health.crowded_keys:,}. They "
            "stand for nobody, and a send policy minds them no more: leave out, with "
            "Pipeline(customer=...), what is no person's, such as a till's default address",
        )
    if health.is_swept_ahead:
        yield HealthFinding(
            "H014",
            "warning",
            "deals were swept further than now, by a clock that was wrong: their timers fired too "
            "early. The next tick or event takes that back; what was sent meanwhile cannot be "
            "recalled. See that every machine keeps its clock (chrony, ntpd, timedatectl)",
        )
    if health.is_put_off:
        yield HealthFinding(
            "H019",
            "warning",
            "effects are put off for longer than any failure or lease does, by a clock that was "
            "wrong. The next delivery by a right clock takes them up. See that every machine "
            "keeps its clock (chrony, ntpd, timedatectl)",
        )
    held = {kind: found for kind, found in sorted(health.held.items()) if kind != "copy"}
    if held:
        kinds = ", ".join(f"{count:,} {_HELD_BECAUSE[kind]}" for kind, (count, _) in held.items())
        since = health.at - min(since for _, since in held.values())
        yield HealthFinding(
            "H013",
            "warning",
            f"events that arrived and cannot be used: {kinds}, the oldest for {_length(since)}. "
            "board.held() lists them with the reason; board.release(...) tries one again, "
            "board.discard(...) puts it aside for good",
        )


_HELD_BECAUSE: Final = {
    "aside": "whose guard or reducer raises, or that take back what is not there",
    "conflict": "under a name that another event has, that were taken back, or that would open a "
    "removed deal",
    "failed": "whose hook raises",
    "future": "that are still to come",
}


def _of_stale_effects(lag: dt.timedelta) -> str:
    if lag <= STALE_AFTER:
        return ""
    return (
        f". Many that are older than {STALE_AFTER.days} days are held back until "
        "Board(stale_effects=...) says what becomes of them"
    )


def _of_undeclared_events(health: Health) -> HealthFinding:
    """Warn of types that were probably meant to be others; mention the rest."""
    most = sorted(health.undeclared.items(), key=lambda counted: (-counted[1], counted[0]))
    meant = {kind: did_you_mean(kind, health.expected) for kind, _ in most}
    told = [f"{count:,} × {kind!r}{meant[kind]}" for kind, count in most[:MOST_TYPES]]
    more = f" and {len(most) - MOST_TYPES:,} more types" if len(most) > MOST_TYPES else ""
    return HealthFinding(
        "H020",
        "warning" if any(meant.values()) else "info",
        f"events of types that the pipeline does not declare: {', '.join(told)}{more}. They are "
        "recorded, and no rule minds them unless it names them: mend the sender, or name the "
        "types in Pipeline(events=[...])",
    )


def _of_the_ladder(health: Health) -> Iterator[HealthFinding]:
    if health.is_migrating:
        yield HealthFinding(
            "H011",
            "error",
            "a migration is not finished and every write is refused: open a board with "
            "adopting=True and call board.migrate with the same mapping to resume it",
        )
        return
    if health.is_changed:
        yield HealthFinding(
            "H012",
            "error",
            f"the store holds another definition of pipeline {health.pipeline!r}, and writes with "
            "this one are refused: start this process with that definition, or adopt this one "
            "with board.migrate({...})",
        )
    if health.undeclared:
        yield _of_undeclared_events(health)
    if health.unknown_stages:
        stranded = ", ".join(f"{count:,} in {s!r}" for s, count in health.unknown_stages.items())
        yield HealthFinding(
            "H010",
            "error",
            f"deals in stages that the pipeline lacks: {stranded}; open a board with "
            "adopting=True and map them with board.migrate({'old_stage': new_stage})",
        )


def _length(lag: dt.timedelta) -> str:
    """Return a length of time for people: ``7 min``, ``3.5 h``, ``2.0 days``."""
    minutes = lag.total_seconds() / 60
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h" if minutes < 48 * 60 else f"{minutes / 1440:.1f} days"


publish("ladderpipe", Health, HealthFinding)
