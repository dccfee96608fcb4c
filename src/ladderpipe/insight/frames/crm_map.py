"""Maps of CRM exports: what the columns of a table of deals mean, as declared in TOML.

The map we ship, in ``ladderpipe/insight/maps``, shows the usual parts. ``[read]`` and ``[time]``
are those of :mod:`ladderpipe.logs.map_reader`. The others::

    extends = "crm-sales"  # a shipped map or a file: say only what is different
    pipeline = "our-crm"  # what the tables call the ladder

    [deal]  # columns in braces; id and stage are needed
    id = "{opportunity_id}"
    stage = "{deal_stage}"
    title = "{account}"  # the id when left out or empty
    owner = "{sales_agent}"
    source = "{campaign}"
    currency = "USD"
    value = "{amount}"  # all the time
    closing_value = "{final}"  # from when it closed; value when empty
    loss_reason = "{why}"  # from when it was lost

    [stages.engaging]  # from the bottom of the ladder to the top
    called = ["Engaging", "In corso"]  # what the export calls it; the key when left out
    title = "Engaging"  # what the export calls it when left out
    status = "open"  # or won, lost, abandoned
    probability = 0.5
    entered = "{engage_date}"  # when; a closed stage's counts only for deals that are in it

    [also]  # further columns of the deals, as text
    product = "{product}"
    sector = "{accounts.sector}"

    [join.accounts]  # another CSV file, beside the first
    file = "accounts.csv"
    by = "account"  # a column that both have

    [renames.product]  # texts of a column that mean others
    GTXPro = "GTX Pro"
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from ...errors import DefinitionError
from ...ladder.plain import Part
from ...logs.log_map import TimeFormat
from ...logs.map_files import map_data, shipped_maps
from ...logs.map_reader import READ_FIELDS, TemplateReader, read_layout, read_time
from ...logs.placeholders import Template, columns_of
from ...logs.readers import Layout
from ...model.stage import Stage
from .schema import DEALS

__all__ = ["CrmMap", "CrmStage", "Join", "crm_map", "crm_map_from_dict", "shipped_crm_maps"]

_PACKAGE: Final = "ladderpipe.insight.frames.maps"
_SECTIONS: Final = (
    "extends",
    "pipeline",
    "read",
    "time",
    "deal",
    "stages",
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
)
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
        also: further columns of the deals.
        renames: by column: texts that mean others.
    """

    pipeline: str
    layout: Layout
    time: TimeFormat
    deal: Mapping[str, Template]
    stages: tuple[CrmStage, ...]
    also: Mapping[str, Template]
    joins: tuple[Join, ...]
    renames: Mapping[str, Mapping[str, str]]
    empty: frozenset[str]

    @property
    def columns(self) -> frozenset[str]:
        """Every column of the export itself that the map refers to."""
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
        named = columns_of([*self.deal.values(), *self.also.values(), *dates])
        return named | frozenset(self.renames)


def shipped_crm_maps() -> list[str]:
    """Return the names of the maps of exports that come with the library."""
    return shipped_maps(_PACKAGE)


def crm_map(name: str | Path) -> CrmMap:
    """Return the map that a TOML file holds, or a shipped one by its name.

    Raises:
        DefinitionError: it is not there, no TOML, or malformed; the message names the place.
    """
    data = map_data(name, _PACKAGE)
    try:
        return crm_map_from_dict(data)
    except DefinitionError as error:
        raise DefinitionError(f"{name}: {error}") from error.__cause__


def crm_map_from_dict(data: Mapping[str, Any]) -> CrmMap:
    """Return the map that plain data describes.

    Raises:
        DefinitionError: it is malformed; the message begins with the place.
    """
    top = Part("", data).fields(*_SECTIONS, required=("pipeline", "deal", "stages"))
    read = top["read"].fields(*READ_FIELDS) if "read" in top else {}
    if "explode" in read:
        raise read["explode"].refusal("a row of an export is one deal: leave it out")
    reader = TemplateReader(read)
    deal = top["deal"].fields(*_DEAL, required=("id", "stage"))
    return CrmMap(
        pipeline=top["pipeline"].text(),
        layout=read_layout(read),
        time=read_time(top["time"]) if "time" in top else TimeFormat(),
        deal={name: reader.text(part) for name, part in deal.items()},
        stages=_stages(reader, top["stages"]),
        also=_also(reader, top),
        joins=tuple(_join(name, part) for name, part in _mapping(top, "join").items()),
        renames={
            column: {old: new.text() for old, new in part.mapping().items()}
            for column, part in _mapping(top, "renames").items()
        },
        empty=reader.empty,
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
    entered = reader.text(fields["entered"]) if "entered" in fields else None
    return CrmStage(stage, frozenset(called), entered)


def _also(reader: TemplateReader, top: Mapping[str, Part]) -> dict[str, Template]:
    found = {}
    for name, part in _mapping(top, "also").items():
        if name in DEALS:
            raise part.refusal(f"the deals have a column {name!r} already: call this one otherwise")
        found[name] = reader.text(part)
    return found


def _join(name: str, part: Part) -> Join:
    fields = part.fields("file", "by", required=("file", "by"))
    return Join(name, fields["file"].text(), fields["by"].text())


def _mapping(top: Mapping[str, Part], name: str) -> dict[str, Part]:
    return top[name].mapping() if name in top else {}
