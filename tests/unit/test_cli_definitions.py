"""``template``, ``check`` and ``diagram``, and how a pipeline is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ladderpipe import Board, Event, Pipeline, Stage, SystemClock, dump, load, on, templates
from ladderpipe.templates import Notice, sales_management
from tests.commands import SALES, mails_in, run


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


# -- beginning from a ready ladder --------------------------------------------------------------


@pytest.mark.parametrize("language", ["it", "en"])
@pytest.mark.parametrize("name", templates.names())
def test_a_ready_ladder_becomes_a_file_that_every_command_takes(
    folder: Path, name: str, language: str
) -> None:
    (folder / "shop.toml").write_text(run("template", name, "-l", language).out, "utf-8")
    assert run("check", "shop.toml", "--strict").code == 0
    open_a_deal_that_is_written_to(load("shop.toml"), "sqlite:///shop.db", language)
    moving = ["sqlite:///shop.db", "-p", "shop.toml"]
    assert run("deals", *moving, "--json").json()[0]["id"] == "d"
    sent = ["--mailbox", "sent.mbox", "--sender", "Shop <shop@example.com>"]
    assert run("worker", *moving, "--once", *sent).code == 0
    mails = mails_in(folder / "sent.mbox")
    assert {mail["To"] for mail in mails} == {"Ada <ada@example.com>"}
    assert {part["Content-Language"] for mail in mails for part in mail.get_payload()} == {language}


def open_a_deal_that_is_written_to(ladder: Pipeline, url: str, language: str) -> None:
    opening = next(rule for rule in ladder.rules if rule.opens).trigger
    written_to = next(
        stage
        for stage in ladder.stages
        if any(isinstance(hook, Notice) and not hook.on for hook in ladder.hooks("into", stage))
    )
    data = {
        "contact": {"name": "Ada", "email": "ada@example.com", "language": language},
        "properties": {"demo_at": "2026-02-03T15:00:00+01:00"},
    }
    with Board.open(ladder, url) as board:
        board.handle(Event(opening.types[0], deal="d", id="e", at=SystemClock().now(), data=data))
        board.override("d", ladder.stages[0], by="marta")
        board.override("d", written_to, by="marta")


def test_a_ready_ladder_is_written_to_a_file(folder: Path) -> None:
    assert run("template", "kanban", "--out", "cards.toml").out == ""
    assert (folder / "cards.toml").read_text("utf-8") == templates.text("kanban")


def test_a_file_is_utf_8_whatever_the_terminal_speaks(folder: Path) -> None:
    command = [sys.executable, "-m", "ladderpipe.cli", "template", "crm_default"]
    surroundings = os.environ | {"PYTHONIOENCODING": "latin-1"}
    with (folder / "crm.toml").open("wb") as file:
        subprocess.run(command, stdout=file, check=True, env=surroundings)
    assert load("crm.toml").title == "Opportunità"


def test_the_ready_ladders_are_listed() -> None:
    listed = run("template", "--language", "en").out
    assert listed.splitlines()[::2] == templates.names()
    assert "Quote requested · Cart parked" in listed


def test_a_ready_ladder_that_is_not_there_is_one_line() -> None:
    assert "did you mean 'kanban'?" in run("template", "kanbn").refusal()


def test_the_document_of_what_is_published_is_written() -> None:
    told = run("schema", SALES, "--published").json()
    assert told == sales_management("it").asyncapi()
