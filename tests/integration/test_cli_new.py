"""``new``: what it writes works as it is, and it overwrites nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ladderpipe import Board, Event, load, templates
from tests.commands import run

ROOT = Path(__file__).parents[2]


def start(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a module in the folder as its owner would."""
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "100"}
    surroundings.pop("PYTEST_ADDOPTS", None)
    command = [sys.executable, "-m", *words]
    return subprocess.run(
        command, cwd=folder, env=surroundings, capture_output=True, text=True, timeout=180
    )


@pytest.mark.parametrize("template", templates.names())
def test_its_tests_pass_and_it_is_tidy(tmp_path: Path, template: str) -> None:
    folder = tmp_path / "My shop"
    told = run("new", folder, "--template", template, "--language", "en")
    assert (told.code, told.err) == (0, "")
    assert load(folder / "ladder.toml", ["ladderpipe"]).name == "my-shop"
    tested = start(folder, "pytest", "-q", "-k", "mistakes or begins")
    assert tested.returncode == 0, tested.stdout
    assert "2 passed" in tested.stdout
    tidy = start(folder, "ruff", "check", "--isolated", "--select", "E,F,I", "--line-length=100")
    assert tidy.returncode == 0, tidy.stdout


def test_its_properties_hold_and_its_worker_delivers(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    assert run("new", folder).code == 0
    assert start(folder, "pytest", "-q").returncode == 0
    ladder = load(folder / "ladder.toml", ["ladderpipe"])
    contact = {"name": "Ada", "email": "ada@example.com"}
    told = {"line": {"sku": "x", "quantity": 1, "unit_price": "3"}, "contact": contact}
    with Board.open(ladder, f"sqlite:///{folder}/deals.db") as board:
        at = board.clock.now()
        board.handle(Event("cart.item_added", deal="c", id="1", at=at, data=told))
        board.handle(Event("order.confirmed", deal="c", id="2", at=at))
    once = "from worker import *; board = Board.open(ladder, URL); register(board); board.deliver()"
    (folder / "once.py").write_text(once, "utf-8")
    assert start(folder, "once").returncode == 0
    assert "ada@example.com" in (folder / "mails.mbox").read_text("utf-8")


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("mine", "utf-8")
    assert "shop.py" in run("new", tmp_path).refusal()
    assert [path.name for path in tmp_path.iterdir()] == ["shop.py"]
    assert (tmp_path / "shop.py").read_text("utf-8") == "mine"


def test_a_ladder_that_there_is_not_is_one_line(tmp_path: Path) -> None:
    assert "sales_management" in run("new", tmp_path / "x", "--template", "moon").refusal()
    assert not (tmp_path / "x").exists()
