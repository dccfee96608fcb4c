"""Bringing deals over from another system: their past as it was, the ladder's rules from now on."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from ..errors import InvalidEventError, LadderError
from ..fold.order import in_order
from ..fold.unfolding import Unfolding
from ..model.clock import instant_text
from ..model.deal_import import ImportReport, OverdueDeal, RefusedDeal, Stay, ToldDeal
from ..model.event import SEQUENCE_FROM, TIMERS_FROM, TOLD, Event
from ..model.refusals import Refusals
from ..stores.base import chunks
from .batch import handle_many
from .read import stored_deal
from .session import Session

__all__ = ["import_deals"]

DEALS: Final = 200
"""How many deals are brought over in one transaction."""
KEPT: Final = 100
"""How many overdue deals a report holds; all are counted, and told to ``on_overdue``."""
_SKEW: Final = dt.timedelta(minutes=5)
_MERGED: Final = ("contact", "properties")


@attrs.frozen(kw_only=True)
class Asked:
    """How deals are to be brought over; see :meth:`ladderpipe.Board.import_deals`."""

    source: str
    now: dt.datetime
    grace: dt.timedelta | None
    start_sequences: bool


def import_deals(
    session: Session,
    deals: Iterable[ToldDeal | RefusedDeal],
    *,
    source: str,
    grace: dt.timedelta | None,
    start_sequences: bool,
    dry_run: bool,
    on_overdue: Callable[[OverdueDeal], None] | None,
    on_refused: Callable[[str, str], None] | None,
) -> ImportReport:
    """Bring deals over, two hundred to a transaction; one that cannot be is left out."""
    if grace is not None and grace < dt.timedelta():
        raise ValueError(f"grace={grace} must not be negative")
    asked = Asked(source=source, now=session.now(), grace=grace, start_sequences=start_sequences)
    work = _Import(session, asked, dry_run, on_overdue, on_refused)
    for part in chunks(deals, DEALS):
        work.take(part)
    return work.report()


class _Import:
    """One import: plans deals, writes them and counts."""

    def __init__(
        self,
        session: Session,
        asked: Asked,
        dry_run: bool,
        on_overdue: Callable[[OverdueDeal], None] | None,
        on_refused: Callable[[str, str], None] | None,
    ) -> None:
        self._session = session
        self._asked = asked
        self._dry_run = dry_run
        self._on_overdue = on_overdue
        self._on_refused = on_refused
        self._refused, self._doubts = Refusals(), Refusals()
        self._counts: Counter[str] = Counter()
        self._stages: Counter[str] = Counter()
        self._owners: Counter[str | None] = Counter()
        self._currencies: Counter[str | None] = Counter()
        self._overdue: Counter[tuple[str, str]] = Counter()
        self._overdue_deals: list[OverdueDeal] = []
        self._first: dt.datetime | None = None
        self._last: dt.datetime | None = None

    def take(self, told: Sequence[ToldDeal | RefusedDeal]) -> None:
        """Bring some deals over, all in one transaction."""
        deals = [each for each in told if isinstance(each, ToldDeal)]
        for each in told:
            if isinstance(each, RefusedDeal):
                self._refuse(each.where, each.reason)
        known = self._known(deals)
        plans: dict[str, _Plan] = {}
        for deal in deals:
            try:
                if deal.id in plans:
                    raise InvalidEventError(f"deal {deal.id!r} is told twice: it may be told once")
                plans[deal.id] = _Plan(self._session, self._asked, deal, known.get(deal.id, []))
            except LadderError as error:
                self._refuse(_place(deal), str(error))
        failed: set[str] = set()
        events = [event for plan in plans.values() for event in plan.events]
        if events and not self._dry_run:
            # In one batch, so that of each deal only the stage it ends with begins anything.
            report = handle_many(self._session, events, quiet=True, batch=len(events))
            for failure in report.failures:
                deal_id = failure.event.deal
                if deal_id not in failed:
                    self._refuse(_place(plans[deal_id].deal), str(failure.error))
                failed.add(deal_id)
        for plan in plans.values():
            if plan.deal.id not in failed:
                self._count(plan)

    def _known(self, deals: Sequence[ToldDeal]) -> dict[str, list[Event]]:
        """Return the events of those deals that the store has, by deal."""
        with self._session.reading() as transaction:
            rows = {}
            for deal in deals:
                stored, _ = stored_deal(self._session, transaction, deal.id)
                if stored is not None:
                    rows[stored.id] = deal.id
            found = transaction.events_of(list(rows)) if rows else {}
            return {rows[number]: [event for event, _ in told] for number, told in found.items()}

    def _refuse(self, where: str, reason: str) -> None:
        self._refused.note(where, reason)
        if self._on_refused is not None:
            self._on_refused(where, reason)

    def _count(self, plan: _Plan) -> None:
        deal, data = plan.deal, {**plan.deal.facts, **plan.deal.closing}
        self._counts["deals"] += 1
        self._counts["new"] += plan.is_new
        self._counts["changed"] += bool(plan.events) and not plan.is_new
        self._counts["events"] += len(plan.events)
        self._counts["undated"] += deal.stays[-1].at is None
        self._stages[deal.stays[-1].stage] += 1
        self._owners[_text(data.get("owner"))] += 1
        self._currencies[_text(data.get("currency"))] += 1
        for doubt in (*deal.doubts, *plan.doubts):
            self._doubts.note(_place(deal), doubt)
        times = [stay.at for stay in deal.stays if stay.at is not None]
        if times:
            first, last = min(times), max(times)
            self._first = first if self._first is None else min(first, self._first)
            self._last = last if self._last is None else max(last, self._last)
        if plan.overdue is not None:
            self._overdue[plan.overdue.stage, plan.overdue.into] += 1
            if len(self._overdue_deals) < KEPT:
                self._overdue_deals.append(plan.overdue)
            if self._on_overdue is not None:
                self._on_overdue(plan.overdue)

    def report(self) -> ImportReport:
        """Return what was counted."""
        return ImportReport(
            at=self._asked.now,
            dry_run=self._dry_run,
            **{name: self._counts[name] for name in ("deals", "new", "changed", "events")},
            stages={s.key: n for s in self._session.pipeline.stages if (n := self._stages[s.key])},
            owners=dict(self._owners.most_common()),
            currencies=dict(self._currencies.most_common()),
            undated=self._counts["undated"],
            refused=self._refused.groups(),
            doubts=self._doubts.groups(),
            overdue=dict(self._overdue.most_common()),
            overdue_deals=tuple(self._overdue_deals),
            first_at=self._first,
            last_at=self._last,
        )


class _Plan:
    """What has to be told of one deal, beside what is known of it.

    Attributes:
        is_new: whether the board knows nothing of it.
        events: what is new.
        overdue: that its timer was due before the import, if it was.
        doubts: what is not told, and why.

    Raises:
        LadderError: it cannot be brought over.
    """

    def __init__(
        self, session: Session, asked: Asked, deal: ToldDeal, known: Sequence[Event]
    ) -> None:
        self.deal = deal
        self.is_new = not known
        self.doubts: list[str] = []
        self.overdue: OverdueDeal | None = None
        self._session = session
        self._asked = asked
        self._known = known
        self._mine = [e for e in known if e.type == TOLD and e.source == asked.source]
        self.events = self._tell()
        self._hold_rules()
        self._refuse_unusable()

    def _tell(self) -> list[Event]:
        """Return the events that say what is not known yet."""
        stays = self._stays()
        told = {event.id for event in self._mine}
        found: list[Event] = []
        for n, (stay, at, seq) in enumerate(stays):
            id = self._id(stay)
            if id in told or self._stands_there(stay, n == len(stays) - 1):
                continue
            data: dict[str, Any] = {"stage": stay.stage}
            if not self._mine and n == 0:
                data |= self.deal.facts
            if not self._mine and n == len(stays) - 1:
                data = _merged(data, self.deal.closing)
            found.append(self._event(id, at, seq, data))
        news = self._news() if self._mine else {}
        if news:
            # It is the last thing told, and moves nothing: whatever happened here since stands.
            id = f"{self.deal.id}/facts/{instant_text(self._asked.now)}"
            found.append(self._event(id, self._asked.now, 0, news))
        return found

    def _stays(self) -> list[tuple[Stay, dt.datetime, int]]:
        """Return the stays with their instants, and their order where several share one."""
        ladder, now = self._session.pipeline.ladder, self._asked.now
        if not self.deal.stays:
            raise InvalidEventError(f"deal {self.deal.id!r} is in no stage: say which it is in")
        found: list[tuple[Stay, dt.datetime, int]] = []
        last = len(self.deal.stays) - 1
        for n, stay in enumerate(self.deal.stays):
            ladder.stage(stay.stage)
            at = stay.at
            if at is not None and at > now + _SKEW:
                self.doubts.append(
                    f"it is to enter stage {stay.stage!r} on {at.date().isoformat()}, after the "
                    "import: that date is left out"
                )
                at = None
            if at is None and n < last:
                continue
            at = now if at is None else at
            if found and at < found[-1][1]:
                raise InvalidEventError(
                    f"deal {self.deal.id!r} entered stage {stay.stage!r} before it entered "
                    f"{found[-1][0].stage!r}, which comes before: tell its stays in their order"
                )
            seq = found[-1][2] + 1 if found and at == found[-1][1] else 0
            found.append((stay, at, seq))
        return found

    def _id(self, stay: Stay) -> str:
        if self._is_undated(stay):
            return f"{self.deal.id}/{stay.stage}/?{instant_text(self._asked.now)}"
        assert stay.at is not None
        return f"{self.deal.id}/{stay.stage}/{instant_text(stay.at)}"

    def _is_undated(self, stay: Stay) -> bool:
        return stay.at is None or stay.at > self._asked.now + _SKEW

    def _stands_there(self, stay: Stay, is_last: bool) -> bool:
        """Return whether nothing more is known than what was told: the stage it is in."""
        if not is_last or not self._is_undated(stay):
            return False
        staged = [event for event in self._mine if event.data.get("stage") is not None]
        if not staged:
            return False
        last = in_order(self._session.pipeline.ladder, staged)[-1]
        return bool(last.data["stage"] == stay.stage)

    def _event(self, id: str, at: dt.datetime, seq: int, data: Mapping[str, Any]) -> Event:
        return Event(
            TOLD, deal=self.deal.id, id=id, at=at, source=self._asked.source, seq=seq, data=data
        )

    def _news(self) -> dict[str, Any]:
        """Return what the deal's facts say otherwise than was told before."""
        told: dict[str, Any] = {}
        for event in in_order(self._session.pipeline.ladder, self._mine):
            told = _merged(told, event.data)
        said = _merged(self.deal.facts, self.deal.closing)
        news: dict[str, Any] = {}
        for name, value in said.items():
            before = told.get(name)
            if name in _MERGED and isinstance(value, Mapping):
                parts = before if isinstance(before, Mapping) else {}
                value = {key: part for key, part in value.items() if parts.get(key) != part}
                if value:
                    news[name] = value
            elif value != before:
                news[name] = value
        if "value" in news and "currency" in said:
            news["currency"] = said["currency"]
        return news

    def _hold_rules(self) -> None:
        """Say from when the timers and the sequence of the present stage count."""
        if not self.events:
            return
        ladder, now = self._session.pipeline.ladder, self._asked.now
        staged = [e for e in self._mine if "stage" in e.data]
        ordered = in_order(ladder, [*staged, *(e for e in self.events if "stage" in e.data)])
        if not ordered or ordered[-1] not in self.events:
            return
        last = ordered[-1]
        stage = ladder.stage(last.data["stage"])
        said = dict(last.data)
        if ladder.rungs[stage.key].timers:
            said[TIMERS_FROM] = instant_text(now)
            if self._note_overdue(last, said) and self._asked.grace:
                said[TIMERS_FROM] = instant_text(now + self._asked.grace)
        if self._asked.start_sequences and not stage.is_closed:
            said[SEQUENCE_FROM] = instant_text(now)
        self._replace(last, said)

    def _refuse_unusable(self) -> None:
        """Refuse a deal of which something cannot be used at its place.

        Raises:
            InvalidEventError: it cannot; the board would set it aside.
        """
        told = [*self._known, *self.events]
        history = Unfolding(self._session.pipeline.ladder, self.deal.id, told).history()
        mine = {event.identity for event in self.events}
        for aside in () if history is None else history.aside:
            if aside.event.identity in mine:
                raise InvalidEventError(aside.reason)

    def _note_overdue(self, last: Event, said: Mapping[str, Any]) -> bool:
        """Note that a timer of the present stage was due before the import, if it was."""
        ladder, now = self._session.pipeline.ladder, self._asked.now
        before = Unfolding(ladder, self.deal.id, [*self._known, *self.events])
        due = before.due_at
        if due is None or due > now:
            return False
        self._replace(last, said)
        after = Unfolding(ladder, self.deal.id, [*self._known, *self.events])
        moves = after.advance(now).moves
        if not moves or moves[0].out_of is None:
            return False
        moves_at = now + (self._asked.grace or dt.timedelta())
        first = moves[0]
        self.overdue = OverdueDeal(self.deal.id, moves[0].out_of.key, first.into.key, due, moves_at)
        return True

    def _replace(self, event: Event, data: Mapping[str, Any]) -> None:
        self.events = [
            attrs.evolve(each, data=data) if each.id == event.id else each for each in self.events
        ]


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return two tellings of a deal as one, contact and properties field by field."""
    both = {**below, **above}
    for name in _MERGED:
        parts = below.get(name), above.get(name)
        if all(isinstance(part, Mapping) for part in parts):
            both[name] = {**below[name], **above[name]}
    return both


def _place(deal: ToldDeal) -> str:
    return deal.where or f"deal {deal.id}"


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
