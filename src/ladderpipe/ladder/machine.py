"""The ladder as a ``transitions`` machine, and the lookup tables that the fold reads off it.

The machine's event table is the only transition table in the program: rules are expanded into
it in declared order, and everything else (fold, explain, check, diagram) looks moves up there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from transitions import Machine, State
from transitions.core import Transition

from ..errors import DefinitionError
from ..model.event import OVERRIDE, TOLD
from ..model.stage import Stage
from .guards import Facts, Guard, is_filled
from .rules import ByHand, OnEvents, Rule, Timer

if TYPE_CHECKING:
    from ..model.event import Event

__all__ = ["NOT_OPEN", "Candidate", "Rung", "build_machine", "read_rungs", "triggers_of"]

NOT_OPEN: Final = "not_yet_opened"
"""The pseudo-state every deal is in before a rule opens it."""

HAND_PREFIX: Final = "ladder.by_hand:"
TIMER_PREFIX: Final = "ladder.timer:"


class RuleTransition(Transition):
    """A transition that knows which rule it came from."""

    def __init__(self, source: str, dest: str, *args: Any, rule: Rule, **kwargs: Any) -> None:
        super().__init__(source, dest, *args, **kwargs)
        self.rule = rule


class LadderMachine(Machine):
    """A ``transitions`` machine whose triggers take ``(deal, event)``."""

    transition_cls = RuleTransition


class Condition:
    """A rule's guard and its target's requirements, as ``transitions`` calls them."""

    def __init__(self, rule: Rule) -> None:
        self.guard = rule.when
        self.requires = rule.into.requires
        self.__name__ = str(rule)

    def __call__(self, deal: Facts, event: Event | None = None) -> bool:
        """Return whether the rule lets this deal through."""
        if self.guard is not None and not self.guard.holds(deal, event):
            return False
        return not missing(self.requires, deal)


class Candidate:
    """A rule as seen from one rung: what has to hold, and where it leads."""

    __slots__ = ("guard", "into", "key", "order", "requires", "rule", "unconditional")

    def __init__(self, rule: Rule, order: int, into: Rung) -> None:
        self.rule = rule
        self.key: str = rule.key or ""
        self.order = order
        self.guard: Guard | None = rule.when
        self.into = into
        self.requires = rule.into.requires
        self.unconditional = (self.guard is None and not self.requires) or rule.key in (
            OVERRIDE,
            TOLD,
        )


class Rung:
    """What can happen in one stage, or before the opening: the fold's view of the machine."""

    __slots__ = ("by_trigger", "is_closed", "rearms", "stage", "status", "timers")

    def __init__(self, stage: Stage | None) -> None:
        self.stage = stage
        self.status = None if stage is None else stage.status
        self.is_closed = stage is not None and stage.is_closed
        self.by_trigger: dict[str, tuple[Candidate, ...]] = {}
        self.timers: tuple[Candidate, ...] = ()
        self.rearms = False
        """Whether some timer here may count from activity, so that events move its due time."""


FIELDS: Final = frozenset(("owner", "contact", "company", "title", "source", "currency"))


def missing(requires: Iterable[str], deal: Any) -> list[str]:
    """Return which of the required properties (or deal fields) are not filled."""
    return [name for name in requires if not _filled(name, deal)]


def _filled(name: str, deal: Any) -> bool:
    if is_filled(deal.properties.get(name)):
        return True
    if name == "value":
        return bool(deal.value)
    return name in FIELDS and is_filled(getattr(deal, name))


def triggers_of(rule: Rule) -> tuple[str, ...]:
    """Return the names under which *rule* stands in the machine's event table."""
    if isinstance(rule.trigger, OnEvents):
        return rule.trigger.types
    if isinstance(rule.trigger, ByHand):
        return (HAND_PREFIX + rule.into.key,)
    return (f"{TIMER_PREFIX}{rule.key}",)


def build_machine(name: str, stages: Iterable[Stage], rules: Iterable[Rule]) -> LadderMachine:
    """Expand *rules*, in their order, into a machine without models.

    Raises:
        DefinitionError: an event type clashes with a name that ``transitions`` puts on models.
    """
    stages, rules = tuple(stages), tuple(rules)
    keys = [stage.key for stage in stages]
    machine = LadderMachine(
        model=None,
        states=[NOT_OPEN, *keys],
        initial=NOT_OPEN,
        auto_transitions=False,
        ignore_invalid_triggers=True,
        name=name,
    )
    taken = {"state", "trigger", "may_trigger", *(f"is_{key}" for key in (NOT_OPEN, *keys))}
    for rule in rules:
        sources: list[str | Enum | State] = [stage.key for stage in stages if rule.leaves(stage)]
        if rule.opens:
            sources.insert(0, NOT_OPEN)
        condition = Condition(rule) if rule.when is not None or rule.into.requires else None
        for trigger in triggers_of(rule):
            if trigger in taken or trigger.startswith("may_"):
                raise DefinitionError(
                    f"event type {trigger!r} is a name that transitions puts on its models: "
                    f"call it something like 'shop.{trigger}'"
                )
            machine.add_transition(trigger, sources, rule.into.key, condition, rule=rule)
    return machine


def read_rungs(
    machine: LadderMachine, stages: Iterable[Stage], rules: tuple[Rule, ...]
) -> dict[str, Rung]:
    """Read the fold's tables off the machine's event table: a rung per state."""
    order = {id(rule): index for index, rule in enumerate(rules)}
    rungs = {NOT_OPEN: Rung(None), **{stage.key: Rung(stage) for stage in stages}}
    timers: dict[str, list[Candidate]] = {state: [] for state in rungs}
    for trigger, state, transition in _transitions(machine):
        rule = transition.rule
        candidate = Candidate(rule, order[id(rule)], rungs[rule.into.key])
        if isinstance(rule.trigger, OnEvents | ByHand):
            known = rungs[state].by_trigger.get(trigger, ())
            rungs[state].by_trigger[trigger] = (*known, candidate)
        else:
            timers[state].append(candidate)
    for state, rung in rungs.items():
        rung.timers = tuple(sorted(timers[state], key=lambda candidate: candidate.order))
        rung.rearms = any(_counts_from_activity(c.rule.trigger) for c in rung.timers)
    return rungs


def _transitions(machine: LadderMachine) -> Iterator[tuple[str, str, RuleTransition]]:
    for trigger, event in machine.events.items():
        for state, transitions in event.transitions.items():
            for transition in transitions:
                if isinstance(transition, RuleTransition):
                    yield trigger, state, transition


def _counts_from_activity(timer: OnEvents | Timer | ByHand) -> bool:
    return getattr(timer, "since", "activity") == "activity"
