"""Boards with hooks and effects, worked hard: nothing half done, nothing sent for the past."""

from __future__ import annotations

import datetime as dt
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import attrs
import pytest
from hypothesis import event as label
from hypothesis import given, note
from hypothesis import strategies as st

from ladderpipe import (
    Backoff,
    Board,
    Delivery,
    Event,
    ManualClock,
    MemoryStore,
    Pipeline,
    SqliteStore,
    Stage,
    after,
    do,
    on,
    wait,
)
from ladderpipe.errors import HookError, LadderError, MoveNotAllowedError
from ladderpipe.ladder.guards import property_equals
from ladderpipe.model.canonical import canonical_text
from ladderpipe.testing.strategies import START, events_of_many_deals
from tests.ladders import ladders, sales_ladder
from tests.shops import assert_is_the_fold, contents, wide_rows

DEALS = ("deal-1", "deal-2")
TICK = dt.timedelta(microseconds=1)


@pytest.fixture(scope="module", autouse=True)
def no_warnings_about_what_fails_on_purpose() -> Iterator[None]:
    log = logging.getLogger("ladderpipe")
    log.setLevel(logging.CRITICAL)
    yield
    log.setLevel(logging.NOTSET)


# -- what is done to a board --------------------------------------------------------------------


@attrs.frozen
class Handle:
    event: Event


@attrs.frozen
class HandleMany:
    events: tuple[Event, ...]
    quiet: bool = False


@attrs.frozen
class Wait:
    hours: int


@attrs.frozen
class Tick:
    limit: int | None = None


@attrs.frozen
class Deliver:
    limit: int | None = None


@attrs.frozen
class Hand:
    deal: str
    into: str
    override: bool


@attrs.frozen
class Complete:
    """Complete the most urgent task."""


Action = Handle | HandleMany | Wait | Tick | Deliver | Hand | Complete


def fickle_ladder() -> Pipeline:
    """Return a ladder on which one property decides which of the moves are made.

    So a late event often takes a move back, and a visit that was left is current again.
    """
    calm = Stage("calm", sequence=[do("note", text="now"), wait(hours=2), do("note", text="later")])
    warm, hot = Stage("warm"), Stage("hot", sequence=[do("letter", run_to_completion=True)])
    is_hot = property_equals("hot", True)
    return Pipeline(
        "fickle",
        stages=[calm, warm, hot],
        rules=[
            on("lead.called", into=calm, out_of=hot, opens=True),
            on("lead.answered", into=warm, when=~is_hot),
            on("order.confirmed", into=hot, when=is_hot),
            on("told", "told.again", into=warm, out_of=hot, when=~is_hot),
            after(hours=3, out_of=warm, into=calm),
            after(hours=5, out_of=calm, into=hot, when=is_hot),
        ],
    )


def fickle_data(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return data for the fickle ladder: mostly facts that change how it goes on."""
    if kind.startswith(("lead.", "order.")):
        return st.just({})
    cart = {"line": {"sku": "A"}, "cart": {"lines": []}}
    return st.booleans().map(lambda hot: {"properties": {"hot": hot}, **cart})


@st.composite
def stories(draw: st.DrawFn, quiet: bool = True) -> tuple[Pipeline, list[Action]]:
    """Return a ladder with hooks, and what is done to a board on it."""
    kind = draw(st.sampled_from(["fickle", "sales", "random", "random"]))
    if kind == "fickle":
        pipeline = fickle_ladder()
        left = draw(events_of_many_deals(pipeline, deals=DEALS, max_size=10, data=fickle_data))
    else:
        pipeline = sales_ladder() if kind == "sales" else draw(ladders(sequences=True))
        left = draw(events_of_many_deals(pipeline, deals=DEALS, max_size=10))
    if draw(st.sampled_from([False, True, True, True])):
        left = list(draw(st.permutations(left)))
    keys = st.sampled_from([stage.key for stage in pipeline.stages])
    others = st.one_of(
        st.builds(Wait, st.sampled_from([1, 1, 2, 5, 12])),
        st.builds(Tick, st.sampled_from([None, None, 1])),
        st.builds(Deliver, st.sampled_from([None, None, 1])),
        st.builds(Hand, st.sampled_from(DEALS), keys, st.booleans()),
        st.just(Complete()),
    )
    actions: list[Action] = []
    while left or draw(st.sampled_from([False, True, True])):
        if left and draw(st.sampled_from([True, True, True, False])):
            size = draw(st.sampled_from([1, 1, 1, 2, 5]))
            batch, left = left[:size], left[size:]
            if size == 1:
                actions.append(Handle(batch[0]))
            else:
                is_quiet = quiet and draw(st.sampled_from([False, False, True]))
                actions.append(HandleMany(tuple(batch), is_quiet))
        else:
            actions.append(draw(others))
    return pipeline, actions


class Desk:
    """A board, and somebody who does to it what an action says."""

    def __init__(self, pipeline: Pipeline, store: Any) -> None:
        self.clock = ManualClock(START)
        self.store = store
        self.board = Board(pipeline, store=store, clock=self.clock, backoff=Backoff(first=1800))
        self.sent: list[Delivery] = []
        self.delivering: Callable[[Delivery], None] = self.sent.append
        for name in ("note", "letter", "mail"):
            self.board.handles(name)(lambda delivery: self.delivering(delivery))

    def do(self, action: Action) -> Any:
        """Do it, at an instant of its own, and return what comes of it."""
        self.clock.advance(TICK)
        match action:
            case Wait(hours):
                return self.clock.advance(hours=hours)
            case Handle(event):
                self._go_to(event)
                return self.board.handle(event)
            case HandleMany(events, quiet):
                for event in events:
                    self._go_to(event)
                return self.board.handle_many(events, quiet=quiet)
            case Tick(limit):
                return self.board.tick(limit)
            case Deliver(limit):
                return self.board.deliver(limit)
            case Hand(deal, into, override):
                act = self.board.override if override else self.board.move
                return act(deal, into, by="Ada", properties={"reason": "x"})
            case Complete():
                tasks = self.board.tasks()
                return self.board.complete(tasks[0]) if tasks else None

    def try_to(self, action: Action) -> Any:
        """Do it; a refusal is an answer too."""
        try:
            return self.do(action)
        except LadderError as error:
            return type(error), str(error)

    def _go_to(self, event: Event) -> None:
        if event.at > self.clock.now():
            self.clock.set(event.at)

    def check(self) -> None:
        assert_is_the_fold(self.board, DEALS)


def with_hooks(pipeline: Pipeline, before: Callable[[Any], None] = lambda ctx: None) -> Pipeline:
    """Give every stage hooks that ask for mails; each calls *before* first."""

    def into(ctx: Any) -> None:
        before(ctx)
        ctx.do("mail", about="into")
        ctx.do("mail", about="later", wait=dt.timedelta(hours=1))
        ctx.do("mail", about="always", run_to_completion=True)
        ctx.do("task", title="Call")

    def out_of(ctx: Any) -> None:
        before(ctx)
        ctx.do("mail", about="out of")

    for stage in pipeline.stages:
        pipeline.move_into(stage)(into)
        pipeline.move_out_of(stage)(out_of)
    return pipeline


def store_in_memory() -> MemoryStore:
    return MemoryStore()


def store_in_sqlite() -> SqliteStore:
    return SqliteStore(":memory:")


STORES = st.sampled_from([store_in_memory, store_in_memory, store_in_sqlite])


# -- a hook that raises -------------------------------------------------------------------------


class Refused(Exception):
    pass


class Saboteur:
    """Counts the calls of hooks, and raises at those that are chosen."""

    def __init__(self, at: set[int]) -> None:
        self.at = at
        self.calls = 0
        self.raised_for: set[str] = set()

    def __call__(self, ctx: Any) -> None:
        self.calls += 1
        if self.calls in self.at:
            self.raised_for.add(ctx.deal.id)
            raise Refused


def without_retries(store: Any, board: Board) -> Any:
    """Return what is stored of the deals, but for when to try again and why."""
    found = {}
    for deal, row in wide_rows(store, board._session.number, DEALS).items():
        stored, data, moves, effects, events = row
        stored = stored._replace(failures=0, retry_at=None)
        effects = [e._replace(ready_at=e.due_at, error=None, attempts=0) for e in effects]
        found[deal] = stored, data, moves, effects, events
    return found


@given(stories(), STORES, st.sets(st.integers(1, 12), max_size=4))
def test_a_hook_that_raises_leaves_everything_as_it_was(
    story: tuple[Pipeline, list[Action]], make_store: Callable[[], Any], at: set[int]
) -> None:
    pipeline, actions = story
    saboteur = Saboteur(at)
    desk = Desk(with_hooks(pipeline, saboteur), make_store())
    for action in actions:
        everything = contents(desk.store)
        before = without_retries(desk.store, desk.board)
        saboteur.raised_for.clear()
        try:
            report = desk.do(action)
        except HookError as error:
            label(f"a hook raised in {type(action).__name__}")
            cause = error.__cause__
            assert (type(cause), bool(saboteur.raised_for)) == (Refused, True)
            assert contents(desk.store) == everything
        except LadderError:
            assert not saboteur.raised_for
        else:
            if saboteur.raised_for:
                label(f"a hook raised in {type(action).__name__}")
                _assert_isolated(desk, action, report, before, saboteur.raised_for)
        desk.check()
    desk.store.close()


def _assert_isolated(
    desk: Desk, action: Action, report: Any, before: dict[str, Any], troubled: set[str]
) -> None:
    """The deals whose hook raised are as they were; of a batch, those events are left out."""
    after = without_retries(desk.store, desk.board)
    if isinstance(action, HandleMany):
        refused = [failure.event for failure in report.failures]
        for event in refused:
            assert event not in desk.board.events(event.deal)
        for deal in troubled:
            if all(event in refused for event in action.events if event.deal == deal):
                assert after.get(deal) == before.get(deal)
    elif isinstance(action, Tick):
        assert {failure.deal for failure in report.failures} == troubled
        for deal in troubled:
            assert after[deal] == before[deal]
    else:
        assert isinstance(action, Deliver)
        for deal in troubled:
            if desk.board.deal(deal).visit == before[deal][0].visit:
                assert after[deal][2] == before[deal][2]


# -- effects and visits -------------------------------------------------------------------------


@given(stories(), STORES, st.randoms(use_true_random=False))
def test_no_effect_is_claimed_after_its_visit_has_ended(
    story: tuple[Pipeline, list[Action]], make_store: Callable[[], Any], dice: random.Random
) -> None:
    pipeline, actions = story
    desk = Desk(with_hooks(pipeline), make_store())
    delivered: list[str] = []
    claims: list[tuple[Any, Any]] = []

    def deliver(delivery: Delivery) -> None:
        deal = delivery.deal.id
        (effect,) = [e for e in desk.board.effects(deal) if e.key == delivery.key]
        history = pipeline.fold(desk.board.events(deal), until=desk.clock.now())
        label("delivered to completion" if effect.run_to_completion else "delivered in its visit")
        if not effect.run_to_completion:
            claims.append((effect.visit_key, history and history.visits[-1].key))
        if history is not None:
            claims.append((delivery.deal, history.deal))
        claims.append((True, effect.due_at <= desk.clock.now()))
        if dice.random() < 0.2:
            raise OSError
        delivered.append(delivery.key)

    desk.delivering = deliver
    for action in actions:
        desk.try_to(action)
    desk.clock.advance(hours=5)
    desk.board.deliver()
    for found, folded in claims:
        assert found == folded
    assert len(delivered) == len(set(delivered)), "once, when nobody dies"
    desk.store.close()


@given(stories(quiet=False), STORES)
def test_effects_are_those_of_the_visits_that_are_and_were(
    story: tuple[Pipeline, list[Action]], make_store: Callable[[], Any]
) -> None:
    pipeline, actions = story
    desk = Desk(with_hooks(pipeline), make_store())
    left: dict[str, set[str]] = {deal: set() for deal in DEALS}
    subjects: dict[str, tuple[str, ...]] = {}
    keys: dict[tuple[str, ...], str] = {}
    for action in actions:
        answer = desk.try_to(action)
        if getattr(answer, "refolded", False):
            label("refolded, and another visit is current" if answer.moves else "refolded")
        for deal in DEALS:
            history = _history(desk.board, deal)
            visits = [] if history is None else [visit.key for visit in history.visits]
            if visits and visits[-1] in left[deal]:
                label("a visit is current again")
            left[deal].update(visits[:-1])
            effects = desk.board.effects(deal)
            for effect in effects:
                subject = (deal, effect.visit_key, effect.name, canonical_text(effect.payload))
                assert subjects.setdefault(effect.key, subject) == subject
                assert keys.setdefault(subject, effect.key) == effect.key
                if effect.visit_key in visits[:-1] and not effect.run_to_completion:
                    assert effect.state not in ("pending", "open"), "its visit has ended"
                if effect.visit_key not in visits:
                    ours = effect.run_to_completion and effect.payload.get("about") == "out of"
                    assert ours or effect.state not in ("pending", "open"), "it never was"
            if visits:
                current = [
                    e
                    for e in effects
                    if e.visit_key == visits[-1] and e.payload.get("about") != "out of"
                ]
                assert {"into", "later", "always"} <= {e.payload.get("about") for e in current}
                assert "cancelled" not in {e.state for e in current}, "its visit goes on"
    desk.store.close()


def _history(board: Board, deal: str) -> Any:
    try:
        return board.history(deal)
    except LookupError:
        return None


# -- what was believed --------------------------------------------------------------------------


@given(stories(), STORES)
def test_what_was_believed_at_an_instant_is_the_fold_of_what_was_recorded_by_then(
    story: tuple[Pipeline, list[Action]], make_store: Callable[[], Any]
) -> None:
    pipeline, actions = story
    desk = Desk(with_hooks(pipeline), make_store())
    believed: list[tuple[dt.datetime, str, Any]] = []
    for action in actions:
        desk.try_to(action)
        desk.board.tick()
        for deal in DEALS:
            history = _history(desk.board, deal)
            visits = None if history is None else (history.deal, history.visits)
            believed.append((desk.clock.now(), deal, visits))
    with desk.store.transaction(write=False) as transaction:
        recorded = {}
        for deal in DEALS:
            stored, _, _ = transaction.load(desk.board._session.number, deal, create=False)
            recorded[deal] = [] if stored is None else transaction.events(stored.id)
    for at, deal, visits in believed:
        known = [event for event, recorded_at in recorded[deal] if recorded_at <= at]
        history = pipeline.fold(known, until=at)
        assert (None if history is None else (history.deal, history.visits)) == visits
    desk.store.close()


# -- memory and SQLite --------------------------------------------------------------------------


@contextmanager
def same_chances(number: int) -> Iterator[None]:
    """Let names and delays that are otherwise random be the same wherever this is entered."""
    names, jitter = random.Random(number), random.Random(number)
    with mock.patch("os.urandom", names.randbytes), mock.patch("random.random", jitter.random):
        yield


@given(stories(), st.sets(st.integers(1, 12), max_size=3))
def test_memory_and_sqlite_do_the_same(story: tuple[Pipeline, list[Action]], at: set[int]) -> None:
    pipeline, actions = story
    saboteur = Saboteur(set())
    with_hooks(pipeline, lambda ctx: saboteur(ctx))
    answers, stored = [], []
    for store in (MemoryStore(), SqliteStore(":memory:")):
        saboteur = Saboteur(at)
        desk = Desk(pipeline, store)
        failing = iter(range(10_000))

        def deliver(
            delivery: Delivery, failing: Iterator[int] = failing, desk: Desk = desk
        ) -> None:
            if next(failing) % 3 == 2:
                raise OSError
            desk.sent.append(delivery)

        desk.delivering = deliver
        found: list[Any] = []
        for number, action in enumerate(actions):
            with same_chances(number):
                found.append(_told(desk.try_to(action)))
            found.append(sorted((e.key, e.state, e.due_at, e.error) for e in desk.board.effects()))
            found.append([task.key for task in desk.board.tasks()])
        found += [desk.sent, list(desk.board.deals()), desk.board.summary()]
        answers.append(found)
        stored.append(wide_rows(store, desk.board._session.number, DEALS))
        store.close()
    for number, (one, other) in enumerate(zip(*answers, strict=True)):
        if one != other:
            note(f"answer {number} differs")
        assert one == other
    assert stored[0] == stored[1]


def _told(answer: Any) -> Any:
    """Return an answer with its errors as text, which can be compared."""
    failures = getattr(answer, "failures", None)
    if not failures:
        return answer
    return attrs.evolve(answer, failures=()), [str(failure.error) for failure in failures]


def test_a_hand_that_is_refused_is_a_refusal() -> None:
    """The properties above let refusals pass; this one says that they are meant to happen."""
    desk = Desk(with_hooks(sales_ladder()), MemoryStore())
    kind, _ = desk.try_to(Hand("deal-1", "order_review", override=False))
    assert kind is MoveNotAllowedError
