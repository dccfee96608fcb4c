"""Running hooks: what a hook is given, and the effects that moves ask for."""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import attrs

from ..errors import HookError, InvalidEventError, LadderError, ReentrancyError, shown
from ..fold.deal_data import DealData
from ..model.calendar import Calendar, CalendarSpan
from ..model.canonical import canonical_text
from ..model.customer import channel_for
from ..model.deal import Deal
from ..model.delivery import EffectState, effect_key
from ..model.event import SEQUENCE_FROM, TOLD, Event, told_instant
from ..model.move import Move
from ..model.stage import TASK, DoStep, Purpose, Stage, WaitStep, asked_for, checked_span
from ..pipeline import Hook, Pipeline
from ..stores import bridge
from ..stores.base import NewEffect
from ..stores.hook_guard import hook_running, running_hook
from ..stores.joined import has_failed, is_closed, is_in_transaction
from .decision import Decision

__all__ = ["QuietTo", "effects_asked", "hook_names", "refuse_inside_hook", "run_hooks"]

QuietTo: TypeAlias = "Callable[[Move], dt.datetime | None]"
"""Until when what a move asks for is not sent; ``None`` where all of it is."""

Delay: TypeAlias = dt.timedelta | CalendarSpan


class Context:
    """The board's :class:`~ladderpipe.HookContext`."""

    __slots__ = ("_requests", "connection", "deal", "event", "move", "refold")

    def __init__(
        self, move: Move, deal: Deal, refold: bool, connection: Any, requests: EffectRequests
    ) -> None:
        self.move = move
        self.deal = deal
        self.event: Event | None = move.event
        self.refold = refold
        self.connection = connection
        self._requests = requests

    def do(
        self,
        name: str,
        *,
        wait: dt.timedelta | CalendarSpan | None = None,
        expires: dt.timedelta | None = None,
        run_to_completion: bool = False,
        purpose: Purpose = "marketing",
        calendar: Calendar | None = None,
        **payload: Any,
    ) -> None:
        """Ask for an effect; see the protocol."""
        step = asked_for(name, payload, expires, run_to_completion, purpose, calendar)
        if wait is not None and not isinstance(wait, CalendarSpan):
            wait = checked_span(wait, f"effect {name!r}: wait")
        self._requests.add(step, () if wait is None else (wait,), self.deal)


class EffectRequests:
    """Collects what one visit's hooks and sequence ask for, with their stable keys."""

    def __init__(
        self,
        pipeline: Pipeline,
        deal: str,
        visit_key: str,
        phase: str,
        since: dt.datetime,
        state: EffectState | None,
        quiet_to: dt.datetime | None,
    ) -> None:
        """Collect for one visit.

        Args:
            since: the instant that delays count from.
            state: what to record instead of pending: cancelled when the visit has ended already.
            quiet_to: what is due by then is recorded as expired; what comes later stays due.
        """
        self.found: list[NewEffect] = []
        self._pipeline = pipeline
        self._deal = deal
        self._visit_key = visit_key
        self._phase = phase
        self._since = since
        self._state = state
        self._quiet_to = quiet_to
        self._positions: Counter[str] = Counter()

    def add(self, step: DoStep, waits: Sequence[Delay], deal: Deal | DealData) -> None:
        """Note one effect, asked for while the deal's data are these."""
        position = self._positions[step.name]
        self._positions[step.name] += 1
        keep = step.run_to_completion or self._phase == "out_of"
        try:
            due_at = self._since
            for wait in waits:
                due_at += wait
            expires_at = None if step.expires is None else due_at + step.expires
        except OverflowError:
            raise InvalidEventError(
                f"effect {step.name!r} would be due {' and '.join(map(str, waits))} after "
                f"{self._since.isoformat()}, which is beyond the calendar"
            ) from None
        state = EffectState.OPEN if step.name == TASK else EffectState.PENDING
        if self._quiet_to is not None and due_at <= self._quiet_to:
            state = EffectState.EXPIRED
        elif self._state is not None and not keep:
            state = self._state
        owner = step.payload.get("owner") or deal.owner if step.name == TASK else None
        channel = None
        if step.name != TASK:
            channel = channel_for(step.name, step.payload.get("to"), deal.contact)
        self.found.append(
            NewEffect(
                key=effect_key(
                    self._pipeline.name,
                    self._deal,
                    self._visit_key,
                    self._phase,
                    step.name,
                    position,
                ),
                visit_key=self._visit_key,
                phase=self._phase,
                name=step.name,
                position=position,
                payload=canonical_text(step.payload_from(due_at)),
                state=state.value,
                due_at=due_at,
                expires_at=expires_at,
                run_to_completion=keep,
                owner=owner,
                purpose=None if channel is None else step.purpose,
                channel=channel,
            )
        )

    def add_sequence(self, stage: Stage, deal: Callable[[], DealData]) -> None:
        """Note a stage's sequence, waits added up."""
        waits: list[Delay] = []
        for step in stage.sequence:
            if isinstance(step, WaitStep):
                waits.append(step.delay)
            else:
                self.add(step, waits, deal())


def refuse_inside_hook(call: str) -> None:
    """Refuse a call of a board from inside a hook.

    Raises:
        ReentrancyError: a hook is running.
    """
    hook = running_hook()
    if hook is not None:
        raise ReentrancyError(
            f"hook {hook} called {call}: a hook runs inside the board's own transaction and cannot "
            "move deals; ask for an effect with ctx.do(...), whose handler may send an event after "
            "the commit"
        )


def run_hooks(hooks: list[Hook], context: Context, what: str) -> None:
    """Run hooks in the order they were registered.

    Raises:
        HookError: one raised; the original is the cause.
        ReentrancyError: one called a board.
    """
    for hook in hooks:
        name = getattr(hook, "__qualname__", repr(hook))
        try:
            with hook_running(name):
                _run(hook, name, context)
        except ReentrancyError:
            raise
        except Exception as error:
            hint = f" ({shown(error, str)})" if isinstance(error, LadderError) else ""
            raise HookError(
                f"hook {name} ({what}) raised {type(error).__name__} for deal "
                f"{context.deal.id!r}{hint}: nothing was stored; mend the hook, then send the "
                "event again"
            ) from error
        if is_closed(context.connection):
            raise HookError(
                f"hook {name} ({what}) closed the connection of the transaction it ran in, for "
                f"deal {context.deal.id!r}, and nothing was stored: it is the board's, which goes "
                "on with other deals on it; leave that out"
            )
        if has_failed(context.connection):
            raise HookError(
                f"hook {name} ({what}) swallowed an error of the database, for deal "
                f"{context.deal.id!r}, after which PostgreSQL runs nothing more in this "
                "transaction: do what may fail in a savepoint, with ctx.connection.transaction(), "
                "and catch the error outside of it"
            )
        if not is_in_transaction(context.connection):
            raise HookError(
                f"hook {name} ({what}) ended the transaction it ran in, for deal "
                f"{context.deal.id!r}: the board commits, after all hooks, and if the hook "
                "committed, the event is stored without its move; take COMMIT and ROLLBACK out of "
                "the hook, raise to undo, and send the event again"
            )


def hook_names(hooks: Iterable[Hook]) -> list[str]:
    """Return what the hooks of one stage are called, each by a name of its own."""
    names: list[str] = []
    for hook in hooks:
        name = str(getattr(hook, "__qualname__", repr(hook))).rpartition("<locals>.")[2]
        names.append(name if name not in names else f"{name} ({len(names) + 1})")
    return names


def _run(hook: Hook, name: str, context: Context) -> None:
    """Run a hook; an asynchronous one where it can be awaited, with a connection to await."""
    if not inspect.iscoroutinefunction(hook):
        with _rows_as_they_were(context.connection):
            bridge.finished(hook(context))
        return
    plain = context.connection
    context.connection = getattr(plain, "asynchronous", plain)
    try:
        with _rows_as_they_were(context.connection):
            bridge.await_(_awaited(hook, name, context))
    finally:
        context.connection = plain


@contextlib.contextmanager
def _rows_as_they_were(connection: Any) -> Iterator[None]:
    """Have a connection give rows as before: what one hook likes is not what all others expect."""
    before = getattr(connection, "row_factory", None)
    try:
        yield
    finally:
        if getattr(connection, "row_factory", None) is not before:
            connection.row_factory = before


async def _awaited(hook: Hook, name: str, context: Context) -> None:
    # What awaits this need not share the context of the code that asks for it.
    with hook_running(name):
        answer = hook(context)
        assert answer is not None
        await answer


_NOTHING_SEEN: Final = (None, None)


def effects_asked(
    pipeline: Pipeline, decision: Decision, connection: Any, quiet_to: QuietTo
) -> list[NewEffect]:
    """Run the hooks of what a decision changed and return the effects asked for.

    Every new move runs its hooks; after a refold only what changed at the end does. A past that
    another system tells of runs none: only the visit that it ends with is begun.

    Args:
        quiet_to: until when what a move asks for is recorded as expired, if that move is quiet.

    Raises:
        HookError: a hook raised.
    """
    if decision.refolded:
        return _after_refold(pipeline, decision, connection, quiet_to)
    found: list[NewEffect] = []
    visit = _Visit(pipeline, decision, connection, quiet_to, refold=False)
    snapshots = decision.draft.snapshots or {}
    left_key = decision.left_key
    last = len(decision.moves) - 1
    for index, (move, key) in enumerate(zip(decision.moves, decision.keys, strict=True)):
        before, after = snapshots.get(move.n, _NOTHING_SEEN)
        is_past = _is_told(move) and index < last
        if before is not None and left_key is not None and not _is_told(move):
            found += visit.left(move, before, left_key)
        if not is_past and (after is not None or move.into.sequence):
            found += visit.entered(move, after, key, ended=index < last)
        left_key = key
    return found


def _is_told(move: Move) -> bool:
    return move.event is not None and move.event.type == TOLD


def _after_refold(
    pipeline: Pipeline, decision: Decision, connection: Any, quiet_to: QuietTo
) -> list[NewEffect]:
    if not decision.current_changed:
        return []
    found: list[NewEffect] = []
    visit = _Visit(pipeline, decision, connection, quiet_to, refold=True)
    current = decision.current_move()
    left, left_key = decision.before, decision.stored.visit_key
    if left is not None and left.stage is not None and left_key is not None:
        move = current or decision.withdrawn()
        if not _is_told(move):
            found += visit.left(move, left.as_deal(), left_key)
    if current is not None and decision.visit_key is not None:
        found += visit.entered(current, decision.draft.as_deal(), decision.visit_key, ended=False)
    return found


class _Visit:
    """Runs the hooks of leaving or entering one visit."""

    def __init__(
        self,
        pipeline: Pipeline,
        decision: Decision,
        connection: Any,
        quiet_to: QuietTo,
        refold: bool,
    ) -> None:
        self._pipeline = pipeline
        self._decision = decision
        self._connection = connection
        self._quiet_to = quiet_to
        self._refold = refold

    def left(self, move: Move, deal: Deal, key: str) -> list[NewEffect]:
        hooks = self._pipeline.hooks("out_of", deal.stage)
        return self._run(hooks, "out_of", move, deal, self._requests(key, "out_of", move, None))

    def entered(self, move: Move, deal: Deal | None, key: str, ended: bool) -> list[NewEffect]:
        state = EffectState.CANCELLED if ended else None
        requests = self._requests(key, "into", move, state)
        if deal is not None:
            self._run(self._pipeline.hooks("into", move.into), "into", move, deal, requests)
        if move.into.sequence:
            requests.add_sequence(move.into, lambda: self._decision.draft.data)
        return requests.found

    def _requests(
        self, key: str, phase: str, move: Move, state: EffectState | None
    ) -> EffectRequests:
        since, quiet_to = move.at, self._quiet_to(move)
        if move.event is not None and move.event.type == TOLD:
            begins = told_instant(move.event, SEQUENCE_FROM)
            if begins is not None:
                since, quiet_to = max(since, begins), None
        return EffectRequests(self._pipeline, move.deal, key, phase, since, state, quiet_to)

    def _run(
        self, hooks: list[Hook], phase: str, move: Move, deal: Deal, requests: EffectRequests
    ) -> list[NewEffect]:
        if hooks:
            ladder = self._pipeline.ladder
            if ladder.watch is not None:
                for name in hook_names(hooks):
                    ladder.watch.saw(ladder.name, ("hook", phase, deal.stage.key, name))
            context = Context(move, _own_copy(deal), self._refold, self._connection, requests)
            run_hooks(hooks, context, f"move {phase.replace('_', ' ')} {deal.stage}")
        return requests.found


def _own_copy(deal: Deal) -> Deal:
    """Return a deal on which a hook can write without changing what is stored."""
    return attrs.evolve(
        deal,
        contact=copy.deepcopy(deal.contact),
        company=copy.deepcopy(deal.company),
        properties=copy.deepcopy(deal.properties),
    )
