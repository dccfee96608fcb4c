"""One row of a CRM's export: a deal, the stages it went through and what is known of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import attrs

from ..errors import InvalidEventError
from ..model.money import amount, currency_code
from ..model.stage import Stage
from .crm_map import CrmMap, CrmStage, folded
from .log_map import Span
from .placeholders import Column, Scope, holds, shown

__all__ = ["Opportunity", "read_row"]

Facts = tuple[str | None, Decimal | None, str | None, str | None, str | None, str | None]
"""Title, value, currency, owner, source and loss reason."""


@attrs.frozen(kw_only=True)
class Opportunity:
    """A deal as an export has it.

    Attributes:
        stage: the one it is in.
        stays: the stages it went through with when it entered them; none for a deal without
            dates.
        is_dated: whether the last of those is the one it is in; else nobody knows since when.
        doubts: what was left out because it contradicts the rest.
        also: values of the map's further columns.
    """

    id: str
    stage: Stage
    stays: tuple[tuple[Stage, dt.datetime], ...]
    title: str
    value: Decimal | None
    closing_value: Decimal | None
    currency: str | None
    owner: str | None
    source: str | None
    loss_reason: str | None
    also: tuple[str | None, ...]
    is_dated: bool
    doubts: tuple[str, ...]
    company: Any = None
    contact: Mapping[str, Any] = attrs.field(factory=dict)
    properties: Mapping[str, Any] = attrs.field(factory=dict)

    def facts_in(self, stage: Stage) -> Facts:
        """Return what was known of it while it was in *stage*."""
        closing = self.closing_value if stage.is_closed else None
        value = self.value if closing is None else closing
        reason = self.loss_reason if stage.status == "lost" else None
        return self.title, value, self.currency, self.owner, self.source, reason


def read_row(
    crm: CrmMap, values: Mapping[str, Any], joined: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> Opportunity | None:
    """Return the deal that a row tells of; ``None`` if the map's ``[only]`` leaves it out.

    Args:
        joined: the rows of other files, by the file's name in the map and what joins them.

    Raises:
        InvalidEventError: the row lacks what it needs, or contradicts itself.
        InstantError: a date is none of the declared format.
    """
    scope = Scope((_completed(crm, values, joined),), crm.empty)
    if not holds(crm.only, scope):
        return None
    filled = {name: template.fill(scope) for name, template in crm.deal.items()}
    id = _needed(filled["id"], "id")
    present = crm.stage_called(_needed(filled["stage"], "stage"))
    stays, is_dated, doubts = _stays(crm, present, scope)
    return Opportunity(
        id=id,
        stage=present.stage,
        stays=tuple(stays),
        is_dated=is_dated,
        doubts=tuple(doubts),
        title=_text(filled.get("title")) or id,
        value=_amount(filled.get("value"), "value"),
        closing_value=_amount(filled.get("closing_value"), "closing_value"),
        currency=None if filled.get("currency") is None else currency_code(filled["currency"]),
        owner=_text(filled.get("owner")),
        source=_text(filled.get("source")),
        loss_reason=_text(filled.get("loss_reason")),
        company=_text(filled.get("company")),
        contact=filled.get("contact") or {},
        properties=filled.get("properties") or {},
        also=tuple(_text(template.fill(scope)) for template in crm.also.values()),
    )


def _completed(
    crm: CrmMap, values: Mapping[str, Any], joined: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> dict[str, Any]:
    """Return a row with its texts renamed and the rows of other files that belong to it."""
    row = {
        column: crm.renames.get(column, {}).get(value, value) if isinstance(value, str) else value
        for column, value in values.items()
    }
    return row | {join.name: joined[join.name].get(str(row.get(join.by)), {}) for join in crm.joins}


class _Dated(NamedTuple):
    stage: Stage
    at: dt.datetime
    is_day: bool = False

    def within_its_day(self, at: dt.datetime) -> _Dated:
        """Return it at an instant of the day that is all it says; itself if it is another day."""
        is_then = self.is_day and self.at < at < self.at + dt.timedelta(days=1)
        return self._replace(at=at) if is_then else self


def _stays(
    crm: CrmMap, present: CrmStage, scope: Scope
) -> tuple[list[tuple[Stage, dt.datetime]], bool, list[str]]:
    """Return the stages with their dates, the earliest first, and what was left out of them.

    Also whether the last of them is the present one; else nothing says since when it is.
    """
    dates = {name: crm.time.read_from(part, scope) for name, part in crm.dates.items()}
    dated = list(_dated(crm, present, scope))
    mine = [each for each in dated if each.stage is present.stage]
    others = [each for each in dated if each.stage is not present.stage]
    since = dates.get("since")
    left = _closed_from(crm, present, scope)
    if left is not None and since is not None and all(e.stage is not left.stage for e in others):
        others.append(_Dated(left.stage, *since))
        since = None
    closed = dates.get("closed") if present.stage.is_closed else None
    if not mine and (span := closed or since) is not None:
        mine = [_Dated(present.stage, *span)]
    opened = dates.get("opened")
    if opened is not None:
        others = [each.within_its_day(opened.at) for each in others]
        if not any(each.at <= opened.at for each in others):
            is_there = left is not None and all(each.stage is not left.stage for each in others)
            first = left if left is not None and is_there else crm.stages[0]
            mine, began = _opened(present, first, opened, mine, bool(others))
            others += began
    others.sort(key=lambda each: each.at)
    return _in_order(present, mine, others)


def _opened(
    present: CrmStage, first: CrmStage, opened: Span, mine: list[_Dated], was_elsewhere: bool
) -> tuple[list[_Dated], list[_Dated]]:
    """Return since when a deal is where it is, and that it was in its *first* stage before."""
    began = _Dated(first.stage, *opened)
    if not mine:
        return ([began], []) if first is present else ([], [began])
    within = mine[0].within_its_day(opened.at)
    # What was opened and closed within one instant was in no stage before, unless that is a day.
    if (first is present and not was_elsewhere) or (within.at == opened.at and within is mine[0]):
        return mine, []
    return [within], [began]


def _in_order(
    present: CrmStage, mine: list[_Dated], others: list[_Dated]
) -> tuple[list[tuple[Stage, dt.datetime]], bool, list[str]]:
    """Put the present stage last; its date is left out if the deal was elsewhere after it."""
    found = [(each.stage, each.at) for each in others]
    if not mine:
        if not others:
            return found, False, []
        why = f"it is in {present.stage.title!r}, and nothing says since when"
        return found, False, [why]
    last = mine[0]
    if others:
        last = last.within_its_day(others[-1].at)
        if last.at < others[-1].at:
            why = (
                f"it is in {present.stage.title!r} since {last.at.date().isoformat()}, and entered "
                f"{others[-1].stage.title!r} later, on {others[-1].at.date().isoformat()}: the "
                "first of these is left out"
            )
            return found, False, [why]
    return [*found, (last.stage, last.at)], True, []


def _dated(crm: CrmMap, present: CrmStage, scope: Scope) -> Iterator[_Dated]:
    """Yield the stages that have dates of their own; a closed one only if the deal is in it."""
    for known in crm.stages:
        if known.stage.is_closed and known is not present:
            continue
        template = known.entered
        span = None if template is None else crm.time.read_from(template, scope)
        span = span or _of_columns(crm, known, scope)
        if span is not None:
            yield _Dated(known.stage, *span)


def _of_columns(crm: CrmMap, known: CrmStage, scope: Scope) -> Span | None:
    """Return when a stage was entered by a column whose name says so."""
    if crm.entered_columns is None:
        return None
    own = crm.deal.get("pipeline")
    pipeline = None if own is None else _text(own.fill(scope))
    for column in scope.names():
        found = crm.entered_columns.fullmatch(column)
        if found is None or crm.find_stage(found["stage"]) is not known:
            continue
        named = found.groupdict().get("pipeline")
        if pipeline is not None and named is not None and folded(named) != folded(pipeline):
            continue
        span = crm.time.read_from(Column(column), scope)
        if span is not None:
            return span
    return None


def _closed_from(crm: CrmMap, present: CrmStage, scope: Scope) -> CrmStage | None:
    """Return the stage that a closed deal was closed from, where the export says so."""
    template = crm.deal.get("closed_from")
    name = None if template is None else _text(template.fill(scope))
    if name is None or not present.stage.is_closed:
        return None
    found = crm.stage_called(name)
    return None if found.stage.is_closed else found


def _needed(value: Any, what: str) -> str:
    text = _text(value)
    if text is None:
        raise InvalidEventError(f"no {what}: the columns that deal.{what} refers to are empty")
    return text


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidEventError(f"{shown(value)} is no text: refer to a column that holds text")
    return str(value).strip() or None


def _amount(value: Any, what: str) -> Decimal | None:
    return None if value is None else amount(value, what)
