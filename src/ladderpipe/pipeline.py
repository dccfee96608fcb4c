"""The pipeline: a ladder of stages with its rules, hooks and sequences; checked, then frozen.

What folds is imported at once. Explaining, checking, drawing, reading and writing definitions are
loaded when they are asked for, which no program does for every deal: the import stays quick.
"""

from __future__ import annotations

import copy
import datetime as dt
import functools
import inspect
import itertools
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from .errors import DefinitionError
from .fold.fold import run
from .fold.reducer import CART_TYPES, Reducer, cart_reducer
from .fold.revisit import Past
from .ladder.fingerprint import fingerprint
from .ladder.ladder import Ladder
from .ladder.machine import LadderMachine
from .ladder.rules import OnEvents, Rule
from .model.calendar import Calendar, CalendarSpan, by_name
from .model.clock import instant
from .model.customer import CustomerKeys, contact_keys
from .model.event import Event
from .model.history import History
from .model.hook import HookContext
from .model.stage import DoStep, Stage, WaitStep
from .public import publish

if TYPE_CHECKING:
    from pathlib import Path

    from .fold.explain import Explanation
    from .fold.unfolding import Unfolding
    from .ladder.check import Finding
    from .ladder.policy import Policy

__all__ = ["Pipeline", "dump", "load"]

Hook = Callable[[HookContext], Awaitable[None] | None]
HookFunction = TypeVar("HookFunction", bound=Callable[[HookContext], Awaitable[None] | None])
Direction = Literal["into", "out_of"]


class Pipeline:
    """A ladder: ordered stages, ordered rules, and what happens on moving in and out.

    Args:
        name: stable name; it is part of every key in a store.
        stages: from the bottom of the ladder to the top.
        rules: tried in this order; the first that matches moves the deal.
        title: what people see; a text, or a mapping from language code to text.
        reducer: what events do to a deal's data.
        events: types of the events that are expected. Left out, the standard ones and those that
            rules name. An event of another type is recorded all the same, and reported: by its
            receipt, ``board.health()`` and ``replay``.
        activity: types of the events that count as activity, for timers ``since="activity"``. Left
            out, all from outside do; what corrects a deal (``board.edit``) never does.
        customer: works out the keys of the customer behind a deal, from the deal and the source
            that told the customer's ids; :func:`~ladderpipe.policy.contact_keys` when left out.
            ``None`` knows no customers.
        send: what is asked about an effect for a customer before it is sent; nothing when left out.
        zone: the pipeline's time zone, where a policy's quiet hours have to know one.

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
        events: Iterable[str] | None = None,
        activity: Iterable[str] | None = None,
        customer: CustomerKeys | None = contact_keys,
        send: Policy | None = None,
        zone: str = "UTC",
    ) -> None:
        titles = {"": title} if isinstance(title, str) else title
        self.ladder = Ladder(
            name,
            stages=stages,
            rules=rules,
            titles=titles or {},
            reducer=reducer,
            reduces_without_data=CART_TYPES if reducer is cart_reducer else None,
            events=events,
            activity=activity,
        )
        self._hooks: dict[tuple[Direction, str], list[Hook]] = {}
        self._has_sequences = any(stage.sequence for stage in self.stages)
        self._bound = False
        self.follows = False
        self.customer = customer
        if send is not None or zone != "UTC":
            _check_policy(send, zone)
        self.send = send
        self.zone = zone
        self.calendars = by_name(_calendars(self), self.name)

    @property
    def name(self) -> str:
        """The stable name, part of every key in a store."""
        return self.ladder.name

    @property
    def titles(self) -> Mapping[str, str]:
        """What people see, by language code; empty when no title was given."""
        return self.ladder.titles

    @property
    def title(self) -> str:
        """The title in the first language given; the name when there is none."""
        return next(iter(self.titles.values()), self.name)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages, from the bottom of the ladder to the top."""
        return self.ladder.stages

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, in the order in which they are tried."""
        return self.ladder.rules

    @property
    def reducer(self) -> Reducer:
        """What events do to a deal's data."""
        return self.ladder.reducer

    @property
    def events(self) -> tuple[str, ...]:
        """Types of the events that are expected; see the argument of that name."""
        return self.ladder.declared

    @property
    def activity(self) -> tuple[str, ...] | None:
        """Types of the events that count as activity; ``None`` when all from outside do."""
        return self.ladder.activity

    @property
    def machine(self) -> LadderMachine:
        """The ``transitions`` machine that the fold's tables are read off."""
        return self.ladder.machine

    def stage(self, key: str) -> Stage:
        """Return the stage with this key.

        Raises:
            DefinitionError: there is none.
        """
        return self.ladder.stage(key)

    # -- folding ------------------------------------------------------------------------------

    def fold(
        self, events: Iterable[Event], until: dt.datetime | str | None = None
    ) -> History | None:
        """Return the history that one deal's events make, ``None`` while none opens it.

        Args:
            events: one deal's, in any order, duplicates allowed.
            until: leave out later events, and fire timers due up to and at it. Without it the
                history ends with the last event.

        An event whose guard or reducer raises is set aside at its place: it changes nothing, and
        ``history.aside`` says why.

        Raises:
            GuardError: the guard or the time of a timer raised.
            EventConflictError: one identity, two contents.
        """
        told = tuple(events)
        draft, moves, start = run(self.ladder, told, until)
        if draft is None or draft.stage is None:
            return None
        aside, withdrawn = draft.aside.values(), draft.takings
        past = Past(self.ladder, told, None if until is None else instant(until))
        return History(draft, moves, start, aside=aside, withdrawn=withdrawn, past=past)

    def open(self, deal: str, events: Iterable[Event] = ()) -> Unfolding:
        """Return a deal's fold that can be stepped: for engines that keep their own state.

        Args:
            deal: id of the deal that all events are about.
            events: what is known of it already, in any order.

        Raises:
            GuardError: the guard or the time of a timer raised.
            EventConflictError: one identity, two contents.
        """
        from .fold.unfolding import Unfolding

        return Unfolding(self.ladder, deal, events)

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

        return explain(self.ladder, events, until)

    # -- looking at it ------------------------------------------------------------------------

    def check(self) -> list[Finding]:
        """Return what is wrong or doubtful about the ladder, worst first."""
        from .ladder.check import check

        return check(self.ladder, self._hooks)

    def diagram(self, format: Literal["mermaid", "dot"] = "mermaid") -> str:
        """Return the ladder as Mermaid or Graphviz DOT text.

        Raises:
            DefinitionError: *format* is neither.
        """
        from .ladder.diagram import diagram

        return diagram(self.ladder, format)

    def to_dict(self, *, hooks: bool = True) -> dict[str, Any]:
        """Return the definition as plain data that JSON, YAML and TOML can hold.

        Args:
            hooks: whether to write the hooks too.

        Raises:
            DefinitionError: a guard or hook is a function without an import path.
        """
        from .ladder.definition import to_dict

        written = to_dict(
            self.ladder,
            cart_reducer,
            self._hooks if hooks else {},
            self.customer,
            self.calendars,
        )
        if self.send is not None:
            written["send"] = self.send.to_dict()
        return written if self.zone == "UTC" else written | {"zone": self.zone}

    def event_schema(self) -> dict[str, Any]:
        """Return the JSON Schema (draft 2020-12) of the events that are expected, as CloudEvents.

        For whoever sends them: what is valid by it, :meth:`Event.from_cloudevent` takes. The data
        of a type that is not standard is open, but for what belongs to the deal.
        """
        from .ladder.event_schema import event_schema

        return event_schema(self.ladder)

    def asyncapi(self, address: str | None = None) -> dict[str, Any]:
        """Return the AsyncAPI document (3.0.0) of what ``board.publish`` hands on.

        Args:
            address: of the channel, a topic for example, if that is known.
        """
        from .ladder.asyncapi import asyncapi

        return asyncapi(self.ladder, self.title, address)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], allow: Iterable[str] = ()) -> Pipeline:
        """Build the pipeline that :meth:`to_dict` wrote.

        Args:
            allow: modules whose functions and classes the definition may name.

        Raises:
            DefinitionError: the definition is malformed or names what is not allowed; the message
                begins with the place, for example ``rules[3].after``.
        """
        from .ladder.definition_reader import read

        return read(data, cls, allow)

    @functools.cached_property
    def fingerprint(self) -> str:
        """What matters to the fold (stages, rules, guards, reducer), as a short hash."""
        return fingerprint(self.ladder)

    def extended(
        self,
        *,
        rules: Iterable[Rule] = (),
        before: str | None = None,
        stages: Iterable[Stage] = (),
        without: Iterable[str] = (),
        events: Iterable[str] = (),
    ) -> Pipeline:
        """Return a ladder that is this one and more; hooks and sequences stay.

        Args:
            rules: rules to add.
            before: key of the rule that they stand before; at the end when left out. Rules are
                tried in their order.
            stages: stages to add, above those that are there.
            without: keys of rules to leave out.
            events: types to declare besides.

        Raises:
            DefinitionError: there is no such rule, or the ladder does not work as extended.
        """
        left_out = tuple(without)
        keys = [rule.key or "" for rule in self.rules]
        for key in (*left_out, *(() if before is None else (before,))):
            if key not in keys:
                raise DefinitionError(
                    f"pipeline {self.name!r} has no rule {key!r}; it has {', '.join(keys)}"
                )
        kept = list(self.rules)
        place = len(kept) if before is None else keys.index(before)
        added = tuple(rules)
        kept[place:place] = added
        found = type(self)(
            self.name,
            stages=[*self.stages, *stages],
            rules=[rule for rule in kept if rule.key is None or rule.key not in left_out],
            title=self.titles or None,
            reducer=self.reducer,
            events=self._declared_with(added, events),
            activity=self.activity,
            customer=self.customer,
            send=self.send,
            zone=self.zone,
        )
        for (direction, stage), hooks in self._hooks.items():
            for hook in hooks:
                found._hook(direction, found.stage(stage))(hook)
        return found

    def _declared_with(self, rules: Iterable[Rule], events: Iterable[str]) -> list[str] | None:
        """Return what is declared when it is more; ``None`` while nobody has said anything."""
        more = list(events)
        if self.ladder.events is not None:
            return [*self.events, *more]
        named = [kind for r in rules if isinstance(r.trigger, OnEvents) for kind in r.trigger.types]
        return [*self.events, *named, *more] if more else None

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

    def hooks(self, direction: Direction, stage: str) -> list[Hook]:
        """Return the hooks of a stage, in the order they were registered."""
        return self._hooks.get((direction, stage), [])

    @property
    def has_hooks(self) -> bool:
        """Whether any hook is registered."""
        return bool(self._hooks)

    @property
    def hooked(self) -> Collection[tuple[Direction, str]]:
        """The directions and stages that have hooks."""
        return self._hooks.keys()

    def following(self) -> Pipeline:
        """Return this ladder for a store that follows deals which live elsewhere.

        It moves deals as this one does and asks for nothing: its hooks do not run, its sequences do
        not begin. A store remembers that it follows, and opens no board of another kind to write.
        """
        found = copy.copy(self)
        found._hooks, found._has_sequences, found._bound = {}, False, False
        found.follows = True
        return found

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

    def _hook(self, direction: Direction, stage: Stage) -> Callable[[HookFunction], HookFunction]:
        self.ladder.check_own(stage, f"move_{direction}({stage!r})")
        if self._bound:
            raise DefinitionError(
                f"move_{direction}({stage!r}): a board is bound to {self.name!r} already; "
                "register every hook before Board.open, so that none misses a move"
            )

        def register(function: HookFunction) -> HookFunction:
            self._hooks.setdefault((direction, stage.key), []).append(function)
            stage.note_hook(self.name)
            return function

        return register

    def __repr__(self) -> str:
        return f"<Pipeline {self.name!r}: {len(self.stages)} stages, {len(self.rules)} rules>"

    def _repr_html_(self) -> str:
        """Return the ladder as a notebook shows it: what leads into each stage, from where."""
        from .ladder.diagram import as_table

        return as_table(self.ladder, self.title)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Return the diagram for notebooks that draw Mermaid, and the table for the others."""
        return {"text/vnd.mermaid": self.diagram(), "text/html": self._repr_html_()}


def _calendars(pipeline: Pipeline) -> Iterator[Calendar]:
    """Yield every calendar that something of a pipeline counts on."""
    yield from pipeline.ladder.calendars.values()
    for stage in pipeline.stages:
        waits = (step.delay for step in stage.sequence if isinstance(step, WaitStep))
        for delay in (*waits, stage.rots_after):
            if isinstance(delay, CalendarSpan):
                yield delay.calendar
        for step in stage.sequence:
            if isinstance(step, DoStep) and step.calendar is not None:
                yield step.calendar
    if pipeline.send is not None and isinstance(pipeline.send.quiet, Calendar):
        yield pipeline.send.quiet


def _check_policy(send: object, zone: str) -> None:
    from .ladder.policy import Policy
    from .model.wall_clock import checked_zone

    if send is not None and not isinstance(send, Policy):
        raise DefinitionError(
            f"Pipeline(send={send!r}): give a Policy(...) of ladderpipe.policy, or leave it out"
        )
    checked_zone(zone)


def load(path: Path | str, allow: Iterable[str] = ()) -> Pipeline:
    """Return the pipeline that a ``.yaml``, ``.yml``, ``.toml`` or ``.json`` file defines.

    Reading a file executes nothing. Functions that it names are imported only from modules in
    *allow*; YAML needs the extra ``files``.

    Args:
        allow: modules whose functions and classes the file may name.

    Raises:
        DefinitionError: the file cannot be parsed (with its line), is malformed or names what is
            not allowed (with the place in it).
        OSError: the file cannot be read.
    """
    from .ladder.files import load

    return load(path, Pipeline, allow)


def dump(pipeline: Pipeline, path: Path | str) -> None:
    """Write the definition of *pipeline* to a file whose suffix says the format.

    Raises:
        DefinitionError: the suffix is unknown, or the pipeline holds what a file cannot: a
            function without an import path, or, in TOML, a null in a payload.
        OSError: the file cannot be written.
    """
    from .ladder.files import write

    write(pipeline.to_dict(), path)


publish("ladderpipe", Pipeline, dump, load)
