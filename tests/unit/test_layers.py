"""Who may import whom, as ``docs/explanation/architecture.md`` tells it; read from the folders.

Every import counts: those inside functions and under ``TYPE_CHECKING`` too. What a module's name
promises must hold for whoever reads it, not only for the interpreter.
"""

from __future__ import annotations

import ast
import functools
import graphlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

import ladderpipe

SOURCE = Path(ladderpipe.__file__).parent
MOST_AT_THE_ROOT = 10

LAYERS = (
    ("errors", "extras", "public"),
    ("model",),
    ("ladder",),
    ("fold",),
    ("pipeline", "guards", "policy", "problems"),
    ("stores",),
    ("formats", "observability"),
    ("board",),
    ("asynchronous", "logs", "mail", "templates"),
    ("insight",),
    ("testing", "web", "connect", "temporal", "django", "sqlalchemy", "fastapi", "spark"),
    ("cli",),
)
"""A room imports what stands before it, and nothing of its own line or after. The root's front
door is no room: it hands on what others hold."""

ROOMS_OF = {
    "a2wsgi": {"web"},
    "altair": {"insight"},
    "anyio": {"web"},
    "asyncpg": {"stores"},
    "babel": {"formats"},
    "asyncio": {"asynchronous", "connect", "stores", "temporal"},
    "cryptography": {"stores"},
    "django": {"django", "mail", "web"},
    "fastapi": {"fastapi"},
    "greenlet": {"asynchronous"},
    "holidays": {"ladder"},
    "httpx": {"connect"},
    "hypothesis": {"testing"},
    "itsdangerous": {"connect"},
    "jinja2": {"mail", "web"},
    "llvmlite": {"insight"},
    "markupsafe": {"mail"},
    "numba": {"insight"},
    "numpy": {"insight"},
    "opentelemetry": {"observability"},
    "polars": {"cli", "insight", "spark"},
    "psycopg": {"django", "stores"},
    "psycopg2": {"stores"},
    "psycopg_pool": {"stores"},
    "pyarrow": {"spark"},
    "pydantic": {"fastapi"},
    "pymysql": {"stores"},
    "pyspark": {"spark"},
    "pytest": {"testing"},
    "rich": {"cli"},
    "sqlalchemy": {"sqlalchemy"},
    "sqlite3": {"cli", "connect", "django", "insight", "logs", "stores"},
    "standardwebhooks": {"connect"},
    "starlette": {"fastapi", "web"},
    "temporalio": {"temporal"},
    "tomli_w": {"ladder"},
    "transitions": {"ladder"},
    "typer": {"cli"},
    "uvicorn": {"cli"},
    "yaml": {"ladder"},
}
"""Which rooms may know a dependency; ``attrs`` is everybody's."""

CORE = {
    *("errors", "extras", "public", "model", "ladder", "fold"),
    *("pipeline", "guards", "policy", "problems"),
}
FOR_FILES = {"holidays", "tomli_w", "yaml"}
"""What a definition may need, loaded when it does."""
NOT_FOR_THE_CORE = {"asyncio", "logging", "socket", "sqlite3", "threading", "time"}


@attrs.frozen
class Import:
    """One module that another one imports, by its path within ladderpipe or its own name."""

    module: str
    imported: str
    ours: bool

    def __str__(self) -> str:
        return f"{self.module} imports {self.imported}"


def room(module: str) -> str:
    return module.partition(".")[0]


def layer(module: str) -> int:
    return next(index for index, rooms in enumerate(LAYERS) if room(module) in rooms)


@functools.cache
def modules() -> dict[str, Path]:
    """Every module by its name within ladderpipe; the package's own front door has none."""
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
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in names(node, package):
                yield of(module, name)


def names(node: ast.Import | ast.ImportFrom, package: list[str]) -> list[str]:
    """Return in full what a statement names; of ``from a import b``, that is ``a.b``."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = package[: len(package) - node.level + 1] if node.level else []
    base = [*base, node.module] if node.module else base
    return [".".join([*base, alias.name]) for alias in node.names]


def of(module: str, name: str) -> Import:
    first, _, within = name.partition(".")
    if first != "ladderpipe":
        return Import(module, first, ours=False)
    while within and within not in modules():
        within = within.rpartition(".")[0]
    return Import(module, within, ours=True)


def said(found: Iterator[Import]) -> list[str]:
    return sorted({str(each) for each in found})


def test_every_room_has_its_place_and_the_root_stays_small() -> None:
    rooms = {room(name) for name in modules()}
    assert not rooms - {name for layer in LAYERS for name in layer}
    assert len(list(SOURCE.glob("*.py"))) <= MOST_AT_THE_ROOT


def test_no_room_imports_against_the_order_of_the_layers() -> None:
    others = (
        each
        for each in imports()
        if each.ours and each.imported and room(each.imported) != room(each.module)
    )
    assert not said(each for each in others if layer(each.imported) >= layer(each.module))


def test_nothing_below_asks_at_the_front_door() -> None:
    """Only what is outside may import ``ladderpipe`` itself, as users do."""
    asking = {room(each.module) for each in imports() if each.ours and not each.imported}
    assert all(layer(name) > layer("insight") for name in asking)


def test_no_circle() -> None:
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for each in imports():
        if each.ours and each.imported and each.imported != each.module:
            graph[each.module].add(each.imported)
    graphlib.TopologicalSorter(graph).prepare()


def test_the_core_imports_attrs_and_transitions_and_nothing_else() -> None:
    known = sys.stdlib_module_names | {"attrs", "transitions"} | FOR_FILES
    of_the_core = [each for each in imports() if not each.ours and room(each.module) in CORE]
    assert not said(each for each in of_the_core if each.imported not in known)


def test_the_core_knows_no_database_no_network_and_no_clock() -> None:
    of_the_core = [each for each in imports() if not each.ours and room(each.module) in CORE]
    assert not said(each for each in of_the_core if each.imported in NOT_FOR_THE_CORE)


@pytest.mark.parametrize("dependency", sorted(ROOMS_OF))
def test_a_dependency_stays_in_its_rooms(dependency: str) -> None:
    using = {room(each.module) for each in imports() if each.imported == dependency}
    assert using == ROOMS_OF[dependency]


def test_every_dependency_has_its_rooms() -> None:
    known = sys.stdlib_module_names | {"attrs"} | set(ROOMS_OF)
    assert not said(each for each in imports() if not each.ours and each.imported not in known)


def test_no_folder_has_the_name_of_a_function_that_its_parent_exports() -> None:
    """``from ladderpipe import replay`` must not give a module where a function was meant."""
    for name, path in modules().items():
        if path.name != "__init__.py":
            continue
        parent, _, own = f"ladderpipe.{name}".rpartition(".")
        exported = getattr(importlib.import_module(parent), "__all__", ())
        assert own not in exported, f"{parent} exports {own}, which is a folder too"
