"""``new``: a folder to begin from, with a ladder, a worker and tests that pass."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from .. import templates
from ..errors import StoreError
from ..model.clock import instant
from ..pipeline import Pipeline
from .options import Language
from .printing import console
from .simulation import Simulation, example

__all__ = ["new"]

SHOP: Final = '''\
"""The ladder, where its deals are, and how its mails go out."""

import os
from pathlib import Path

import ladderpipe
from ladderpipe import Board
from ladderpipe.mail import FileMailbox

HERE = Path(__file__).parent
URL = os.environ.get("DEALS", f"sqlite:///{HERE / 'deals.db'}")

ladder = ladderpipe.load(HERE / "ladder.toml")


def register(board: Board) -> None:
    """Say how what the ladder asks for is done. The mails go into a file until you say how."""
    board.handle_effect("email", FileMailbox(HERE / "mails.mbox", sender="shop@example.com"))
'''

WORKER: Final = '''\
"""Fires timers and delivers what the ladder asks for, until Ctrl-C; run it beside the shop."""

from ladderpipe import Board

from shop import URL, ladder, register

if __name__ == "__main__":
    with Board.open(ladder, URL) as board:
        register(board)
        board.run()
'''

CONFTEST: Final = '''\
"""Which ladder the fixtures ladder_board and ladder_clock are for."""

import pytest

import shop


@pytest.fixture
def ladder_pipeline():
    return shop.ladder
'''

TESTS: Final = '''\
"""What must hold on this ladder, whatever happens."""

from hypothesis import given, settings
from ladderpipe import Event
from ladderpipe.testing import assert_single_stage, events, ladder_state_machine

from shop import ladder


def test_the_ladder_has_no_mistakes():
    assert [found for found in ladder.check() if found.severity == "error"] == []


def test_how_a_deal_begins(ladder_board, ladder_clock):
    @begins@
    assert ladder_board.deal("deal-1").stage == "@stage@"


@given(events(ladder))
def test_a_deal_is_always_in_one_stage(happened):
    history = ladder.fold(happened)
    if history:
        assert_single_stage(history)


class BadDay(ladder_state_machine(ladder)):
    """Events late, early and twice, sweeps, hands and overrides, in any order."""

    def check(self, history):
        assert_single_stage(history)


TestBadDay = BadDay.TestCase
TestBadDay.settings = settings(max_examples=20, deadline=None)
'''


def new(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="where to write it")],
    template: Annotated[
        str,
        typer.Option("--template", metavar="NAME", help="which ladder; 'template' lists them"),
    ] = "sales_management",
    language: Language = None,
) -> None:
    """Write a folder to begin from: a ladder, a worker and tests. Nothing is overwritten."""
    ladder = templates.text(template, language or "it")
    files = dict(_files(folder.absolute().name, ladder, getattr(templates, template)()))
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise StoreError(
            f"{folder / there[0]} is there already and is not overwritten: choose another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    out = console()
    for name in files:
        out.print(f"wrote {folder / name}", soft_wrap=True)
    out.print("\nTry next", style="bold")
    for what, command in (
        ("play it", "ladderpipe simulate ladder.toml"),
        ("its tests, with the extra testing", "python -m pytest"),
        ("what they never reached", "python -m pytest --ladder-cov"),
        ("which mistakes they would not notice", "ladderpipe mutate shop:ladder"),
        ("the worker", "python worker.py"),
        ("the board in your browser", "ladderpipe serve ladder.toml sqlite:///deals.db"),
    ):
        out.print(f"  {what}:", style="dim")
        out.print(f"    {command}")


def _files(name: str, text: str, ladder: Pipeline) -> Iterator[tuple[str, str]]:
    named = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "shop"
    yield "ladder.toml", re.sub('(?m)^name = "[^"]*"', f'name = "{named}"', text, count=1)
    yield "shop.py", SHOP
    yield "worker.py", WORKER
    yield "conftest.py", CONFTEST
    yield "test_ladder.py", _tests(ladder)


def _tests(ladder: Pipeline) -> str:
    """Return the tests, with how a deal begins on this ladder as it was just played."""
    began, stage = next(_beginnings(ladder))
    text = TESTS.replace("@begins@", began).replace("@stage@", stage)
    return text if "Event(" in began else text.replace("from ladderpipe import Event\n", "")


def _beginnings(ladder: Pipeline) -> Iterator[tuple[str, str]]:
    """Yield statements that open a deal, each with the stage that it is in then."""
    start = instant("2026-01-05T09:00Z")
    kinds = [kind for kind, _ in Simulation(ladder, start, None).happening()]
    for kind in sorted(kinds, key=lambda kind: not example(ladder, kind)):
        played = Simulation(ladder, start, None)
        data = example(ladder, kind)
        if (deal := played.tell(kind, data).deal_or_none) is not None:
            yield "\n    ".join(_told(kind, data)), deal.stage.key
    for option in Simulation(ladder, start, None).hands():
        key = option.into.key
        yield f'ladder_board.move("deal-1", "{key}", by="you")', key


def _told(kind: str, data: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines that tell a board this event, none of them long."""
    large = {name: value for name, value in data.items() if not isinstance(value, str)}
    for name, value in large.items():
        yield f"{name} = {json.dumps(value)}"
    if data:
        parts = [f'"{n}": {n if n in large else json.dumps(value)}' for n, value in data.items()]
        yield f"data = {{{', '.join(parts)}}}"
    yield "now = ladder_clock.now()"
    more = ", data=data" if data else ""
    yield f'event = Event("{kind}", deal="deal-1", id="event-1", at=now{more})'
    yield "ladder_board.handle(event)"
