"""Checking a ladder for what cannot be meant, before a deal is on it.

| code | severity | what is found |
|---|---|---|
| L001 | error | a stage that no deal can reach |
| L002 | error | a trap: a stage that is not closed and that no rule leads out of |
| L003 | error | a rule that can never win: its guard cannot hold, or others always go first |
| L004 | error, warning | timers that chase each other for ever |
| L005 | warning, info | two rules that compete: both can match, and their order decides |
| L006 | warning | no path leads to a won stage |
| L007 | info | no path leads to a lost stage |
| L008 | warning | a rule with ``out_of=ANY`` that leaves a closed stage it does not name |
| L009 | warning | stages taken from another pipeline, whose hooks this one has not |
| L010 | warning | a rule for an event that the pipeline does not declare |

An *error* is what nobody can want: something that can never have an effect, or deals that can
never leave. A *warning* works as written and is probably not what was meant. That holds for a
ladder without a path to won, too: an onboarding pipeline may have nothing to win. *Info* is worth
knowing. Where a finding depends on a function, into which nobody looks, it is one step milder;
so is L004 for one timer with ``reenter``, which may be a reminder that comes back.

Not found, because it is how ladders are written: a rule followed by a more general one (if, else
if, else); ``ANY`` into a won stage (a late payment wins) and by hand (a person has decided).
Moves past the rules (``board.override``) do not count as a path.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, Literal

import attrs

from ..model.stage import Stage
from ..public import publish
from .implication import can_hold, condition_of, is_opaque
from .ladder import Ladder
from .machine import NOT_OPEN, Candidate
from .reachability import Ways, condition_at, into, sooner
from .rules import ANY, After, AfterOpen, ByHand, OnEvents

__all__ = ["Finding", "Severity", "check"]

Severity = Literal["error", "warning", "info"]

_SEVERITIES: Final = ("error", "warning", "info")
_MOST_PATHS: Final = 1_000
"""How many chains of timers are followed from one stage; only absurd ladders have more."""


@attrs.frozen
class Finding:
    """Something about a ladder that is wrong or doubtful.

    Attributes:
        code: stable; see the table in :mod:`ladderpipe.ladder.check`.
        severity: ``error``, ``warning`` or ``info``.
        message: what was found, why it matters and what to do.
        stage: key of the stage concerned, if it is one.
        rule: key of the rule concerned, if it is one.
    """

    code: str
    severity: Severity
    message: str
    stage: str | None = None
    rule: str | None = None

    def __str__(self) -> str:
        return f"{self.severity} {self.code}: {self.message}"


def check(
    ladder: Ladder, hooks: Collection[tuple[Literal["into", "out_of"], str]] = ()
) -> list[Finding]:
    """Return what is wrong or doubtful about the ladder, worst first.

    The list is the same in every run, and empty for a ladder that is all right.

    Args:
        hooks: the directions and stages that have hooks.
    """
    ways = Ways(ladder)
    found = [
        *_unreachable(ways),
        *_traps(ways),
        *_rules_that_never_win(ways),
        *_chases(ways),
        *_competitions(ways),
        *_without_an_end(ways, "won"),
        *_without_an_end(ways, "lost"),
        *_closed_stages_left(ways),
        *_undeclared(ladder),
        *_hookless(ladder, {stage for _, stage in hooks}),
    ]
    return sorted(found, key=lambda finding: _SEVERITIES.index(finding.severity))


def _named(names: Iterable[object]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _unreachable(ways: Ways) -> Iterator[Finding]:
    for stage in ways.ladder.stages:
        if stage not in ways.reachable:
            yield Finding(
                "L001",
                "error",
                f"no deal can reach stage '{stage}': no rule that can win leads into it from the "
                f"opening; add one, for example by_hand(into={stage}), or remove the stage",
                stage=stage.key,
            )


def _is_trap(ways: Ways, stage: Stage) -> bool:
    return not stage.is_closed and all(into(way) == stage for way in ways.open_to[stage.key])


def _traps(ways: Ways) -> Iterator[Finding]:
    for stage in ways.stages():
        if _is_trap(ways, stage):
            yield Finding(
                "L002",
                "error",
                f"a deal in stage '{stage}' can never leave it: the stage is {stage.status}, and "
                "no rule leads out; add one, or make the stage won or lost",
                stage=stage.key,
            )


def _rules_that_never_win(ways: Ways) -> Iterator[Finding]:
    winning = set().union(*ways.orders_open_to.values())
    for order, rule in enumerate(ways.ladder.rules):
        if order in winning:
            continue
        tried = [
            (state, candidate)
            for state, rung in ways.ladder.rungs.items()
            for candidate in (*_all(rung.by_trigger.values()), *rung.timers)
            if candidate.order == order
        ]
        if not tried:
            why = (
                "it leads only out of the stage it leads into; say reenter=True if a new visit "
                "is meant, or name other stages in out_of"
            )
        elif not can_hold([condition_of(rule)]):
            why = f"its guard contradicts itself ({rule.when}); mend the guard, or remove the rule"
        else:
            why = f"{_who_wins(ways, tried)}; put it earlier, or remove it"
        yield Finding("L003", "error", f"rule '{rule.key}' can never win: {why}", rule=rule.key)


def _who_wins(ways: Ways, tried: list[tuple[str, Candidate]]) -> str:
    winners: dict[str, None] = {}
    for state, candidate in tried:
        rung = ways.ladder.rungs[state]
        rivals = [
            *sooner(candidate, rung.timers),
            *(
                rival
                for candidates in rung.by_trigger.values()
                if any(c.order == candidate.order for c in candidates)
                for rival in candidates
                if rival.order < candidate.order
            ),
        ]
        alone = [rival for rival in rivals if not ways.can_win(candidate, [rival])]
        winners.update((rival.key, None) for rival in (alone[:1] or rivals))
    many = len(winners) > 1
    return f"{_named(winners)} {'match' if many else 'matches'} first whenever it does"


def _all(groups: Iterable[tuple[Candidate, ...]]) -> Iterator[Candidate]:
    for group in groups:
        yield from group


def _chases(ways: Ways) -> Iterator[Finding]:
    position = {stage.key: index for index, stage in enumerate(ways.ladder.stages)}
    timers = {state: _live_timers(ways, state) for state in ways.ladder.rungs}
    for stage in ways.stages():
        cycle = _shortest_chase(ways, stage.key, position, timers)
        if cycle is None:
            continue
        path = " → ".join((stage.key, *(into(timer).key for timer in cycle)))
        again = len(cycle) == 1
        unsure = any(
            type(timer.rule.trigger) not in (After, AfterOpen) or is_opaque(condition_at(timer))
            for timer in cycle
        )
        yield Finding(
            "L004",
            "warning" if again or unsure else "error",
            f"timers move a deal for ever while nothing happens: {path} (rules "
            f"{_named(timer.key for timer in cycle)}); give one a guard that ends it, or let it "
            "lead somewhere else",
            stage=stage.key,
            rule=cycle[0].key,
        )


def _live_timers(ways: Ways, state: str) -> list[Candidate]:
    orders = {timer.order for timer in ways.ladder.rungs[state].timers}
    return [candidate for candidate in ways.open_to[state] if candidate.order in orders]


def _shortest_chase(
    ways: Ways, start: str, position: dict[str, int], timers: dict[str, list[Candidate]]
) -> tuple[Candidate, ...] | None:
    """Return the shortest way of timers from a stage back to it, over stages above it."""
    paths: deque[tuple[Candidate, ...]] = deque([()])
    for _ in range(_MOST_PATHS):
        if not paths:
            return None
        path = paths.popleft()
        here = into(path[-1]).key if path else start
        passed = {into(timer).key for timer in path}
        for timer in timers[here]:
            there = into(timer).key
            if there in passed or position[there] < position[start]:
                continue
            longer = (*path, timer)
            if not ways.can_hold(longer):
                continue
            if there == start:
                return longer
            paths.append(longer)
    return None


def _competitions(ways: Ways) -> Iterator[Finding]:
    found: dict[tuple[int, int], list[str]] = {}
    rules = ways.ladder.rules
    for state, rung in ways.states():
        live = ways.orders_open_to[state]
        for group in (*rung.by_trigger.values(), *_timers_at_once(rung.timers)):
            for one, other in _competing(ways, group, live):
                found.setdefault((one.order, other.order), []).append(state)
    opaque_rules = [is_opaque(condition_of(rule)) for rule in rules]
    for (earlier, later), states in sorted(found.items()):
        first, second = rules[earlier], rules[later]
        opaque = opaque_rules[earlier] or opaque_rules[later]
        shown = _named("not yet opened" if state == NOT_OPEN else state for state in states)
        yield Finding(
            "L005",
            "info" if opaque else "warning",
            f"rules '{first.key}' and '{second.key}' {'may' if opaque else 'can'} both match (in "
            f"{shown}), and the first wins because it stands first; if that is meant, add "
            "& ~(its guard) to the second and it says so",
            rule=second.key,
        )


def _timers_at_once(timers: Iterable[Candidate]) -> list[list[Candidate]]:
    groups: list[list[Candidate]] = []
    for timer in timers:
        for group in groups:
            if group[0].rule.trigger == timer.rule.trigger:
                group.append(timer)
                break
        else:
            groups.append([timer])
    return groups


def _competing(
    ways: Ways, group: Sequence[Candidate], live: Collection[int]
) -> Iterator[tuple[Candidate, Candidate]]:
    """Yield those of a group that can win, two by two, where the order of the two decides."""
    for index, one in enumerate(group):
        if one.order not in live:
            continue
        before = group[:index]
        nothing_known = ways.are_too_many([*before, one])
        for other in group[index + 1 :]:
            if other.order not in live or into(one) == into(other):
                continue
            if nothing_known or _compete(ways, one, other, before):
                yield one, other


def _compete(ways: Ways, first: Candidate, second: Candidate, before: Sequence[Candidate]) -> bool:
    """Return whether both can match and the first is no special case of the second."""
    return ways.can_hold([first, second], before) and ways.can_hold([first], [second, *before])


def _without_an_end(ways: Ways, end: Literal["won", "lost"]) -> Iterator[Finding]:
    code: str = {"won": "L006", "lost": "L007"}[end]
    severity: Severity = "warning" if end == "won" else "info"
    ends = {stage.key for stage in ways.stages() if stage.status == end}
    if not ends:
        yield Finding(
            code,
            severity,
            f"no deal can ever be {end}: no stage with status '{end}' can be reached; add one and "
            "a rule that leads there, or use the reports without that column",
        )
        return
    not_cut_off = ways.to_any_of(ends)
    for stage in ways.stages():
        if stage.status != "open" or _is_trap(ways, stage):
            continue
        if stage.key not in not_cut_off:
            yield Finding(
                code,
                severity,
                f"from stage '{stage}' no path leads to {_named(sorted(ends))}, so a deal in it "
                f"can no longer be {end}; add a rule that leads out of it, or close the stage",
                stage=stage.key,
            )


def _closed_stages_left(ways: Ways) -> Iterator[Finding]:
    for order, rule in enumerate(ways.ladder.rules):
        if rule.out_of is not ANY or isinstance(rule.trigger, ByHand) or rule.into.status == "won":
            continue
        left = [
            stage.key
            for stage in ways.stages()
            if stage.is_closed and order in ways.orders_open_to[stage.key] and stage != rule.into
        ]
        if left:
            yield Finding(
                "L008",
                "warning",
                f"rule '{rule.key}' takes deals out of {_named(left)}, which are closed, because "
                "it says out_of=ANY; name the stages it may leave, those too if that is meant",
                rule=rule.key,
            )


def _undeclared(ladder: Ladder) -> Iterator[Finding]:
    for rule in ladder.rules:
        for kind in rule.trigger.types if isinstance(rule.trigger, OnEvents) else ():
            said = ladder.undeclared(kind)
            if said is not None:
                yield Finding(
                    "L010",
                    "warning",
                    f"rule '{rule.key}' waits for what nobody is expected to tell: {said}; mend "
                    "the rule, or name the event in events=[...]",
                    rule=rule.key,
                )


def _hookless(ladder: Ladder, hooked: Collection[str]) -> Iterator[Finding]:
    taken = [s for s in ladder.stages if s.hooked_by is not None and s.key not in hooked]
    if taken:
        names = ", ".join(f"'{stage}'" for stage in taken)
        yield Finding(
            "L009",
            "warning",
            f"stages {names} are those of pipeline {taken[0].hooked_by!r}, and its hooks (mails, "
            "tasks) stayed behind there: build on it with pipeline.extended(rules=[...]), which "
            "keeps them, or register hooks of your own",
            stage=taken[0].key,
        )


publish("ladderpipe", Finding)
