"""One row of a CRM's export: a deal, the stages it went through and what is known of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs

from ...errors import InvalidEventError
from ...logs.placeholders import Scope, shown
from ...model.money import amount, currency_code
from ...model.stage import Stage
from .crm_map import CrmMap, CrmStage

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

    def facts_in(self, stage: Stage) -> Facts:
        """Return what was known of it while it was in *stage*."""
        closing = self.closing_value if stage.is_closed else None
        value = self.value if closing is None else closing
        reason = self.loss_reason if stage.status == "lost" else None
        return self.title, value, self.currency, self.owner, self.source, reason


def read_row(
    crm: CrmMap, values: Mapping[str, Any], joined: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> Opportunity:
    """Return the deal that a row tells of.

    Args:
        joined: the rows of other files, by the file's name in the map and what joins them.

    Raises:
        InvalidEventError: the row lacks what it needs, or contradicts itself.
        InstantError: a date is none of the declared format.
    """
    scope = Scope((_completed(crm, values, joined),), crm.empty)
    filled = {name: template.fill(scope) for name, template in crm.deal.items()}
    id = _needed(filled["id"], "id")
    present = _stage(crm, _needed(filled["stage"], "stage"))
    return Opportunity(
        id=id,
        stage=present.stage,
        stays=tuple(_stays(crm, present, scope)),
        title=_text(filled.get("title")) or id,
        value=_amount(filled.get("value"), "value"),
        closing_value=_amount(filled.get("closing_value"), "closing_value"),
        currency=None if filled.get("currency") is None else currency_code(filled["currency"]),
        owner=_text(filled.get("owner")),
        source=_text(filled.get("source")),
        loss_reason=_text(filled.get("loss_reason")),
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
    return row | {join.name: joined[join.name].get(str(row[join.by]), {}) for join in crm.joins}


def _stage(crm: CrmMap, name: str) -> CrmStage:
    for known in crm.stages:
        if name in known.called:
            return known
    called = sorted(text for known in crm.stages for text in known.called)
    raise InvalidEventError(
        f"stage {name!r} is not under [stages] in the map, which knows {', '.join(called)}: name "
        "it there"
    )


def _stays(crm: CrmMap, present: CrmStage, scope: Scope) -> list[tuple[Stage, dt.datetime]]:
    """Return the stages that have a date, the earliest first; the present one has to be last."""
    dated = []
    for known in crm.stages:
        if known.entered is None or (known.stage.is_closed and known is not present):
            continue
        written = known.entered.fill(scope)
        if written is not None:
            dated.append((known.stage, crm.time.read(written)))
    if not dated:
        return []
    if all(stage is not present.stage for stage, _ in dated):
        raise InvalidEventError(
            f"it is in {present.stage.title!r}, and nothing says since when, although "
            f"{dated[-1][0].title!r} has a date: mend the row, or the map's entered = ..."
        )
    # Of one day, stages go in the ladder's order, and where the deal is now comes last.
    dated.sort(key=lambda stay: (stay[1], stay[0] is present.stage))
    stage, at = dated[-1]
    if stage is not present.stage:
        raise InvalidEventError(
            f"it is in {present.stage.title!r} and entered {stage.title!r} later, on "
            f"{at.date().isoformat()}: one of the dates is wrong; mend the row"
        )
    return dated


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
