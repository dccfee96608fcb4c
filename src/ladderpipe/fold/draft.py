"""The fold's private draft of a deal: mutable, stepped by the fold, frozen when asked for."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any, Final

from ..errors import LadderError, PipelineChangedError
from ..ladder.ladder import Ladder
from ..ladder.machine import NOT_OPEN, Candidate, Rung
from ..model.clock import instant
from ..model.deal import Deal
from ..model.event import Event
from ..model.history import SetAside, Withdrawn
from ..model.stage import Stage
from ..model.visit import Visit
from .baseline import Baseline
from .cart import CartDraft
from .deal_data import DealData, found_by
from .order import OrderKey, order_key
from .withdrawals import Standing

__all__ = ["Draft", "OrderKey", "order_key"]

_PENDING: Final = Stage(NOT_OPEN)
_NONE: Final[Mapping[Any, Any]] = {}
"""Shared by all drafts, as nearly none of them sets anything aside."""


class Draft:
    """Everything the fold knows of one deal after the events it has seen.

    Attributes:
        visit: number of the current visit, 0 before the opening.
        visit_key: key of the visit the draft was *loaded* in; see :func:`visit_keys`.
        horizon: when the last timer was tried, whether or not it moved the deal.
        blocked: keys of this visit's timers that were due while their guard was false.
        base: the baseline that the fold began at, unless a former version wrote it.
        floor: nothing that the current visit waits for is due before it: one that a baseline
            holds, or that another system told of.
        telling: the last ``ladder.told``, while that is still to come: no timer fires before it.
        late: what sorts before the baseline and was told after it, and if that changed anything.
        changed: whether the data may differ from what was loaded.
        hooked: the directions and stages whose moves are worth a snapshot.
        aside: events that could not be used at their place, with the reason; see S12.
        refusals: what those raised.
        passed: the last of those, up to which the deal has been folded all the same.
        withdrawn: what the withdrawals that count name, whether or not it has arrived.
        takings: the events that were taken back, of a deal that was folded from all its events.
        snapshots: when set, the deal before and after each move that has hooks, by number.
        settled: number of the last move of which no snapshot is worth taking.
    """

    __slots__ = (
        "_cursor",
        "_data",
        "_document",
        "_found_by",
        "_last_event_at",
        "_load_document",
        "activity_at",
        "after_closing",
        "aside",
        "base",
        "blocked",
        "changed",
        "closed_at",
        "deal",
        "due_at",
        "entered_at",
        "fired",
        "fired_at",
        "floor",
        "hooked",
        "horizon",
        "ladder",
        "last_event",
        "late",
        "lost_from",
        "next_timer",
        "opened_at",
        "passed",
        "refusals",
        "rung",
        "settled",
        "snapshots",
        "takings",
        "telling",
        "unfilled",
        "visit",
        "visit_key",
        "withdrawn",
    )

    def __init__(self, ladder: Ladder, deal: str) -> None:
        self.ladder = ladder
        self.deal = deal
        self.rung: Rung = ladder.rungs[NOT_OPEN]
        self.visit = 0
        self.visit_key: str | None = None
        self.entered_at: dt.datetime | None = None
        self.activity_at: dt.datetime | None = None
        self.opened_at: dt.datetime | None = None
        self.closed_at: dt.datetime | None = None
        self.lost_from: Stage | None = None
        self.due_at: dt.datetime | None = None
        self.next_timer: Candidate | None = None
        self.blocked: tuple[str, ...] = ()
        self.fired_at: dt.datetime | None = None
        self.fired: tuple[str, ...] = ()
        self.horizon: dt.datetime | None = None
        self.base: Baseline | None = None
        self.floor: dt.datetime | None = None
        self.telling: Event | None = None
        self.late: Mapping[tuple[str, str], bool] = _NONE
        self.after_closing: Mapping[tuple[str, str], tuple[Event, Stage]] = _NONE
        self.last_event: Event | None = None
        self.passed: Event | None = None
        self.aside: Mapping[tuple[str, str], SetAside] = _NONE
        self.refusals: Mapping[tuple[str, str], LadderError] = _NONE
        self.unfilled: dict[tuple[str, str], str] | None = None
        self.withdrawn: Collection[tuple[str, str]] = ()
        self.takings: tuple[Withdrawn, ...] = ()
        self.changed = False
        self.hooked: Collection[tuple[str, str]] = ()
        self.settled = 0
        self.snapshots: dict[int, tuple[Deal | None, Deal | None]] | None = None
        self._cursor: OrderKey | None = None
        self._last_event_at: dt.datetime | None = None
        self._data: DealData | None = None
        self._found_by: tuple[Any, ...] | None = None
        self._document: str | None = None
        self._load_document: Callable[[], str | None] | None = None

    @property
    def data(self) -> DealData:
        """The deal's data, decoded from its document when first asked for."""
        if self._data is None:
            document = self.document
            if not document:
                self._data = DealData()
            else:
                written = json.loads(document)
                self._found_by = found_by(written)
                self._data = DealData.from_dict(written)
        return self._data

    def is_found_as_before(self, written: Mapping[str, Any]) -> bool:
        """Return whether lists find the deal by what is *written* now as by the stored document."""
        return self._found_by is not None and found_by(written) == self._found_by

    @property
    def document(self) -> str | None:
        """The document that a store has, whatever was told since; read when first asked for."""
        if self._load_document is not None:
            self._document, self._load_document = self._load_document(), None
        return self._document

    @property
    def stage(self) -> Stage | None:
        """The current stage, ``None`` before the opening."""
        return self.rung.stage

    @property
    def title(self) -> str:
        """What people call the deal; its id when nothing better is known."""
        return self.data.title or _title(self.data) or self.deal

    @property
    def cart(self) -> CartDraft:
        """The cart, for guards."""
        return self.data.cart

    @property
    def value(self) -> Decimal | None:
        """The value, for guards."""
        return self.data.value

    @property
    def currency(self) -> str | None:
        """The currency, for guards."""
        return self.data.currency

    @property
    def properties(self) -> dict[str, Any]:
        """The properties, for guards."""
        return self.data.properties

    @property
    def cursor(self) -> OrderKey | None:
        """The place in the deal's one order up to which events were folded."""
        last = self._cursor
        if self.last_event is not None:
            last = order_key(self.ladder, self.last_event)
        if self.passed is not None:
            passed = order_key(self.ladder, self.passed)
            return passed if last is None else max(last, passed)
        return last

    @property
    def last_event_at(self) -> dt.datetime | None:
        """When the deal's last event happened."""
        return self._last_event_at if self.last_event is None else self.last_event.at

    def resume(self, cursor: OrderKey | None, last_event_at: dt.datetime | None) -> None:
        """Go on from where an earlier fold stopped."""
        self._cursor = cursor
        self._last_event_at = last_event_at

    def load(self, document: Callable[[], str | None]) -> None:
        """Take the document from *document*, once somebody asks for it, and the data from that."""
        self._load_document = document

    def enter_stored(self, stage: str) -> None:
        """Stand in the stage that a store names.

        Raises:
            PipelineChangedError: the pipeline does not have it.
        """
        self.rung = _rung(self.ladder, self.deal, stage)

    def has_fired(self, timer: Candidate, at: dt.datetime) -> bool:
        """Return whether this timer rule has moved the deal at this very instant."""
        return self.fired_at == at and timer.key in self.fired

    def set_aside(self, event: Event, error: LadderError, before: DealData | None) -> None:
        """Leave out an event that cannot be used at its place, as if it had never been told.

        Args:
            before: the data before the reducer began to write on it.
        """
        if before is not None:
            self._data = before
        self.passed = event
        identity = (event.source, event.id)
        self.aside = {**self.aside, identity: SetAside(event, str(error))}
        self.refusals = {**self.refusals, identity: error}

    def note_withdrawn(self, found: Standing) -> None:
        """Note what was taken back, and what was to be and cannot."""
        self.withdrawn, self.takings = found.named, found.withdrawn
        if found.astray:
            astray = {(each.event.source, each.event.id): each for each in found.astray}
            self.aside = {**self.aside, **astray}

    def note_unfilled(self, event: Event, into: Stage, missing: Collection[str]) -> None:
        """Note what an event would have moved the deal into, but for what that stage requires."""
        if self.unfilled is None:
            self.unfilled = {}
        names = ", ".join(missing)
        verb = "is" if len(missing) == 1 else "are"
        identity = (event.source, event.id)
        self.unfilled.setdefault(identity, f"'{into}' requires {names}, which {verb} not filled")

    def note_fired(self, timer: Candidate, at: dt.datetime) -> None:
        """Note that this timer rule moves the deal at this instant."""
        self.fired = (*self.fired, timer.key) if self.fired_at == at else (timer.key,)
        self.fired_at = at

    def name_deal(self) -> None:
        """Give a deal that opens its title, unless an event has."""
        data = self.data
        if data.title is None:
            data.title = _title(data) or self.deal
            self.changed = True

    def current_visit(self) -> Visit | None:
        """Return the visit that the draft was loaded in, for a history that begins with it."""
        if self.stage is None or self.entered_at is None or self.visit_key is None:
            return None
        return Visit(self.deal, self.visit, self.visit_key, self.stage, self.entered_at, None)

    def if_open(self) -> Draft | None:
        """Return itself, or ``None`` while no rule has opened the deal."""
        return None if self.rung.stage is None else self

    def as_deal(self) -> Deal:
        """Return the deal as a frozen record. Before its opening its stage is a stand-in."""
        data = self.data
        seen_at = self.last_event_at
        assert seen_at is not None
        return Deal(
            id=self.deal,
            pipeline=self.ladder.name,
            title=self.title,
            stage=self.rung.stage or _PENDING,
            entered_at=self.entered_at or seen_at,
            opened_at=self.opened_at or seen_at,
            closed_at=self.closed_at,
            visit=self.visit,
            value=data.value,
            currency=data.currency,
            cart=data.cart.freeze(),
            owner=data.owner,
            contact=dict(data.contact),
            company=data.company,
            source=data.source,
            properties=dict(data.properties),
            lost_from=self.lost_from,
            due_at=self.due_at,
            last_event_at=seen_at,
            unread=data.unread,
        )

    def to_state(self) -> dict[str, Any]:
        """Return the whole fold state as JSON values, for a baseline event."""
        state: dict[str, Any] = {
            "stage": self.rung.stage and self.rung.stage.key,
            "visit": self.visit,
            "visit_key": self.visit_key,
            "lost_from": self.lost_from and self.lost_from.key,
            "blocked": list(self.blocked),
            "fired": list(self.fired),
            "data": self.data.to_dict(),
        }
        for name in _INSTANTS:
            value = getattr(self, name)
            state[name] = value and value.isoformat()
        return {name: part for name, part in state.items() if part not in (None, [])}

    @classmethod
    def from_baseline(cls, ladder: Ladder, event: Event) -> Draft:
        """Return the state that a baseline carries; its timers are not scheduled yet.

        Raises:
            PipelineChangedError: it names a stage that the pipeline does not have.
        """
        state: Mapping[str, Any] = event.data["state"]
        draft = cls(ladder, event.deal)
        draft.rung = _rung(ladder, event.deal, state.get("stage", NOT_OPEN))
        draft.visit = state["visit"]
        draft.visit_key = state.get("visit_key")
        if "lost_from" in state:
            draft.lost_from = _rung(ladder, event.deal, state["lost_from"]).stage
        for name in _INSTANTS:
            if name in state:
                setattr(draft, _STORED_AS.get(name, name), instant(state[name]))
        draft.blocked = tuple(state.get("blocked", ()))
        draft.fired = tuple(state.get("fired", ()))
        draft._data = DealData.from_dict(state["data"])
        draft.base = base = Baseline.of(event)
        if base is None:
            # Of a former version: it stood at the moment when it was written.
            written_at, draft._cursor = event.at, order_key(ladder, event)
        else:
            draft._cursor = None if base.last is None else base.last.key(ladder)
            written_at, draft.horizon = base.written_at, base.horizon
        draft.floor = max(written_at, draft.floor or written_at)
        return draft

    def note_late(self, event: Event, changed: bool) -> None:
        """Note what came of an event that sorts before the baseline and was told after it.

        It is in the deal's past: where the deal stands in S9 it does not move.
        """
        self.last_event, self.passed = None, event
        if changed and (self._last_event_at is None or event.at > self._last_event_at):
            self._last_event_at = event.at
        if self.late is _NONE:
            self.late = {}
        self.late[event.source, event.id] = changed  # type: ignore[index]

    def note_after_closing(self, event: Event) -> None:
        """Note that an event of a type that opens deals moved nothing: this one is closed."""
        assert self.rung.stage is not None
        if self.after_closing is _NONE:
            self.after_closing = {}
        found = (event, self.rung.stage)
        self.after_closing[event.source, event.id] = found  # type: ignore[index]

    def restore(self, data: DealData) -> None:
        """Go on with other data."""
        self._data = data


_INSTANTS: Final = (
    "entered_at",
    "activity_at",
    "opened_at",
    "closed_at",
    "fired_at",
    "last_event_at",
    "floor",
)
_STORED_AS: Final = {"last_event_at": "_last_event_at"}


def _rung(ladder: Ladder, deal: str, key: str) -> Rung:
    try:
        return ladder.rungs[key]
    except KeyError:
        raise PipelineChangedError(
            f"deal {deal!r} is in stage {key!r}, which pipeline {ladder.name!r} does not have: "
            "adopt the definition with board.migrate({...})"
        ) from None


def _title(data: DealData) -> str | None:
    lines = list(data.cart.values())
    if lines:
        first = lines[0].name
        return first if len(lines) == 1 else f"{first} + {len(lines) - 1}"
    for named in (data.company, data.contact.get("name")):
        name = named.get("name") if isinstance(named, Mapping) else named
        if isinstance(name, str) and name:
            return name
    return None
