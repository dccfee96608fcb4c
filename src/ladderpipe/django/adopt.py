"""A column of states, as django-fsm keeps one, read as deals with their past.

Of the past there is what a log of transitions tells, such as django-fsm-log's, and nothing without
one. Nothing is guessed: a state that is no stage refuses its row, with the reason.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import attrs
from django.core.exceptions import FieldDoesNotExist, ObjectDoesNotExist
from django.utils import timezone

from ..errors import InvalidEventError, LadderError
from ..ladder.ladder import Ladder
from ..model.deal_import import RefusedDeal, Stay, ToldDeal

__all__ = ["FACTS", "Column", "Log", "check_path", "deals_of"]

AT_ONCE: Final = 200
FACTS: Final = ("title", "owner", "value", "currency", "source", "company")
"""What may be told of a deal, beside ``contact.…`` and ``properties.…``."""


@attrs.frozen
class Log:
    """A table with a row a transition.

    Attributes:
        model: the table.
        of: the name of its key of the row that was changed; where that is ``object_id``,
            ``content_type`` says of which table.
        source: the name of the state that was left; "" if there is none.
        state: the name of the state that was entered.
        at: the name of the instant.
    """

    model: Any
    of: str = "object_id"
    source: str = "source_state"
    state: str = "state"
    at: str = "timestamp"


@attrs.frozen(kw_only=True)
class Column:
    """A column of states, and what else its rows tell.

    Attributes:
        stages: state to stage, where they are not called the same.
        deal_id: makes a deal's id of a row's key, ``"order-{pk}"``.
        facts: what belongs to the deal, by the path to it: ``{"contact.name": "customer__name"}``.
        opened: the path to the instant from which on a row was in the first state.
        entered: the path to the instant from which on it has been in the present one; asked for
            where no log says that.
    """

    model: Any
    field: str
    log: Log | None = None
    stages: Mapping[str, str] = attrs.field(factory=dict)
    deal_id: str = "{pk}"
    facts: Mapping[str, str] = attrs.field(factory=dict)
    currency: str | None = None
    opened: str | None = None
    entered: str | None = None


def deals_of(column: Column, ladder: Ladder) -> Iterator[ToldDeal | RefusedDeal]:
    """Yield every row as a deal, in the order of keys, a few hundred at a time."""
    rows = column.model._default_manager.order_by("pk")
    last: Any = None
    while True:
        # By keys, so that no cursor stands open on the connection that the board writes on.
        some = list((rows if last is None else rows.filter(pk__gt=last))[:AT_ONCE])
        logged = {} if column.log is None else _logged(column, column.log, some)
        for row in some:
            where = f"{column.model._meta.label} {row.pk}"
            try:
                yield _deal_of(column, ladder, row, logged.get(str(row.pk), ()), where)
            except LadderError as error:
                yield RefusedDeal(where, str(error))
        if len(some) < AT_ONCE:
            return
        last = some[-1].pk


def _logged(column: Column, log: Log, rows: Sequence[Any]) -> dict[str, list[Any]]:
    keys = [row.pk for row in rows]
    found = log.model._default_manager.filter(**{f"{log.of}__in": keys})
    if log.of == "object_id":
        from django.contrib.contenttypes.models import ContentType

        content_type = ContentType.objects.get_for_model(column.model)
        found = found.filter(content_type=content_type)
    logged: dict[str, list[Any]] = {}
    of = log.model._meta.get_field(log.of).attname
    for entry in found.order_by(log.at, "pk"):
        logged.setdefault(str(getattr(entry, of)), []).append(entry)
    return logged


def _deal_of(
    column: Column, ladder: Ladder, row: Any, logged: Sequence[Any], where: str
) -> ToldDeal:
    doubts: list[str] = []
    opened = _instant(_read(row, column.opened), column.opened)
    entered = _instant(_read(row, column.entered), column.entered)
    stays = _stays(column, ladder, logged, opened, doubts)
    now = _stage(column, ladder, getattr(row, column.field))
    if not stays:
        stays = [Stay(now, entered or opened)]
    elif stays[-1].stage != now:
        doubts.append(
            f"its history ends in {stays[-1].stage!r} and the column says {now!r}, as the deal "
            "does: since when, nobody tells"
        )
        after = entered if entered is not None and entered >= (stays[-1].at or entered) else None
        stays.append(Stay(now, after))
    id = column.deal_id.format(pk=row.pk)
    return ToldDeal(id, stays, _facts(column, row), where=where, doubts=doubts)


def _stays(
    column: Column,
    ladder: Ladder,
    logged: Sequence[Any],
    opened: dt.datetime | None,
    doubts: list[str],
) -> list[Stay]:
    stays: list[Stay] = []
    for entry in logged:
        assert column.log is not None
        log = column.log
        source = getattr(entry, log.source) if log.source else None
        if source not in (None, ""):
            before = _stage(column, ladder, source)
            if not stays:
                # Without an instant of its own, nobody can say since when it was there.
                if opened is not None and opened <= getattr(entry, log.at):
                    stays.append(Stay(before, opened))
            elif stays[-1].stage != before:
                doubts.append(
                    f"a transition leaves {before!r}, and the one before it has entered "
                    f"{stays[-1].stage!r}: what lies between is not told"
                )
        at = _instant(getattr(entry, log.at), log.at)
        stays.append(Stay(_stage(column, ladder, getattr(entry, log.state)), at))
    # A transition from a state into the same one, such as a retry, moves nothing.
    return [stay for n, stay in enumerate(stays) if not n or stay.stage != stays[n - 1].stage]


def _stage(column: Column, ladder: Ladder, state: Any) -> str:
    """Return the key of the stage that a state stands for.

    Raises:
        InvalidEventError: there is none.
    """
    name = str(state)
    key = column.stages.get(name, name)
    if key not in ladder.rungs:
        raise InvalidEventError(
            f"state {name!r} is no stage of {ladder.name!r}, which has "
            f"{', '.join(ladder.rungs)}: say which one it is, --map {name or 'STATE'}=STAGE"
        )
    return key


def _facts(column: Column, row: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, path in column.facts.items():
        value = _read(row, path)
        if value is None or value == "":
            continue
        outer, _, inner = name.partition(".")
        told = value if isinstance(value, int | str) else _text(value)
        if inner:
            facts.setdefault(outer, {})[inner] = told
        else:
            facts[outer] = str(told)
    if column.currency is not None and "value" in facts:
        facts["currency"] = column.currency
    return facts


def _text(value: Any) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _read(row: Any, path: str | None) -> Any:
    """Return what a row has at a path of names, ``customer__name``; ``None`` where that ends."""
    found = row
    for name in path.split("__") if path else ():
        try:
            found = getattr(found, name, None)
        except ObjectDoesNotExist:
            return None
    return found if path else None


def check_path(model: Any, path: str) -> None:
    """Refuse a path that leads nowhere.

    Raises:
        FieldDoesNotExist: a name on it is no field.
    """
    for name in path.split("__"):
        if model is None:
            raise FieldDoesNotExist(f"{path!r} goes on after {name!r}")
        model = model._meta.get_field(name).related_model


def _instant(value: Any, named: str | None) -> dt.datetime | None:
    if value is None:
        return None
    if isinstance(value, dt.datetime):
        aware: dt.datetime = timezone.make_aware(value) if timezone.is_naive(value) else value
        return aware
    if isinstance(value, dt.date):
        midnight: dt.datetime = timezone.make_aware(dt.datetime.combine(value, dt.time()))
        return midnight
    raise InvalidEventError(f"{named} is {value!r}, which is neither a date nor an instant")
