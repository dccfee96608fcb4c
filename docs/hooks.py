"""What MkDocs generates while building, so that it cannot go stale.

A comment ``<!-- ladder: sales_management -->`` on a page becomes that ladder's diagram, stages,
rules, sequences and file; ``<!-- commands -->`` becomes the arguments and options of every command.
"""

from __future__ import annotations

import inspect
import re
import textwrap
import typing
from collections.abc import Callable, Iterator
from typing import Any

import attrs
from typer import Context, Typer
from typer.models import ArgumentInfo

from ladderpipe import ANY, Pipeline, Stage, WaitStep, templates
from ladderpipe.cli.commands import PANELS

COMMANDS = "<!-- commands -->"
LADDER = re.compile(r"^<!-- ladder: (\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **kwargs: Any) -> str:
    """Put ladders and commands into a page."""
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, commands())
    return LADDER.sub(lambda found: ladder(found[1]), markdown)


def ladder(name: str) -> str:
    """Return the section of one template."""
    pipeline = getattr(templates, name)(language="en")
    return "\n".join(
        [
            *_diagram(pipeline),
            *_table("Key", "Title", "In Italian", "Status", "Probability", rows=_stages(pipeline)),
            *_table("Rule", "Out of", "Into", "When", rows=_rules(pipeline)),
            *_sequences(pipeline),
            *_file(name),
        ]
    )


def _diagram(pipeline: Pipeline) -> list[str]:
    fence = ["```mermaid", pipeline.diagram("mermaid").rstrip(), "```"]
    return ['<div class="paper" markdown>', "", *fence, "", "</div>", ""]


def _stages(pipeline: Pipeline) -> Iterator[list[str]]:
    for stage in pipeline.stages:
        probability = "" if stage.probability is None else f"{stage.probability:.0%}"
        needs = f" (needs {', '.join(f'`{name}`' for name in stage.requires)})"
        yield [
            f"`{stage}`",
            stage.title_in("en"),
            stage.title_in("it"),
            stage.status + (needs if stage.requires else ""),
            probability,
        ]


def _rules(pipeline: Pipeline) -> Iterator[list[str]]:
    for rule in pipeline.rules:
        opens = " or a new deal" if rule.opens else ""
        yield [
            rule.trigger_text,
            _out_of(rule.out_of) + opens,
            f"`{rule.into}`",
            str(rule.when or ""),
        ]


def _out_of(out_of: Any) -> str:
    if out_of is None:
        return "every open stage"
    return "any stage" if out_of is ANY else ", ".join(f"`{stage}`" for stage in out_of)


def _sequences(pipeline: Pipeline) -> Iterator[str]:
    for stage in pipeline.stages:
        steps = ", then ".join(_steps(stage))
        if steps:
            yield f"- **{stage.title}** starts: {steps}"
    yield ""


def _file(name: str) -> list[str]:
    fence = f"```toml\n{templates.text(name, language='en')}```"
    return ['??? note "The file, with what each event means"', textwrap.indent(fence, "    "), ""]


def _steps(stage: Stage) -> Iterator[str]:
    pause = ""
    for step in stage.sequence:
        if isinstance(step, WaitStep):
            hours = step.delay.total_seconds() / 3600
            length = f"{hours / 24:g} days" if hours % 24 == 0 and hours > 24 else f"{hours:g} h"
            pause = f" after {length}"
        else:
            yield f"{step.name} “{step.payload.get('title', step.payload)}”{pause}"
            pause = ""


def _table(*heads: str, rows: Iterator[list[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines] + [""]


def commands() -> str:
    """Return a section for every command of the command line, those in groups last."""
    found = [(name, each.load()) for panel in PANELS.values() for name, each in panel.items()]
    lines = [
        line
        for name, each in found
        if not isinstance(each, Typer)
        for line in _command(each, "", name)
    ]
    for name, group in found:
        if isinstance(group, Typer):
            lines += _group(group, name)
    return "\n".join(lines)


def _group(group: Typer, name: str) -> Iterator[str]:
    """Tell a group's commands, and before them the options that stand before each."""
    if group.registered_callback is not None:
        yield f"## `{name} OPTIONS …` {{ #{name} }}"
        yield ""
        yield str(group.info.help)
        yield ""
        told: Any = group.registered_callback.callback
        rows = ([each.spelled, each.meaning] for each in _parameters(told))
        yield from _table("Before the command", "Meaning", rows=rows)
    for command in group.registered_commands:
        found: Any = command.callback
        yield from _command(found, name, command.name)


def _command(function: Callable[..., None], group: str, named_as: str | None) -> Iterator[str]:
    told = list(_parameters(function))
    typed = named_as or function.__name__.replace("_", "-")
    named = [name for name in (group, typed) if name]
    usage = " ".join([*named, *(each.value for each in told if each.is_argument)])
    yield f"## `{usage}` {{ #{'-'.join(named)} }}"
    yield ""
    yield inspect.getdoc(function) or ""
    yield ""
    told.sort(key=lambda each: not each.is_argument)
    yield from _table("Argument", "Meaning", rows=([each.spelled, each.meaning] for each in told))


@attrs.frozen
class Told:
    """What is to be said about one argument or option."""

    is_argument: bool
    value: str
    spelled: str
    meaning: str


def _parameters(function: Callable[..., None]) -> Iterator[Told]:
    hints = typing.get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        if hints[name] is Context:
            continue
        kind, info = typing.get_args(hints[name])[:2]
        is_argument = isinstance(info, ArgumentInfo)
        value = info.metavar or "{" + ",".join(_choices(kind)) + "}"
        spelled = (
            [value] if is_argument else [_names(info)] if kind is bool else [_names(info), value]
        )
        meaning = _meaning(info, parameter.default, is_argument)
        yield Told(is_argument, value, f"`{' '.join(spelled)}`", meaning)


def _names(info: Any) -> str:
    # Within Annotated, Typer takes the first name of an option for its default.
    return ", ".join([info.default, *(info.param_decls or ())])


def _choices(kind: Any) -> list[str]:
    if typing.get_origin(kind) is typing.Literal:
        return list(typing.get_args(kind))
    return [choice for part in typing.get_args(kind) for choice in _choices(part)]


def _meaning(info: Any, default: Any, is_argument: bool) -> str:
    told = info.help.replace("|", "\\|")
    if default is inspect.Parameter.empty:
        return told if is_argument else f"{told}; required"
    if isinstance(default, tuple):
        default = " ".join(default)
    if default not in (None, False, ""):
        told += f"; `{default}` when left out"
    return told + (f"; also read from `{info.envvar}`" if info.envvar else "")
