"""Examples in docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import sys

import pytest

import ladderpipe
from tests.docs.public import PACKAGES, public_names

MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages(ladderpipe.__path__, "ladderpipe.")
    # Of an app, Django imports what it looks for once it has its settings.
    if not found.name.endswith("__main__") and "django." not in found.name
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("package", PACKAGES)
def test_examples_in_what_is_public_need_nothing_but_what_is_public(package: str) -> None:
    """What says that it is the package's is not found in the module that defines it."""
    names = {name: getattr(sys.modules[package], name) for name in public_names(package)}
    for name, found in names.items():
        for example in doctest.DocTestFinder().find(found, name, module=False, globs=names):
            assert doctest.DocTestRunner().run(example).failed == 0
