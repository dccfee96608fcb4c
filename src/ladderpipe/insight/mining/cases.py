"""What process mining calls cases and activities: deals, with their moves or their events.

Formats know nothing of boards; they write these.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import attrs

from ...fold.order import in_order
from ...fold.withdrawals import is_told, standing
from ...model.event import BASELINE, PHASE_HAND, Event
from ...pipeline import Pipeline
from ..frames.as_believed import Change, Life, life_of
from ..frames.scan import Recorded, Walk
from ..frames.tables import Problem

__all__ = ["Activity", "Case", "Value", "What", "cases_of"]

What = Literal["moves", "events"]
"""Whether an activity is a stage that was entered, or an event."""

Value: TypeAlias = "str | int | Decimal | dt.datetime"


@attrs.frozen
class Activity:
    """One thing that happened in a case.

    Attributes:
        name: the stage that was entered, or the event's type.
        resource: who moved the deal by hand; ``None`` for everything else.
        attributes: what else is known of it; none of it is ``None``.
        event: the event it is, where activities are events.
    """

    name: str
    at: dt.datetime
    resource: str | None
    attributes: Mapping[str, Value]
    event: Event | None = None


@attrs.frozen
class Case:
    """One deal, with what happened to it, in order.

    Attributes:
        attributes: how it stands: stage, status, value and so on; none of it is ``None``.
        changes: what it was worth, and whose it was, from each instant on.
    """

    deal: str
    activities: Sequence[Activity]
    attributes: Mapping[str, Value]
    changes: Sequence[Change]


def cases_of(pipeline: Pipeline, walk: Walk, what: What, problems: list[Problem]) -> Iterator[Case]:
    """Yield every deal that has activities.

    One that cannot be folded is noted among the *problems*, and stands as it is stored.
    """
    for page in walk.pages():
        for recorded in page:
            life = life_of(pipeline, recorded.told, recorded.records, walk.moment)
            if life.trouble is not None:
                problems.append(Problem(f"deal {recorded.deal!r}", None, life.trouble))
            events = _events(pipeline, recorded, walk.moment.as_of)
            if what == "moves":
                activities = _stages_entered(life, events)
            else:
                activities = [_happened(event) for event in events]
            if activities:
                yield Case(recorded.deal, activities, _standing(pipeline, life), life.changes)


def _events(pipeline: Pipeline, recorded: Recorded, as_of: dt.datetime) -> list[Event]:
    """Return the deal's events in order; baselines are the store's, and happened to nobody."""
    told = (event for event, _ in recorded.told if is_told(event, as_of))
    events = in_order(pipeline.ladder, [e for e in told if e.type != BASELINE])
    return list(standing(events).events)


def _stages_entered(life: Life, events: Sequence[Event]) -> list[Activity]:
    known = {(event.source, event.id): event for event in events}
    return [
        Activity(
            passage.into,
            passage.at,
            _person(known.get((passage.event_source or "", passage.event_id or ""))),
            _filled(
                n=passage.n,
                out_of=passage.out_of,
                rule=passage.rule,
                trigger=passage.trigger,
                event_type=passage.event_type,
            ),
        )
        for passage in life.passages
    ]


def _happened(event: Event) -> Activity:
    named = _filled(source=event.source or None, id=event.id)
    return Activity(event.type, event.at, _person(event), named, event)


def _person(event: Event | None) -> str | None:
    """Return whose hand it was; events from outside name nobody."""
    if event is None or event.phase != PHASE_HAND:
        return None
    by = event.data.get("by")
    return by if isinstance(by, str) and by else None


def _standing(pipeline: Pipeline, life: Life) -> dict[str, Value]:
    if not life.passages:
        return {}
    stage = life.passages[-1].into
    rung = pipeline.ladder.rungs.get(stage)
    status = rung.stage.status if rung is not None and rung.stage is not None else None
    last = life.changes[-1]
    return _filled(
        stage=stage,
        status=status,
        value=last.value,
        currency=last.currency,
        owner=last.owner,
        source=last.source,
        loss_reason=last.loss_reason,
    )


def _filled(**attributes: Any) -> dict[str, Value]:
    return {name: value for name, value in attributes.items() if value is not None}
