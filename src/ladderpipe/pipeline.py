"""The pipeline: a ladder of stages with its rules, hooks and sequences; checked, then frozen."""

from __future__ import annotations

import datetime as dt
import functools
import inspect
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import attrs

from .errors import DefinitionError
from .fold import fold as folding
from .fold.draft import Draft
from .fold.reducer import Reducer, cart_reducer
from .ladder.machine import NOT_OPEN, Candidate, LadderMachine, Rung, build_machine, read_rungs
from .ladder.rules import ANY, ByHand, OnEvents, Rule
from .model.clock import instant
from .model.event import Event
from .model.history import History
from .model.move import Move
from .model.stage import Stage
from .model.visit import Visit

if TYPE_CHECKING:
    from .board.hooks import HookContext
    from .fold.explain import Explanation
    from .ladder.check import Finding

__all__ = ["Pipeline"]

Hook = Callable[["HookContext"], Awaitable[None] | None]
HookFunction = TypeVar("HookFunction", bound=Callable[["HookContext"], Awaitable[None] | None])

CART_TYPES = frozenset(("cart.updated", "cart.item_added", "cart.item_removed", "cart.emptied"))


class Pipeline:
    """A ladder: ordered stages, ordered rules, and what happens on moving in and out.

    Args:
        name: stable name; it is part of every key in a store.
        stages: from the bottom of the ladder to the top.
        rules: tried in this order; the first that matches moves the deal.
        title: what people see; a text, or a mapping from language code to text.
        reducer: what events do to a deal's data.

    Raises:
        DefinitionError: the definition cannot work as written.
    """

    def __init__(
        self,
        name: str,
        *,
        stages: Iterable[Stage],
        rules: Iterable[Rule],
        title: str | Mapping[str, str] | None = None,
        reducer: Reducer = cart_reducer,
    ) -> None:
        if not isinstance(name, str) or not name.strip():
            raise DefinitionError(f"a pipeline needs a name, not {name!r}")
        self.name = name
        titles = {"": title} if isinstance(title, str) else title
        self.titles: Mapping[str, str] = dict(titles or {})
        self.reducer = reducer
        self.stages: tuple[Stage, ...] = _checked_stages(name, stages)
        self._by_key = {stage.key: stage for stage in self.stages}
        self.rules: tuple[Rule, ...] = self._checked_rules(rules)
        self.machine: LadderMachine = build_machine(name, self.stages, self.rules)
        self.rungs: dict[str, Rung] = read_rungs(self.machine, self.stages, self.rules)
        self.reduces_without_data = CART_TYPES if reducer is cart_reducer else None
        self._rung_of_type = self._rungs_of_types()
        self._hooks: dict[tuple[str, str], list[Hook]] = {}
        self._has_sequences = any(stage.sequence for stage in self.stages)
        self._bound = False

    @property
    def title(self) -> str:
        """The title in the first language given; the name when there is none."""
        return next(iter(self.titles.values()), self.name)

    def stage(self, key: str) -> Stage:
        """Return the stage with this key.

        Raises:
            DefinitionError: there is none.
        """
        try:
            return self._by_key[key]
        except KeyError:
            raise DefinitionError(
                f"pipeline {self.name!r} has no stage {key!r}; it has {', '.join(self._by_key)}"
            ) from None

    # -- folding ------------------------------------------------------------------------------

    def fold(
        self, events: Iterable[Event], until: dt.datetime | str | None = None
    ) -> History | None:
        """Return the history that one deal's events make, ``None`` while none opens it.

        Args:
            events: one deal's, in any order, duplicates allowed.
            until: leave out later events, and fire timers due up to and at it. Without it the
                history ends with the last event.

        Raises:
            GuardError: a guard raised.
            InvalidEventError: the reducer cannot understand an event.
            EventConflictError: one identity, two contents.
        """
        draft, moves, start = self.run(events, until)
        return None if draft is None or draft.stage is None else History(draft, moves, start)

    def replay(
        self, events: Iterable[Event], until: dt.datetime | str | None = None
    ) -> Iterator[History]:
        """Yield the history of every deal that the events open, in order of first appearance.

        All events are held in memory; the command line's ``replay`` streams into a store.
        """
        by_deal: dict[str, list[Event]] = {}
        for event in events:
            by_deal.setdefault(event.deal, []).append(event)
        for deal_events in by_deal.values():
            history = self.fold(deal_events, until)
            if history is not None:
                yield history

    def explain(
        self, events: Iterable[Event], until: dt.datetime | str | None = None
    ) -> Explanation:
        """Say of every event and timer what it did, and why each other rule did not."""
        from .fold.explain import explain

        return explain(self, events, until)

    def run(
        self,
        events: Iterable[Event],
        until: dt.datetime | str | None = None,
        observer: folding.Observer | None = None,
    ) -> tuple[Draft | None, list[Move], Visit | None]:
        """Fold one deal's events; return draft, moves, and the visit a baseline began in.

        The board and ``explain`` use this; :meth:`fold` is what you want.
        """
        if until is not None:
            until = instant(until)
            events = [event for event in events if event.at <= until]
        ordered = folding.in_order(self, events)
        if not ordered:
            return None, [], None
        draft, first = folding.begin(self, ordered[0].deal, ordered)
        start = _carried_visit(draft)
        moves: list[Move] = []
        folding.step(draft, ordered[first:] if first else ordered, moves, observer)
        if until is not None:
            folding.advance(draft, until, moves, observer)
        return draft, moves, start

    # -- looking at it ------------------------------------------------------------------------

    def check(self) -> list[Finding]:
        """Return what is wrong or doubtful about the ladder, worst first."""
        from .ladder.check import check

        return check(self)

    def diagram(self, format: Literal["mermaid", "dot"] = "mermaid") -> str:
        """Return the ladder as Mermaid or Graphviz DOT text.

        Raises:
            DefinitionError: *format* is neither.
        """
        from .ladder.diagram import diagram

        return diagram(self, format)

    def to_dict(self) -> dict[str, Any]:
        """Return the definition as plain data that JSON, YAML and TOML can hold.

        Raises:
            DefinitionError: a guard or hook is a function without an import path.
        """
        from .ladder.definition import to_dict

        return to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], allow: Iterable[str] = ()) -> Pipeline:
        """Build the pipeline that :meth:`to_dict` wrote.

        Args:
            allow: modules whose functions the definition may name.

        Raises:
            DefinitionError: the definition is malformed or names what is not allowed.
        """
        from .ladder.definition import from_dict

        return from_dict(data, allow)

    @functools.cached_property
    def fingerprint(self) -> str:
        """What matters to the fold (stages, rules, guards, reducer), as a short hash."""
        from .ladder.fingerprint import fingerprint

        return fingerprint(self)

    # -- hooks --------------------------------------------------------------------------------

    def move_into(self, stage: Stage) -> Callable[[HookFunction], HookFunction]:
        """Register the decorated function to run, in the transaction, when a deal moves in.

        Raises:
            DefinitionError: the stage is not this pipeline's, or a board is bound already.
        """
        return self._hook("into", stage)

    def move_out_of(self, stage: Stage) -> Callable[[HookFunction], HookFunction]:
        """Register the decorated function to run, in the transaction, when a deal moves out.

        Raises:
            DefinitionError: the stage is not this pipeline's, or a board is bound already.
        """
        return self._hook("out_of", stage)

    def hooks(self, direction: Literal["into", "out_of"], stage: str) -> list[Hook]:
        """Return the hooks of a stage, in the order they were registered."""
        return self._hooks.get((direction, stage), [])

    @property
    def has_hooks(self) -> bool:
        """Whether any hook is registered."""
        return bool(self._hooks)

    @property
    def asks_for_effects(self) -> bool:
        """Whether a move may ask for effects: by a hook, or by the sequence of its stage."""
        return self._has_sequences or bool(self._hooks)

    def bind(self, asynchronous: bool = False) -> None:
        """Note that a board is bound: from now on no hook is accepted.

        Raises:
            DefinitionError: a hook is asynchronous, and the board is not.
        """
        for hook in itertools.chain.from_iterable(self._hooks.values()):
            if inspect.iscoroutinefunction(hook) and not asynchronous:
                raise DefinitionError(
                    f"hook {hook.__qualname__} is asynchronous, and a Board awaits nothing: open "
                    "an AsyncBoard, or make it a plain function that asks for an effect with "
                    "ctx.do(...)"
                )
        self._bound = True

    def _hook(
        self, direction: Literal["into", "out_of"], stage: Stage
    ) -> Callable[[HookFunction], HookFunction]:
        self._check_own(stage, f"move_{direction}({stage!r})")
        if self._bound:
            raise DefinitionError(
                f"move_{direction}({stage!r}): a board is bound to {self.name!r} already; "
                "register every hook before Board.open, so that none misses a move"
            )

        def register(function: HookFunction) -> HookFunction:
            self._hooks.setdefault((direction, stage.key), []).append(function)
            return function

        return register

    # -- what the fold asks -------------------------------------------------------------------

    def rung_of(self, event_type: str) -> int:
        """Return the position of the lowest stage that rules for this type lead into, or −1."""
        return self._rung_of_type.get(event_type, -1)

    @functools.cached_property
    def _overrides(self) -> dict[str, Candidate]:
        from .model.event import OVERRIDE

        return {
            stage.key: Candidate(
                Rule(ByHand(), stage, ANY, reenter=True, key=OVERRIDE), -1, self.rungs[stage.key]
            )
            for stage in self.stages
        }

    def override_candidate(self, into: str) -> Candidate | None:
        """Return the way past the rules into a stage; ``None`` if the stage is gone."""
        return self._overrides.get(into)

    def _rungs_of_types(self) -> dict[str, int]:
        position = {stage.key: index for index, stage in enumerate(self.stages)}
        lowest: dict[str, int] = {}
        for rule in self.rules:
            if isinstance(rule.trigger, OnEvents):
                for kind in rule.trigger.types:
                    here = position[rule.into.key]
                    lowest[kind] = min(lowest.get(kind, here), here)
        return lowest

    # -- checks while defining ----------------------------------------------------------------

    def _checked_rules(self, rules: Iterable[Rule]) -> tuple[Rule, ...]:
        found = tuple(rules)
        for rule in found:
            if not isinstance(rule, Rule):
                raise DefinitionError(
                    f"pipeline {self.name!r}: {rule!r} is no rule; build it with on(...), "
                    "after(...) or by_hand(...)"
                )
            self._check_own(rule.into, f"rule '{rule}'")
            if isinstance(rule.out_of, tuple):
                for stage in rule.out_of:
                    self._check_own(stage, f"rule '{rule}'")
        if not any(rule.opens for rule in found):
            raise DefinitionError(
                f"pipeline {self.name!r} has no way to open a deal: "
                "say opens=True in at least one rule on(...) or by_hand(...)"
            )
        return _with_keys(self.name, found)

    def _check_own(self, stage: Stage, what: str) -> None:
        if not isinstance(stage, Stage) or self._by_key.get(stage) is not stage:
            known = ", ".join(self._by_key)
            raise DefinitionError(
                f"{what}: stage {str(stage)!r} is not one of pipeline {self.name!r}, which has "
                f"{known}: add it to stages=[...], or use the object that is in there"
            )

    def __repr__(self) -> str:
        return f"<Pipeline {self.name!r}: {len(self.stages)} stages, {len(self.rules)} rules>"


def _checked_stages(name: str, stages: Iterable[Stage]) -> tuple[Stage, ...]:
    found = tuple(stages)
    for stage in found:
        if not isinstance(stage, Stage):
            raise DefinitionError(f"pipeline {name!r}: {stage!r} is no Stage: build it with Stage")
        if stage == NOT_OPEN:
            raise DefinitionError(f"stage key {NOT_OPEN!r} is taken: it means no stage yet")
    if not found:
        raise DefinitionError(f"pipeline {name!r} has no stages: give at least one")
    twice = [key for key, count in Counter(found).items() if count > 1]
    if twice:
        raise DefinitionError(
            f"pipeline {name!r} has two stages with the key {twice[0].key!r}: rename one"
        )
    return found


def _with_keys(name: str, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Derive the keys that were not given: from trigger and target, and more where needed."""
    for describe in (_short_key, _long_key, _full_key):
        keys = [rule.key or describe(rule) for rule in rules]
        twice = [key for key, count in Counter(keys).items() if count > 1]
        if not twice:
            return tuple(attrs.evolve(r, key=key) for r, key in zip(rules, keys, strict=True))
    raise DefinitionError(
        f"pipeline {name!r} has two rules '{twice[0]}' that nothing tells apart: "
        "remove one, or give each its own key='...'"
    )


def _short_key(rule: Rule) -> str:
    return f"{rule.trigger_text} into {rule.into.key}"


def _long_key(rule: Rule) -> str:
    if rule.out_of is None:
        return _short_key(rule)
    out_of = "any" if rule.out_of is ANY else "|".join(map(str, rule.out_of))  # type: ignore[arg-type]
    return f"{rule.trigger_text} out of {out_of} into {rule.into.key}"


def _full_key(rule: Rule) -> str:
    return f"{_long_key(rule)} when {rule.when}" if rule.when else _long_key(rule)


def _carried_visit(draft: Draft) -> Visit | None:
    if draft.stage is None or draft.entered_at is None or draft.visit_key is None:
        return None
    return Visit(
        draft.deal, draft.visit, draft.visit_key, draft.stage, draft.entered_at, left_at=None
    )
