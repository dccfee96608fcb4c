"""Everything public stands in the reference, or on the page of its own that documents it."""

from __future__ import annotations

import importlib
import re
from types import ModuleType
from typing import Any

import pytest

import ladderpipe
from ladderpipe import errors, insight, stores

from .pages import PAGES

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


@pytest.mark.parametrize("module", [ladderpipe, stores, insight, errors], ids=lambda m: m.__name__)
def test_every_public_name_is_documented(module: ModuleType):
    known = documented()
    lazy = ["AsyncBoard", "PostgresStore"] if module is ladderpipe else []
    public = {name: getattr(module, name) for name in [*module.__all__, *lazy]}
    assert [name for name, it in public.items() if not any(it is each for each in known)] == []
