"""What ``import ladderpipe`` brings, and what it leaves to those who ask for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import ladderpipe
from ladderpipe.stores import PostgresStore


def python(code: str) -> str:
    """Run code in a process in which psycopg is not installed; return what it prints."""
    missing = "import sys; sys.modules['psycopg'] = sys.modules['psycopg_pool'] = None\n"
    command = [sys.executable, "-c", missing + code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_postgresql_store_is_exported() -> None:
    assert ladderpipe.PostgresStore is PostgresStore


def test_everything_else_is_there_without_its_driver() -> None:
    assert python("from ladderpipe import *; print(Board.__name__)") == "Board\n"


def test_asking_for_it_without_its_driver_says_what_to_install() -> None:
    asked = "import ladderpipe\ntry: ladderpipe.PostgresStore\nexcept Exception as e: print(e)"
    assert "pip install 'ladderpipe[postgres]'" in python(asked)


def test_a_name_that_is_not_there_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'PostgreStore'"):
        ladderpipe.PostgreStore  # noqa: B018
