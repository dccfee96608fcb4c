"""Definition files: a pipeline from and to YAML, TOML and JSON.

YAML is read by its version 1.2 rules where they differ from PyYAML's 1.1: ``on`` and ``no`` are
text, and so are ``18:00`` and ``2026-12-25``. What is written means the same under both.

What only a file needs is imported when there is one: ``import ladderpipe`` stays quick.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from ..errors import DefinitionError
from ..extras import how_to_install
from ..public import publish
from .definition_reader import Build, Built, read

__all__ = ["load", "schema", "write"]

MOST_VALUES: Final = 100_000
"""A YAML file of a few lines can stand for more than any memory holds."""


def load(path: Path | str, build: Build[Built], allow: Iterable[str]) -> Built:
    """Read a definition file and build what it defines; see :func:`ladderpipe.load`."""
    path = Path(path)
    read_text = _format(path, _READERS)
    try:
        return read(read_text(path.read_text("utf-8-sig")), build, allow)
    except DefinitionError as error:
        raise DefinitionError(f"{path}: {error}") from error.__cause__
    except UnicodeDecodeError as error:
        raise DefinitionError(f"{path} is not UTF-8 ({error}): save it as UTF-8") from None
    except RecursionError:
        raise DefinitionError(f"{path} is nested too deeply: flatten it") from None


def write(definition: Mapping[str, Any], path: Path | str) -> None:
    """Write a definition to a file whose suffix says the format; see :func:`ladderpipe.dump`."""
    path = Path(path)
    text = _format(path, _WRITERS)(definition)
    path.write_text(text, "utf-8", newline="\n")


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of definition files, for editors and validators."""
    from importlib import resources  # takes longer than all the rest of this module

    text = (resources.files(__package__) / "pipeline.schema.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _format(path: Path, known: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    try:
        return known[path.suffix.lower()]
    except KeyError:
        raise DefinitionError(
            f"{path}: the suffix {path.suffix!r} names no format; use {', '.join(known)}"
        ) from None


def _parse_error(line: int | None, why: object, language: str) -> DefinitionError:
    where = "" if line is None else f"line {line}: "
    return DefinitionError(f"{where}this is not {language} ({why}): mend it there")


def _read_json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise _parse_error(error.lineno, error.msg, "JSON") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise DefinitionError(f"the key {name!r} stands twice in one mapping: leave one out")
        found[name] = value
    return found


def _write_json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


_TOML_PLACE: Final = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)")


def _read_toml(text: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        line = int(place[1]) if place and place[1] else len(text.splitlines())
        raise _parse_error(line, _TOML_PLACE.sub("", str(error)), "TOML") from None


def _write_toml(data: Mapping[str, Any]) -> str:
    try:
        import tomli_w
    except ImportError:
        raise _extra_missing("TOML is written", "tomli-w") from None
    _refuse_null(data, "")
    return tomli_w.dumps(data)


def _refuse_null(value: Any, where: str) -> None:
    if value is None:
        raise DefinitionError(
            f"{where.removeprefix('.')} is null, which TOML does not have: "
            "leave it out, or write YAML or JSON"
        )
    if isinstance(value, Mapping):
        for name, part in value.items():
            _refuse_null(part, f"{where}.{name}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            _refuse_null(part, f"{where}[{index}]")


def _read_yaml(text: str) -> Any:
    yaml = _yaml()
    try:
        data = yaml.load(text, _yaml_loader())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _parse_error(mark and mark.line + 1, error.problem, "YAML") from None
    except (yaml.YAMLError, ValueError) as error:
        raise _parse_error(None, " ".join(str(error).split()), "YAML") from None
    _measure(data, MOST_VALUES)
    return data


def _measure(value: Any, left: int) -> int:
    """Count down the values in *value*, those behind an anchor as often as they are used."""
    if left <= 0:
        raise DefinitionError(f"more than {MOST_VALUES} values: use anchors less")
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        left = _measure(part, left - 1)
    return left


def _write_yaml(data: Mapping[str, Any]) -> str:
    text: str = _yaml().dump(
        data,
        Dumper=_yaml_dumper(),
        sort_keys=False,
        allow_unicode=True,
        width=100,
        default_flow_style=None,
    )
    return text


def _yaml() -> Any:
    try:
        import yaml
    except ImportError:
        raise _extra_missing("YAML is read and written", "PyYAML") from None
    return yaml


def _extra_missing(what: str, package: str) -> DefinitionError:
    return DefinitionError(
        f"{what} by {package}, which is not installed: {how_to_install('files')}"
    )


@functools.cache
def _yaml_loader() -> Any:
    """Return PyYAML's safe loader, with 1.2's plain values, that refuses a repeated key."""
    yaml = _yaml()

    class Loader(yaml.SafeLoader):  # type: ignore[misc, name-defined]
        def compose_mapping_node(self, anchor: Any) -> Any:
            node = super().compose_mapping_node(anchor)
            seen: list[Any] = []
            for key, _ in node.value:
                if key.value in seen and not key.tag.endswith(":merge"):
                    why = f"the key {key.value!r} stands twice in one mapping"
                    raise yaml.composer.ComposerError(None, None, why, key.start_mark)
                seen.append(key.value)
            return node

    kept = ("null", "merge")
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in found if tag.rpartition(":")[2] in kept]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for tag, pattern, first in _PLAIN_YAML:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))
    return Loader


@functools.cache
def _yaml_dumper() -> Any:
    """Return PyYAML's safe dumper, without anchors, that keeps every kind of line separator."""
    yaml = _yaml()

    class Dumper(yaml.SafeDumper):  # type: ignore[misc, name-defined]
        def ignore_aliases(self, data: Any) -> bool:
            return True

        def represent_str(self, text: str) -> Any:
            style = '"' if _SEPARATORS.search(text) else None
            return self.represent_scalar("tag:yaml.org,2002:str", text, style)

    Dumper.add_representer(str, Dumper.represent_str)
    return Dumper


_SEPARATORS: Final = re.compile("[\x85\u2028\u2029]")

# Each matches only what YAML 1.1 resolves in the same way, so that text needs no other quotes.
_PLAIN_YAML: Final = (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", r"^(?:[-+]?[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?$", "-+0123456789."),
    ("float", r"^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$", "-+."),
)

_READERS: Final[dict[str, Callable[[str], Any]]] = {
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".toml": _read_toml,
    ".json": _read_json,
}
_WRITERS: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    ".yaml": _write_yaml,
    ".yml": _write_yaml,
    ".toml": _write_toml,
    ".json": _write_json,
}


publish("ladderpipe", schema)
