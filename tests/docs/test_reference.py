"""Everything public stands in the reference, or on the page of its own that documents it."""

from __future__ import annotations

import importlib
import re
import runpy
from types import ModuleType
from typing import Any

import pytest

from ladderpipe.cli.commands import PANELS

from .pages import PAGES, ROOT
from .public import PACKAGES, public_names

_DOCUMENTED = re.compile(r"^::: (\S+)$", re.MULTILINE)


def documented() -> list[Any]:
    """Return every object that a page documents; of a module, all that it exports."""
    found: list[Any] = []
    for page in PAGES:
        for path in _DOCUMENTED.findall(page.read_text("utf-8")):
            found += _exported(_at(path))
    return found


def _at(path: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        return getattr(importlib.import_module(module), name)


def _exported(found: Any) -> list[Any]:
    if isinstance(found, ModuleType):
        return [getattr(found, name) for name in found.__all__]
    return [found]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_documented(package: str):
    known = documented()
    module = importlib.import_module(package)
    public = {name: getattr(module, name) for name in public_names(package)}
    assert [name for name, it in public.items() if not any(it is each for each in known)] == []


def test_every_command_can_be_told_with_its_arguments():
    """As the build of the documentation does it, long before somebody builds that."""
    hooks = runpy.run_path(str(ROOT / "docs" / "hooks.py"))
    told = hooks["commands"]()
    for panel in PANELS.values():
        for name in panel:
            assert f"## `{name}" in told
