"""Drawing a ladder, as Mermaid or Graphviz DOT text, from its ``transitions`` machine.

A rule is a node of its own between the stages it leaves and the one it leads into, so that no text
lies on another. What an event does is drawn solid, what time does dashed and what a hand does
dotted, each in its own colour. A rule that leaves many stages says so instead of drawing them all.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Final, Literal, cast

import attrs

from ..errors import DefinitionError
from ..model.notebook import table
from ..model.stage import Stage
from .ladder import Ladder
from .machine import NOT_OPEN, RuleTransition
from .rules import ANY, ByHand, OnEvents, Rule, trigger_text

__all__ = ["as_table", "diagram"]

Kind = Literal["event", "timer", "hand"]

_WIDEST: Final = 30
"""Texts are broken into lines of at most this many characters."""

_MOST_ARROWS: Final = 3
"""A rule that leaves more stages names them instead."""

_FILL: Final = {
    "open": ("#e8f0fe", "#4a6fa5"),
    "won": ("#d9f2df", "#2e7d4f"),
    "lost": ("#fbdcdc", "#b03a3a"),
    "abandoned": ("#fdf0d0", "#a97a15"),
    "merged": ("#ece6f5", "#6b4f9a"),
    "opening": ("#ffffff", "#566072"),
}
"""Fill and border of the nodes."""

_LINE: Final[dict[Kind, str]] = {"event": "#566072", "timer": "#b26a00", "hand": "#7a3fb0"}
_TEXT: Final = "#1f2430"
_FAINT: Final = "#d5d9e0"
_WHITE: Final = "#ffffff"


@attrs.frozen
class Way:
    """What leads into a stage: where it starts, and the rules that say so, drawn as one node.

    Attributes:
        starts: keys of stages, and ``NOT_OPEN``; without the stages when the texts name them.
    """

    starts: tuple[str, ...]
    into: str
    kind: Kind
    texts: tuple[str, ...]


def diagram(ladder: Ladder, format: Literal["mermaid", "dot"] = "mermaid") -> str:
    """Return the ladder as text that Mermaid or Graphviz draws.

    Raises:
        DefinitionError: *format* is neither.
    """
    if format not in _FORMATS:
        raise DefinitionError(f"diagram({format!r}): choose from {', '.join(_FORMATS)}")
    return "\n".join(_FORMATS[format](ladder, _ways(ladder))) + "\n"


def _ways(ladder: Ladder) -> list[Way]:
    """Read the arrows off the machine; rules with the same ends and kind are one way."""
    sources: dict[str, dict[str, None]] = {}
    for transition in cast("list[RuleTransition]", ladder.machine.get_transitions()):
        sources.setdefault(transition.rule.key or "", {})[transition.source] = None
    found: dict[tuple[tuple[str, ...], str, Kind, str], list[str]] = {}
    for rule in ladder.rules:
        states = sources.get(rule.key or "", {})
        opening = (NOT_OPEN,) if NOT_OPEN in states else ()
        stages = [stage for stage in ladder.stages if stage.key in states]
        from_where = _from_where(rule, stages)
        starts = opening if from_where else (*opening, *(stage.key for stage in stages))
        if opening and from_where:
            from_where = f"or {from_where}"
        ends = (starts, rule.into.key, _kind(rule), from_where)
        found.setdefault(ends, []).append(_text(rule))
    return [
        Way(starts, into, kind, (*texts, from_where) if from_where else tuple(texts))
        for (starts, into, kind, from_where), texts in found.items()
    ]


def _from_where(rule: Rule, stages: list[Stage]) -> str:
    """Return in words which stages a rule leaves, empty when arrows can show it."""
    if len(stages) > 1 and rule.out_of is ANY:
        return "from any stage"
    if len(stages) > 1 and rule.out_of is None:
        return "from every open stage"
    if len(stages) > _MOST_ARROWS:
        return _wrapped(f"from {', '.join(stage.title for stage in stages)}")
    return ""


def _kind(rule: Rule) -> Kind:
    if isinstance(rule.trigger, OnEvents):
        return "event"
    return "hand" if isinstance(rule.trigger, ByHand) else "timer"


def _text(rule: Rule) -> str:
    trigger = rule.trigger
    text = ", ".join(trigger.types) if isinstance(trigger, OnEvents) else rule.trigger_text
    return _wrapped(text) + (f"\n{_wrapped(f'[{rule.when}]')}" if rule.when else "")


def _node_text(stage: Stage) -> str:
    told: list[str] = [] if stage.status == "open" else [stage.status]
    if stage.probability is not None and not stage.is_closed:
        told.append(f"{stage.probability:.0%}")
    return _wrapped(stage.title) + (f"\n{' · '.join(told)}" if told else "")


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(" ".join(text.split()), _WIDEST, break_on_hyphens=False))


# -- Mermaid ----------------------------------------------------------------------------------

_ARROWS: Final[dict[Kind, tuple[str, str]]] = {
    "event": ("---", "-->"),
    "timer": ("-.-", "-.->"),
    "hand": ("-.-", "-.->"),
}
_DASHES: Final[dict[Kind, str]] = {
    "event": "",
    "timer": ",stroke-dasharray:7 4",
    "hand": ",stroke-dasharray:2 4",
}


def _mermaid(ladder: Ladder, ways: list[Way]) -> Iterator[str]:
    ids = _ids(ladder)
    yield '%%{init: {"flowchart": {"wrappingWidth": 400}}}%%'
    yield "flowchart LR"
    yield f'    {ids[NOT_OPEN]}(("{_mermaid_text("new deal")}")):::opening'
    for stage in ladder.stages:
        yield f'    {ids[stage.key]}["{_mermaid_text(_node_text(stage))}"]:::{stage.status}'
    kinds: list[Kind] = []
    for index, way in enumerate(ways):
        yield f'    r{index}("{_mermaid_text(chr(10).join(way.texts))}"):::{way.kind}'
        yield from (f"    {ids[start]} {_ARROWS[way.kind][0]} r{index}" for start in way.starts)
        yield f"    r{index} {_ARROWS[way.kind][1]} {ids[way.into]}"
        kinds += [way.kind] * (len(way.starts) + 1)
    for name, (fill, border) in _FILL.items():
        yield f"    classDef {name} fill:{fill},stroke:{border},color:{_TEXT}"
    for kind, colour in _LINE.items():
        yield f"    classDef {kind} fill:{_WHITE},stroke:{_FAINT},color:{colour}"
        lines = ",".join(str(index) for index, found in enumerate(kinds) if found == kind)
        if lines:
            yield f"    linkStyle {lines} stroke:{colour}{_DASHES[kind]}"


def _ids(ladder: Ladder) -> dict[str, str]:
    """Name the nodes: a stage's key may be a word of the diagram language."""
    return {NOT_OPEN: "opening"} | {s.key: f"s{index}" for index, s in enumerate(ladder.stages)}


_NOT_PLAIN: Final = re.compile(r"[^\w \n.,:·→+/()\[\]{}|'!?€=*~$^%-]|%(?=[%{])")


def _mermaid_text(text: str) -> str:
    """Write what Mermaid, Markdown or HTML might read as more than text by its number."""
    return _NOT_PLAIN.sub(lambda found: f"#{ord(found[0])};", text).replace("\n", "<br/>")


# -- DOT --------------------------------------------------------------------------------------

_STYLES: Final[dict[Kind, str]] = {"event": "solid", "timer": "dashed", "hand": "dotted"}


def _dot(ladder: Ladder, ways: list[Way]) -> Iterator[str]:
    ids = _ids(ladder)
    yield f"digraph {_dot_text(ladder.name)} {{"
    yield "    rankdir=LR"
    yield '    node [shape=box, style="rounded,filled", fontname="sans-serif"]'
    yield f'    {ids[NOT_OPEN]} [shape=ellipse, label="new deal", {_dot_colours("opening")}]'
    for stage in ladder.stages:
        label = _dot_text(_node_text(stage))
        yield f"    {ids[stage.key]} [label={label}, {_dot_colours(stage.status)}]"
    for index, way in enumerate(ways):
        label, colour = _dot_text("\n".join(way.texts)), _LINE[way.kind]
        drawn = f'style={_STYLES[way.kind]}, color="{colour}"'
        plate = f'fillcolor="{_WHITE}", color="{_FAINT}", fontcolor="{colour}"'
        yield f"    r{index} [label={label}, {plate}]"
        for start in way.starts:
            yield f"    {ids[start]} -> r{index} [{drawn}, arrowhead=none]"
        yield f"    r{index} -> {ids[way.into]} [{drawn}]"
    yield "}"


def _dot_colours(status: str) -> str:
    fill, border = _FILL[status]
    return f'fillcolor="{fill}", color="{border}", fontcolor="{_TEXT}"'


def _dot_text(text: str) -> str:
    """Quote for DOT, which reads backslashes and, in labels, HTML entities."""
    for char, written in (("&", "&amp;"), ("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n")):
        text = text.replace(char, written)
    return f'"{text}"'


_FORMATS: Final[dict[str, Callable[[Ladder, list[Way]], Iterator[str]]]] = {
    "mermaid": _mermaid,
    "dot": _dot,
}


def as_table(ladder: Ladder, title: str) -> str:
    """Return the ladder as a table in HTML: a row for each way into a stage, bottom first."""
    rows = []
    for stage in ladder.stages:
        ways = [rule for rule in ladder.rules if rule.into is stage]
        rows += [
            (
                stage.title if place == 0 else "",
                stage.status if place == 0 else "",
                "←",
                trigger_text(rule.trigger),
                _left_by(rule),
            )
            for place, rule in enumerate(ways)
        ] or [(stage.title, stage.status, "", "", "")]
    columns = ("stage", "status", "", "entered by", "out of")
    return table(title, columns, rows, most=len(rows))


def _left_by(rule: Rule) -> str:
    opening = ["opens a deal"] if rule.opens else []
    if rule.out_of is ANY:
        return ", ".join(["any stage", *opening])
    if isinstance(rule.out_of, tuple):
        return ", ".join([*(stage.title for stage in rule.out_of), *opening])
    return ", ".join(["any stage that is not closed", *opening])
