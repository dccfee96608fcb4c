"""An asynchronous board has what a board has."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from ladderpipe import Board
from ladderpipe.asynchronous import AsyncBoard

AT_ONCE = {"clock", "handle_effect", "handles", "pipeline", "store"}
"""What needs no waiting."""
OF_ITS_OWN = {"handle_effect", "handles", "open", "publish", "run", "using"}
"""What is written for itself, because a type in it is another one."""


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_the_names_are_the_same():
    assert public(AsyncBoard) == public(Board)


@pytest.mark.parametrize("name", sorted(public(Board) - {"clock", "pipeline", "store"}))
def test_the_parameters_are_the_same(name: str):
    ours, theirs = (inspect.signature(getattr(kind, name)) for kind in (AsyncBoard, Board))
    if name in OF_ITS_OWN:
        assert list(ours.parameters) == list(theirs.parameters)
        assert [p.kind for p in ours.parameters.values()] == [
            p.kind for p in theirs.parameters.values()
        ]
        assert [p.default for p in ours.parameters.values()] == [
            p.default for p in theirs.parameters.values()
        ]
    else:
        assert ours == theirs


def test_both_are_made_with_the_same():
    assert inspect.signature(AsyncBoard) == inspect.signature(Board)


@pytest.mark.parametrize("name", sorted(public(Board) - AT_ONCE - {"deals"}))
def test_everything_is_awaited(name: str):
    method = inspect.unwrap(inspect.getattr_static(AsyncBoard, name), stop=_is_own)
    assert inspect.iscoroutinefunction(getattr(method, "__func__", method))


def _is_own(function: object) -> bool:
    return inspect.iscoroutinefunction(function)


def test_the_documentation_is_the_same():
    assert AsyncBoard.handle.__doc__ == Board.handle.__doc__


def test_a_program_without_an_event_loop_loads_none_of_it():
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, ladderpipe; ladderpipe.Board\n"
            "print([n for n in ('greenlet', 'asyncio', 'ladderpipe.asynchronous', 'psycopg') "
            "if n in sys.modules])\n"
            "print(ladderpipe.AsyncBoard.__name__, 'greenlet' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.splitlines() == ["[]", "AsyncBoard False"]
