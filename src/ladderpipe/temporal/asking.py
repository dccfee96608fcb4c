"""A deal's side of its customer: what it tells the customer's workflows, and what it asks them.

The send policy is the board's own (:mod:`ladderpipe.board.ask`). What is here lays what the
customer's workflows know over the deal's own memory, where in a store the other deals would stand.
"""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import attrs
from temporalio import workflow
from temporalio.common import RetryPolicy

from ..board.ask import Answer, ask
from ..board.claim import Claim, bring_up_to_date
from ..board.customers import keys_of
from ..board.session import Session
from ..errors import DefinitionError
from ..ladder.plain import Part
from ..ladder.policy_reader import policy
from ..model.clock import instant_text
from ..model.customer import HASHED, Channel, address_key, address_of, hashed
from ..model.effect import Drop, Later
from ..model.event import BY_HAND, EDITED, OVERRIDE, WITHDRAW, Event
from ..model.held import HeldKind
from ..pipeline import Pipeline
from ..stores import MemoryStore
from ..stores.base import EffectRow, Subscription
from .companion import Begin
from .customer import LEASE, ask_name
from .known import Known
from .settings import DealSettings

__all__ = ["Customers", "effect_to", "with_customers"]

HANDS: Final = (BY_HAND, OVERRIDE, EDITED, WITHDRAW)
MOST_HANDS: Final = 100
"""How many hands of one deal its customer is told of, the latest."""
LONGEST_CAP: Final = dt.timedelta(days=366)
RETRY: Final = RetryPolicy(maximum_interval=dt.timedelta(minutes=1))
AT_ONCE: Final = dt.timedelta(seconds=1)

Told = dict[str, Any]


def with_customers(settings: DealSettings) -> DealSettings:
    """Return the settings of deals whose send policy is asked of their customers.

    The deal's own board has none: alone it does not know what the policy is about.

    Raises:
        DefinitionError: there is no secret that all deals share, or a cap looks back too far.
    """
    pipeline = settings.pipeline
    assert pipeline.send is not None
    if not settings.secret:
        raise DefinitionError(
            f"pipeline {pipeline.name!r} has a send policy, and customers are known by hashes that "
            "all its deals must agree on: give LadderPlugin(secret=...), 32 random bytes that "
            "never change"
        )
    for cap in pipeline.send.caps:
        if cap.span > LONGEST_CAP:
            raise DefinitionError(
                f"{cap} looks further back than a customer's workflow remembers: at most "
                f"{LONGEST_CAP.days} days"
            )
    alone = copy.copy(pipeline)
    alone.send = None
    begin: Begin = functools.partial(Customers, pipeline)
    companions = {**settings.companions, "customers": begin}
    return attrs.evolve(settings, pipeline=alone, companions=companions)


class Customers:
    """What one run of a deal's workflow has to do with its customers.

    Args:
        pipeline: the ladder with its policy; the deal's own board has none, and leaves that to
            this.
        told: what they were told last, by hash of the key, from the run before.
    """

    def __init__(
        self, pipeline: Pipeline, session: Session, deal: str, told: Mapping[str, Told] | None
    ) -> None:
        self._pipeline = pipeline
        self._session = session
        self._deal = deal
        self._told = dict(told or {})
        self._telling: asyncio.Task[None] | None = None
        self.deciding: set[str] = set()

    # -- telling ------------------------------------------------------------------------------

    async def known(self) -> None:
        """Wait until a purchase is known, a new address, and who wants to be written to no more.

        So nothing is claimed for the customer's other deals once whoever told this has the answer.
        """
        if self._has_urgent_news():
            self.changed()
            await workflow.wait_condition(lambda: not self._has_urgent_news())

    def _has_urgent_news(self) -> bool:
        return any(
            _urgent(report) != _urgent(self._told.get(key)) for key, report in self.news().items()
        )

    @property
    def is_behind(self) -> bool:
        """Whether there is anything that a baseline would take away; it takes nothing of this."""
        return False

    def carried(self) -> dict[str, Told]:
        """Return what they were told last."""
        return self._told

    def changed(self) -> None:
        """Tell them how the deal stands, if that is news to them; one telling at a time."""
        if (self._telling is None or self._telling.done()) and self.news():
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        while news := self.news():
            now = instant_text(workflow.now())
            reports = [(key, {**report, "at": now}) for key, report in sorted(news.items())]
            await self._ask("report", reports)
            for key, report in news.items():
                self.told_of(key, report)

    def told_of(self, key: str, report: Told) -> None:
        """Note what a key was told; of one that has nothing more to do with the deal, nothing."""
        if report["holds"] or report["sent"] or report["waiting"] or report["said"]:
            self._told[key] = report
        else:
            self._told.pop(key, None)

    def news(self) -> dict[str, Told]:
        """Return what each key has to be told, by its hash."""
        stands = self._standing()
        gone = {
            key: self._report(None, (), (), (), ()) for key in self._told.keys() - stands.keys()
        }
        return {
            key: report
            for key, report in {**stands, **gone}.items()
            if report != self._told.get(key)
        }

    def _standing(self) -> dict[str, Told]:
        session = self._session
        with session.reading() as transaction:
            stored, _, _ = transaction.load(session.number, self._deal, create=False)
            held = [
                row
                for row in transaction.held(session.number)
                if row.discarded_at is None and row.kind != HeldKind.COPY
            ]
            if stored is None:
                return {}
            keys = {hashed(session.secret, key): "" for key in keys_of(stored.customer)}
            hands = [e for e, _ in transaction.events(stored.id) if e.type in HANDS]
            effects = transaction.effects(session.number, stored.id, None)
        assert isinstance(session.store, MemoryStore)
        said = session.store._tables.subscriptions
        # What is being decided about is claimed here, but may yet be dropped.
        sent = [row for row in effects if _is_sent(row) and row.key not in self.deciding]
        waits = [row for row in effects if row.state == "pending" and row.delayed_until]
        addresses = {row.address for row in (*sent, *waits) if row.address is not None}
        return {
            key: self._report(
                stored if key in keys else None,
                [] if key not in keys else [_hand_to(hand) for hand in hands[-MOST_HANDS:]],
                [effect_to(row, self._pipeline.name) for row in sent if row.address == key],
                [effect_to(row, self._pipeline.name) for row in waits if row.address == key],
                [_said_to(each) for each in sorted(said.get(key, ()))],
                [] if key not in keys else [[row.key, row.type] for row in held],
            )
            for key in sorted({*keys, *addresses, *said})
        }

    def _report(
        self,
        stored: Any,
        hands: Sequence[Told],
        sent: Sequence[Told],
        waiting: Sequence[Told],
        said: Sequence[Told],
        held: Sequence[list[str]] = (),
    ) -> Told:
        stage = None if stored is None or stored.stage is None else stored.stage
        is_won = stage is not None and self._pipeline.stage(stage).status == "won"
        closed_at = None if stored is None else stored.closed_at
        return {
            "pipeline": self._pipeline.name,
            "deal": self._deal,
            "holds": stored is not None,
            "stage": stage,
            "is_won": is_won,
            "closed_at": None if closed_at is None else instant_text(closed_at),
            "hands": list(hands),
            "held": list(held),
            "sent": list(sent),
            "waiting": list(waiting),
            "said": list(said),
        }

    # -- asking -------------------------------------------------------------------------------

    async def may_send(self, taken: Claim) -> Later | Drop | None:
        """Ask the policy about a claimed effect, with all that its customer's workflows know."""
        row = self.row_to_ask_about(taken)
        recipient = taken.delivery.recipient
        if row is None or recipient is None:
            return None
        try:
            answer = await self._asked(row, recipient.removeprefix(HASHED), taken.delivery.attempt)
        finally:
            self.deciding.discard(row.key)
        if answer is None:
            return Later(workflow.now() + AT_ONCE, "the deal or its customer changed meanwhile")
        return _answered(answer)

    def row_to_ask_about(self, taken: Claim) -> EffectRow | None:
        """Return the effect of a claim that the policy is about, as it was before the claim."""
        session, delivery = self._session, taken.delivery
        with session.reading() as transaction:
            row = transaction.effect(session.number, delivery.key)
        if row is None or row.purpose != "marketing" or delivery.recipient is None:
            return None
        self.deciding.add(row.key)
        was_delayed = taken.decided and taken.decided[-1].outcome == "delayed"
        return row._replace(delayed_until=taken.decided[-1].until if was_delayed else None)

    async def _asked(self, row: EffectRow, address: str, attempt: int) -> Answer | None:
        """Hold the customer's keys, decide, and let go of them; ``None`` to ask anew."""
        began = workflow.now()
        own = {hashed(self._session.secret, key): key for key in self.customer_keys()}
        keys = sorted({*own, address})
        by = f"{row.key}#{attempt}"
        effect = {**effect_to(row, self._pipeline.name), "at": instant_text(began)}
        holds = [(key, {"by": by, "effect": effect if key == address else None}) for key in keys]
        found = await self._ask("hold", holds)
        known = Known(
            self._pipeline.name,
            self._deal,
            address,
            own,
            dict(zip(keys, found["told"], strict=True)),
        )
        asked = _by_policy(self._pipeline, found["policy"])
        # Whoever waited longer for the same keys may have thought that this deal is gone.
        is_in_time = workflow.now() - began <= LEASE / 2
        answer = self.decided(row, known, asked) if is_in_time else None
        is_sent = answer is not None and (answer.what == "send" or answer.counts)
        effect["stays"] = answer is not None and answer.counts
        settled = [
            {
                "by": by,
                "effect": effect,
                "counts": is_sent and key == address,
                "arm": known.arm if key in own or not own else None,
            }
            for key in keys
        ]
        await self._ask("release", list(zip(keys, settled, strict=True)))
        return answer

    async def _ask(self, update: str, told: Sequence[tuple[str, Told]]) -> Told:
        answer: Told = await workflow.execute_activity(
            ask_name(self._pipeline.name),
            args=[update, [[key, each] for key, each in told]],
            start_to_close_timeout=2 * LEASE,
            retry_policy=RETRY,
        )
        return answer

    def customer_keys(self) -> tuple[str, ...]:
        """Return the keys that the deal has now."""
        with self._session.reading() as transaction:
            stored, _, _ = transaction.load(self._session.number, self._deal, create=False)
        return () if stored is None else keys_of(stored.customer)

    def decided(self, row: EffectRow, known: Known, asked: Pipeline) -> Answer | None:
        """Return what the policy says; ``None`` if the deal has gone on, or the contact.

        Args:
            asked: the ladder with the policy.
        """
        session = attrs.evolve(self._session, pipeline=asked)
        with self._session.writing() as unit:
            seen, standing = bring_up_to_date(unit, row)
            unit.flush()
            if seen is None or standing is None:
                return None
            channel = cast(Channel, row.channel)
            key = address_key(channel, address_of(standing.deal.contact, channel))
            if key is None or hashed(session.secret, key) != known.address:
                return None
            own_keys = keys_of(standing.stored.customer)
            if set(own_keys) != known.keys:
                return None
            own, unit.transaction = unit.transaction, known.over(unit)
            try:
                return ask(session, unit, row, standing.deal, standing.stored, key, own_keys)
            finally:
                unit.transaction = own


def _by_policy(pipeline: Pipeline, told: Mapping[str, Any]) -> Pipeline:
    """Return a ladder with the policy that whoever was asked had then.

    It is read out of the workflow's history, so that a replay decides as it was decided, whatever
    the policy is by then.
    """
    found = copy.copy(pipeline)
    found.zone = told["zone"]
    calendars = pipeline.calendars
    found.send = policy(Part("send", told["send"]), lambda part: calendars[part.text()])
    return found


def _answered(answer: Answer) -> Later | Drop | None:
    if answer.what == "send":
        return None
    if answer.what == "drop":
        return Drop(answer.because)
    assert answer.until is not None
    return Later(answer.until, answer.because)


def _urgent(report: Told | None) -> tuple[Any, ...]:
    return (None, []) if report is None else (report["closed_at"], report["said"])


def _is_sent(row: EffectRow) -> bool:
    return (
        row.sent_at is not None
        and row.purpose == "marketing"
        and row.state in ("delivered", "claimed", "dropped")
    )


def effect_to(row: EffectRow, pipeline: str) -> Told:
    """Return what others have to know of an effect."""
    return {
        "key": row.key,
        "name": row.name,
        "pipeline": pipeline,
        "deal": row.deal,
        "due_at": instant_text(row.due_at),
        "at": instant_text(row.sent_at or row.due_at),
    }


def _hand_to(hand: Event) -> Told:
    """Return of a hand what tells whether it is talk; what was said is nobody else's."""
    data = {name: hand.data[name] for name in ("quiet", "source", "id") if name in hand.data}
    if hand.data.get("note"):
        data["note"] = "…"
    return {**hand.to_dict(), "data": data}


def _said_to(said: Subscription) -> Told:
    told = said._asdict()
    return {
        **{name: told[name] for name in ("wanted", "seq", "source", "id")},
        "at": instant_text(said.at),
    }
