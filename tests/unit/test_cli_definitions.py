"""``check`` and ``diagram``, and how a pipeline is named."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ladderpipe import Pipeline, Stage, dump, on
from ladderpipe.templates import sales_management
from tests.commands import SALES, run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder of our own, whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [p for p in sys.path if p])
    return tmp_path


def ladder_with(*more: Stage) -> Pipeline:
    """Return a ladder on which nothing can be won, with stages that no rule leads into."""
    first, last = Stage("first"), Stage("last", status="lost")
    rules = [on("lead.created", into=first, opens=True), on("lead.ended", into=last)]
    return Pipeline("ends", stages=[first, last, *more], rules=rules)


def test_a_sound_ladder_passes() -> None:
    told = run("check", SALES)
    assert told.code == 0
    assert run("check", SALES, "--strict", "--json").json() == []


def test_an_error_in_a_ladder_fails_the_check(folder: Path) -> None:
    dump(ladder_with(Stage("out_of_reach")), "ladder.json")
    told = run("check", "ladder.json")
    assert told.code == 1
    assert "L001" in told.out


def test_warnings_fail_the_check_only_when_it_is_strict(folder: Path) -> None:
    dump(ladder_with(), "ladder.json")
    findings = run("check", "ladder.json", "--json").json()
    assert [f["code"] for f in findings if f["severity"] == "warning"] == ["L006"]
    assert run("check", "ladder.json", "--strict").code == 1


@pytest.mark.parametrize("suffix", ["yaml", "toml", "json"])
def test_a_definition_file_is_a_pipeline_too(folder: Path, suffix: str) -> None:
    dump(sales_management(), f"ladder.{suffix}")
    assert run("check", f"ladder.{suffix}").code == 0


def test_a_file_imports_only_what_is_allowed(folder: Path) -> None:
    (folder / "rich_people.py").write_text("def rich(deal, event):\n    return deal.value > 1\n")
    (folder / "ladder.json").write_text(
        '{"name": "p", "stages": [{"key": "a"}, {"key": "b", "status": "won"}], "rules": ['
        '{"on": "lead.created", "into": "a", "opens": true},'
        '{"on": "paid", "into": "b", "when": {"function": "rich_people:rich"}}]}'
    )
    assert "--allow" in run("check", "ladder.json").refusal()
    assert run("check", "ladder.json", "--allow", "rich_people").code == 0


@pytest.mark.parametrize("name", ["LADDER", "make", "Shelf.ladder"])
def test_a_module_in_the_current_folder_may_hold_the_pipeline(folder: Path, name: str) -> None:
    (folder / "own_ladders.py").write_text(
        "from ladderpipe.templates import kanban\n"
        "LADDER = kanban()\n"
        "def make(language='it'):\n    return kanban(language)\n"
        "class Shelf:\n    ladder = LADDER\n"
    )
    assert run("check", f"own_ladders:{name}").code == 0


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("nothing", "module:name"),
        ("no_such_module:x", "no_such_module"),
        ("ladderpipe.templates:nothing", "nothing"),
        ("ladderpipe:ANY", "not a pipeline"),
        ("json:loads", "without arguments"),
        ("missing.yaml", "missing.yaml"),
        ("broken:x", "line 2"),
        ("broken_function:make", "line 2"),
        ("unfinished:x", "SyntaxError"),
        ("needs_another:x", "not_installed"),
        ("folder.json", "folder.json"),
        ("wrong.json", "JSON"),
    ],
)
def test_a_pipeline_that_cannot_be_loaded_is_one_line(folder: Path, named: str, told: str) -> None:
    (folder / "broken.py").write_text("import os\nx = 1 / 0\n")
    (folder / "broken_function.py").write_text("def make():\n    return 1 / 0\n")
    (folder / "unfinished.py").write_text("x = (\n")
    (folder / "needs_another.py").write_text("import not_installed\n")
    (folder / "folder.json").mkdir()
    (folder / "wrong.json").write_text("{")
    assert told in run("check", named).refusal()


@pytest.mark.parametrize(("format", "begin"), [("mermaid", "flowchart"), ("dot", "digraph")])
def test_a_diagram_is_printed_or_written(folder: Path, format: str, begin: str) -> None:
    printed = run("diagram", SALES, "--format", format)
    assert begin in printed.out
    written = run("diagram", SALES, "--format", format, "--out", "ladder.txt")
    assert written.out == ""
    assert (folder / "ladder.txt").read_text("utf-8") == printed.out


def test_a_diagram_that_cannot_be_written_is_one_line(folder: Path) -> None:
    assert "no/where" in run("diagram", SALES, "--out", "no/where").refusal()
