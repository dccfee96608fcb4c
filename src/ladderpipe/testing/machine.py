"""A Hypothesis state machine that drives a board the way a bad day would."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ladderpipe import (
    Board,
    Delivery,
    Effect,
    EffectState,
    Event,
    History,
    ManualClock,
    MemoryStore,
    Outcome,
    Pipeline,
    Receipt,
)
from ladderpipe.board.stored import stored_until
from ladderpipe.errors import DealNotFoundError, MoveNotAllowedError
from ladderpipe.fold.order import in_order
from ladderpipe.fold.withdrawals import standing
from ladderpipe.model.stage import TASK
from ladderpipe.public import publish
from ladderpipe.stores import Store

from .assertions import assert_single_stage, expect
from .bounded import BoundedTestCase
from .copies import copies
from .coverage import checked_excuses
from .strategies import START, DataFor, Subject, facts, hands

__all__ = ["LadderStateMachine", "ladder_state_machine"]

DEALS = ("deal-1", "deal-2")


class LadderStateMachine(RuleBasedStateMachine):
    """Events on time, late, early and twice; sweeps, hands and overrides; on a manual clock.

    After every step it checks that each deal is in one stage, that what the board stores is the
    fold of the deal's events, and that no accepted event is lost. Override :meth:`make_store` for
    another store, :meth:`check` for what must hold of your own ladder.

    Attributes:
        hands: whether people move deals.
        overrides: whether they move them past the rules.
        cover: how much of the ladder a run has to reach, in percent; ``None`` asks for nothing.
        excuse: why parts of it need not be reached, by name.
        shrink_seconds: how long to look for a smaller example once one has failed. Each try plays
            a whole board, and Hypothesis alone would go on for five minutes.
    """

    pipeline: ClassVar[Pipeline]
    hands: ClassVar[bool] = True
    overrides: ClassVar[bool] = True
    cover: ClassVar[float | None] = None
    excuse: ClassVar[Mapping[str, str]] = {}
    shrink_seconds: ClassVar[float] = 15
    TestCase = BoundedTestCase()

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(START)
        self.accepted: dict[str, dict[tuple[str, str], Event]] = {deal: {} for deal in DEALS}
        self.delivered: list[Event] = []
        self.handled: set[str] = set()
        self.handlers_fail = False
        self.subject = Subject(self.pipeline)

    def make_store(self) -> Store:
        """Return an empty store; in memory unless overridden."""
        return MemoryStore()

    def make_data(self) -> DataFor | None:
        """Return the strategies for the data of each event type, if not the standard one."""
        return None

    def check(self, history: History) -> None:
        """Assert what must hold of every deal's history on your ladder; nothing by default."""

    @initialize()
    def open_board(self) -> None:
        """Open a board on an empty store."""
        self.board = Board(self.pipeline, store=self.make_store(), clock=self.clock)

    def teardown(self) -> None:
        """Close the board."""
        if hasattr(self, "board"):
            self.board.close()

    # -- what may happen ----------------------------------------------------------------------

    @rule(deal=st.sampled_from(DEALS), draw=st.data())
    def an_event_happens(self, deal: str, draw: st.DataObject) -> None:
        """Deliver an event the moment it happens."""
        self._deliver(deal, draw, self.clock.now())

    @rule(deal=st.sampled_from(DEALS), draw=st.data())
    def an_event_comes_late(self, deal: str, draw: st.DataObject) -> None:
        """Deliver an event that happened before now."""
        self._deliver(deal, draw, self.clock.now() - self._delay(draw))

    @rule(deal=st.sampled_from(DEALS), draw=st.data(), seconds=st.integers(1, 300))
    def an_event_comes_early(self, deal: str, draw: st.DataObject, seconds: int) -> None:
        """Deliver an event whose sender's clock is fast."""
        self._deliver(deal, draw, self.clock.now() + dt.timedelta(seconds=seconds))

    @precondition(lambda self: self.delivered)
    @rule(draw=st.data())
    def an_event_comes_twice(self, draw: st.DataObject) -> None:
        """Deliver a copy of a known event, with any ``seq``: nothing changes."""
        event = draw.draw(st.sampled_from(self.delivered), label="event")
        before = self.history(event.deal)
        receipt = self.board.handle(draw.draw(copies(event), label="copy"))
        expect(receipt.outcome is Outcome.DUPLICATE, f"a second delivery was {receipt.outcome}")
        expect(not receipt.moves, "a second delivery moved the deal")
        expect(self.history(event.deal) == before, "a second delivery changed the history")

    @rule(draw=st.data())
    def time_passes(self, draw: st.DataObject) -> None:
        """Let the clock go on; nobody notices."""
        self.clock.advance(self._delay(draw))

    @rule()
    def a_sweep_comes_by(self) -> None:
        """Fire every timer due by now: every deal is the fold until now."""
        report = self.board.tick()
        expect(not report.failures, f"the sweep failed: {report.failures}")
        now = self.clock.now()
        for deal in DEALS:
            events = self.board.events(deal)
            left = standing(in_order(self.pipeline.ladder, events)).events
            is_over = all(event.at <= now for event in left)
            expected = self.pipeline.fold(events, now if is_over else None)
            _expect_same(deal, self.history(deal), expected, f"a sweep at {now}")

    @precondition(lambda self: self.hands)
    @rule(deal=st.sampled_from(DEALS), draw=st.data())
    def a_person_moves(self, deal: str, draw: st.DataObject) -> None:
        """Move a deal by hand; the board may refuse, and then nothing is stored."""
        into, properties = draw.draw(hands(self.subject), label="into")
        known = self.board.events(deal)
        try:
            receipt = self.board.move(deal, into, by="Ada", properties=properties)
        except MoveNotAllowedError:
            expect(self.board.events(deal) == known, "a refused hand was recorded")
        else:
            self._note_hand(deal, into, receipt, known)

    @precondition(lambda self: self.overrides)
    @rule(deal=st.sampled_from(DEALS), draw=st.data())
    def a_person_overrides(self, deal: str, draw: st.DataObject) -> None:
        """Move a deal past the rules."""
        into, properties = draw.draw(hands(self.subject), label="into")
        known = self.board.events(deal)
        try:
            receipt = self.board.override(deal, into, by="Ada", properties=properties)
        except DealNotFoundError:
            expect(not known, f"a deal with {len(known)} events cannot be overridden")
        else:
            self._note_hand(deal, into, receipt, known)

    @precondition(lambda self: self.delivered)
    @rule(draw=st.data())
    def something_is_taken_back(self, draw: st.DataObject) -> None:
        """Withdraw an event; the deal is as if it had never been told."""
        event = draw.draw(st.sampled_from(self.delivered), label="event")
        known = self.board.events(event.deal)
        self.board.withdraw(event, by="Ada")
        for new in self.board.events(event.deal):
            if new not in known:
                self.accepted[event.deal][(new.source, new.id)] = new
        again = self.board.withdraw(event, by="Ada")
        expect(again.outcome is Outcome.DUPLICATE, f"taken back twice it was {again.outcome}")

    @rule(fails=st.booleans())
    def effects_are_delivered(self, fails: bool) -> None:
        """Deliver what is due; a handler may fail. Nothing is claimed for a visit that ended."""
        for name in {effect.name for effect in self.board.effects()} - self.handled - {TASK}:
            self.handled.add(name)
            self.board.handle_effect(name, self._handle)
        self.handlers_fail = fails
        self.board.deliver()

    # -- what must hold -----------------------------------------------------------------------

    @invariant()
    def every_deal_is_in_one_stage(self) -> None:
        """Visits tile each deal's life; what a subclass asks for holds too."""
        for deal in DEALS:
            history = self.history(deal)
            if history is not None:
                assert_single_stage(history)
                self.check(history)

    @invariant()
    def nothing_is_lost(self) -> None:
        """Every accepted event is stored, and nothing else is."""
        for deal, accepted in self.accepted.items():
            stored = {(event.source, event.id): event for event in self.board.events(deal)}
            expect(stored == accepted, f"the stored events of {deal!r} are not those accepted")

    @invariant()
    def what_waits_belongs_to_the_current_visit(self) -> None:
        """Effects are cancelled with their visit, unless they run to completion."""
        for effect in self.board.effects(states=[EffectState.PENDING, EffectState.OPEN]):
            self._check_current(effect)

    @invariant()
    def what_is_stored_is_the_fold(self) -> None:
        """Each stored history is the fold of the deal's events, up to the deal's last sweep."""
        for deal in DEALS:
            events = self.board.events(deal)
            until = self._folded_until(deal)
            expected = self.pipeline.fold(events, until)
            _expect_same(deal, self.history(deal), expected, f"stored until {until}")

    @invariant()
    def summaries_are_the_sum_of_the_deals(self) -> None:
        """Each stage and currency comes to what its deals do."""
        deals = list(self.board.deals())
        told = {(row.stage, row.currency): row for row in self.board.summary()}
        groups = {(deal.stage, deal.currency) for deal in deals}
        expect(told.keys() == groups, f"the summary is of {sorted(told, key=repr)}")
        for group, row in told.items():
            values = [deal.value for deal in deals if (deal.stage, deal.currency) == group]
            known = [value for value in values if value is not None]
            found = (row.count, row.unvalued, row.value)
            expected = (len(values), len(values) - len(known), sum(known, Decimal()))
            expect(found == expected, f"the summary of {group} is {found}, not {expected}")

    # -- help ---------------------------------------------------------------------------------

    def history(self, deal: str) -> History | None:
        """Return the stored history, ``None`` while the deal is not open."""
        try:
            return self.board.history(deal)
        except DealNotFoundError:
            return None

    def _deliver(self, deal: str, draw: st.DataObject, at: dt.datetime) -> None:
        kind, data = draw.draw(facts(self.subject, self.make_data()), label="event")
        seq = draw.draw(st.sampled_from([0, 0, 1]), label="seq")
        event = Event(kind, deal=deal, id=f"e{len(self.delivered)}", at=at, seq=seq, data=data)
        receipt = self.board.handle(event)
        self.delivered.append(event)
        self.accepted[deal][(event.source, event.id)] = event
        self._check_receipt(receipt, event)

    def _check_receipt(self, receipt: Receipt, event: Event) -> None:
        history = self.history(event.deal)
        if history is None:
            expected = Outcome.WAITING
        else:
            made = [move for move in history.moves if move.event == event]
            opened = bool(made) and made[0].out_of is None
            moved = Outcome.MOVED if made else Outcome.STAYED
            expected = Outcome.OPENED if opened else moved
        expect(
            receipt.outcome is expected,
            f"event {event.id!r} was answered with {receipt.outcome}, and it was {expected}",
        )
        stands = None if history is None else history.deal
        shown = receipt.deal_or_none
        expect(shown == stands, f"the receipt shows {shown}, stored is {stands}")

    def _note_hand(self, deal: str, into: str, receipt: Receipt, known: list[Event]) -> None:
        new = [event for event in self.board.events(deal) if event not in known]
        expect(len(new) == 1, f"a hand is exactly one event, not {new}")
        hand = new[0]
        self.accepted[deal][(hand.source, hand.id)] = hand
        made = [move.into for move in self.board.history(deal).moves if move.event == hand]
        expect(made == [into], f"the hand into {into!r} made the moves into {made}")
        outcomes = (Outcome.MOVED, Outcome.OPENED)
        expect(receipt.outcome in outcomes, f"the hand was answered with {receipt.outcome}")

    def _folded_until(self, deal: str) -> dt.datetime | None:
        with self.board.store.transaction(write=False) as transaction:
            pipeline = transaction.pipeline(self.pipeline.name)
            assert pipeline is not None
            stored, _, _ = transaction.load(pipeline.id, deal, create=False)
        return None if stored is None else stored_until(stored)

    def _handle(self, delivery: Delivery) -> None:
        for effect in self.board.effects(delivery.deal.id):
            if effect.key == delivery.key:
                self._check_current(effect)
        if self.handlers_fail:
            raise ConnectionError("the state machine lets this delivery fail")

    def _check_current(self, effect: Effect) -> None:
        history = self.history(effect.deal)
        current = None if history is None else history.visits[-1].key
        expect(
            effect.run_to_completion or effect.visit_key == current,
            f"effect {effect.name!r} of {effect.deal!r} is {effect.state} after its visit",
        )

    def _delay(self, draw: st.DataObject) -> dt.timedelta:
        """Return a time around which a timer may be due."""
        delays = [*self.subject.delays, sum(self.subject.delays, dt.timedelta())]
        delay: dt.timedelta = draw.draw(st.sampled_from(delays), label="delay")
        shift: int = draw.draw(st.sampled_from([0, 0, 1, -1]), label="microseconds")
        return max(delay + dt.timedelta(microseconds=shift), dt.timedelta())


def ladder_state_machine(
    pipeline: Pipeline,
    *,
    make_store: Callable[[], Store] | None = None,
    data: DataFor | None = None,
    hands: bool = True,
    overrides: bool = True,
    cover: float | None = None,
    excuse: Mapping[str, str] | None = None,
    shrink_seconds: float = LadderStateMachine.shrink_seconds,
) -> type[LadderStateMachine]:
    """Return a state machine that tries boards of this pipeline.

    Run it with ``TestMyLadder = ladder_state_machine(my_pipeline).TestCase``, or subclass it and
    override :meth:`LadderStateMachine.check`.

    Args:
        make_store: called for an empty store at the start of each run.
        data: from an event type to a strategy for its data; needed when the pipeline has a
            reducer that wants something else than the standard one.
        hands: whether people move deals.
        overrides: whether they move them past the rules.
        cover: how much of the ladder the run has to reach, in percent, or it fails and names what
            no example reached; see :func:`~ladderpipe.testing.covering`.
        excuse: why parts of it need not be reached, by name; ``*`` stands for any letters.
        shrink_seconds: how long to look for a smaller example once one has failed.

    Raises:
        ValueError: an excuse has no reason.
    """
    members: dict[str, Any] = {
        "pipeline": pipeline,
        "hands": hands,
        "overrides": overrides,
        "cover": cover,
        "excuse": checked_excuses(excuse or {}),
        "shrink_seconds": shrink_seconds,
        "__doc__": LadderStateMachine.__doc__,
    }
    if data is not None:
        members["make_data"] = lambda self: data
    if make_store is not None:
        members["make_store"] = lambda self: make_store()
    return type("LadderOf" + pipeline.name.title().replace("-", ""), (LadderStateMachine,), members)


def _expect_same(deal: str, stored: History | None, expected: History | None, when: str) -> None:
    """Assert that a stored history is the expected one, but for when it was recorded."""
    if stored is None or expected is None:
        expect(stored is expected, f"{when}: {deal!r} is stored as {stored}, folds to {expected}")
        return
    moves = tuple(move._replace(recorded_at=None) for move in stored.moves)
    for what, one, other in (
        ("moves", moves, expected.moves),
        ("visits", stored.visits, expected.visits),
        ("facts", stored.deal, expected.deal),
    ):
        expect(one == other, f"{when}: the {what} of {deal!r} are stored as {one}, not {other}")


publish("ladderpipe.testing", LadderStateMachine, ladder_state_machine)
