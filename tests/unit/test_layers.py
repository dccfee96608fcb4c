"""Who may import whom, as ``docs/explanation/architecture.md`` tells it; read from the source.

A room is a file, or a package beside it. What is in neither list below belongs to the shell.
Imports for annotations only (``TYPE_CHECKING``) may point anywhere: they do not exist at run time.
"""

from __future__ import annotations

import ast
import functools
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

import ladderpipe

SOURCE = Path(ladderpipe.__file__).parent

# fmt: off
CORE = {
    "canonical", "check", "clock", "deals", "definition", "definition_reader", "diagram", "draft",
    "errors", "events", "explain", "fingerprint", "fold", "guard_logic", "guards", "history",
    "importing", "machine", "money", "pipeline", "plain", "reducer", "rules", "stages", "ways",
}
OUTSIDE = {
    "cli", "files", "filling", "insight", "logs", "mail", "map_files", "mapping", "mapping_reader",
    "replaying", "templates", "testing", "xes",
}
# fmt: on

ROOMS_OF = {
    "altair": {"insight"},
    "asyncio": {"asynchronous", "bridging", "stores"},
    "greenlet": {"asynchronous"},
    "hypothesis": {"testing"},
    "jinja2": {"mail"},
    "markupsafe": {"mail"},
    "numpy": {"insight"},
    "opentelemetry": {"telemetry"},
    "polars": {"cli", "insight"},
    "psycopg": {"stores"},
    "psycopg_pool": {"stores"},
    "pytest": {"testing"},
    "rich": {"cli"},
    "sqlite3": {"asynchronous", "cli", "stores"},
    "tomli_w": {"files"},
    "transitions": {"machine"},
    "typer": {"cli"},
    "yaml": {"files"},
}
"""Which rooms may know a dependency; ``attrs`` is everybody's."""

NOT_FOR_THE_CORE = {"asyncio", "logging", "random", "socket", "sqlite3", "threading", "time"}


@attrs.frozen
class Import:
    """One module that another one imports, by its path within ladderpipe or its own name."""

    module: str
    imported: str
    ours: bool
    at_once: bool
    """At the top of its file, not inside a function that may run later."""

    def __str__(self) -> str:
        return f"{self.module} imports {self.imported}"


def room(module: str) -> str:
    return module.partition(".")[0]


def layer(module: str) -> int:
    return 0 if room(module) in CORE else 2 if room(module) in OUTSIDE else 1


@functools.cache
def modules() -> dict[str, Path]:
    """Every module by its name within ladderpipe; the package's own front door is no room."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return {name: path for name, path in found.items() if name}


@functools.cache
def imports() -> tuple[Import, ...]:
    return tuple(found for name, path in modules().items() for found in imports_of(name, path))


def imports_of(module: str, path: Path) -> Iterator[Import]:
    package = ["ladderpipe", *module.split(".")]
    if path.name != "__init__.py":
        package.pop()
    for node, at_once in statements(ast.parse(path.read_text("utf-8")), at_once=True):
        for name in names(node, package):
            yield of(module, name, at_once)


def names(node: ast.Import | ast.ImportFrom, package: list[str]) -> list[str]:
    """Return in full what a statement names; of ``from a import b``, that is ``a.b``."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = package[: len(package) - node.level + 1] if node.level else []
    base = [*base, node.module] if node.module else base
    return [".".join([*base, alias.name]) for alias in node.names]


def of(module: str, name: str, at_once: bool) -> Import:
    first, _, within = name.partition(".")
    if first != "ladderpipe":
        return Import(module, first, False, at_once)
    while within and within not in modules():
        within = within.rpartition(".")[0]
    return Import(module, within, True, at_once)


def statements(node: ast.AST, at_once: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Yield the imports that run, and whether they do as soon as the module is imported."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, at_once
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        else:
            later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from statements(child, at_once and not later)


def said(found: Iterator[Import]) -> list[str]:
    return sorted({str(each) for each in found})


def test_every_room_that_is_listed_is_there() -> None:
    assert {room(name) for name in modules()} >= CORE | OUTSIDE


def test_no_room_imports_a_layer_above_its_own() -> None:
    ours = (each for each in imports() if each.ours and each.imported)
    assert not said(each for each in ours if layer(each.imported) > layer(each.module))


def test_the_core_imports_attrs_and_transitions_and_nothing_else() -> None:
    known = sys.stdlib_module_names | {"attrs", "transitions"}
    of_the_core = [each for each in imports() if not each.ours and layer(each.module) == 0]
    assert not said(each for each in of_the_core if each.imported not in known)


def test_the_core_knows_no_database_no_network_and_no_clock() -> None:
    of_the_core = [each for each in imports() if not each.ours and layer(each.module) == 0]
    assert not said(each for each in of_the_core if each.imported in NOT_FOR_THE_CORE)


@pytest.mark.parametrize("dependency", sorted(ROOMS_OF))
def test_a_dependency_stays_in_its_rooms(dependency: str) -> None:
    using = {room(each.module) for each in imports() if each.imported == dependency}
    assert using == ROOMS_OF[dependency]


def test_every_dependency_has_its_rooms() -> None:
    known = sys.stdlib_module_names | {"attrs"} | set(ROOMS_OF)
    assert not said(each for each in imports() if not each.ours and each.imported not in known)


def test_only_the_command_line_imports_insight_and_nobody_the_command_line() -> None:
    ours = [each for each in imports() if each.ours and room(each.imported) != room(each.module)]
    assert {room(each.module) for each in ours if room(each.imported) == "insight"} == {"cli"}
    assert not said(each for each in ours if room(each.imported) == "cli")


def test_no_two_modules_import_each_other() -> None:
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for each in imports():
        if each.ours and each.at_once and each.imported:
            graph[each.module].add(each.imported)
    for name in graph:
        graph[name].discard(name)
    graphlib.TopologicalSorter(graph).prepare()
