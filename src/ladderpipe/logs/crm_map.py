r"""Maps of CRM exports: what the columns of a table of deals mean, as declared in TOML.

The maps we ship, in ``ladderpipe/logs/crm_maps``, show the usual parts. ``[read]``, ``[time]`` and
what stands in braces are those of :mod:`ladderpipe.logs.map_reader`. The others::

    extends = "hubspot"  # a shipped map or a file: say only what is different
    pipeline = "our-crm"  # what the tables call the ladder, and who tells of the deals
    any_columns = true  # columns that a file lacks are empty; id and stage are needed

    [only]  # the rows that count: one pipeline of several
    Pipeline = "Sales Pipeline"  # or a list; true for any text, false for none

    [deal]  # columns in braces; id and stage are needed. Left out where only [history] is read
    id = "{opportunity_id}"
    stage = "{deal_stage}"
    since = "{Last stage change}"  # since when it is in that stage, unless the stage has a date
    opened = "{Create Date}"  # it was in the first stage then, unless a stage has an earlier date
    closed = "{Close Date}"  # since when it is in a closed stage that has no date of its own
    closed_from = "{Stage}"  # the stage that a closed deal was lost, or won, from
    pipeline = "{Pipeline}"  # which of several, for entered_columns
    entered_columns = 'Date entered "(?P<stage>.+) \\((?P<pipeline>.+)\\)"'  # a column a stage
    title = "{account}"  # the id when left out or empty
    owner = "{sales_agent}"
    source = "{campaign}"
    company = "{account}"
    contact = { name = "{contact}", email = "{email}" }
    properties = { region = "{region}" }
    currency = "USD"
    value = "{amount}"  # all the time
    closing_value = "{final}"  # from when it closed; value when empty
    loss_reason = "{why}"  # from when it was lost

    [stages.engaging]  # from the bottom of the ladder to the top; may be left out of an import
    called = ["Engaging", "In corso"]  # what the export calls it; the key when left out
    title = "Engaging"  # what the export calls it when left out
    status = "open"  # or won, lost, abandoned
    probability = 0.5
    entered = "{engage_date}"  # when; a closed stage's counts only for deals that are in it

    [history]  # another export, a row a change; it wins over the dates of the first
    deal = "{deal_id}"
    stage = "{value}"
    at = "{timestamp}"
    only = { name = "dealstage" }
    time = { format = "iso", zone = "UTC" }  # that of the map when left out

    [also]  # further columns of the deals, as text
    product = "{product}"
    sector = "{accounts.sector}"

    [join.accounts]  # another CSV file, beside the first
    file = "accounts.csv"
    by = "account"  # a column that both have

    [renames.product]  # texts of a column that mean others
    GTXPro = "GTX Pro"

A day, a date without a time, is the midnight at which it begins, unless the deal was somewhere else
later on that day: then it is that instant.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from ..errors import DefinitionError, InvalidEventError
from ..ladder.plain import Part
from ..model.stage import Stage
from .log_map import TimeFormat
from .map_files import map_data, shipped_maps
from .map_reader import READ_FIELDS, TemplateReader, conditions, read_layout, read_time
from .placeholders import Column, Scope, Template, columns_of, holds
from .readers import Layout

__all__ = [
    "ChangeMap",
    "CrmMap",
    "CrmStage",
    "Join",
    "crm_map",
    "crm_map_from_dict",
    "folded",
    "shipped_crm_maps",
]

CRM_MAPS: Final = "ladderpipe.logs.crm_maps"
"""Where the maps of exports lie."""

_SECTIONS: Final = (
    "extends",
    "pipeline",
    "any_columns",
    "read",
    "time",
    "only",
    "deal",
    "stages",
    "history",
    "also",
    "join",
    "renames",
)
_DEAL: Final = (
    "id",
    "stage",
    "title",
    "owner",
    "source",
    "currency",
    "value",
    "closing_value",
    "loss_reason",
    "company",
    "contact",
    "properties",
    "pipeline",
    "closed_from",
)
_DATES: Final = ("since", "opened", "closed")
_TAKEN: Final = frozenset(
    (
        "deal",
        "title",
        "stage",
        "status",
        "visit",
        "entered_at",
        "opened_at",
        "closed_at",
        "last_event_at",
        "lost_from",
        "value",
        "currency",
        "owner",
        "source",
        "loss_reason",
        "active_at",
    )
)
"""What the tables' deals have columns for already."""
_STAGE: Final = ("called", "title", "status", "probability", "entered")


@attrs.frozen
class CrmStage:
    """A stage of the ladder as a CRM has it.

    Attributes:
        called: what the export calls it.
        entered: when deals entered it; ``None`` when the export does not say.
    """

    stage: Stage
    called: frozenset[str]
    entered: Template | None


@attrs.frozen(kw_only=True)
class ChangeMap:
    """What a row of a stage history means: that a deal entered a stage.

    Attributes:
        only: what columns must be, for the rows that count.
    """

    deal: Template
    stage: Template
    at: Template
    time: TimeFormat
    only: Mapping[str, frozenset[str] | bool]

    @property
    def columns(self) -> frozenset[str]:
        """Every column that it refers to."""
        return columns_of([self.deal, self.stage, self.at]) | set(self.only)

    def holds_for(self, scope: Scope) -> bool:
        """Return whether a row counts."""
        return holds(self.only, scope)


@attrs.frozen
class Join:
    """Another file with further columns: ``{name.column}`` in the map.

    Attributes:
        by: the column, of both files, that tells which row belongs to which.
    """

    name: str
    file: str
    by: str


@attrs.frozen(kw_only=True)
class CrmMap:
    """What a row of a CRM's export means.

    Attributes:
        deal: what a row says of its deal, by name.
        dates: since when it is what it is, by name.
        entered_columns: names of columns that say when stages were entered, with the groups
            ``stage`` and, where there are several, ``pipeline``.
        only: what columns must be, for the rows that count.
        any_columns: whether columns that a file lacks are taken as empty.
        history: what a row of a stage history means.
        also: further columns of the deals.
        renames: by column: texts that mean others.
    """

    pipeline: str
    layout: Layout
    time: TimeFormat
    deal: Mapping[str, Template]
    dates: Mapping[str, Template] = attrs.field(factory=dict)
    entered_columns: re.Pattern[str] | None = None
    only: Mapping[str, frozenset[str] | bool] = attrs.field(factory=dict)
    any_columns: bool = False
    history: ChangeMap | None = None
    stages: tuple[CrmStage, ...]
    also: Mapping[str, Template]
    joins: tuple[Join, ...]
    renames: Mapping[str, Mapping[str, str]]
    empty: frozenset[str]
    _by_name: Mapping[str, CrmStage] = attrs.field(init=False, repr=False, eq=False)

    @_by_name.default
    def _index(self) -> dict[str, CrmStage]:
        return {folded(name): known for known in self.stages for name in known.called}

    def stage_called(self, name: str) -> CrmStage:
        """Return the stage that the export calls so.

        Raises:
            InvalidEventError: there is none.
        """
        known = self._by_name.get(folded(name))
        if known is None:
            called = sorted(text for stage in self.stages for text in stage.called)
            raise InvalidEventError(
                f"stage {name!r} is not under [stages] in the map, which knows "
                f"{', '.join(called)}: name it there"
            )
        return known

    def find_stage(self, name: str) -> CrmStage | None:
        """Return the stage that the export calls so, if there is one."""
        return self._by_name.get(folded(name))

    def on_ladder(self, ladder: Sequence[Stage]) -> CrmMap:
        """Return the map with the stages of a ladder in the place of its own.

        A stage of the map is that of the ladder with its key; else one whose key or title it is
        called; else the only one that is won, or lost. What the ladder calls its stages, the export
        may, too.
        """
        named = [{stage.key, *stage.titles.values()} for stage in ladder]
        own = [self._own(stage, called) for stage, called in zip(ladder, named, strict=True)]
        for n, stage in enumerate(ladder):
            if own[n] is None and stage.is_closed:
                own[n] = self._only_one(stage.status, ladder, own)
        return attrs.evolve(
            self,
            stages=tuple(
                CrmStage(stage, mine.called | called, mine.entered)
                if mine is not None
                else CrmStage(stage, frozenset(called), None)
                for stage, called, mine in zip(ladder, named, own, strict=True)
            ),
        )

    def in_zone(self, zone: dt.tzinfo) -> CrmMap:
        """Return the map with another zone for times that name none."""
        history = self.history
        if history is not None:
            history = attrs.evolve(history, time=attrs.evolve(history.time, zone=zone))
        return attrs.evolve(self, time=attrs.evolve(self.time, zone=zone), history=history)

    def _own(self, stage: Stage, called: Collection[str]) -> CrmStage | None:
        """Return the stage of the map that is one of a ladder's."""
        names = set(map(folded, called))
        by_key = (known for known in self.stages if known.stage.key == stage.key)
        by_name = (known for known in self.stages if names & set(map(folded, known.called)))
        return next(by_key, None) or next(by_name, None)

    def _only_one(
        self, status: str, ladder: Sequence[Stage], taken: Sequence[CrmStage | None]
    ) -> CrmStage | None:
        """Return the one stage of a status, where the map and the ladder have one each."""
        mine = [known for known in self.stages if known.stage.status == status]
        theirs = [stage for stage in ladder if stage.status == status]
        return mine[0] if len(mine) == len(theirs) == 1 and mine[0] not in taken else None

    @property
    def columns(self) -> frozenset[str]:
        """Every column of the export itself that a file must have."""
        if self.any_columns:
            needed = (self.deal.get("id"), self.deal.get("stage"))
            return columns_of([part for part in needed if isinstance(part, Column)])
        joined = tuple(f"{join.name}." for join in self.joins)
        return frozenset(
            name for name in self._referred() if not name.startswith(joined or ("\0",))
        ) | {join.by for join in self.joins if "." not in join.by}

    def columns_of(self, join: Join) -> frozenset[str]:
        """Return every column of a joined file that the map refers to."""
        start = f"{join.name}."
        found = {n.removeprefix(start) for n in self._referred() if n.startswith(start)}
        return frozenset(found | {join.by})

    def _referred(self) -> frozenset[str]:
        dates = [known.entered for known in self.stages if known.entered is not None]
        dates += self.dates.values()
        named = columns_of([*self.deal.values(), *self.also.values(), *dates])
        return named | frozenset(self.renames) | frozenset(self.only)


def shipped_crm_maps() -> list[str]:
    """Return the names of the maps of exports that come with the library."""
    return shipped_maps(CRM_MAPS)


def crm_map(name: str | Path) -> CrmMap:
    """Return the map that a TOML file holds, or a shipped one by its name.

    Raises:
        DefinitionError: it is not there, no TOML, or malformed; the message names the place.
    """
    data = map_data(name, CRM_MAPS)
    try:
        return crm_map_from_dict(data)
    except DefinitionError as error:
        raise DefinitionError(f"{name}: {error}") from error.__cause__


def crm_map_from_dict(data: Mapping[str, Any]) -> CrmMap:
    """Return the map that plain data describes.

    Raises:
        DefinitionError: it is malformed; the message begins with the place.
    """
    needed = () if "history" in data else ("deal",)
    top = Part("", data).fields(*_SECTIONS, required=needed)
    read = top["read"].fields(*READ_FIELDS) if "read" in top else {}
    if "explode" in read:
        raise read["explode"].refusal("a row of an export is one deal: leave it out")
    reader = TemplateReader(read)
    deal = {}
    if "deal" in top:
        deal = top["deal"].fields(*_DEAL, *_DATES, "entered_columns", required=("id", "stage"))
    entered_columns = deal.pop("entered_columns", None)
    time = read_time(top["time"]) if "time" in top else TimeFormat()
    return CrmMap(
        pipeline=top["pipeline"].text() if "pipeline" in top else "crm",
        layout=read_layout(read),
        time=time,
        deal={name: reader.template(part) for name, part in deal.items() if name not in _DATES},
        dates={name: reader.template(part) for name, part in deal.items() if name in _DATES},
        entered_columns=None if entered_columns is None else _entered_columns(entered_columns),
        only=conditions(top["only"]) if "only" in top else {},
        any_columns="any_columns" in top and top["any_columns"].flag(),
        history=_history(reader, top["history"], time) if "history" in top else None,
        stages=_stages(reader, top["stages"]) if "stages" in top else (),
        also=_also(reader, top),
        joins=tuple(_join(name, part) for name, part in _mapping(top, "join").items()),
        renames={
            column: {old: new.text() for old, new in part.mapping().items()}
            for column, part in _mapping(top, "renames").items()
        },
        empty=reader.empty,
    )


def folded(name: str) -> str:
    """Return what the name of a stage is compared by."""
    return " ".join(name.split()).casefold()


def _entered_columns(part: Part) -> re.Pattern[str]:
    try:
        found = re.compile(part.text())
    except re.error as error:
        raise part.refusal(f"{part.value!r} is no regular expression ({error})") from None
    if "stage" not in found.groupindex:
        raise part.refusal("it has no group (?P<stage>...), which says whose date a column holds")
    return found


def _history(reader: TemplateReader, part: Part, time: TimeFormat) -> ChangeMap:
    fields = part.fields("deal", "stage", "at", "time", "only", required=("deal", "stage", "at"))
    return ChangeMap(
        deal=reader.template(fields["deal"]),
        stage=reader.template(fields["stage"]),
        at=reader.template(fields["at"]),
        time=read_time(fields["time"]) if "time" in fields else time,
        only=conditions(fields["only"]) if "only" in fields else {},
    )


def _stages(reader: TemplateReader, part: Part) -> tuple[CrmStage, ...]:
    found: list[CrmStage] = []
    names: set[str] = set()
    for key, described in part.mapping().items():
        one = _stage(reader, key, described)
        twice = names & one.called
        if twice:
            raise described.refusal(f"{min(twice)!r} is what another stage is called already")
        names |= one.called
        found.append(one)
    if not found:
        raise part.refusal('there is no stage: write [stages.won] with status = "won", and so on')
    return tuple(found)


def _stage(reader: TemplateReader, key: str, part: Part) -> CrmStage:
    fields = part.fields(*_STAGE)
    called = fields["called"].texts() if "called" in fields else [key]
    told: dict[str, Any] = {
        name: fields[name].value for name in ("status", "probability") if name in fields
    }
    with part.named():
        title = fields["title"].value if "title" in fields else called[0]
        stage = Stage(key, title=title, **told)
    entered = reader.template(fields["entered"]) if "entered" in fields else None
    return CrmStage(stage, frozenset(called), entered)


def _also(reader: TemplateReader, top: Mapping[str, Part]) -> dict[str, Template]:
    found = {}
    for name, part in _mapping(top, "also").items():
        if name in _TAKEN:
            raise part.refusal(f"the deals have a column {name!r} already: call this one otherwise")
        found[name] = reader.template(part)
    return found


def _join(name: str, part: Part) -> Join:
    fields = part.fields("file", "by", required=("file", "by"))
    return Join(name, fields["file"].text(), fields["by"].text())


def _mapping(top: Mapping[str, Part], name: str) -> dict[str, Part]:
    return top[name].mapping() if name in top else {}
