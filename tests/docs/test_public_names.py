"""Documentation, examples and typing tests import what is public, and nothing else.

Public is what a package exports in its ``__all__``, so that everything else may move.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .pages import PAGES, ROOT, blocks
from .public import PACKAGES, public_names

PROGRAMS = sorted(p for name in ("examples", "typing_tests") for p in (ROOT / name).rglob("*.py"))
_DOCUMENTED = re.compile(r"^::: (\S+)$", re.MULTILINE)
_ANCHOR = re.compile(r"\.md#(ladderpipe(?:\.\w+)+)")


def imported(code: str) -> Iterator[str]:
    """Yield in full what code imports of the library, and what it then takes from its packages."""
    tree = ast.parse(code)
    called: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
                first = alias.name.partition(".")[0]
                called[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                called[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            package = called.get(node.value.id)
            if package in PACKAGES:
                yield f"{package}.{node.attr}"


def not_public(names: Iterator[str] | list[str]) -> list[str]:
    return sorted({name for name in names if not is_public(name)})


def is_public(path: str) -> bool:
    """Whether a path names a public package, what one exports, or a member of that."""
    if path.partition(".")[0] != "ladderpipe":
        return True
    if path in PACKAGES or path == "ladderpipe.__version__":
        return True
    package = max((p for p in PACKAGES if path.startswith(f"{p}.")), key=len, default=None)
    if package is None:
        return False
    name = path.removeprefix(f"{package}.").partition(".")[0]
    return name in public_names(package)


def code_of(page: Path) -> Iterator[str]:
    for block in blocks(page):
        if block.language == "python":
            yield from imported(block.text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_imports_public_names_only(page: Path) -> None:
    assert not not_public(code_of(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_documents_and_refers_to_public_names_only(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not not_public(_DOCUMENTED.findall(text) + _ANCHOR.findall(text))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_program_imports_public_names_only(program: Path) -> None:
    assert not not_public(imported(program.read_text("utf-8")))


def test_what_is_not_public_is_found() -> None:
    code = """
import ladderpipe.fold.fold
import ladderpipe as lp
from ladderpipe import Board, insight, templates
from ladderpipe.model.deal import Deal
from ladderpipe.stores import PostgresStore

lp.Pipeline, lp.pipeline, insight.funnel, insight.frames, templates.kanban
"""
    assert not_public(imported(code)) == [
        "ladderpipe.fold.fold",
        "ladderpipe.insight.frames",
        "ladderpipe.model.deal.Deal",
        "ladderpipe.pipeline",
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_packages_that_are_public_are_there(package: str) -> None:
    assert importlib.import_module(package).__all__
