"""A send policy says of deals that live apart what it says of the same deals in one store."""

from __future__ import annotations

import copy
import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import Backoff, Board, Event, ManualClock, Pipeline, Stage, by_hand, do, on, wait
from ladderpipe.board.ask import Answer
from ladderpipe.board.claim import Claim, claim, give_up, put_off
from ladderpipe.errors import LadderError
from ladderpipe.model.clock import instant_text
from ladderpipe.model.customer import HASHED, hashed
from ladderpipe.model.effect import Effect
from ladderpipe.policy import Policy, at_most, bought, in_conversation, unsubscribed
from ladderpipe.temporal.asking import Customers, effect_to
from ladderpipe.temporal.known import Known
from ladderpipe.temporal.ledger import Ledger

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
SOON = Backoff(first=0.001, longest=0.001)
SECRET = b"a secret of all deals, and no more"
DEALS = ("one", "two", "three")
WHOM = {
    "ada": {"email": "ada@example.com"},
    "ada's phone": {"id": "7", "phone": "+39 1"},
    "both": {"email": "ada@example.com", "id": "7"},
    "bob": {"email": "bob@example.com", "id": "8"},
}


def ladder(policy: Policy | None) -> Pipeline:
    soon = do("email", to="customer", expires=dt.timedelta(hours=30, minutes=30))
    again: list[Any] = [wait(hours=7), do("email", to="customer")]
    new = Stage("new", sequence=[soon, *again, *again, *again])
    asked = Stage("asked", sequence=[*again, do("sms", to="customer"), *again])
    won = Stage("won", status="won", sequence=[do("email", to="customer")])
    return Pipeline(
        "shop",
        stages=[new, asked, won],
        rules=[
            on("opened", into=new, opens=True, out_of=won),
            on("asked", into=asked),
            on("ordered", into=won, opens=True),
            by_hand(into=asked, out_of=new),
        ],
        send=policy,
    )


# No span ends at the very moment of a step, when a microsecond decides.
ONE_IN_HOURS = [at_most(1, hours=16.0125)]
SOME_IN_DAYS = [at_most(2, days=1.0005), at_most(3, days=7.0005)]
STOPS = [bought, unsubscribed, in_conversation]
POLICIES = st.builds(
    Policy,
    stop_when=st.sampled_from([[], [bought], [unsubscribed], [in_conversation], STOPS]),
    caps=st.sampled_from([[], ONE_IN_HOURS, SOME_IN_DAYS]),
    beyond=st.sampled_from(["delay", "drop"]),
    quiet=st.sampled_from([None, None, ("21:00", "08:00")]),
    holdout=st.sampled_from([0.0, 0.0, 0.5, 0.95]),
    over=st.sampled_from(["customer", "customer", "deal"]),
)
KINDS = [
    *("opened", "opened", "asked", "ordered", "contact.unsubscribed", "contact.subscribed"),
    *("looked", "note", "note", "owner", "hand", "hand", "withdraw", "forgotten"),
]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.sampled_from(DEALS),
        st.sampled_from(["ada", "both", *sorted(WHOM)]),
        st.sampled_from([1, 5, 9, 20]),
    ),
    min_size=4,
    max_size=20,
)
Step = tuple[str, str, str, int]


def do_step(board: Board, step: Step, number: int, now: dt.datetime) -> None:
    kind, deal, whom, _ = step
    given: Any = {"by": "ada", "id": f"hand-{number}"}
    try:
        if kind in ("note", "owner"):
            given |= {"note": "called"} if kind == "note" else {"owner": "al"}
            board.edit(deal, **given)
        elif kind == "forgotten":
            board.edit(deal, contact={"email": None}, **given)
        elif kind == "hand":
            board.move(deal, "asked", **given)
        elif kind == "withdraw":
            own = [event for event in board.events(deal) if event.type != "ladder.withdraw"]
            board.withdraw(own[-1], reason="so", **given)
        else:
            data = {"contact": WHOM[whom]}
            board.handle(Event(kind, deal=deal, id=str(number), at=now, source="web", data=data))
    except (LadderError, IndexError):
        pass  # nothing to take hold of, in the one world as in the other


class Together:
    """All deals in one store."""

    def __init__(self, policy: Policy, clock: ManualClock) -> None:
        self.board = Board(ladder(policy), clock=clock, backoff=SOON)
        with self.board.store.transaction() as transaction:
            transaction._tables.secrets["hashes"] = SECRET  # type: ignore[attr-defined]
        self.board._session.secret = SECRET
        self.sent: list[str] = []
        for name in ("email", "sms"):
            self.board.handle_effect(name, lambda delivery: self.sent.append(delivery.key))

    def step(self, step: Step, number: int, now: dt.datetime) -> None:
        do_step(self.board, step, number, now)
        self.board.deliver()

    def effects(self) -> list[Effect]:
        return sorted(self.board.effects(), key=lambda effect: effect.key)


class Apart:
    """Each deal with a memory of its own, and what its customers are told."""

    def __init__(self, policy: Policy, clock: ManualClock) -> None:
        self._clock = clock
        whole = self._whole = ladder(policy)
        bare = copy.copy(whole)
        bare.send = None
        self._boards = {deal: Board(bare, clock=clock, backoff=SOON) for deal in DEALS}
        self._customers = {}
        for deal, board in self._boards.items():
            board._session.secret = SECRET
            self._customers[deal] = Customers(whole, board._session, deal, {})
        self._ledgers: dict[str, Ledger] = {}
        self._reports = 0
        self.sent: list[str] = []

    def _ledger(self, key: str) -> Ledger:
        known = self._ledgers.get(key)
        # What a workflow holds has been JSON in between.
        return self._ledgers.setdefault(key, Ledger({}) if known is None else known)

    def step(self, step: Step, number: int, now: dt.datetime) -> None:
        do_step(self._boards[step[1]], step, number, now)
        self._report()
        ready = []
        for deal, board in self._boards.items():
            with board._session.reading() as transaction:
                rows = transaction.effects(board._session.number, None, ("pending",))
            ready += [(row.ready_at, row.key, deal) for row in rows if row.ready_at <= now]
        for _, key, deal in sorted(ready):
            self._send(deal, key)
            self._report()

    def _report(self) -> None:
        for customers in self._customers.values():
            for key, report in customers.news().items():
                self._reports += 1
                at = self._clock.now() + dt.timedelta(microseconds=self._reports)
                self._ledger(key).report({**report, "at": instant_text(at)})
                customers.told_of(key, report)

    def _send(self, deal: str, key: str) -> None:
        session, customers = self._boards[deal]._session, self._customers[deal]
        with session.writing() as unit:
            row = unit.transaction.effect(unit.number, key)
            assert row is not None
            taken = claim(session, unit, row)
        if not isinstance(taken, Claim):
            return
        answer = self._asked(deal, taken)
        with session.writing() as unit:
            if answer is None or answer.what == "send":
                unit.transaction.settle_effect(key, "delivered", lease=taken.lease)
                self.sent.append(key)
            elif answer.what == "drop":
                give_up(unit, taken, answer.because)
            else:
                assert answer.until is not None
                put_off(session, unit, taken, answer.until, answer.because)
        customers.deciding.discard(key)

    def _asked(self, deal: str, taken: Claim) -> Answer | None:
        session, customers = self._boards[deal]._session, self._customers[deal]
        row = customers.row_to_ask_about(taken)
        if row is None:
            return None
        assert taken.delivery.recipient is not None
        address = taken.delivery.recipient.removeprefix(HASHED)
        own = {hashed(session.secret, each): each for each in customers.customer_keys()}
        facts = {key: self._ledger(key).facts() for key in {*own, address}}
        known = Known("shop", deal, address, own, facts)
        answer = customers.decided(row, known, self._whole)
        assert answer is not None
        effect = {**effect_to(row, "shop"), "at": instant_text(self._clock.now())}
        effect["stays"] = answer.counts
        is_sent = answer.what == "send" or answer.counts
        for key in facts:
            arm = known.arm if key in own or not own else None
            counts = is_sent and key == address
            self._ledger(key).settle({"effect": effect, "counts": counts, "arm": arm})
        return answer

    def effects(self) -> list[Effect]:
        found = [effect for board in self._boards.values() for effect in board.effects()]
        return sorted(found, key=lambda effect: effect.key)


def told_of(effect: Effect) -> Mapping[str, Any]:
    """Return of an effect what both worlds must agree in.

    Which of several deals is named where each is reason enough is their order, and what is late is
    so to the second.
    """
    decisions = [
        (
            each.outcome,
            re.sub(r"'\w+'", "…", each.because or ""),
            each.until and each.until.replace(microsecond=0),
        )
        for each in effect.decisions
    ]
    return {"key": effect.key, "state": effect.state, "decisions": decisions}


@given(POLICIES, STEPS)
@settings(max_examples=150)
def test_a_policy_says_the_same_of_deals_that_live_apart(policy: Policy, steps: list[Step]) -> None:
    clocks = ManualClock(START), ManualClock(START)
    together, apart = Together(policy, clocks[0]), Apart(policy, clocks[1])
    at = START
    # All are the customer's from the start, so that what is told of one matters to the others.
    opened = [("opened", deal, "both", 0) for deal in DEALS]
    for number, step in enumerate([*opened, *steps]):
        at += dt.timedelta(hours=step[3], minutes=1)
        for clock in clocks:
            clock.advance(microseconds=(at - clock.now()) / dt.timedelta(microseconds=1))
        together.step(step, number, at)
        apart.step(step, number, at)

    assert list(map(told_of, apart.effects())) == list(map(told_of, together.effects()))
    assert sorted(apart.sent) == sorted(together.sent)
